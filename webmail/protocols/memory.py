"""Mail servers in memory: the reference implementation of the seam, and faults on demand.

``MemoryServer`` is the server, to be shared by any number of stores and transports; ``fail_next`` makes the next call
(or the next call of one method) raise. Nothing is written anywhere.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from email.parser import BytesHeaderParser, HeaderParser
from types import TracebackType
from typing import Any, BinaryIO, Self

from webmail.protocols.base import (
    CHUNK,
    HEADER_FIELDS,
    Capability,
    Changes,
    Condition,
    Envelope,
    Outline,
    Quota,
    RemoteMailbox,
    RemoteMessage,
    Structure,
    Submitted,
)
from webmail.protocols.errors import (
    AlreadyExists,
    AuthenticationFailed,
    MailError,
    NotFound,
    OverQuota,
    RecipientsRefused,
    Refused,
    StateLost,
    TooLarge,
    Unreachable,
)

DELIMITER = "/"
_STANDARD = {"INBOX": "inbox", "Drafts": "drafts", "Sent": "sent", "Archive": "archive", "Junk": "junk"}
_STANDARD["Trash"] = "trash"


@dataclass(slots=True)
class _Stored:
    uid: int
    raw: bytes
    keywords: frozenset[str]
    received_at: datetime


@dataclass(slots=True)
class _Box:
    role: str | None = None
    uid_validity: int = 1
    uid_next: int = 1
    subscribed: bool = True
    messages: dict[int, _Stored] = field(default_factory=dict)

    def add(self, raw: bytes, keywords: Iterable[str], received_at: datetime) -> int:
        uid, self.uid_next = self.uid_next, self.uid_next + 1
        self.messages[uid] = _Stored(uid, raw, frozenset(k.lower() for k in keywords), received_at)
        return uid


class MemoryServer:
    """Mailboxes by user, and what was sent. Safe to share between threads."""

    def __init__(self, passwords: Mapping[str, str] | None = None, quota: int | None = None) -> None:
        self.lock = threading.RLock()
        self.passwords = dict(passwords or {})
        self.quota = quota
        self.max_size: int | None = None
        self.refused: dict[str, str] = {}  # recipient -> reply
        self.sent: list[tuple[Envelope, bytes]] = []
        self.changed = threading.Event()
        self._users: dict[str, dict[str, _Box]] = {}
        self._faults: list[tuple[str | None, MailError]] = []
        self._uid_validity = 1

    def boxes(self, user: str) -> dict[str, _Box]:
        with self.lock:
            if user not in self._users:
                self._users[user] = {name: _Box(role) for name, role in _STANDARD.items()}
            return self._users[user]

    def next_uid_validity(self) -> int:
        self._uid_validity += 1
        return self._uid_validity

    def deliver(self, user: str, raw: bytes, mailbox: str = "INBOX", keywords: Iterable[str] = ()) -> str:
        """A message arrives from outside; its uid."""
        with self.lock:
            uid = self.boxes(user)[mailbox].add(raw, keywords, datetime.now(UTC).replace(microsecond=0))
            self.changed.set()
            return str(uid)

    def invalidate(self, user: str, mailbox: str = "INBOX") -> None:
        """UIDVALIDITY changes: all uids are new."""
        with self.lock:
            box = self.boxes(user)[mailbox]
            old, box.messages, box.uid_next = list(box.messages.values()), {}, 1
            box.uid_validity = self.next_uid_validity()
            for message in old:
                box.add(message.raw, message.keywords, message.received_at)

    def fail_next(self, error: MailError, method: str | None = None) -> None:
        """The next call of ``method`` (of any) raises ``error``, once."""
        with self.lock:
            self._faults.append((method, error))

    def check(self, method: str) -> None:
        with self.lock:
            for position, (wanted, error) in enumerate(self._faults):
                if wanted in (None, method):
                    del self._faults[position]
                    raise error


_NAMES_UIDS = {"messages", "body", "set_keywords", "copy", "move", "destroy"}


class MemoryStore:
    """base.MailStore over a MemoryServer."""

    capabilities = frozenset(Capability)
    offered: frozenset[str] = frozenset()

    def __init__(self, server: MemoryServer, user: str = "alice", password: str = "") -> None:
        server.check("connect")
        if user in server.passwords and server.passwords[user] != password:
            raise AuthenticationFailed("wrong password", "AUTHENTICATIONFAILED")
        self._server = server
        self._user = user
        self._open = True
        self._expected: dict[str, str | None] = {}

    def _boxes(self, method: str) -> dict[str, _Box]:
        if not self._open:
            raise Unreachable("the connection is closed")
        try:
            self._server.check(method)
        except MailError as error:
            self._open = not error.connection_lost
            raise
        return self._server.boxes(self._user)

    def _box(self, method: str, mailbox: str) -> _Box:
        boxes = self._boxes(method)
        if _argument(mailbox) not in boxes:
            raise NotFound(f"there is no mailbox {mailbox}", "NONEXISTENT")
        expected = self._expected.get(mailbox) if method in _NAMES_UIDS else None
        if expected and expected != str(boxes[mailbox].uid_validity):
            raise StateLost("UIDVALIDITY changed")
        return boxes[mailbox]

    # --- mailboxes ---

    def mailboxes(self) -> list[RemoteMailbox]:
        with self._server.lock:
            return [
                RemoteMailbox(
                    name=name,
                    delimiter=DELIMITER,
                    role=box.role,
                    subscribed=box.subscribed,
                    total=len(box.messages),
                    unread=sum("$seen" not in message.keywords for message in box.messages.values()),
                )
                for name, box in self._boxes("mailboxes").items()
            ]

    def create_mailbox(self, name: str) -> None:
        with self._server.lock:
            boxes = self._boxes("create_mailbox")
            if _argument(name) in boxes or name.upper() == "INBOX":
                raise AlreadyExists(f"{name} exists", "ALREADYEXISTS")
            if not name:
                raise Refused("a mailbox needs a name")
            boxes[name] = _Box(uid_validity=self._server.next_uid_validity(), subscribed=False)

    def rename_mailbox(self, name: str, new_name: str) -> None:
        with self._server.lock:
            boxes = self._boxes("rename_mailbox")
            self._box("rename_mailbox", name)
            if _argument(new_name) in boxes:
                raise AlreadyExists(f"{new_name} exists", "ALREADYEXISTS")
            for old in [n for n in boxes if n == name or n.startswith(name + DELIMITER)]:
                boxes[new_name + old[len(name) :]] = boxes.pop(old)

    def destroy_mailbox(self, name: str) -> None:
        with self._server.lock:
            self._box("destroy_mailbox", name)
            if name == "INBOX":
                raise Refused("INBOX cannot be deleted", "CANNOT")  # RFC 9051 §6.3.5
            del self._server.boxes(self._user)[name]

    def subscribe(self, name: str, subscribed: bool) -> None:
        with self._server.lock:
            self._box("subscribe", name).subscribed = subscribed

    # --- reading ---

    def changes(self, mailbox: str, state: str | None, known: Mapping[str, frozenset[str]]) -> Changes:
        self._expected.pop(mailbox, None)  # the state given here is what counts from now on
        with self._server.lock:
            box = self._box("changes", mailbox)
            if state is not None and state != str(box.uid_validity):
                raise StateLost("UIDVALIDITY changed")
            now = {str(uid): message.keywords for uid, message in box.messages.items()}
        return Changes(
            state=str(box.uid_validity),
            created=tuple(sorted(now.keys() - known.keys(), key=int, reverse=True)),
            updated={uid: keywords for uid, keywords in now.items() if uid in known and known[uid] != keywords},
            destroyed=tuple(sorted(known.keys() - now.keys(), key=int)),
        )

    def expect(self, mailbox: str, state: str | None) -> None:
        self._expected[mailbox] = state

    def messages(self, mailbox: str, uids: Sequence[str]) -> Iterator[RemoteMessage]:
        wanted = _numbers(uids)
        with self._server.lock:
            box = self._box("messages", mailbox)
            found = [message for uid, message in box.messages.items() if uid in wanted]
        return map(_remote, found)

    def newest(self, mailbox: str, count: int) -> list[RemoteMessage]:
        with self._server.lock:
            box = self._box("newest", mailbox)
            uids = sorted(box.messages, reverse=True)[: max(0, count)]
            return [_remote(box.messages[uid]) for uid in uids]

    def body(
        self, mailbox: str, uid: str, part: str | None = None, range: tuple[int, int] | None = None
    ) -> Iterator[bytes]:
        (wanted,) = _numbers([uid])
        with self._server.lock:
            message = self._box("body", mailbox).messages.get(wanted)
        octets = _octets(message.raw, part) if message else None
        if octets is None:
            raise NotFound("the message or this part of it is not there")
        if range:
            if range[0] < 0 or range[1] < 1:
                raise Refused("an empty range")
            octets = octets[range[0] : range[0] + range[1]]
        return iter([octets[at : at + CHUNK] for at in _steps(len(octets))])

    def search(self, mailbox: str, condition: Condition, patience: float | None = None) -> list[str]:
        with self._server.lock:
            messages = list(self._box("search", mailbox).messages.values())
        _check_condition(condition)
        messages.sort(key=lambda m: (m.received_at, m.uid), reverse=True)
        return [str(m.uid) for m in messages if _matches(m, condition)]

    def quota(self) -> Quota | None:
        with self._server.lock:
            used = sum(len(m.raw) for box in self._boxes("quota").values() for m in box.messages.values())
            return None if self._server.quota is None else Quota(used, self._server.quota)

    # --- writing ---

    def append(
        self, mailbox: str, raw: BinaryIO, keywords: Iterable[str] = (), received_at: datetime | None = None
    ) -> str | None:
        raw.seek(0)
        octets = raw.read()
        keywords = [_keyword(keyword) for keyword in keywords]
        with self._server.lock:
            box = self._box("append", mailbox)
            quota = self.quota()
            if quota and quota.used + len(octets) > quota.limit:
                raise OverQuota("the account is full", "OVERQUOTA")
            self._server.changed.set()
            at = (received_at or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
            return str(box.add(octets, keywords, at))

    def set_keywords(
        self, mailbox: str, uids: Collection[str], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        adding, removing = {_keyword(k) for k in add}, {_keyword(k) for k in remove}
        wanted = _numbers(uids)
        with self._server.lock:
            box = self._box("set_keywords", mailbox)
            for uid in wanted & box.messages.keys():
                message = box.messages[uid]
                message.keywords = (message.keywords | adding) - removing
            self._server.changed.set()

    def copy(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        wanted = _numbers(uids)
        with self._server.lock:
            source, destination = self._box("copy", mailbox), self._box("copy", target)
            return {
                str(uid): str(destination.add(m.raw, m.keywords, m.received_at))
                for uid, m in sorted(source.messages.items())
                if uid in wanted
            }

    def move(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        if mailbox == target:
            return {uid: uid for uid in uids}
        with self._server.lock:
            self._boxes("move")
            moved = self.copy(mailbox, uids, target)
            self.destroy(mailbox, list(moved))
            return moved

    def destroy(self, mailbox: str, uids: Collection[str]) -> None:
        wanted = _numbers(uids)
        with self._server.lock:
            box = self._box("destroy", mailbox)
            for uid in wanted:
                box.messages.pop(uid, None)
            self._server.changed.set()

    # --- the connection ---

    def watch(self, mailbox: str) -> MemoryWatch:
        self._box("watch", mailbox)
        return MemoryWatch(self._server, self._user, mailbox)

    def alive(self) -> bool:
        try:
            self._boxes("alive")
        except MailError:
            return False
        return True

    def close(self) -> None:
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryWatch:
    """base.Watch by looking; ``fileno`` is -1, since there is nothing to select on."""

    def __init__(self, server: MemoryServer, user: str, mailbox: str) -> None:
        self._server, self._user, self._mailbox = server, user, mailbox
        self._seen = self._look()

    def _look(self) -> dict[int, frozenset[str]]:
        with self._server.lock:
            self._server.check("changed")
            box = self._server.boxes(self._user).get(self._mailbox, _Box())
            return {uid: message.keywords for uid, message in box.messages.items()}

    how = "idle"
    settled = True

    def fileno(self) -> int:
        return -1

    def changed(self) -> bool:
        before, self._seen = self._seen, self._look()
        return before != self._seen

    def renew(self) -> None:
        self._server.check("renew")

    def close(self) -> None:
        """Nothing is held."""

    def abandon(self) -> None:
        """Nothing is held."""


class MemoryTransport:
    """base.Transport: records what is sent, and delivers it to the recipients the server knows."""

    def __init__(self, server: MemoryServer) -> None:
        server.check("connect")
        self._server = server
        self.max_size = server.max_size
        self.usable = True

    def submit(
        self,
        envelope: Envelope,
        raw: BinaryIO,
        before_data: Callable[[], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
        at_last: Callable[[], None] | None = None,
    ) -> Submitted:
        raw.seek(0)
        octets = raw.read()
        with self._server.lock:
            self._server.check("submit")
            for address in (envelope.sender, *envelope.recipients):
                _argument(address)
            if self.max_size and len(octets) > self.max_size:
                raise TooLarge("the message is too large", "SIZE")
            refused = {a: self._server.refused[a] for a in envelope.recipients if a in self._server.refused}
            if len(refused) == len(envelope.recipients):
                raise RecipientsRefused(refused)
            if before_data:
                before_data()
            self._server.sent.append((envelope, octets))
            for recipient in envelope.recipients:
                if recipient not in refused and recipient in self._server._users:
                    self._server.deliver(recipient, octets)
        return Submitted(refused, "250 taken")

    def close(self) -> None:
        """Nothing is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# --- arguments --------------------------------------------------------------------------------------------------------


