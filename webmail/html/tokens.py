"""Between tidy and html5lib's tree: the tokens of HTML that tidy or css-inline wrote.

html5lib reads one character at a time, which is most of the time that cleaning takes. What tidy writes is of a narrow
form, read here by one regular expression: tags of known names, attributes in double quotes, text. Each token is the one
that bleach's own tokenizer makes (a test compares them); HTML of any other form is left to it, as a whole."""

from __future__ import annotations

import re
from typing import Any

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


def tokens_of(html: str) -> list[Token] | None:
    """None if ``html`` is not of the form that tidy writes."""
    if "\r" in html or "\0" in html:
        return None
    found: list[Token] = []
    at = 0
    for match in _TOKEN.finditer(html):
        if match.start() != at:
            return None
        at = match.end()
        start, attributes, end, space, text = match.groups()
        if start:
            pairs = _ATTRIBUTE.findall(attributes)
            data = dict(pairs)
            if start not in TAGS or len(data) != len(pairs):
                return None
            found.append(
                {"type": _START, "name": start, "data": data, "selfClosing": False, "selfClosingAcknowledged": False}
            )
        elif end:
            if end not in TAGS:
                return None
            found.append({"type": _END, "name": end, "data": [], "selfClosing": False})
        else:
            found.append({"type": _SPACE, "data": space} if space else {"type": _CHARACTERS, "data": text})
    return found if at == len(html) else None


class Parser(BleachHTMLParser):
    """bleach's, with the tokens from here where they can be."""

    def _parse(
        self, stream: str, innerHTML: bool = False, container: str = "div", scripting: bool = True, **more: Any
    ) -> None:
        tokens = tokens_of(stream)
        if tokens is None:
            super()._parse(stream, innerHTML, container, scripting, **more)
            return
        self.innerHTMLMode, self.container, self.scripting = innerHTML, container, scripting
        self.tokenizer = tokens
        self.reset()
        self.mainLoop()

    def parseError(self, *_: Any) -> None:
        """Nobody reads the list of errors, and a list of tokens has no position to name in it."""
