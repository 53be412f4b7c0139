"""Whom an account has mail from and has written to: tells a stranger from an acquaintance without looking through the mail."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from accounts.models import Account
from webmail.models import Correspondent
from webmail.prepared import Address, Integer, Prepared

MAX_RECIPIENTS = 50  # of one message that count; more is no correspondence


def heard_from(account: Account, mail: Iterable[tuple[str, str, datetime]]) -> None:
    """Mail of (address, name, time) is in the cache. One statement for each address, in the caller's transaction."""
    newest_first = sorted(mail, key=lambda one: one[2], reverse=True)
    _note(account, "first_at", "<", newest_first)


def wrote_to(account: Account, mail: Iterable[tuple[str, str, datetime]]) -> None:
    """Mail went to (address, name) at a time."""
    _note(account, "written_at", ">", sorted(mail, key=lambda one: one[2]))


def _note(account: Account, column: str, better: str, mail: Iterable[tuple[str, str, datetime]]) -> None:
    """Of ``mail`` the last of each address; in the table the better time of all that are told, in whatever order."""
    met = {email.lower()[:320]: (name[:255], at) for email, name, at in mail if email}
    table = connection.ops.quote_name(Correspondent._meta.db_table)
    statement = (
        f"INSERT INTO {table} (account_id, email, name, {column}) VALUES (%s, %s, %s, %s) "  # noqa: S608  (names of ours alone)
        f"ON CONFLICT (account_id, email) DO UPDATE SET {column} = excluded.{column} "
        f"WHERE {table}.{column} IS NULL OR excluded.{column} {better} {table}.{column}"
    )
    rows = [
        (account.pk, email, name, connection.ops.adapt_datetimefield_value(at))
        for email, (name, at) in sorted(met.items())  # in one order, so that two writers never wait for each other
    ]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)


_known = Prepared(
    lambda account, email: Correspondent.objects.filter(account_id=account, email=email),
    Integer,
    Address,
)


def is_stranger(account_id: int, email: str, at: datetime) -> bool:
    """Nothing was heard from them before ``at``, and nothing was ever written to them."""
    found = _known(account_id, email.lower()[:320])
    return not found or (found[0].written_at is None and (found[0].first_at is None or found[0].first_at >= at))
