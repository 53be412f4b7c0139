"""Plain text <-> HTML. To HTML: every piece is escaped by itself, and the tags are these few, whatever the text says:
``<br>``, ``<blockquote class="q1">`` to ``q4``, ``<div class="sig">``, ``<a href target rel>`` and, around a long quote,
``<details class="quote"><summary>``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape, unescape

import nh3
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from webmail.html.rules import DROPPED, MAX_ELEMENTS, REL, TAGS, show_escaped

MAX_TEXT = 1_000_000  # characters that are shown; the whole part can still be downloaded
MAX_WORD = 2_048  # characters of a word in which links are looked for
MAX_QUOTES = 8  # levels of quoting that are nested; deeper ones stay at the last
MAX_LINKS = 5_000
LEAST_FOLDED = 400  # characters of a quote, without white space, that are worth folding

_WORD = re.compile(r"\S+")
_QUOTE = re.compile(r"(?:>[ ]?)+")
# In a word, so without white space. Lengths are bounded, which keeps the search linear.
_LINK = re.compile(
    r"(?P<url>https?://[^\s<>\"'`{}|\\^]{1,2000}|www\.[\w-]{1,63}\.[^\s<>\"'`{}|\\^]{1,2000})"
    r"|(?P<mail>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})",
    re.IGNORECASE,
)
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def text_to_html(text: str) -> str:
    """Plain text (``\\n`` line ends, already unflowed) as an HTML fragment. Runs of spaces are kept as they are, for
    ``white-space: pre-wrap`` in the document shell."""
    text = _UNSAFE.sub("", text[:MAX_TEXT].replace("\r\n", "\n").replace("\r", "\n")).expandtabs(8)
    lines = [_depth(line) for line in text.split("\n")]
    folded = _folded(lines)
    writer = _Writer()
    for number, (depth, line) in enumerate(lines):
        if folded and number in folded:
            writer.fold(number == folded[0])
        if (
            not depth
            and line in ("-- ", "--")
            and not writer.signed
            and not (folded and folded[0] <= number < folded[1])
        ):
            writer.sign()
        writer.line(line, depth)
    return writer.finish()


def _depth(line: str) -> tuple[int, str]:
    match = _QUOTE.match(line)
    return (min(match[0].count(">"), MAX_QUOTES), line[match.end() :]) if match else (0, line)


def _folded(lines: list[tuple[int, str]]) -> tuple[int, int] | None:
    """The first line of what is folded and the one behind it: a long quote, with the line that says whose, if all that
    the writer says stands on one side of it; of an answer point by point, and of a mere quote, nothing is hidden."""
    quoted = [number for number, (depth, _text) in enumerate(lines) if depth]
    if not quoted or sum(len("".join(lines[number][1].split())) for number in quoted) < LEAST_FOLDED:
        return None
    first, end = quoted[0], quoted[-1] + 1
    if any(text.strip() and not depth for depth, text in lines[first:end]):
        return None
    start = first
    while start and not lines[start - 1][1].strip():
        start -= 1
    if start and lines[start - 1][1].rstrip().endswith(":"):
        start -= 2 if start > 1 and lines[start - 1][1].startswith("<") else 1  # broken before the address
    else:
        start = first
    behind = [text for _level, text in lines[end:]]
    behind = behind[: behind.index("-- ")] if "-- " in behind else behind
    said_before = any(char.isalnum() for _level, text in lines[:start] for char in text)
    said_behind = any(char.isalnum() for text in behind for char in text)
    return (start, end) if said_before != said_behind else None


class _Writer:
    """Lines out, with the blockquotes that are open. A line break stands between two lines of one block only."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.depth = self.links = 0
        self.signed = self.signing = self.folding = False
        self.fresh = True

    def line(self, text: str, depth: int) -> None:
        self.quote(depth)
        if not self.fresh:
            self.out.append("<br>")
        self.fresh = False
        self.out.extend(self.pieces(text))

    def quote(self, depth: int) -> None:
        if depth and self.signing:
            self.end_signature()
        while self.depth != depth:
            if self.depth < depth:
                self.depth += 1
                self.out.append(f'<blockquote class="q{min(self.depth, 4)}">')
            else:
                self.depth -= 1
                self.out.append("</blockquote>")
            self.fresh = True

    def end_signature(self) -> None:
        self.out.append("</div>")
        self.signing, self.fresh = False, True

    def fold(self, opening: bool) -> None:
        self.quote(0)
        if self.signing:
            self.end_signature()
        if opening:
            title = escape(_("Quoted text"))
            self.out.append(f'<details class="quote"><summary>{title}</summary>')
        elif self.folding:
            self.out.append("</details>")
        self.folding, self.fresh = opening, True

    def sign(self) -> None:
        self.quote(0)
        self.out.append('<div class="sig">')
        self.signed = self.signing = self.fresh = True

    def finish(self) -> str:
        self.quote(0)
        return "".join(self.out) + ("</details>" if self.folding else "") + ("</div>" if self.signing else "")

    def pieces(self, line: str) -> Iterator[str]:
        """The line as escaped pieces and links. Most words cannot hold one, which is seen cheaply."""
        if "@" not in line and "://" not in line and "www." not in line.lower():
            yield escape(line)
            return
        end = 0
        for word in _WORD.finditer(line):
            if word.end() - word.start() > MAX_WORD:
                continue
            for match in _LINK.finditer(line, word.start(), word.end()):
                if self.links >= MAX_LINKS:
                    break
                shown = match["mail"] or _trimmed(match["url"])
                self.links += 1
                yield escape(line[end : match.start()])
                yield _anchor(shown, bool(match["mail"]))
                end = match.start() + len(shown)
        yield escape(line[end:])


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence around it; a closing bracket stays if it was opened inside."""
    while url:
        last = url[-1]
        if last in ".,;:!?*_~'\"" or (last in ")]" and url.count(last) > url.count("(" if last == ")" else "[")):
            url = url[:-1]
        else:
            break
    return url


def _anchor(shown: str, is_mail: bool) -> str:
    target = f"mailto:{shown}" if is_mail else shown if "://" in shown[:8] else f"https://{shown}"
    return f'<a href="{escape(target)}" target="_blank" rel="{REL}">{escape(shown)}</a>'


# --- HTML to text -------------------------------------------------------------------------------------------------

_TOKEN = re.compile(r'<(/?)([a-z][a-z0-9]*)((?:[^>"]++|"[^"]*+")*+)>|([^<]+)|<')
_HREF = re.compile(r'\shref="([^"]*)"')
_ALT = re.compile(r'\salt="([^"]*)"')
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "center", "dd", "div", "dl", "dt", "figcaption", "figure",
        "footer", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section",
        "table", "tr", "ul",
    }
)  # fmt: skip
_APART = frozenset(
    {
        "blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "ol", "p", "pre", "ul",
    }
)  # fmt: skip


def html_to_text(html: str) -> str:
    """Any HTML as readable plain text: paragraphs apart, lists with ``*`` or numbers, quotes with ``> ``, links as
    ``text <url>`` where the text is not the address itself. Never raises."""
    from webmail.html.tidy import tidied  # it bounds what nh3 is given

    clean = nh3.clean(
        show_escaped(tidied(html).html), tags=set(TAGS), clean_content_tags=set(DROPPED),
        attributes={"a": {"href"}, "img": {"alt"}}, link_rel=None,
    )  # fmt: skip
    return tagged_to_text(clean)


def tagged_to_text(html: str) -> str:
    """As html_to_text, for HTML that nh3 wrote: lower-case names, double quotes, balanced."""
    writer = _TextWriter()
    for count, match in enumerate(_TOKEN.finditer(html)):
        if count > 4 * MAX_ELEMENTS:
            break
        closing, name, attributes, text = match.groups()
        if name is None:
            writer.text(unescape(text or "<"))
        elif closing:
            writer.end(name)
        else:
            writer.start(name, attributes)
    return writer.finish()


class _TextWriter:
    """Lines with a prefix for the quotes they are in. ``gap``: how many line ends the next word needs before it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.words: list[str] = []
        self.quotes = self.pre = 0
        self.gap = 0
        self.lists: list[int] = []  # number of the last item; -1 where items have no number
        self.mark = ""
        self.links: list[tuple[str, int]] = []

    def text(self, text: str) -> None:
        if self.pre:
            *whole, last = text.split("\n")
            for line in whole:
                self.words.append(line)
                self.flush(keep_empty=True)
            self.words.append(last)
            return
        squeezed = " ".join(text.split())
        if not squeezed:
            self.words.append(" " if self.words else "")
            return
        if text[0].isspace():
            self.words.append(" ")
        self.words.append(squeezed)
        if text[-1].isspace():
            self.words.append(" ")

    def start(self, name: str, attributes: str) -> None:
        if name == "br":
            self.flush(keep_empty=True)
        elif name == "a":
            href = _HREF.search(attributes)
            self.links.append((unescape(href[1]) if href else "", len(self.words)))
        elif name == "img":
            alt = _ALT.search(attributes)
            self.text(unescape(alt[1]) if alt else "")
        elif name in ("td", "th"):
            self.words.append(" ")
        elif name in _BLOCKS:
            self.block(name)
            if name == "hr":
                self.words.append("-" * 20)
                self.flush()
            elif name == "blockquote":
                self.quotes += 1
            elif name in ("ul", "ol", "dl"):
                self.lists.append(0 if name == "ol" else -1)
            elif name == "li":
                self.item()
            elif name == "pre":
                self.pre += 1

    def end(self, name: str) -> None:
        if name == "a" and self.links:
            self.link(*self.links.pop())
        elif name in _BLOCKS:
            self.block(name)
            if name == "blockquote":
                self.quotes = max(self.quotes - 1, 0)
            elif name in ("ul", "ol", "dl") and self.lists:
                self.lists.pop()
            elif name == "pre":
                self.pre = max(self.pre - 1, 0)

    def item(self) -> None:
        indent = "  " * min(max(len(self.lists) - 1, 0), 8)
        if self.lists and self.lists[-1] >= 0:
            self.lists[-1] += 1
            self.mark = f"{indent}{self.lists[-1]}. "
        else:
            self.mark = f"{indent}* "

    def link(self, href: str, at: int) -> None:
        shown = "".join(self.words[at:]).strip()
        plain = href.removeprefix("mailto:")
        bare = re.sub(r"^https?://", "", plain).rstrip("/")
        is_link = href.startswith(("http", "mailto:"))
        if shown and is_link and shown != href and shown.rstrip("/") not in (plain.rstrip("/"), bare):
            self.words.append(f" <{plain}>")

    def block(self, name: str) -> None:
        self.flush()
        nested = name in ("ul", "ol") and len(self.lists) > 1
        if name in _APART and not nested and self.lines and self.lines[-1].strip("> "):
            self.gap = 1

    def flush(self, keep_empty: bool = False) -> None:
        line = "".join(self.words)
        line = line.rstrip() if self.pre else " ".join(line.split())
        self.words.clear()
        self.links = [(href, 0) for href, _ in self.links]
        if not line and not keep_empty:
            return
        prefix = ">" * min(self.quotes, 20) + (" " if self.quotes else "")
        if self.gap and self.lines:
            self.lines.append(prefix.rstrip() if self.lines[-1].startswith(prefix) else "")
        self.gap = 0
        self.lines.append((prefix + self.mark + line).rstrip())
        self.mark = ""

    def finish(self) -> str:
        self.flush()
        text = "\n".join(self.lines).strip("\n")
        return re.sub(r"\n{3,}", "\n\n", text)


def text_markup(text: str) -> SafeString:
    """``text_to_html`` for a template of ours: the one place where markup is vouched for."""
    return mark_safe(text_to_html(text))  # noqa: S308  (made from escaped tokens only)


Marked = SafeString  # what ``marked`` gives: HTML that is printed as it is


def marked(pieces: Iterable[tuple[str, bool]]) -> SafeString:
    """Text as it is, what is said to be a hit within ``mark``."""
    return mark_safe("".join(f"<mark>{escape(text)}</mark>" if hit else escape(text) for text, hit in pieces))  # noqa: S308  (escaped)
