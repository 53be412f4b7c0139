"""Encoded words (RFC 2047) and parameters (RFC 2231): text as it stands in a header to clean text.

Nothing here raises on any input, and everything is linear in it; the bounds are named."""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from webmail.mime.charsets import decode_octets

MAX_NAME = 200  # characters of a file name that are kept; file systems stop at 255 octets
MAX_CONTINUATIONS = 200  # RFC 2231 §3 segments of one parameter
MAX_PARAMS = 500  # parameters of one field; with a name longer than this many segments, the rest is dropped

_SURROGATE = re.compile("[\ud800-\udfff]")
# C0 and C1 controls, bidi controls (UAX #9), line and paragraph separator, BOM, interlinear marks, tag characters.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_SPACE = re.compile("[\t\n\v\f\r\x85\u2028\u2029]")

# The second alternative admits a bare "?" inside, which common senders leave in; its length is bounded so that a
# field full of openings stays linear.
_WORD = re.compile(r"=\?([^?\s*]{0,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]*|(?:[^?]|\?(?!=)){0,500})\?=")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=]+")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


def clean(text: str) -> str:
    """One line of text: control and bidi characters gone, lone surrogates replaced, white space squeezed."""
    if not text.isprintable():
        text = _UNSEEN.sub("", _SPACE.sub(" ", text))
        text = _SURROGATE.sub("\ufffd", text)
    return " ".join(text.split())


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
    if encoding in "qQ":
        return binascii.a2b_qp(raw, header=True)
    raw = _NOT_BASE64.sub(b"", raw.translate(_URL_SAFE))
    if b"=" not in raw and len(raw) % 4 == 0:
        return binascii.a2b_base64(raw)
    return b"".join(map(base64_run, raw.split(b"=")))  # some join texts that were encoded one by one


def base64_run(run: bytes) -> bytes:
    """Characters of base64 without their padding, and none that is no such; a single last one says nothing."""
    run = run[:-1] if len(run) % 4 == 1 else run
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def decode_param(params: Mapping[str, str], name: str) -> str:
    """RFC 2231 §3-4: a parameter with its continuations and charset; else RFC 2047 in it, which is what mail has."""
    if (extended := params.get(name + "*")) is not None:
        return _extended(extended)
    for first in (0, 1):  # some count from 1
        if f"{name}*{first}" in params or f"{name}*{first}*" in params:
            return _continued(params, name, first)
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


_UNMARKED = re.compile(r"[A-Za-z0-9_:.-]{2,40}'[A-Za-z-]{0,20}'.*%[0-9A-Fa-f]{2}", re.DOTALL)


def _continued(params: Mapping[str, str], name: str, first: int) -> str:
    """Segments are joined as octets, because a character may be cut in two between them. A gap ends them."""
    charset, octets, encoded = "", [], False
    for number in range(first, first + MAX_CONTINUATIONS):
        if (segment := params.get(f"{name}*{number}*")) is not None:
            if number == first and segment.count("'") >= 2:
                charset, _, segment = segment.split("'", 2)
            encoded = True
            octets.append(unquote_to_bytes(segment.encode("utf-8", "replace")))
        elif (segment := params.get(f"{name}*{number}")) is not None:
            octets.append(segment.encode("utf-8", "replace"))
        else:
            break
    text = decode_octets(b"".join(octets), charset)
    if encoded:
        return text
    return _extended(text) if _UNMARKED.match(text) else decode_words(text)  # encoded, and the mark for it forgotten


_PARAM = re.compile(r';\s*(?:\([^()]{0,200}\)\s*)?([^=;\s"()]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)(?:"|$)|([^;]*))', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NO_VALUE = re.compile(r"\s*[a-z]{1,40}(?:\*[0-9]{0,3}){0,2}\s*=", re.IGNORECASE)
_NO_SEMICOLON = re.compile(r"\s*[^\s;=]{1,200}[\s,]+(?=[a-z]{1,40}\*?=)", re.IGNORECASE)


def parse_params(value: str) -> tuple[str, dict[str, str]]:
    """``text/plain; charset="x"`` -> (lower-case value, parameters by lower-case name; of one name the first counts).
    RFC 2045 §5.1, leniently. At most MAX_PARAMS parameters."""
    head = value.partition(";")[0]
    if "=" in head:
        value = _with_semicolon(value)
        head = value.partition(";")[0]
    params: dict[str, str] = {}
    for match in _PARAM.finditer(value, len(head)):
        if len(params) >= MAX_PARAMS:
            break
        name, quoted, plain = match.groups()
        text = _unquoted(quoted) if quoted is not None else plain.partition(" (")[0].strip()
        params.setdefault(name.lower()[:100], text)
    return head.partition("(")[0].strip(" \t\r\n\"'").lower(), params


def _with_semicolon(value: str) -> str:
    """Before the first parameter, where there is none or nothing else."""
    if _NO_VALUE.match(value):
        return ";" + value
    match = _NO_SEMICOLON.match(value[:1000])
    return value[: match.end()].rstrip(" \t,") + ";" + value[match.end() :] if match else value


def _unquoted(text: str) -> str:
    """RFC 5322 §3.2.4. A path of Windows keeps its backslashes, which some senders forget to double."""
    return text if _WINDOWS_PATH.match(text) else _QUOTED_PAIR.sub(r"\1", text)


_WINDOWS_PATH = re.compile(r"[A-Za-z]:\\(?!\\)|\\\\[^\\\"]{1,60}\\(?!\\)")
_FOLDERS = re.compile(r"\A(?:[A-Za-z]:[\\/]|\\\\)(?:.*[\\/])?", re.DOTALL)
_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|]')


def safe_name(text: str) -> str:
    """A file name that is one harmless path component, at most MAX_NAME characters with its extension kept; or "".
    Of a path of Windows, which tells what the sender has on the disk, only the last component is the name."""
    text = _NOT_IN_NAMES.sub("_", _FOLDERS.sub("", clean(text))).lstrip(". ").rstrip(". ")
    if len(text) <= MAX_NAME:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or len(extension) > 20:
        return text[:MAX_NAME].rstrip(". ")
    return stem[: MAX_NAME - len(extension) - 1] + dot + extension
