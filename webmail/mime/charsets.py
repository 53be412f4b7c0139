"""Octets of text in whatever charset -> text: as declared, else as found out, else Windows-1252 with replacement.

Labels mean what the WHATWG Encoding Standard says that they mean in the wild, which is what senders mean by them too, with
three changes that mail needs: "us-ascii" says nothing, 7-bit charsets that the web gave up (ISO-2022-KR, HZ, UTF-7) are
still read, and ``utf-16`` without a byte order mark is taken as Python takes it. Nothing here raises on any octets; all is
linear in them, except detection, which looks at no more than GUESS_SAMPLE of them."""

from __future__ import annotations

import codecs
import functools
import re

import webencodings  # type: ignore[import-untyped] # it has none
from charset_normalizer import from_bytes

GUESS_SAMPLE = 32 * 1024  # octets that charset detection looks at: it costs about 1 ms per kB
GUESS_LEAST = 40  # octets above 0x7F below which statistics say nothing

# What a person can choose when a text came out wrong: (label, what it is called). The names are for translation.


def gettext_noop(name: str) -> str:
    """Marks a name for whoever shows and translates it."""
    return name


MENU = (
    ("utf-8", gettext_noop("Unicode (UTF-8)")),
    ("utf-16le", gettext_noop("Unicode (UTF-16)")),
    ("windows-1252", gettext_noop("Western European")),
    ("iso-8859-15", gettext_noop("Western European with euro sign (ISO)")),
    ("macintosh", gettext_noop("Western European (Mac)")),
    ("ibm437", gettext_noop("Western European (DOS)")),
    ("windows-1250", gettext_noop("Central European (Windows)")),
    ("iso-8859-2", gettext_noop("Central European (ISO)")),
    ("windows-1257", gettext_noop("Baltic")),
    ("windows-1251", gettext_noop("Cyrillic (Windows)")),
    ("koi8-r", gettext_noop("Cyrillic (KOI8-R)")),
    ("koi8-u", gettext_noop("Ukrainian (KOI8-U)")),
    ("iso-8859-5", gettext_noop("Cyrillic (ISO)")),
    ("ibm866", gettext_noop("Cyrillic (DOS)")),
    ("windows-1253", gettext_noop("Greek")),
    ("windows-1254", gettext_noop("Turkish")),
    ("windows-1255", gettext_noop("Hebrew")),
    ("windows-1256", gettext_noop("Arabic")),
    ("windows-874", gettext_noop("Thai")),
    ("windows-1258", gettext_noop("Vietnamese")),
    ("gb18030", gettext_noop("Chinese, simplified")),
    ("big5", gettext_noop("Chinese, traditional")),
    ("shift_jis", gettext_noop("Japanese (Shift JIS)")),
    ("euc-jp", gettext_noop("Japanese (EUC)")),
    ("iso-2022-jp", gettext_noop("Japanese (ISO-2022-JP)")),
    ("euc-kr", gettext_noop("Korean")),
)

_SURROGATE = re.compile("[\ud800-\udfff]")
_LABEL = re.compile(r"[a-z0-9][a-z0-9_.:()+-]{0,39}")
# Python's codec for an encoding of the standard, where the one of the same name knows less than senders use.
_WIDER = {
    "gbk": "gb18030", "gb2312": "gb18030", "big5": "big5hkscs", "shift_jis": "cp932", "euc_kr": "cp949",
    "iso2022_jp": "iso2022_jp_ext", "iso8859-1": "cp1252", "latin-1": "cp1252",
}  # fmt: skip
# Labels of mail that the standard does not have; what Python itself knows need not be here.
_ALSO = {
    "latin-1": "cp1252", "x-ansi": "cp1252", "ansi": "cp1252", "x-mac-roman": "mac-roman", "utf8mb4": "utf-8",
    "utf-8-sig": "utf-8", "unicode-1-1-utf-7": "utf-7", "unicode": "utf-16", "x-utf-8": "utf-8", "utf": "utf-8",
    "cp-850": "cp850", "ibm437": "cp437", "hz-gb-2312": "hz", "gb_18030": "gb18030", "x-windows-949": "cp949",
    "ks_c_5601": "cp949", "ksc5601": "cp949", "x-windows-1252": "cp1252", "windows-31j": "cp932", "sjis": "cp932",
    "x-euc-kr": "cp949", "x-big5": "big5hkscs", "chinesebig5": "big5hkscs", "utf-16": "utf-16", "utf16": "utf-16",
    "ucs-2": "utf-16", "iso-10646-ucs-2": "utf-16-be", "windows-936": "gb18030", "cp936": "gb18030",
    "windows-950": "big5hkscs", "cp950": "big5hkscs", "windows-932": "cp932", "iso-8859-8-e": "iso8859-8",
}  # fmt: skip
# These say no more than that the sender did not know.
_SILENT = frozenset({"us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit", "x-unknown", "x-user-defined", "binary"})
# Python codecs that are no charsets of mail; punycode and idna are quadratic besides.
_NO_CHARSET = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "ascii", "mbcs"})
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip


