"""A folder that goes takes with it what is in it, and nothing that only half belongs to it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account, User
from webmail import operations, sync
from webmail.models import Mailbox, Message, Operation, OperationState
from webmail.protocols.errors import Unreachable
from webmail.protocols.memory import MemoryServer, MemoryStore

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def account(server: MemoryServer) -> Account:
    account = Account(
        user=User.objects.create(handle="alice"), address="alice@imap.test", username="alice",
        incoming="imap://localhost:1", outgoing="smtp://localhost:1",
    )  # fmt: skip
    account.remember("secret")
    account.save()
    store = MemoryStore(server)
    store.create_mailbox("Work")
    server.deliver("alice", b"Subject: in Work\r\nMessage-ID: <w@x>\r\n\r\nx", "Work")
    server.deliver("alice", b"Subject: in Inbox\r\nMessage-ID: <i@x>\r\n\r\nx")
    run(account, server)
    return account


def run(account: Account, server: MemoryServer) -> None:
    account = Account.objects.get(pk=account.pk)
    account.open_store = lambda: MemoryStore(server)  # type: ignore[method-assign]
    sync.sync_account(account)


def shown(account: Account) -> dict[str, str]:
    return dict(Message.objects.filter(account=account).values_list("subject", "mailbox__name"))


def folder(account: Account, name: str) -> Mailbox:
    return Mailbox.objects.get(account=account, name=name)


def counts_are_right(account: Account) -> bool:
    return all(
        (box.total, box.unread) == (box.messages.count(), box.messages.filter(seen=False).count())
        for box in Mailbox.objects.filter(account=account)
    )


def gone_for_good(account: Account) -> None:
    """Missed once already, long ago."""
    Mailbox.objects.filter(account=account, name="Work").update(missing_since=timezone.now() - timedelta(hours=1))


def test_what_was_moved_into_a_folder_that_is_gone_is_shown_where_the_server_has_it(
    account: Account, server: MemoryServer
) -> None:
    row = Message.objects.get(subject="in Inbox")
    operations.move_to(account.user, [row.pk], folder(account, "Work"))
    Operation.objects.update(not_before=timezone.now() + timedelta(hours=1), attempts=1)  # failed once, and waits
    MemoryStore(server).destroy_mailbox("Work")
    gone_for_good(account)
    run(account, server)
    assert shown(account) == {"in Inbox": "INBOX"}
    assert Message.objects.get().pk == row.pk
    assert counts_are_right(account)
    Operation.objects.update(not_before=timezone.now())
    run(account, server)
    assert shown(account) == {"in Inbox": "INBOX"}
    assert Operation.objects.get().state == OperationState.FAILED


def test_a_folder_waits_for_what_was_moved_out_of_it_and_the_person_hears_that_it_is_gone(
    account: Account, server: MemoryServer
) -> None:
    row = Message.objects.get(subject="in Work")
    operations.move_to(account.user, [row.pk], folder(account, "Archive"))
    Operation.objects.update(not_before=timezone.now() + timedelta(hours=1), attempts=1)
    MemoryStore(server).destroy_mailbox("Work")
    gone_for_good(account)
    run(account, server)
    assert shown(account) == {"in Inbox": "INBOX", "in Work": "Archive"}
    Operation.objects.update(not_before=timezone.now())
    run(account, server)
    assert (Operation.objects.get().state, Operation.objects.get().told) == (OperationState.FAILED, False)
    run(account, server)
    assert shown(account) == {"in Inbox": "INBOX"}
    assert counts_are_right(account)


def test_a_move_whose_answer_was_lost_keeps_its_message_when_the_folder_goes(
    account: Account, server: MemoryServer
) -> None:
    row = Message.objects.get(subject="in Work")
    operations.move_to(account.user, [row.pk], folder(account, "Archive"))
    store = MemoryStore(server)
    store.move("Work", [row.uid], "Archive")  # and the answer does not come
    store.destroy_mailbox("Work")
    server.fail_next(Unreachable("lost"), "move")
    with pytest.raises(Unreachable):
        run(account, server)
    Operation.objects.update(state=OperationState.FAILED)
    folder(account, "Work").delete()
    run(account, server)
    assert shown(account) == {"in Inbox": "INBOX", "in Work": "Archive"}
    assert Message.objects.get(subject="in Work").pk == row.pk
    assert counts_are_right(account)


def test_a_folder_that_could_not_be_made_because_there_was_one_becomes_that_one(
    account: Account, server: MemoryServer
) -> None:
    mine = operations.create_mailbox(account, "Plans")
    operations.move_to(account.user, [Message.objects.get(subject="in Inbox").pk], mine)
    MemoryStore(server).create_mailbox("Plans")
    server.deliver("alice", b"Subject: in Plans\r\nMessage-ID: <p@x>\r\n\r\nx", "Plans")
    run(account, server)
    Operation.objects.open().update(not_before=timezone.now())
    run(account, server)
    run(account, server)
    assert shown(account)["in Plans"] == "Plans"
    assert Mailbox.objects.get(account=account, name="Plans").remote_name == "Plans"
    assert counts_are_right(account)
