"""The parts of a message and the whole of it, as downloads; what browsers show safely may show.

    GET  part            a download; of what is dangerous (mime/kinds.py), the page that says why
    POST part            a download, all the same
    GET  part?inline=1   a picture within a message: raster by its own octets, else a download
    GET  part?shown=1    for a page that shows files: raster, PDF, sound, film by its own octets, else a download

None of them is ever served with a type that runs, and all are in a sandbox but PDF, whose viewer Chromium keeps out of
one; it runs at an origin of its own and the policy leaves it nothing to load. As that viewer runs script of a PDF, only one that
certainly has none is shown (mime/pdf.py)."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Iterator
from urllib.parse import quote

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.requests import Request
from webmail import bodies, files, inspection, mime
from webmail.mime import kinds
from webmail.models import FileFinding
from webmail.protocols.errors import MailError
from webmail.views import ranges
from webmail.views.listing import own_alone
from webmail.views.trouble import unreadable

log = logging.getLogger(__name__)
PART_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'"
PDF_POLICY = (
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
MOST_PLACED = 64 * 1024 * 1024  # octets of a file that is decoded onto the disk to find a place in it
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


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def part(request: Request, pk: int, part_id: str) -> HttpResponseBase:
    message = own_alone(request, pk)
    try:
        file = files.find(message, part_id)
        finding = inspection.inspect(file)
        shown = shown_type(request, file, finding)
        if not shown and request.method != "POST" and set(finding.dangers) & set(kinds.DANGERS):
            return redirect("preview", pk, part_id)
        try:
            return _served(request, file, shown)
        except files.Irregular:  # which is known now, and nothing of the answer has left
            return _served(request, file, shown)
    except MailError as error:
        return unreadable(request, message, error)


def shown_type(request: Request, file: files.File, finding: FileFinding) -> str:
    """The type it is shown with, "" if it is to be saved. Raises MailError."""
    if finding.type == kinds.PDF:
        return kinds.PDF if request.GET.get("shown") == "1" and inspection.is_still(file, finding) else ""
    if request.GET.get("inline") == "1" and finding.type in kinds.RASTER:
        return finding.type
    if request.GET.get("shown") == "1" and finding.type in kinds.RASTER | kinds.AUDIO | kinds.VIDEO:
        return finding.type
    return ""


def _served(request: Request, file: files.File, shown: str) -> HttpResponseBase:
    """Raises MailError as long as nothing of the answer has left."""
    etag = f'"{file.message.pk}-{file.part.part_id}-{file.part.size}{"-" + shown if shown else ""}"'
    if ranges.unchanged(request, etag):
        return hardened(HttpResponse(status=304), shown, etag)
    if ranges.asked(request) and file.size is None and file.part.size <= MOST_PLACED:
        file.to_disk()
    try:
        span = ranges.span_of(request, file.size, etag) if file.size is not None else None
    except ranges.Unsatisfiable:
        file.close()
        return hardened(HttpResponse(status=416, headers={"Content-Range": f"bytes */{file.size}"}), shown, etag)
    if request.method == "HEAD":
        response: HttpResponseBase = HttpResponse()
    else:
        response = StreamingHttpResponse(started(file, *(span[:2] if span else (0, None))), status=206 if span else 200)
    if span:
        response["Content-Range"] = span.content_range
    if file.size is not None:
        response["Accept-Ranges"] = "bytes"
        response["Content-Length"] = str(span.stop - span.start if span else file.size)
    response["Content-Type"] = shown or (file.part.type if file.part.type in HARMLESS else "application/octet-stream")
    if not shown:
        response["Content-Disposition"] = disposition(file.name or _nameless(file.part))
    return hardened(response, shown, etag)


def started(file: files.File, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Its octets; the first of them are read at once, so that an error comes before any answer does. One that comes later
    ends the connection, for the browser to tell. Raises MailError."""
    chunks = _watched(file, start, stop)
    first = next(chunks, b"")
    return itertools.chain([first], chunks)


def _watched(file: files.File, start: int, stop: int | None) -> Iterator[bytes]:
    try:
        yield from file.octets(start, stop)
    except files.Irregular:
        inspection.irregular(file)
        raise
    except MailError as error:
        log.warning("file %s of message %s broke off: %s", file.part.part_id, file.message.pk, error)
        raise
    finally:
        file.close()


def _nameless(part: mime.BodyPart) -> str:
    return "message.eml" if part.type == "message/rfc822" else "attachment"


def disposition(name: str) -> str:
    """RFC 6266 §4: a plain name for old readers, the true one beside it."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def hardened(response: HttpResponseBase, shown: str = "", etag: str = "") -> HttpResponseBase:
    response["Content-Security-Policy"] = PDF_POLICY if shown == kinds.PDF else PART_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-cache"
    response["Content-Encoding"] = "identity"  # compressed, places in it would be other ones
    if etag:
        response["ETag"] = etag
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
    return hardened(response)


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
