"""The files that hang on a message, read from any place in them and in flat memory.

How a place is found without reading all that is before it:

    binary, 7bit, 8bit      it is the place itself
    base64                  lines of one length: it is computed, and each line that is read is checked
    anything else           the file is decoded onto the disk first (quoted-printable, uuencode, what is inside of a part)
"""

from __future__ import annotations

import binascii
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from django.utils.translation import gettext as _

from webmail import bodies, mime
from webmail.mime import kinds
from webmail.models import Message
from webmail.protocols.base import CHUNK, MailStore
from webmail.protocols.errors import NotFound, ProtocolError, TooLarge

HEAD = 6 * 1024  # encoded octets of the beginning; as many as are needed for kinds.LOOK decoded ones
TAIL = 1024  # encoded octets of the end that are looked at, to know where it is
IN_MEMORY = 1024 * 1024  # octets of a file decoded onto the disk
MOST_ON_DISK = 512 * 1024 * 1024
_DECODED = ("base64", "quoted-printable", "x-uuencode", "x-yenc")


class Irregular(ProtocolError):
    """The lines of a base64 text are not all as the first and the last said: it can only be read from its beginning."""


@dataclass(frozen=True, slots=True)
class Lines:
    """base64 (RFC 2045 §6.8) in lines of ``width`` characters that end in ``end`` octets; ``size`` decoded octets in
    ``encoded``."""

    width: int
    end: bytes
    encoded: int
    size: int

    @property
    def stride(self) -> int:
        return self.width + len(self.end)

    @property
    def octets(self) -> int:
        """Decoded, of one line."""
        return self.width // 4 * 3

    def to_json(self) -> list[int]:
        return [self.width, len(self.end), self.encoded, self.size]

    @classmethod
    def from_json(cls, kept: list[int] | None) -> Lines | None:
        return cls(kept[0], b"\r\n"[-kept[1] :], kept[2], kept[3]) if kept else None

    def decode(self, octets: bytes, last: bool) -> bytes:
        """Whole lines, from the beginning of one. Raises Irregular."""
        *lines, rest = octets.split(self.end)
        if any(len(line) != self.width for line in lines) or len(rest) > self.width or (rest and not last):
            raise Irregular("lines of another length")
        try:
            decoded = binascii.a2b_base64(octets.replace(self.end, b""), strict_mode=True)
        except binascii.Error as error:
            raise Irregular(str(error)) from error
        if not last and len(decoded) != len(lines) * self.octets:
            raise Irregular("it ends in the middle")
        return decoded