@functools.lru_cache(512)
def codec(charset: str) -> str | None:
    """The Python codec for a MIME charset label, or None if it is unknown, or says nothing (us-ascii)."""
    label = charset.strip(" \t\r\n\"'").lower()
    if not _LABEL.fullmatch(label) or label in _SILENT:
        return None
    known = None if label in _ALSO else webencodings.lookup(label)
    name: str = known.codec_info.name if known else _ALSO.get(label, label)
    try:
        info = codecs.lookup(_WIDER.get(name.replace("-", "_"), name))
    except (LookupError, ValueError):
        return None
    is_text = getattr(info, "_is_text_encoding", True)
    return _WIDER.get(info.name, info.name) if is_text and info.name not in _NO_CHARSET else None


def decode_octets(octets: bytes, charset: str = "", hint: str = "") -> str:
    """As declared; else UTF-8; else by ``hint``, a charset that other parts of the message declare; else as found out;
    else windows-1252 with replacement. No lone surrogates come out.

    A declared charset that fits all but a few octets (a text cut in the middle of a character) is believed. One that
    fits any octets (windows-1252 and its likes) is not where they are UTF-8 beyond doubt."""
    name = codec(charset)
    if name is None or name == "utf-8":
        return _undeclared(octets, hint)
    if name == "cp1252" and not octets.isascii() and (text := _strict(octets, "utf-8")) is not None:
        return text
    if (text := _strict(octets, name)) is not None:
        return _without_surrogates(text)
    if (text := _strict(octets, "utf-8")) is not None:
        return text
    text = octets.decode(name, "replace")
    if text.count("\ufffd") * 50 <= len(text) + 49:
        return _without_surrogates(text)
    return _without_surrogates(_guess(octets))


def decode_as(octets: bytes, charset: str) -> str:
    """As the reader says, whatever comes out of it, with U+FFFD for what does not fit. ``charset`` is a label of MENU;
    raises ValueError for any other that is no charset."""
    name = codec(charset)
    if name is None:
        raise ValueError(f"not a charset: {charset!r}")
    return _without_surrogates(octets.decode(name, "replace"))


def _undeclared(octets: bytes, hint: str) -> str:
    if octets.isascii() and b"\x1b" not in octets:
        return octets.decode("ascii")
    for mark, name in _BOMS:
        if octets.startswith(mark):
            return _without_surrogates(octets.decode(name, "replace"))
    if b"\x1b" in octets and (text := _escaped(octets)) is not None:
        return text
    if (text := _utf8(octets)) is not None:
        return text
    if hint and (hinted := codec(hint)) and (text := _strict(octets, hinted)) is not None:
        return _without_surrogates(text)
    return _without_surrogates(_guess(octets))


def _escaped(octets: bytes) -> str | None:
    """ISO-2022-JP and ISO-2022-KR by the escapes that only they have (RFC 1468, RFC 1557)."""
    if b"\x1b$)C" in octets:
        return _strict(octets, "iso2022_kr")
    if b"\x1b$" in octets or b"\x1b(J" in octets or b"\x1b(I" in octets:
        return _strict(octets, "iso2022_jp_ext")
    return None


def _utf8(octets: bytes) -> str | None:
    """UTF-8, forgiving the odd broken sequence if the rest shows that it is meant."""
    text = octets.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    if not broken:
        return text
    if b"\xed" in octets and (halves := _surrogates(octets)) is not None:
        return halves
    sound = len(octets) - len(text) + broken  # about the octets in well-formed sequences beyond the first of each
    return text if broken * 4 <= sound and sound > broken else None


def _surrogates(octets: bytes) -> str | None:
    """CESU-8 (UTR #26): UTF-8, but of the halves of surrogate pairs, as some databases and languages write it."""
    try:
        return octets.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeError:
        return None


def _strict(octets: bytes, name: str) -> str | None:
    try:
        return octets.decode(name)
    except (UnicodeError, ValueError):
        return None


def _without_surrogates(text: str) -> str:
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def _guess(octets: bytes) -> str:
    """Neither UTF-8 nor as declared. First by the letters that languages use most, then by statistics."""
    sample = octets[:GUESS_SAMPLE]
    if b"\x1b" in sample and (text := _escaped(octets)) is not None:
        return text
    if name := _utf16_without_mark(sample) or _by_letters(sample):
        return octets.decode(name, "replace")
    if len(_high(sample)) >= GUESS_LEAST:
        best = from_bytes(sample, steps=5, chunk_size=512, threshold=0.2).best()
        if best is not None and codec(best.encoding):
            return octets.decode(best.encoding, "replace")
    return octets.decode("cp1252", "replace")


