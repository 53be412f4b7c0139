"""Before any parser of ours builds a tree: hostile HTML -> balanced, bounded tags of known names, in linear time.

Neither tree builder that follows survives hostile input by itself: at a depth of 20,000 css-inline overflows the stack
(which ends the process), nh3 takes seconds, html5lib recurses, and unclosed formatting elements multiply. Here the
source is only cut into tags and text, and what is written out is unambiguous: quoted attributes, no comments, no raw
text, every end tag matched. It decides nothing about safety; it makes the input small enough for those who do."""

from __future__ import annotations

import re
from functools import lru_cache
from html import unescape

from webmail.html.rules import (
    ALLOWED,
    BODY,
    DROPPED,
    HIDDEN,
    LOADING,
    MAX_ATTRIBUTE,
    MAX_CSS,
    MAX_DATA_URL,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_MARKS,
    MAX_SOURCE,
    TAGS,
    VOID,
    hide,
)

# Possessive quantifiers: no way of matching twice, so an unclosed quote costs one pass and no more.
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*+)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""")
_LOOSE_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)([^>]*+)>")
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]++)))?""")
_COMMENT_END = re.compile(r"--!?>")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f" + "".join(HIDDEN.values()) + "]+")
_MARKS = re.compile(r"[&<>]")
_MARKUP = re.compile(r"""[&<>"]""")
# How mail programs mark what they quote, for webmail.html.quotes; of a class or an id, nothing else is kept.
QUOTED = re.compile(
    r"gmail_(?:quote|attr|extra)|yahoo_quoted|moz-cite-prefix|divRplyFwdMsg|OutlookMessageHeader|appendonsend"
    r"|mail-editor-reference-message-container|(?:protonmail|tutanota|zmail)_(?:quote|extra)|WordSection|reply-intro",
    re.IGNORECASE,
)
_SCHEME_NAMES = frozenset({"color-scheme", "supported-color-schemes"})
# In an attribute, a reference without a semicolon counts only if no name goes on (HTML §13.2.5.73): "?a&copy=2" is one
# URL.
_REFERENCE = re.compile(r"&(?:#[0-9]{1,8};?|#[xX][0-9a-fA-F]{1,7};?|[A-Za-z][A-Za-z0-9]{1,31}(?:;|(?![=A-Za-z0-9;])))")
_SURROGATE = re.compile("[\ud800-\udfff]")

# A start tag that ends an open element of these names, unless one of the others lies between (HTML §13.1.2.4).
_ENDS = {
    "li": ({"li"}, {"ul", "ol", "dir", "table"}),
    "dt": ({"dt", "dd"}, {"dl", "table"}),
    "dd": ({"dt", "dd"}, {"dl", "table"}),
    "td": ({"td", "th"}, {"table"}),
    "th": ({"td", "th"}, {"table"}),
    "tr": ({"tr"}, {"table"}),
    "tbody": ({"tbody", "thead", "tfoot"}, {"table"}),
    "tfoot": ({"tbody", "thead", "tfoot"}, {"table"}),
    "p": ({"p"}, {"table", "td", "th", "li", "div", "blockquote", "caption", "dd", "center", "section", "article"}),
}
_TABLE = frozenset({"table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption"})
_CELLS = frozenset({"td", "th", "table", "caption"})


