"""Whether a PDF (ISO 32000-2) does nothing when it is opened but show its pages.

Viewers repair what is broken, each in a way of its own, so no parser of ours would agree with all of them on where an object
is. Therefore none is here: all octets are looked at as if any of them could be an object, and whatever could act, or hide
something that acts, settles it. Names are looked for as viewers read them, with their escapes undone in each way there is.

What can be hidden from such a look is what is compressed. Objects come out of a stream only if its dictionary says
``First`` (§7.5.7; not all viewers ask for its ``Type``), so each such dictionary has to be written in the plainest way, and
is inflated and looked at. Page contents, fonts and pictures hold no objects and stay as they are."""

from __future__ import annotations

import math
import re
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence

MAX_OCTETS = 20_000_000  # of a file that is looked at
_MOST_STREAMS = 20_000
_MOST_ESCAPED = 100_000  # names
_AT_ONCE = 16_384  # octets that are inflated
MAX_INFLATED = 64_000_000  # octets of all object streams of one file

# Act, or fetch, or are locked or shown by something else than the pages; and the keys of what acts.
_BANNED = [
    "JavaScript",
    "JS",
    "AA",
    "Launch",
    "SubmitForm",
    "ImportData",
    "ResetForm",
    "GoToR",
    "GoToE",
    "GoTo3DView",
    "Thread",
    "XFA",
    "RichMedia",
    "RichMediaExecute",
    "Rendition",
    "Movie",
    "Sound",
    "Screen",
    "Encrypt",
    "Collection",
]
_TELLING = ("OpenAction", "ObjStm", "First")  # looked at more closely; nobody has a reason to write them with escapes
_S = rb"[\x00\t\n\f\r ]"
_ENDS = rb"(?=[\x00\t-\r \x80\xff()<>\[\]{}/%]|\Z)"  # Chromium's takes 80 and FF for spaces, too
_BANNED_NAME = re.compile(rb"/(?:%s)%s" % ("|".join(_BANNED).encode(), _ENDS))
_ESCAPED_NAME = re.compile(rb"/([^\x00\t-\r \x80\xff()<>\[\]{}/%#]*#[^\x00\t-\r \x80\xff()<>\[\]{}/%]*)")
_HEX = re.compile(rb"#([0-9A-Fa-f]{2})")
_ANY_HEX = re.compile(rb"#(..)", re.DOTALL)
_REFUSED_ESCAPED = {name.encode() for name in (*_BANNED, *_TELLING)}

_REFERENCE = re.compile(rb"%s*([0-9]{1,9})%s+[0-9]{1,5}%s+R%s" % (_S, _S, _S, _ENDS))
_ARRAY = re.compile(rb"%s*\[" % _S)
_DICTIONARY = re.compile(rb"%s*<<" % _S)
# §12.6.4.2: nothing but leading to a place in the same file, and nothing Next.
_PLACE = rb"\[[^\[\]<>()%%]*\]|\([^()\\]*\)|<[0-9A-Fa-f]*>|/[A-Za-z0-9_.-]+|[0-9]{1,9} [0-9]{1,5} R"
_GO_TO = re.compile(
    rb"%(s)s*<<(?:%(s)s*/Type%(s)s*/Action|%(s)s*/S%(s)s*/GoTo|%(s)s*/D%(s)s*(?:%(place)s))+%(s)s*>>"
    % {b"s": _S, b"place": _PLACE}
)
_OPEN_ACTION = re.compile(rb"/OpenAction" + _ENDS)
_FIRST = re.compile(rb"/First" + _ENDS)
_OBJ_STM = re.compile(rb"/ObjStm")
_OBJECT_STREAM = re.compile(
    rb"obj%(s)s*<<((?:%(s)s*/(?:Type%(s)s*/ObjStm|Filter%(s)s*/FlateDecode|N%(s)s+[0-9]{1,7}|First%(s)s+[0-9]{1,8}"
    rb"|Length%(s)s+[0-9]{1,9}(?:%(s)s+[0-9]{1,5}%(s)s+R)?|Extends%(s)s+[0-9]{1,9}%(s)s+[0-9]{1,5}%(s)s+R))*)%(s)s*>>"
    rb"%(s)s*stream\r?\n" % {b"s": _S}
)
_KEY = re.compile(rb"/(Type|Filter|N|First|Length|Extends)%s+([0-9]+)|/(Type|Filter)%s*/" % (_S, _S))
_OBJ = re.compile(rb"obj(?<![A-Za-z]obj)(?![A-Za-z])")
_DEFINED = re.compile(rb"(?<![^\x00\t\n\f\r <>()\[\]{}/%%])([0-9]{1,9})%s+[0-9]{1,5}%s+obj\Z" % (_S, _S))
_STREAM_WITHIN = re.compile(rb"stream(?<![A-Za-z]stream)(?![A-Za-z])")
_NUMBER = re.compile(rb"(?:%s|%%)*[0-9+.-]" % _S)


class _Unclear(Exception):
    """It cannot be told what a viewer would make of it."""


def is_still(octets: bytes) -> bool:
    """Whether it is certain that opening this PDF does nothing but show pages: it runs, asks for and leads to nothing. False
    as well for one that is locked, over MAX_OCTETS, or written in a way that leaves it open."""
    if len(octets) > MAX_OCTETS or not octets.startswith(b"%PDF-"):
        return False
    try:
        _check(octets)
    except _Unclear:
        return False
    return True


