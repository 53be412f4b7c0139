"""A folder that goes takes with it what is in it, and nothing that only half belongs to it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from tests.cache.conftest import counts_are_right, folder, gone_for_good, run, shown
from webmail import operations
from webmail.models import Mailbox, Message, Operation, OperationState
from webmail.protocols.errors import Unreachable
from webmail.protocols.memory import MemoryServer, MemoryStore

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


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