class Tidy:
    """``html`` balanced, ``css`` what <style> elements said, ``loads`` each attribute value that would have loaded
    something and was dropped (as decoded text), in order; ``elements`` how many start tags are left and ``depth`` how
    deep they go; ``body`` the attributes of <body>, ``scheme`` the colour schemes that a <meta> declares."""

    def __init__(self, source: str, share: float = 1) -> None:
        """``share`` of the bounds is used; ``cut`` tells whether one of them was met."""
        self.cut = len(source) > MAX_SOURCE * share
        self.most_elements, self.most_marks, self.deepest = MAX_ELEMENTS * share, MAX_MARKS * share, MAX_DEPTH * share
        source = _SURROGATE.sub("\ufffd", source[: int(MAX_SOURCE * share)])
        self.source = _CONTROLS.sub("", source.replace("\r\n", "\n").replace("\r", "\n"))
        self.styled = "<style" in self.source.lower()
        self.out: list[str] = []
        self.open: list[str] = []
        self.loads: list[str] = []
        self.known: dict[str, tuple[str, str, list[str]]] = {}  # name, attributes, loads by the text of a start tag
        self.css = self.body = self.scheme = ""
        self.elements = self.marks = self.depth = 0
        self._read()
        self._end_to(0)
        self.html = "".join(self.out)

    def _read(self) -> None:
        source, at, out = self.source, 0, self.out
        while (start := source.find("<", at)) >= 0:
            if start > at:
                text = source[at:start]
                out.append(text) if _MARKS.search(text) is None else self._text(text)
            match = _TAG.match(source, start) or _LOOSE_TAG.match(source, start)
            at = self._not_a_tag(start) if match is None else self._tag(match)
        if at < len(source):
            self._text(source[at:])

    def _text(self, text: str) -> None:
        if "&" in text:
            text = _CONTROLS.sub("", unescape(text))
        self.marks += text.count("&") + text.count("<") + text.count(">")
        if self.marks <= self.most_marks:
            self.out.append(hide(text))
        else:
            self.cut = True
            self.out.append(text.translate(_NO_MARKS))

    def _not_a_tag(self, start: int) -> int:
        """A comment, a declaration, the beginning of a tag that never ends, or a mere "<". Where to go on."""
        source = self.source
        after = source[start + 1 : start + 2]
        if source.startswith("<!--", start):
            if source.startswith((">", "->"), start + 4):
                return source.index(">", start) + 1
            end = _COMMENT_END.search(source, start + 4)
            return end.end() if end else len(source)
        if after in ("!", "?", "/") and after:
            close = source.find(">", start)
            return close + 1 if close >= 0 else len(source)
        if after.isascii() and after.isalpha():
            return len(source)
        run = start + 1
        while source.startswith("<", run):
            run += 1
        if run > start + 1:
            run -= 1  # the last of a run may begin a tag
        self._text(source[start:run])
        return run

    def _tag(self, match: re.Match[str]) -> int:
        """A newsletter's cells are alike: each kind of start tag is read once."""
        if match[1]:
            self._end(match[2].lower())
            return match.end()
        known = self.known.get(match[0])
        if known is None:
            name, before = match[2].lower(), len(self.loads)
            attributes = self._attributes(name, match[3])
            known = self.known[match[0]] = name, attributes, self.loads[before:]
        else:
            self.loads += known[2]
        name, attributes, _ = known
        if name in TAGS:
            if self.elements < self.most_elements:
                self._start(name, attributes)
            else:
                self.cut = True
        elif name in DROPPED:
            return self._skip(name, match)
        elif name == "body":
            self.body = self.body or attributes
        elif name == "meta":
            self.scheme = self.scheme or _declared_scheme(match[3])
        return match.end()

    def _skip(self, name: str, match: re.Match[str]) -> int:
        """Behind the end tag of an element whose content is dropped; the end of everything if it has none."""
        if name == "embed" or (match[3].endswith("/") and name in ("svg", "math")):
            return match.end()
        end = _end_tag(name).search(self.source, match.end())
        if name == "style" and len(self.css) < MAX_CSS:
            self.css += self.source[match.end() : end.start() if end else None] + "\n"
        return end.end() if end else len(self.source)

    def _attributes(self, name: str, text: str) -> str:
        """The allowed ones, quoted. Entities stay as they are: the parser behind reads them as it reads the rest."""
        if not text or text == "/":
            return ""
        allowed, kept = BODY if name == "body" else ALLOWED.get(name, frozenset()), {}
        for key, double, single, bare in _ATTRIBUTE.findall(text):
            key, value = key.lower(), double or single or bare
            if key in kept:
                continue
            if key in LOADING and not (name == "img" and key == "src"):
                self.loads.append(attribute_text(value[:MAX_ATTRIBUTE]))
                continue
            if key == "style" and "(" in value:
                self.loads.extend(css_urls(attribute_text(value[:MAX_ATTRIBUTE])))
            if key not in allowed and not self._is_hint(name, key, value):
                continue
            if len(value) > (MAX_DATA_URL if key == "src" else MAX_ATTRIBUTE):
                self.cut = self.cut or key == "src"
                continue
            kept[key] = f' {key}="{_quoted(key, value)}"'
        return "".join(kept.values())

    def _is_hint(self, name: str, key: str, value: str) -> bool:
        """Whether an attribute that nobody will see tells css-inline or webmail.html.quotes something."""
        if key in ("class", "id"):
            return self.styled or QUOTED.search(value[:200]) is not None
        return key == "type" and name == "blockquote"

    def _start(self, name: str, attributes: str) -> None:
        if name in _ENDS:
            ends, barriers = _ENDS[name]
            self._close(ends, barriers)
        if name not in VOID:
            if len(self.open) >= self.deepest:
                self.cut = True
                return
            self.open.append(name)
            if len(self.open) > self.depth:
                self.depth += 1
        self.elements += 1
        self.out.append(f"<{name}{attributes}>")

    def _end(self, name: str) -> None:
        if self.open and self.open[-1] == name:
            del self.open[-1]
            self.out.append(f"</{name}>")
        elif name in ("br", "p") and name not in self.open:
            self._start("br", "")  # HTML §13.2.6.4.7: both of these end tags make an element
        elif name in TAGS and name not in VOID:
            barriers = frozenset() if name == "table" else {"table"} if name in _TABLE else _CELLS
            self._close({name}, barriers)

    def _close(self, wanted: set[str], barriers: set[str] | frozenset[str]) -> None:
        """End the innermost wanted element, and all in it; nothing if a barrier comes first."""
        for index in range(len(self.open) - 1, -1, -1):
            if self.open[index] in wanted:
                return self._end_to(index)
            if self.open[index] in barriers:
                return None
        return None

    def _end_to(self, index: int) -> None:
        self.out.extend(f"</{name}>" for name in reversed(self.open[index:]))
        del self.open[index:]


