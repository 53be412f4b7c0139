"""Whom an account has mail from and has written to: tells a stranger from an acquaintance without looking through the mail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from accounts.models import Account
from webmail.models import Correspondent
from webmail.prepared import Address, Integer, Prepared

MET = 20_000  # addresses that are remembered to have been told of
MAX_RECIPIENTS = 50  # of one message that count; more is no correspondence


def heard_from(account: Account, mail: Iterable[tuple[str, str, datetime]]) -> None:
    """Mail of (address, name, time) is in the cache; to be told once of each message, in the caller's transaction. Of an
    address no more than two messages are written down while ``account`` is the same object, so that telling costs a
    back-fill next to nothing."""
    met = account.met
    if len(met) > MET:
        met.clear()
    news: dict[str, tuple[str, datetime, bool]] = {}
    for email, name, at in mail:
        email = email.lower()[:320]
        known = email in news or email in met
        before = news[email][1] if email in news else met.get(email)
        if email and not (known and before in (None, at)):
            news[email] = (name[:255], at, known)
    table = connection.ops.quote_name(Correspondent._meta.db_table)
    _write(
        f"INSERT INTO {table} (account_id, email, name, heard_at, again) VALUES (%s, %s, %s, %s, %s) "  # noqa: S608  (names of ours alone)
        f"ON CONFLICT (account_id, email) DO UPDATE SET heard_at = COALESCE({table}.heard_at, excluded.heard_at), "
        f"again = excluded.again OR ({table}.heard_at IS NOT NULL AND {table}.heard_at <> excluded.heard_at) "
        f"WHERE NOT {table}.again",
        [(account.pk, email, name, _moment(at), again) for email, (name, at, again) in sorted(news.items())],
    )
    told = {email: None if again else at for email, (_name, at, again) in news.items()}
    transaction.on_commit(lambda: met.update(told))


def wrote_to(account: Account, mail: Iterable[tuple[str, str, datetime]]) -> None:
    """Mail went to (address, name) at a time; the latest is kept, in whatever order they are told."""
    last = {email.lower()[:320]: (name[:255], at) for email, name, at in sorted(mail, key=lambda one: one[2]) if email}
    table = connection.ops.quote_name(Correspondent._meta.db_table)
    _write(
        f"INSERT INTO {table} (account_id, email, name, written_at, again) VALUES (%s, %s, %s, %s, %s) "  # noqa: S608  (names of ours alone)
        f"ON CONFLICT (account_id, email) DO UPDATE SET written_at = excluded.written_at "
        f"WHERE {table}.written_at IS NULL OR excluded.written_at > {table}.written_at",
        [(account.pk, email, name, _moment(at), False) for email, (name, at) in sorted(last.items())],
    )


def _write(statement: str, rows: list[tuple[Any, ...]]) -> None:
    """In the order of addresses, so that two writers never wait for each other."""
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)


def _moment(at: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(at)


_known = Prepared(
    lambda account, email: Correspondent.objects.filter(account_id=account, email=email),
    Integer,
    Address,
)


def is_stranger(account_id: int, email: str, at: datetime) -> bool:
    """Nothing was heard from them but one message, of ``at``, and nothing was ever written to them."""
    found = _known(account_id, email.lower()[:320])
    if not found:
        return True
    known = found[0]
    return known.written_at is None and not known.again and known.heard_at in (None, at)
