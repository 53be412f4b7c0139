"""The text of a message as a document of its own, behind the wall."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils import translation
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

# The wall: no script, nothing from outside, no forms, framed by us only; a browser that opens it directly is as safe.
BODY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-same-origin; default-src 'none'; img-src 'self' data:; "
    "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


@require_safe
@login_required
def show(request: Request, pk: int) -> HttpResponse:
    """The body as a document of its own: sandboxed, script-less, with its own policy."""
    message = listing.own_alone(request, pk)
    try:
        kept = bodies.body_of(message)
    except MailError as error:
        return unreadable(request, message, error)
    return _walled(_document(request, message, kept))


def _document(request: Request, message: Message, kept: MessageBody) -> str:
    theme = cast(html.Theme, request.user.theme)
    if not kept.source or request.GET.get("as") == "text":
        return html.document(
            html.text_to_html(kept.text), lang=translation.get_language() or "", plain=True, theme=theme
        )
    fragment = bodies.with_pictures(message, kept) if kept.remote and pictures_allowed(request, message) else kept.html
    original = request.GET.get("colours") == "original"
    return html.document(fragment, plain=False, theme=theme, original=original)


def _walled(document: str) -> HttpResponse:
    response = HttpResponse(document)
    response["Content-Security-Policy"] = BODY_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-cache"
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