_ASCII = bytes(range(128))


def _high(octets: bytes) -> bytes:
    return octets.translate(None, _ASCII)


def _utf16_without_mark(sample: bytes) -> str | None:
    """Latin text in UTF-16 has a NUL in every other octet."""
    if len(sample) < 8 or sample.count(0) * 3 < len(sample):
        return None
    return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"


_RUSSIAN, _CENTRAL = "оеаинтсрвлОЕАИНТСРВЛ", "ąćčďęěłńňřśšťůźżžőűýáéíóúăţş"
# The letters beyond ASCII that are commonest in what is written in each. The first of equals is taken.
_LATIN = (
    ("cp1252", "éèàêçñíóúüöäåæøßáâãõôœìòùþðÆØÅÄÖÜÉ"), ("cp1250", _CENTRAL), ("iso8859-2", _CENTRAL),
    ("cp1254", "ığşçöüİâ"), ("cp1257", "āčēģīķļņšūžąęėįųõäöü"),
)  # fmt: skip
_OTHER = (
    ("cp1251", _RUSSIAN), ("koi8-r", _RUSSIAN), ("cp866", _RUSSIAN), ("iso8859-5", _RUSSIAN),
    ("cp1253", "αοιετνσρκμςηπάόίέή"), ("cp1255", "יוהלאמרתשבנ"), ("cp1256", "اليمونرتبةدعسكحه"),
    ("cp874", "านรอกเงมยลวดทตสคบใไ่้ั"),
)  # fmt: skip
_LETTERS = {
    name: _high("".join(letters).encode(name, "ignore")) for table in (_LATIN, _OTHER) for name, letters in table
}
_ENOUGH = 0.5  # of the octets above 0x7F: what such a set of letters makes up of its own language and of no other
_HIGH_RUN = re.compile(rb"[\x80-\xff]{4,}")
_KANA = re.compile("[\u3041-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_HAN = re.compile("[\u4e00-\u9fff]")
_WIDE = re.compile("[\u3000-\u9fff\uac00-\ud7a3\uff00-\uffef]")


def _by_letters(sample: bytes) -> str | None:
    """Western text seldom has four octets above 0x7F in a row: where that is the rule it is of another script. Mail is
    seldom long enough for statistics; None in doubt."""
    high = _high(sample)
    if not high:
        return None
    foreign = sum(map(len, _HIGH_RUN.findall(sample))) * 2 > len(high)
    if name := _shift_jis(sample):
        return name
    share, name = max(
        ((_part(high, _LETTERS[name]), name) for name, _ in (_OTHER if foreign else _LATIN)), key=lambda found: found[0]
    )
    if share > _ENOUGH and not (foreign and share < 0.8 and name == "cp874" and _east_asian(sample)):
        return name
    return _east_asian(sample) if foreign else None


def _part(high: bytes, letters: bytes) -> float:
    return 1 - len(high.translate(None, letters)) / len(high)


def _east_asian(sample: bytes) -> str | None:
    """Of charsets whose characters are pairs of octets above 0xA0, and Big5, whose second octet may be lower."""
    if (text := _nearly(sample, "euc_jp")) and _share(_KANA, text) > 0.3:
        return "euc_jp"
    if (text := _nearly(sample, "euc_kr")) and _share(_HANGUL, text) > 0.8:
        return "cp949"
    if (text := _nearly(sample, "gb2312")) and _share(_HAN, text) > 0.5:
        return "gb18030"
    if (text := _nearly(sample, "big5")) and _share(_HAN, text) > 0.5:
        return "big5hkscs"
    return None


def _shift_jis(sample: bytes) -> str | None:
    text = _nearly(sample, "cp932")
    return "cp932" if text and _share(_KANA, text) > 0.3 else None


def _nearly(sample: bytes, name: str) -> str | None:
    """Decoded, if nothing but a character cut off at the end is wrong."""
    text = sample.decode(name, "replace")
    return text if "\ufffd" not in text[:-2] else None


def _share(script: re.Pattern[str], text: str) -> float:
    wide = len(_WIDE.findall(text))
    return len(script.findall(text)) / wide if wide else 0.0


_META = re.compile(
    rb"""<meta[^>]{1,200}?charset\s*=\s*["']?\s*([a-z0-9_:.-]{2,40})"""
    rb"""|<\?xml[^>]{1,100}?encoding=["']([a-z0-9_.-]{2,40})""",
    re.IGNORECASE,
)


def html_charset(octets: bytes) -> str:
    """The charset that HTML names itself in its first 4096 octets, or "". It counts for less than one declared by MIME."""
    match = _META.search(octets[:4096])
    label = (match[1] or match[2]).decode("ascii") if match else ""
    return "" if (codec(label) or "").startswith("utf-16") else label  # it could not be read here if it were
