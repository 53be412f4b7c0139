"""Several files as one zip (APPNOTE 6.3), written while they are read: nothing of them is held but the chunk at hand."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.utils import timezone

from webmail import files, inspection
from webmail.mime import kinds
from webmail.models import FileFinding
from webmail.protocols.errors import MailError

log = logging.getLogger(__name__)
LARGE = 2**31  # octets from which on an entry needs the long form of its sizes
LONGEST = 120  # characters of a name
# What is compressed already: by content, and documents that are zips themselves.
_PACKED = kinds.RASTER | kinds.AUDIO | kinds.VIDEO | {
    "application/zip", "application/gzip", "application/x-bzip2", "application/x-xz", "application/x-7z-compressed",
    "application/vnd.rar", "application/zstd", "application/vnd.ms-cab-compressed", "image/heic", "video/x-matroska",
}  # fmt: skip
_PACKED -= {"image/bmp", "audio/wav"}
_RESERVED = re.compile(
    r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)", re.IGNORECASE
)  # devices of Windows


@dataclass(frozen=True, slots=True)
class Entry:
    name: str
    file: files.File
    finding: FileFinding


class _Pipe:
    """What zipfile writes to, and what is taken from it again at once. It cannot be sought in, so zipfile gives sizes
    after each entry."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, octets: bytes) -> int:
        self._written.append(bytes(octets))
        return len(octets)

    def flush(self) -> None:
        """There is nothing below."""

    def close(self) -> None:
        """It is let go by whoever reads it."""

    def taken(self) -> bytes:
        octets, self._written = b"".join(self._written), []
        return octets


def names(wished: Sequence[str]) -> list[str]:
    """Safe as file names on any system, and no two the same there (of ``mime.safe_name`` each)."""
    taken: set[str] = set()
    found = []
    for name in wished:
        stem, dot, extension = name.rpartition(".")
        if not dot or len(extension) > 20:
            stem, extension = name, ""
        if _RESERVED.fullmatch(stem.partition(".")[0].strip()):
            stem = "_" + stem
        stem, ending, number = stem[:LONGEST], "." + extension if extension else "", 1
        unique = stem + ending
        while unique.casefold() in taken:
            number += 1
            unique = f"{stem} ({number}){ending}"
        taken.add(unique.casefold())
        found.append(unique)
    return found


def zipped(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Raises MailError in the middle: what was sent until then has no directory and is seen to be none."""
    pipe = _Pipe()
    writer = zipfile.ZipFile(pipe, "w")
    for entry in entries:
        try:
            yield from _added(writer, pipe, entry)
        except MailError as error:
            if isinstance(error, files.Irregular):
                inspection.irregular(entry.file)
            log.warning("zip of message %s broke off: %s", entry.file.message.pk, error)
            raise
    writer.close()
    yield pipe.taken()


def _added(writer: zipfile.ZipFile, pipe: _Pipe, entry: Entry) -> Iterator[bytes]:
    when = timezone.localtime(entry.file.message.received_at)
    info = zipfile.ZipInfo(entry.name, (max(1980, min(when.year, 2107)), *when.timetuple()[1:6]))
    info.compress_type = zipfile.ZIP_STORED if entry.finding.type in _PACKED else zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16  # for the owner, and nothing that can be run
    with writer.open(info, "w", force_zip64=entry.file.part.size >= LARGE) as target:
        for chunk in entry.file.octets():
            target.write(chunk)
            if octets := pipe.taken():
                yield octets
    yield pipe.taken()
