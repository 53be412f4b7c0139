"""A small pool of idle, authenticated connections per account and process, so that opening a body costs one round trip.

A connection is used by one thread at a time. POP3 connections are never kept: the server locks the mailbox for them
(RFC 1939 §4).
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from accounts.models import Account
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError

KEEP_PER_ACCOUNT = 2
KEEP_SECONDS = 120.0
CHECK_AFTER_SECONDS = 15.0  # an idle connection older than this is asked whether it still lives


@dataclass(frozen=True, slots=True)
class _Idle:
    store: MailStore
    since: float
    fingerprint: str  # settings and credentials it was opened with


_idle: dict[int, list[_Idle]] = defaultdict(list)
_lock = threading.Lock()


@contextmanager
def store_of(account: Account) -> Iterator[MailStore]:
    """An open connection for the length of the block. Raises MailError; after one that ends connections it is closed."""
    store = _take(account) or account.open_store()
    try:
        yield store
    except MailError as error:
        if error.connection_lost:
            store.close()
        else:
            _give_back(account, store)
        raise
    except BaseException:
        store.close()  # in the middle of who knows what
        raise
    _give_back(account, store)


def adopt(account: Account, store: MailStore) -> None:
    """Keep a connection that was opened elsewhere (at sign-in)."""
    _give_back(account, store)


def close_all(account_id: int) -> None:
    """Close what is idle: the password changed, or the account went."""
    with _lock:
        idle = _idle.pop(account_id, [])
    for entry in idle:
        entry.store.close()


def _fingerprint(account: Account) -> str:
    return f"{account.incoming} {account.username} {account.credentials}"


def _close_stale() -> None:
    """Also of accounts that nobody comes back for: paused, or removed by another process."""
    oldest = time.monotonic() - KEEP_SECONDS
    with _lock:
        stale = [entry for entries in _idle.values() for entry in entries if entry.since < oldest]
        for account_id in list(_idle):
            _idle[account_id] = [entry for entry in _idle[account_id] if entry.since >= oldest]
            if not _idle[account_id]:
                del _idle[account_id]
    for entry in stale:
        entry.store.close()


def _take(account: Account) -> MailStore | None:
    _close_stale()
    while True:
        with _lock:
            entries = _idle.get(account.pk)
            entry = entries.pop() if entries else None
        if entry is None:
            return None
        age = time.monotonic() - entry.since
        usable = age < KEEP_SECONDS and entry.fingerprint == _fingerprint(account)
        if usable and (age < CHECK_AFTER_SECONDS or entry.store.alive()):
            return entry.store
        entry.store.close()


def _give_back(account: Account, store: MailStore) -> None:
    surplus: MailStore | None = store
    if not account.downloads:
        entry = _Idle(store, time.monotonic(), _fingerprint(account))
        with _lock:
            entries = _idle[account.pk]
            entries.append(entry)
            surplus = entries.pop(0).store if len(entries) > KEEP_PER_ACCOUNT else None
    if surplus is not None:
        surplus.close()
