"""Pages that nothing has changed since are not made twice: a list gone back to, a message reopened, a second tab.

Whatever changes what a person sees is announced to their open pages (webmail/events.py), and so is each request of theirs
that may change something, here. So the id of their newest event names the state of their mail: a page made in one state
is right for as long as that state lasts. Announcements follow the commit; a page that was made in between is one too new
for its state, never one too old.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse
from django.utils.text import compress_string
from django.utils.translation import get_language

from accounts.requests import Request
from webmail import events

RANDOM_OCTETS = 100  # in the compressed page, as Django's GZipMiddleware adds them against BREACH
HEADERS = ("HX-Request", "HX-Target", "HX-Boosted")  # what a page may be cut by
SAFE = ("GET", "HEAD", "OPTIONS")


def announced(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """After a request that may have changed something: what was made before it is not shown again."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.method not in SAFE and request.user.is_authenticated:
            events.mark(request.user.pk)
        return response

    return middleware


def while_unchanged(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """For views of signed-in people that answer GET with a page. One that is told not to be stored is not remembered, and
    none is that says something once, or before the browser has the cookie its forms need."""

    @wraps(view)
    def once(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        request.heard = events.last_id(request.user.pk)  # before anything is read
        key = _key(request)
        if not key or len(messages.get_messages(request)):
            return view(request, *args, **kwargs)
        kept = caches["pages"].get(key)
        if kept is None:
            response = view(request, *args, **kwargs)
            if not _lasts(request, response):
                return response
            kept = compress_string(response.content, max_random_bytes=RANDOM_OCTETS)
            caches["pages"].set(key, kept)
        answer = HttpResponse(kept, headers={"Content-Encoding": "gzip", "Vary": "Accept-Encoding, Cookie"})
        answer["Content-Length"] = str(len(kept))
        return answer

    return once


def _lasts(request: Request, response: HttpResponse) -> bool:
    return (
        response.status_code == 200
        and not response.has_header("Cache-Control")
        and not response.cookies
        and request.META.get("CSRF_COOKIE") == request.COOKIES.get(settings.CSRF_COOKIE_NAME)
    )


def _key(request: Request) -> str:
    """All that the answer depends on; "" if it must be made anew, as where Redis has forgotten everything."""
    cookie = request.COOKIES.get(settings.CSRF_COOKIE_NAME, "")
    if request.heard in ("", "0-0") or not cookie or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return ""
    asked = [request.headers.get(name, "") for name in HEADERS]
    told = (request.user.pk, request.session.session_key, cookie, request.heard, get_language(), *asked)
    return sha256(repr((*told, request.get_full_path())).encode()).hexdigest()
