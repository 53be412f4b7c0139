"""IMAPStore: base.MailStore over one IMAP connection."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesHeaderParser
from types import TracebackType
from typing import BinaryIO, Self

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
    Server,
)
from webmail.protocols.errors import MailError, NotFound, ProtocolError, Refused, StateLost, Unsupported
from webmail.protocols.imap import changes as difference
from webmail.protocols.imap import copying, fetch, listing
from webmail.protocols.imap.client import Ahead, Client, Literal
from webmail.protocols.imap.criteria import Able, search_arguments, sort_arguments
from webmail.protocols.imap.responses import Done, Response
from webmail.protocols.imap.syntax import (
    UID_LIMIT,
    UidSet,
    encode_mailbox,
    flag_of,
    format_date_time,
    number,
    quoted,
    set_members,
    text,
    uid_number,
    uid_sets,
)
from webmail.protocols.imap.watch import IMAPWatch

BATCH = 250  # messages in one FETCH: held in memory together
AHEAD = 2  # FETCH commands that are under way while the answer to another is looked at

_PART = re.compile(r"(?:[1-9]\d{0,3}(?:\.[1-9]\d{0,3}){0,99})(?:\.(?:MIME|HEADER|TEXT))?|HEADER|TEXT")
_OPTIONAL = frozenset({"$forwarded", "$mdnsent", "$junk", "$notjunk"})  # nice to keep, no loss if not


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
        self._enabled: bool | None = None  # QRESYNC; None while it was not asked for
        capabilities = {
            Capability.MAILBOXES,
            Capability.KEYWORDS,
            Capability.CUSTOM_KEYWORDS,
            Capability.APPEND,
            Capability.SEARCH,
        }
        if self._able().similar:
            capabilities.add(Capability.SIMILAR)
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
        if self._enabled is None and self._can("ENABLE", "QRESYNC") and self._selected is None:
            enabling = self._client.send(b"ENABLE QRESYNC")  # RFC 7162 §3.2.3; both at once, to save a round trip
        self._selected = Selected(mailbox)  # the old one is closed even if this fails, RFC 9051 §6.3.2
        try:
            tag = self._client.send(b"SELECT", name, *([parameters] if parameters else []))
            if enabling:
                self._take_enabled(enabling)
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
        if self._enabled is None and self._selected is None and self._can("ENABLE", "QRESYNC"):
            self._take_enabled(self._client.send(b"ENABLE QRESYNC"))
        return bool(self._enabled)

    def _take_enabled(self, tag: bytes) -> None:
        """A server that offers it and then does not want to is worked with as one that does not offer it."""
        self._enabled = False
        try:
            done = self._client.finish(tag)
        except MailError:
            if self._client.lost:
                raise
            return
        self._enabled = any(b"QRESYNC" in r.pieces[0].upper().split() for r in done.of(b"ENABLED"))

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
        return listing.mailboxes(self._client)

    def create_mailbox(self, name: str) -> None:
        self._client.run(b"CREATE", quoted(listing.new_name(name)))  # RFC 9051 §6.3.4

    def rename_mailbox(self, name: str, new_name: str) -> None:
        self._unselect(name)
        self._client.run(b"RENAME", quoted(encode_mailbox(name)), quoted(listing.new_name(new_name)))  # RFC 9051 §6.3.6

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
            strays |= self._told(answer.result())
            yield from [strays.pop(uid) for uid in list(strays) if uid in wanted]
            strays = {uid: m for uid, m in strays.items() if any(uid in later for _, later in under_way)}

    def _told(self, done: Done) -> dict[int, RemoteMessage]:
        """What was fetched. Where a file has the name for it some servers write a BODYSTRUCTURE that cannot be read;
        such a message is fetched again without, so that it does not stop the mailbox."""
        try:
            return fetch.messages(done.untagged)
        except ProtocolError:
            readable, others = fetch.sorted_out(done.untagged)
        found = fetch.messages(readable)
        for uid_set in uid_sets(others):
            again = self._client.run(b"UID FETCH", uid_set, fetch.items(preview=False, structure=False))
            found |= fetch.messages(again.untagged)
        return found

    def _items(self) -> bytes:
        return fetch.items(preview=self._can("PREVIEW"))  # RFC 8970 §3.1

    def newest(self, mailbox: str, count: int) -> list[RemoteMessage]:
        # NOOP would do where it is open already, but SELECT costs the same and never remembers wrong.
        exists = self.select(mailbox, afresh=True).exists
        if exists < 1 or count < 1:
            return []
        done = self._client.run(b"FETCH", b"%d:%d" % (max(1, exists - count + 1), exists), self._items())
        return [message for _, message in sorted(self._told(done).items(), reverse=True)][:count]

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
        """What a server says of a message's size is not always so, hence no bound but that of any message."""
        bound = start + network.MESSAGE_LIMIT
        while had == CHUNK and (end is None or start + had < end):
            start += had
            if start >= bound:
                raise ProtocolError("the message is over the limit")
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
                if items.get(b"UID") != b"%d" % wanted or not name.startswith(prefix):
                    continue
                if value is None and start:
                    return b""  # past the end; RFC 9051 §6.4.5 wants an empty string
                if not isinstance(value, bytes):
                    continue
                if name[len(prefix) :] not in (b"", b"<%d>" % start):  # RFC 9051 §7.5.2, origin octet
                    raise ProtocolError("the server sent another portion than was asked for")
                if len(value) > size:
                    raise ProtocolError("the server sent more than was asked for")
                return value
        raise NotFound("the message or this part of it is not there")

    def bodies(self, mailbox: str, uids: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        for uid in uids:
            with contextlib.suppress(NotFound):
                yield uid, self.body(mailbox, uid)

    def search(self, mailbox: str, condition: Condition, patience: float | None = None) -> list[str]:
        able = self._able()
        arguments = search_arguments(condition, able)  # refuses before anything is sent
        with self._client.within(patience):
            self.select(mailbox, afresh=True)  # a server need not look for what is new before it searches
            if self._can("SORT"):
                try:
                    return self._sorted_uids(*sort_arguments(condition, able))
                except MailError:  # offered, and then not wanted or not understood: to search is enough
                    if self._client.lost:
                        raise
            return [str(uid) for uid in sorted(self.search_uids(*arguments), reverse=True)]

    def _able(self) -> Able:
        gmail = self._can("X-GM-EXT-1")
        similar = self._can("SEARCH=FUZZY") and not gmail
        return Able(gmail, similar, datetime.now(UTC) if self._can("WITHIN") else None)

    def _sorted_uids(self, *criteria: bytes | Literal) -> list[str]:
        """Those of the selected mailbox that match, the last to arrive first (RFC 5256 §3)."""
        done = self._client.run(b"UID SORT", *criteria)
        found: dict[int, None] = {}
        for response in done.of(b"SORT"):  # RFC 5256 §4
            found |= dict.fromkeys(map(number, response.pieces[0].partition(b"(")[0].split()))
        return [str(uid) for uid in reversed(found) if 0 < uid <= UID_LIMIT]

    def search_uids(self, *criteria: bytes | Literal) -> set[int]:
        """The uids of the selected mailbox that match, in ranges where the server can (RFC 9051 §6.4.4, ESEARCH)."""
        short = self._can_any("ESEARCH", "IMAP4REV2")
        done = self._client.run(b"UID SEARCH", *([b"RETURN (ALL)"] if short else []), *criteria)
        found: set[int] = set()
        for response in done.of(b"ESEARCH"):  # RFC 9051 §7.3.4
            values = response.values()
            if b"ALL" in values:
                (uids,) = values[values.index(b"ALL") + 1 :][:1] or [None]
                found.update(set_members(uids))
        for response in done.of(b"SEARCH"):
            found.update(map(number, response.pieces[0].partition(b"(")[0].split()))
        return {uid for uid in found if 0 < uid <= UID_LIMIT}  # nothing could be asked about any other

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
        words = answer.code_data.split() if answer else []
        if len(words) == 2 and words[1].isdigit():
            return str(number(words[1]))
        return self._find_appended(mailbox, raw)

    def _find_appended(self, mailbox: str, raw: BinaryIO) -> str | None:
        raw.seek(0)
        words = str(BytesHeaderParser().parsebytes(raw.read(fetch.HEADER_LIMIT)).get("Message-ID", "")).split()
        if not words:
            return None
        uids = self.search(mailbox, Condition(message_id=words[0]))  # what follows is a comment, RFC 5322 §3.6.4
        return max(uids, key=int, default=None)

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
        return copying.copy(self, self._client, b"UID COPY", mailbox, numbers, target)

    def move(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        numbers = [uid_number(uid) for uid in uids]
        if mailbox == target:
            return {uid: uid for uid in uids}
        encode_mailbox(target)
        self.select(mailbox)
        if self._can_any("MOVE", "IMAP4REV2"):
            return copying.copy(self, self._client, b"UID MOVE", mailbox, numbers, target)  # RFC 6851 §3.2
        moved = copying.copy(self, self._client, b"UID COPY", mailbox, numbers, target)
        self.destroy(mailbox, uids)  # only now: a COPY that failed has raised
        return moved

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


def _keeps(permanent: frozenset[str], flag: str) -> bool:
    if not permanent:  # not told: RFC 9051 §7.1, then all can be
        return True
    return flag in permanent or ("\\*" in permanent and not flag.startswith("\\"))
