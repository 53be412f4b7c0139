"""One IMAP connection: commands out, bounded responses in, several under way where that is wanted."""

from __future__ import annotations

import contextlib
import io
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from webmail.protocols.base import Credentials, Server
from webmail.protocols.errors import AuthenticationFailed, MailError, ProtocolError, Unreachable
from webmail.protocols.imap.connection import LITERAL_LIMIT, imap_errors, open_connection
from webmail.protocols.imap.responses import STATUS, Done, Response, command_error, sign_in_error, status
from webmail.protocols.imap.syntax import literal_size, quoted
from webmail.protocols.network import (
    BLOCK,
    abandon,
    b64,
    clean_argument,
    clean_detail,
    round_trip,
    sasl_choice,
    sasl_initial,
    unrepeated,
)

KEPT_LIMIT = 64 * 1024 * 1024  # octets of responses to one command that are held at the same time
HEARD_LIMIT = 1024 * 1024  # octets of an unfinished response in IDLE, and of what compression makes of one block there
CONTINUE_LIMIT = 20  # times that a server may ask on within one command
COMPRESS_ABOVE = 0.005  # seconds to the server and back; below that the line is so fast that compressing would slow it
SYNCHRONOUS_LIMIT = 4096  # octets that LITERAL- lets through without asking, RFC 7888 §5


@dataclass(slots=True)
class Literal:
    """An argument sent as a literal (RFC 9051 §4.3), streamed; ``closing`` are the parentheses that follow it."""

    source: BinaryIO
    size: int
    closing: bytes = b""


