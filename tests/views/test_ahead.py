"""Text is fetched ahead as the account says, newest first, and let go when its time is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account, Keep
from tests.letters import letter
from tests.views.conftest import Person
from webmail import sync
from webmail.models import Mailbox, Message, MessageBody
from webmail.sync import ahead

ALL = 14  # messages in the archive, of whose texts NEWEST_OTHERS are fetched in any case


@pytest.fixture
def reader(new_person: Callable[[str], Person]) -> Person:
    """Somebody with an archive: a message a day, back from today."""
    person = new_person("reader")
    with person.on_server() as server:
        for n in range(ALL):
            server.append(letter(f"Day {n}", f"Text of day {n}", to=person.address), "Archive")
    return person


def synced(person: Person, **policy: object) -> set[str]:
    """Subjects of messages whose text is here after a sync by this policy."""
    Account.objects.filter(pk=person.account.pk).update(**policy)
    account = Account.objects.get(pk=person.account.pk)
    sync.sync_account(account)
    now = timezone.now()
    for row in Message.objects.filter(
        account=account, subject__startswith="Day "
    ):  # the server's own dates are all today
        day = int(row.subject.removeprefix("Day "))
        Message.objects.filter(pk=row.pk).update(received_at=now - timedelta(days=day, hours=1))
    Mailbox.objects.filter(account=account).update(text_until="")
    MessageBody.objects.filter(message__account=account).delete()
    sync.sync_account(account)
    return set(MessageBody.objects.filter(message__account=account).values_list("message__subject", flat=True))


def test_everything_means_every_message(reader: Person) -> None:
    assert synced(reader, keep=Keep.EVERYTHING) == {f"Day {n}" for n in range(ALL)}


def test_recent_means_so_many_days_and_the_newest_of_each_folder(reader: Person) -> None:
    assert synced(reader, keep=Keep.RECENT, keep_days=12) == {f"Day {n}" for n in range(12)}


def test_headers_means_no_text_before_a_message_is_opened(reader: Person) -> None:
    assert synced(reader, keep=Keep.HEADERS) == set()
    message = Message.objects.get(account=reader.account, subject="Day 3")
    assert "Text of day 3" in reader.get(f"/messages/{message.pk}/").content.decode()


def test_what_is_past_its_time_is_let_go_unless_it_was_just_opened(reader: Person) -> None:
    synced(reader, keep=Keep.EVERYTHING)
    Account.objects.filter(pk=reader.account.pk).update(keep=Keep.RECENT, keep_days=5)
    account = Account.objects.get(pk=reader.account.pk)
    long_ago = timezone.now() - ahead.OPENED_KEPT - timedelta(minutes=1)
    MessageBody.objects.exclude(message__subject="Day 9").update(kept_at=long_ago)
    ahead.let_go(account)
    left = set(MessageBody.objects.filter(message__account=account).values_list("message__subject", flat=True))
    assert left == {"Day 0", "Day 1", "Day 2", "Day 3", "Day 4", "Day 9"}


def test_a_policy_that_keeps_more_fetches_what_was_let_go(reader: Person) -> None:
    synced(reader, keep=Keep.RECENT, keep_days=12)
    form = {
        "name": "", "keep": "everything", "keep_days": "12", "incoming_protocol": "imap", "username": reader.account.username,
        "incoming_host": "localhost", "incoming_port": str(reader.dovecot.imap_port), "incoming_security": "plain",
        "outgoing_host": "localhost", "outgoing_port": reader.account.outgoing.rpartition(":")[2], "outgoing_security": "plain",
    }  # fmt: skip
    answer = reader.post(f"/settings/accounts/{reader.account.pk}/", form)
    assert answer.status_code == 302, answer.content.decode()
    sync.sync_account(Account.objects.get(pk=reader.account.pk))
    assert MessageBody.objects.filter(message__account=reader.account).count() == ALL