def _argument(text: str) -> str:
    if any(character in text for character in "\r\n\0"):
        raise Refused("line breaks and NUL are not allowed here")
    return text


def _check_condition(condition: Condition) -> None:
    for name in (*_HEADER_CRITERIA, "text", "body"):
        _argument(getattr(condition, name))
    for keyword in filter(None, (condition.has_keyword, condition.not_keyword)):
        _keyword(keyword)
    for child in (*condition.all_of, *condition.one_of, *condition.none_of):
        _check_condition(child)


def _keyword(keyword: str) -> str:
    if not re.fullmatch(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~]{1,100}", keyword):
        raise Refused(f"{keyword!r} cannot be a keyword")
    return keyword.lower()


def _numbers(uids: Iterable[str]) -> set[int]:
    for uid in uids:
        if not (uid.isascii() and uid.isdigit() and 0 < int(uid[:11]) < 2**32):
            raise Refused(f"{uid!r} is not a uid")
    return {int(uid) for uid in uids}


def _steps(size: int) -> range:
    return range(0, size, CHUNK)


# --- messages ---------------------------------------------------------------------------------------------------------


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """Header with its blank line, and body."""
    if raw.startswith(b"\r\n"):
        return b"\r\n", raw[2:]
    end = raw.find(b"\r\n\r\n")
    return (raw, b"") if end < 0 else (raw[: end + 4], raw[end + 4 :])


