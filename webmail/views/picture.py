"""The picture proxy: a remote picture that the person asked for, fetched by us, so that its sender learns nothing of them.

Signed URLs only, raster types only.
"""

from __future__ import annotations

import http.client
import threading

from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import outside
from webmail.bodies import PROXY_SALT, PROXY_SECONDS
from webmail.protocols.errors import MailError
from webmail.views.parts import PART_POLICY, sniff

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
