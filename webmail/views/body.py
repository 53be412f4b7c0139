"""The text of a message as a document of its own, behind the wall."""

from __future__ import annotations

import secrets
from functools import cache
from gzip import GzipFile
from hashlib import sha256
from io import BytesIO
from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils import translation
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail import bodies, html, mime
from webmail.models import Message, MessageBody
from webmail.protocols.errors import MailError
from webmail.views import listing
from webmail.views.picture import pictures_allowed
from webmail.views.redirection import back
from webmail.views.trouble import unreadable
from webmail.views.unchanged import RANDOM_OCTETS

# The wall: no script, nothing from outside, no forms, framed by us only; a browser that opens it directly is as safe.
BODY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-same-origin; default-src 'none'; img-src 'self' data:; "
    "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
LEAST_COMPRESSED = 200  # octets; as Django has it


@require_safe
@login_required
def show(request: Request, pk: int) -> HttpResponse:
    """The body as a document of its own: sandboxed, script-less, with its own policy."""
    message = listing.own_alone(request, pk)
    try:
        kept = bodies.html_of(message)
    except MailError as error:
        return unreadable(request, message, error)
    pictures = bool(kept.remote) and pictures_allowed(request, message)
    mark = _mark(request, kept, pictures)
    unchanged = get_conditional_response(request, etag=mark) if mark else None
    if unchanged is not None:
        return _walled(unchanged, mark)
    octets = _document(request, message, kept, pictures).encode()
    if len(octets) < LEAST_COMPRESSED or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return _walled(HttpResponse(octets), mark)
    return _walled(HttpResponse(_compressed(octets), headers={"Content-Encoding": "gzip"}), mark)


def _mark(request: Request, kept: MessageBody, pictures: bool) -> str:
    """An ETag of all that a document of HTML depends on: the browser shows again what it has. That of plain text is made as
    fast as it is compared."""
    if not kept.facts["marked_up"]:
        return ""
    told = (kept.pk, kept.kept_at, kept.version, html.SHELLS, pictures, request.user.theme, translation.get_language())
    return f'W/"{sha256(repr((*told, request.META["QUERY_STRING"])).encode()).hexdigest()[:32]}"'


def _document(request: Request, message: Message, kept: MessageBody, pictures: bool) -> str:
    theme = cast(html.Theme, request.user.theme)
    if request.GET.get("as") == "text" or not kept.facts["marked_up"]:
        return html.document(
            html.text_to_html(kept.text), lang=translation.get_language() or "", plain=True, theme=theme
        )
    fragment = bodies.with_pictures(message, kept) if pictures else kept.html
    original = request.GET.get("colours") == "original"
    return html.document(fragment, plain=False, theme=theme, original=original)


def _compressed(octets: bytes) -> bytes:
    """The markup of a newsletter repeats itself so much that the quickest way is almost as short as any: a third of the time
    of level six for an eighth more. In the name of a file are random octets, as Django's GZipMiddleware has them against
    BREACH."""
    file = BytesIO()
    name = "a" * secrets.randbelow(RANDOM_OCTETS)
    with GzipFile(filename=name, mode="wb", compresslevel=1, fileobj=file, mtime=0) as packer:
        packer.write(octets)
    return file.getvalue()


def _walled(response: HttpResponse, mark: str) -> HttpResponse:
    response["Content-Security-Policy"] = BODY_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-cache"
    if mark:
        response["ETag"] = mark
    patch_vary_headers(response, ("Accept-Encoding",))
    return response


@require_POST
@login_required
def charset(request: Request, pk: int) -> HttpResponse:
    """Read it in the charset that the reader chose; with none, as it says itself."""
    message = listing.own(request, pk)
    chosen = request.POST.get("charset", "")
    if chosen not in dict(charset_names()) and chosen:
        raise Http404
    try:
        bodies.fetch(message, None, chosen)
    except MailError as error:
        return unreadable(request, message, error)
    return back(request, reverse("message", args=[pk]))


def charset_names() -> tuple[tuple[str, str], ...]:
    return _charset_names(translation.get_language())


@cache
def _charset_names(_language: str | None) -> tuple[tuple[str, str], ...]:
    return tuple((label, _(name)) for label, name in mime.CHARSETS)
