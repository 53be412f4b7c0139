"""The picture proxy: a remote picture that the person asked for, fetched by us, so that its sender learns nothing of them.

Signed URLs only, raster types only. Whether they show is looked up when a message is shown, never kept with it.
"""

from __future__ import annotations

import http.client
import threading

from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail import outside
from webmail.bodies import PROXY_SALT, PROXY_SECONDS
from webmail.models import Message, RemotePermission
from webmail.prepared import Address, Integer, Prepared
from webmail.protocols.errors import MailError
from webmail.views import listing
from webmail.views.parts import PART_POLICY, sniff
from webmail.views.redirection import back

_fetches = threading.BoundedSemaphore(4)  # a slow picture server must not hold every thread of the pages
FETCH_WAIT = 3.0  # seconds


@require_safe
@login_required
def show(request: Request, token: str) -> HttpResponse:
    try:
        url = signing.loads(token, salt=PROXY_SALT, max_age=PROXY_SECONDS)
    except signing.BadSignature:
        return HttpResponse(status=403)
    if not _fetches.acquire(timeout=FETCH_WAIT):
        return HttpResponse(status=503)
    try:
        octets = outside.fetch(url)
    except (OSError, http.client.HTTPException, MailError, ValueError):
        return HttpResponse(status=502)
    finally:
        _fetches.release()
    kind = sniff(octets)
    if kind is None:
        return HttpResponse(status=415)
    response = HttpResponse(octets, content_type=kind)
    response["Content-Security-Policy"] = PART_POLICY
    response["Cache-Control"] = "private, max-age=604800, immutable"
    return response


_permission = Prepared(
    lambda user, sender, domain: RemotePermission.objects.filter(user_id=user, sender__in=[sender, domain]),
    Integer,
    Address,
    Address,
)


def pictures_always(request: Request, message: Message) -> bool:
    """The person allowed them for this sender or for all at its domain; looked up when shown, never kept with it."""
    sender = message.from_email.lower()
    return bool(_permission(request.user.pk, sender, _at_domain(sender)))


def pictures_allowed(request: Request, message: Message) -> bool:
    return request.GET.get("pictures") == "1" or pictures_always(request, message)


def _at_domain(sender: str) -> str:
    """How a permission for a whole domain is written down."""
    return "@" + sender.rpartition("@")[2]


@require_POST
@login_required
def permit(request: Request, pk: int) -> HttpResponse:
    """Always show (or no longer show) pictures from this sender, or from all at its domain."""
    sender = listing.own(request, pk).from_email.lower()
    allow = request.POST.get("allow", "sender")
    if allow == "0":
        RemotePermission.objects.filter(user=request.user, sender__in=[sender, _at_domain(sender)]).delete()
    elif "@" in sender:
        whom = _at_domain(sender) if allow == "domain" else sender
        RemotePermission.objects.get_or_create(user=request.user, sender=whom)
    return back(request, reverse("message", args=[pk]))
