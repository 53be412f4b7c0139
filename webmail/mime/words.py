"""Charsets, encoded words (RFC 2047) and parameters (RFC 2231): octets of a header to clean text and back.

Nothing here raises on any input, and everything is linear in it; the bounds are named."""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from charset_normalizer import from_bytes

MAX_NAME = 200  # characters of a file name that are kept; file systems stop at 255 octets
MAX_CONTINUATIONS = 200  # RFC 2231 §3 segments of one parameter
MAX_PARAMS = 500  # parameters of one field; with a name longer than this many segments, the rest is dropped
GUESS_SAMPLE = 32 * 1024  # octets that charset detection looks at: it costs about 1 ms per kB
GUESS_LEAST = 24  # octets above 0x7F below which detection is worse than assuming windows-1252

# What a label really means in mail: the superset that the common senders use under that name (WHATWG Encoding §4.2).
_ALIASES = {
    "iso-8859-1": "cp1252", "latin1": "cp1252", "latin-1": "cp1252", "iso8859-1": "cp1252", "x-ansi": "cp1252",
    "iso-8859-9": "cp1254", "iso-8859-11": "cp874", "tis-620": "cp874", "iso-8859-8-i": "iso-8859-8",
    "iso-8859-8-e": "iso-8859-8", "iso-8859-6-i": "iso-8859-6", "gb2312": "gb18030", "gbk": "gb18030",
    "x-gbk": "gb18030", "gb_2312-80": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "shift-jis": "cp932",
    "x-sjis": "cp932", "ks_c_5601-1987": "cp949", "ksc5601": "cp949", "euc-kr": "cp949", "x-mac-roman": "mac-roman",
    "macintosh": "mac-roman", "utf8mb4": "utf-8", "utf-8-sig": "utf-8", "unicode-1-1-utf-7": "utf-7",
    "iso-2022-jp": "iso-2022-jp-ext", "x-windows-949": "cp949", "windows-31j": "cp932",
}  # fmt: skip
_CHARSET = re.compile(r"[a-z0-9][a-z0-9_.:()-]{0,39}")
# Python codecs that are no charsets of mail; punycode and idna are quadratic besides.
_NO_CHARSET = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "ascii", "mbcs"})

_SURROGATE = re.compile("[\ud800-\udfff]")
# C0 and C1 controls, bidi controls (UAX #9), line and paragraph separator, BOM, interlinear marks, tag characters.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SPACE = re.compile("[\t\n\v\f\r\x85\u2028\u2029]")

# The second alternative admits a bare "?" inside, which common senders leave in; its length is bounded so that a
# field full of openings stays linear.
_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*|(?:[^?]|\?(?!=)){0,500})\?=")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def clean(text: str) -> str:
    """One line of text: control and bidi characters gone, lone surrogates replaced, white space squeezed."""
    if not text.isprintable():
        text = _UNSEEN.sub("", _SPACE.sub(" ", text))
        text = _SURROGATE.sub("\ufffd", text)
    return " ".join(text.split())


def codec(charset: str) -> str | None:
    """The Python codec for a MIME charset label, or None if it is unknown, or says nothing (us-ascii)."""
    label = charset.strip(" \t\"'").lower()
    label = _ALIASES.get(label, label)
    if not _CHARSET.fullmatch(label):
        return None
    try:
        info = codecs.lookup(label)
    except (LookupError, ValueError):
        return None
    is_text = getattr(info, "_is_text_encoding", True)
    return info.name if is_text and info.name not in _NO_CHARSET else None


def decode_octets(octets: bytes, charset: str = "") -> str:
    """As declared; else UTF-8; else as detected; else windows-1252 with replacement. No lone surrogates come out.

    A declared charset that fits all but a few octets (a text cut in the middle of a character) is believed."""
    if not (name := codec(charset)) or name == "utf-8":
        return _utf8(octets) or _SURROGATE.sub("\ufffd", _guess(octets))
    try:
        return _SURROGATE.sub("\ufffd", octets.decode(name))
    except (UnicodeError, ValueError):
        pass
    if (text := _strict(octets, "utf-8")) is not None:
        return text
    text = octets.decode(name, "replace")
    if text.count("\ufffd") * 50 <= len(text) + 49:
        return _SURROGATE.sub("\ufffd", text)
    return _SURROGATE.sub("\ufffd", _guess(octets))


def _utf8(octets: bytes) -> str | None:
    """UTF-8, forgiving the odd broken sequence if the rest shows that it is meant."""
    text = octets.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if not broken:
        return text
    sound = len(octets) - len(text) + broken  # about the octets in well-formed sequences beyond the first of each
    return text if broken * 4 <= sound and sound > broken else None


def _strict(octets: bytes, name: str) -> str | None:
    try:
        return octets.decode(name)
    except (UnicodeError, ValueError):
        return None


