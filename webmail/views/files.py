"""The files of a message, as its page lists them."""

from __future__ import annotations

import mimetypes
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from webmail import mime
from webmail.models import Message

SHEETS = {
    "csv",
    "vnd.ms-excel",
    "vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "vnd.oasis.opendocument.spreadsheet",
}


def listed(row: Message, part: mime.BodyPart) -> dict[str, Any]:
    main, _slash, sub = part.type.partition("/")
    kind = (
        "img"
        if main == "image"
        else "pdf"
        if sub == "pdf"
        else "cal"
        if sub == "calendar"
        else "sheet"
        if sub in SHEETS
        else ""
    )
    icon = {"img": "image", "pdf": "file-text", "cal": "calendar", "sheet": "file-sheet"}.get(kind, "file")
    size = part.size * 3 // 4 if part.encoding == "base64" else part.size
    name = part.name or _named_by_type(part.type)
    return {"name": name, "kind": kind, "icon": icon, "size": size, "url": reverse("part", args=[row.pk, part.part_id])}


def _named_by_type(kind: str) -> str:
    """For a part that its sender gave no name."""
    if kind == "message/rfc822":
        return _("message") + ".eml"
    if kind == "text/calendar":
        return _("invitation") + ".ics"
    if kind == "message/delivery-status":
        return _("delivery report") + ".txt"
    return _("attachment") + (mimetypes.guess_extension(kind) or "")