def _remote(message: _Stored) -> RemoteMessage:
    outline, sizes = Outline.of(_structure(message.raw))
    return RemoteMessage(
        uid=str(message.uid),
        size=len(message.raw),
        keywords=message.keywords,
        header=_listed_fields(_split(message.raw)[0]),
        received_at=message.received_at,
        outline=outline,
        sizes=sizes,
    )


def _listed_fields(header: bytes) -> bytes:
    fields = re.findall(rb"^([!-9;-~]+)[ \t]*:((?:.*\r\n)(?:[ \t].*\r\n)*)", header, re.M)
    kept = (name + b":" + value for name, value in fields if name.decode("ascii").lower() in HEADER_FIELDS)
    return b"".join(kept) + b"\r\n"


def _header(raw: bytes) -> Message:
    return BytesHeaderParser().parsebytes(_split(raw)[0])


_HEADER_CRITERIA = {
    "subject": "subject",
    "from_": "from",
    "to": "to",
    "cc": "cc",
    "bcc": "bcc",
    "message_id": "message-id",
}


def _matches(message: _Stored, condition: Condition) -> bool:
    header = HeaderParser().parsestr(_split(message.raw)[0].decode("utf-8", "replace"))  # RFC 6532
    for criterion, name in _HEADER_CRITERIA.items():
        if not _contains(str(header.get(name, "")), getattr(condition, criterion)):
            return False
    if not _contains(message.raw.decode("utf-8", "replace"), condition.text):
        return False
    if not _contains(_split(message.raw)[1].decode("utf-8", "replace"), condition.body):
        return False
    if condition.has_keyword and condition.has_keyword.lower() not in message.keywords:
        return False
    if condition.not_keyword and condition.not_keyword.lower() in message.keywords:
        return False
    at = message.received_at
    if (condition.after and at < condition.after) or (condition.before and at >= condition.before):
        return False
    size = len(message.raw)
    if condition.larger is not None and size <= condition.larger:
        return False
    if condition.smaller is not None and size >= condition.smaller:
        return False
    return (
        all(_matches(message, child) for child in condition.all_of)
        and (not condition.one_of or any(_matches(message, child) for child in condition.one_of))
        and not any(_matches(message, child) for child in condition.none_of)
    )