def _check(octets: bytes) -> None:
    """Raises _Unclear."""
    _check_names(octets)
    packed, plain = _object_streams(octets)
    texts = [octets, *(text for text, _first, _count in packed)]
    for text in texts[1:]:
        _check_names(text)
        if _OBJ_STM.search(text) or _STREAM_WITHIN.search(text):
            raise _Unclear
    objects = [pair for text, first, count in packed for pair in _within(text, first, count)]
    opened, firsts = _opened(texts), _firsts(texts, plain)
    if not opened and not firsts:
        return
    defined = _defined(octets, opened | firsts)
    for number, text in objects:
        defined.setdefault(number, []).append(text)
    if not opened <= defined.keys():
        raise _Unclear
    if any(not _GO_TO.match(text) and not _ARRAY.match(text) for number in opened for text in defined.get(number, ())):
        raise _Unclear
    # A First that is a number elsewhere would be that of an object stream which is not known for one. Not all viewers look
    # whether the number of an object within an object stream is the one that they came for.
    if any(not _DICTIONARY.match(text) for number in firsts for text in defined.get(number, ())) or (
        firsts and any(_NUMBER.match(text) for _number, text in objects)
    ):
        raise _Unclear
    if opened and all(any(name in text for text in texts) for name in (b"/Named", b"/Print")):
        raise _Unclear


def _check_names(text: bytes) -> None:
    if _BANNED_NAME.search(text):
        raise _Unclear
    for number, match in enumerate(_ESCAPED_NAME.finditer(text)):
        name = match[1]
        if number >= _MOST_ESCAPED:
            raise _Unclear
        if _standard(name) in _REFUSED_ESCAPED or _lenient(name) in _REFUSED_ESCAPED:
            raise _Unclear


def _standard(name: bytes) -> bytes:
    """§7.3.5."""
    return _HEX.sub(lambda match: bytes([int(match[1], 16)]), name)


def _lenient(name: bytes) -> bytes:
    """As a viewer reads it that computes with whatever is behind the sign as if it were hexadecimal digits."""
    return _ANY_HEX.sub(lambda match: bytes([(_digit(match[1][0]) * 16 + _digit(match[1][1])) & 0xFF]), name)


def _digit(octet: int) -> int:
    upper = octet - 32 if 97 <= octet <= 122 else octet
    return upper - 55 if upper > 57 else upper - 48


def _object_streams(octets: bytes) -> tuple[list[tuple[bytes, int, int]], list[tuple[int, int]]]:
    """What is in them, with the First and the N of each; and where their dictionaries are."""
    found: list[tuple[bytes, int, int]] = []
    plain: list[tuple[int, int]] = []
    left = MAX_INFLATED
    for match in _OBJECT_STREAM.finditer(octets):
        keys = [(one[1] or one[3], int(one[2] or 0)) for one in _KEY.finditer(match[1])]
        values = dict(keys)
        if len(values) != len(keys) or not {b"Type", b"Filter", b"N", b"First"} <= values.keys():
            continue  # then its names stand in no plain dictionary
        if len(found) >= _MOST_STREAMS:
            raise _Unclear
        text = _inflated(octets, match.end(), left)
        left -= len(text)
        found.append((text, values[b"First"], values[b"N"]))
        plain.append(match.span())
    if any(not _is_in(match.start(), plain) for match in _OBJ_STM.finditer(octets)):
        raise _Unclear
    return found, plain


def _inflated(octets: bytes, at: int, most: int) -> bytes:
    """The zlib stream (RFC 1950) that begins there; one that viewers could read on in spite of an error is unclear."""
    inflate, text = zlib.decompressobj(), bytearray()
    try:
        while not inflate.eof and at < len(octets) and len(text) <= most:
            chunk = octets[at : at + _AT_ONCE]
            text += inflate.decompress(inflate.unconsumed_tail + chunk, most + 1 - len(text))
            at += len(chunk)
    except zlib.error as error:
        raise _Unclear from error
    if len(text) > most or not inflate.eof:
        raise _Unclear
    return bytes(text)


def _is_in(at: int, spans: Sequence[tuple[float, float]]) -> bool:
    place = bisect_right(spans, (at, math.inf)) - 1  # they follow one another
    return place >= 0 and at < spans[place][1]


def _within(text: bytes, first: int, count: int) -> Iterator[tuple[int, bytes]]:
    """The objects of an object stream, each from its beginning on."""
    header = text[:first].split()
    if first > len(text) or len(header) != 2 * count or not all(one.isdigit() and len(one) < 10 for one in header):
        raise _Unclear
    for number, offset in zip(header[::2], header[1::2], strict=True):
        yield int(number), text[first + int(offset) : first + int(offset) + 2000]


def _opened(texts: list[bytes]) -> set[int]:
    """The objects that are done at once when it is opened; what else is done may only lead to a place within it."""
    numbers = set()
    for text in texts:
        for match in _OPEN_ACTION.finditer(text):
            if reference := _REFERENCE.match(text, match.end()):
                numbers.add(int(reference[1]))
            elif not _ARRAY.match(text, match.end()) and not _GO_TO.match(text, match.end()):
                raise _Unclear
    return numbers


def _firsts(texts: list[bytes], plain: list[tuple[int, int]]) -> set[int]:
    """The objects that a First refers to, as in outlines (§12.3.3)."""
    numbers = set()
    for text in texts:
        for match in _FIRST.finditer(text):
            if reference := _REFERENCE.match(text, match.end()):
                numbers.add(int(reference[1]))
            elif text is not texts[0] or not _is_in(match.start(), plain):
                raise _Unclear
    return numbers


def _defined(octets: bytes, wanted: set[int]) -> dict[int, list[bytes]]:
    """What stands in the file as the object of each of these numbers, in any of its versions."""
    found: dict[int, list[bytes]] = {}
    for match in _OBJ.finditer(octets):
        start = _DEFINED.search(octets, max(0, match.start() - 40), match.end())
        if start is None:
            raise _Unclear
        if int(start[1]) in wanted:
            found.setdefault(int(start[1]), []).append(octets[match.end() : match.end() + 2000])
    return found
