"""Between tidy and html5lib's tree: the tokens of HTML that tidy or css-inline wrote.

html5lib reads one character at a time, which is most of the time that cleaning takes. What tidy writes is of a narrow
form, read here by one regular expression: tags of known names, attributes in double quotes, text. Each token is the one
that bleach's own tokenizer makes (a test compares them); HTML of any other form is left to it, as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from bleach._vendor.html5lib.treebuilders.base import TreeBuilder
from bleach.html5lib_shim import BleachHTMLParser

from webmail.html.rules import TAGS

# HTML §13.2.5: at most one of each group matches where the last token ended, or the form is another one.
_TOKEN = re.compile(
    r"""<([a-z][a-z0-9]*)((?:[ ][a-z]+="[^"]*+")*+)>"""
    r"""|</([a-z][a-z0-9]*)>"""
    r"""|([ \t\n\f]++)"""
    r"""|([^<&]++|&)"""
)
_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')
_CHARACTERS, _SPACE, _START, _END = 1, 2, 3, 4  # html5lib.constants.tokenTypes
Token = dict[str, Any]


class AnotherFormError(Exception):
    """The HTML is not of the form that tidy writes."""


def tokens_of(html: str) -> Iterator[Token]:
    """Raises AnotherFormError where the form ends. Tags that are written alike are one and the same token."""
    if "\r" in html or "\0" in html:
        raise AnotherFormError
    known: dict[str, Token] = {}
    at = 0
    for match in _TOKEN.finditer(html):
        if match.start() != at:
            raise AnotherFormError
        at = match.end()
        if match[5]:
            yield {"type": _CHARACTERS, "data": match[5]}
        elif match[4]:
            yield {"type": _SPACE, "data": match[4]}
        else:
            token = known.get(match[0])
            if token is None:
                token = known[match[0]] = _tag(match)
            yield token
    if at != len(html):
        raise AnotherFormError


def _tag(match: re.Match[str]) -> Token:
    name, attributes, end = match[1], match[2], match[3]
    if end:
        token: Token = {"type": _END, "name": end, "data": [], "selfClosing": False}
    else:
        pairs = _ATTRIBUTE.findall(attributes)
        data = dict(pairs)
        if len(data) != len(pairs):
            raise AnotherFormError
        token = {"type": _START, "name": name, "data": data, "selfClosing": False, "selfClosingAcknowledged": False}
    if token["name"] not in TAGS:
        raise AnotherFormError
    return token


class Parser(BleachHTMLParser):
    """bleach's, with the tokens from here where they can be."""

    def __init__(self) -> None:
        super().__init__(TAGS, strip=True, consume_entities=False, namespaceHTMLElements=False)

    def _parse(
        self, stream: str, innerHTML: bool = False, container: str = "div", scripting: bool = True, **more: Any
    ) -> None:
        try:
            self.innerHTMLMode, self.container, self.scripting = innerHTML, container, scripting
            self.tokenizer = tokens_of(stream)
            self.reset()
            self._read(self.tokenizer)
        except AnotherFormError:
            super()._parse(stream, innerHTML, container, scripting, **more)

    def _read(self, tokens: Iterator[Token]) -> None:
        """html5lib's main loop, for tokens of HTML alone: no foreign element is open at any time (HTML §13.2.6)."""
        for token in tokens:
            again: Token | None = token
            while again is not None:
                kind = again["type"]
                if kind == _START:
                    again = self.phase.processStartTag(again)
                elif kind == _END:
                    again = self.phase.processEndTag(again)
                elif kind == _SPACE:
                    again = self.phase.processSpaceCharacters(again)
                else:
                    again = self.phase.processCharacters(again)
        while self.phase.processEOF():
            pass

    def fragment(self, html: str) -> Element:
        """The root of html5lib's tree. The nodes that html5lib builds it with refer to each other both ways and would
        wait for the garbage collector, which costs as much as parsing did."""
        self._parse(html, innerHTML=True)
        top = TreeBuilder.getFragment(self.tree)
        nodes = [top, *self.tree.openElements]
        for node in nodes:
            nodes.extend(node._childNodes)
            node.parent, node._childNodes = None, []  # the setter would empty the tree itself
        self.tree.reset()
        return top._element

    def parseError(self, *_: Any) -> None:
        """Nobody reads the list of errors, and a list of tokens has no position to name in it."""
