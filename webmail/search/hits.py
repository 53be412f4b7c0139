"""Where in a text that was found the words are that were searched for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from webmail.search.conditions import is_beginning
from webmail.search.language import Words
from webmail.search.words import fold, places, spans, wanted

LOOKED_AT = 16_000  # letters of a text, for the first hit
BEFORE, LONG = 30, 220  # letters of an excerpt before its first hit, and in all
SHORT = 500  # letters
_NONE = re.compile("(?!)")
_BLANK = re.compile(r"\s+")


class Piece(NamedTuple):
    text: str
    hit: bool = False


def sought(words: Sequence[Words], *fields: str) -> list[dict[str, Any]]:
    """What a page has to look for in a text that it shows: ``terms`` that follow one another, as JSON; the last may go on if it
    ``begins`` a word."""
    found = []
    for one in words:
        terms = [term for _start, _end, term in spans(one.text)]
        if terms and one.field in ("", *fields):
            found.append({"terms": terms, "begins": is_beginning(one, terms[-1])})
    return found


class Hits:
    """Of some words, in any of the fields named; "" are those that are looked for everywhere."""

    def __init__(self, words: Sequence[Words], *fields: str) -> None:
        here = [(one, wanted(one.text)) for one in words if one.field in ("", *fields)]
        self._whole = {term for _one, terms in here for term in terms}
        self._begin = tuple(terms[-1] for one, terms in here if terms and is_beginning(one, terms[-1]))
        self._within = tuple(fold(one.text) for one, terms in here if len(terms) > 1)
        self._ascii = [term for term in self._whole if term.isascii()]
        plain = [re.escape(term) for term in self._ascii]
        begin = [re.escape(term) + "[a-z0-9]*" for term in self._begin if term.isascii()]
        self._known: dict[str, list[tuple[int, int]]] = {}
        self._plain = re.compile(rf"(?<![a-z0-9])(?:{'|'.join([*begin, *plain])})(?![a-z0-9])") if plain else None

    def __bool__(self) -> bool:
        return bool(self._whole)

    def pieces(self, text: str) -> list[Piece]:
        """All of the text, in pieces."""
        found, last = [], 0
        for start, end in self._places(text):
            if start > last:
                found.append(Piece(text[last:start]))
            found.append(Piece(text[start:end], True))
            last = end
        return [*found, Piece(text[last:])] if last < len(text) else found

    def excerpt(self, text: str) -> str:
        """The words around the first hit, or from the beginning if that is not far; "" if there is none."""
        text = text[:LOOKED_AT]
        start = next((place[0] for place in self._places(text)), None)
        if start is None:
            return ""
        begin = max(start - BEFORE, 0)
        if begin:
            begin = text.find(" ", begin, start) + 1 or start
        return ("… " if begin else "") + _BLANK.sub(" ", text[begin : begin + LONG]).strip()

    def are_in(self, text: str) -> bool:
        return next(self._places(text), None) is not None

    def _places(self, text: str) -> Iterator[tuple[int, int]]:
        """Of what is short they are kept: it is asked for whether it has any, and where they are."""
        if len(text) > SHORT:
            return self._look(text)
        if text not in self._known:
            self._known[text] = list(self._look(text))
        return iter(self._known[text])

    def _look(self, text: str) -> Iterator[tuple[int, int]]:
        quick = places(text, self._plain or _NONE, self._ascii)
        if quick is not None:
            yield from quick
            return
        for start, end, word in spans(text):
            if word in self._whole or word.startswith(self._begin or ("\0",)):
                yield start, end
            elif not word.isascii():
                yield from self._inside(word, start, end)

    def _inside(self, word: str, start: int, end: int) -> Iterator[tuple[int, int]]:
        """In a script without spaces a hit is a part of what stands together."""
        for part in (*self._within, *self._begin):
            at = word.find(part) if part and not part[0].isascii() else -1
            if at >= 0 and len(word) == end - start:
                yield start + at, start + at + len(part)
                return
