"""What a file is: by its first octets, not by what its sender says; and what in that is a reason to be careful.

The table of beginnings is ours and not a library's: it has the types that Postkasse shows, those that run, and what these
hide in, and each is as strict as that needs. Libraries that know a thousand types answer with the likeliest of several,
which is the wrong question to ask of something that wants to be taken for another.

Three words: the *type* is what the content is (RFC 6838, "" where the octets do not tell), the *kind* is what people
call it (``image``, ``sheet``, …) by its name and what was said of it, and a *danger* is one of DANGERS."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

LOOK = 4096  # octets of a beginning that are looked at
LOOK_END = 64 * 1024  # and of the end of a container, where its directory is

# Reasons to be asked once more before it is saved. What is only a caution is said and not asked.
DANGERS = ("disguised", "double", "program", "script", "shortcut", "disk", "page", "opener", "macros")
CAUTIONS = ("encrypted", "other")


def _starts(magic: bytes, at: int = 0) -> Callable[[bytes], bool]:
    return lambda head: head[at : at + len(magic)] == magic


def _is_windows_program(head: bytes) -> bool:
    return head[:2] == b"MZ" and b"\0" in head[:64]


def _is_bitmap(head: bytes) -> bool:
    """Two letters are too few to know it by: nothing is in the reserved field, and the picture begins within reach."""
    return head[:2] == b"BM" and head[6:10] == b"\0\0\0\0" and len(head) > 18 and head[10] in range(26, 255)


def _is_mp3(head: bytes) -> bool:
    """A tag before it, or a frame of layer III (ISO 11172-3 §2.4.1.3)."""
    frame = len(head) > 3 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[2] >> 4 not in (0, 15)
    return head[:3] == b"ID3" or frame


def _is_page(head: bytes) -> bool:
    """What a browser that guesses would take for HTML or SVG (WHATWG MIME Sniffing §7.1)."""
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\f").lower()
    while text.startswith(b"<!--") and b"-->" in text:
        text = text[text.index(b"-->") + 3 :].lstrip()
    if text.startswith((b"<?xml", b"<!doctype")):
        return any(tag in text[:2048] for tag in (b"<svg", b"<html", b"xhtml", b"doctype html", b"<script"))
    tags = (b"html", b"head", b"body", b"script", b"iframe", b"svg", b"style", b"title", b"meta", b"table", b"div")
    return any(text.startswith(b"<" + tag) and text[len(tag) + 1 : len(tag) + 2] in _ENDS_TAG for tag in tags)


_ENDS_TAG = (b">", b" ", b"\t", b"\r", b"\n", b"/", b"\f")
_BRANDS = {
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heic",
}
_BRANDS |= {b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}
_MACH_O = (b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")

_BEGINNINGS: tuple[tuple[str, Callable[[bytes], bool]], ...] = (
    ("image/png", _starts(b"\x89PNG\r\n\x1a\n")),
    ("image/jpeg", _starts(b"\xff\xd8\xff")),
    ("image/gif", lambda head: head[:6] in (b"GIF87a", b"GIF89a")),
    ("image/bmp", _is_bitmap),
    ("image/tiff", lambda head: head[:4] in (b"II*\0", b"MM\0*")),
    ("application/pdf", _starts(b"%PDF-")),
    ("application/zip", lambda head: head[:4] in (b"PK\3\4", b"PK\5\6")),
    ("application/x-ole-storage", _starts(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")),
    ("application/vnd.microsoft.portable-executable", _is_windows_program),
    ("application/x-elf", _starts(b"\x7fELF")),
    ("application/x-mach-binary", lambda head: head[:4] in _MACH_O),
    ("application/wasm", _starts(b"\0asm")),
    ("application/x-ms-shortcut", _starts(b"\x4c\0\0\0\x01\x14\x02\0")),
    ("application/onenote", _starts(b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d")),
    ("application/vnd.ms-htmlhelp", _starts(b"ITSF")),
    ("application/gzip", _starts(b"\x1f\x8b\x08")),
    ("application/x-bzip2", _starts(b"BZh")),
    ("application/x-xz", _starts(b"\xfd7zXZ\0")),
    ("application/x-7z-compressed", _starts(b"7z\xbc\xaf\x27\x1c")),
    ("application/vnd.rar", _starts(b"Rar!\x1a\x07")),
    ("application/zstd", _starts(b"\x28\xb5\x2f\xfd")),
    ("application/vnd.ms-cab-compressed", _starts(b"MSCF")),
    ("application/x-tar", _starts(b"ustar", 257)),
    ("application/rtf", _starts(b"{\\rtf")),
    ("video/webm", lambda head: head[:4] == b"\x1a\x45\xdf\xa3" and b"webm" in head[:64]),
    ("video/x-matroska", _starts(b"\x1a\x45\xdf\xa3")),
    ("audio/flac", _starts(b"fLaC")),
    ("audio/aac", lambda head: head[:1] == b"\xff" and head[1:2] in (b"\xf1", b"\xf9")),
    ("audio/mpeg", _is_mp3),
    ("text/x-script", _starts(b"#!")),
    ("text/html", _is_page),
)


def type_of(head: bytes) -> str:
    """The type of what begins so; ``text/plain`` for text of no other, "" for what is not known."""
    if head[:4] == b"RIFF" and head[8:12] in _RIFF:
        return _RIFF[head[8:12]]
    if head[4:8] == b"ftyp":  # ISO 14496-12 §4.3
        return _BRANDS.get(head[8:12], "video/mp4")
    if head[:4] == b"OggS":
        return "video/ogg" if b"theora" in head[:100] else "audio/ogg"
    for found, begins in _BEGINNINGS:
        if begins(head):
            return found
    return "text/plain" if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    return bool(head) and not head.translate(None, _IN_TEXT)


_IN_TEXT = bytes({*range(0x20, 0x7F), *range(0x80, 0x100), 7, 8, 9, 10, 12, 13, 27})

# --- what it is called --------------------------------------------------------------------------------------------

_NAMES = {
    "image": "png jpg jpeg jpe gif webp avif bmp tif tiff heic heif ico psd",
    "pdf": "pdf",
    "sheet": "xls xlsx xlsm xlsb xltx xltm ods csv tsv numbers",
    "doc": "doc docx docm dotx dotm odt rtf pages wpd",
    "slides": "ppt pptx pptm ppsx ppsm potx odp key",
    "archive": "zip 7z rar tar gz tgz bz2 xz zst cab lzh ace arj",
    "audio": "mp3 m4a aac ogg oga opus flac wav wma aif aiff amr mid",
    "video": "mp4 m4v mov webm mkv avi wmv mpg mpeg ogv 3gp",
    "calendar": "ics ical vcs",
    "contact": "vcf vcard",
    "mail": "eml msg mbox",
    "text": "txt log md markdown rst nfo diff patch",
    "code": "json xml yaml yml toml ini cfg conf css c h cc cpp rs go java kt py rb pl php sql ts tsx jsx lua tex html htm js svg",
}  # fmt: skip
_KINDS = {extension: kind for kind, extensions in _NAMES.items() for extension in extensions.split()}
_TYPES = {
    "text/calendar": "calendar", "application/ics": "calendar", "text/vcard": "contact", "text/x-vcard": "contact",
    "message/rfc822": "mail", "message/global": "mail", "application/pdf": "pdf", "text/csv": "sheet", "text/html": "code",
    "image/svg+xml": "code", "application/json": "code", "application/zip": "archive", "application/gzip": "archive",
    "application/x-tar": "archive", "application/x-7z-compressed": "archive", "application/vnd.rar": "archive",
    "application/msword": "doc", "application/rtf": "doc", "application/vnd.ms-excel": "sheet",
    "application/vnd.ms-powerpoint": "slides", "application/x-bzip2": "archive", "application/x-xz": "archive",
    "application/zstd": "archive", "text/x-script": "code",
}  # fmt: skip
_DANGEROUS = {
    "program": "exe com scr pif cpl msi msp msix appx dll sys ocx jar apk app deb rpm run elf appimage pkg mpkg xapk ipa class",
    "script": "js jse mjs vbs vbe vb ws wsf wsh wsc ps1 psm1 psd1 bat cmd hta sct sh bash zsh csh command scpt applescript pyw "
    "pyz ahk au3 action workflow",
    "shortcut": "lnk url website webloc desktop scf library-ms search-ms searchconnector-ms settingcontent-ms rdp appref-ms "
    "application theme themepack",
    "disk": "iso img vhd vhdx dmg udf vmdk",
    "page": "html htm xhtml xht shtml shtm svg svgz mht mhtml xsl xslt",
    "opener": "one onepkg chm hlp reg inf xll iqy slk gadget diagcab msc mst xbap grp cer inx isu job ade adp accde mde",
    "macros": "docm dotm xlsm xlsb xltm xlam xla pptm potm ppam ppsm sldm",
}  # fmt: skip
_DANGER_OF = {extension: danger for danger, extensions in _DANGEROUS.items() for extension in extensions.split()}
_RUNS = {
    "application/vnd.microsoft.portable-executable", "application/x-elf", "application/x-mach-binary", "application/wasm",
}  # fmt: skip
# What a picture, a film or a PDF is never: something that opens other things, or holds them.
_HIDES = _RUNS | {
    "application/x-ms-shortcut", "application/onenote", "application/vnd.ms-htmlhelp", "text/html", "text/x-script",
    "application/zip", "application/x-ole-storage", "application/x-7z-compressed", "application/vnd.rar",
    "application/vnd.ms-cab-compressed", "application/gzip",
}  # fmt: skip
_OF_CONTENT = {
    **dict.fromkeys(_RUNS, "program"), "application/x-ms-shortcut": "shortcut", "application/onenote": "opener",
    "application/vnd.ms-htmlhelp": "opener",
}  # fmt: skip
_DOCUMENTS = ("image", "pdf", "sheet", "doc", "slides", "audio", "video", "text", "calendar", "contact", "mail")
_OFFICE = ("doc", "sheet", "slides")


def extension_of(name: str) -> str:
    stem, dot, extension = name.rpartition(".")
    return extension.strip().lower() if dot and stem and len(extension) <= 20 else ""


def kind_of(name: str, declared: str) -> str:
    """What people call it, by its name, else by what is said of it; ``file`` for what neither tells."""
    if named := _KINDS.get(extension_of(name)):
        return named
    if found := _TYPES.get(declared):
        return found
    main, _slash, sub = declared.partition("/")
    if main in ("image", "audio", "video", "text"):
        return main
    for part, kind in (("spreadsheet", "sheet"), ("wordprocessing", "doc"), ("presentation", "slides")):
        if part in sub:
            return kind
    return "doc" if sub == "vnd.oasis.opendocument.text" else "file"


def dangers_of_name(name: str, declared: str = "") -> tuple[str, ...]:
    """What the name alone gives away."""
    extension = extension_of(name)
    danger = _DANGER_OF.get(extension)
    if not danger:
        return ("page",) if declared in ("text/html", "application/xhtml+xml", "image/svg+xml") else ()
    before = extension_of(name.rpartition(".")[0])
    return ("double", danger) if _KINDS.get(before) in _DOCUMENTS and danger != "macros" else (danger,)


@dataclass(frozen=True, slots=True)
class Verdict:
    """``dangers`` are of DANGERS and CAUTIONS, the worst first."""

    type: str
    dangers: tuple[str, ...] = ()


def judge(name: str, declared: str, head: bytes, end: bytes = b"") -> Verdict:
    """What a file is and what of it is a reason to be careful. ``head`` is its beginning, LOOK octets of it; ``end`` its
    end, where that could be had: the directory of a zip, or what ``ole_directory`` says is one."""
    found = type_of(head)
    kind = kind_of(name, declared)
    dangers = set(dangers_of_name(name, declared))
    if danger := _OF_CONTENT.get(found):
        dangers.add(danger)
    if (
        found == "text/html"
        and kind in ("file", "code", "text")
        and extension_of(name) not in ("txt", "md", "log", "xml")
    ):
        dangers.add("page")
    if _disguised(kind, found):
        dangers.add("disguised")
    elif _differs(kind, found):
        dangers.add("other")
    if found == "application/zip":
        dangers |= _of_zip(head, end)
    if found == "application/x-ole-storage" and any(word.encode("utf-16-le") in end for word in _VBA):
        dangers.add("macros")
    return Verdict(found, tuple(sorted(dangers, key=(*DANGERS, *CAUTIONS).index)))


_VBA = ("_VBA_PROJECT", "Macros")


def _disguised(kind: str, found: str) -> bool:
    if kind in ("image", "pdf", "audio", "video", "calendar", "contact"):
        return found in _HIDES
    return kind in _DOCUMENTS and (found in _OF_CONTENT or found == "text/x-script")


def _differs(kind: str, found: str) -> bool:
    """Whether a picture, film or PDF is none. One picture for another is nothing to speak of."""
    if kind == "pdf":
        return found not in ("application/pdf", "")
    main = found.partition("/")[0]
    if kind == "image":
        return main not in ("image", "")
    return kind in ("audio", "video") and main not in ("audio", "video", "")


def _of_zip(head: bytes, end: bytes) -> set[str]:
    """APPNOTE §4.3.7 and §4.3.12: flags of each file, bit 0 says that it is encrypted, and its name."""
    found = set()
    for octets, magic, flags_at in ((head, b"PK\3\4", 6), (end, b"PK\1\2", 8)):
        at = octets.find(magic)
        while at >= 0:
            if octets[at + flags_at : at + flags_at + 1] and octets[at + flags_at] & 1:
                found.add("encrypted")
            at = octets.find(magic, at + 4)
    if any(word in octets for octets in (head, end) for word in (b"vbaProject.bin", b"xl/macrosheets/")):
        found.add("macros")
    return found


def ole_directory(head: bytes) -> int | None:
    """Where the directory of a compound file begins ([MS-CFB] §2.2), None where ``head`` does not tell."""
    if len(head) < 52:
        return None
    shift, sector = struct.unpack_from("<H", head, 30)[0], struct.unpack_from("<I", head, 48)[0]
    return (sector + 1) << shift if shift in (9, 12) and sector < 1 << 24 else None


# --- what is shown ------------------------------------------------------------------------------------------------

PDF = "application/pdf"
RASTER = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"})
DRAWN = RASTER | {"image/tiff"}  # of what thumbnails are made
AUDIO = frozenset({"audio/mpeg", "audio/mp4", "audio/aac", "audio/ogg", "audio/flac", "audio/wav"})
VIDEO = frozenset({"video/mp4", "video/webm", "video/ogg", "video/quicktime"})


def shown_as(type: str, declared: str, name: str) -> str:
    """How a file of this content is shown: ``image``, ``pdf``, ``audio``, ``video``, ``text``, ``mail``; "" for not.
    Markup is shown as the text that it is."""
    if type in RASTER:
        return "image"
    if type in AUDIO:
        return "audio"
    if type in VIDEO:
        return "video"
    if type == "application/pdf":
        return "pdf"
    if declared in ("message/rfc822", "message/global") or extension_of(name) == "eml":
        return "mail" if type in ("text/plain", "") else ""
    return "text" if type in ("text/plain", "text/html", "text/x-script", "application/rtf") else ""


def may_be_shown(name: str, declared: str) -> bool:
    """By what is said of it, before anybody has looked."""
    kind = kind_of(name, declared)
    if kind == "image":
        return extension_of(name) not in ("tif", "tiff", "heic", "heif", "ico", "psd")
    return kind in ("pdf", "audio", "video", "calendar", "contact", "mail", "text", "code") or declared == "text/csv" or (
        extension_of(name) in ("csv", "tsv")
    )  # fmt: skip
