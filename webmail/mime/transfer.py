"""Transfer encodings (RFC 2045 §6) undone, chunk by chunk and in flat memory. Dirt is skipped; nothing raises by itself."""

from __future__ import annotations

import binascii
import functools
import itertools
import re
from collections.abc import Iterable, Iterator

from webmail.mime.embedded import decoded_files
from webmail.mime.words import base64_run

MAX_HELD = 64 * 1024  # octets held back while waiting for a line end
LOOK = 512  # octets that tell whether a text that is called base64 is

_NAMES = {
    "7bit": "7bit", "7bits": "7bit", "8bit": "8bit", "8bits": "8bit", "binary": "binary", "bin": "binary",
    "base64": "base64", "b64": "base64", "base": "base64", "quotedprintable": "quoted-printable",
    "quotedprintible": "quoted-printable", "qp": "quoted-printable", "uuencode": "x-uuencode",
    "xuuencode": "x-uuencode", "uue": "x-uuencode", "xuue": "x-uuencode", "uu": "x-uuencode",
    "yenc": "x-yenc", "xyenc": "x-yenc", "yencode": "x-yenc", "xyencode": "x-yenc",
}  # fmt: skip
_UNKNOWN = re.compile(r"[a-z0-9_.:+-]{1,60}")
_COMMENT = re.compile(r"\([^()]{0,200}\)?")


@functools.lru_cache(512)  # these few, for each part of all mail
def transfer_encoding(label: str) -> str:
    """The proper name of a Content-Transfer-Encoding, however it is spelt ("8-bit", ``"base64";``, "quoted printable");
    an unknown one stays as it is, one that cannot be any is "7bit"."""
    label = _COMMENT.sub("", label[:200].lower()).strip(" \t\r\n\"';,")
    if name := _NAMES.get(label.translate({45: None, 95: None, 32: None})):
        return name
    return label if _UNKNOWN.fullmatch(label) else "7bit"


def decode_transfer(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Undo a Content-Transfer-Encoding. An unknown one is taken for binary (RFC 2045 §6.4 would forbid to look inside;
    people want to). At most MAX_HELD octets are held beside the chunk at hand."""
    encoding = transfer_encoding(encoding)
    if encoding == "base64":
        return _base64(chunks)
    if encoding == "quoted-printable":
        return _quoted_printable(chunks)
    if encoding in ("x-uuencode", "x-yenc"):
        return (octets for _file, octets in decoded_files(chunks))
    return (chunk for chunk in chunks if chunk)


_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Each run up to its padding stands alone, because some senders join several encoded texts."""
    chunks = iter(chunks)
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= LOOK:
            break
    if _is_plain(first[:LOOK]):
        yield first
        yield from chunks
        return
    held = b""
    for chunk in itertools.chain([first], chunks):
        *runs, held = (held + chunk.translate(None, _NOT_BASE64)).split(b"=")
        whole = len(held) - len(held) % 4
        octets = b"".join(map(base64_run, runs)) + binascii.a2b_base64(held[:whole])
        held = held[whole:]
        if octets:
            yield octets
    if octets := base64_run(held):
        yield octets


def _is_plain(first: bytes) -> bool:
    """Some say base64 of a text that is not encoded. Words have spaces between them."""
    text = first.strip()
    return len(text) >= 16 and text.count(b" ") * 12 > len(text)


def _quoted_printable(chunks: Iterable[bytes]) -> Iterator[bytes]:
    held = b""
    for chunk in chunks:
        held += chunk
        cut = held.rfind(b"\n") + 1
        if not cut and len(held) > MAX_HELD:
            # No line end in sight: keep back only what may be half of "=XY" or of a soft break.
            mark = held.rfind(b"=", len(held) - 4)
            cut = mark if mark > 0 else len(held)
        if cut:
            yield _unquote(held[:cut])
            held = held[cut:]
    if held:
        yield _unquote(held)


def _unquote(octets: bytes) -> bytes:
    if b" \n" in octets or b" \r\n" in octets or b"\t\n" in octets or b"\t\r\n" in octets:
        # RFC 2045 §6.7 (3): white space before a line end was added on the way. Not by a regex: that is quadratic.
        lines = octets.split(b"\n")
        last = lines.pop()
        octets = b"".join(
            line[:-1].rstrip(b" \t") + b"\r\n" if line.endswith(b"\r") else line.rstrip(b" \t") + b"\n"
            for line in lines
        )
        octets += last
    return binascii.a2b_qp(octets)
