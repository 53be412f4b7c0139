"""Attachments of the sample letters, made by code: small, valid, the same each time."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class File:
    name: str
    type: str
    data: bytes


def pdf(name: str, title: str, *lines: str) -> File:
    """One A4 page of text. Characters outside windows-1252 become question marks."""
    shown = [f"BT /F1 20 Tf 60 770 Td ({_pdf_text(title)}) Tj ET"]
    shown += [f"BT /F1 11 Tf 60 {730 - 18 * row} Td ({_pdf_text(line)}) Tj ET" for row, line in enumerate(lines)]
    content = "\n".join(shown).encode("cp1252", "replace")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        table,
        len(out),
    )
    return File(name, "application/pdf", bytes(out))


def _pdf_text(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def png(name: str, width: int, height: int, paint: Callable[[int, int], Colour]) -> File:
    """A picture; ``paint`` gives the colour of a point, x and y from 0 to 999 over the whole picture."""
    rows = bytearray()
    for y in range(height):
        rows.append(0)
        for x in range(width):
            rows += bytes(paint(x * 1000 // width, y * 1000 // height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(bytes(rows), 9)), (b"IEND", b"")
    return File(name, "image/png", b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(*chunk) for chunk in chunks))


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@cache
def fjord(name: str, sky: Colour = (214, 228, 238), water: Colour = (52, 94, 124)) -> File:
    """A drawn view: sky, two ridges, water."""

    def paint(x: int, y: int) -> Colour:
        if y > 640:
            return water if (y // 12) % 2 else tuple(min(255, part + 10) for part in water)  # type: ignore[return-value]
        if y > 420 + abs(x - 700) // 3:
            return 74, 98, 92
        if y > 300 + abs(x - 300) // 2:
            return 122, 140, 148
        return tuple(min(255, part + y // 20) for part in sky)  # type: ignore[return-value]

    return png(name, 320, 200, paint)


def csv(name: str, *rows: str) -> File:
    return File(name, "text/csv", ("\r\n".join(rows) + "\r\n").encode())


def archive(name: str, **members: str) -> File:
    """A ZIP file; a member's name is its keyword with __ for the dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for member, text in members.items():
            file.writestr(zipfile.ZipInfo(member.replace("__", "."), (2026, 1, 1, 12, 0, 0)), text)
    return File(name, "application/zip", out.getvalue())


def vcard(name: str, full_name: str, address: str, telephone: str) -> File:
    family = full_name.rsplit(" ", 1)[-1]
    given = full_name.removesuffix(family).strip()
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"N:{family};{given};;;", f"FN:{full_name}"]
    lines += [f"EMAIL;TYPE=INTERNET:{address}", f"TEL;TYPE=CELL:{telephone}", "END:VCARD"]
    return File(name, "text/vcard", ("\r\n".join(lines) + "\r\n").encode())


def calendar(
    starts: datetime,
    hours: float,
    summary: str,
    place: str,
    *,
    uid: str,
    organizer: str = "",
    attendees: tuple[str, ...] = (),
) -> str:
    """An iCalendar text (RFC 5545); with an organizer it is an invitation (RFC 5546, METHOD:REQUEST)."""
    start, end = starts.astimezone(UTC), (starts + timedelta(hours=hours)).astimezone(UTC)
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Postkasse//Sample//EN"]
    lines += ["METHOD:REQUEST"] if organizer else ["METHOD:PUBLISH"]
    lines += ["BEGIN:VEVENT", f"UID:{uid}", f"DTSTAMP:{start - timedelta(days=3):%Y%m%dT%H%M%SZ}"]
    lines += [f"DTSTART:{start:%Y%m%dT%H%M%SZ}", f"DTEND:{end:%Y%m%dT%H%M%SZ}", f"SUMMARY:{_ics_text(summary)}"]
    lines += [f"LOCATION:{_ics_text(place)}", "SEQUENCE:0", "STATUS:CONFIRMED"]
    if organizer:
        lines.append(f"ORGANIZER:mailto:{organizer}")
    lines += [f"ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{guest}" for guest in attendees]
    lines += ["END:VEVENT", "END:VCALENDAR"]
    return "\r\n".join(_fold(line) for line in lines) + "\r\n"


def _ics_text(text: str) -> str:
    return text.replace("\\", r"\\").replace(";", r"\;").replace(",", r"\,").replace("\n", r"\n")


def _fold(line: str) -> str:
    """RFC 5545 §3.1: lines of at most 75 octets. ASCII lines split at 74; ours with other letters are shorter."""
    pieces = [line[:74]] + [line[at : at + 73] for at in range(74, len(line), 73)]
    return "\r\n ".join(pieces)
