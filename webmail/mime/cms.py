"""The content of an opaque signature: SignedData of RFC 5652 §5 without a look at who signed. BER of ITU-T X.690, because
much is written in the indefinite form, and in a stream. Flat memory; nothing raises but what reading the stream does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

MAX_ELEMENTS = 200_000  # of one structure; the content of a large message comes in pieces of 1 kB
MAX_NESTED = 20
CHUNK = 256 * 1024
_SEQUENCE, _OID, _OCTETS, _OCTETS_IN_PIECES, _TAGGED_0, _END = 0x30, 0x06, 0x04, 0x24, 0xA0, 0x00
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")  # 1.2.840.113549.1.7.2


class _Broken(Exception):
    """No such structure, or past a bound."""


class _Reader:
    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.left = MAX_ELEMENTS
        raw.seek(0, 2)
        self.size = raw.tell()

    def octets(self, at: int, size: int) -> bytes:
        self.raw.seek(at)
        return self.raw.read(size)

    def element(self, at: int) -> tuple[int, int, int | None]:
        """(tag, where its content is, where that ends; None: at an end mark). §8.1"""
        self.left -= 1
        head = self.octets(at, 10)
        if len(head) < 2 or self.left <= 0 or head[0] & 0x1F == 0x1F:
            raise _Broken
        tag, length = head[0], head[1]
        if length == 0x80:
            return tag, at + 2, None
        more = length - 0x80 if length > 0x80 else 0
        if more > 8 or len(head) < 2 + more:
            raise _Broken
        size = int.from_bytes(head[2 : 2 + more], "big") if more else length
        start = at + 2 + more
        return tag, start, min(start + size, self.size)

    def within(self, at: int, tag: int) -> tuple[int, int | None]:
        """Where the content of the element at ``at`` is, which has to be a ``tag``."""
        found, start, end = self.element(at)
        if found != tag:
            raise _Broken
        return start, end

    def after(self, at: int, depth: int = 0) -> int:
        """Where the next element is."""
        _, start, end = self.element(at)
        if end is not None:
            return end
        if depth > MAX_NESTED:
            raise _Broken
        while self.octets(start, 2) != b"\0\0":
            start = self.after(start, depth + 1)
        return start + 2

    def pieces(self, at: int, depth: int = 0) -> Iterator[tuple[int, int]]:
        """Where the octets of an OCTET STRING are, from and to, whole or in pieces. §8.7"""
        tag, start, end = self.element(at)
        if tag == _OCTETS and end is not None:
            yield start, end
            return
        if tag != _OCTETS_IN_PIECES or depth > MAX_NESTED:
            raise _Broken
        while (start < end) if end is not None else (self.octets(start, 2) != b"\0\0"):
            yield from self.pieces(start, depth + 1)
            start = self.after(start)


def signed_content(raw: BinaryIO) -> Iterator[bytes]:
    """What was signed, in chunks of at most CHUNK: nothing if the stream is no SignedData or has its content elsewhere.
    At most MAX_ELEMENTS elements are read."""
    reader = _Reader(raw)
    try:
        for start, end in _slices(reader):
            while start < end and (chunk := reader.octets(start, min(CHUNK, end - start))):
                start += len(chunk)
                yield chunk
    except _Broken:
        return


def _slices(reader: _Reader) -> Iterator[tuple[int, int]]:
    at, _ = reader.within(0, _SEQUENCE)  # ContentInfo
    start, end = reader.within(at, _OID)
    if end is None or reader.octets(start, end - start) != _SIGNED_DATA:
        return
    at, _ = reader.within(end, _TAGGED_0)
    at, _ = reader.within(at, _SEQUENCE)  # SignedData: version, digestAlgorithms, encapContentInfo
    at = reader.after(reader.after(at))
    at, _ = reader.within(at, _SEQUENCE)
    at = reader.after(at)  # eContentType
    if reader.octets(at, 1) != bytes([_TAGGED_0]):
        return  # detached
    at, _ = reader.within(at, _TAGGED_0)
    yield from reader.pieces(at)
