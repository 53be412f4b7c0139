"""POP3 (RFC 1939, CAPA: RFC 2449, SASL: RFC 5034) as base.MailStore, on poplib (its only user).

One mailbox, "INBOX"; the uid is what UIDL says. A session sees the messages that were there when it began, so
``changes()`` begins a new one, and deletion becomes true only when a session ends with QUIT, so ``destroy()`` ends it:
what it returned from is gone for good. The store connects again by itself when the next method needs it.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import poplib
import re
import socket
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, Self

from webmail.protocols import network
from webmail.protocols.base import (
    CHUNK,
    Capability,
    Changes,
    Condition,
    Credentials,
    Quota,
    RemoteMailbox,
    RemoteMessage,
    Security,
    Server,
    Watch,
)
from webmail.protocols.errors import (
    AuthenticationFailed,
    InsecureConnection,
    MailError,
    NotFound,
    ProtocolError,
    Refused,
    StateLost,
    Unavailable,
    Unreachable,
    Unsupported,
)
from webmail.protocols.network import (
    Reader,
    abandon,
    b64,
    clean_argument,
    clean_detail,
    connect,
    network_error,
    nothing_injected,
    sasl_choice,
    sasl_initial,
    secure,
    unrepeated,
)

MAILBOX = "INBOX"
LINE_LIMIT = 64 * 1024  # octets of a status or listing line; messages are not read by lines
LINES_LIMIT = 2_000_000  # lines of a listing
LISTING_LIMIT = 100_000_000  # octets of it
WELCOME_LIMIT = 256 * 1024  # octets of one answer before the sign-in
HEADER_LIMIT = 256 * 1024  # octets of a header that are kept
INITIAL_LIMIT = 200  # octets of an initial response in the AUTH command: a line has 255, RFC 2449 §4
PROGRESS = 1024 * 1024  # octets that have to come within network.WAIT_LIMIT
WINDOW = 50  # commands sent ahead of their answers, RFC 2449 §6.6

_STATE = "uidl"
_UIDL = re.compile(rb"[\x21-\x7e]{1,70}")  # RFC 1939 §7
_CODE = re.compile(r"-ERR \[([A-Za-z/-]+)\] ?(.*)", re.S)  # RFC 2449 §8


class _POP3(poplib.POP3):
    """poplib on our socket and with bounded reads."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.sock: Any = None
        self.most = WELCOME_LIMIT  # octets of one answer to be read by lines
        self._heard = 0  # of it
        try:
            super().__init__(server.host, server.port, server.timeout)
        except BaseException:
            abandon(self.sock)
            raise

    def _create_socket(self, timeout: float) -> socket.socket:
        sock = connect(self._server)
        self.reader = Reader(sock, LINE_LIMIT, LINES_LIMIT)
        return sock

    def _putline(self, line: bytes) -> None:
        self.reader.restart()
        self._heard = 0
        self.sock.sendall(line + b"\r\n")

    def _getline(self) -> tuple[bytes, int]:
        line = self.reader.line()
        self._heard += len(line)
        if self._heard > self.most:
            raise ProtocolError("more was answered than the limit")
        return line.rstrip(b"\r\n"), len(line)

    def encrypt(self) -> None:
        """STLS (RFC 2595 §4), demanded."""
        if "STLS" not in self.capa():
            raise InsecureConnection("the server does not offer STLS", "TLS")
        try:
            self.put("STLS")
            self.answer()
        except poplib.error_proto as error:
            raise InsecureConnection(_words(error), "TLS") from error
        nothing_injected(self.reader.buffered())
        self.sock = secure(self.sock, self._server)
        self.reader = Reader(self.sock, LINE_LIMIT, LINES_LIMIT)

    def capabilities(self) -> dict[str, list[str]]:
        try:
            return {name.upper(): arguments for name, arguments in self.capa().items()}  # RFC 2449 §5
        except poplib.error_proto:
            return {}

    def put(self, *lines: str) -> None:
        """Send commands ahead of their answers."""
        self._putline("\r\n".join(lines).encode())

    def answer(self) -> bytes:
        return self._getresp()  # type: ignore[attr-defined]

    def accepted(self) -> bool:
        """Whether the answer is yes. Raises error_proto for what is no answer: it would be the text of a letter, taken
        for one out of step."""
        try:
            self.answer()
        except poplib.error_proto as error:
            if _words(error).startswith("-ERR"):
                return False
            raise
        return True

    def text(self) -> Iterator[bytes]:
        """The octets after a positive answer, dots unstuffed, in blocks (RFC 1939 §3). To be read to the end.

        By blocks and not by lines: a line may be longer than any bound that is good for an answer."""
        rest, total, checked = b"\r\n", -2, 0  # as if a line had ended: a lone dot may come first
        while True:
            rest += self.reader.some()
            end = rest.find(b"\r\n.\r\n")
            if end >= 0:
                self.reader.unread(rest[end + 5 :])
                block = rest[: end + 2]
            else:
                cut = rest.find(b"\r", max(0, len(rest) - 4))  # what may become the end or a stuffed dot
                cut = len(rest) if cut < 0 else cut
                block, rest = rest[:cut], rest[cut:]
            plain = block.replace(b"\r\n..", b"\r\n.")
            plain = plain[2:] if total < 0 and plain else plain
            total = max(total, 0) + len(plain) if block else total
            if plain:
                yield plain
            if end >= 0:
                return
            if total > network.MESSAGE_LIMIT:
                raise ProtocolError("the message is over the limit")
            if total - checked > PROGRESS:
                self.reader.restart()
                checked = total


