"""Whether a PDF does anything by itself when it is opened (ISO 32000-2).

No parser of ours would agree with that of a browser on every odd file, so none is asked. Instead the octets are searched
for the names without which no action, script or further file can be (§12.6), wherever they stand, in object streams
(§7.5.7) too; what cannot be searched for certain is not still.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

MAX_OCTETS = 20_000_000
MAX_INFLATED = 64_000_000  # octets of all object streams
_END = rb"(?![^\0\t\n\f\r ()<>\[\]{}/%])"  # of a name (§7.2.3)
# "S" is what an action is: always a name, and written where it stands. Encrypted object streams cannot be searched.
_ACTS = re.compile(
    rb"/(?:JavaScript|JS|Launch|SubmitForm|ImportData|ResetForm|GoToR|GoToE|Named|Rendition|RichMedia|RichMediaExecute"
    rb"|Movie|Sound|XFA|AA|Encrypt|Collection)"
    + _END
    + rb"|/S[\0\t\n\f\r ]*(?:%|\(|<(?!<)|\d+[\0\t\n\f\r ]+\d+[\0\t\n\f\r ]+R)"
)
_ESCAPE = re.compile(rb"#([0-9A-Fa-f]{2})")
_OBJECT_STREAM = re.compile(rb"/ObjStm" + _END)
# A dictionary without strings, comments, escapes and others within, right before its stream.
_PLAIN_STREAM = re.compile(rb"(?<![0-9])\d+\s+\d+\s+obj\s*<<([^<>()%#]*)>>\s*stream\r?\n")
_ENTRY = re.compile(rb"\s*/(Type|N|First|Length|Filter|Extends)\s*(/\w+|\[\s*/\w+\s*\]|\d+\s+\d+\s+R|\d+)(?=[\s/]|$)")
_FLATE = (b"/FlateDecode", b"[/FlateDecode]")
_ON_OPENING = re.compile(rb"/OpenAction" + _END + rb"[\0\t\n\f\r ]*")
_REFERENCE = re.compile(rb"(\d+)\s+(\d+)\s+R")
_GOES_WITHIN = re.compile(rb"\s*<<((?:[^<>()%]|<[0-9A-Fa-f\s]*>)*)>>")


class _Unsure(Exception):
    """It cannot be searched for certain."""


def is_still(octets: bytes) -> bool:
    """True only if it is certain that opening it shows pages and does nothing else."""
    if len(octets) > MAX_OCTETS:
        return False
    try:
        texts = [_unescaped(octets), *_object_streams(octets)]
    except _Unsure:
        return False
    if any(_ACTS.search(text) for text in texts):
        return False
    return all(_opens_at_a_page(text, match.end(), texts) for text in texts for match in _ON_OPENING.finditer(text))


def _unescaped(octets: bytes) -> bytes:
    """§7.3.5: any octet of a name may be written as # and two digits."""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), octets)


def _object_streams(octets: bytes) -> Iterator[bytes]:
    """What is in each, header and objects. Raises _Unsure."""
    left, found = MAX_INFLATED, 0
    for match in _PLAIN_STREAM.finditer(octets):
        if not _OBJECT_STREAM.search(match[1]):
            continue
        found += 1
        if not _is_packed(match[1]):
            continue  # its objects stand in the file as they are
        content = _inflated(memoryview(octets)[match.end() :], left)
        left -= len(content)
        text = _unescaped(content)
        if _OBJECT_STREAM.search(text):
            raise _Unsure
        yield text
    if found != len(_OBJECT_STREAM.findall(_unescaped(octets))):
        raise _Unsure  # there is one that is written in another way


def _is_packed(dictionary: bytes) -> bool:
    """Whether the objects are deflated (§7.4.4). Raises _Unsure if anything else may have been done to them."""
    entries: dict[bytes, bytes] = {}
    at = 0
    while match := _ENTRY.match(dictionary, at):
        if match[1] in entries:
            raise _Unsure
        entries[match[1]] = b"".join(match[2].split())
        at = match.end()
    if dictionary[at:].strip() or entries.get(b"Type") != b"/ObjStm":
        raise _Unsure
    packed = entries.get(b"Filter")
    if packed is not None and packed not in _FLATE:
        raise _Unsure
    return packed is not None


def _inflated(octets: memoryview, most: int) -> bytes:
    machine = zlib.decompressobj()
    try:
        content = machine.decompress(octets, most)
    except zlib.error as error:
        raise _Unsure from error
    if not machine.eof:  # too much of it, or cut off
        raise _Unsure
    return content


def _opens_at_a_page(text: bytes, at: int, texts: list[bytes]) -> bool:
    """§12.3.2: a destination, written here or elsewhere. Another action would do more than show a page of this file."""
    reference = _REFERENCE.match(text, at)
    if reference is None:
        return _is_destination(text, at)
    places = list(_definitions(int(reference[1]), texts))
    return bool(places) and all(_is_destination(where, place) for where, place in places)


def _is_destination(text: bytes, at: int) -> bool:
    if text[at : at + 1] == b"[":
        return True
    match = _GOES_WITHIN.match(text, at)
    return match is not None and b"/Next" not in match[1] and re.search(rb"/S\s*/GoTo" + _END, match[1]) is not None


def _definitions(number: int, texts: list[bytes]) -> Iterator[tuple[bytes, int]]:
    """Where an object may be defined: as an object of the file, and in any object stream. Each counts, as which of them a
    reader takes is told by tables that may be broken."""
    for match in re.finditer(rb"(?<![0-9])0*%d\s+\d+\s+obj\s*" % number, texts[0]):
        yield texts[0], match.end()
    for text in texts[1:]:
        header = re.match(rb"[\d\s]*", text)
        numbers = [int(one) for one in header[0].split()] if header else []
        for one, offset in zip(numbers[::2], numbers[1::2], strict=False):
            if one == number:
                yield from ((text, place) for place in _beginnings(text, header.end() if header else 0, offset))


def _beginnings(text: bytes, after_header: int, offset: int) -> Iterator[int]:
    """Offsets are counted from the first object, which is told outside; here, it is where the numbers of the header end,
    unless it begins with a number itself, in which case nothing of it is a destination."""
    place = after_header + offset
    while text[place : place + 1] in (b" ", b"\n", b"\r", b"\t"):
        place += 1
    yield place
