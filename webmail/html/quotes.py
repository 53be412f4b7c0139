"""What a reply quotes, folded away: an element of ours around it, in the tree that the cleaned HTML is written from.

Only what ends (or, under the reply, begins) a message is folded, and only if enough of it is there, if it is known for
a quote by how a mail program marked it or by the line before it that ends in a colon ("On Monday Ola wrote:"), and if
the writer says something outside of it: a forwarded message, and one that answers point by point, are shown whole."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

FOLD = "#fold"  # no name that a parser could find
LEAST = 400  # characters, without white space, that are worth folding
MAX_ATTRIBUTION = 300
# One of these is in the source, in any case of letters, or there is no quote to look for.
_MARKED = (
    "<blockquote", "gmail_quote", "yahoo_quoted", "divrplyfwdmsg", "outlookmessageheader", "appendonsend",
    "protonmail_quote", "tutanota_quote", "zmail_extra", "mail-editor-reference", "#e1e1e1", "#b5c4df",
)  # fmt: skip
_CONTAINER = re.compile(
    r"gmail_quote|yahoo_quoted|protonmail_quote|tutanota_quote|zmail_extra|mail-editor-reference", re.IGNORECASE
)
_HEADER = re.compile(r"divRplyFwdMsg|OutlookMessageHeader|appendonsend", re.IGNORECASE)
_RULE = re.compile(r"border-top:\s?solid #(?:E1E1E1|B5C4DF)", re.IGNORECASE)  # Outlook, above From: Sent: To: Subject:
_FIELD = re.compile(r"^\s*[^\W\d_][\w .-]{0,30}:", re.MULTILINE)
_FORWARD = re.compile(r"\s*(?:-{3,}|_{5,}|begin forwarded message|forwarded message)", re.IGNORECASE)
_LINES = frozenset(
    {"address", "blockquote", "br", "center", "dd", "div", "dl", "dt", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li",
     "ol", "p", "pre", "section", "table", "td", "tr", "ul"}
)  # fmt: skip
_MAY_HOLD = frozenset(
    {"DOCUMENT_FRAGMENT", "article", "blockquote", "center", "div", "font", "li", "main", "section", "span", "td", "th"}
)  # fmt: skip


def may_be_in(source: str) -> bool:
    source = source.lower()
    return any(mark in source for mark in _MARKED)


def fold(root: Element) -> None:
    """Put what ``root`` quotes into a FOLD element, if it should be."""
    page = _Page(root)
    quotes = page.quotes()
    if not quotes:
        return
    large = [element for element, header in quotes if header or page.size_of(element) >= LEAST]
    if len(large) != 1:
        return
    run = page.rest_from(large[0]) if quotes[-1][1] else page.with_attribution(large[0])
    if page.should_fold(run, [element for element, _ in quotes]):
        _wrap(page.parents[run[0]], run)


class _Page:
    """The text of the tree with a line end at each block, and where in it each element begins and ends."""

    def __init__(self, root: Element) -> None:
        self.root = root
        self.parents: dict[Element, Element] = {}
        self.places: dict[Element, tuple[int, int]] = {}
        self.order: list[Element] = []
        self.text = self._read(root)

    def _read(self, root: Element) -> str:
        pieces: list[str] = [root.text or ""]
        at = len(pieces[0])
        open_ = [(root, iter(root), 0)]
        while open_:
            parent, children, start = open_[-1]
            child = next(children, None)
            if child is None:
                open_.pop()
                self.places[parent] = (start, at)
                piece = ("\n" if parent.tag in _LINES else "") + ((parent.tail or "") if open_ else "")
            else:
                self.parents[child] = parent
                self.order.append(child)
                open_.append((child, iter(child), at))
                piece = ("\n" if child.tag in _LINES else "") + (child.text or "")
            pieces.append(piece)
            at += len(piece)
        return "".join(pieces)

    def text_of(self, element: Element) -> str:
        start, end = self.places[element]
        return self.text[start:end]

    def size_of(self, element: Element) -> int:
        return len("".join(self.text_of(element).split()))

    def quotes(self) -> list[tuple[Element, bool]]:
        """The outermost quotes in order, and whether one is only the header of what is quoted behind it."""
        found: list[tuple[Element, bool]] = []
        end = -1
        for element in self.order:
            start = self.places[element][0]
            if start < end:
                continue
            header = self._is_header(element)
            if header or self._is_quote(element, start):
                found.append((element, header))
                end = len(self.text) + 1 if header else self.places[element][1]
        return found

    def _is_quote(self, element: Element, start: int) -> bool:
        if _CONTAINER.search(element.get("class", "") + element.get("id", "")):
            return True
        if element.tag != "blockquote":
            return False
        return element.get("type", "") == "cite" or self.text[max(start - 200, 0) : start].rstrip().endswith(":")

    def _is_header(self, element: Element) -> bool:
        if _HEADER.search(element.get("id", "") + element.get("class", "")):
            return True
        if not _RULE.search(element.get("style", "")):
            return False
        start, end = self.places[element]
        return len(_FIELD.findall(self.text[start : min(end, start + 2_000)])) >= 3

    def with_attribution(self, quote: Element) -> list[Element]:
        """The quote and the elements right before it that say whose words follow."""
        siblings = list(self.parents[quote])
        at = first = siblings.index(quote)
        while first and not (siblings[first - 1].tail or "").strip():
            text = self.text_of(siblings[first - 1]).strip()
            if text.endswith(":") and len(text) <= MAX_ATTRIBUTION:
                return siblings[first - 1 : at + 1]
            if text or siblings[first - 1].tag not in ("br", "blockquote", "div", "p"):
                break
            first -= 1
        return [quote]

    def rest_from(self, header: Element) -> list[Element]:
        """All from the header on, as far out as nothing stands before it."""
        element = header
        while (parent := self.parents[element]) is not self.root:
            if self.text[self.places[parent][0] : self.places[element][0]].strip():
                break
            element = parent
        siblings = list(self.parents[element])
        return siblings[siblings.index(element) :]

    def should_fold(self, run: list[Element], quotes: list[Element]) -> bool:
        start, end = self.places[run[0]][0], self.places[run[-1]][1]
        quoted = self.text[start:end]
        if len("".join(quoted.split())) < LEAST or _FORWARD.match(quoted) or self.parents[run[0]].tag not in _MAY_HOLD:
            return False
        before, at = "", 0
        for quote in quotes:  # the small ones before, some of which hold no more than the attribution
            if self.places[quote][1] <= start:
                before += self.text[at : self.places[quote][0]]
                at = self.places[quote][1]
        before += self.text[at:start]
        return _says(_without_attribution(before)) != _says(self.text[end:])


def _without_attribution(text: str) -> str:
    text = text.rstrip()
    return text.rpartition("\n")[0] if text.endswith(":") else text


def _says(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _wrap(parent: Element, run: list[Element]) -> None:
    folded = Element(FOLD)
    at = list(parent).index(run[0])
    folded.tail, run[-1].tail = run[-1].tail, None
    folded.extend(run)
    parent[at : at + len(run)] = [folded]
