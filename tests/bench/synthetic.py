"""A large mailbox at once: copies of real messages' rows, older than those, straight into the database.

    python -m tests.bench.synthetic ADDRESS COUNT

The copies are nowhere on the server, so syncing leaves them alone. Two more accounts with a tenth of that each, which
nobody syncs, make the lists over all accounts what they are for people with several.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import django

BATCH = 5_000
LEFT_OUT = ("id", "thread", "remote_mailbox", "uid", "message_id", "mailbox", "account", "received_at")


def fill(address: str, count: int) -> None:
    from django.utils import timezone

    from accounts.models import Account
    from webmail.models import Mailbox

    account = Account.objects.get(address=address)
    inbox = Mailbox.objects.get(account=account, role="inbox")
    rows = _patterns(inbox)
    _insert(inbox, rows, count - inbox.total)
    for n in (2, 3):
        address = f"{n}-{account.address}"
        other = Account.objects.create(
            user=account.user, address=address, username=address, position=n, incoming=account.incoming,
            credentials=account.credentials, paused=True, synced_at=timezone.now(),
        )  # fmt: skip
        box = Mailbox.objects.create(account=other, name="INBOX", role="inbox", complete=True)
        _insert(box, rows, count // 10)


def _patterns(inbox: Any) -> list[dict[str, Any]]:
    from webmail.models import Message

    fields = [field for field in Message._meta.concrete_fields if field.name not in LEFT_OUT]
    return [
        {field.attname: getattr(message, field.attname) for field in fields}
        for message in Message.objects.filter(mailbox=inbox).order_by("pk")
    ]


def _insert(mailbox: Any, patterns: list[dict[str, Any]], count: int) -> None:
    """None of the copies is starred: a list of starred messages must not look through a million of others."""
    from django.db import connection, transaction

    from webmail.models import Message

    if count <= 0:
        return
    rows = _rows(mailbox, patterns, count)
    fields = [field for field in Message._meta.concrete_fields if field.attname != "id"]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    sql = f"INSERT INTO webmail_message ({columns}) VALUES ({', '.join(['%s'] * len(fields))})"
    while batch := list(itertools.islice(rows, BATCH)):
        values = [[field.get_db_prep_save(row[field.attname], connection) for field in fields] for row in batch]
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(sql, values)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE webmail_message")  # what autovacuum would do in a minute
    mailbox.recount()


def _rows(mailbox: Any, patterns: list[dict[str, Any]], count: int) -> Iterator[dict[str, Any]]:
    """Three messages a conversation, those of three conversations among each other."""
    from django.utils import timezone

    from webmail.models import Thread

    threads = (Thread(account_id=mailbox.account_id) for _third in range(count // 3 + 3))
    thread_ids = [thread.pk for thread in Thread.objects.bulk_create(threads, batch_size=BATCH)]
    began = timezone.now() - timedelta(days=30)
    for n in range(count):
        yield {
            **patterns[n % len(patterns)],
            "account_id": mailbox.account_id,
            "mailbox_id": mailbox.pk,
            "remote_mailbox_id": None,
            "thread_id": thread_ids[n // 9 * 3 + n % 3],
            "uid": "",
            "message_id": f"<{n}.{mailbox.pk}@copies.example>",
            "received_at": began - timedelta(minutes=3 * n),
            "flagged": False,
            "index_due": 0,  # search has a bench of its own; the index is not to be busy while pages are timed
        }


if __name__ == "__main__":
    django.setup()
    fill(sys.argv[1], int(sys.argv[2]))
