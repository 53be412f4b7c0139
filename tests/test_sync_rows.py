"""Messages become rows by statements of our own making; they are what the models would have made of them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError
from django.forms.models import model_to_dict

from accounts.models import Account, User
from tests.bench.mail import letter as realistic
from tests.letters import PIXEL, letter
from webmail import mime, sync
from webmail.models import Mailbox, Message, Thread, ThreadId
from webmail.protocols.base import RemoteMessage
from webmail.protocols.memory import MemoryServer, MemoryStore
from webmail.sync import rows

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def account() -> Account:
    account = Account(
        user=User.objects.create(handle="alice"), address="alice@imap.test", username="alice",
        incoming="imap://localhost:1", outgoing="smtp://localhost:1",
    )  # fmt: skip
    account.remember("secret")
    account.save()
    return account


@pytest.fixture
def inbox(account: Account) -> Mailbox:
    return Mailbox.objects.create(account=account, name="INBOX", remote_name="INBOX", role="inbox")


def lines(raw: bytes) -> bytes:
    """Ended as on the wire."""
    return raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def listed(*raws: bytes) -> list[RemoteMessage]:
    """As a server lists them."""
    server = MemoryServer()
    for raw in raws:
        server.deliver("alice", lines(raw))
    store = MemoryStore(server)
    return list(store.messages("INBOX", sorted(store.changes("INBOX", None, {}).created, key=int)))


def test_a_row_is_what_the_model_would_have_stored(account: Account, inbox: Mailbox) -> None:
    odd = letter('100 % "sure" æøå \N{SNOWMAN}', "x", html="<b>x</b>", files={"50 %d.png": ("image/png", PIXEL)})
    many = [realistic(n, "alice@imap.test", NOW + timedelta(hours=n)) for n in range(40)]
    remotes = listed(odd, *many, b"\r\nno header at all\r\n", b"Subject: " + b"long " * 5000 + b"\r\n\r\n")
    stored = rows.store_messages(account, inbox, remotes)
    assert stored == (len(remotes), len(remotes))
    for remote in remotes:
        structure = mime.from_structure(remote.structure) if remote.structure else None
        assert remote.received_at
        ours = Message.objects.get(remote_mailbox=inbox, uid=remote.uid)
        wanted = rows.row_of_header(account, inbox, mime.parse_header(remote.header), structure, remote.received_at)
        wanted.remote_mailbox, wanted.uid = inbox, f"twin of {remote.uid}"
        wanted.size, wanted.thread_id = remote.size, ours.thread_id
        wanted.save()
        wanted.refresh_from_db()
        left_out = ["id", "uid"]
        assert model_to_dict(ours, exclude=left_out) == model_to_dict(wanted, exclude=left_out)
        Message.objects.filter(pk=wanted.pk).delete()


def test_a_batch_that_comes_again_is_stored_once(account: Account, inbox: Mailbox) -> None:
    remotes = listed(letter("one"), letter("two"), letter("three"))
    assert rows.store_messages(account, inbox, remotes[:2]).created == 2
    assert rows.store_messages(account, inbox, remotes).created == 1
    assert Message.objects.count() == 3
    assert Thread.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_a_batch_that_fails_leaves_nothing_behind(account: Account, inbox: Mailbox) -> None:
    good, bad = listed(letter("one"), letter("two"))
    with pytest.raises(IntegrityError):
        rows.store_messages(account, inbox, [good, replace(bad, uid=good.uid)])
    assert (Message.objects.count(), Thread.objects.count(), ThreadId.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2]])
def test_conversations_do_not_depend_on_what_came_in_which_batch(
    account: Account, inbox: Mailbox, order: list[int]
) -> None:
    remotes = listed(
        letter("a", headers={"Message-ID": "<1@x>"}),
        letter("b", headers={"Message-ID": "<2@x>", "References": "<1@x>"}),
        letter("c", headers={"Message-ID": "<3@x>", "References": "<2@x> <missing@x>"}),
        letter("d", headers={"Message-ID": "<4@x>"}),
    )
    for at in order:
        rows.store_messages(account, inbox, [remotes[at]])
    threads = dict(Message.objects.values_list("subject", "thread_id"))
    assert threads["a"] == threads["b"] == threads["c"] != threads["d"]
    assert Thread.objects.count() == 2
    assert set(ThreadId.objects.values_list("message_id", "thread_id")) == {
        *((f"{n}@x", threads["a"]) for n in (1, 2, 3, "missing")),
        ("4@x", threads["d"]),
    }


def test_a_row_that_waits_for_its_uid_is_given_it(account: Account, inbox: Mailbox) -> None:
    (remote,) = listed(letter("moved"))
    rows.store_messages(account, inbox, [remote])
    before = Message.objects.get()
    Message.objects.update(uid="", seen=True)
    assert rows.store_messages(account, inbox, [remote]).created == 0
    after = Message.objects.get()
    assert (after.pk, after.uid, after.seen) == (before.pk, remote.uid, False)


def test_a_look_up_by_uid_does_not_read_the_whole_mailbox(inbox: Mailbox) -> None:
    """Only with its second condition does the index serve that holds the uids."""
    assert "one_row_per_remote_message" in rows.by_uid(inbox, ["1", "2"]).explain()


def test_a_first_page_is_stored_newest_on_top(account: Account) -> None:
    server = MemoryServer()
    for n in range(60):
        server.deliver("alice", lines(letter(f"number {n}")))
    sync.first_page(account, MemoryStore(server))
    newest = Message.objects.newest_first().first()
    assert newest is not None
    assert (newest.subject, Message.objects.count()) == ("number 59", 50)


@pytest.mark.parametrize(
    "texts", [["a@b"], ["a@b", "c@d"], ['a"b', "c"], ['a", "b'], ["a\\b"], ["blå@b"], ["a\tb"], ["", ""], ["\x7f"]]
)
def test_a_list_is_written_as_json_writes_it(texts: list[str]) -> None:
    assert rows._list_json(texts) == json.dumps(texts)


@pytest.mark.parametrize(
    "people",
    [
        {}, {"from": []}, {"from": [["Ada", "a@b"]], "to": [["", "c@d"], ["Åse Løken", "e@f"]]}, {"to": [['"A"', "b"]]},
        {"to": [["a\\b", "c"]]}, {"to": [["a\nb", "c"]]}, {"to": [["\u2028", "c"]]}, {"cc": [["😀", "x@y"]]},
    ],
)  # fmt: skip
def test_addresses_are_written_as_json_writes_them(people: dict[str, list[list[str]]]) -> None:
    assert rows._people_json(people) == json.dumps(people, ensure_ascii=False)
