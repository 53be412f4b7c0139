"""The smallest Django there is, served as ours is: no middleware, one view that says nothing. What it takes to answer is
the unit that figures are compared in, because machines differ."""

from __future__ import annotations

from typing import Any

from a2wsgi import WSGIMiddleware
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import path

if not settings.configured:
    settings.configure(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], MIDDLEWARE=[], SECRET_KEY="none", LOGGING_CONFIG=None
    )

from django.core.wsgi import get_wsgi_application


def nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(b"")


urlpatterns = [path("", nothing)]
application: Any = WSGIMiddleware(get_wsgi_application(), workers=12)  # type: ignore[arg-type]