class POP3Store:
    """One session, begun anew when needed. Nothing of what RFC 9051 has beyond reading and deleting."""

    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, server: Server, credentials: Credentials) -> None:
        self._server = server
        self._credentials = credentials
        self.offered: frozenset[str] = frozenset()
        self._offered: dict[str, list[str]] = {}  # of those, what may be used
        self._pop3: _POP3 | None = None
        self._numbers: dict[str, int] | None = None  # uid -> message number in this session, in rising order
        self._sizes: dict[int, int] | None = None
        self._reading = False  # an answer is only half read
        self._connect()

    # --- the session ---

    def _learn(self, words: dict[str, list[str]]) -> None:
        self.offered |= words.keys()
        self._offered |= {name: words[name] for name in words.keys() - self._server.without}

    def _connect(self) -> None:
        self.offered, self._offered = frozenset(), {}
        self._numbers = self._sizes = None
        self._reading = False
        with pop3_errors():
            self._pop3 = _POP3(self._server)
        try:
            with pop3_errors():
                if self._server.security is Security.STARTTLS:
                    self._pop3.encrypt()
                self._learn(self._pop3.capabilities())
            with unrepeated(self._credentials), pop3_errors(signing_in=True):
                self._authenticate(self._pop3)
            self._pop3.most = LISTING_LIMIT
            with pop3_errors():
                # RFC 2449 §5: what is offered may be more after signing in.
                self._learn(self._pop3.capabilities())
        except BaseException:
            self._abandon()
            raise

    def _authenticate(self, pop3: _POP3) -> None:
        credentials = self._credentials
        mechanism = sasl_choice(frozenset(m.upper() for m in self._offered.get("SASL", ())), credentials)
        if mechanism in (None, "LOGIN"):
            if credentials.oauth:
                raise AuthenticationFailed("the server offers no sign-in with a token", "OAUTH")
            pop3.user(clean_argument(credentials.user))  # RFC 1939 §7
            pop3.pass_(clean_argument(credentials.secret))
            return
        words = [b64(sasl_initial(mechanism, credentials, self._server)).decode()]
        command = f"AUTH {mechanism}"  # RFC 5034 §4
        if len(words[0]) <= INITIAL_LIMIT:
            command = f"{command} {words.pop()}"
        pop3.put(command)
        answer = pop3.answer()
        while answer.startswith(b"+") and not answer.startswith(b"+OK"):
            # OAuth's error report wants an answer before the refusal comes (RFC 7628 §3.2.3).
            if not words and mechanism == "PLAIN":
                raise ProtocolError("the server asks on after the sign-in")
            if not words:
                words, mechanism = ["AQ==" if mechanism == "OAUTHBEARER" else ""], "PLAIN"
            pop3.put(words.pop())
            answer = pop3.answer()

    def _session(self) -> _POP3:
        """The session, a new one if there is none or if somebody stopped reading in the middle of a message."""
        if self._reading:
            self._abandon()
        if self._pop3 is None:
            self._connect()
        assert self._pop3 is not None
        return self._pop3

    @contextlib.contextmanager
    def _asking(self) -> Iterator[_POP3]:
        """For commands that are read to their end: if they are not, the session is of no use any more."""
        pop3 = self._session()
        self._reading = True
        try:
            with pop3_errors():
                yield pop3
            self._reading = False
        except MailError as error:
            if error.connection_lost:
                self._abandon()
            self._reading = False  # -ERR is an end too
            raise
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        if self._pop3 is not None:
            with contextlib.suppress(OSError):
                self._pop3.close()
            abandon(self._pop3.sock)
        self._pop3 = None
        self._reading = False

    def _quit(self) -> None:
        with self._asking() as pop3:
            pop3.quit()  # RFC 1939 §6
        self._pop3 = None

    # --- the listing ---

    def _listing(self) -> dict[str, int]:
        self._session()  # a new session numbers anew
        if self._numbers is None:
            with self._asking() as pop3:
                self._sizes = _listed_sizes(pop3)
                try:
                    uids = _listed_uids(pop3)  # RFC 1939 §7
                except poplib.error_proto as error:
                    # Only where there is no UIDL are messages told by their content: a server that has it and fails for
                    # once would have every message downloaded again.
                    if self._sizes and ("UIDL" in self._offered or not _words(error).startswith("-ERR")):
                        raise Unavailable(_words(error)) from error
                    uids = {}
            self._numbers = self._unique(uids, sorted(self._sizes))
        return self._numbers

    def _unique(self, uids: Mapping[int, bytes], numbers: Sequence[int]) -> dict[str, int]:
        """A uid for every message: UIDL where it is one, else a digest of the header and the size."""
        times = Counter(uids.values())
        good = {n: uids[n].decode() for n in numbers if n in uids and times[uids[n]] == 1}
        found: dict[str, int] = {}
        repeated: Counter[str] = Counter()
        headers = dict(self._headers([n for n in numbers if n not in good]))
        for n in numbers:
            uid = good.get(n)
            if uid is None and n not in headers:
                continue  # cannot be read, and so not be told from others
            if uid is None:
                digest = hashlib.sha256(b"%d\r\n" % self._size(n) + headers[n]).hexdigest()
                repeated[digest] += 1  # identical copies are told apart by their order alone
                uid = f"sha256-{digest}-{repeated[digest]}"
            found[uid] = n
        return found

    def _size(self, number: int) -> int:
        return (self._sizes or {}).get(number, 0)

    def _headers(self, numbers: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Headers with their blank line, WINDOW at a time, so that no answer is half read when one is given out."""
        command = "TOP {} 0" if "TOP" in self._offered else "RETR {}"  # TOP is optional, RFC 1939 §7
        window = WINDOW if "PIPELINING" in self._offered else 1
        session = self._session()
        for start in range(0, len(numbers), window):
            batch = numbers[start : start + window]
            if self._pop3 is not session or self._reading:
                raise Unreachable("the session that these numbers are of was given up")
            with self._asking() as pop3:
                pop3.put(*map(command.format, batch))
                found = []
                for number in batch:
                    header = _header_answer(pop3)
                    if header is not None:
                        found.append((number, header))
            yield from found

    # --- reading ---

    def mailboxes(self) -> list[RemoteMailbox]:
        with self._asking() as pop3:
            total, _ = pop3.stat()  # RFC 1939 §5
        return [RemoteMailbox(MAILBOX, role="inbox", total=total)]

    def changes(self, mailbox: str, state: str | None, known: Mapping[str, frozenset[str]]) -> Changes:
        _inbox(mailbox)
        if state not in (None, _STATE):
            raise StateLost("the state is not ours")
        if self._numbers is not None:  # this session has been looked at before: new mail shows only in a new one
            self._quit()
        there = self._listing()
        return Changes(
            state=_STATE,
            created=tuple(uid for uid in reversed(there) if uid not in known),
            destroyed=tuple(uid for uid in known if uid not in there),
        )

    def expect(self, mailbox: str, state: str | None) -> None:
        """Nothing to watch: a UIDL names one message for ever (RFC 1939 §7)."""

    def messages(self, mailbox: str, uids: Sequence[str]) -> Iterator[RemoteMessage]:
        _inbox(mailbox)
        there = self._listing()
        uid_of = {there[uid]: uid for uid in map(clean_argument, uids) if uid in there}
        for number, header in self._headers(list(uid_of)):
            yield RemoteMessage(uid_of[number], self._size(number), frozenset(), header)

    def newest(self, mailbox: str, count: int) -> list[RemoteMessage]:
        _inbox(mailbox)
        uids = list(itertools.islice(reversed(self._listing()), max(0, count)))
        return list(self.messages(mailbox, uids))

    def body(
        self, mailbox: str, uid: str, part: str | None = None, range: tuple[int, int] | None = None
    ) -> Iterator[bytes]:
        """The message, streamed. Any other call before its end gives up the session and begins a new one."""
        _inbox(mailbox)
        if part is not None:
            raise Unsupported("POP3 knows only whole messages")
        if range and (range[0] < 0 or range[1] < 1):
            raise Refused("an empty range")
        number = self._listing().get(clean_argument(uid))
        if number is None:
            raise NotFound("the message is not there")
        with self._asking() as pop3:
            pop3.put(f"RETR {number}")
            pop3.answer()
        self._reading = True
        return _chunks(self._stream(pop3), *(range or (0, None)))

    def bodies(self, mailbox: str, uids: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Whole messages one after another, asked for ahead; each is read to its end before the next is given."""
        _inbox(mailbox)
        there = self._listing()
        wanted = [(uid, there[uid]) for uid in map(clean_argument, uids) if uid in there]
        window = WINDOW if "PIPELINING" in self._offered else 1
        pop3, asked = self._session(), 0
        for position, (uid, _) in enumerate(wanted):
            self._reading = True
            # Asked for again when half of what was asked for is read, so that the line never falls silent; commands are
            # so short that the server can buffer them while it is still writing to us.
            if asked - position <= window // 2 and (ahead := wanted[asked : position + window]):
                with pop3_errors():
                    pop3.put(*(f"RETR {number}" for _, number in ahead))
                asked += len(ahead)
            with pop3_errors():
                there_is = pop3.accepted()
            if not there_is:
                continue
            stream = self._stream(pop3, last=position + 1 == len(wanted))
            yield uid, _chunks(stream, 0, None)
            if self._pop3 is not pop3:
                raise Unreachable("the session was given up between two messages")
            for _ in stream:
                pass
        self._reading = False

    def _stream(self, pop3: _POP3, last: bool = True) -> Iterator[bytes]:
        try:
            with pop3_errors():
                for block in pop3.text():
                    yield block
                    if self._pop3 is not pop3:
                        raise Unreachable("the session was given up in the middle of the message")
        except MailError:
            self._abandon()
            raise
        self._reading = not last

    # --- deleting ---

    def destroy(self, mailbox: str, uids: Collection[str]) -> None:
        """Gone for good on return: the session ends here (RFC 1939 §6, UPDATE)."""
        _inbox(mailbox)
        there = self._listing()
        numbers = [there[uid] for uid in map(clean_argument, uids) if uid in there]
        if not numbers:
            return
        window = WINDOW if "PIPELINING" in self._offered else 1
        for start in range(0, len(numbers), window):
            with self._asking() as pop3:
                batch = numbers[start : start + window]
                pop3.put(*(f"DELE {number}" for number in batch))
                for _ in batch:
                    pop3.accepted()  # or gone already
        self._quit()

    # --- what POP3 has not ---

    def search(self, mailbox: str, condition: Condition, patience: float | None = None) -> list[str]:
        _unsupported("search")

    def append(
        self, mailbox: str, raw: BinaryIO, keywords: Iterable[str] = (), received_at: datetime | None = None
    ) -> str | None:
        _unsupported("storing")

    def set_keywords(
        self, mailbox: str, uids: Collection[str], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        _unsupported("keywords")

    def copy(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        _unsupported("mailboxes")

    def move(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        _unsupported("mailboxes")

    def create_mailbox(self, name: str) -> None:
        _unsupported("mailboxes")

    def rename_mailbox(self, name: str, new_name: str) -> None:
        _unsupported("mailboxes")

    def destroy_mailbox(self, name: str) -> None:
        _unsupported("mailboxes")

    def subscribe(self, name: str, subscribed: bool) -> None:
        _unsupported("mailboxes")

    def quota(self) -> Quota | None:
        return None

    def watch(self, mailbox: str) -> Watch:
        _unsupported("watching")

    # --- the end ---

    def alive(self) -> bool:
        if self._pop3 is None or self._reading:
            return False
        try:
            with self._asking() as pop3:
                pop3.noop()
        except MailError:
            return False
        return True

    def close(self) -> None:
        if self._pop3 is not None and not self._reading:
            with contextlib.suppress(MailError, OSError):
                self._pop3.sock.settimeout(5.0)  # politeness has its limits
                self._quit()
        self._abandon()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _inbox(mailbox: str) -> None:
    if clean_argument(mailbox) != MAILBOX:
        raise NotFound(f"POP3 has no mailbox {mailbox}")


def _unsupported(what: str) -> NoReturn:
    raise Unsupported(f"POP3 has no {what}")


def _listed_sizes(pop3: _POP3) -> dict[int, int]:
    _, lines, _ = pop3.list()
    return {number: int(words[0]) for number, words in map(_scan, lines) if words and words[0].isdigit()}


def _listed_uids(pop3: _POP3) -> dict[int, bytes]:
    _, lines, _ = pop3.uidl()
    return {number: words[0] for number, words in map(_scan, lines) if words and _UIDL.fullmatch(words[0])}


def _scan(line: bytes) -> tuple[int, list[bytes]]:
    number, *words = line.split()[:3] or [b""]
    if not number.isdigit() or len(number) > 10:
        raise ProtocolError(f"a listing has {clean_detail(line[:40])!r}")
    return int(number), words


def _header_answer(pop3: _POP3) -> bytes | None:
    """The header out of an answer to TOP or RETR, the rest read and let go; None if the message is gone."""
    if not pop3.accepted():
        return None
    header = b""
    ended = False
    for block in pop3.text():
        if not ended:
            header += block
            ended = b"\r\n\r\n" in header or header.startswith(b"\r\n") or len(header) > HEADER_LIMIT
    if header.startswith(b"\r\n"):
        return b"\r\n"
    end = header.find(b"\r\n\r\n")
    if end >= 0:
        return header[: end + 4]
    header = header[: header.rfind(b"\r\n", 0, HEADER_LIMIT) + 2]
    return header + b"\r\n"


def _chunks(stream: Iterator[bytes], offset: int, length: int | None) -> Iterator[bytes]:
    """The stream from ``offset`` in pieces of at most CHUNK; read to its end whatever the range."""
    left = length
    for block in stream:
        if offset >= len(block):
            offset -= len(block)
            continue
        block, offset = block[offset:], 0
        if left is not None:
            block, left = block[:left], max(0, left - len(block))
        for at in range(0, len(block), CHUNK):
            yield block[at : at + CHUNK]


# --- errors -----------------------------------------------------------------------------------------------------------


def _words(error: poplib.error_proto) -> str:
    words = error.args[0] if error.args else b""
    return clean_detail(words)


@contextlib.contextmanager
def pop3_errors(signing_in: bool = False) -> Iterator[None]:
    """Everything below turns into the MailError tree here, and nowhere else."""
    try:
        yield
    except poplib.error_proto as error:
        raise _answer_error(_words(error), signing_in) from error
    except EOFError as error:
        raise Unreachable("the server closed the connection") from error
    except OSError as error:
        raise network_error(error) from error
    except (ValueError, IndexError) as error:  # poplib, on a STAT that has no numbers
        raise ProtocolError(clean_detail(error)) from error


def _answer_error(words: str, signing_in: bool) -> MailError:
    match = _CODE.match(words)
    code, detail = (match.group(1).upper(), match.group(2)) if match else ("", words.removeprefix("-ERR").strip())
    if not words.startswith("-ERR"):
        return ProtocolError(detail)
    if code in ("IN-USE", "LOGIN-DELAY", "SYS/TEMP"):  # RFC 2449 §8.1, RFC 3206 §4
        return Unavailable(detail, code)
    if code == "AUTH" or (signing_in and code != "SYS/PERM"):  # RFC 3206 §5
        return AuthenticationFailed(detail, code)
    return Refused(detail, code)
