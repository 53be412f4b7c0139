"""Pull: server -> cache.

``changes()`` says what differs; what is new is read newest first, in batches of one transaction each, and the new state
is saved last, so that a crash only repeats work. The remote half of the rows is what gets compared; what the person did
meanwhile is laid over it again (operations.rebase). A mailbox that suddenly lists nothing is not emptied at once.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, cast

from django.core.files import File
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.troubles import explain
from webmail import bodies, connections, events, mime, operations, threads
from webmail.leases import Lease, lease
from webmail.models import (
    KEYWORD_FIELDS,
    Mailbox,
    Message,
    Operation,
    Thread,
    ThreadId,
    forget_file,
)
from webmail.protocols.base import Capability, Changes, MailStore, RemoteMailbox, RemoteMessage
from webmail.protocols.errors import MailError, NotFound, ProtocolError, StateLost

log = logging.getLogger(__name__)
FIRST_PAGE = 50
BATCH = 200
DOWNLOAD_BATCH = 20
PREFETCH = {"inbox": 60, "sent": 20}  # newest messages whose text is fetched ahead, per role
PREFETCH_OTHERS = 10
MAX_DOWNLOAD = 200_000_000  # octets of one message
SECOND_LOOK = timedelta(minutes=1)
INTERVAL = timedelta(minutes=5)
MAX_INTERVAL = timedelta(hours=2)
KEPT_FIELDS = (
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-post",
    "delivered-to",
    "x-original-to",
    "auto-submitted",
)
FOLDER_KINDS = ("create_mailbox", "rename_mailbox", "destroy_mailbox", "subscribe")
ROLE_PRIORITY = {"inbox": 0, "sent": 1, "drafts": 2, "archive": 3, "": 4, "junk": 5, "trash": 6}


@dataclass(slots=True)
class Report:
    """What one run did."""

    created: int = 0
    updated: int = 0
    destroyed: int = 0
    arrived: int = 0  # new and unread in an inbox that was complete before
    mailboxes: int = 0


Progress = Callable[[int, int], None]


# --- the whole account ------------------------------------------------------------------------------------------


def sync_account(account: Account, progress: Progress | None = None, only: str | None = None) -> Report | None:
    """Replay what waits, then bring the cache up to date; None if another runner has the account.

    ``only`` limits it to one role. Failures are kept on the account for the person to see; MailError is raised too."""
    with lease(account) as held:
        if held is None:
            Account.objects.filter(pk=account.pk).update(sync_wanted=True)
            return None
        Account.objects.filter(pk=account.pk).update(sync_wanted=False)
        run = _Run(account, held, progress)
        try:
            with connections.store_of(account) as store:
                report = run.everything(store, only)
        except MailError as error:
            _failed(account, error)
            raise
    Account.objects.filter(pk=account.pk).update(
        synced_at=timezone.now(), sync_due_at=timezone.now() + INTERVAL, sync_done=0, sync_total=0
    )
    account.report_well()
    events.publish(account.user_id, "account", id=account.pk)
    return report


def replay_account(account: Account) -> int | None:
    """Only what the person did; None if another runner has the account (and will see to it)."""
    with lease(account) as held:
        if held is None:
            return None
        try:
            with connections.store_of(account) as store:
                return operations.replay_due(account, store)
        except MailError as error:
            _failed(account, error)
            raise


def _failed(account: Account, error: MailError) -> None:
    trouble = explain(error, account.incoming.partition("://")[2].rpartition(":")[0])
    account.report(error, trouble.what)
    wait = min(timedelta(seconds=30) * 2 ** min(account.failures, 10), MAX_INTERVAL)
    Account.objects.filter(pk=account.pk).update(sync_due_at=timezone.now() + wait)
    events.publish(account.user_id, "account", id=account.pk)


class _Run:
    """One sync of one account under its lease."""

    def __init__(self, account: Account, held: Lease, progress: Progress | None) -> None:
        self.account = account
        self.lease = held
        self.progress = progress
        self.report = Report()
        self.at: int | None = None  # the folder that is being synced
        self.done = 0
        self.total = 0

    def everything(self, store: MailStore, only: str | None) -> Report:
        operations.replay_due(self.account, store)
        list_mailboxes(self.account, store)
        for mailbox in self._in_order(only):
            self.lease.renew()
            try:
                self.mailbox(store, mailbox)
            except NotFound:
                log.info("mailbox %s of %s is gone", mailbox.pk, self.account)
            self._between(store)
        if not self.account.downloads:
            self._fetch_ahead(store)
        return self.report

    def _in_order(self, only: str | None) -> list[Mailbox]:
        mailboxes = Mailbox.objects.filter(account=self.account, selectable=True, hidden=False).exclude(
            remote_name=None
        )
        if only:
            mailboxes = mailboxes.filter(role=only)
        return sorted(mailboxes, key=lambda mailbox: (ROLE_PRIORITY[mailbox.role], mailbox.name))

    def mailbox(self, store: MailStore, mailbox: Mailbox) -> None:
        self.at = mailbox.pk
        try:
            self._mailbox(store, mailbox)
        finally:
            self.at = None

    def _mailbox(self, store: MailStore, mailbox: Mailbox) -> None:
        known = Known(mailbox)
        try:
            changes = store.changes(mailbox.remote_name or "", mailbox.state or None, known)
        except StateLost:
            changes = store.changes(mailbox.remote_name or "", None, {})
            if not changes.created and _suspicious(mailbox, Changes("", destroyed=tuple(known)), known):
                return
            forget_uids(mailbox)
            known = Known(mailbox)
        if _suspicious(mailbox, changes, known):
            return
        unfound = list(Message.objects.filter(remote_mailbox=mailbox, uid="").values_list("pk", flat=True))
        was_complete = mailbox.complete
        self._destroyed(mailbox, changes.destroyed)
        self._updated(mailbox, changes.updated)
        arrived = self._created(store, mailbox, changes.created)
        drop_unfound(mailbox, unfound)
        Mailbox.objects.filter(pk=mailbox.pk).update(
            state=changes.state, complete=True, emptied_since=None, synced_at=timezone.now()
        )
        self.report.mailboxes += 1
        if changes.created or changes.updated or changes.destroyed or not was_complete:
            mailbox.recount()
            if mailbox.role == "inbox" and was_complete:
                self.report.arrived += arrived
            else:
                arrived = 0
            events.publish(self.account.user_id, "mailbox", ids=[mailbox.pk], arrived=arrived)

    def _destroyed(self, mailbox: Mailbox, uids: Sequence[str]) -> None:
        for some in operations.chunks(uids):
            rows = Message.objects.filter(remote_mailbox=mailbox, uid__in=some)
            if self.account.downloads:  # gone there, but ours to keep
                rows.filter(mailbox__isnull=True).delete()
                rows.update(remote_mailbox=None, uid="")
            else:
                for other in rows.exclude(mailbox=mailbox).exclude(mailbox=None):
                    if other.mailbox:
                        other.mailbox.count(-1, 0 if other.seen else -1)
                rows.delete()
            self.report.destroyed += len(some)

    def _updated(self, mailbox: Mailbox, updated: Mapping[str, frozenset[str]]) -> None:
        for some in operations.chunks(list(updated)):
            with transaction.atomic():  # read and written in one, or a click between would be lost
                rows = list(Message.objects.select_for_update().filter(remote_mailbox=mailbox, uid__in=some))
                for row in rows:
                    row.synced_keywords = operations.join_keywords(updated[row.uid])
                    row.show_keywords(updated[row.uid])
                operations.rebase(self.account, rows)
                Message.objects.bulk_update(rows, [*KEYWORD_FIELDS, "synced_keywords"], batch_size=100)
            self.report.updated += len(rows)

    def _created(self, store: MailStore, mailbox: Mailbox, uids: Sequence[str]) -> int:
        self.total += len(uids)
        arrived = 0
        for some in operations.chunks(uids, DOWNLOAD_BATCH if self.account.downloads else BATCH):
            rows = fetch(self.account, mailbox, store, some)
            arrived += sum(1 for row in rows if not row.seen)
            self.report.created += len(rows)
            self.done += len(some)
            self._tell(mailbox)
            self._between(store)
        return arrived

    def _between(self, store: MailStore) -> None:
        """What cannot wait for the end of a long sync: what the person does, and mail that was announced meanwhile."""
        self.lease.renew()
        operations.replay_due(self.account, store)
        if self.at is not None:
            return  # in the middle of a folder: its own changes are worked off first
        if Account.objects.filter(pk=self.account.pk, sync_wanted=True).update(sync_wanted=False):
            for inbox in self._in_order("inbox"):
                self.mailbox(store, inbox)

    def _tell(self, mailbox: Mailbox) -> None:
        if self.progress:
            self.progress(self.done, self.total)
        if self.total > BATCH:
            Account.objects.filter(pk=self.account.pk).update(sync_done=self.done, sync_total=self.total)
            events.publish(self.account.user_id, "mailbox", ids=[mailbox.pk], progress=[self.done, self.total])

    def _fetch_ahead(self, store: MailStore) -> None:
        """The text of the newest messages, so that opening one needs no server."""
        for mailbox in self._in_order(None):
            count = PREFETCH.get(mailbox.role, PREFETCH_OTHERS)
            rows = Message.objects.filter(mailbox=mailbox, remote_mailbox=mailbox).newest_first()[:count]
            missing = [row for row in rows if row.structure and row.uid and not hasattr(row, "body")]
            for row in missing:
                try:
                    bodies.fetch(row, store)
                except MailError as error:
                    if error.connection_lost:
                        raise
                    log.info("text of message %s: %s", row.pk, error)  # it will be said when somebody opens it
                except Exception:  # one message that we cannot read must not stop all others
                    log.exception("text of message %s", row.pk)
                self._between(store)
            if missing:
                events.publish(self.account.user_id, "mailbox", ids=[mailbox.pk])


class Known(Mapping[str, frozenset[str]]):
    """What we last heard of a mailbox, uid -> keywords; read from the database only if somebody looks."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._rows: dict[str, frozenset[str]] | None = None

    def _load(self) -> dict[str, frozenset[str]]:
        if self._rows is None:
            rows = Message.objects.filter(remote_mailbox=self._mailbox).exclude(uid="")
            self._rows = {
                uid: frozenset(keywords.split())
                for uid, keywords in rows.values_list("uid", "synced_keywords").iterator()
            }
        return self._rows

    def __getitem__(self, uid: str) -> frozenset[str]:
        return self._load()[uid]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())

    def __contains__(self, uid: object) -> bool:
        return uid in self._load()


