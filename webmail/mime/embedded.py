"""Files that stand in the middle of a text, as they did before MIME: uuencoded, or in yEnc. Read as a stream of lines, in
flat memory; nothing raises, whatever the octets.

A file begins where its first line is followed by one that can be encoded data, so a text that only speaks of "begin 644"
stays one; it ends at its last line, or where what follows cannot be data."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from webmail.mime.charsets import decode_octets
from webmail.mime.words import safe_name

Decode = Callable[[bytes], bytes | None]

MAX_FILES = 100  # of one text; what follows is text
MAX_BEGIN = 500  # octets of the line that begins a file
MAX_LINE = 64 * 1024  # octets of a line that may be data

_UU_BEGIN = re.compile(rb"begin (?:base64-)?[0-7]{3,4} (\S.{0,300})")
_YENC_BEGIN = re.compile(rb"=ybegin (?:part=\d+ )?(?:total=\d+ )?(?:line=\d+ )?(?:size=\d+ )?.{0,60}?name=(.{1,300})")
_SUSPECT = re.compile(r"^(?:begin (?:base64-)?[0-7]{3,4} \S|=ybegin .{0,100}name=)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EmbeddedFile:
    """``number`` counts from 1 within its text. ``name`` is safe, "" if it has none."""

    number: int
    name: str


def may_hold_files(text: str) -> bool:
    """Whether it is worth looking for files in a text; cheap."""
    return ("begin " in text) and _SUSPECT.search(text) is not None


def decoded_files(chunks: Iterable[bytes]) -> Iterator[tuple[EmbeddedFile, bytes]]:
    """The files in a text, each in pieces: (which, some of its octets), the first piece empty."""
    for file, octets in _sorted(chunks):
        if file is not None:
            yield file, octets


def without_files(text: str) -> str:
    """The text around the files that are in it."""
    if not may_hold_files(text):
        return text
    lines = (line for file, line in _sorted([text.encode("utf-8", "surrogateescape")]) if file is None)
    return b"".join(lines).decode("utf-8", "replace")


def _sorted(chunks: Iterable[bytes]) -> Iterator[tuple[EmbeddedFile | None, bytes]]:
    """Each line: (None, as it stands) if it is text, else (its file, what it decodes to)."""
    count = 0
    file: EmbeddedFile | None = None
    decode: Decode = _uu_line
    opening = b""  # a line that begins a file, if the next one is data
    for line in _lines(chunks):
        bare = line.rstrip(b"\r\n")
        if opening:
            begun, opening = opening, b""
            name, decode = _begins(begun)
            if decode(bare) is not None:
                count += 1
                file = EmbeddedFile(count, name)
                yield file, b""
            else:
                yield None, begun
        if file is not None:
            octets = decode(bare)
            if octets is None:
                file = None
                if _is_end(bare):
                    continue
            else:
                yield file, octets
                continue
        if count < MAX_FILES and _is_begin(bare):
            opening = line
        else:
            yield None, line
    if opening:
        yield None, opening


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """With their ends. One longer than MAX_LINE comes in pieces that are too long to be anything but text."""
    held = b""
    for chunk in chunks:
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(held) > MAX_LINE:
            yield held
            held = b""
    if held:
        yield held


def _is_begin(line: bytes) -> bool:
    line = line.rstrip()  # first, and not by the expressions: those would be quadratic
    return len(line) <= MAX_BEGIN and (_UU_BEGIN.fullmatch(line) or _YENC_BEGIN.fullmatch(line)) is not None


def _begins(line: bytes) -> tuple[str, Decode]:
    line = line.rstrip()
    if match := _YENC_BEGIN.fullmatch(line):
        return safe_name(decode_octets(match[1].strip(b'"'))), _yenc_line
    match = _UU_BEGIN.fullmatch(line)
    assert match is not None
    return safe_name(decode_octets(match[1])), _base64_line if b"base64" in line[:13] else _uu_line


def _is_end(line: bytes) -> bool:
    return line in (b"end", b"====") or line.startswith(b"=yend")


_UU_CHARACTERS = bytes(range(0x20, 0x61))


def _uu_line(line: bytes) -> bytes | None:
    """POSIX uuencode: the octets of one line; None if it is none. Some encoders leave trailing spaces away, or put
    something behind; the first character says how much is meant."""
    if line in (b"", b"`", b" "):
        return b""
    wanted = (line[0] - 32) & 63
    groups = -(-wanted // 3) * 4
    data = line[1 : groups + 1]
    if (
        line[0] > 0x60
        or len(line) > groups + 5
        or len(line) - 1 < groups * 3 // 5
        or data.translate(None, _UU_CHARACTERS)
    ):
        return None
    try:
        return binascii.a2b_uu(line[:1] + data)
    except binascii.Error:
        return None


_BASE64_LINE = re.compile(rb"[A-Za-z0-9+/]{2,}={0,2}")


def _base64_line(line: bytes) -> bytes | None:
    """``uuencode -m``, of POSIX too."""
    if len(line) % 4 or not _BASE64_LINE.fullmatch(line):
        return None
    try:
        return binascii.a2b_base64(line)
    except binascii.Error:
        return None


_ESCAPED = re.compile(rb"=(.)", re.DOTALL)
_MINUS_42 = bytes((octet - 42) & 255 for octet in range(256))


def _yenc_line(line: bytes) -> bytes | None:
    """yEnc 1.3: each octet plus 42, and after "=" plus 64 besides. The end and what says which part it is are no data."""
    if line.startswith(b"=ypart "):
        return b""
    if line.startswith(b"=y") or len(line) > MAX_LINE:  # "=y" cannot be written by an encoder: 0x79 needs no escape
        return None
    if b"=" in line:
        line = _ESCAPED.sub(lambda match: bytes(((match[1][0] - 64) & 255,)), line)
    return line.translate(_MINUS_42)
