"""imapclient and imaplib (their only user): a connection opened, greeted, asked for its capabilities and inside TLS.

That is all they do (imapclient 4.1.0), over a subclass of imaplib's IMAP4 whose every read is bounded here. What comes
after goes past them: imaplib keeps all untagged responses of a connection in one heap without their order, imapclient
knows neither VANISHED nor SELECT's QRESYNC nor LIST-STATUS, hides COPYUID, and parses octet by octet.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Iterator

import imapclient
from imapclient.exceptions import CapabilityError

from webmail.protocols.base import Security, Server
from webmail.protocols.errors import InsecureConnection, MailError, ProtocolError, Unavailable, Unreachable
from webmail.protocols.imap.deflate import Deflated
from webmail.protocols.imap.responses import status
from webmail.protocols.network import (
    Reader,
    abandon,
    clean_detail,
    connect,
    network_error,
    nothing_injected,
    secure,
)

LINE_LIMIT = 16 * 1024 * 1024  # octets; a SEARCH answer of two million uids is one line
LITERAL_LIMIT = 1024 * 1024  # headers and bodies are asked for in smaller portions than this
RESPONSE_LIMIT = 5_000_000  # responses to one command: a FETCH of all flags of the largest mailbox
WELCOME_LIMIT = 256 * 1024  # octets of the greeting, capabilities and STARTTLS together

_GREETING = re.compile(rb"(?i)\* (?:OK|PREAUTH) \[CAPABILITY ([^\]]*)\]")
_WORDLESS = re.compile(rb"^(\S+ (?:OK|NO|BAD))\r?\n$", re.I)


class BoundedIMAP4(imaplib.IMAP4):
    """imaplib on our socket: pinned addresses, bounded reads, nothing kept from before TLS."""

    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__(server.host, server.port, server.timeout)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self._told = 0  # octets that imaplib was given, and keeps
        self.sock = connect(self._server)
        self.reader = Reader(self.sock, LINE_LIMIT, RESPONSE_LIMIT)

    def read(self, size: int) -> bytes:
        return self._counted(self.reader.exactly(size, LITERAL_LIMIT))

    def readline(self) -> bytes:
        # RFC 9051 §9 wants words after OK; some servers have none, and imaplib then gives up.
        return _WORDLESS.sub(rb"\1 \r\n", self._counted(self.reader.line()))

    def _counted(self, octets: bytes) -> bytes:
        self._told += len(octets)
        if self._told > WELCOME_LIMIT:
            raise ProtocolError("more was said before the sign-in than the limit")
        return octets

    def send(self, data: bytes) -> None:  # type: ignore[override]
        self.sock.sendall(data)

    def _get_capabilities(self) -> None:
        """As told in the greeting, RFC 9051 §7.1, or else asked for."""
        told = _GREETING.match(self.welcome or b"")
        if told:
            self.capabilities = tuple(told[1].decode("ascii", "replace").upper().split())
        else:
            super()._get_capabilities()  # type: ignore[misc]

    def shutdown(self) -> None:
        abandon(self.sock)

    def compress(self) -> None:
        self.sock = Deflated(self.sock, self.reader.buffered())  # type: ignore[assignment]
        self.reader = Reader(self.sock, LINE_LIMIT, RESPONSE_LIMIT)

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> tuple[str, list]:  # type: ignore[override]
        typ, data = self._simple_command("STARTTLS")  # RFC 9051 §6.2.1
        if typ == "OK":
            nothing_injected(self.reader.buffered())
            self.sock = secure(self.sock, self._server)
            self.reader = Reader(self.sock, LINE_LIMIT, RESPONSE_LIMIT)
            self.untagged_responses, self.welcome = {}, b""  # capabilities heard in the clear are hearsay
            self._get_capabilities()
        return typ, data


class _Connection(imapclient.IMAPClient):
    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__(server.host, server.port, ssl=server.security is Security.TLS, timeout=server.timeout)
        self._imap.debug = 0  # imapclient raises it to 5, which formats every line for a log nobody reads

    def _create_IMAP4(self) -> BoundedIMAP4:
        return BoundedIMAP4(self._server)


def open_connection(server: Server) -> BoundedIMAP4:
    """Greeted, its capabilities known, inside TLS where that is asked for. Raises MailError."""
    with imap_errors():
        connection = _Connection(server)
        try:
            if server.security is Security.STARTTLS:
                _starttls(connection)
        except BaseException:
            abandon(connection._imap.sock)
            raise
    return connection._imap


def _starttls(connection: _Connection) -> None:
    if connection._imap.state != "NONAUTH":
        raise InsecureConnection("the server skips STARTTLS by PREAUTH", "TLS")  # CVE-2020-12398
    try:
        connection.starttls()
    except CapabilityError as error:
        raise InsecureConnection("the server does not offer STARTTLS", "TLS") from error
    except (imaplib.IMAP4.error, imapclient.exceptions.IMAPClientError) as error:
        if isinstance(error, imaplib.IMAP4.abort):
            raise
        raise InsecureConnection(clean_detail(error), "TLS") from error


@contextlib.contextmanager
def imap_errors() -> Iterator[None]:
    """Everything below turns into the MailError tree here, and nowhere else."""
    try:
        yield
    except (EOFError, BrokenPipeError) as error:
        raise Unreachable("the server closed the connection") from error
    except OSError as error:
        raise network_error(error) from error
    except imaplib.IMAP4.abort as error:
        raise _library_error(error, Unreachable) from error
    except imaplib.IMAP4.error as error:
        raise _library_error(error, ProtocolError) from error
    except imapclient.exceptions.IMAPClientError as error:
        raise ProtocolError(clean_detail(error)) from error


def _library_error(error: Exception, otherwise: type[MailError]) -> MailError:
    """imaplib raises the greeting itself as an error when it is BYE."""
    words = error.args[0] if error.args else b""
    if isinstance(words, bytes) and words.upper().startswith(b"* BYE"):
        response = status(b"BYE", words[6:])
        return Unavailable(clean_detail(response.text), response.code.decode("ascii", "replace"))
    return otherwise(clean_detail(words))