def _suspicious(mailbox: Mailbox, changes: Changes, known: Known) -> bool:
    """True where everything seems gone at once and we have not looked twice."""
    if not changes.destroyed or changes.created or len(changes.destroyed) < max(len(known), 2):
        return False
    now = timezone.now()
    if mailbox.emptied_since and now - mailbox.emptied_since >= SECOND_LOOK:
        return False
    if mailbox.emptied_since is None:
        log.warning(
            "mailbox %s of account %s lists nothing any more; looking again later", mailbox.pk, mailbox.account_id
        )
        Mailbox.objects.filter(pk=mailbox.pk).update(emptied_since=now)
    return True


def forget_uids(mailbox: Mailbox) -> None:
    """The server numbered its messages anew: keep the rows, and find each again by Message-ID and size."""
    Message.objects.filter(remote_mailbox=mailbox).update(uid="")
    Mailbox.objects.filter(pk=mailbox.pk).update(state="", complete=False)
    mailbox.state = ""


def drop_unfound(mailbox: Mailbox, ids: Sequence[int]) -> None:
    """Rows that waited for their uid before the server was asked, and still do, are gone; unless an operation still
    needs them."""
    if not ids or Operation.objects.filter(account_id=mailbox.account_id).open().exists():
        return
    for some in operations.chunks(ids):
        Message.objects.filter(remote_mailbox=mailbox, uid="", pk__in=some).delete()


