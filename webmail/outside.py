"""The way out to places that mail names: one request to one public address, within bounds of time and size.

The name is resolved once, every address checked, and the connection goes to the address that was checked; redirects are
checked again. Nothing of the person goes along, no cookie and no referrer.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from urllib.parse import SplitResult, urljoin, urlsplit

from accounts.discovery import public_addresses

MAX_OCTETS = 10_000_000
MAX_REDIRECTS = 3
SECONDS = 8.0
Answer = tuple[int, str, bytes]  # status, Location, content


def fetch(url: str) -> bytes:
    """Raises OSError, HTTPException, MailError (a host that is not public) or ValueError (not a URL to fetch)."""
    deadline = time.monotonic() + SECONDS
    for _hop in range(MAX_REDIRECTS + 1):
        status, location, octets = _ask("GET", url, deadline)
        if status not in (301, 302, 303, 307, 308):
            if status != 200:
                raise ValueError(f"status {status}")
            return octets
        url = urljoin(url, location)
    raise ValueError("too many redirects")


def post(url: str, form: bytes) -> int:
    """The status of the answer, which may lead nowhere else. Raises as ``fetch`` does."""
    status, _location, _octets = _ask("POST", url, time.monotonic() + SECONDS, form)
    return status


def _ask(method: str, url: str, deadline: float, form: bytes | None = None) -> Answer:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise ValueError("not a plain http or https URL")
    secure = parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    if port not in (80, 443):
        raise ValueError("not a port of the web")
    address = public_addresses(parts.hostname, port)[0]
    with socket.create_connection((address, port), timeout=max(0.1, deadline - time.monotonic())) as sock:
        held = [sock]
        # Each read has a timeout of its own: all of them together end here.
        late = threading.Timer(max(0.1, deadline - time.monotonic()), lambda: _hang_up(held[-1]))
        late.start()
        try:
            if secure:
                context = ssl.create_default_context()
                tls = context.wrap_socket(sock, server_hostname=parts.hostname, do_handshake_on_connect=False)
                held.append(tls)
                tls.do_handshake()
            return _answer(method, parts, held[-1], deadline, form)
        finally:
            late.cancel()
            held[-1].close()


def _hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _answer(method: str, parts: SplitResult, sock: socket.socket, deadline: float, form: bytes | None) -> Answer:
    kind = http.client.HTTPSConnection if isinstance(sock, ssl.SSLSocket) else http.client.HTTPConnection
    connection = kind(parts.netloc, timeout=SECONDS)
    connection.sock = sock
    headers = {"Accept": "image/*" if form is None else "*/*", "User-Agent": "Mozilla/5.0"}
    if form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), form, headers)
    response = connection.getresponse()
    return response.status, response.getheader("Location", ""), _read(response, deadline)


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    octets = bytearray()
    while chunk := response.read1(65536):
        octets += chunk
        if len(octets) > MAX_OCTETS:
            raise ValueError("the answer is too large")
        if time.monotonic() > deadline:
            break
    if time.monotonic() > deadline:
        raise TimeoutError("the answer takes too long")
    return bytes(octets)
