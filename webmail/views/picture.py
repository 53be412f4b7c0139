"""The picture proxy: a remote picture that the person asked for, fetched by us, so that its sender learns nothing of them.

Signed URLs only, raster types only. Whether they show is looked up when a message is shown, never kept with it.
"""

from __future__ import annotations

import threading

from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail import pictures
from webmail.models import Message, RemotePermission
from webmail.views import listing
from webmail.views.parts import PART_POLICY
from webmail.views.redirection import back

_fetches = threading.BoundedSemaphore(4)  # a slow picture server must not hold every thread of the pages
FETCH_WAIT = 3.0  # seconds


@require_safe
@login_required
def show(request: Request, token: str) -> HttpResponse:
    try:
        account_id, url = pictures.read_token(token)
    except (signing.BadSignature, ValueError):
        return HttpResponse(status=403)
    if account_id not in {account.pk for account in request.user.account_list}:
        return HttpResponse(status=403)
    picture = pictures.kept(account_id, url)
    if picture is None:
        if not _fetches.acquire(timeout=FETCH_WAIT):
            return HttpResponse(status=503)
        try:
            picture = pictures.fetch(account_id, url)
        finally:
            _fetches.release()
    if not picture.type:
        return HttpResponse(status=404)
    try:
        with picture.file.open("rb") as file:
            response = HttpResponse(file.read(), content_type=picture.type)
    except FileNotFoundError:  # somebody cleared the storage: it is fetched again the next time
        picture.delete()
        return HttpResponse(status=404)
    response["Content-Security-Policy"] = PART_POLICY
    response["Cache-Control"] = "private, max-age=604800, immutable"
    return response


def pictures_always(request: Request, message: Message) -> bool:
    return pictures.always_from(request.user.pk, message.from_email)


def pictures_allowed(request: Request, message: Message) -> bool:
    return request.GET.get("pictures") == "1" or pictures_always(request, message)


@require_POST
@login_required
def permit(request: Request, pk: int) -> HttpResponse:
    """Always show (or no longer show) pictures from this sender, or from all at its domain."""
    sender = listing.own(request, pk).from_email.lower()
    allow = request.POST.get("allow", "sender")
    domain = pictures.at_domain(sender)
    if allow == "0":
        RemotePermission.objects.filter(user=request.user, sender__in=[sender, domain]).delete()
    elif "@" in sender:
        RemotePermission.objects.get_or_create(user=request.user, sender=domain if allow == "domain" else sender)
    return back(request, reverse("message", args=[pk]))
