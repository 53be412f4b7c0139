"""Waits for servers to speak: one process, one selector, one IDLE connection (RFC 2177) per account's inbox.

What it hears it passes on as a nudge; it changes nothing itself. Opening a connection takes time, so threads do that.
"""

from __future__ import annotations

import logging
import random
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from django.db import DatabaseError

from accounts.models import Account
from webmail import events
from webmail.models import Mailbox
from webmail.protocols.base import Capability, MailStore, Watch
from webmail.protocols.errors import MailError, Unavailable

log = logging.getLogger(__name__)
RENEW_SECONDS = 9 * 60  # below the 10 minutes after which many NATs forget a connection
LOOK_SECONDS = 2.0  # how often new and gone accounts are looked for
MAX_BACKOFF = 600.0
OPENERS = 8


@dataclass(slots=True)
class _Watched:
    account_id: int
    fingerprint: str
    store: MailStore | None = None
    watch: Watch | None = None
    opening: Future[tuple[MailStore, Watch] | None] | None = None
    renew_at: float = 0.0
    retry_at: float = 0.0
    failures: int = 0


@dataclass
class Watcher:
    """``nudge`` is called with an account's id when its inbox has changed."""

    nudge: Callable[[int], None]
    _watched: dict[int, _Watched] = field(default_factory=dict)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(OPENERS, "watch"))
    _stopped: bool = False

    def run(self) -> None:
        """Until stop()."""
        look_at = 0.0
        while not self._stopped:
            if time.monotonic() >= look_at:
                try:
                    self._look()
                except DatabaseError as error:
                    log.warning("could not look for accounts: %s", error)
                events.mark_alive("watch", 60)
                look_at = time.monotonic() + LOOK_SECONDS
            self._tend()
            for key, _mask in self._selector.select(timeout=0.5):
                self._heard(key.data)
        for entry in list(self._watched.values()):
            self._drop(entry)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def stop(self) -> None:
        self._stopped = True

    def _look(self) -> None:
        """Begin with accounts that came, end with those that went or changed."""
        accounts = {a.pk: a for a in Account.objects.filter(needs_user=False) if not a.downloads}
        for account_id, entry in list(self._watched.items()):
            account = accounts.get(account_id)
            if account is None or _fingerprint(account) != entry.fingerprint:
                self._drop(entry)
                del self._watched[account_id]
        for account in accounts.values():
            if account.pk not in self._watched and Mailbox.objects.filter(account=account, role="inbox").exists():
                self._watched[account.pk] = _Watched(account.pk, _fingerprint(account))

    def _tend(self) -> None:
        now = time.monotonic()
        for entry in self._watched.values():
            if entry.opening is not None:
                if entry.opening.done():
                    self._opened(entry)
            elif entry.watch is None and now >= entry.retry_at:
                entry.opening = self._pool.submit(_open, entry.account_id)
            elif entry.watch is not None and now >= entry.renew_at:
                self._renew(entry)

    def _opened(self, entry: _Watched) -> None:
        future, entry.opening = entry.opening, None
        try:
            opened = future.result() if future else None
        except MailError as error:
            self._failed(entry, error)
            return
        except Exception as error:  # noqa: BLE001  (an account removed while it was opened, a busy database: the others are watched on)
            log.warning("watch of account %s: %r", entry.account_id, error)
            self._failed(entry, Unavailable(str(error)))
            return
        if opened is None:  # the server has no IDLE: the schedule polls it
            entry.retry_at = time.monotonic() + MAX_BACKOFF
            return
        entry.store, entry.watch = opened
        entry.renew_at = time.monotonic() + RENEW_SECONDS * random.uniform(0.9, 1.0)  # noqa: S311  (jitter, no secret)
        self._selector.register(entry.watch.fileno(), selectors.EVENT_READ, entry)
        entry.failures = 0
        self.nudge(entry.account_id)  # what came before we listened was not announced
        self._heard(entry)  # nor does the selector tell of what came together with the server's "+"

    def _heard(self, entry: _Watched) -> None:
        if entry.watch is None:
            return
        try:
            if entry.watch.changed():
                self.nudge(entry.account_id)
        except MailError as error:
            self._failed(entry, error)

    def _renew(self, entry: _Watched) -> None:
        try:
            if entry.watch:
                entry.watch.renew()
            entry.renew_at = time.monotonic() + RENEW_SECONDS
        except MailError as error:
            self._failed(entry, error)

    def _failed(self, entry: _Watched, error: MailError) -> None:
        self._drop(entry)
        entry.failures += 1
        wait = min(2.0**entry.failures, MAX_BACKOFF) * random.uniform(0.7, 1.3)  # noqa: S311
        entry.retry_at = time.monotonic() + wait
        log.info("watch of account %s lost (%s); again in %.0f s", entry.account_id, error.detail[:120], wait)

    def _drop(self, entry: _Watched) -> None:
        if entry.opening is not None:
            entry.opening.add_done_callback(_close_when_open)
            entry.opening = None
        if entry.watch is not None:
            self._selector.unregister(entry.watch.fileno())
            entry.watch.close()
        if entry.store is not None:
            entry.store.close()
        entry.watch = entry.store = None


def _fingerprint(account: Account) -> str:
    return f"{account.incoming} {account.username} {account.credentials}"


def _open(account_id: int) -> tuple[MailStore, Watch] | None:
    """In a thread. Raises MailError."""
    from django.db import connection

    try:
        account = Account.objects.get(pk=account_id)
        inbox = Mailbox.objects.filter(account=account, role="inbox").values_list("remote_name", flat=True).first()
    finally:
        connection.close()
    store = account.open_store()
    if Capability.WATCH not in store.capabilities or inbox is None:
        store.close()
        return None
    try:
        return store, store.watch(inbox)
    except MailError:
        store.close()
        raise


def _close_when_open(future: Future[tuple[MailStore, Watch] | None]) -> None:
    if not future.cancelled() and future.exception() is None and (opened := future.result()):
        opened[1].close()
        opened[0].close()