def _contains(text: str, wanted: str) -> bool:
    return wanted.casefold() in text.casefold()


def _children(raw: bytes, header: Message) -> list[bytes]:
    """The parts of a multipart, each header and body, as they were sent."""
    boundary = str(header.get_boundary("")).encode()
    body = b"\r\n" + _split(raw)[1]
    pieces = re.split(rb"\r\n--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r\n|$)", body)
    children = []
    for at in range(2, len(pieces), 2):
        if pieces[at - 1] is not None:  # the closing delimiter
            break
        children.append(pieces[at])
    return children


def _structure(raw: bytes, part: str | None = None, prefix: str = "", default: str = "text/plain") -> Structure:
    header = _header(raw)
    header.set_default_type(default)
    kind = header.get_content_type()
    params = {k.lower(): str(v) for k, v in (header.get_params() or [])[1:] if "content-type" in header}
    disposition = header.get_params(header="content-disposition") or []
    common: dict[str, Any] = {
        "type": kind,
        "params": params,
        "disposition": disposition[0][0].lower() if disposition else None,
        "disposition_params": {k.lower(): str(v) for k, v in disposition[1:]},
    }
    if header.get_content_maintype() == "multipart":
        inner = "message/rfc822" if kind == "multipart/digest" else "text/plain"
        parts = enumerate(_children(raw, header), 1)
        inside = (_structure(child, f"{prefix}{n}", f"{prefix}{n}.", inner) for n, child in parts)
        common["params"] = {name: value for name, value in params.items() if name != "boundary"}
        return Structure(part=part or "", children=tuple(inside), **common)
    part = part or "1"
    children: tuple[Structure, ...] = ()
    body = _split(raw)[1]
    if kind == "message/rfc822":
        embedded = _header(body).get_content_maintype() == "multipart"
        children = (_structure(body, f"{part}.TEXT" if embedded else f"{part}.1", f"{part}."),)
    return Structure(
        part=part,
        content_id=header.get("content-id"),
        encoding=str(header.get("content-transfer-encoding", "7bit")).strip().lower(),
        size=len(body),
        children=children,
        **common,
    )