@dataclass(slots=True)
class File:
    """A file of a message. ``size`` is None where only reading to its end would tell; then it is read from its beginning."""

    message: Message
    part: mime.BodyPart
    store: MailStore | None = None
    size: int | None = None
    lines: Lines | None = None
    on_disk: BinaryIO | None = None

    @property
    def name(self) -> str:
        return self.part.name

    def octets(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Decoded, from ``start`` up to ``stop``. Raises MailError, and Irregular, in the middle too."""
        stop = self.size if stop is None or (self.size is not None and stop > self.size) else stop
        if stop is not None and start >= stop:
            return iter(())
        if self.on_disk is not None:
            return _from_disk(self.on_disk, start, stop)
        if self.size is None:
            return _cut(self._from_beginning(), start, stop)
        if self.lines is not None:
            return self._of_lines(self.lines, start, stop or self.size)
        return self._encoded(start, (stop or self.size) - start)

    def head(self, most: int = kinds.LOOK) -> bytes:
        """Its first octets, ``most`` of them if it has so many."""
        if self.size is not None:
            try:
                return b"".join(self.octets(0, most))
            except Irregular:
                self.size, self.lines = None, None
        found = bytearray()
        limit = None if "~" in self.part.part_id else most * 4
        for chunk in self._from_beginning(limit):
            found += chunk
            if limit is None and len(found) >= most:
                break  # of a server no more was asked for; to leave off would cost the connection
        return bytes(found[:most])

    def end(self, most: int) -> bytes:
        """Its last octets; nothing where they could be had by reading all of it only."""
        return b"".join(self.octets(max(0, self.size - most))) if self.size is not None else b""

    def to_disk(self, most: int = MOST_ON_DISK) -> None:
        """Have all of it here, to be read from any place, until it is closed. Raises TooLarge, and other MailErrors."""
        file = cast(BinaryIO, tempfile.SpooledTemporaryFile(IN_MEMORY))  # noqa: SIM115 -- closed by ``close``
        try:
            try:
                _put(self.octets(), file, most)
            except Irregular:
                file.seek(0)
                file.truncate()
                _put(self._from_beginning(), file, most)
        except BaseException:
            file.close()
            raise
        self.size, self.lines, self.on_disk = file.tell(), None, file

    def close(self) -> None:
        """Let go of what was put on the disk."""
        if self.on_disk is not None:
            self.on_disk.close()

    def _from_beginning(self, limit: int | None = None) -> Iterator[bytes]:
        message, root = self.message, self.message.body_part
        if "~" not in self.part.part_id:
            encoded = bodies.octets_of(message, self.part.part_id, self.store, limit)
        else:
            assert root is not None
            encoded = mime.octets_within(
                root, self.part.part_id, lambda part, most: bodies.octets_of(message, part or None, self.store, most)
            )
        return mime.decode_transfer(encoded, self.part.encoding)

    def _encoded(self, start: int, length: int) -> Iterator[bytes]:
        return bodies.octets_of(self.message, self.part.part_id, self.store, length, start)

    def _of_lines(self, lines: Lines, start: int, stop: int) -> Iterator[bytes]:
        first = start // lines.octets
        begin = first * lines.stride
        end = min(-(-stop // lines.octets) * lines.stride, lines.encoded)
        skip, left = start - first * lines.octets, stop - start
        held, at = b"", begin
        for chunk in self._encoded(begin, end - begin):
            at += len(chunk)
            held += chunk
            whole = len(held) if at >= end else len(held) - len(held) % lines.stride
            if not whole:
                continue
            decoded = lines.decode(held[:whole], at >= lines.encoded)[skip : skip + left]
            held, skip, left = held[whole:], 0, left - len(decoded)
            if decoded:
                yield decoded
        if left:
            raise Irregular("it ends before its end")


def find(message: Message, part_id: str, store: MailStore | None = None) -> File:
    """The file, nothing of it read yet. Raises NotFound if the message has no such part."""
    root = message.body_part
    part = next((p for p in root.walk() if p.part_id == part_id and not p.divided), None) if root else None
    if part is None:
        raise NotFound(_("There is no such part."))
    return File(message, part, store)


def measure(file: File) -> File:
    """Find out how large it is and how places in it are found, by its first and its last octets. Raises MailError."""
    part = file.part
    if "~" in part.part_id or part.size < 1 or (part.encoding in _DECODED and part.encoding != "base64"):
        return file
    after = max(0, part.size - TAIL)
    tail = b"".join(file._encoded(after, TAIL + 1))
    if len(tail) != part.size - after:  # the server said another size than it has
        return file
    if part.encoding != "base64":
        file.size = part.size
        return file
    head = b"".join(file._encoded(0, HEAD)) if after else tail
    file.lines = regular(head, tail, part.size)
    file.size = file.lines.size if file.lines else None
    return file


def regular(head: bytes, tail: bytes, size: int) -> Lines | None:
    """How a base64 text of ``size`` octets is laid out, by its beginning and its end; None if in no regular way."""
    end = b"\r\n" if b"\r\n" in head[:2000] else b"\n"
    width = head.find(end) if end in head else len(head.rstrip())
    text = tail.rstrip(b"\r\n \t")
    encoded = size - (len(tail) - len(text))
    if width < 4 or width % 4 or (end not in head and encoded > width):
        return None
    stride = width + len(end)
    characters = encoded // stride * width + encoded % stride
    padding = len(text) - len(text.rstrip(b"="))
    if encoded % stride > width or not encoded % stride or characters % 4 or padding > 2:
        return None
    lines = Lines(width, end, encoded, characters // 4 * 3 - padding)
    from_line = -(-(size - len(tail)) // stride) * stride - (size - len(tail))
    whole = head[: len(head) - len(head) % stride]
    try:
        lines.decode(text[from_line:], True)
        lines.decode(whole if encoded > len(whole) else head.rstrip(b"\r\n \t"), encoded <= len(whole))
    except Irregular:
        return None
    return lines


def _put(chunks: Iterator[bytes], file: BinaryIO, most: int) -> None:
    for chunk in chunks:
        file.write(chunk)
        if file.tell() > most:
            raise TooLarge("the file is over the limit")


def _cut(chunks: Iterator[bytes], start: int, stop: int | None) -> Iterator[bytes]:
    at = 0
    for chunk in chunks:
        wanted = chunk[max(0, start - at) : None if stop is None else max(0, stop - at)]
        at += len(chunk)
        if wanted:
            yield wanted
        if stop is not None and at >= stop:
            return


def _from_disk(file: BinaryIO, start: int, stop: int | None) -> Iterator[bytes]:
    while stop is None or start < stop:
        file.seek(start)
        chunk = file.read(CHUNK if stop is None else min(CHUNK, stop - start))
        if not chunk:
            return
        start += len(chunk)
        yield chunk
