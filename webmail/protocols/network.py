"""What the three protocols share below their libraries: a connection to the right address, TLS, SASL, clean words.

Nothing here is a protocol of its own. ``connect`` never resolves a name when the caller pinned addresses, so that what
was checked is what is spoken to.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import ipaddress
import os
import re
import socket
import ssl
import struct
import time

from webmail.protocols.base import Credentials, Security, Server
from webmail.protocols.errors import InsecureConnection, MailError, ProtocolError, Refused, Unreachable

BLOCK = 64 * 1024  # octets read or sent at once
WAIT_LIMIT = 15 * 60.0  # seconds spent waiting for one answer, though every single read came in time
DETAIL_LIMIT = 500  # characters of the server's own words that are kept

_MIN_RTT = struct.Struct("=148xI")  # tcpi_min_rtt of Linux's struct tcp_info, microseconds

_FORBIDDEN = re.compile("[\r\n\0]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def connect(server: Server) -> socket.socket:
    """A TCP connection with the time-out set, inside TLS already if ``server.security`` says so. Raises MailError."""
    sock = _dial(server)
    if server.security is Security.TLS:
        return secure(sock, server)
    return sock


def _dial(server: Server) -> socket.socket:
    failure: OSError | None = None
    for address in server.addresses or (clean_argument(server.host),):
        if server.addresses:
            ipaddress.ip_address(address)  # a name here would be resolved a second time, unchecked
        try:
            sock = socket.create_connection((address, server.port), server.timeout)
        except (OSError, UnicodeError) as error:
            failure = error if isinstance(error, OSError) else OSError(str(error))
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _keep_alive(sock)
        return sock
    raise network_error(failure or OSError("no address"))


def _keep_alive(sock: socket.socket) -> None:
    """A peer that vanished without a word is noticed within five minutes, where the system lets us say so."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # RFC 9293 §3.8.4
    for name, value in (("TCP_KEEPIDLE", 180), ("TCP_KEEPINTVL", 30), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def round_trip(sock: socket.socket) -> float:
    """Seconds to the other end and back, the shortest so far; where the system does not tell, nothing for this machine
    and much for any other."""
    if hasattr(socket, "TCP_INFO"):
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MIN_RTT.size)
        if len(info) == _MIN_RTT.size:
            return _MIN_RTT.unpack(info)[0] / 1_000_000
    return 0.0 if ipaddress.ip_address(sock.getpeername()[0].partition("%")[0]).is_loopback else 1.0


def secure(sock: socket.socket, server: Server) -> ssl.SSLSocket:
    """TLS on an open connection, verified against ``server.host``. Closes ``sock`` if that fails."""
    context = _tls_context(server.ca_file, os.path.getmtime(server.ca_file) if server.ca_file else 0.0)
    try:
        return context.wrap_socket(sock, server_hostname=server.host)
    except (OSError, ValueError) as error:
        sock.close()
        if isinstance(error, ssl.SSLError | ValueError):
            raise InsecureConnection(clean_detail(error), "TLS") from error
        raise network_error(error) from error