def _octets(raw: bytes, part: str | None) -> bytes | None:
    """The octets of a part, by the numbering of RFC 9051 §6.4.5.1."""
    if part is None:
        return raw
    if not re.fullmatch(r"(?:\d+(?:\.\d+)*)?(?:\.?(?:MIME|HEADER|TEXT))?", part):
        raise Refused(f"{part!r} is not a part of a message")
    numbers, _, wanted = re.sub(r"\.?(MIME|HEADER|TEXT)$", r" \1", part).partition(" ")
    entity, embedded = raw, True  # whether the entity is a message, whose parts are numbered from inside it
    for step in map(int, filter(None, numbers.split("."))):
        header = _header(entity)
        if header.get_content_type() == "message/rfc822" and entity is not raw:
            entity, embedded = _split(entity)[1], True
            header = _header(entity)
        if header.get_content_maintype() == "multipart":
            children = _children(entity, header)
            if not 0 < step <= len(children):
                return None
            entity, embedded = children[step - 1], False
        elif step != 1 or not embedded:
            return None
        else:
            embedded = False
    if wanted in ("HEADER", "TEXT"):
        message = _split(entity)[1] if numbers else entity
        return _split(message)[0 if wanted == "HEADER" else 1]
    return _split(entity)[0 if wanted == "MIME" else 1]
