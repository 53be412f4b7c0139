"""Random edits on both sides, failures, lies and crashes between any two steps; in the end all caches show what the
server has, and nothing that the person did is lost.

Messages whose number is divisible by three are touched by the person alone, so for them it is known how they must end;
on the others both sides work at once, and only that both agree in the end is certain.
"""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Protocol

from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from accounts.discovery import Candidate, ServerURL
from accounts.models import Account, User
from accounts.sign_in import save_account
from tests.convergence.faults import FAULTS, LIES, Crash, FaultyStore, Plan
from webmail import connections, operations, sync
from webmail.models import Mailbox, Message, Operation
from webmail.protocols.base import Condition, MailStore
from webmail.protocols.errors import AlreadyExists, MailError, NotFound
from webmail.selection import Selection

_numbers = itertools.count()
FOLDERS = ("INBOX", "Archive", "Trash", "Work")
Truth = Mapping[str, Counter[tuple[str, frozenset[str]]]]


class World(Protocol):
    """A server that the machine runs against."""

    def new_user(self) -> str: ...

    def url(self) -> str: ...

    def open(self, user: str) -> MailStore:
        """A connection without faults, for foreign hands."""

    def renumber(self, user: str, mailbox: str) -> bool:
        """UIDVALIDITY changes, the messages stay; False where that cannot be had."""

    paths: tuple[tuple[str, ...], ...]  # capabilities switched off, for each account that watches


@dataclass
class Wish:
    """How a message that only the person touches must end."""

    folder: str = "INBOX"
    starred: bool = False
    seen: bool = False
    gone: bool = False


@dataclass
class Done:
    """One action, so that it can be taken back."""

    batch: Any
    number: int
    before: Wish


@dataclass
class Watcher:
    account: Account
    plan: Plan = field(default_factory=Plan)


def raw(number: int) -> bytes:
    return (
        f"From: a@example.org\r\nTo: b@example.org\r\nSubject: Number {number}\r\n"
        f"Message-ID: <{number}@machine>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\n\r\nText {number}\r\n"
    ).encode()


