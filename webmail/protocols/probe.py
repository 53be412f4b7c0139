"""Trying a server step by step, to learn at which one it fails: port, TLS, greeting, sign-in, what it offers.

Each step is what an adapter does anyway, done by itself and timed; nothing is read beyond a greeting of one line.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from webmail.protocols import open_store, open_transport
from webmail.protocols.base import Credentials, Security, Server
from webmail.protocols.errors import AuthenticationFailed, InsecureConnection, MailError, ProtocolError
from webmail.protocols.network import Reader, abandon, clean_detail, connect, network_error, secure

GREETING_LIMIT = 2000  # octets
_GREETINGS = {
    "imap": (b"* OK", b"* PREAUTH"),
    "pop3": (b"+OK",),
    "smtp": (b"220",),
}  # RFC 9051 §7.1, 1939 §4, 5321 §4.2


@dataclass(frozen=True, slots=True)
class Step:
    """``name``: port, tls, greeting, sign-in or offer. ``error`` is None where it went well; then ``detail`` is what was
    found. ``seconds`` it took. ``max_size``: octets that a server for outgoing mail takes, where it said so."""

    name: str
    detail: str = ""
    error: MailError | None = None
    seconds: float = 0.0
    max_size: int = 0


def probe(server: Server, credentials: Credentials | None, local_name: str = "localhost") -> Iterator[Step]:
    """The steps in order, up to the first that fails. Raises nothing."""
    clock = _Clock()
    sock: socket.socket | None = None
    name = "port"
    try:
        sock = connect(replace(server, security=Security.PLAIN))
        yield Step("port", sock.getpeername()[0], seconds=clock.lap())
        if server.security is Security.TLS:
            name = "tls"
            sock = secure(sock, server)
            yield Step("tls", _certificate(sock), seconds=clock.lap())
        name = "greeting"
        yield Step("greeting", _greeting(sock, server.protocol), seconds=clock.lap())
    except MailError as error:
        yield Step(name, error=error, seconds=clock.lap())
        return
    except OSError as error:  # it hung up before it could be asked who it is
        yield Step(name, error=network_error(error), seconds=clock.lap())
        return
    finally:
        abandon(sock)
    yield from _session(server, credentials, local_name, clock)


def _session(server: Server, credentials: Credentials | None, local_name: str, clock: _Clock) -> Iterator[Step]:
    """STARTTLS happens here too: it is part of what a session begins with."""
    starttls = server.security is Security.STARTTLS
    size = 0
    try:
        if server.protocol == "smtp":
            transport = open_transport(server, credentials, local_name)
            size = transport.max_size or 0
            offer = f"SIZE {size}" if size else ""
            transport.close()
        else:
            assert credentials is not None
            store = open_store(server, credentials)
            offer = " ".join(sorted(store.offered))
            store.close()
    except MailError as error:
        if starttls and isinstance(error, AuthenticationFailed):  # nobody is asked for a password before
            yield Step("tls", "STARTTLS")
        yield Step("tls" if isinstance(error, InsecureConnection) else "sign-in", error=error, seconds=clock.lap())
        return
    if starttls:
        yield Step("tls", "STARTTLS")
    yield Step("sign-in", seconds=clock.lap())
    yield Step("offer", offer, max_size=size)


class _Clock:
    def __init__(self) -> None:
        self._at = time.monotonic()

    def lap(self) -> float:
        before, self._at = self._at, time.monotonic()
        return self._at - before


def _certificate(sock: socket.socket) -> str:
    assert isinstance(sock, ssl.SSLSocket)
    certificate = sock.getpeercert() or {}
    return f"{sock.version()}, {certificate.get('notAfter', '')}"


def _greeting(sock: socket.socket, protocol: str) -> str:
    """Raises MailError for silence, and for what is no greeting of this protocol."""
    try:
        line = Reader(sock, GREETING_LIMIT, 1).line()
    except EOFError as error:
        raise ProtocolError("the server closed the connection without a word") from error
    except OSError as error:
        raise network_error(error) from error
    if not line.upper().startswith(_GREETINGS[protocol]):
        raise ProtocolError(clean_detail(line))
    return clean_detail(line)
