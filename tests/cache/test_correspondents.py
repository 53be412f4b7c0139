"""Who is a stranger: told from what was seen of mail, in whatever order it was fetched."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from accounts.models import Account
from tests.cache.conftest import folder, run
from webmail.correspondents import heard_from, is_stranger, wrote_to
from webmail.models import Correspondent, Message
from webmail.protocols.memory import MemoryServer

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_somebody_is_a_stranger_until_there_is_a_second_message_of_theirs(account: Account) -> None:
    for _copy in range(2):  # one message in two folders
        heard_from(account, [("Ada@example.org", "Ada", NOON)])
    assert is_stranger(account.pk, "ada@example.org", NOON)
    assert not is_stranger(account.pk, "ada@example.org", NOON + timedelta(hours=1))  # of which nobody told, as of junk
    heard_from(Account.objects.get(pk=account.pk), [("ada@example.org", "Ada", NOON - timedelta(hours=1))])
    assert not is_stranger(account.pk, "ADA@example.org", NOON)
    assert not is_stranger(account.pk, "ada@example.org", NOON - timedelta(hours=1))
    assert is_stranger(account.pk, "eve@example.org", NOON)
    assert Correspondent.objects.get(account=account, email="ada@example.org").name == "Ada"


def test_whom_one_has_written_to_is_no_stranger(account: Account) -> None:
    wrote_to(account, [("ada@example.org", "", NOON + timedelta(days=9)), ("", "nobody", NOON)])
    assert not is_stranger(account.pk, "ada@example.org", NOON)


@pytest.mark.django_db(transaction=True)
def test_of_many_messages_two_are_written_down(account: Account, django_assert_max_num_queries: Any) -> None:
    mail = [(f"p{n % 7}@example.org", f"P{n}", NOON + timedelta(minutes=n)) for n in range(100)]
    heard_from(account, mail[:7])
    found = Correspondent.objects.filter(account=account, email__startswith="p")
    assert list(found.filter(again=False).values_list("email", "heard_at").order_by("email")) == [
        (f"p{n}@example.org", NOON + timedelta(minutes=n)) for n in range(7)
    ]
    heard_from(account, mail[:7])
    assert not found.filter(again=True).exists()
    heard_from(account, mail)
    assert found.filter(again=True).count() == 7
    with django_assert_max_num_queries(0):
        heard_from(account, mail)


@pytest.mark.django_db(transaction=True)
def test_what_was_rolled_back_is_told_again(account: Account) -> None:
    with transaction.atomic():
        heard_from(account, [("ada@example.org", "Ada", NOON)])
        transaction.set_rollback(True)
    heard_from(account, [("ada@example.org", "Ada", NOON)])
    assert Correspondent.objects.filter(email="ada@example.org").exists()


def test_sync_tells_of_mail_in_the_inbox_and_in_sent_but_not_of_junk(account: Account, server: MemoryServer) -> None:
    server.deliver("alice", b"From: Ada <ada@x.example>\r\nMessage-ID: <1@x>\r\n\r\nx")
    server.deliver(
        "alice", b"From: Spam <spam@x.example>\r\nMessage-ID: <2@x>\r\n\r\nx", folder(account, "Junk").remote_name or ""
    )
    server.deliver(
        "alice", b"From: alice@imap.test\r\nTo: Bob <bob@x.example>\r\nMessage-ID: <3@x>\r\n\r\nx",
        folder(account, "Sent").remote_name or "",
    )  # fmt: skip
    run(account, server)
    ada = Message.objects.get(account=account, from_email="ada@x.example")
    assert is_stranger(account.pk, "ada@x.example", ada.received_at)
    assert not is_stranger(account.pk, "bob@x.example", ada.received_at)
    assert not Correspondent.objects.filter(account=account, email="spam@x.example").exists()
