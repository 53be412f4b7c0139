"""Operations on the same message, one after another: whichever is taken back or refused, the others keep their effect,
and what is shown is what the server comes to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account
from tests.cache.conftest import folder, run, shown
from webmail import operations
from webmail.models import Message, Operation
from webmail.protocols.errors import OverQuota
from webmail.protocols.memory import MemoryServer, MemoryStore
from webmail.selection import Selection

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]


@pytest.fixture
def row(account: Account) -> Message:
    return Message.objects.get(account=account, subject="in Inbox")


def due() -> None:
    Operation.objects.open().update(not_before=timezone.now())


def test_undoing_an_older_move_does_not_show_what_waits_to_be_destroyed(
    account: Account,
    server: MemoryServer,
    row: Message,
) -> None:
    batch, _n = operations.move_to(account.user, [row.pk], folder(account, "Trash"))
    operations.destroy(account.user, [row.pk])
    assert operations.undo(account.user, batch)
    assert shown(account)["in Inbox"] is None
    due()
    run(account, server)
    assert "in Inbox" not in shown(account)


def test_undoing_an_older_move_leaves_the_newer(account: Account, server: MemoryServer, row: Message) -> None:
    batch, _n = operations.move_to(account.user, [row.pk], folder(account, "Work"))
    operations.move_to(account.user, [row.pk], folder(account, "Archive"))
    assert operations.undo(account.user, batch)
    for _again in range(2):
        run(account, server)
    row.refresh_from_db()
    assert row.mailbox == row.remote_mailbox == folder(account, "Archive")


def test_a_refused_move_does_not_show_what_waits_to_be_destroyed(
    account: Account,
    server: MemoryServer,
    row: Message,
) -> None:
    operations.move_to(account.user, [row.pk], folder(account, "Work"))
    operations.destroy(account.user, [row.pk])
    server.fail_next(OverQuota("full"), "move")
    run(account, server)
    assert shown(account)["in Inbox"] is None
    due()
    run(account, server)
    assert "in Inbox" not in shown(account)


def test_a_copy_whose_answer_was_lost_is_not_made_twice(account: Account, server: MemoryServer, row: Message) -> None:
    before = len(server.boxes("alice")["Work"].messages)
    operations.copy_to(account.user, [row.pk], folder(account, "Work"))
    MemoryStore(server).copy("INBOX", [row.uid], "Work")
    Operation.objects.update(attempts=1, not_before=timezone.now() + timedelta(hours=1))
    run(account, server)  # a sync sees the new message before the copy is tried again
    due()
    run(account, server)
    assert len(server.boxes("alice")["Work"].messages) == before + 1


def test_undoing_the_first_of_three_changes_leaves_the_other_two(
    account: Account,
    server: MemoryServer,
    row: Message,
) -> None:
    batch, _n = operations.change_keywords(account.user, [row.pk], add=["$flagged"])
    operations.change_keywords(account.user, [row.pk], remove=["$flagged"])
    operations.change_keywords(account.user, [row.pk], add=["$flagged"])
    operations.undo(account.user, batch)
    for _again in range(2):
        run(account, server)
    row.refresh_from_db()
    assert row.flagged
    assert "$flagged" in row.synced_keywords


def test_of_two_actions_on_everything_the_later_has_the_last_word(account: Account, server: MemoryServer) -> None:
    for n in range(1100):
        server.deliver("alice", b"Subject: s%d\r\nMessage-ID: <s%d@x>\r\n\r\nx" % (n, n))
    run(account, server)
    inbox = folder(account, "INBOX")
    everything = Selection((inbox.pk,), last=operations.last_id())
    operations.change_keywords(account.user, everything, add=["$seen"])
    operations.change_keywords(account.user, everything, remove=["$seen"])
    assert Operation.objects.filter(kind="many").open().count() == 2
    while operations.spread(account.pk):
        pass
    assert not Message.objects.filter(mailbox=inbox, seen=True).exists()