def _guess(octets: bytes) -> str:
    if b"\x1b$" in octets and (text := _strict(octets, "iso-2022-jp-ext")) is not None:
        return text
    sample = octets[:GUESS_SAMPLE]
    if len(sample.translate(None, bytes(range(128)))) >= GUESS_LEAST:
        best = from_bytes(sample, steps=5, chunk_size=512, threshold=0.2).best()
        if best is not None and codec(best.encoding):
            return octets.decode(best.encoding, "replace")
    return octets.decode("cp1252", "replace")


def decode_words(value: str) -> str:
    """RFC 2047 §6.2: encoded words to text. White space between two of them vanishes; neighbours of one charset are
    joined as octets first, because many senders cut a character in two."""
    if "=?" not in value:
        return value
    out: list[str] = []
    charset, held, end = "", b"", 0
    for match in _WORD.finditer(value):
        between = value[end : match.start()]
        octets = _word_octets(match[2], match[3])
        label = match[1].lower()
        if held and not between.strip() and label == charset:
            held += octets
        else:
            out.append(decode_octets(held, charset) if held else "")
            out.append("" if end and not between.strip() else between)
            charset, held = label, octets
        end = match.end()
    out.append(decode_octets(held, charset) if held else "")
    out.append(value[end:])
    return "".join(out)


def _word_octets(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "bB":
        raw = _NOT_BASE64.sub(b"", raw)
        raw = raw[:-1] if len(raw) % 4 == 1 else raw
        return binascii.a2b_base64(raw + b"=" * (-len(raw) % 4))
    return binascii.a2b_qp(raw, header=True)


def decode_param(params: Mapping[str, str], name: str) -> str:
    """RFC 2231 §3-4: a parameter with its continuations and charset; else RFC 2047 in it, which is what mail has."""
    if (extended := params.get(name + "*")) is not None:
        return _extended(extended)
    if (name + "*0") in params or (name + "*0*") in params:
        return _continued(params, name)
    value = params.get(name, "")
    if not value.isascii():
        value = _as_octets(value)
    return decode_words(value)


def _as_octets(value: str) -> str:
    """Raw 8-bit octets that reached us as surrogates or as Latin-1, read again as what they are."""
    try:
        octets = value.encode("utf-8", "surrogateescape")
        if octets != value.encode("utf-8", "ignore"):
            return decode_octets(octets)
        return value.encode("latin-1").decode("utf-8")
    except (UnicodeError, ValueError):
        return value


def _extended(value: str) -> str:
    charset, quote, rest = value.partition("'")
    if not quote or "'" not in rest:
        return decode_octets(unquote_to_bytes(value.encode("utf-8", "replace")))
    return decode_octets(unquote_to_bytes(rest.split("'", 1)[1].encode("utf-8", "replace")), charset)


def _continued(params: Mapping[str, str], name: str) -> str:
    """Segments are joined as octets, because a character may be cut in two between them."""
    charset, octets, encoded = "", [], False
    for number in range(MAX_CONTINUATIONS):
        if (segment := params.get(f"{name}*{number}*")) is not None:
            if number == 0 and segment.count("'") >= 2:
                charset, _, segment = segment.split("'", 2)
            encoded = True
            octets.append(unquote_to_bytes(segment.encode("utf-8", "replace")))
        elif (segment := params.get(f"{name}*{number}")) is not None:
            octets.append(segment.encode("utf-8", "replace"))
        else:
            break
    text = decode_octets(b"".join(octets), charset)
    return text if encoded else decode_words(text)


_PARAM = re.compile(r';\s*([^=;\s"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|$)|([^;]*))', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def parse_params(value: str) -> tuple[str, dict[str, str]]:
    """``text/plain; charset="x"`` -> (lower-case value, parameters by lower-case name). RFC 2045 §5.1, leniently."""
    head, _, _ = value.partition(";")
    params: dict[str, str] = {}
    for match in _PARAM.finditer(value, len(head)):
        if len(params) >= MAX_PARAMS:
            break
        name, quoted, plain = match.groups()
        text = _QUOTED_PAIR.sub(r"\1", quoted) if quoted is not None else plain.partition(" (")[0].strip()
        params.setdefault(name.lower()[:100], text)
    return head.partition("(")[0].strip().lower(), params


_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|]')


def safe_name(text: str) -> str:
    """A file name that is one harmless path component, at most MAX_NAME characters with its extension kept; or ""."""
    text = _NOT_IN_NAMES.sub("_", clean(text)).lstrip(". ").rstrip(". ")
    if len(text) <= MAX_NAME:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or len(extension) > 20:
        return text[:MAX_NAME].rstrip(". ")
    return stem[: MAX_NAME - len(extension) - 1] + dot + extension
