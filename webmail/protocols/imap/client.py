"""One IMAP connection: commands out, bounded responses in. The only user of imapclient and imaplib.

imapclient (4.1.0) opens the connection, reads the greeting and the capabilities and does STARTTLS, over a subclass of
imaplib's IMAP4 whose every read is bounded here. Commands after that go through ``run``: imaplib keeps all untagged
responses of a connection in one heap without their order, imapclient knows neither VANISHED nor SELECT's QRESYNC nor
LIST-STATUS, hides COPYUID, and parses octet by octet.
"""

from __future__ import annotations

import contextlib
import imaplib
import io
import re
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import imapclient
from imapclient.exceptions import CapabilityError

from webmail.protocols.base import Credentials, Security, Server
from webmail.protocols.errors import (
    AlreadyExists,
    AuthenticationFailed,
    InsecureConnection,
    MailError,
    NoPermission,
    NotFound,
    OverQuota,
    ProtocolError,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from webmail.protocols.imap.deflate import Deflated
from webmail.protocols.imap.syntax import literal_size, parse, quoted
from webmail.protocols.network import (
    BLOCK,
    Reader,
    abandon,
    b64,
    clean_argument,
    clean_detail,
    connect,
    network_error,
    nothing_injected,
    round_trip,
    sasl_choice,
    sasl_initial,
    secure,
)

LINE_LIMIT = 16 * 1024 * 1024  # octets; a SEARCH answer of two million uids is one line
LITERAL_LIMIT = 1024 * 1024  # headers and bodies are asked for in smaller portions than this
RESPONSE_LIMIT = 5_000_000  # responses to one command: a FETCH of all flags of the largest mailbox
KEPT_LIMIT = 64 * 1024 * 1024  # octets of responses to one command that are held at the same time
COMPRESS_ABOVE = 0.005  # seconds to the server and back; below that the line is so fast that compressing would slow it
SYNCHRONOUS_LIMIT = 4096  # octets that LITERAL- lets through without asking, RFC 7888 §5

_CODE = re.compile(rb"\[([A-Za-z0-9-]+)(?: ([^\]]*))?\] ?(.*)", re.S)
_GREETING = re.compile(rb"(?i)\* (?:OK|PREAUTH) \[CAPABILITY ([^\]]*)\]")
_WORDLESS = re.compile(rb"^(\S+ (?:OK|NO|BAD))\r?\n$", re.I)
_STATUS = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


@dataclass(slots=True)
class Response:
    """One response line with its literals. ``text`` and ``code`` are set for OK, NO, BAD, BYE (RFC 9051 §7.1)."""

    kind: bytes  # upper case: FETCH, EXISTS, OK ...
    number: int = 0
    pieces: list[bytes] = field(default_factory=list)
    code: bytes = b""
    code_data: bytes = b""
    text: bytes = b""

    def values(self) -> list:
        return parse(self.pieces)


@dataclass(slots=True)
class Literal:
    """An argument sent as a literal (RFC 9051 §4.3), streamed."""

    source: BinaryIO
    size: int


class _BoundedIMAP4(imaplib.IMAP4):
    """imaplib on our socket: pinned addresses, bounded reads, nothing kept from before TLS."""

    def __init__(self, server: Server) -> None:
        self._server = server
        super().__init__(server.host, server.port, server.timeout)

    def open(self, host: str = "", port: int = 0, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self.sock = connect(self._server)
        self.reader = Reader(self.sock, LINE_LIMIT, RESPONSE_LIMIT)

    def read(self, size: int) -> bytes:
        return self.reader.exactly(size, LITERAL_LIMIT)

    def readline(self) -> bytes:
        # RFC 9051 §9 wants words after OK; some servers have none, and imaplib then gives up.
        return _WORDLESS.sub(rb"\1 \r\n", self.reader.line())

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

    def _create_IMAP4(self) -> _BoundedIMAP4:
        return _BoundedIMAP4(self._server)


class Client:
    """An authenticated connection. Raises only MailError; after one with connection_lost it is of no use any more."""

    def __init__(self, server: Server, credentials: Credentials) -> None:
        self._tag = 0
        self._ahead: deque[Ahead] = deque()
        self.lost = False
        with imap_errors("connect"):
            self._connection = _Connection(server)
        self._imap: _BoundedIMAP4 = self._connection._imap
        self.literal_plus = 0
        self._without = server.without
        self.offered: frozenset[str] = frozenset()  # as the server said last
        self.observer: Callable[[Response], None] = lambda response: None
        try:
            with imap_errors("connect"):
                if server.security is Security.STARTTLS:
                    self._starttls()
                self.capabilities = self._offered(" ".join(self._imap.capabilities).encode())
            if self._imap.state == "NONAUTH":  # otherwise PREAUTH, RFC 9051 §7.1.4
                self._authenticate(server, credentials)
            if "COMPRESS=DEFLATE" in self.capabilities and round_trip(self._imap.sock) > COMPRESS_ABOVE:
                self._compress()
        except BaseException:
            self.abandon()
            raise

    def _starttls(self) -> None:
        if self._imap.state != "NONAUTH":
            raise InsecureConnection("the server skips STARTTLS by PREAUTH", "TLS")  # CVE-2020-12398
        try:
            self._connection.starttls()
        except CapabilityError as error:
            raise InsecureConnection("the server does not offer STARTTLS", "TLS") from error
        except (imaplib.IMAP4.error, imapclient.exceptions.IMAPClientError) as error:
            if isinstance(error, imaplib.IMAP4.abort):
                raise
            raise InsecureConnection(clean_detail(error), "TLS") from error

    def _offered(self, words: bytes) -> frozenset[str]:
        self.offered = frozenset(words.decode("ascii", "replace").upper().split())
        offered = self.offered - self._without
        self.literal_plus = LITERAL_LIMIT**2 if "LITERAL+" in offered else 0
        if not self.literal_plus and offered & {"LITERAL-", "IMAP4REV2"}:
            self.literal_plus = SYNCHRONOUS_LIMIT
        return offered

    def _compress(self) -> None:  # RFC 4978 §3
        try:
            self.run(b"COMPRESS DEFLATE")
        except MailError:  # COMPRESSIONACTIVE: TLS does it already; in any case it is no more than a comfort
            if self.lost:
                raise
            return
        self._imap.compress()

    # --- signing in ---

    def _authenticate(self, server: Server, credentials: Credentials) -> None:
        mechanisms = frozenset(c.removeprefix("AUTH=") for c in self.capabilities if c.startswith("AUTH="))
        mechanism = sasl_choice(mechanisms, credentials)
        if mechanism:
            done = self._sasl(mechanism, server, credentials)
        elif credentials.oauth:
            raise AuthenticationFailed("the server offers no sign-in with a token", "OAUTH")
        elif "LOGINDISABLED" in self.capabilities:
            raise AuthenticationFailed("the server offers no sign-in that we know on this connection", "LOGINDISABLED")
        else:
            arguments = [self._astring(credentials.user), self._astring(credentials.secret)]
            done = self.run(b"LOGIN", *arguments, failure=_sign_in_error)  # RFC 9051 §6.2.3
        self._imap.state = "AUTH"
        heard = [r.code_data for r in (*done.untagged, done.tagged) if r.code == b"CAPABILITY"]
        heard += [r.pieces[0] for r in done.untagged if r.kind == b"CAPABILITY"]
        if not heard:  # RFC 9051 §6.1.1: what was offered before is not what is offered now
            heard = [r.pieces[0] for r in self.run(b"CAPABILITY").untagged if r.kind == b"CAPABILITY"]
        self.capabilities = self._offered(heard[-1] if heard else b"")

    def _sasl(self, mechanism: str, server: Server, credentials: Credentials) -> Done:  # RFC 9051 §6.2.2
        if mechanism == "LOGIN":  # never standardised; asks for the name, then for the password
            answers = [clean_argument(credentials.user).encode(), clean_argument(credentials.secret).encode()]
        else:
            answers = [sasl_initial(mechanism, credentials, server)]
        arguments = [b"AUTHENTICATE", mechanism.encode()]
        if "SASL-IR" in self.capabilities and mechanism != "LOGIN":  # RFC 4959
            arguments.append(b64(answers.pop(0)))
        waiting = iter(answers)
        # An empty answer to a further challenge: that is how OAuth's error report is acknowledged (RFC 7628 §3.2.3).
        further = b"\1" if mechanism == "OAUTHBEARER" else b""
        return self.run(*arguments, on_continue=lambda: b64(next(waiting, further)), failure=_sign_in_error)

    @staticmethod
    def _astring(argument: str) -> bytes | Literal:
        octets = clean_argument(argument).encode()
        return quoted(octets) if octets.isascii() else literal(octets)

    # --- commands ---

    def run(
        self,
        *arguments: bytes | Literal,
        each: Callable[[Response], bool] | None = None,
        on_continue: Callable[[], bytes] | None = None,
        failure: Callable[[Response], MailError] | None = None,
    ) -> Done:
        """Send one command and read to its end. ``each`` may take a response (True) so that it is not kept."""
        tag = self.send(*arguments, on_continue=on_continue)
        return self.finish(tag, each=each, on_continue=on_continue, failure=failure)

    def send(self, *arguments: bytes | Literal, on_continue: Callable[[], bytes] | None = None) -> bytes:
        """Send one command without reading its answer: the way to have several under way. Returns its tag."""
        for answer in list(self._ahead):
            answer.read()
        return self._send(*arguments, on_continue=on_continue)

    def ahead(self, *arguments: bytes) -> Ahead:
        """Send a command whose answer is wanted later. Any other command that is sent meanwhile has that answer read
        first, so that only commands sent by this are ever under way together: they must be such as can be told apart,
        like several UID FETCH (RFC 9051 §5.5), few and short, or both sides could wait for each other to read."""
        answer = Ahead(self, self._send(*arguments))
        self._ahead.append(answer)
        return answer

    def next_answer(self) -> None:
        """Read the answer of the oldest command that was sent ahead."""
        answer = self._ahead.popleft()
        try:
            answer.done = self.finish(answer.tag)
        except MailError as error:
            answer.error = error

    def _send(self, *arguments: bytes | Literal, on_continue: Callable[[], bytes] | None = None) -> bytes:
        if self.lost:
            raise Unreachable("the connection was lost earlier")
        self._tag += 1
        tag = b"K%d" % self._tag
        self._early: Response | None = None
        with self._in_step():
            line = tag
            for argument in arguments:
                if isinstance(argument, bytes):
                    line += b" " + argument
                else:
                    line = self._send_literal(tag, line, argument)
                    if self._early:
                        return tag
            self._imap.send(line + b"\r\n")
        return tag

    def _send_literal(self, tag: bytes, line: bytes, argument: Literal) -> bytes:
        plus = argument.size <= self.literal_plus  # RFC 7888
        self._imap.send(line + b" {%d%s}\r\n" % (argument.size, b"+" if plus else b""))
        while not plus:
            response = self._read()
            if response.kind == b"+":
                break
            if response.kind == tag:  # refused before a single octet went out
                self._early = response
                return b""
            self._observe(response)
        left = argument.size
        while left:
            block = argument.source.read(min(BLOCK, left))
            if not block:
                raise ProtocolError("the message became shorter while it was sent")
            self._imap.send(block)
            left -= len(block)
        return b""

    def finish(
        self,
        tag: bytes,
        each: Callable[[Response], bool] | None = None,
        on_continue: Callable[[], bytes] | None = None,
        failure: Callable[[Response], MailError] | None = None,
    ) -> Done:
        """Read to the end of the command ``tag``. Raises what its NO or BAD means."""
        untagged: list[Response] = []
        kept = 0
        with self._in_step():
            while True:
                response = self._early or self._read()
                self._early = None
                if response.kind == tag:
                    break
                if response.kind == b"+":
                    self._imap.send((on_continue() if on_continue else b"*") + b"\r\n")
                    continue
                self._observe(response)
                if each and each(response):
                    continue
                untagged.append(response)
                kept += 100 + sum(map(len, response.pieces))
                if kept > KEPT_LIMIT:
                    raise ProtocolError("more was answered than the limit")
        status, _, rest = response.pieces[0].partition(b" ")
        tagged = _status(status.upper(), rest)
        if tagged.kind != b"OK":
            raise (failure or command_error)(tagged)
        return Done(untagged, tagged)

    def _observe(self, response: Response) -> None:
        if response.kind == b"BYE":
            raise Unreachable(clean_detail(response.text), response.code.decode())
        self.observer(response)

    def _read(self) -> Response:
        return self.complete(self._imap.reader.line())

    def complete(self, line: bytes) -> Response:
        """The response that begins with ``line``, its literals read."""
        line = line.rstrip(b"\r\n")
        if b"\0" in line:
            raise ProtocolError("NUL in a response")  # RFC 9051 §9, CHAR
        if line.startswith(b"+"):
            return Response(b"+", pieces=[line[1:].strip()])
        first, _, rest = line.partition(b" ")
        if first != b"*":
            if not first.startswith(b"K") or not rest:
                raise ProtocolError(f"a response begins with {clean_detail(first[:40])!r}")
            return Response(first, pieces=[rest])
        word, _, rest = rest.partition(b" ")
        word_number = 0
        if word.isdigit():
            if len(word) > 10:
                raise ProtocolError("a number is out of range")
            word_number = int(word)
            word, _, rest = rest.partition(b" ")
        word = word.upper()
        if word in _STATUS:
            return _status(word, rest)
        return Response(word, word_number, self._with_literals(rest))

    def _with_literals(self, line: bytes) -> list[bytes]:
        pieces = [line]
        total = 0
        while (size := literal_size(pieces[-1])) is not None:
            total += size + len(pieces[-1])
            if total > KEPT_LIMIT:
                raise ProtocolError("more was answered than the limit")
            pieces.append(self._imap.reader.exactly(size, LITERAL_LIMIT))
            pieces.append(self._imap.reader.line().rstrip(b"\r\n"))
        return pieces

    @contextlib.contextmanager
    def _in_step(self) -> Iterator[None]:
        """Whatever interrupts a half-read answer leaves the connection out of step, and so of no use."""
        self._imap.reader.restart()
        try:
            with imap_errors("command"):
                yield
        except BaseException:
            self.abandon()
            raise

    # --- for IDLE ---

    def fileno(self) -> int:
        return self._imap.sock.fileno()

    def arrived(self) -> Iterator[Response]:
        """The responses that have come, without waiting for any. Raises Unreachable at the end of the connection."""
        self._imap.reader.restart()
        with self._in_step():
            while True:
                while (line := self._imap.reader.buffered_line()) is not None:
                    if not self._is_whole(line):
                        self._imap.reader.unread(line)
                        break
                    response = self.complete(line)
                    self._observe(response)
                    yield response
                if not self._imap.reader.fill_without_waiting():
                    return

    def _is_whole(self, line: bytes) -> bool:
        """Whether all literals of the response that begins with ``line`` are here. One over the limit counts as here,
        so that reading it is refused."""
        rest = self._imap.reader.buffered()
        while (size := literal_size(line.rstrip(b"\r\n"))) is not None and size <= LITERAL_LIMIT:
            end = rest.find(b"\n", size)
            if end < 0:
                return len(rest) > KEPT_LIMIT
            line, rest = rest[size : end + 1], rest[end + 1 :]
        return True

    def send_line(self, line: bytes) -> None:
        with self._in_step():
            self._imap.send(line + b"\r\n")

    def until_continue(self, tag: bytes) -> None:
        """Read to the ``+`` that answers the command ``tag``."""
        with self._in_step():
            while (response := self._read()).kind != b"+":
                if response.kind == tag:
                    raise command_error(_status(*response.pieces[0].upper().partition(b" ")[::2]))
                self._observe(response)

    # --- the end ---

    def logout(self) -> None:  # RFC 9051 §6.1.3
        if not self.lost:
            with contextlib.suppress(MailError, OSError):
                self._imap.sock.settimeout(5.0)  # politeness has its limits
                with contextlib.suppress(Unreachable):  # BYE
                    self.run(b"LOGOUT")
        self.abandon()

    def abandon(self) -> None:
        self.lost = True
        abandon(self._imap.sock)


@dataclass(slots=True)
class Done:
    """What a command was answered: the untagged responses in order, and the tagged OK."""

    untagged: list[Response]
    tagged: Response

    def of(self, kind: bytes) -> Iterator[Response]:
        return (response for response in self.untagged if response.kind == kind)

    def code(self, code: bytes) -> Response | None:
        """The response carrying a response code, wherever it came."""
        return next((r for r in (self.tagged, *self.untagged) if r.code == code), None)


class Ahead:
    """The answer to a command that was sent ahead."""

    def __init__(self, client: Client, tag: bytes) -> None:
        self._client = client
        self.tag = tag
        self.done: Done | None = None
        self.error: MailError | None = None

    def read(self) -> None:
        """Be sure that it is here, and those before it."""
        while self.done is None and self.error is None:
            self._client.next_answer()

    def result(self) -> Done:
        self.read()
        if self.error is not None:
            raise self.error
        assert self.done is not None
        return self.done


def literal(octets: bytes) -> Literal:
    return Literal(io.BytesIO(octets), len(octets))


def _status(kind: bytes, rest: bytes) -> Response:
    match = _CODE.match(rest)
    if not match:
        return Response(kind, pieces=[rest], text=rest)
    code, data, words = match.groups()
    return Response(kind, pieces=[rest], code=code.upper(), code_data=data or b"", text=words)


# --- errors -----------------------------------------------------------------------------------------------------------

_BY_CODE: dict[bytes, type[MailError]] = {  # RFC 5530 §3, RFC 9051 §7.1
    b"UNAVAILABLE": Unavailable,
    b"INUSE": Unavailable,
    b"LIMIT": Unavailable,
    b"SERVERBUG": Unavailable,
    b"EXPUNGEISSUED": Unavailable,
    b"AUTHENTICATIONFAILED": AuthenticationFailed,
    b"AUTHORIZATIONFAILED": AuthenticationFailed,
    b"EXPIRED": AuthenticationFailed,
    b"WEBALERT": AuthenticationFailed,
    b"PRIVACYREQUIRED": InsecureConnection,
    b"NOPERM": NoPermission,
    b"NONEXISTENT": NotFound,
    b"TRYCREATE": NotFound,
    b"ALREADYEXISTS": AlreadyExists,
    b"OVERQUOTA": OverQuota,
    b"TOOBIG": TooLarge,
}

# Servers older than RFC 5530 have only words.
_BY_WORDS: tuple[tuple[re.Pattern[bytes], type[MailError]], ...] = (
    (re.compile(rb"(?i)already exists|mailbox exists|duplicate (folder|mailbox)"), AlreadyExists),
    (
        re.compile(rb"(?i)(does|do)(n't| not) exist|nonexist|non-exist|no such|unknown (mailbox|folder)|not found"),
        NotFound,
    ),
    (re.compile(rb"(?i)over ?quota|quota exceeded|exceeds? .*quota"), OverQuota),
    (re.compile(rb"(?i)permission denied|access denied|not permitted"), NoPermission),
    (re.compile(rb"(?i)too (large|big)"), TooLarge),
)


def command_error(response: Response) -> MailError:
    """What a tagged NO or BAD means."""
    code = response.code.decode("ascii", "replace")
    detail = clean_detail(response.text)
    if response.kind == b"BYE":
        return Unreachable(detail, code)
    if response.code in _BY_CODE:
        return _BY_CODE[response.code](detail, code)
    if response.kind != b"NO":
        return ProtocolError(detail, code or "BAD")  # one of us does not speak the language
    for words, kind in _BY_WORDS:
        if words.search(response.text):
            return kind(detail, code)
    return Refused(detail, code)


def _sign_in_error(response: Response) -> MailError:
    if response.code in _BY_CODE or response.kind == b"BYE":
        return command_error(response)
    return AuthenticationFailed(clean_detail(response.text), response.code.decode("ascii", "replace"))


@contextlib.contextmanager
def imap_errors(doing: str) -> Iterator[None]:
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
        response = _status(b"BYE", words[6:])
        return Unavailable(clean_detail(response.text), response.code.decode("ascii", "replace"))
    return otherwise(clean_detail(words))