# --- mailboxes --------------------------------------------------------------------------------------------------


def list_mailboxes(account: Account, store: MailStore) -> None:
    """Bring the folders in line with the server's list."""
    if Capability.MAILBOXES not in store.capabilities:
        _local_mailboxes(account)
        return
    listed = {remote.name: remote for remote in store.mailboxes()}
    if not any(remote.role == "inbox" for remote in listed.values()):
        raise ProtocolError("the server lists no INBOX")
    _merge_mailboxes(account, listed)


@transaction.atomic
def _merge_mailboxes(account: Account, listed: Mapping[str, RemoteMailbox]) -> None:
    rows = {row.remote_name: row for row in Mailbox.objects.filter(account=account).exclude(remote_name=None)}
    folder_operations = Operation.objects.filter(account=account, kind__in=FOLDER_KINDS).open()
    pending = set(folder_operations.values_list("payload__mailbox", flat=True))
    waiting = set(Mailbox.objects.filter(account=account, remote_name=None).values_list("name", flat=True))
    for name, remote in listed.items():
        row = rows.get(name)
        if row is None:
            if name not in waiting:
                Mailbox.objects.create(
                    account=account, name=name, remote_name=name, delimiter=remote.delimiter or "", role=remote.role or "",
                    selectable=remote.selectable, subscribed=remote.subscribed, total=remote.total or 0, unread=remote.unread or 0,
                )  # fmt: skip
            continue
        subscribed = row.subscribed if row.pk in pending else remote.subscribed
        role = remote.role or row.role
        said = (remote.delimiter or "", role, remote.selectable, subscribed)
        if said != (row.delimiter, row.role, row.selectable, row.subscribed) or row.missing_since:
            row.delimiter, row.role, row.selectable, row.subscribed = said
            row.missing_since = None
            row.save(update_fields=["delimiter", "role", "selectable", "subscribed", "missing_since"])
    for row in rows.values():
        if row.remote_name not in listed and row.pk not in pending:
            _missing(row)


