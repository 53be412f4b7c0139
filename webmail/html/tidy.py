"""Before any parser of ours builds a tree: hostile HTML -> balanced, bounded tags of known names, in linear time.

Neither tree builder that follows survives hostile input by itself: at a depth of 20,000 css-inline overflows the stack
(which ends the process), nh3 takes seconds, html5lib recurses, and unclosed formatting elements multiply. Here the
source is only cut into tags and text, and what is written out is unambiguous: quoted attributes, no comments, no raw
text, every end tag matched. It decides nothing about safety; it makes the input small enough for those who do."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

from webmail.html.rules import (
    ALLOWED,
    DROPPED,
    HIDE,
    LOADING,
    MAX_ATTRIBUTE,
    MAX_CSS,
    MAX_DATA_URL,
    MAX_DEPTH,
    MAX_ELEMENTS,
    MAX_MARKS,
    MAX_SOURCE,
    SHOW,
    TAGS,
    VOID,
)

# Possessive quantifiers: no way of matching twice, so an unclosed quote costs one pass and no more.
_TAG = re.compile(r"""<(/?)([a-zA-Z][^\s/>]*+)((?:[^>"']++|"[^"]*+"|'[^']*+')*+)>""")
_LOOSE_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*+)([^>]*+)>")
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]++)(?:\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s>]++)))?""")
_COMMENT_END = re.compile(r"--!?>")
_CONTROLS = {code: None for code in range(32) if code not in (9, 10)} | {127: None} | dict.fromkeys(SHOW)
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
    something and was dropped (as decoded text), in order; ``elements`` how many start tags are left."""

    def __init__(self, source: str) -> None:
        source = _SURROGATE.sub("\ufffd", source[:MAX_SOURCE])
        self.source = source.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)
        self.styled = "<style" in self.source.lower()
        self.out: list[str] = []
        self.open: list[str] = []
        self.loads: list[str] = []
        self.known: dict[tuple[str, str], tuple[str, list[str]]] = {}  # attributes by tag name and text
        self.css, self.elements, self.marks = "", 0, 0
        self._read()
        self._end_to(0)
        self.html = "".join(self.out)

    def _read(self) -> None:
        source, at = self.source, 0
        while (start := source.find("<", at)) >= 0:
            if start > at:
                self._text(source[at:start])
            match = _TAG.match(source, start) or _LOOSE_TAG.match(source, start)
            at = self._not_a_tag(start) if match is None else self._tag(match)
        if at < len(source):
            self._text(source[at:])

    def _text(self, text: str) -> None:
        if "&" in text:
            text = unescape(text).translate(_CONTROLS)
        self.marks += text.count("&") + text.count("<") + text.count(">")
        self.out.append(text.translate(HIDE if self.marks <= MAX_MARKS else _NO_MARKS))

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
        closing, name, rest = match[1], match[2].lower(), match[3]
        if closing:
            self._end(name)
            return match.end()
        if name in DROPPED:
            self._attributes(name, rest)
            return self._skip(name, match)
        attributes = self._attributes(name, rest)
        if name in TAGS and self.elements < MAX_ELEMENTS:
            self._start(name, attributes)
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
        """The allowed ones, quoted. The cells of a newsletter are alike: each kind of tag is read once."""
        if not text or text == "/":
            return ""
        found = self.known.get((name, text))
        if found is None:
            before = len(self.loads)
            found = self.known[name, text] = (self._read_attributes(name, text), self.loads[before:])
        else:
            self.loads += found[1]
        return found[0]

    def _read_attributes(self, name: str, text: str) -> str:
        """Entities stay as they are: the parser behind reads them as it reads the rest."""
        allowed, kept, seen = ALLOWED.get(name, frozenset()), [], set()
        for match in _ATTRIBUTE.finditer(text):
            key = match[1].lower()
            if key in seen:
                continue
            value = next((group for group in match.group(2, 3, 4) if group is not None), "")
            if key in LOADING and not (name == "img" and key == "src"):
                self.loads.append(attribute_text(value[:MAX_ATTRIBUTE]))
                continue
            if key == "style" and "(" in value:
                self.loads.extend(css_urls(attribute_text(value[:MAX_ATTRIBUTE])))
            if key not in allowed and not (self.styled and key in ("class", "id")):
                continue
            if len(value) > (MAX_DATA_URL if key == "src" else MAX_ATTRIBUTE):
                continue
            seen.add(key)
            if "&" in value:
                value = attribute_text(value)
            # css-inline parses style attributes, and there quotes mean something.
            value = value.replace("&", "&amp;").replace('"', "&quot;") if key == "style" else value
            kept.append(f' {key}="{value.translate(_HIDE_STYLE if key == "style" else HIDE)}"')
        return "".join(kept)

    def _start(self, name: str, attributes: str) -> None:
        if name in _ENDS:
            ends, barriers = _ENDS[name]
            self._close(lambda tag: tag in ends, barriers)
        if name not in VOID:
            if len(self.open) >= MAX_DEPTH:
                return
            self.open.append(name)
        self.elements += 1
        self.out.append(f"<{name}{attributes}>")

    def _end(self, name: str) -> None:
        if name in ("br", "p") and name not in self.open:
            self._start("br", "")  # HTML §13.2.6.4.7: both of these end tags make an element
        elif name in TAGS and name not in VOID:
            barriers = frozenset() if name == "table" else {"table"} if name in _TABLE else _CELLS
            self._close(lambda tag: tag == name, barriers)

    def _close(self, wanted: Callable[[str], bool], barriers: set[str] | frozenset[str]) -> None:
        """End the innermost wanted element, and all in it; nothing if a barrier comes first."""
        for index in range(len(self.open) - 1, -1, -1):
            if wanted(self.open[index]):
                return self._end_to(index)
            if self.open[index] in barriers:
                return None
        return None

    def _end_to(self, index: int) -> None:
        self.out.extend(f"</{name}>" for name in reversed(self.open[index:]))
        del self.open[index:]


_NO_MARKS = dict.fromkeys(map(ord, "&<>"))
_HIDE_STYLE = {ord("<"): HIDE[ord("<")], ord(">"): HIDE[ord(">")]}


def attribute_text(value: str) -> str:
    """An attribute's value with its character references decoded."""
    return _REFERENCE.sub(lambda match: unescape(match[0]), value).translate(_CONTROLS)


_URL = re.compile(r"""url\(\s*+["']?([^"')\s]++)""", re.IGNORECASE)


def css_urls(text: str) -> list[str]:
    """What url() in CSS would load, for the list of what was blocked; escapes and tricks are not looked through."""
    return _URL.findall(text[:MAX_CSS])


_END_TAGS: dict[str, re.Pattern[str]] = {
    name: re.compile(rf"</{name}(?:[\s/][^>]*)?>", re.IGNORECASE) for name in DROPPED
}


def _end_tag(name: str) -> re.Pattern[str]:
    return _END_TAGS[name]
