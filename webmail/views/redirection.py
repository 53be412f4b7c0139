"""Where an action leads back to, and the notice it leaves there."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.requests import Request


class SeeOther(HttpResponseRedirect):
    """303: fetch the other page with GET, whatever this request was (RFC 9110 §15.4.4)."""

    status_code = 303


def back(request: Request, otherwise: str | None = None) -> HttpResponse:
    """To the page that the form names, if it is one of ours: in ``next``, or in the field that ``?then=`` names."""
    field = request.GET.get("then", "next")
    target = request.POST.get(field if field in ("here", "list") else "next", "")
    if not url_has_allowed_host_and_scheme(target, allowed_hosts=None) or not target.startswith("/"):
        target = otherwise or reverse("inbox")
    return SeeOther(target)


def notice(
    request: Request, text: str, undo: uuid.UUID | None = None, cancel: int | None = None, taken_back_at: str = ""
) -> None:
    """Said once at the foot of the next page; with Undo where there is one: of an action, of sending, or by a
    POST to an address."""
    way_back = taken_back_at or (
        reverse("undo", args=[undo]) if undo else reverse("submission-cancellation", args=[cancel]) if cancel else ""
    )
    messages.success(request, text, extra_tags=way_back)


def problem(request: Request, text: str, detail: str = "") -> None:
    messages.error(request, text, extra_tags=detail)