def _missing(row: Mailbox) -> None:
    """A folder that the server no longer lists goes at the second look."""
    if row.missing_since and timezone.now() - row.missing_since >= SECOND_LOOK:
        row.delete()
    elif row.missing_since is None:
        Mailbox.objects.filter(pk=row.pk).update(missing_since=timezone.now())


def _local_mailboxes(account: Account) -> None:
    """The folders of a downloading account: one that mirrors the server, the others ours alone."""
    present = set(Mailbox.objects.filter(account=account).values_list("role", flat=True))
    if "inbox" not in present:
        Mailbox.objects.create(account=account, name="INBOX", remote_name="INBOX", role="inbox")
    for role, name in operations.DEFAULT_NAMES.items():
        if role not in present:
            Mailbox.objects.create(account=account, name=name, role=role, complete=True)


# --- messages ---------------------------------------------------------------------------------------------------


def first_page(account: Account, store: MailStore) -> None:
    """Folders and the newest messages of the inbox from a single bounded fetch, before any back-fill."""
    list_mailboxes(account, store)
    inbox = Mailbox.objects.filter(account=account, role="inbox").first()
    if inbox is None or account.downloads:
        return
    store_messages(account, inbox, store.newest(inbox.remote_name or "", FIRST_PAGE))


def fetch(account: Account, mailbox: Mailbox, store: MailStore, uids: Sequence[str]) -> list[Message]:
    """Read these messages from the server into the cache."""
    if account.downloads:
        return [row for uid in uids for row in _download(account, mailbox, store, uid)]
    return store_messages(account, mailbox, store.messages(mailbox.remote_name or "", uids))


def store_messages(account: Account, mailbox: Mailbox, remotes: Iterable[RemoteMessage]) -> list[Message]:
    """One transaction: rows for what is new, the remote half of rows that waited for their uid."""
    fresh = [_row(account, mailbox, remote) for remote in remotes]
    return _store(account, mailbox, fresh)


@transaction.atomic
def _store(account: Account, mailbox: Mailbox, fresh: Sequence[Message]) -> list[Message]:
    there = set(
        Message.objects.filter(remote_mailbox=mailbox, uid__in=[row.uid for row in fresh]).values_list("uid", flat=True)
    )
    new = [row for row in fresh if row.uid not in there]
    new = _adopt(mailbox, new)
    _assign_threads(account, new)
    # Of messages that arrived in one second the later gets the higher id, and so stands on top.
    new.sort(key=lambda row: (row.received_at, len(row.uid), row.uid))
    Message.objects.bulk_create(new, batch_size=100)
    if mailbox.complete:  # before that the counts are the server's own, which know of mail not fetched yet
        mailbox.count(len(new), sum(1 for row in new if not row.seen))
    return new


