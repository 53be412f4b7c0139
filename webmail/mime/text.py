"""From decoded octets to text: charsets, line ends, format=flowed (RFC 3676), previews."""

from __future__ import annotations

import re

from webmail.mime.charsets import codec, decode_as, decode_octets, html_charset
from webmail.mime.words import clean

PREVIEW_READS = 20_000  # characters of a text that a preview may come from

_NEWLINE = re.compile("\r\n?|[\u2028\u2029\x85]")


def decode_text(octets: bytes, charset: str, type: str = "text/plain", chosen: str = "") -> str:
    """Text as declared, else as HTML says of itself, else as detected, else windows-1252 with replacement; or, if the
    reader has ``chosen`` a charset, as that and nothing else. No NUL, no lone surrogate; line ends are ``\\n``; a leading
    BOM is gone. Raises ValueError if ``chosen`` is no charset, and nothing else."""
    if chosen:
        text = decode_as(octets, chosen)
    elif type == "text/html" and codec(charset) is None:
        text = decode_octets(octets, html_charset(octets))
    else:
        text = decode_octets(octets, charset)
    text = text.replace("\0", "")
    if "\r" in text or not text.isascii():
        text = _NEWLINE.sub("\n", text)
    return text.removeprefix("\ufeff")


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
