"""One sync of one account under its lease."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Account
from accounts.troubles import explain
from webmail import connections, events, operations, search
from webmail.leases import Lease, lease
from webmail.models import KEYWORD_FIELDS, Mailbox, Message, Operation
from webmail.protocols.base import Changes, MailStore
from webmail.protocols.errors import MailError, NotFound, StateLost
from webmail.sync import ahead
from webmail.sync.download import delete_downloaded, download, forget_tombstones
from webmail.sync.folders import SECOND_LOOK, list_mailboxes
from webmail.sync.rows import Stored, by_uid, count_anew, store_messages
from webmail.watching import schedule

log = logging.getLogger(__name__)
FIRST_PAGE = 50
LOOK_UP_EACH = 0.2  # seconds
BATCH = 500  # messages in one transaction: held together in memory, and the database for some 20 ms
SLICE = 5.0  # seconds; then others that wait get their turn, and this account goes on at the end of the queue
TELL_EACH = 0.5  # seconds between two words about progress
INTERVAL = timedelta(minutes=5)
MAX_INTERVAL = timedelta(hours=2)
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
                report, over = run.for_a_while(store, only)
        except MailError as error:
            _failed(account, error)
            raise
    if not over:
        Account.objects.filter(pk=account.pk).update(sync_wanted=True)
        return report
    Account.objects.filter(pk=account.pk).update(synced_at=timezone.now(), sync_done=0, sync_total=0, sync_rate=0)
    _schedule(account, found=report.arrived > 0)
    account.report_well()
    events.publish(account.user_id, "account", id=account.pk)
    return report


def _schedule(account: Account, found: bool) -> None:
    """When to ask again, by how the server tells of changes, what was found, and whether the person is here."""
    now = timezone.now()
    rows = Account.objects.filter(pk=account.pk)
    for push, seconds, seen in rows.values_list("push", "poll_seconds", "user__active_at"):
        interval = seconds if push else schedule.next_interval(seconds, found)
        active = seen is not None and seen > schedule.active_since(now)
        rows.update(poll_seconds=interval, sync_due_at=now + schedule.wait(interval, push, active))


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


class _Enough(Exception):
    """The slice of time is over; what is left is taken up from where it stands."""


class _Run:
    """One sync of one account under its lease."""

    def __init__(self, account: Account, held: Lease, progress: Progress | None) -> None:
        self.account = account
        self.lease = held
        self.progress = progress
        self.report = Report()
        self.at: int | None = None  # the folder that is being synced
        self.done = self.total = 0  # messages of folders that are not complete: there already, and in all
        self.began, self.told = time.monotonic(), 0.0
        self.done_before = 0
        self.look_up = 0.0  # when to look next at what else there is to do
        self.counted = BATCH  # messages created after which the database counts anew what there is

    def for_a_while(self, store: MailStore, only: str | None) -> tuple[Report, bool]:
        """What was done, and whether that was all."""
        try:
            return self.everything(store, only), True
        except _Enough:
            return self.report, False

    def everything(self, store: MailStore, only: str | None) -> Report:
        operations.replay_due(self.account, store)
        list_mailboxes(self.account, store)
        self._expect()
        for mailbox in self._in_order(only):
            self.lease.renew()
            try:
                self.mailbox(store, mailbox)
            except NotFound:
                log.info("mailbox %s of %s is gone", mailbox.pk, self.account)
            self._between(store)
        search.catch_up(self.account)
        self._fetch_ahead(store)
        search.catch_up(self.account)
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
        dropped = drop_unfound(mailbox, unfound)
        Mailbox.objects.filter(pk=mailbox.pk).update(
            state=changes.state, complete=True, emptied_since=None, synced_at=timezone.now()
        )
        if self.account.downloads:
            delete_downloaded(self.account, mailbox, store)
        self.report.mailboxes += 1
        if changes.created or changes.updated or changes.destroyed or dropped or not was_complete:
            mailbox.recount()
            if mailbox.role == "inbox" and was_complete:
                self.report.arrived += arrived
            else:
                arrived = 0
            events.publish(self.account.user_id, "mailbox", ids=[mailbox.pk], arrived=arrived)
        if changes.created and was_complete:
            search.catch_up(self.account)  # all of a large folder is left to others, once it is here

    def _destroyed(self, mailbox: Mailbox, uids: Sequence[str]) -> None:
        for some in operations.chunks(uids):
            rows = by_uid(mailbox, some)
            if self.account.downloads:  # gone there, but ours to keep
                forget_tombstones(rows)
                rows.update(remote_mailbox=None)
            else:
                operations.discard(rows)
            self.report.destroyed += len(some)

    def _updated(self, mailbox: Mailbox, updated: Mapping[str, frozenset[str]]) -> None:
        for some in operations.chunks(list(updated)):
            with transaction.atomic():  # read and written in one, or a click between would be lost
                rows = list(by_uid(mailbox, some).select_for_update())
                for row in rows:
                    row.synced_keywords = operations.join_keywords(updated[row.uid])
                    row.show_keywords(updated[row.uid])
                operations.rebase(self.account, rows)
                Message.objects.bulk_update(rows, [*KEYWORD_FIELDS, "synced_keywords"], batch_size=100)
            self.report.updated += len(rows)

    def _created(self, store: MailStore, mailbox: Mailbox, uids: Sequence[str]) -> int:
        if mailbox.complete or self.account.downloads:  # else the server's count has told already
            self.total += len(uids)
        arrived = 0
        for stored in self._batches(store, mailbox, uids):
            arrived += stored.unread
            self.report.created += stored.created
            self.done += stored.created
            if self.report.created >= self.counted:
                self.counted = 4 * max(self.report.created, BATCH)
                count_anew()
            self._tell(mailbox)
            if time.monotonic() < self.look_up:  # a batch takes 50 ms; to ask after each would take a tenth of that
                continue
            self.look_up = time.monotonic() + LOOK_UP_EACH
            self._between(store)
            if self._is_enough():
                new = arrived if mailbox.role == "inbox" and mailbox.complete else 0
                self.report.arrived += new
                events.publish(self.account.user_id, "mailbox", ids=[mailbox.pk], arrived=new)
                raise _Enough
        return arrived

    def _batches(self, store: MailStore, mailbox: Mailbox, uids: Sequence[str]) -> Iterator[Stored]:
        """One stream of messages, kept in transactions of a bounded size."""
        if self.account.downloads:
            yield from download(self.account, mailbox, store, uids)
            return
        coming = store.messages(mailbox.remote_name or "", uids)
        for some in operations.chunks(uids, BATCH):
            yield store_messages(self.account, mailbox, islice(coming, len(some)))

    def _is_enough(self) -> bool:
        """The person paused the account; or it is somebody else's turn, but not where a person waits at a terminal, nor
        while nobody else does."""
        if self.progress is not None:
            return False
        turn_is_over = time.monotonic() - self.began > SLICE and events.waiting("sync") > 0
        return turn_is_over or Account.objects.filter(pk=self.account.pk, paused=True).exists()

    def _between(self, store: MailStore) -> None:
        """What cannot wait for the end of a long sync: what the person does, and mail that was announced meanwhile."""
        self.lease.renew()
        operations.replay_due(self.account, store)
        if self.at is not None:
            return  # in the middle of a folder: its own changes are worked off first
        if Account.objects.filter(pk=self.account.pk, sync_wanted=True).update(sync_wanted=False):
            for inbox in self._in_order("inbox"):
                self.mailbox(store, inbox)

    def _expect(self) -> None:
        """How much there is to fetch of folders never fetched whole, by what the server counted in them."""
        for mailbox in self._in_order(None):
            if not mailbox.complete:
                self.total += mailbox.total
                self.done += Message.objects.filter(remote_mailbox=mailbox).count()
        self.done_before = self.done

    def _tell(self, mailbox: Mailbox) -> None:
        self.total = max(self.total, self.done)  # servers miscount, and mail comes
        if self.progress:
            self.progress(self.done, self.total)
        now = time.monotonic()
        if self.total - self.done_before <= BATCH or now - self.told < TELL_EACH:
            return
        self.told = now
        rate = round((self.done - self.done_before) / max(now - self.began, 0.001))
        Account.objects.filter(pk=self.account.pk).update(sync_done=self.done, sync_total=self.total, sync_rate=rate)
        told = {"account": self.account.pk, "done": self.done, "total": self.total, "rate": rate}
        events.publish(self.account.user_id, "progress", **told)

    def _fetch_ahead(self, store: MailStore) -> None:
        mailboxes = self._in_order(None)
        for mailbox in mailboxes:
            if ahead.fetch_newest(self.account, mailbox, store, lambda: self._between(store)):
                events.publish(self.account.user_id, "mailbox", ids=[mailbox.pk])
        for mailbox in mailboxes:
            while ahead.fetch_down(self.account, mailbox, store, lambda: self._between(store)):
                search.catch_up(self.account)
                if self._is_enough():
                    raise _Enough
        ahead.let_go(self.account)


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


def drop_unfound(mailbox: Mailbox, ids: Sequence[int]) -> int:
    """Rows that waited for their uid before the server was asked, and still do, are gone; unless an operation still
    needs them. How many went."""
    if not ids or Operation.objects.filter(account_id=mailbox.account_id).open().exists():
        return 0
    gone = 0
    for some in operations.chunks(ids):
        gone += operations.discard(Message.objects.filter(remote_mailbox=mailbox, uid="", pk__in=some))
    return gone


def first_page(account: Account, store: MailStore) -> None:
    """Folders and the newest messages of the inbox from a single bounded fetch, before any back-fill."""
    list_mailboxes(account, store)
    inbox = Mailbox.objects.filter(account=account, role="inbox").first()
    if inbox is None or account.downloads:
        return
    store_messages(account, inbox, store.newest(inbox.remote_name or "", FIRST_PAGE))


def due_accounts(limit: int) -> list[int]:
    """Accounts whose time has come, longest waiting first: a fair queue."""
    now = timezone.now()
    waiting = Account.objects.filter(Q(sync_due_at__lte=now) | Q(sync_wanted=True), needs_user=False, paused=False)
    due = list(waiting.order_by(F("sync_due_at").asc()).values_list("pk", flat=True)[:limit])
    Account.objects.filter(pk__in=due).update(sync_due_at=now + INTERVAL)  # asked for once, not at each look
    return due