def _row(account: Account, mailbox: Mailbox, remote: RemoteMessage) -> Message:
    structure = mime.from_structure(remote.structure) if remote.structure else None
    received_at = remote.received_at or timezone.now()
    row = row_of_header(account, mailbox, mime.parse_header(remote.header), structure, received_at)
    row.remote_mailbox, row.uid, row.size = mailbox, remote.uid, remote.size
    row.preview = mime.preview(remote.preview) if remote.preview else ""
    row.synced_keywords = operations.join_keywords(remote.keywords)
    row.show_keywords(remote.keywords)
    return row


def row_of_header(
    account: Account, mailbox: Mailbox, header: mime.Header, structure: mime.BodyPart | None, received_at: datetime
) -> Message:
    """The row that lists show; not saved."""
    sender = header.from_[0] if header.from_ else (header.sender[0] if header.sender else mime.Address("", ""))
    references = [*header.references, *(i for i in header.in_reply_to if i not in header.references)]
    people = {
        field: [[a.name[:255], a.email[:320]] for a in getattr(header, attribute)[:200]]
        for field, attribute in (
            ("from", "from_"),
            ("to", "to"),
            ("cc", "cc"),
            ("bcc", "bcc"),
            ("reply_to", "reply_to"),
        )
        if getattr(header, attribute)
    }
    return Message(
        account=account, mailbox=mailbox,
        message_id=header.message_id[:255], references=[r[:255] for r in references][-100:], subject=header.subject,
        from_name=sender.name[:255], from_email=sender.email[:320], addresses=people,
        fields={name: header.fields[name][:3] for name in KEPT_FIELDS if name in header.fields},
        sent_at=header.date, received_at=received_at,
        structure=structure.to_json() if structure else None,
        has_attachment=_has_attachment(structure),
    )  # fmt: skip


def _has_attachment(structure: mime.BodyPart | None) -> bool:
    """A file worth a paper clip: pictures that belong to the text are none."""
    files = mime.select_bodies(structure).attachments if structure else ()
    return any(not part.cid or part.disposition == "attachment" for part in files)


def _adopt(mailbox: Mailbox, fresh: Sequence[Message]) -> list[Message]:
    """Give rows that wait for their uid (moved without UIDPLUS, renumbered) the one of the same message; what is left.

    The same means Message-ID, size and time of arrival, or at least the first two where that leaves one choice: a
    Message-ID alone is anybody's to use again."""
    ids = [row.message_id for row in fresh if row.message_id]
    waiting = list(Message.objects.filter(remote_mailbox=mailbox, uid="", message_id__in=ids)) if ids else []
    if not waiting:
        return list(fresh)
    left, adopted = list(fresh), []
    for same in (lambda row: (row.message_id, row.size, row.received_at), lambda row: (row.message_id, row.size)):
        for twin, row in _pairs(waiting, left, same):
            twin.uid, twin.synced_keywords = row.uid, row.synced_keywords
            twin.show_keywords(row.keywords)
            adopted.append(twin)
            waiting.remove(twin)
            left.remove(row)
    operations.rebase(mailbox.account, adopted)
    Message.objects.bulk_update(adopted, ["uid", "synced_keywords", *KEYWORD_FIELDS])
    return left


def _pairs(
    waiting: Sequence[Message], fresh: Sequence[Message], key: Callable[[Message], tuple[object, ...]]
) -> list[tuple[Message, Message]]:
    """Those that share a key with exactly one of the other side."""
    ours, theirs = Counter(map(key, waiting)), Counter(map(key, fresh))
    by_key = {key(row): row for row in fresh}
    return [(row, by_key[key(row)]) for row in waiting if ours[key(row)] == theirs[key(row)] == 1]


