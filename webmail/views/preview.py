"""One file of a message in a page of its own: what it is, what to be careful of, and how it looks where that is safe."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, BinaryIO, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import files, html, inspection, mime
from webmail.mime import kinds
from webmail.models import FileFinding, Message
from webmail.protocols.base import CHUNK
from webmail.protocols.errors import MailError, TooLarge
from webmail.views import navigation, ranges
from webmail.views.files import listed
from webmail.views.listing import own_alone
from webmail.views.parts import hardened
from webmail.views.trouble import unreadable

MOST_TEXT = 1024 * 1024  # octets of a text that are shown
MOST_MAIL = 16 * 1024 * 1024  # octets of a message that is looked into


@require_safe
@login_required
def show(request: Request, pk: int, part_id: str) -> HttpResponse:
    message = own_alone(request, pk)
    try:
        file = files.find(message, part_id)
        finding = inspection.inspect(file)
        entry = listed(message, file.part, finding)
        how = kinds.shown_as(finding.type, file.part.type, entry["name"])
        if how == "pdf" and not inspection.is_still(file, finding):
            how = ""
        shown = {"how": how, "moves": finding.still is False} | _read(file, how)
    except MailError as error:
        return unreadable(request, message, error)
    context = {
        **navigation.context(request),
        **_beside(message, file.part),
        "m": message,
        "f": entry,
        "back": reverse("message", args=[pk]),
        "shown": shown,
        "shown_url": f"{entry['url']}?shown=1",
    }
    return render(request, "webmail/preview.html", context)


def _beside(message: Message, part: mime.BodyPart) -> dict[str, Any]:
    """The files before and after it, and which one it is. One that stands in the text has none."""
    root = message.body_part
    ids = [one.part_id for one in mime.select_bodies(root).attachments] if root else []
    if part.part_id not in ids:
        return {"count": 1, "number": 1}
    at = ids.index(part.part_id)
    before = reverse("preview", args=[message.pk, ids[at - 1]]) if at else ""
    after = reverse("preview", args=[message.pk, ids[at + 1]]) if at + 1 < len(ids) else ""
    return {"count": len(ids), "number": at + 1, "before": before, "after": after}


def _read(file: files.File, how: str) -> dict[str, Any]:
    """What is shown within the page itself. Raises MailError."""
    if how == "text":
        octets = file.head(MOST_TEXT + 1)
        kind = file.part.type if file.part.type.startswith("text/") else "text/plain"
        text = mime.decode_text(octets[:MOST_TEXT], file.part.charset, kind)
        return {"text": text, "cut": len(octets) > MOST_TEXT}
    if how == "mail":
        try:
            file.to_disk(MOST_MAIL)
        except TooLarge:
            return {"how": ""}
        with closing(file):
            return _mail(file)
    return {}


def _mail(file: files.File) -> dict[str, Any]:
    """A message within the message: who it is from, and its text as text. Nothing in it is fetched or linked."""
    raw = file.on_disk
    assert raw is not None
    raw.seek(0)
    header = mime.parse_header(raw.read(MOST_TEXT))
    root = mime.parse_structure(raw)
    reading = mime.read_message(root, lambda part, most: mime.part_octets(raw, part, 0, most) if part else _whole(raw))
    text = "\n".join(
        html.html_to_text(read.text) if read.part.type == "text/html" else read.text for read in reading.text
    )
    people = [(_("From"), header.from_), (_("To"), header.to), (_("Cc"), header.cc)]
    return {
        "subject": header.subject,
        "people": [(title, ", ".join(map(mime.format_address, some))) for title, some in people if some],
        "date": header.date,
        "text": text[:MOST_TEXT],
        "cut": any(read.cut for read in reading.text) or len(text) > MOST_TEXT,
        "within": [part.name or part.type for part in mime.select_bodies(reading.root).attachments],
    }


def _whole(raw: BinaryIO) -> Iterator[bytes]:
    raw.seek(0)
    return iter(lambda: raw.read(CHUNK), b"")


@require_safe
@login_required
def thumbnail(request: Request, pk: int, part_id: str) -> HttpResponseBase:
    """As a worker has made it; 404 where none has."""
    message = own_alone(request, pk)
    row = FileFinding.objects.filter(message=message, part_id=part_id, width__gt=0).first()
    if row is None or row.thumbnail is None:
        raise Http404
    etag = f'"{row.pk}-{row.width}-{row.height}"'
    if ranges.unchanged(request, etag):
        return hardened(HttpResponse(status=304), "", etag)
    return hardened(HttpResponse(bytes(cast(bytes, row.thumbnail)), content_type="image/webp"), "", etag)
