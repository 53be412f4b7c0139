"""Queries whose SQL is written once answer as the same queries do that Django writes anew."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F, Q
from django.utils import timezone

from accounts.models import Account, User
from webmail.models import Cursor, Mailbox, Message
from webmail.prepared import LARGEST, Integer, Moment, Prepared, PreparedUpdate, Several
from webmail.views.listing import FILTERS, Listed, scope_of

NUMBER = 30


@pytest.fixture
def owner(db: None) -> User:
    """Messages in two inboxes, some of them of the same moment."""
    user, now = User.objects.create_user("reader@example.org"), timezone.now()
    for name in ("one", "two"):
        account = Account.objects.create(user=user, address=f"{name}@example.org", capabilities=["IDLE", name])
        inbox = Mailbox.objects.create(account=account, name="INBOX", remote_name="INBOX", role="inbox", complete=True)
        Message.objects.bulk_create(
            Message(
                account=account, mailbox=inbox, remote_mailbox=inbox, uid=str(n), subject=f"{name} {n}",
                received_at=now - timedelta(minutes=n // 3), seen=n % 2 == 0, flagged=n % 5 == 0, has_attachment=n % 7 == 0,
                addresses={"to": [["Åse", "aase@example.org"]]},
            )
            for n in range(NUMBER)
        )  # fmt: skip
    return user


def same(rows: list[Any], expected: list[Any]) -> None:
    assert rows == expected
    assert [{name: value for name, value in vars(row).items() if name[0] != "_"} for row in rows] == [
        {name: value for name, value in vars(row).items() if name[0] != "_"} for row in expected
    ]


def test_models_are_read_whole_with_every_kind_of_column(owner: User) -> None:
    ask = Prepared(lambda user: Account.objects.filter(user_id=user), Integer)
    for _time in range(2):
        same(ask(owner.pk), list(Account.objects.filter(user_id=owner.pk)))
        assert ask(owner.pk + 1) == []


def test_columns_that_were_left_out_are_read_when_they_are_asked_for(owner: User) -> None:
    ask = Prepared(lambda account: Message.objects.filter(account_id=account).only("subject"), Integer)
    account = owner.account_list[0]
    found = ask(account.pk)[0]
    assert "preview" in found.get_deferred_fields()
    assert found.addresses == {"to": [["Åse", "aase@example.org"]]}


def test_each_value_goes_where_its_parameter_stands(owner: User) -> None:
    def build(account: Any, before: Any, subject: str = "one 3") -> Any:
        wanted = Q(received_at__lt=before) | Q(received_at=before, subject=subject)
        return Message.objects.filter(wanted, account_id=account).order_by("id").values_list("id", "addresses", "seen")

    account = owner.account_list[0]
    moment = Message.objects.get(subject="one 3").received_at
    assert Prepared(build, Integer, Moment)(account.pk, moment) == list(build(account.pk, moment))


def test_of_a_list_of_any_length_each_is_asked_for_once(owner: User) -> None:
    account = owner.account_list[0]
    ids = list(Message.objects.filter(account=account).order_by("id").values_list("id", flat=True))
    ask = Prepared(
        lambda ids, account: (
            Message.objects.filter(pk__in=ids, account_id=account).order_by("id").values_list("id", flat=True)
        ),
        Several(Integer),
        Integer,
    )
    for length in (0, 1, 2, 8, 9, len(ids)):
        assert [pk for (pk,) in ask(ids[:length], account.pk)] == ids[:length]
    assert ask([LARGEST + 1], account.pk) == []


def test_an_update_changes_those_rows_alone_and_tells_their_number(owner: User) -> None:
    ids = list(Message.objects.order_by("id").values_list("id", flat=True))
    change = PreparedUpdate(
        lambda size, ids: (Message.objects.filter(pk__in=ids), {"size": F("size") + size, "flagged": True}),
        Integer,
        Several(Integer),
    )
    before = list(Message.objects.order_by("id").values_list("size", "flagged"))
    assert [change(3, ids[:number]) for number in (0, 1, 3)] == [0, 1, 3]
    after = list(Message.objects.order_by("id").values_list("size", "flagged"))
    assert after == [(before[0][0] + 6, True), *((size + 3, True) for size, _flag in before[1:3]), *before[3:]]


@pytest.mark.parametrize("filter", ["", *FILTERS])
@pytest.mark.parametrize("key", ["inbox", "folder", "unread", "starred"])
def test_a_list_is_what_its_queries_find(owner: User, key: str, filter: str) -> None:
    scope = scope_of(owner, f"folder-{Mailbox.objects.first().pk}" if key == "folder" else key, filter)  # type: ignore[union-attr]
    found: list[Listed] = []
    after = None
    while page := scope.page(after, 7):
        found += page[:7]
        if len(page) < 8:
            break
        after = Cursor(found[-1].received_at, found[-1].pk)
    everything = sorted(
        (message for source in scope.sources() for message in source), key=lambda m: (m.received_at, m.pk), reverse=True
    )
    assert [row.pk for row in found] == [message.pk for message in everything]
    for row, message in zip(found, everything, strict=True):
        assert all(getattr(message, name) == value for name, value in row._asdict().items() if name in scope.fields)
    for place, message in enumerate(everything):
        newer, older = scope.neighbours(Cursor(message.received_at, message.pk))
        assert newer == (everything[place - 1].pk if place else None)
        assert older == (everything[place + 1].pk if place + 1 < len(everything) else None)
