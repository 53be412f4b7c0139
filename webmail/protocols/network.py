"""What the three protocols share below their libraries: a connection to the right address, TLS, SASL, clean words.

Nothing here is a protocol of its own. ``connect`` never resolves a name when the caller pinned addresses, so that what
was checked is what is spoken to.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import ipaddress
import os
import re
import socket
import ssl
import struct
import time
from collections.abc import Iterator

from webmail.protocols.base import Credentials, Security, Server
from webmail.protocols.errors import InsecureConnection, MailError, ProtocolError, Refused, Unreachable

BLOCK = 64 * 1024  # octets read or sent at once
MESSAGE_LIMIT = (
    1024 * 1024 * 1024
)  # octets of one message: no server takes one as large, so only one without end has more
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
        self._buffer = bytearray()  # grows in place: a line that comes octet by octet is not copied with each of them
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
            self.fill()
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
        self._lines += 1
        if self._lines > self._lines_limit:
            raise ProtocolError("more lines than the limit")
        return self._taken(end + 1)

    def exactly(self, size: int, limit: int) -> bytes:
        while (data := self.buffered_exactly(size, limit)) is None:
            self.fill()
        return data

    def buffered_exactly(self, size: int, limit: int) -> bytes | None:
        """So many octets if all of them are here already."""
        if size > limit:
            raise ProtocolError(f"a literal of {size} octets is over the limit")
        return self._taken(self._at + size) if self.waiting() >= size else None

    def some(self) -> bytes:
        """Whatever is here, or else whatever comes next. Raises EOFError."""
        return self._taken(len(self._buffer)) if self.waiting() else self._received()

    def unread(self, data: bytes) -> None:
        """Put back what some() gave too much."""
        self._buffer, self._at, self._searched = bytearray(data + self.buffered()), 0, 0

    def buffered(self) -> bytes:
        return bytes(self._buffer[self._at :])

    def waiting(self) -> int:
        """How many octets are here and not read yet."""
        return len(self._buffer) - self._at

    def _taken(self, end: int) -> bytes:
        data = bytes(self._buffer[self._at : end])
        self._at = self._searched = end
        return data

    def fill(self) -> None:
        """Wait for more. Raises EOFError."""
        self._keep(self._received())

    def _received(self) -> bytes:
        started = time.monotonic()
        data = self._sock.recv(BLOCK)
        self._waited += time.monotonic() - started
        if self._waited > WAIT_LIMIT:
            raise ProtocolError("the server took longer than the limit")
        if not data:
            raise EOFError
        return data

    def _keep(self, data: bytes) -> None:
        del self._buffer[: self._at]
        self._searched = max(0, self._searched - self._at)
        self._at = 0
        self._buffer += data

    def fill_without_waiting(self) -> bool:
        """Take some of what has come; False if nothing is there now. Raises EOFError."""
        timeout = self._sock.gettimeout()
        self._sock.setblocking(False)
        try:
            self._keep(self._received())
            return True
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        finally:
            self._sock.settimeout(timeout)

    def more_hidden(self) -> bool:
        """Whether something has come that a selector does not tell of, since TLS or the inflater holds it already."""
        pending = getattr(self._sock, "pending", None)
        return pending is not None and pending() > 0

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


_BASE64 = re.compile(r"[A-Za-z0-9+/]{4,}={0,2}")


@contextlib.contextmanager
def unrepeated(credentials: Credentials) -> Iterator[None]:
    """Around a sign-in. What a server says is shown, stored and logged; a secret that it repeats must not be."""
    try:
        yield
    except MailError as error:
        error.detail = _without(credentials.secret, error.detail)
        error.code = _without(credentials.secret, error.code)
        error.args = (error.detail or type(error).__name__,)
        error.__cause__, error.__suppress_context__ = None, True  # which has the words too
        raise


def _without(secret: str, words: str) -> str:
    """The words without the secret, also where it is in something encoded, as SASL has it, or was cut off."""
    if not secret:
        return words
    words = words.replace(secret, "…")
    words = _BASE64.sub(lambda match: "…" if _told(secret, _decoded(match[0])) else match[0], words)
    begun = _told(secret, words.encode())
    return words.encode()[:-begun].decode("utf-8", "ignore") + "…" if begun else words


def _told(secret: str, octets: bytes) -> int:
    """How many octets of the secret are there; of its beginning, if they are the last ones and enough to matter."""
    whole = secret.encode()
    if whole in octets:
        return len(whole)
    return next((n for n in range(len(whole) - 1, 7, -1) if octets.endswith(whole[:n])), 0)


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded[: len(encoded) // 4 * 4])
    except binascii.Error:
        return b""


def b64(data: bytes) -> bytes:
    return base64.b64encode(data)


def nothing_injected(buffered: bytes) -> None:
    """What came in the clear after STARTTLS was agreed would be read as if from inside TLS (CVE-2021-33515)."""
    if buffered:
        raise InsecureConnection("the server spoke between STARTTLS and TLS", "TLS")


def out_of_step(words: object) -> ProtocolError:
    return ProtocolError(clean_detail(words))
