"""Rich text as Outlook packs it: decompressed ([MS-OXRTFCP]), and turned back into the HTML that it was made from
([MS-OXRTFEX]) or else into plain text. Bounded by MAX_RTF; nothing raises."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from webmail.mime.charsets import codec

MAX_RTF = 2 * 1024 * 1024  # octets that are read, and that come out
MAX_GROUPS = 500  # levels of braces; deeper ones are passed over
MAX_FONTS = 1000

_DICTIONARY = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbol"
    rb"ArialTimes New RomanCourier{\colortbl\red0\green0\blue0" + b"\r\n" + rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)


@dataclass(frozen=True, slots=True)
class Text:
    """``octets`` are UTF-8, of type text/html or text/plain."""

    type: str
    octets: bytes


def decompressed(octets: bytes) -> Text | None:
    """The text in a value of PR_RTF_COMPRESSED; None if there is none."""
    if len(octets) < 16:
        return None
    size, kind = struct.unpack("<I4s", octets[4:12])
    if kind == b"MELA":
        return text_of(octets[16 : 16 + min(size, MAX_RTF)])
    return text_of(_unpacked(octets[16:], min(size, MAX_RTF))) if kind == b"LZFu" else None


def _unpacked(packed: bytes, size: int) -> bytes:
    """§2.2: eight at a time single octets, or references into the last 4096 of them; each gives 17 at most."""
    out = bytearray(_DICTIONARY)
    most, at = len(_DICTIONARY) + size, 0
    while at < len(packed) and len(out) < most:
        control, at = packed[at], at + 1
        for bit in range(8):
            if not control >> bit & 1:
                out += packed[at : at + 1]
                at += 1
                continue
            pair = int.from_bytes(packed[at : at + 2], "big")
            at += 2
            back = (len(out) - (pair >> 4)) % 4096
            if back == 0 or at > len(packed):
                return bytes(out[len(_DICTIONARY) : most])
            length = (pair & 15) + 2
            piece = out[-back:][:length] if back <= len(out) else bytearray(b" ")
            out += (piece * (length // len(piece) + 1))[:length]  # a piece may reach into itself
    return bytes(out[len(_DICTIONARY) : most])


_TOKEN = re.compile(
    rb"\\'([0-9a-fA-F]{2})|\\([a-zA-Z]{1,32})(-?[0-9]{1,9})? ?|\\(.)|([{}])|([^\\{}\r\n]+)|[\r\n]+", re.DOTALL
)
_HIDDEN = frozenset(
    {
        b"fonttbl", b"colortbl", b"stylesheet", b"info", b"pict", b"object", b"header", b"footer", b"listtable",
        b"listoverridetable", b"generator", b"themedata", b"mhtmltag", b"fldinst", b"bkmkstart", b"bkmkend",
    }
)  # fmt: skip
_SIGNS = {
    b"par": "\n", b"line": "\n", b"tab": "\t", b"lquote": "‘", b"rquote": "’", b"ldblquote": "“", b"rdblquote": "”",
    b"bullet": "•", b"endash": "–", b"emdash": "—", b"cell": "\t", b"row": "\n",
}  # fmt: skip
_SYMBOLS = {b"~": "\u00a0", b"_": "\u2011", b"-": "\u00ad", b"{": "{", b"}": "}", b"\\": "\\", b"\n": "\n", b"\r": "\n"}
# \fcharset of a font -> charset
_FONT_CHARSETS = {
    128: "shift_jis", 129: "euc-kr", 134: "gbk", 136: "big5", 161: "windows-1253", 162: "windows-1254",
    163: "windows-1258", 177: "windows-1255", 178: "windows-1256", 186: "windows-1257", 204: "windows-1251",
    222: "windows-874", 238: "windows-1250",
}  # fmt: skip


@dataclass(slots=True)
class _Group:
    """Between two braces: what is not shown, and how octets above ASCII are meant."""

    hidden: bool = False
    rtf_only: bool = False  # \htmlrtf: what was added for readers that know no HTML
    fonts: bool = False
    charset: str = ""
    skip: int = 1  # characters that stand in for a \u


@dataclass(slots=True)
class _Reading:
    html: bool
    charset: str = "cp1252"
    group: _Group = field(default_factory=_Group)
    stack: list[_Group] = field(default_factory=list)
    too_deep: int = 0
    fonts: dict[int, str] = field(default_factory=dict)
    font: int = 0
    skipping: int = 0  # characters to be left out after a \u
    starred: bool = False  # \* was read: hide what is unknown
    held: bytearray = field(default_factory=bytearray)  # octets of characters that may be more than one long
    out: list[str] = field(default_factory=list)
    size: int = 0

    def say(self, text: str) -> None:
        self.flush()
        if not (self.group.hidden or self.group.rtf_only or self.too_deep):
            self.out.append(text)
            self.size += len(text)

    def octets(self, octets: bytes) -> None:
        if self.skipping:
            octets, self.skipping = octets[self.skipping :], max(0, self.skipping - len(octets))
        if not (self.group.hidden or self.group.rtf_only or self.too_deep):
            self.held += octets

    def flush(self) -> None:
        if self.held:
            text = self.held.decode(self.group.charset or self.charset, "replace")
            self.held.clear()
            self.out.append(text)
            self.size += len(text)

    def brace(self, opening: bool) -> None:
        self.flush()
        self.starred, self.skipping = False, 0
        if opening and (self.too_deep or len(self.stack) >= MAX_GROUPS):
            self.too_deep += 1
        elif opening:
            now = self.group
            self.stack.append(now)
            self.group = _Group(now.hidden, now.rtf_only, now.fonts, now.charset, now.skip)
        elif self.too_deep:
            self.too_deep -= 1
        elif self.stack:
            self.group = self.stack.pop()

    def word(self, word: bytes, number: int | None) -> None:
        starred, self.starred = self.starred, False
        if word in _SIGNS:
            self.say(_SIGNS[word])
        elif word == b"u":
            self._unicode(number or 0)
        elif word == b"uc":
            self.group.skip = min(max(number or 0, 0), 10)
        elif word == b"htmlrtf":
            self.flush()
            self.group.rtf_only = number != 0
        elif word == b"htmltag":
            self.group.hidden = bool(self.stack) and self.stack[-1].hidden
        elif word in _HIDDEN or starred:
            self.group.hidden = True
            self.group.fonts = self.group.fonts or word == b"fonttbl"
        elif word in (b"f", b"fcharset", b"ansicpg"):
            self._font(word, number or 0)

    def _unicode(self, number: int) -> None:
        """RTF 1.9.1, Unicode: signed 16 bits, surrogates one by one; characters for older readers follow."""
        self.say(chr(number & 0xFFFF))
        self.skipping = self.group.skip

    def _font(self, word: bytes, number: int) -> None:
        self.flush()
        if word == b"ansicpg":
            self.charset = codec("utf-8" if number == 65001 else f"windows-{number}") or self.charset
        elif word == b"f":
            self.font = number
            self.group.charset = "" if self.group.fonts else self.fonts.get(number, "")
        elif self.group.fonts and len(self.fonts) < MAX_FONTS:
            self.fonts[self.font] = codec(_FONT_CHARSETS.get(number, "")) or ""


def text_of(rtf: bytes) -> Text | None:
    """HTML if the RTF was made from it (§2.1.3.1: ``\\fromhtml1`` stands at the beginning), else plain text; None if it
    is no RTF, or empty."""
    if not rtf.lstrip().startswith(b"{\\rtf"):
        return None
    reading = _Reading(b"\\fromhtml1" in rtf[:4096])
    for match in _TOKEN.finditer(rtf[:MAX_RTF]):
        code, word, number, symbol, brace, plain = match.groups()
        if code:
            reading.octets(bytes.fromhex(code.decode()))
        elif plain:
            reading.octets(plain)
        elif word:
            reading.word(word, int(number) if number else None)
        elif brace:
            reading.brace(brace == b"{")
        elif symbol == b"*":
            reading.starred = True
        elif symbol in _SYMBOLS:
            reading.say(_SYMBOLS[symbol])
        if reading.size > MAX_RTF:
            break
    reading.flush()
    text = "".join(reading.out).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Text("text/html" if reading.html else "text/plain", text.encode()) if text.strip() else None
