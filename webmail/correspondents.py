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
        f"INSERT INTO {table} (account_id, email, name, heard_at, again, times_written, suggested) "  # noqa: S608  (names of ours alone)
        f"VALUES (%s, %s, %s, %s, %s, 0, %s) "
        f"ON CONFLICT (account_id, email) DO UPDATE SET heard_at = COALESCE({table}.heard_at, excluded.heard_at), "
        f"again = excluded.again OR ({table}.heard_at IS NOT NULL AND {table}.heard_at <> excluded.heard_at), "
        f"name = CASE WHEN {table}.name = '' THEN excluded.name ELSE {table}.name END, suggested = excluded.suggested "
        f"WHERE NOT {table}.again",
        [(account.pk, email, name, _moment(at), again, False) for email, (name, at, again) in sorted(news.items())],
    )
    told = {email: None if again else at for email, (_name, at, again) in news.items()}
    transaction.on_commit(lambda: met.update(told))


def wrote_to(account: Account, mail: Iterable[tuple[str, str, datetime]]) -> None:
    """A message went to (address, name) at a time; to be told once of each. The latest time is kept and the number of them,
    in whatever order they are told."""
    last: dict[str, tuple[str, datetime, int]] = {}
    for email, name, at in sorted(mail, key=lambda one: one[2]):
        key = email.lower()[:320]
        before, _at, times = last.get(key, ("", at, 0))
        last[key] = (name[:255] or before, at, times + 1)
    last.pop("", None)
    table = connection.ops.quote_name(Correspondent._meta.db_table)
    latest = f"{table}.written_at IS NULL OR excluded.written_at > {table}.written_at"
    _write(
        f"INSERT INTO {table} (account_id, email, name, written_at, again, times_written, suggested) "  # noqa: S608  (names of ours alone)
        f"VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (account_id, email) DO UPDATE SET "
        f"written_at = CASE WHEN {latest} THEN excluded.written_at ELSE {table}.written_at END, "
        f"name = CASE WHEN {table}.name = '' THEN excluded.name ELSE {table}.name END, "
        f"times_written = {table}.times_written + excluded.times_written, suggested = excluded.suggested",
        [
            (account.pk, email, name, _moment(at), False, times, False)
            for email, (name, at, times) in sorted(last.items())
        ],
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
