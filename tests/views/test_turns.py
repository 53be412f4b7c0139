"""A long sync ends when somebody else waits, and goes on from where it stands; nothing is fetched a second time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis
from django.conf import settings

from accounts.models import Account
from tests.bench.mail import fill
from tests.convergence.faults import FaultyStore, Plan
from tests.views.conftest import Person
from webmail import connections, sync
from webmail.models import Mailbox, Message
from webmail.sync import run

SIZE = 1700  # messages: four batches


@pytest.fixture
def large(new_person: Callable[[str], Person]) -> Person:
    person = new_person("large")
    Mailbox.objects.filter(account=person.account).delete()
    fill(person.dovecot, person.address, SIZE)
    connections.close_all(person.account.pk)
    return person


def sync_once(person: Person, asked: list[str]) -> Account:
    """One run; the uids of every FETCH of messages are added to ``asked``."""
    account = Account.objects.select_related("user").get(pk=person.account.pk)
    connections.close_all(account.pk)

    def open_store() -> FaultyStore:
        store = Account.open_store(account)
        messages = store.messages

        def noted(mailbox: str, uids: list[str]) -> object:
            for number, message in enumerate(messages(mailbox, uids)):
                asked.append(uids[number])
                yield message

        store.messages = noted  # type: ignore[method-assign,assignment]
        return FaultyStore(store, Plan())

    account.open_store = open_store  # type: ignore[method-assign,assignment]
    sync.sync_account(account)
    connections.close_all(account.pk)
    return Account.objects.get(pk=account.pk)


def test_others_that_wait_get_their_turn(large: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SLICE", 0.0)
    asked: list[str] = []
    queue = redis.Redis.from_url(settings.REDIS_URL)
    queue.lpush("sync", "somebody's sync")
    try:
        account = sync_once(large, asked)
        inbox = Mailbox.objects.get(account=account, role="inbox")
        first = Message.objects.filter(mailbox=inbox).count()
        assert 0 < first < SIZE
        assert account.sync_wanted, "it goes on at the end of the queue"
        assert (account.sync_done, account.sync_total) == (first, SIZE)
        newest = Message.objects.filter(mailbox=inbox).order_by("-received_at").values_list("message_id", flat=True)[0]
        assert newest.startswith(f"{SIZE - 1:x}."), "the newest come first"
    finally:
        queue.delete("sync")
        queue.close()
    account = sync_once(large, asked)
    inbox.refresh_from_db()
    assert inbox.complete
    assert Message.objects.filter(mailbox=inbox).count() == inbox.total == SIZE
    assert (account.sync_done, account.sync_total, account.sync_rate) == (0, 0, 0)
    assert len(asked) == len(set(asked)) == SIZE, "no message was asked for twice"


def test_who_asks_for_a_sync_while_one_waits_gets_that_one(new_person: Callable[[str], Person]) -> None:
    from webmail import tasks

    account = new_person("asked").account
    queue = redis.Redis.from_url(settings.REDIS_URL)
    queue.delete("sync", f"postkasse:claim:sync:{account.pk}")  # another test's account may have had the number
    try:
        tasks.nudge_sync(account.pk)
        tasks.nudge_sync(account.pk)
        assert queue.llen("sync") == 1
        tasks.sync_account(account.pk)  # it has begun: what comes from here on it may not see
        tasks.nudge_sync(account.pk)
        assert queue.llen("sync") == 2
    finally:
        queue.delete("sync", f"postkasse:claim:sync:{account.pk}")
        queue.close()


def test_pausing_interrupts_what_is_being_fetched(large: Person) -> None:
    Account.objects.filter(pk=large.account.pk).update(paused=True)
    asked: list[str] = []
    sync_once(large, asked)
    inbox = Mailbox.objects.get(account=large.account, role="inbox")
    assert 0 < Message.objects.filter(mailbox=inbox).count() < SIZE, "the batch under way is kept"
    assert not inbox.complete


def test_a_paused_account_is_left_alone(large: Person) -> None:
    from webmail import tasks

    Account.objects.filter(pk=large.account.pk).update(paused=True)
    tasks.sync_account(large.account.pk)
    assert not Message.objects.filter(account=large.account).exists()
    assert large.account.pk not in sync.due_accounts(1000)
    Account.objects.filter(pk=large.account.pk).update(paused=False)
    tasks.sync_account(large.account.pk)
    assert Message.objects.filter(account=large.account).count() == SIZE
