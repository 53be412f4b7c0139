"""How the database answers what lists ask: through one index from its top, whatever the size of the mailbox."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Account, User
from webmail.models import Cursor, Mailbox, Message, Thread
from webmail.views.listing import FILTERS, Scope, scope_of

MANY = 1000
DOUBLED = 4  # times: so many in the end that PostgreSQL finds reading all of them dear
SCOPES = ("inbox", "unread", "starred", "folder")


@pytest.fixture
def owner(db: None) -> User:
    """Has three accounts with much mail in each inbox, in conversations of three; a tenth is unread, some is starred or has
    files."""
    user = User.objects.create_user("plans@imap.test")
    now = timezone.now()
    for n in range(3):
        account = Account.objects.create(user=user, address=f"{n}@imap.test", username="", incoming="", credentials="")
        inbox = Mailbox.objects.create(account=account, name="INBOX", role="inbox")
        Mailbox.objects.create(account=account, name="Trash", role="trash")
        threads = Thread.objects.bulk_create(Thread(account=account) for _third in range(0, MANY, 3))
        Message.objects.bulk_create(
            Message(
                account=account, mailbox=inbox, thread=threads[i // 3], subject=f"Message {i}", preview="What it says. " * 10,
                seen=i % 10 > 0, flagged=i % 50 == 0, has_attachment=i % 20 == 0, received_at=now - timedelta(minutes=i),
            )
            for i in range(MANY)
        )  # fmt: skip
    columns = ", ".join(f'"{field.column}"' for field in Message._meta.concrete_fields if not field.primary_key)
    with connection.cursor() as cursor:
        for _time in range(DOUBLED):
            cursor.execute(f"INSERT INTO webmail_message ({columns}) SELECT {columns} FROM webmail_message")
        cursor.execute("ANALYZE webmail_message" if connection.vendor == "postgresql" else "SELECT 1")
    return user


def _scope(user: User, key: str, filter: str) -> Scope:
    if key == "folder":
        key = f"folder-{Mailbox.objects.filter(account__user=user, role='inbox').first().pk}"  # type: ignore[union-attr]
    return scope_of(user, key, filter)


# PostgreSQL says Sort and Seq Scan; SQLite says USE TEMP B-TREE, and SCAN of a table without an index.
READS_ALL = ("Seq Scan on webmail_message", "SCAN webmail_message")
SORTS = ("Sort", "Bitmap", "TEMP B-TREE")


def _assert_from_an_index(page: QuerySet[Message], never: tuple[str, ...] = READS_ALL + SORTS) -> None:
    plan = page.explain()
    assert "webmail_message" in plan
    assert "INDEX" in plan.upper(), plan
    assert [word for word in READS_ALL if word in plan] == [], plan
    rows, _for_each, _one_conversation = plan.partition("SubPlan 1\n")  # PostgreSQL may sort within a conversation
    assert [word for word in never if word in rows] == [], plan


@pytest.mark.parametrize("conversations", [True, False])
@pytest.mark.parametrize("key", SCOPES)
def test_a_page_of_a_list_comes_from_one_index_and_is_never_sorted(owner: User, key: str, conversations: bool) -> None:
    owner.conversations = conversations
    middle = Cursor(timezone.now() - timedelta(minutes=MANY // 2), 1)
    for filter in ("", *FILTERS):
        scope = _scope(owner, key, filter)
        pages = [*scope.queries(None, 50), *scope.queries(middle, 50)]
        assert pages
        for page in pages:  # what is both starred and unread is little, and may be sorted
            _assert_from_an_index(page, READS_ALL if filter and scope.everywhere else READS_ALL + SORTS)
    for source in _scope(owner, key, "").sources():  # the messages beside an opened one
        newer = source.filter(middle.newer())
        _assert_from_an_index(newer.order_by("received_at", "id")[:1])


@pytest.mark.parametrize("key", SCOPES)
def test_an_action_on_all_of_a_list_takes_the_next_from_one_index(owner: User, key: str) -> None:
    middle = Cursor(timezone.now() - timedelta(minutes=MANY // 2), 1)
    for filter in ("", *FILTERS):
        scope = _scope(owner, key, filter)
        selection = scope.selection("")
        queries = [query for one in owner.account_list for query in selection.queries(one, middle, 50)]
        assert len(queries) == (1 if key == "folder" else 3)
        for query in queries:
            _assert_from_an_index(query, READS_ALL if filter and scope.everywhere else READS_ALL + SORTS)


def test_a_filter_that_says_what_the_list_is_anyway_changes_nothing(owner: User) -> None:
    assert scope_of(owner, "unread", "unread").page(None, 50) == scope_of(owner, "unread").page(None, 50)
