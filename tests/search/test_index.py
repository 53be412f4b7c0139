"""The index keeps up with mail that comes and goes, forgets what is gone, and can be made anew at any time."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts.models import Account, User
from webmail import search
from webmail.models import Document, Mailbox, Message, MessageBody
from webmail.search.index import Fts5, bounds, index

pytestmark = pytest.mark.django_db


@pytest.fixture
def inbox() -> Mailbox:
    index().clear()  # what tests before left in its file, which no transaction takes back
    user = User.objects.create(handle="kari")
    account = Account.objects.create(user=user, address="kari@one.test", username="x", incoming="imap://localhost:1")
    return Mailbox.objects.create(account=account, name="INBOX", remote_name="INBOX", role="inbox", complete=True)


def add(inbox: Mailbox, subject: str, text: str = "") -> Message:
    message = Message.objects.create(account=inbox.account, mailbox=inbox, subject=subject, received_at=timezone.now())
    if text:
        MessageBody.objects.create(message=message, text=text)
    return message


def found(inbox: Mailbox, query: str) -> set[str]:
    user = User.objects.get(pk=inbox.account.user_id)
    return {Message.objects.get(pk=one.pk).subject for one in search.finder(user, query, timezone.localdate()).each()}


def test_text_that_comes_later_is_found_later(inbox: Mailbox) -> None:
    message = add(inbox, "Plan")
    search.catch_up(inbox.account)
    assert (found(inbox, "plan"), found(inbox, "fjell")) == ({"Plan"}, set())
    MessageBody.objects.create(message=message, text="Opp på fjellet")
    Message.objects.update(index_due=search.TEXT)
    search.catch_up(inbox.account)
    assert found(inbox, "fjell") == found(inbox, "plan") == {"Plan"}
    assert Document.objects.count() == 1


def test_what_comes_while_it_is_indexed_is_not_forgotten(inbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    message = add(inbox, "Plan")
    put = type(index()).put

    def slowly(self: object, documents: object) -> None:
        put(self, documents)  # type: ignore[arg-type]
        MessageBody.objects.get_or_create(message=message, text="fjellet")
        Message.objects.filter(pk=message.pk).update(index_due=search.TEXT)

    monkeypatch.setattr(type(index()), "put", slowly)
    search.catch_up(inbox.account, 1)
    monkeypatch.undo()
    assert search.due() == [inbox.account_id]
    search.catch_up(inbox.account)
    assert found(inbox, "fjellet") == {"Plan"}


def test_two_that_index_the_same_message_leave_one_document(inbox: Mailbox) -> None:
    from webmail.search import documents

    message = add(inbox, "Plan")
    first = list(documents.rows_of([message.pk]))
    second = list(documents.rows_of([message.pk]))
    documents.write(first)
    documents.write(second)
    assert Document.objects.filter(message=message).count() == 1
    assert len(index().match(index().term("plan"), *bounds(inbox.account.user_id))) == 1


def test_a_message_that_is_destroyed_leaves_no_trace(inbox: Mailbox) -> None:
    for n in range(300):
        add(inbox, f"Number {n}")
    gone = add(inbox, "Zxqvtrace", "Qwxysecret")
    search.catch_up(inbox.account, 1000)
    gone.delete()
    assert found(inbox, "zxqvtrace") == set()
    assert search.has_gone()
    search.forget()
    while search.tidy():
        pass
    assert not search.has_gone()
    assert index().match(index().term("qwxysecret"), *bounds(inbox.account.user_id)) == []
    if connection.vendor == "sqlite":
        assert not any(b"qwxysecret" in octets or b"zxqvtrace" in octets for octets in _files())


def _files() -> list[bytes]:
    there = index()
    assert isinstance(there, Fts5)
    there._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return [Path(file).read_bytes() for file in settings.SEARCH_FILE.parent.glob(settings.SEARCH_FILE.name + "*")]


def test_the_index_is_made_anew_by_one_command(inbox: Mailbox) -> None:
    add(inbox, "Plan", "fjellet")
    search.catch_up(inbox.account)
    index().clear()
    assert search.is_lost()
    call_command("index", "--anew")
    assert found(inbox, "fjellet") == {"Plan"}
    assert not search.is_lost()


def test_what_no_message_knows_of_is_let_go_when_it_is_made_anew(inbox: Mailbox) -> None:
    add(inbox, "Plan")
    search.catch_up(inbox.account)
    user = inbox.account.user_id
    (stray,) = index().numbers([bounds(user)[0]])
    index().put([(stray, ["left", "behind"])])
    call_command("index", "--anew")
    assert index().match(index().term("behind"), *bounds(user)) == []
    assert found(inbox, "plan") == {"Plan"}