def _assign_threads(account: Account, rows: Sequence[Message]) -> None:
    """Conversations for rows not yet saved; those that turn out to be one are joined."""
    inputs = [
        threads.ThreadInput(index, row.message_id, tuple(row.references), row.subject, row.sent_at or row.received_at)
        for index, row in enumerate(rows)
    ]
    mentioned = {i for row in rows for i in (row.message_id, *row.references) if i}
    known: dict[str, int] = {}
    for some in operations.chunks(sorted(mentioned)):
        known |= dict(
            ThreadId.objects.filter(account=account, message_id__in=some).values_list("message_id", "thread_id")
        )
    plan = threads.assign(inputs, known)
    numbers = sorted({n for n in [*plan.assignments.values(), *plan.ids.values()] if n < 0}, reverse=True)
    made = Thread.objects.bulk_create([Thread(account=account) for _ in numbers])
    real = {number: thread.pk for number, thread in zip(numbers, made, strict=True)}
    for gone, kept in plan.merges:
        ThreadId.objects.filter(thread_id=gone).update(thread_id=kept)
        Message.objects.filter(thread_id=gone).update(thread_id=kept)
        Thread.objects.filter(pk=gone).delete()
    for index, row in enumerate(rows):
        number = plan.assignments[index]
        row.thread_id = real.get(number, number)
    fresh = [
        ThreadId(account=account, message_id=message_id, thread_id=real.get(number, number))
        for message_id, number in plan.ids.items()
        if message_id not in known
    ]
    ThreadId.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=300)


# --- POP3: download into our own store --------------------------------------------------------------------------


def _download(account: Account, mailbox: Mailbox, store: MailStore, uid: str) -> list[Message]:
    """RETR one message into the blob store; its row is written only once the blob is durable."""
    with tempfile.TemporaryFile() as file:
        size = 0
        try:
            for chunk in store.body(mailbox.remote_name or "", uid):
                size += len(chunk)
                if size > MAX_DOWNLOAD:
                    _too_large(account, mailbox, uid)
                    raise ProtocolError(f"message {uid} is larger than {MAX_DOWNLOAD} octets")
                file.write(chunk)
        except NotFound:
            return []
        return [keep(account, mailbox, cast(BinaryIO, file), uid=uid, remote=mailbox)]


def _too_large(account: Account, mailbox: Mailbox, uid: str) -> None:
    """A row instead of the message, so that the person learns of it and the next sync goes on without it."""
    subject = _("A message of more than %(size)d MB was left on the server") % {"size": MAX_DOWNLOAD // 1_000_000}
    Message.objects.create(
        account=account, mailbox=mailbox, remote_mailbox=mailbox, uid=uid, subject=subject, received_at=timezone.now()
    )


def keep(
    account: Account,
    mailbox: Mailbox,
    file: BinaryIO,
    keywords: Iterable[str] = (),
    uid: str = "",
    remote: Mailbox | None = None,
) -> Message:
    """Store a whole message of ours in a local folder: blob first, then its row, thread and text."""
    file.seek(0)
    header_octets = read_header(file)
    file.seek(0)
    structure = mime.parse_structure(file)
    header = mime.parse_header(header_octets)
    row = row_of_header(account, mailbox, header, structure, _arrival(header))
    row.remote_mailbox, row.uid = remote, uid
    file.seek(0, io.SEEK_END)
    row.size = file.tell()
    row.show_keywords(keywords)
    file.seek(0)
    row.blob.save("message", File(file), save=False)
    try:
        with transaction.atomic():
            _assign_threads(account, [row])
            row.save()
            mailbox.count(1, 0 if row.seen else 1)
    except BaseException:
        forget_file(row.blob.name)
        raise
    try:
        bodies.fetch(row, None)
    except Exception:  # the message is safe; its text is tried again when it is opened
        log.exception("text of message %s", row.pk)
    return row


MAX_HEADER = 256 * 1024


def read_header(file: BinaryIO) -> bytes:
    """The header with its blank line, at most MAX_HEADER octets (RFC 5322 §2.1)."""
    octets = file.read(MAX_HEADER)
    ends = [end + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (end := octets.find(mark)) >= 0]
    return octets[: min(ends)] if ends else octets


def _arrival(header: mime.Header) -> datetime:
    """POP3 tells no time of arrival: the Date field, unless it lies in the future."""
    now = timezone.now()
    return min(header.date, now) if header.date else now


def due_accounts(limit: int) -> list[int]:
    """Accounts whose time has come, longest waiting first: a fair queue."""
    now = timezone.now()
    waiting = Account.objects.filter(Q(sync_due_at__lte=now) | Q(sync_wanted=True), needs_user=False)
    due = list(waiting.order_by(F("sync_due_at").asc()).values_list("pk", flat=True)[:limit])
    Account.objects.filter(pk__in=due).update(sync_due_at=now + INTERVAL)  # asked for once, not at each look
    return due
