"""The request as views of signed-in people see it, after the middleware has been at it."""

from __future__ import annotations

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts.models import User


class Request(HttpRequest):
    user: User
    htmx: HtmxDetails
    heard: str  # id of the newest event when the page began to be made (webmail/events.py)