@functools.lru_cache(maxsize=8)
def _tls_context(ca_file: str | None, changed: float) -> ssl.SSLContext:
    """Loading the system's certificates takes 10 ms, hence the cache; ``changed`` is there to miss it."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8997
    return context


class Reader:
    """Lines and counted octets from a socket, every one bounded; also reads without waiting, for IDLE.

    Can stand in for the file that smtplib and poplib read from."""

    def __init__(self, sock: socket.socket, line_limit: int, lines_limit: int) -> None:
        self._sock = sock
        self._line_limit = line_limit
        self._lines_limit = lines_limit
        self._buffer = b""
        self._at = 0  # where the unread part of the buffer begins
        self._searched = 0  # how far there is no end of line
        self._waited = 0.0
        self._lines = 0

    def restart(self) -> None:
        """A new command: its bounds start from nothing."""
        self._waited = 0.0
        self._lines = 0

    def line(self) -> bytes:
        """The next line with its end. Raises EOFError."""
        while (line := self.buffered_line()) is None:
            self._fill()
        return line

    def readline(self, limit: int = -1) -> bytes:
        """As line(), but nothing at the end, as files do it."""
        try:
            return self.line()
        except EOFError:
            return b""

    def buffered_line(self) -> bytes | None:
        """The next line if all of it is here already."""
        end = self._buffer.find(b"\n", max(self._at, self._searched))
        if (end if end >= 0 else len(self._buffer)) - self._at > self._line_limit:
            raise ProtocolError("a line is longer than the limit")
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = self._buffer[self._at : end + 1]
        self._at = self._searched = end + 1
        self._lines += 1
        if self._lines > self._lines_limit:
            raise ProtocolError("more lines than the limit")
        return line

    def exactly(self, size: int, limit: int) -> bytes:
        if size > limit:
            raise ProtocolError(f"a literal of {size} octets is over the limit")
        while len(self._buffer) - self._at < size:
            self._fill()
        data = self._buffer[self._at : self._at + size]
        self._at += size
        self._searched = self._at
        return data

    def some(self) -> bytes:
        """Whatever is here, or else whatever comes next. Raises EOFError."""
        if self._at == len(self._buffer):
            self._fill()
        data = self._buffer[self._at :]
        self._buffer, self._at, self._searched = b"", 0, 0
        return data

    def unread(self, data: bytes) -> None:
        """Put back what some() gave too much."""
        self._buffer, self._at, self._searched = data + self.buffered(), 0, 0

    def buffered(self) -> bytes:
        return self._buffer[self._at :]

    def _fill(self) -> None:
        started = time.monotonic()
        data = self._sock.recv(BLOCK)
        self._waited += time.monotonic() - started
        if self._waited > WAIT_LIMIT:
            raise ProtocolError("the server took longer than the limit")
        self._keep(data)

    def _keep(self, data: bytes) -> None:
        if not data:
            raise EOFError
        self._buffer = self._buffer[self._at :] + data
        self._searched = max(0, self._searched - self._at)
        self._at = 0

    def fill_without_waiting(self) -> bool:
        """Take what has come, TLS's own buffer included; False if nothing more is there now. Raises EOFError."""
        timeout = self._sock.gettimeout()
        self._sock.setblocking(False)
        try:
            self._keep(self._sock.recv(BLOCK))
            return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self._sock.settimeout(timeout)

    def close(self) -> None:
        """The socket is closed by whom it belongs to."""


def network_error(error: OSError) -> MailError:
    """What a failed connect, read or write means to the caller."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return InsecureConnection(clean_detail(error), "TLS")
    if isinstance(error, TimeoutError):
        return Unreachable("timed out", "TIMEOUT")
    return Unreachable(clean_detail(error.strerror or error))


def abandon(sock: socket.socket | None) -> None:
    """Close without a word and without an error."""
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.close()


def clean_detail(words: object) -> str:
    """The other side's words as text fit for a page or a log: decoded, on one line, bounded."""
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    return _CONTROL.sub(" ", text).strip()[:DETAIL_LIMIT]


def clean_argument(text: str) -> str:
    """``text``, if it may stand in a command line. Raises Refused for CR, LF and NUL: they would end the command."""
    if _FORBIDDEN.search(text):
        raise Refused("line breaks and NUL are not allowed here")
    return text


def sasl_plain(credentials: Credentials) -> bytes:  # RFC 4616 §2
    user, secret = clean_argument(credentials.user), clean_argument(credentials.secret)
    return b"\0" + user.encode() + b"\0" + secret.encode()


def sasl_xoauth2(credentials: Credentials) -> bytes:  # Google's, before RFC 7628
    user, token = clean_argument(credentials.user), clean_argument(credentials.secret)
    return f"user={user}\1auth=Bearer {token}\1\1".encode()


def sasl_oauthbearer(credentials: Credentials, server: Server) -> bytes:  # RFC 7628 §3.1
    user, token = clean_argument(credentials.user), clean_argument(credentials.secret)
    user = user.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 §4, saslname
    return f"n,a={user},\1host={server.host}\1port={server.port}\1auth=Bearer {token}\1\1".encode()


def sasl_initial(mechanism: str, credentials: Credentials, server: Server) -> bytes:
    """The one message that every mechanism but LOGIN consists of."""
    if mechanism == "PLAIN":
        return sasl_plain(credentials)
    if mechanism == "XOAUTH2":
        return sasl_xoauth2(credentials)
    return sasl_oauthbearer(credentials, server)


def sasl_choice(offered: frozenset[str], credentials: Credentials) -> str | None:
    """The best mechanism of those offered (upper case), or None."""
    wanted = ("OAUTHBEARER", "XOAUTH2") if credentials.oauth else ("PLAIN", "LOGIN")
    return next((mechanism for mechanism in wanted if mechanism in offered), None)


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


def nothing_injected(buffered: bytes) -> None:
    """What came in the clear after STARTTLS was agreed would be read as if from inside TLS (CVE-2021-33515)."""
    if buffered:
        raise InsecureConnection("the server spoke between STARTTLS and TLS", "TLS")


def out_of_step(words: object) -> ProtocolError:
    return ProtocolError(clean_detail(words))
