"""From encoded octets to text: transfer encodings (RFC 2045 §6), charsets, format=flowed (RFC 3676), previews."""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterable, Iterator

from webmail.mime.words import clean, decode_octets

MAX_HELD = 64 * 1024  # octets held back while waiting for a line end
PREVIEW_READS = 20_000  # characters of a text that a preview may come from

_NEWLINE = re.compile("\r\n?|[\u2028\u2029\x85]")


def decode_transfer(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Undo a Content-Transfer-Encoding, chunk by chunk, in flat memory. Dirt is skipped, an unknown encoding is taken
    for binary (RFC 2045 §6.4 would forbid to look inside; people want to). Never raises by itself."""
    encoding = encoding.strip().lower()
    if encoding == "base64":
        return _base64(chunks)
    if encoding == "quoted-printable":
        return _quoted_printable(chunks)
    if encoding in ("x-uuencode", "uuencode", "x-uue"):
        return _uuencode(chunks)
    return (chunk for chunk in chunks if chunk)


_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="))


def _base64(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Each run up to its padding stands alone, because some senders join several encoded texts."""
    held = b""
    for chunk in chunks:
        *runs, held = (held + chunk.translate(None, _NOT_BASE64)).split(b"=")
        whole = len(held) - len(held) % 4
        octets = b"".join(map(_base64_run, runs)) + binascii.a2b_base64(held[:whole])
        held = held[whole:]
        if octets:
            yield octets
    if octets := _base64_run(held):
        yield octets


def _base64_run(run: bytes) -> bytes:
    run = run[:-1] if len(run) % 4 == 1 else run
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


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


def _uuencode(chunks: Iterable[bytes]) -> Iterator[bytes]:
    begun, held = False, b""
    for chunk in chunks:
        *lines, held = (held + chunk).split(b"\n")
        held = held[:MAX_HELD]
        out = []
        for line in lines:
            line = line.rstrip(b"\r")
            if not begun:
                begun = line.startswith(b"begin ")
            elif line == b"end":
                begun = False
            else:
                out.append(_uu_line(line))
        if octets := b"".join(out):
            yield octets
    if begun and (octets := _uu_line(held.rstrip(b"\r"))):
        yield octets


def _uu_line(line: bytes) -> bytes:
    if not line or line == b"end":
        return b""
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        # Some encoders leave junk at the end; the first octet says how much is meant.
        wanted = ((line[0] - 32) & 63) * 4 // 3 + 2
        try:
            return binascii.a2b_uu(line[:wanted])
        except binascii.Error:
            return b""


def decode_text(octets: bytes, charset: str) -> str:
    """Text as declared, else as detected, else windows-1252 with replacement. No NUL, no lone surrogate; line ends are
    ``\\n``; a leading BOM is gone. Never raises."""
    text = decode_octets(octets, charset).replace("\0", "")
    return _NEWLINE.sub("\n", text).removeprefix("\ufeff")


_QUOTE = re.compile(r">+")


def unflow(text: str, delsp: bool) -> str:
    """RFC 3676 §4: join soft-broken lines, undo space-stuffing. Quoted lines come out as ``>`` per level, a space and
    the text. ``delsp`` (§4.1) removes the space that marked the break."""
    out: list[str] = []
    joining: list[str] = []
    level = 0
    for line in text.split("\n"):
        match = _QUOTE.match(line)
        depth = match.end() if match else 0
        line = line[depth:].removeprefix(" ")  # §4.4
        if joining and (depth != level or line == "-- "):  # §4.5: an improper paragraph ends where the depth changes
            out.append(_quoted(level, "".join(joining)))
            joining = []
        level = depth
        if line.endswith(" ") and line != "-- ":  # §4.3: the signature separator is never a soft break
            joining.append(line[:-1] if delsp else line)
            continue
        joining.append(line)
        out.append(_quoted(level, "".join(joining)))
        joining = []
    if joining:
        out.append(_quoted(level, "".join(joining)))
    return "\n".join(out)


def _quoted(depth: int, line: str) -> str:
    if not depth:
        return line
    return ">" * depth + (" " + line if line else "")


# What newsletters pad their preview text with: zero-width and blank fillers.
_FILLER = re.compile("[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200d\u2060-\u2064\u2800\u3164\uffa0]+")
_ATTRIBUTION = re.compile(r".{0,300}(?:wrote|skrev|schrieb|écrit|escribió|ha scritto|schreef|pisze)\b.{0,80}:\s*")
_RULE = re.compile(r"[-_=*~#\s]{3,}")


def preview(text: str, length: int = 200) -> str:
    """The first words that are the sender's own: no quotes, no line that announces one, no signature; one line of at
    most ``length`` characters. If nothing else is there, the quoted words."""
    text = text[:PREVIEW_READS]
    own: list[str] = []
    for line in text.split("\n"):
        if line.rstrip("\r") in ("-- ", "--") and own:
            break
        if line.startswith(">"):
            if own and (_ATTRIBUTION.fullmatch(own[-1]) or own[-1].endswith(":")):
                own.pop()
            continue
        if line.strip() and not _RULE.fullmatch(line):
            own.append(line.strip())
    words = own or [line.lstrip("> ") for line in text.split("\n")]
    return clean(_FILLER.sub("", " ".join(words)))[:length].rstrip()