@lru_cache(maxsize=1)
def tidied(source: str) -> Tidy:
    """The last one is at hand: a message is made plain text and cleaned right after. Nobody changes what it found."""
    return Tidy(source)


_NO_MARKS = dict.fromkeys(map(ord, "&<>"))


def attribute_text(value: str) -> str:
    """An attribute's value with its character references decoded."""
    return _CONTROLS.sub("", _REFERENCE.sub(lambda match: unescape(match[0]), value)) if "&" in value else value


def _quoted(key: str, value: str) -> str:
    """An attribute's value as it stands between double quotes."""
    if _MARKUP.search(value) is None:
        return value
    value = attribute_text(value)
    if key == "style":  # css-inline parses these, and there quotes mean something
        return hide(value).replace(HIDDEN["&"], "&amp;").replace(HIDDEN['"'], "&quot;")
    return hide(value)


def _declared_scheme(attributes: str) -> str:
    """What a <meta> tag declares the message to be made for (HTML §4.2.5.1); "" if it is about something else."""
    found = {match[1].lower(): match[2] or match[3] or match[4] or "" for match in _ATTRIBUTE.finditer(attributes)}
    return found.get("content", "")[:100].lower() if found.get("name", "").lower() in _SCHEME_NAMES else ""


_URL = re.compile(r"""url\(\s*+["']?([^"')\s]++)""", re.IGNORECASE)


def css_urls(text: str) -> list[str]:
    """What url() in CSS would load, for the list of what was blocked; escapes and tricks are not looked through."""
    return _URL.findall(text[:MAX_CSS])


_END_TAGS: dict[str, re.Pattern[str]] = {
    name: re.compile(rf"</{name}(?:[\s/][^>]*)?>", re.IGNORECASE) for name in DROPPED
}


def _end_tag(name: str) -> re.Pattern[str]:
    return _END_TAGS[name]