class Client:
    """An authenticated connection. Raises only MailError; after one with connection_lost it is of no use any more."""

    def __init__(self, server: Server, credentials: Credentials) -> None:
        self._tag = 0
        self._ahead: deque[Ahead] = deque()
        self._unanswered: set[bytes] = set()  # tags of commands under way
        self._answered: dict[bytes, Response] = {}  # tagged answers that came before anybody waited for them
        self._half: Response | None = None  # a response whose literals are not all here
        self._literal: int | None = None  # octets of the literal that comes next in it
        self._held = 0  # octets of it
        self._until: float | None = None  # on the monotonic clock; nothing is waited for any longer
        self.lost = False
        self._imap = open_connection(server)
        self.literal_plus = 0
        self._without = server.without
        self.offered: frozenset[str] = frozenset()  # as the server said last
        self.observer: Callable[[Response], None] = lambda response: None
        try:
            self.capabilities = self._offered(" ".join(self._imap.capabilities).encode())
            if self._imap.state == "NONAUTH":  # otherwise PREAUTH, RFC 9051 §7.1.4
                with unrepeated(credentials):
                    self._authenticate(server, credentials)
            if "COMPRESS=DEFLATE" in self.capabilities and round_trip(self._imap.sock) > COMPRESS_ABOVE:
                self._compress()
        except BaseException:
            self.abandon()
            raise

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
            done = self.run(b"LOGIN", *arguments, failure=sign_in_error)  # RFC 9051 §6.2.3
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
        return self.run(*arguments, on_continue=lambda: b64(next(waiting, further)), failure=sign_in_error)

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
        self._unanswered.add(tag)
        with self._in_step():
            line = tag
            for argument in arguments:
                if isinstance(argument, bytes):
                    line += b" " + argument
                else:
                    line = self._send_literal(tag, line, argument)
                    if tag in self._answered:  # refused before a single octet went out
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
            self._observe(response)
            if tag in self._answered:
                return b""
        left = argument.size
        while left:
            block = argument.source.read(min(BLOCK, left))
            if not block:
                raise ProtocolError("the message became shorter while it was sent")
            self._imap.send(block)
            left -= len(block)
        return argument.closing

    def finish(
        self,
        tag: bytes,
        each: Callable[[Response], bool] | None = None,
        on_continue: Callable[[], bytes] | None = None,
        failure: Callable[[Response], MailError] | None = None,
    ) -> Done:
        """Read to the end of the command ``tag``. Raises what its NO or BAD means."""
        untagged: list[Response] = []
        kept = asked = 0
        with self._in_step():
            while tag not in self._answered:
                response = self._read()
                if response.kind == b"+":
                    asked += 1
                    if asked > CONTINUE_LIMIT:
                        raise ProtocolError("the server asks on and on")
                    self._imap.send((on_continue() if on_continue else b"*") + b"\r\n")
                    continue
                self._observe(response)
                if response.kind in self._answered or (each and each(response)):
                    continue
                untagged.append(response)
                kept += 100 * len(response.pieces) + sum(map(len, response.pieces))
                if kept > KEPT_LIMIT:
                    raise ProtocolError("more was answered than the limit")
        tagged = self._answer(tag)
        if tagged.kind != b"OK":
            raise (failure or command_error)(tagged)
        return Done(untagged, tagged)

    def _answer(self, tag: bytes) -> Response:
        word, _, rest = self._answered.pop(tag).pieces[0].partition(b" ")
        return status(word.upper(), rest)

    def _observe(self, response: Response) -> None:
        """What any response means beyond the command that is waited for: answers come in an order of the server's own
        (RFC 9051 §5.5), and one that nobody waits for yet must not be lost."""
        if response.kind in self._unanswered:
            self._unanswered.remove(response.kind)
            self._answered[response.kind] = response
            return
        if response.kind == b"BYE":
            raise Unreachable(clean_detail(response.text), response.code.decode())
        self.observer(response)

    @contextlib.contextmanager
    def within(self, seconds: float | None) -> Iterator[None]:
        """All that is asked in the block is to be answered in this time; words that a server says meanwhile to be thought
        alive do not count. Raises Unreachable. None: each word of it has the time that the socket gives."""
        usual = self._imap.sock.gettimeout()
        self._until = None if seconds is None else time.monotonic() + seconds
        try:
            yield
        finally:
            self._until = None
            if not self.lost:
                self._imap.sock.settimeout(usual)

    # --- responses ---

    def _read(self) -> Response:
        while (response := self._whole()) is None:
            if self._until is not None:
                self._hurry(self._until - time.monotonic())
            self._imap.reader.fill()
        return response

    def _hurry(self, left: float) -> None:
        if left <= 0:
            raise Unreachable("timed out", "TIMEOUT")
        self._imap.sock.settimeout(left)

    def _whole(self) -> Response | None:
        """The next response with its literals if all of it is here; of one that is not, each octet is read but once."""
        reader = self._imap.reader
        if self._half is None:
            line = reader.buffered_line()
            if line is None:
                return None
            self._half, self._literal = self._begun(line.rstrip(b"\r\n"))
        pieces = self._half.pieces
        while self._literal is not None:
            if len(pieces) % 2:
                literal_ = reader.buffered_exactly(self._literal, LITERAL_LIMIT)
                if literal_ is None:
                    return None
                pieces.append(literal_)
            line = reader.buffered_line()
            if line is None:
                return None
            pieces.append(line.rstrip(b"\r\n"))
            self._held += 100 + len(pieces[-2]) + len(line)
            if self._held > KEPT_LIMIT:
                raise ProtocolError("more was answered than the limit")
            self._literal = literal_size(pieces[-1])
        response, self._half, self._held = self._half, None, 0
        return response

    def _begun(self, line: bytes) -> tuple[Response, int | None]:
        """The response that begins with ``line``, and how many octets of a literal follow."""
        if b"\0" in line:
            raise ProtocolError("NUL in a response")  # RFC 9051 §9, CHAR
        if line.startswith(b"+"):
            return Response(b"+", pieces=[line[1:].strip()]), None
        first, _, rest = line.partition(b" ")
        if first != b"*":
            if first not in self._unanswered or not rest:
                raise ProtocolError(f"a response begins with {clean_detail(first[:40])!r}")
            return Response(first, pieces=[rest]), None
        word, _, rest = rest.partition(b" ")
        word_number = 0
        if word.isdigit():
            if len(word) > 10:
                raise ProtocolError("a number is out of range")
            word_number = int(word)
            word, _, rest = rest.partition(b" ")
        word = word.upper()
        if word in STATUS:
            return status(word, rest), None
        return Response(word, word_number, [rest]), literal_size(rest)

    @contextlib.contextmanager
    def _in_step(self) -> Iterator[None]:
        """Whatever interrupts a half-read answer leaves the connection out of step, and so of no use."""
        self._imap.reader.restart()
        try:
            with imap_errors():
                yield
        except BaseException:
            self.abandon()
            raise

    # --- for IDLE ---

    def fileno(self) -> int:
        return self._imap.sock.fileno()

    def arrived(self) -> Iterator[Response]:
        """Responses that have come, without waiting for any: no more than a block, so that nobody can keep one who
        looks after many connections busy, and all that a selector would not tell of again. Raises Unreachable at the
        end of the connection."""
        reader = self._imap.reader
        heard = 0
        with self._in_step():
            while True:
                while (response := self._whole()) is not None:
                    self._observe(response)
                    self._answered.pop(response.kind, None)
                    yield response
                had = reader.waiting()
                if max(heard, had + self._held) > HEARD_LIMIT:
                    raise ProtocolError("more was said than the limit")
                if (heard and not reader.more_hidden()) or not reader.fill_without_waiting():
                    return
                heard += reader.waiting() - had

    def send_line(self, line: bytes) -> None:
        with self._in_step():
            self._imap.send(line + b"\r\n")

    def until_continue(self, tag: bytes) -> None:
        """Read to the ``+`` that answers the command ``tag``."""
        with self._in_step():
            while (response := self._read()).kind != b"+":
                self._observe(response)
                if tag in self._answered:
                    raise command_error(self._answer(tag))

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
