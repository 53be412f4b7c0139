"""IMAPStore: base.MailStore over one IMAP connection."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.parser import BytesHeaderParser
from types import TracebackType
from typing import BinaryIO, Self

from webmail.protocols.base import (
    CHUNK,
    Capability,
    Changes,
    Condition,
    Credentials,
    Quota,
    RemoteMailbox,
    RemoteMessage,
    Server,
)
from webmail.protocols.errors import MailError, NotFound, ProtocolError, Refused, StateLost, Unsupported
from webmail.protocols.imap import changes as difference
from webmail.protocols.imap import fetch
from webmail.protocols.imap.client import Ahead, Client, Done, Literal, Response, literal
from webmail.protocols.imap.roles import roles_of
from webmail.protocols.imap.syntax import (
    UidSet,
    decode_mailbox,
    encode_mailbox,
    flag_of,
    format_date,
    format_date_time,
    number,
    quoted,
    set_members,
    text,
    uid_number,
    uid_sets,
)
from webmail.protocols.imap.watch import IMAPWatch
from webmail.protocols.network import clean_argument

BATCH = 250  # messages in one FETCH: held in memory together
AHEAD = 2  # FETCH commands that are under way while the answer to another is looked at
STATUS_LIMIT = 100  # mailboxes that are asked for counts one by one, where LIST cannot tell them
PAIRING_LIMIT = 1000  # messages whose copies are looked for, where COPYUID does not name them

_PART = re.compile(r"(?:[1-9]\d{0,3}(?:\.[1-9]\d{0,3}){0,99})(?:\.(?:MIME|HEADER|TEXT))?|HEADER|TEXT")
_OPTIONAL = frozenset({"$forwarded", "$mdnsent", "$junk", "$notjunk"})  # nice to keep, no loss if not
_IDENTITY = b"(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"


Take = Callable[[Response], bool]  # of client.run


@dataclass(slots=True)
class Selected:
    """The mailbox that is open, kept up to date from what the server says unasked."""

    name: str
    exists: int = 0
    uid_validity: int = 0
    uid_next: int | None = None
    modseq: int | None = None  # None also where the mailbox has none (NOMODSEQ, or 0)
    permanent: frozenset[str] = field(default_factory=frozenset)  # flags in lower case; "\\*" for any


class IMAPStore:
    """One connection. Sequence numbers are used only straight after SELECT told how many there are."""

    def __init__(self, server: Server, credentials: Credentials) -> None:
        self._client = Client(server, credentials)
        self._client.observer = self._observe
        self._selected: Selected | None = None
        self._expected: dict[str, int] = {}  # mailbox -> UIDVALIDITY
        self._enabled = False
        capabilities = {
            Capability.MAILBOXES,
            Capability.KEYWORDS,
            Capability.CUSTOM_KEYWORDS,
            Capability.APPEND,
            Capability.SEARCH,
        }
        if self._can("IDLE"):
            capabilities.add(Capability.WATCH)
        if self._can("QUOTA"):
            capabilities.add(Capability.QUOTA)
        self.capabilities = frozenset(capabilities)

    @property
    def offered(self) -> frozenset[str]:
        return self._client.offered

    def _can(self, *names: str) -> bool:
        return self._client.capabilities.issuperset(names)

    def _can_any(self, *names: str) -> bool:
        return not self._client.capabilities.isdisjoint(names)

    # --- selecting ---

    def select(self, mailbox: str, afresh: bool = False, parameters: bytes = b"", each: Take | None = None) -> Selected:
        """Open the mailbox, unless it is open already. ``parameters`` are those of RFC 4466 §2.1."""
        if self._selected and self._selected.name == mailbox and not afresh:
            return self._selected
        name = quoted(encode_mailbox(mailbox))
        enabling = None
        if not self._enabled and self._can("ENABLE", "QRESYNC") and self._selected is None:
            enabling = self._client.send(b"ENABLE QRESYNC")  # RFC 7162 §3.2.3; both at once, to save a round trip
        self._selected = Selected(mailbox)  # the old one is closed even if this fails, RFC 9051 §6.3.2
        try:
            tag = self._client.send(b"SELECT", name, *([parameters] if parameters else []))
            if enabling:
                done = self._client.finish(enabling)
                self._enabled = any(b"QRESYNC" in r.pieces[0].upper().split() for r in done.of(b"ENABLED"))
            done = self._client.finish(tag, each=each)
        except BaseException:
            self._selected = None
            raise
        self._take_select(self._selected, done)
        self._check(self._selected)
        return self._selected

    def expect(self, mailbox: str, state: str | None) -> None:
        self._expected[mailbox] = difference.uid_validity_of(state) if state else 0
        if self._selected and self._selected.name == mailbox:
            self._check(self._selected)

    def _check(self, selected: Selected) -> None:
        """RFC 9051 §2.3.1.1: with another UIDVALIDITY no uid of before may be used."""
        expected = self._expected.get(selected.name, 0)
        if expected and selected.uid_validity and selected.uid_validity != expected:
            self._selected = None
            raise StateLost(f"UIDVALIDITY is {selected.uid_validity} now, it was {expected}")

    def enable(self) -> bool:
        """Whether QRESYNC is on; turns it on where that is still allowed (before any SELECT)."""
        if not self._enabled and self._selected is None and self._can("ENABLE", "QRESYNC"):
            done = self._client.run(b"ENABLE QRESYNC")
            self._enabled = any(b"QRESYNC" in r.pieces[0].upper().split() for r in done.of(b"ENABLED"))
        return self._enabled

    def _take_select(self, selected: Selected, done: Done) -> None:
        for response in (*done.untagged, done.tagged):
            if response.code == b"UIDVALIDITY":
                selected.uid_validity = number(response.code_data)
            elif response.code == b"UIDNEXT":
                selected.uid_next = number(response.code_data)
            elif response.code == b"HIGHESTMODSEQ" and self._can_any("CONDSTORE", "QRESYNC"):
                selected.modseq = number(response.code_data) or None  # some say 0 for NOMODSEQ, RFC 7162 §3.1.2.2
            elif response.code == b"PERMANENTFLAGS":
                selected.permanent = frozenset(text(response.code_data).lower().strip("()").split())

    def _observe(self, response: Response) -> None:
        if self._selected is None:
            return
        if response.code == b"CLOSED":  # RFC 9051 §7.1: what came before was about the mailbox that was open until now
            self._selected.exists = 0
        elif response.kind == b"EXISTS":
            self._selected.exists = response.number
        elif response.kind == b"EXPUNGE":
            self._selected.exists -= 1
        elif response.kind == b"VANISHED" and not response.pieces[0].upper().startswith(b"(EARLIER)"):
            gone = UidSet(response.pieces[0].strip())
            self._selected.exists -= sum(high - low + 1 for low, high in gone.ranges)  # RFC 7162 §3.2.10.2

    # --- mailboxes ---

    def mailboxes(self) -> list[RemoteMailbox]:
        if self._can("LIST-EXTENDED"):  # RFC 5258 §3
            options = [b"SUBSCRIBED"]
            if self._can("SPECIAL-USE"):
                options.append(b"SPECIAL-USE")  # RFC 6154 §3
            if self._can("LIST-STATUS"):
                options.append(b"STATUS (MESSAGES UNSEEN)")  # RFC 5819 §2
            done = self._client.run(b'LIST "" "*" RETURN (%s)' % b" ".join(options))
            subscribed = None
        else:
            listing, subscriptions = self._client.send(b'LIST "" "*"'), self._client.send(b'LSUB "" "*"')
            done = self._client.finish(listing)
            answer = self._client.finish(subscriptions)  # RFC 3501 §6.3.9
            subscribed = {_listed(r)[0] for r in (*answer.of(b"LSUB"), *(r for r in done.of(b"LSUB")))}
        listed = {name: (delimiter, attributes) for name, delimiter, attributes in map(_listed, done.of(b"LIST"))}
        roles = roles_of((name, *rest) for name, rest in listed.items())
        counts = self._counts(done, [n for n, (_, a) in listed.items() if not a & _CLOSED], roles)
        return [
            RemoteMailbox(
                name=name,
                delimiter=delimiter,
                role=roles.get(name),
                selectable=not attributes & _CLOSED,
                subscribed=name == "INBOX"
                or ("\\subscribed" in attributes if subscribed is None else name in subscribed),
                total=counts.get(name, (None, None))[0],
                unread=counts.get(name, (None, None))[1],
            )
            for name, (delimiter, attributes) in listed.items()
        ]

    def _counts(self, done: Done, names: list[str], roles: Mapping[str, str]) -> dict[str, tuple[int, int]]:
        if self._can("LIST-EXTENDED", "LIST-STATUS"):
            return dict(filter(None, map(_status, done.of(b"STATUS"))))
        counts: dict[str, tuple[int, int]] = {}
        first = sorted(names, key=lambda name: name not in roles)[:STATUS_LIMIT]
        tags = [self._client.send(_status_command(name)) for name in first]
        for tag in tags:
            try:
                answer = self._client.finish(tag)
            except Refused:  # one mailbox that cannot be counted does not hide the others
                continue
            counts.update(filter(None, map(_status, answer.of(b"STATUS"))))
        return counts

    def create_mailbox(self, name: str) -> None:
        self._client.run(b"CREATE", quoted(_new_name(name)))  # RFC 9051 §6.3.4

    def rename_mailbox(self, name: str, new_name: str) -> None:
        self._unselect(name)
        self._client.run(b"RENAME", quoted(encode_mailbox(name)), quoted(_new_name(new_name)))  # RFC 9051 §6.3.6

    def destroy_mailbox(self, name: str) -> None:
        self._unselect(name)
        self._client.run(b"DELETE", quoted(encode_mailbox(name)))  # RFC 9051 §6.3.5

    def subscribe(self, name: str, subscribed: bool) -> None:
        self._client.run(b"SUBSCRIBE" if subscribed else b"UNSUBSCRIBE", quoted(encode_mailbox(name)))

    def _unselect(self, name: str) -> None:
        """Let go of a mailbox that is about to change under us; CLOSE would expunge (RFC 9051 §6.4.1)."""
        if self._selected and self._selected.name == name:
            if self._can_any("UNSELECT", "IMAP4REV2"):
                self._client.run(b"UNSELECT")  # RFC 9051 §6.4.2
            elif name != "INBOX":
                self._client.run(b"EXAMINE INBOX")  # there always is one, and reading it expunges nothing
            self._selected = None

    # --- reading ---

    def changes(self, mailbox: str, state: str | None, known: Mapping[str, frozenset[str]]) -> Changes:
        self._expected.pop(mailbox, None)  # the state given here is compared there
        return difference.changes(self, self._client, mailbox, state, known)

    def messages(self, mailbox: str, uids: Sequence[str]) -> Iterator[RemoteMessage]:
        numbers = [uid_number(uid) for uid in uids]
        return self._fetch(mailbox, numbers)

    def _fetch(self, mailbox: str, uids: list[int]) -> Iterator[RemoteMessage]:
        """While one batch is looked at the next ones are under way: the server, the line and we work together."""
        under_way: deque[tuple[Ahead, set[int]]] = deque()
        strays: dict[int, RemoteMessage] = {}  # a server may answer such commands in any order, RFC 9051 §5.5
        starts = iter(range(0, len(uids), BATCH))
        while True:
            for start in itertools.islice(starts, 1 + AHEAD - len(under_way)):
                wanted = set(uids[start : start + BATCH])
                (uid_set,) = uid_sets(wanted)
                self.select(mailbox)
                command = (b"UID FETCH", uid_set, self._items())  # RFC 9051 §6.4.5, §6.4.9
                under_way.append((self._client.ahead(*command), wanted))
            if not under_way:
                return
            answer, wanted = under_way.popleft()
            strays |= fetch.messages(answer.result().untagged)
            yield from [strays.pop(uid) for uid in list(strays) if uid in wanted]
            strays = {uid: m for uid, m in strays.items() if any(uid in later for _, later in under_way)}

    def _items(self) -> bytes:
        return fetch.items(preview=self._can("PREVIEW"))  # RFC 8970 §3.1

    def newest(self, mailbox: str, count: int) -> list[RemoteMessage]:
        # NOOP would do where it is open already, but SELECT costs the same and never remembers wrong.
        exists = self.select(mailbox, afresh=True).exists
        if exists < 1 or count < 1:
            return []
        done = self._client.run(b"FETCH", b"%d:%d" % (max(1, exists - count + 1), exists), self._items())
        return [message for _, message in sorted(fetch.messages(done.untagged).items(), reverse=True)][:count]

    def body(
        self, mailbox: str, uid: str, part: str | None = None, range: tuple[int, int] | None = None
    ) -> Iterator[bytes]:
        if part is not None and not _PART.fullmatch(part):
            raise Refused(f"{part[:40]!r} is not a part of a message")
        section = (part or "").encode()
        start, length = range or (0, None)
        end = None if length is None else start + length
        first = self._portion(mailbox, uid, section, start, end)
        return itertools.chain([first] if first else [], self._portions(mailbox, uid, section, start, end, len(first)))

    def _portions(
        self, mailbox: str, uid: str, section: bytes, start: int, end: int | None, had: int
    ) -> Iterator[bytes]:
        while had == CHUNK and (end is None or start + had < end):
            start += had
            portion = self._portion(mailbox, uid, section, start, end)
            had = len(portion)
            if had:
                yield portion

    def _portion(self, mailbox: str, uid: str, section: bytes, start: int, end: int | None) -> bytes:
        size = CHUNK if end is None else min(CHUNK, end - start)
        if size < 1 or start < 0:
            raise Refused("an empty range")
        self.select(mailbox)
        wanted = uid_number(uid)
        done = self._client.run(b"UID FETCH %d (UID BODY.PEEK[%s]<%d.%d>)" % (wanted, section, start, size))
        prefix = b"BODY[" + section.upper() + b"]"
        for items in fetch.all_fetched(done.untagged):
            for name, value in items.items():
                if items.get(b"UID") == b"%d" % wanted and name.startswith(prefix) and isinstance(value, bytes):
                    if len(value) > size:
                        raise ProtocolError("the server sent more than was asked for")
                    return value
        raise NotFound("the message or this part of it is not there")

    def bodies(self, mailbox: str, uids: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        for uid in uids:
            with contextlib.suppress(NotFound):
                yield uid, self.body(mailbox, uid)

    def search(self, mailbox: str, condition: Condition) -> list[str]:
        self.select(mailbox)
        criteria = _criteria(condition)
        charset = [b"CHARSET UTF-8"] if any(isinstance(c, Literal) for c in criteria) else []
        return [str(uid) for uid in sorted(self.search_uids(*charset, *criteria), reverse=True)]

    def search_uids(self, *criteria: bytes | Literal) -> set[int]:
        """The uids of the selected mailbox that match, in ranges where the server can (RFC 9051 §6.4.4, ESEARCH)."""
        short = self._can_any("ESEARCH", "IMAP4REV2")
        done = self._client.run(b"UID SEARCH", *([b"RETURN (ALL)"] if short else []), *criteria)
        found: set[int] = set()
        for response in done.of(b"ESEARCH"):  # RFC 9051 §7.3.4
            values = response.values()
            if b"ALL" in values:
                found.update(set_members(values[values.index(b"ALL") + 1]))
        for response in done.of(b"SEARCH"):
            found.update(map(number, response.pieces[0].partition(b"(")[0].split()))
        return found

    def quota(self) -> Quota | None:
        if Capability.QUOTA not in self.capabilities:
            return None
        for response in self._client.run(b"GETQUOTAROOT INBOX").of(b"QUOTA"):  # RFC 9208 §4.1.2
            values = response.values()
            resources = values[1] if len(values) > 1 and isinstance(values[1], list) else []
            for name, used, limit in zip(resources[::3], resources[1::3], resources[2::3], strict=False):
                if text(name).upper() == "STORAGE":
                    return Quota(number(used) * 1024, number(limit) * 1024)  # RFC 9208 §5.1
        return None

    # --- writing ---

    def append(
        self, mailbox: str, raw: BinaryIO, keywords: Iterable[str] = (), received_at: datetime | None = None
    ) -> str | None:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(0)
        arguments = [quoted(encode_mailbox(mailbox)), b"(%s)" % b" ".join(map(flag_of, keywords))]
        if received_at:
            arguments.append(format_date_time(received_at))
        done = self._client.run(b"APPEND", *arguments, Literal(raw, size))  # RFC 9051 §6.3.12
        answer = done.code(b"APPENDUID")  # RFC 4315 §3
        if answer:
            return str(number(answer.code_data.split()[1]))
        return self._find_appended(mailbox, raw)

    def _find_appended(self, mailbox: str, raw: BinaryIO) -> str | None:
        raw.seek(0)
        message_id = BytesHeaderParser().parsebytes(raw.read(fetch.HEADER_LIMIT)).get("Message-ID")
        if not message_id:
            return None
        uids = self.search(mailbox, Condition(message_id=str(message_id).strip()))
        return uids[0] if uids else None

    def set_keywords(
        self, mailbox: str, uids: Collection[str], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        adding, removing = [k.lower() for k in add], [k.lower() for k in remove]
        flags = {keyword: flag_of(keyword) for keyword in (*adding, *removing)}  # refuses before anything is sent
        numbers = [uid_number(uid) for uid in uids]
        permanent = self.select(mailbox).permanent
        for sign, keywords in ((b"+", adding), (b"-", removing)):
            kept = [k for k in keywords if _keeps(permanent, flags[k].decode().lower())]
            lost = set(keywords) - set(kept) - _OPTIONAL
            if lost and sign == b"+":
                raise Refused(f"this mailbox cannot keep {', '.join(sorted(lost))}")
            if kept:
                self._store(numbers, sign, b" ".join(flags[k] for k in kept))

    def _store(self, uids: Iterable[int], sign: bytes, flags: bytes) -> None:
        for uid_set in uid_sets(uids):  # RFC 9051 §6.4.6
            self._client.run(b"UID STORE", uid_set, sign + b"FLAGS.SILENT", b"(" + flags + b")")

    def copy(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        numbers = [uid_number(uid) for uid in uids]
        encode_mailbox(target)
        self.select(mailbox)
        return self._copy(b"UID COPY", mailbox, numbers, target)

    def move(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        numbers = [uid_number(uid) for uid in uids]
        if mailbox == target:
            return {uid: uid for uid in uids}
        encode_mailbox(target)
        self.select(mailbox)
        if self._can_any("MOVE", "IMAP4REV2"):
            return self._copy(b"UID MOVE", mailbox, numbers, target)  # RFC 6851 §3.2
        moved = self._copy(b"UID COPY", mailbox, numbers, target)
        self.destroy(mailbox, uids)  # only now: a COPY that failed has raised
        return moved

    def _copy(self, command: bytes, mailbox: str, uids: list[int], target: str) -> dict[str, str]:
        pairs: dict[str, str] = {}
        tells = self._can_any("UIDPLUS", "IMAP4REV2")
        before = None if tells or len(uids) > PAIRING_LIMIT else self._identities(uids, target)
        for uid_set in uid_sets(uids):
            done = self._client.run(command, uid_set, quoted(encode_mailbox(target)))  # RFC 9051 §6.4.7
            # MOVE answers with an untagged OK (RFC 6851 §4.3), COPY with the tagged one (RFC 4315 §3).
            for answer in (r for r in (*done.untagged, done.tagged) if r.code == b"COPYUID"):
                words = answer.code_data.split()
                if len(words) == 3:
                    pairs.update(_pairs(set_members(words[1]), set_members(words[2])))
        if before is not None and not pairs:
            pairs = self._paired(target, *before)
            if command == b"UID COPY":
                self.select(mailbox)
        return pairs

    def _identities(self, uids: list[int], target: str) -> tuple[int, dict[bytes, list[int]]] | None:
        """What tells where copies end up: the next uid of the target, and what the originals look like."""
        try:
            answer = self._client.run(b"STATUS", quoted(encode_mailbox(target)), b"(UIDNEXT)")
        except Refused:
            return None  # COPY will say what is wrong
        for response in answer.of(b"STATUS"):
            values = response.values()
            items = values[-1] if values and isinstance(values[-1], list) else []
            if len(items) == 2 and items[0].upper() == b"UIDNEXT":
                return number(items[1]), self._looks(uid_sets(uids))
        return None

    def _looks(self, sets: Iterable[bytes]) -> dict[bytes, list[int]]:
        found: dict[bytes, list[int]] = {}
        for uid_set in sets:
            for items in fetch.all_fetched(self._client.run(b"UID FETCH", uid_set, _IDENTITY).untagged):
                uid = items.get(b"UID")
                header = next((v for k, v in items.items() if k.startswith(b"BODY[")), None)
                if uid and isinstance(header, bytes) and header.strip():
                    found.setdefault(header.strip() + b" %s" % items.get(b"RFC822.SIZE", b""), []).append(number(uid))
        return found

    def _paired(self, target: str, uid_next: int, originals: dict[bytes, list[int]]) -> dict[str, str]:
        self.select(target, afresh=True)
        copies = self._looks([b"%d:*" % uid_next])
        pairs = {}
        for look, uids in originals.items():
            found = [uid for uid in copies.get(look, ()) if uid >= uid_next]  # "n:*" always finds the last one
            if len(found) == len(uids):
                pairs.update(_pairs(sorted(uids), sorted(found)))
        return pairs

    def destroy(self, mailbox: str, uids: Collection[str]) -> None:
        numbers = {uid_number(uid) for uid in uids}
        if not numbers:
            return
        self.select(mailbox)
        if self._can_any("UIDPLUS", "IMAP4REV2"):
            self._store(numbers, b"+", b"\\Deleted")
            for uid_set in uid_sets(numbers):
                self._client.run(b"UID EXPUNGE", uid_set)  # RFC 4315 §2.1
            return
        # EXPUNGE takes everything marked \Deleted, by whomever: take the mark off what is not ours for the moment.
        others = self.search_uids(b"DELETED") - numbers
        try:
            self._store(others, b"-", b"\\Deleted")
            self._store(numbers, b"+", b"\\Deleted")
            self._client.run(b"EXPUNGE")  # RFC 9051 §6.4.3
        finally:
            if not self._client.lost:
                self._store(others, b"+", b"\\Deleted")

    # --- the connection ---

    def watch(self, mailbox: str) -> IMAPWatch:
        """IDLE on this very connection: nothing else may be asked of the store until the watch is closed."""
        if Capability.WATCH not in self.capabilities:
            raise Unsupported("the server has no IDLE")
        self.select(mailbox, afresh=True)
        return IMAPWatch(self._client)

    def alive(self) -> bool:
        if self._client.lost:
            return False
        try:
            self._client.run(b"NOOP")  # RFC 9051 §6.1.2
        except MailError:
            return False
        return True

    def close(self) -> None:
        self._client.logout()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


# --- reading responses ------------------------------------------------------------------------------------------------

_CLOSED = frozenset({"\\noselect", "\\nonexistent"})


def _listed(response: Response) -> tuple[str, str | None, frozenset[str]]:
    values = response.values()  # RFC 9051 §7.3.1
    if len(values) < 3 or not isinstance(values[0], list) or not isinstance(values[2], bytes | None):
        raise ProtocolError("LIST cannot be understood")
    attributes = frozenset(text(attribute).lower() for attribute in values[0])
    return _name(values[2] if values[2] is not None else b"NIL"), text(values[1]) or None, attributes


def _name(octets: bytes) -> str:
    return "INBOX" if octets.upper() == b"INBOX" else decode_mailbox(octets)  # RFC 9051 §5.1


def _new_name(name: str) -> bytes:
    """Octets for a name of our own making; one that would be listed under another name is none."""
    octets = encode_mailbox(name)
    if decode_mailbox(octets) != name:
        raise Refused("a mailbox cannot have this name")
    return octets


def _status_command(name: str) -> bytes:
    return b"STATUS " + quoted(encode_mailbox(name)) + b" (MESSAGES UNSEEN)"  # RFC 9051 §6.3.11


def _status(response: Response) -> tuple[str, tuple[int, int]] | None:
    values = response.values()
    if len(values) != 2 or not isinstance(values[0], bytes) or not isinstance(values[1], list):
        return None
    counts = {text(name).upper(): value for name, value in zip(values[1][::2], values[1][1::2], strict=False)}
    if not counts.keys() >= {"MESSAGES", "UNSEEN"}:
        return None
    return _name(values[0]), (number(counts["MESSAGES"]), number(counts["UNSEEN"]))


def _pairs(sources: list[int], targets: list[int]) -> dict[str, str]:
    if len(sources) != len(targets):
        raise ProtocolError("COPYUID does not pair up")
    return {str(source): str(copy) for source, copy in zip(sources, targets, strict=True)}


def _keeps(permanent: frozenset[str], flag: str) -> bool:
    if not permanent:  # not told: RFC 9051 §7.1, then all can be
        return True
    return flag in permanent or ("\\*" in permanent and not flag.startswith("\\"))


def _criteria(condition: Condition) -> list[bytes | Literal]:
    criteria: list[bytes | Literal] = []
    for key, value in (
        (b"TEXT", condition.text),
        (b"SUBJECT", condition.subject),
        (b"FROM", condition.from_),
        (b"TO", condition.to),
        (b"HEADER Message-ID", condition.message_id),
    ):
        if value:
            octets = clean_argument(value).encode()
            criteria += [key, quoted(octets) if octets.isascii() else literal(octets)]
    if condition.has_keyword:
        criteria.append(_keyword_criterion(condition.has_keyword, b""))
    if condition.not_keyword:
        criteria.append(_keyword_criterion(condition.not_keyword, b"UN"))
    if condition.after:
        criteria.append(b"SINCE " + format_date(condition.after))
    if condition.before:
        criteria.append(b"BEFORE " + format_date(condition.before))
    return criteria or [b"ALL"]


def _keyword_criterion(keyword: str, negated: bytes) -> bytes:
    flag = flag_of(keyword)
    if flag.startswith(b"\\"):
        return negated + flag[1:].upper()  # SEEN, UNSEEN ...
    return negated + b"KEYWORD " + flag
