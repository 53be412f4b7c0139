"""The picture proxy: a remote picture that the person asked for, fetched by us, so that its sender learns nothing of them.

Signed URLs only; the name is resolved once, every address checked, and the connection goes to the address that was
checked; redirects are checked again; raster types only, within bounds of size and time.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from urllib.parse import urljoin, urlsplit

from django.contrib.auth.decorators import login_required
from django.core import signing
from django.http import HttpResponse
from django.views.decorators.http import require_safe

from accounts.discovery import public_addresses
from accounts.requests import Request
from webmail.bodies import PROXY_SALT, PROXY_SECONDS
from webmail.protocols.errors import MailError
from webmail.views.parts import PART_POLICY, sniff

_fetches = threading.BoundedSemaphore(4)  # a slow picture server must not hold every thread of the pages
FETCH_WAIT = 3.0  # seconds
MAX_OCTETS = 10_000_000
MAX_REDIRECTS = 3
SECONDS = 8.0


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
        octets = fetch(url)
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


def fetch(url: str) -> bytes:
    """Raises OSError, HTTPException, MailError (a host that is not public) or ValueError (not a URL to fetch)."""
    deadline = time.monotonic() + SECONDS
    for _hop in range(MAX_REDIRECTS + 1):
        status, location, octets = _get(url, deadline)
        if status not in (301, 302, 303, 307, 308):
            if status != 200:
                raise ValueError(f"status {status}")
            return octets
        url = urljoin(url, location)
    raise ValueError("too many redirects")


def _get(url: str, deadline: float) -> tuple[int, str, bytes]:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("not a plain http or https URL")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    if port not in (80, 443):
        raise ValueError("not a port that pictures come from")
    address = public_addresses(parts.hostname, port)[0]
    sock = socket.create_connection((address, port), timeout=max(0.1, deadline - time.monotonic()))
    if secure:
        sock = ssl.create_default_context().wrap_socket(sock, server_hostname=parts.hostname)
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=SECONDS)
    connection.sock = sock
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Accept": "image/*", "User-Agent": "Mozilla/5.0"})
        response = connection.getresponse()
        return response.status, response.getheader("Location", ""), _read(response, deadline)
    finally:
        connection.close()


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    octets = bytearray()
    while chunk := response.read(65536):
        octets += chunk
        if len(octets) > MAX_OCTETS:
            raise ValueError("the picture is too large")
        if time.monotonic() > deadline:
            raise TimeoutError("the picture takes too long")
    return bytes(octets)
