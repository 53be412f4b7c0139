"""Small pictures of pictures, made by workers only: the web process never decodes what a stranger sent.

The formats are those of the raster allowlist, the octets and the pixels are bounded before anything is decoded, what
cannot be drawn is remembered as such, and nothing of the picture's metadata is in the result."""

from __future__ import annotations

import io
import logging
from typing import TYPE_CHECKING, BinaryIO

from webmail import connections, events, files, inspection
from webmail.mime import kinds
from webmail.models import FileFinding, Message
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError, TooLarge

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "BMP", "TIFF")
BOX = (240, 160)  # pixels; shown at half of that, for dense screens
MOST_PIXELS = 24_000_000  # about 100 MB decoded
MOST_PIXELS_JPEG = 50_000_000  # decoded at the size that is wanted; 6 octets each where it is in several scans
MOST_AHEAD = 1_500_000  # encoded octets of a picture that is drawn before anybody opens the message
NUMBER_AHEAD = 4  # of them in a message
QUALITIES = (72, 45, 20)
MOST_OCTETS = 12 * 1024


class Undrawable(Exception):
    """It is broken, over a bound, or of no format that is drawn."""


def make_all(message: Message, store: MailStore | None = None, ahead: bool = False) -> int:
    """Of its pictures that have none; how many were made. ``ahead`` of any opening: of the first few that are small, and
    all its files are looked at by the way. Raises MailError if the connection is lost."""
    if store is None and not message.blob:
        with connections.store_of(message.account) as opened:
            return make_all(message, opened, ahead)
    wanted = [found for found in inspection.look_at_all(message, store, cheaply=ahead) if _wanted(*found)]
    if ahead:
        wanted = [(file, row) for file, row in wanted if file.part.size <= MOST_AHEAD][:NUMBER_AHEAD]
    made = sum(make(file, row) for file, row in wanted)
    if made:
        events.mark(message.account.user_id)
    return made


def _wanted(file: files.File, row: FileFinding) -> bool:
    return row.type in kinds.DRAWN and inspection.awaits_thumbnail("image", file.part, row)


def make(file: files.File, row: FileFinding) -> bool:
    """Whether there is one now. Raises MailError if the connection is lost."""
    rows = FileFinding.objects.filter(pk=row.pk)
    try:
        file.to_disk(inspection.MOST_DRAWN)
        rows.update(refused=True)  # whatever becomes of this process, nobody tries again
        assert file.on_disk is not None
        octets, (width, height) = draw(file.on_disk)
    except (Undrawable, TooLarge) as error:
        log.info("no thumbnail of file %s of message %s: %s", file.part.part_id, file.message.pk, error)
        rows.update(refused=True)
        return False
    except MailError as error:
        if error.connection_lost:
            raise
        log.info("thumbnail of file %s of message %s: %s", file.part.part_id, file.message.pk, error)
        return False
    finally:
        file.close()
    return bool(rows.update(thumbnail=octets, width=width, height=height, refused=False))


def draw(source: BinaryIO) -> tuple[bytes, tuple[int, int]]:
    """WebP, and its size in pixels as it is to be shown on a screen of ordinary density. Raises Undrawable."""
    from PIL import Image, ImageOps  # here, so that only workers load it

    source.seek(0)
    try:
        with Image.open(source, formats=FORMATS) as image:
            _check(image)
            image.draft("RGB", (BOX[0] * 2, BOX[1] * 2))
            small = ImageOps.exif_transpose(image)
            small.thumbnail(BOX)
            small = small.convert("RGBA" if small.has_transparency_data else "RGB")
    except Undrawable:
        raise
    except Exception as error:  # a decoder may raise anything at what was made to break it
        raise Undrawable(f"{type(error).__name__}: {error}"[:200]) from error
    small.info = {}
    return _written(small), (max(1, small.width // 2), max(1, small.height // 2))


def _check(image: Image.Image) -> None:
    """Before anything of it is decoded."""
    pixels = image.width * image.height
    if not 0 < pixels <= (MOST_PIXELS_JPEG if image.format == "JPEG" else MOST_PIXELS):
        raise Undrawable(f"{image.width} by {image.height} pixels")


def _written(image: Image.Image) -> bytes:
    for quality in QUALITIES:
        out = io.BytesIO()
        image.save(out, "WEBP", quality=quality, method=4, exif=b"", icc_profile=b"", xmp=b"")
        if out.tell() <= MOST_OCTETS:
            return out.getvalue()
    raise Undrawable(f"{out.tell()} octets at the least")