class Convergence(RuleBasedStateMachine):
    world: World  # set by the test

    @initialize()
    def begin(self) -> None:
        self.user = self.world.new_user()
        self.store = self.world.open(self.user)
        with suppress(AlreadyExists):
            for name in FOLDERS[1:]:
                with suppress(AlreadyExists):
                    self.store.create_mailbox(name)
        self.watchers = [self._watcher(off) for off in self.world.paths]
        self.wishes: dict[int, Wish] = {}
        self.done: list[Done] = []
        self.foreign_folders = 0
        for number in range(4):
            self._arrive(number, "INBOX")
        self.next_number = 4
        for watcher in self.watchers:
            self._sync(watcher)

    def _watcher(self, off: tuple[str, ...]) -> Watcher:
        person = User.objects.create_user(f"person{next(_numbers)}@machine.test")
        candidate = Candidate(ServerURL.parse(self.world.url()), None, self.user, True, "table")
        account = save_account(person, person.address, "secret", candidate)
        account.switched_off = list(off)
        account.save(update_fields=["switched_off"])
        return Watcher(account)

    def teardown(self) -> None:
        if hasattr(self, "watchers"):
            self.agree()
            for watcher in self.watchers:
                connections.close_all(watcher.account.pk)
                watcher.account.user.delete()
            self.store.close()

    # --- the server's side --------------------------------------------------------------------------------------

    def _arrive(self, number: int, folder: str) -> None:
        self.store.append(folder, io.BytesIO(raw(number)))
        if number % 3 == 0:
            self.wishes[number] = Wish(folder)

    @rule(folder=st.sampled_from(FOLDERS))
    def mail_arrives(self, folder: str) -> None:
        self._arrive(self.next_number, folder)
        self.next_number += 1

    def _there(self, choice: int) -> tuple[str, str] | None:
        """Some message that foreign hands may touch: folder and uid."""
        number = choice % self.next_number
        if number % 3 == 0:
            return None
        for box in self.store.mailboxes():
            found = self.store.search(box.name, Condition(message_id=f"<{number}@machine>"))
            if found:
                return box.name, found[0]
        return None

    @rule(choice=st.integers(0, 99), keyword=st.sampled_from(["$seen", "$flagged", "$answered"]), on=st.booleans())
    def somebody_marks(self, choice: int, keyword: str, on: bool) -> None:
        if place := self._there(choice):
            self.store.set_keywords(place[0], [place[1]], [keyword] if on else [], [] if on else [keyword])

    @rule(choice=st.integers(0, 99), folder=st.sampled_from(FOLDERS))
    def somebody_moves(self, choice: int, folder: str) -> None:
        place = self._there(choice)
        if place and place[0] != folder:
            self.store.move(place[0], [place[1]], folder)

    @rule(choice=st.integers(0, 99))
    def somebody_expunges(self, choice: int) -> None:
        if place := self._there(choice):
            self.store.destroy(place[0], [place[1]])

    @rule()
    def somebody_makes_a_folder_with_mail_in_it(self) -> None:
        self.foreign_folders += 1
        self.store.create_mailbox(f"Theirs{self.foreign_folders}")
        number = self.next_number + (self.next_number % 3 == 0)
        self.next_number = number + 1
        self._arrive(number, f"Theirs{self.foreign_folders}")

    def _theirs(self) -> list[str]:
        return sorted(box.name for box in self.store.mailboxes() if box.name.startswith("Theirs"))

    @rule()
    def somebody_renames_a_folder(self) -> None:
        for name in self._theirs()[:1]:
            with suppress(AlreadyExists):
                self.store.rename_mailbox(name, f"Theirs-again-{name}")

    @rule()
    def somebody_deletes_a_folder(self) -> None:
        for name in self._theirs()[-1:]:
            self.store.destroy_mailbox(name)

    @rule(folder=st.sampled_from(["INBOX", "Work"]))
    def the_server_numbers_a_folder_anew(self, folder: str) -> None:
        self.world.renumber(self.user, folder)

    # --- the person's side --------------------------------------------------------------------------------------

    def _shown(self, choice: int) -> Message | None:
        rows = Message.objects.filter(account=self.watchers[0].account, mailbox__isnull=False, mailbox__hidden=False)
        ids = list(rows.exclude(mailbox__name__startswith="Theirs").order_by("id").values_list("pk", flat=True))
        return Message.objects.get(pk=ids[choice % len(ids)]) if ids else None

    def _wish(self, row: Message, batch: Any, **change: Any) -> None:
        number = int(row.message_id.partition("@")[0])
        if number in self.wishes:
            self.done.append(Done(batch, number, self.wishes[number]))
            self.wishes[number] = replace(self.wishes[number], **change)

    @rule(choice=st.integers(0, 99), on=st.booleans())
    def the_person_stars(self, choice: int, on: bool) -> None:
        if row := self._shown(choice):
            change: dict[str, Any] = {"add": ["$flagged"]} if on else {"remove": ["$flagged"]}
            batch, _n = operations.change_keywords(row.account.user, [row.pk], **change)
            self._wish(row, batch, starred=on)

    @rule(choice=st.integers(0, 99))
    def the_person_reads(self, choice: int) -> None:
        if row := self._shown(choice):
            batch, _n = operations.change_keywords(row.account.user, [row.pk], add=["$seen"])
            self._wish(row, batch, seen=True)

    @rule(choice=st.integers(0, 99), name=st.sampled_from(FOLDERS))
    def the_person_moves(self, choice: int, name: str) -> None:
        row = self._shown(choice)
        target = Mailbox.objects.filter(account=self.watchers[0].account, name=name, hidden=False).first()
        if row and target and row.mailbox_id != target.pk:
            batch, _n = operations.move_to(row.account.user, [row.pk], target)
            self._wish(row, batch, folder=name)

    @rule(choice=st.integers(0, 99))
    def the_person_destroys(self, choice: int) -> None:
        if row := self._shown(choice):
            batch, _n = operations.destroy(row.account.user, [row.pk])
            self._wish(row, batch, gone=True)

    def _mine(self) -> list[Mailbox]:
        return list(Mailbox.objects.filter(account=self.watchers[0].account, name__startswith="Mine", hidden=False))

    @rule()
    def the_person_makes_a_folder(self) -> None:
        operations.create_mailbox(self.watchers[0].account, f"Mine{next(_numbers)}")

    @rule(choice=st.integers(0, 9))
    def the_person_renames_a_folder(self, choice: int) -> None:
        if mine := self._mine():
            operations.rename_mailbox(mine[choice % len(mine)], f"Mine-again{next(_numbers)}")

    @rule(choice=st.integers(0, 9))
    def the_person_destroys_a_folder(self, choice: int) -> None:
        if mine := self._mine():
            operations.destroy_mailbox(mine[choice % len(mine)])

    @rule(choice=st.integers(0, 99), keyword=st.sampled_from(["$seen", "$answered"]))
    def the_person_marks_everything_in_a_folder(self, choice: int, keyword: str) -> None:
        """Nobody's wishes but those of reading change by it."""
        row = self._shown(choice)
        if row is None or row.mailbox_id is None:
            return
        ids = [r for r in Message.objects.filter(mailbox_id=row.mailbox_id) if keyword == "$seen"]
        selection = Selection((row.mailbox_id,), last=operations.last_id())
        operations.change_keywords(row.account.user, selection, add=[keyword])
        for one in ids:
            number = int(one.message_id.partition("@")[0])
            if number in self.wishes:
                self.wishes[number] = replace(self.wishes[number], seen=True)
        self.done = [done for done in self.done if done.number not in self.wishes or keyword != "$seen"]

    @precondition(lambda self: self.done)
    @rule()
    def the_person_takes_the_last_back(self) -> None:
        last = self.done.pop()
        if operations.undo(self.watchers[0].account.user, last.batch):
            self.wishes[last.number] = last.before

    @precondition(lambda self: len(self.done) > 1)
    @rule(choice=st.integers(0, 99))
    def the_person_takes_something_older_back(self, choice: int) -> None:
        """What it comes to depends on what was done since; that both sides agree on it does not."""
        older = self.done.pop(choice % (len(self.done) - 1))
        operations.undo(self.watchers[0].account.user, older.batch)
        self.wishes.pop(older.number, None)
        self.done = [done for done in self.done if done.number != older.number]

    # --- between them -------------------------------------------------------------------------------------------

    @rule(
        which=st.integers(0, 9),
        countdown=st.integers(0, 14),
        fault=st.sampled_from(sorted(FAULTS)),
        after=st.booleans(),
    )
    def something_is_about_to_fail(self, which: int, countdown: int, fault: str, after: bool) -> None:
        plan = self.watchers[which % len(self.watchers)].plan
        plan.countdown, plan.fault, plan.after = countdown, fault, after

    @rule(which=st.integers(0, 9), lie=st.sampled_from(LIES))
    def the_server_is_about_to_lie(self, which: int, lie: str) -> None:
        self.watchers[which % len(self.watchers)].plan.lie = lie

    @rule()
    def time_passes(self) -> None:
        """Long enough for what is held back and for what waits to be tried again; not for a second look."""
        for watcher in self.watchers:
            Operation.objects.filter(account=watcher.account).open().update(not_before=timezone.now())

    @rule(which=st.integers(0, 9))
    def sync_runs(self, which: int) -> None:
        self._sync(self.watchers[which % len(self.watchers)])

    def _sync(self, watcher: Watcher) -> None:
        account = Account.objects.select_related("user").get(pk=watcher.account.pk)
        account.open_store = lambda: FaultyStore(self._connect(account), watcher.plan)  # type: ignore[method-assign]
        with suppress(MailError, Crash):
            sync.sync_account(account)
        # A new process after a crash finds no connection of the old one.
        Account.objects.filter(pk=account.pk).update(sync_holder="", sync_lease=None, needs_user=False)

    def _connect(self, account: Account) -> MailStore:
        return Account.open_store(account) if self.world.url().count("//localhost") else self.world.open(self.user)

    # --- the end ------------------------------------------------------------------------------------------------

    def agree(self) -> None:
        long_ago = timezone.now() - timedelta(hours=1)
        for _round in range(8):
            for watcher in self.watchers:
                watcher.plan.heal()
                Operation.objects.filter(account=watcher.account).open().update(not_before=long_ago)
                boxes = Mailbox.objects.filter(account=watcher.account)
                boxes.exclude(missing_since=None).update(missing_since=long_ago)
                boxes.exclude(emptied_since=None).update(emptied_since=long_ago)
                self._sync(watcher)
        truth = self._truth()
        for watcher in self.watchers:
            assert not Operation.objects.filter(account=watcher.account).open().exists()
            assert _cache(watcher.account) == truth, f"with {watcher.account.switched_off} switched off"
            for mailbox in Mailbox.objects.filter(account=watcher.account):
                rows = Message.objects.filter(mailbox=mailbox)
                assert (mailbox.total, mailbox.unread) == (rows.count(), rows.filter(seen=False).count()), mailbox.name
            homeless = Message.objects.filter(account=watcher.account, uid="")
            names = list(homeless.values_list("subject", "mailbox__name", "remote_mailbox__name"))
            assert not names, f"no uid: {names}"
        for number, wish in self.wishes.items():
            self._fulfilled(number, wish, truth)

    def _truth(self) -> Truth:
        found: dict[str, Counter[tuple[str, frozenset[str]]]] = {}
        for box in self.store.mailboxes():
            changes = self.store.changes(box.name, None, {})
            rows = self.store.messages(box.name, changes.created)
            found[box.name] = Counter((_message_id(row.header), row.keywords) for row in rows)
        return found

    def _fulfilled(self, number: int, wish: Wish, truth: Truth) -> None:
        places = {
            name: keywords
            for name, rows in truth.items()
            for (message_id, keywords) in rows
            if message_id == f"{number}@machine"
        }
        if wish.gone:
            assert places == {}, f"{number} was to be destroyed"
            return
        assert set(places) == {wish.folder}, f"{number} is in {sorted(places)}, wished in {wish.folder}"
        keywords = places[wish.folder]
        assert ("$flagged" in keywords, "$seen" in keywords) == (wish.starred, wish.seen), f"{number}: {keywords}"
        assert truth[wish.folder][f"{number}@machine", keywords] == 1, f"{number} is there more than once"


def _message_id(header: bytes) -> str:
    for line in header.decode().split("\r\n"):
        if line.lower().startswith("message-id:"):
            return line.partition(":")[2].strip(" <>")
    raise NotFound("a message without Message-ID")


def _cache(account: Account) -> Truth:
    found: dict[str, Counter[tuple[str, frozenset[str]]]] = {}
    for mailbox in Mailbox.objects.filter(account=account, hidden=False):
        rows = Message.objects.filter(mailbox=mailbox)
        found[mailbox.name] = Counter((row.message_id, row.keywords) for row in rows)
    return found
