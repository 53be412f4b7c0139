"""What is in a winmail.dat: the text and the files that Outlook packs as TNEF ([MS-OXTNEF], properties as in [MS-OXCDATA]).

A stream of attributes, each with its length. Files are told as slices of the stream, so that memory is flat however large
they are; only short values and the text are read. Each length is checked against what there is, so no loop can be made
that reads on without getting on. Nothing raises but what reading the stream does."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from webmail.mime.charsets import codec
from webmail.mime.rtf import MAX_RTF, decompressed

MAX_STEPS = 20_000  # attributes and values of properties that are looked at in one stream
MAX_STRING = 8 * 1024  # octets of a name
MAX_DEPTH = 4  # messages within messages
_SIGNATURE = 0x223E9F78
_FIXED = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_STRING8, _UNICODE, _OBJECT, _BINARY = 0x1E, 0x1F, 0x0D, 0x102

# Attributes (§2.1.3.2) by the lower half of their id; the upper tells the form, which is known.
_BODY, _FILE_BEGINS, _FILE_NAME, _FILE_DATA = 0x800C, 0x9002, 0x8010, 0x800F
_CODEPAGE, _MESSAGE_PROPERTIES, _FILE_PROPERTIES = 0x9007, 0x9003, 0x9005
# Properties, from [MS-OXPROPS].
_PR_BODY, _PR_RTF, _PR_HTML, _PR_CPID, _PR_NAME = 0x1000, 0x1009, 0x1013, 0x3FDE, 0x3001
_PR_DATA, _PR_SHORT_NAME, _PR_LONG_NAME, _PR_TYPE, _PR_CID = 0x3701, 0x3704, 0x3707, 0x370E, 0x3712
_MESSAGE_OBJECT = bytes.fromhex("0703020000000000c000000000000046")  # IID_IMessage: what follows is TNEF again


@dataclass(slots=True)
class Item:
    """A file, or the text (``is_body``): ``size`` octets at ``start``, or ``octets`` where it had to be unpacked."""

    name: str = ""
    type: str = ""
    cid: str = ""
    charset: str = ""
    start: int = 0
    size: int = 0
    octets: bytes | None = None
    is_body: bool = False


@dataclass(frozen=True, slots=True)
class _Property:
    id: int
    type: int
    start: int
    size: int


def items(raw: BinaryIO) -> list[Item]:
    """The text first, if there is one, then the files, in order; of messages within, their texts are files. Empty if
    it is no TNEF. At most MAX_STEPS attributes and values are looked at."""
    raw.seek(0, 2)
    return list(_Reader(raw).read(0, raw.tell(), 0))


class _Reader:
    def __init__(self, raw: BinaryIO) -> None:
        self.raw = raw
        self.left = MAX_STEPS
        self.charset = "windows-1252"
        self.unpacked = False  # one text is unpacked, because that is slow

    def octets(self, start: int, size: int, most: int = MAX_STRING) -> bytes:
        self.raw.seek(start)
        return self.raw.read(max(0, min(size, most)))

    def number(self, at: int) -> int:
        return int.from_bytes(self.octets(at, 4), "little")

    def read(self, start: int, end: int, depth: int) -> Iterator[Item]:
        if self.number(start) != _SIGNATURE or depth > MAX_DEPTH:
            return
        bodies: list[Item] = []
        files: list[Item] = []
        within: list[tuple[int, int]] = []
        for attribute, at, size in self._attributes(start + 6, end):
            if attribute == _CODEPAGE:
                self.charset = _charset(self.number(at)) or self.charset
            elif attribute == _BODY and size > 1:
                bodies.append(Item("", "text/plain", "", self.charset, at, size, None, True))
            elif attribute == _MESSAGE_PROPERTIES:
                bodies.extend(self._texts(at, at + size))
            elif attribute == _FILE_BEGINS:
                files.append(Item())
            elif not files:
                continue
            elif attribute == _FILE_NAME:
                files[-1].name = files[-1].name or self._text(at, size)
            elif attribute == _FILE_DATA:
                files[-1].start, files[-1].size = at, size
            elif attribute == _FILE_PROPERTIES:
                within.extend(self._describe(files[-1], at, at + size))
        yield from sorted(bodies, key=_rank)[:1]
        yield from (file for file in files if file.size)
        for begin, stop in within:
            yield from self._within(begin, stop, depth)

    def _within(self, start: int, end: int, depth: int) -> Iterator[Item]:
        """A message that is attached: its text as a file, and its files."""
        for item in self.read(start, end, depth + 1):
            if item.is_body:
                item.is_body, item.name = False, "message" + (".html" if item.type == "text/html" else ".txt")
            yield item

    def _attributes(self, at: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(lower half of the id, where its data is, its size). Level, id, length, data, checksum (§2.1.3.1)."""
        while at + 11 <= end and self.left > 0:
            self.left -= 1
            level, attribute, size = struct.unpack("<BII", self.octets(at, 9))
            if level not in (1, 2):
                return
            at += 9
            yield attribute & 0xFFFF, at, min(size, end - at)
            at += size + 2

    def _texts(self, at: int, end: int) -> Iterator[Item]:
        cpid = self.charset
        for found in self._properties(at, end):
            if found.id == _PR_CPID and found.type == 3:
                cpid = _charset(self.number(found.start)) or cpid
            elif found.id == _PR_HTML and found.size:
                charset = "utf-16le" if found.type == _UNICODE else ""
                yield Item("", "text/html", "", charset or cpid, found.start, found.size, None, True)
            elif found.id == _PR_BODY and found.size > 2:
                charset = "utf-16le" if found.type == _UNICODE else self.charset
                yield Item("", "text/plain", "", charset, found.start, found.size, None, True)
            elif found.id == _PR_RTF and not self.unpacked:
                self.unpacked = True
                if text := decompressed(self.octets(found.start, found.size, MAX_RTF)):
                    yield Item("", text.type, "", "utf-8", 0, len(text.octets), text.octets, True)

    def _describe(self, file: Item, at: int, end: int) -> Iterator[tuple[int, int]]:
        """What a file's properties say of it; yields where a message within it is."""
        for found in self._properties(at, end):
            if found.id == _PR_LONG_NAME or (found.id in (_PR_SHORT_NAME, _PR_NAME) and not file.name):
                file.name = self._string(found) or file.name
            elif found.id == _PR_TYPE:
                file.type = self._string(found)
            elif found.id == _PR_CID:
                file.cid = self._string(found)
            elif found.id == _PR_DATA and found.type == _OBJECT:
                if self.octets(found.start, 16) == _MESSAGE_OBJECT:
                    yield found.start + 16, found.start + found.size
                elif found.size > 16 and not file.size:
                    file.start, file.size = found.start + 16, found.size - 16
            elif found.id == _PR_DATA and not file.size:
                file.start, file.size = found.start, found.size

    def _properties(self, at: int, end: int) -> Iterator[_Property]:
        """§2.1.3.4: a count, then properties; those of many values are passed over."""
        count, at = self.number(at), at + 4
        while count and at + 4 <= end and self.left > 0:
            count -= 1
            self.left -= 1
            kind, name = struct.unpack("<HH", self.octets(at, 4))
            at += 4
            if name >= 0x8000:
                at = self._after_name(at)
            values = 1
            if kind & 0x1000 or kind in (_STRING8, _UNICODE, _OBJECT, _BINARY):
                values, at = self.number(at), at + 4
            many, kind = bool(kind & 0x1000), kind & 0x0FFF
            while values and at < end and self.left > 0:
                values -= 1
                self.left -= 1
                size = _FIXED.get(kind)
                if size is None:
                    if kind not in (_STRING8, _UNICODE, _OBJECT, _BINARY):
                        return  # of a type unknown the length is, too
                    size, at = self.number(at), at + 4
                if not many:
                    yield _Property(name, kind, at, max(0, min(size, end - at)))
                at += size + -size % 4

    def _after_name(self, at: int) -> int:
        """A named property: GUID, kind, then a number or a padded name."""
        if self.number(at + 16) == 0:
            return at + 24
        size = self.number(at + 20)
        return at + 24 + size + -size % 4

    def _string(self, found: _Property) -> str:
        if found.type == _UNICODE:
            return self.octets(found.start, found.size).decode("utf-16-le", "replace").partition("\0")[0]
        return self._text(found.start, found.size)

    def _text(self, start: int, size: int) -> str:
        return self.octets(start, size).partition(b"\0")[0].decode(codec(self.charset) or "cp1252", "replace")


_CODEPAGES = {65001: "utf-8", 1200: "utf-16le", 20866: "koi8-r", 21866: "koi8-u", 50220: "iso-2022-jp", 51932: "euc-jp",
              51949: "euc-kr", 54936: "gb18030", 20936: "gbk"}  # fmt: skip


def _charset(codepage: int) -> str:
    """Of a number of Windows, or ""."""
    names = (_CODEPAGES.get(codepage, ""), f"windows-{codepage}", f"iso-8859-{codepage - 28590}", f"cp{codepage}")
    return next((name for name in names if name and codec(name)), "")


def _rank(body: Item) -> int:
    """HTML says the most, then what came out of RTF, then plain text."""
    return 0 if body.type == "text/html" and body.octets is None else 1 if body.octets is not None else 2
