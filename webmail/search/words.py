"""Text -> the terms that it is found by, the same for what is kept and for what is asked, in every script.

A term is a word as a person would type it without care: small letters, no accents (``Søppel`` is ``soppel``). Scripts that
put no space between words are cut into pairs of letters that follow one another, so that any part of a text is found."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache

MAX_TERM = 40  # letters; what is longer is found by its beginning
# Letters that Unicode takes for letters of their own, and people without them on the keyboard do not.
_PLAIN = str.maketrans(
    dict(zip("øđðłıħŧŋĸ", "oddlihtnk", strict=True)) | {"æ": "ae", "œ": "oe", "þ": "th", "\u0640": None}
)
# Accents and points that are left out in writing, and often are: Latin, Greek, Cyrillic; Hebrew; Arabic, Syriac. In other
# scripts a mark is as much as a letter. And what only tells where a word may be broken, or how letters are joined.
_LEFT_OUT = (
    "\u00ad\u200b-\u200d\u2060\ufeff"
    "\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0711"
    "\u0730-\u074a"
)
_MARKS = re.compile(f"[{_LEFT_OUT}]")
# Without spaces: Thai, Lao, Myanmar, Khmer; kana, ideographs; and Hangul, where a word and its endings are written as one.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_INDIC = (range(0x0900, 0x0E00), range(0x0F00, 0x1000), range(0x1A00, 0x1C00), range(0xA800, 0xAB00))
_SIGNS = "".join(chr(code) for some in _INDIC for code in some if unicodedata.category(chr(code)) in ("Mn", "Mc"))
_PICTURES = "\u2600-\u27bf\U0001f300-\U0001faff"  # each a word
_WORD = re.compile(rf"[{_UNSPACED}]+|[{_PICTURES}]|(?:(?![_{_UNSPACED}])[\w{_SIGNS}])+")
_SEEN = re.compile(
    rf"[{_UNSPACED}]+|[{_PICTURES}]|(?:(?![_{_UNSPACED}])[\w{_SIGNS}{_LEFT_OUT}])+"
)  # before it is folded
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_OFTEN = "åøæÅØÆäöüÄÖÜßéèêàáíóúñç“”„’–—…«»•€\u00a0"
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_ASCII_WORD = re.compile(r"[a-z0-9]+")


def fold(text: str) -> str:
    """Without regard to case, accents and width. Its length may differ; signs between words may be others."""
    if text.isascii():
        return text.lower()
    latin = _in_latin(text)
    return latin.lower() if latin.isascii() else _folded(text)


def _folded(text: str) -> str:
    apart = _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", apart.casefold()).translate(_PLAIN)


def _in_latin(text: str) -> str:
    """Letter by letter, as far as that goes; for most texts of Europe those that are often met are all."""
    for letter in _OFTEN:
        text = text.replace(letter, _latin()[ord(letter)] or "")
    return text if text.isascii() else _BEYOND_ASCII.sub(lambda match: match[0].translate(_latin()), text)


@cache
def _latin() -> dict[int, str | None]:
    """What becomes of letters and signs one by one, which is ten times as fast for texts that have no others."""
    table: dict[int, str | None] = {}
    for code in range(0x80, 0x3000):
        letter = chr(code)
        folded = _folded(letter)
        if _MARKS.fullmatch(letter):
            table[code] = None
        elif folded.isascii():
            table[code] = folded
        elif not _WORD.search(folded) and unicodedata.category(letter)[0] in "PZS":
            table[code] = " "
    return table


def places(text: str, pattern: re.Pattern[str], begins: Sequence[str]) -> Iterator[tuple[int, int]] | None:
    """Where a pattern of plain small letters is in a text as it would be without accents; None if that has others still.
    ``begins``: with one of these, which are found in a text much faster."""
    latin = text if text.isascii() else _in_latin(text)
    if not latin.isascii():
        return None
    latin = latin.lower()
    first = min((at for at in map(latin.find, begins) if at >= 0), default=len(latin))
    if text.isascii():
        return (match.span() for match in pattern.finditer(latin, first))
    return _placed(text, pattern.finditer(latin, first))


def _placed(text: str, matches: Iterator[re.Match[str]]) -> Iterator[tuple[int, int]]:
    grown: list[tuple[int, int]] = []
    read = 0  # letters of the text
    for match in matches:
        if read < match.end():
            read = match.end()
            while read < len(text) and len(_in_latin(text[:read])) < match.end():  # some vanish
                read *= 2
            grown = _grown(text[:read])
        yield _before(match.start(), grown), _before(match.end() - 1, grown) + 1


def _grown(text: str) -> list[tuple[int, int]]:
    """Where letters are more without their accents, and by how many; or are none."""
    return [(match.start(), len(_latin()[ord(match[0])] or "") - 1) for match in _growing().finditer(text)]


def _before(at: int, grown: Sequence[tuple[int, int]]) -> int:
    """Where the letter is that this one was made of; ``grown``: at which letters, by how many more."""
    for place, more in grown:
        if at < place + (more > 0):
            break
        at = max(at - more, place)
    return at


@cache
def _growing() -> re.Pattern[str]:
    return re.compile(
        "[" + "".join(re.escape(chr(code)) for code, made in _latin().items() if len(made or "") != 1) + "]"
    )


def terms(text: str) -> list[str]:
    """In their order; what a text is kept by."""
    folded = fold(text)
    if folded.isascii():
        return [word[:MAX_TERM] for word in _ASCII_WORD.findall(folded)]
    return [term for word in _WORD.findall(folded) for term in _kept(word)]


def wanted(text: str) -> list[str]:
    """In their order; what a text has to be kept by to hold this: a run of a script without spaces may go on there."""
    found = list(_words(text))
    return [term for word in found[:-1] for term in _kept(word)] + [
        term for word in found[-1:] for term in _asked(word)
    ]


def begins_alone(term: str) -> bool:
    """One letter of a script without spaces: it is found as the beginning of a pair."""
    return len(term) == 1 and _IS_UNSPACED.match(term) is not None


def spans(text: str) -> Iterator[tuple[int, int, str]]:
    """Where each word of a text stands, and what it is folded."""
    for match in _SEEN.finditer(text):
        yield match.start(), match.end(), fold(match[0])


def holds(terms: Sequence[str], sequence: Sequence[str], prefix: bool = False) -> bool:
    """These terms stand in it one after the other; the last at least as a beginning."""
    joined = f" {' '.join(terms)} "
    return f" {' '.join(sequence)}" + ("" if prefix else " ") in joined


def _words(text: str) -> Iterable[str]:
    folded = fold(text)
    return (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)


def _kept(word: str) -> Iterable[str]:
    if word.isascii() or not _IS_UNSPACED.match(word):
        return (word[:MAX_TERM],)
    return _pairs(word)


@lru_cache(4096)
def _pairs(word: str) -> tuple[str, ...]:
    """Each letter with the one after it; the last by itself."""
    return tuple(word[at : at + 2] for at in range(len(word)))


def _asked(word: str) -> Iterable[str]:
    kept = tuple(_kept(word))
    return kept[:-1] if len(kept) > 1 else kept
