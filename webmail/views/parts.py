"""The parts of a message and the whole of it, as downloads; a picture of a kind that browsers decode safely may show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import bodies, mime
from webmail.protocols.errors import MailError
from webmail.views.listing import own_alone
from webmail.views.trouble import unreadable

PART_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'"
# Shown in the page; anything else is a download. Checked against the content, not against what the sender says.
RASTER = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}
# Types that a download keeps; any other is octets. Never one that a page of ours could load as script, style or markup.
HARMLESS = {
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "application/pdf",
    "application/zip",
    "message/rfc822",
}


@require_safe
@login_required
def part(request: Request, pk: int, part_id: str) -> HttpResponseBase:
    """A part as a download; a picture of a kind that browsers decode safely may show in the page."""
    message = own_alone(request, pk)
    try:
        opened = bodies.open_part(message, part_id)
        chunks = iter(opened.chunks)
        first = next(chunks, b"")
    except MailError as error:
        return unreadable(request, message, error)
    kind = sniff(first) if request.GET.get("inline") == "1" else None
    response = StreamingHttpResponse(_joined(first, chunks), content_type=kind or "application/octet-stream")
    name = opened.part.name or ("message.eml" if opened.part.type == "message/rfc822" else "attachment")
    if kind is None:
        declared = opened.part.type
        if declared in HARMLESS:
            response["Content-Type"] = declared
        response["Content-Disposition"] = disposition(name)
    return _hardened(response)


def sniff(octets: bytes) -> str | None:
    """The type of a raster image by its first octets, None for anything else."""
    for magic, kind in RASTER.items():
        if octets.startswith(magic) and (kind != "image/webp" or octets[8:12] == b"WEBP"):
            return kind
    return None


def _joined(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def disposition(name: str) -> str:
    """RFC 6266 §4: a plain name for old readers, the true one beside it."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _hardened(response: StreamingHttpResponse) -> HttpResponseBase:
    response["Content-Security-Policy"] = PART_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache"
    return response


@require_safe
@login_required
def download(request: Request, pk: int) -> HttpResponseBase:
    message = own_alone(request, pk)
    try:
        chunks = bodies.open_whole(message)
    except MailError as error:
        return unreadable(request, message, error)
    response = StreamingHttpResponse(chunks, content_type="message/rfc822")
    response["Content-Disposition"] = disposition((mime.safe_name(message.subject) or _("message"))[:80] + ".eml")
    return _hardened(response)


@require_safe
@login_required
def source(request: Request, pk: int) -> HttpResponse:
    """The message as it came over the wire, as text."""
    message = own_alone(request, pk)
    try:
        text = bodies.header_of(message)
    except MailError as error:
        return unreadable(request, message, error)
    return render(request, "webmail/source.html", {"message": message, "text": text})
