"""The loop: one process, one selector, one connection for each account that is held.

    absent ──> opening (in a thread) ──> open ──renewal due──> owing an answer ──answer──> open
      ^             │ failed                │ ended                  │ none in time
      └── backoff ──┴───────────────────────┴────────────────────────┘

The loop itself never waits for anything but the selector. Connections are opened in threads, few at a time for one
server, so that one which does not answer keeps no other waiting. The database is asked in a thread (claims), and nudges
are sent in a thread, because Redis may be away. What is heard is passed on as a nudge; nothing is changed here.

A machine that slept, or a process that was stopped, knows nothing of its connections: all are renewed at once, and those
that do not answer are opened anew. A server that limits connections, or wants the person first, is left to polling for a
while.
"""

from __future__ import annotations

import logging
import random
import selectors
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from django.db import DatabaseError, close_old_connections, connection

from accounts.models import Account
from webmail import events
from webmail.models import Mailbox
from webmail.protocols.base import Capability, MailStore, Watch
from webmail.protocols.errors import MailError, Unavailable, Unreachable
from webmail.watching.claims import Claims, Held

log = logging.getLogger(__name__)
RENEW_SECONDS = 9 * 60.0  # below the 10 minutes after which many NATs forget a connection
ANSWER_SECONDS = 20.0  # a renewal unanswered for longer: the connection is dead
LOOK_SECONDS = 2.0  # how often new and gone accounts are looked for
ALIVE_SECONDS = 60
SLEPT_SECONDS = 30.0  # between two rounds of the loop: nobody knows what became of the connections
NUDGE_PAUSE = 0.5  # between two nudges for one account: a hundred messages at once are one
STABLE_SECONDS = 60.0  # a connection that lasted this long was no failure
MAX_BACKOFF = 300.0
POLLED_SECONDS = 15 * 60.0  # without another try, where the server wants fewer connections, or the person
OPENERS = 16
OPENERS_PER_SERVER = 8
TICK, BUSY_TICK = 0.5, 0.05  # seconds; the second while something is being opened


@dataclass(slots=True)
class _Watched:
    account_id: int
    held: Held
    store: MailStore | None = None
    watch: Watch | None = None
    fd: int = -1  # of the watch, kept because a closed one does not know it any more
    opening: Future[tuple[MailStore, Watch] | None] | None = None
    opened_at: float = 0.0
    renew_at: float = 0.0
    answer_by: float = 0.0  # 0 while no answer is owed
    retry_at: float = 0.0
    failures: int = 0
    changed: bool = False  # and not passed on yet
    nudge_at: float = 0.0
    nudging: Future[None] | None = None


@dataclass
class Watcher:
    """``nudge`` is called, in a thread, with the id of an account in which something has changed. ``clock`` is the time
    of day; it is compared with itself only."""

    nudge: Callable[[int], None]
    renew_seconds: float = RENEW_SECONDS
    answer_seconds: float = ANSWER_SECONDS
    clock: Callable[[], float] = time.time
    claims: Claims = field(default_factory=Claims)
    _watched: dict[int, _Watched] = field(default_factory=dict)
    _pushes: dict[int, str] = field(default_factory=dict)  # not written down yet
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _openers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(OPENERS, "open"))
    _clerk: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "claims"))
    _messenger: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "nudge"))
    _looking: Future[dict[int, Held]] | None = None
    _look_at: float = 0.0
    _stopped: bool = False

    def run(self) -> None:
        """Until stop()."""
        round_at = self.clock()
        while not self._stopped:
            if abs(self.clock() - round_at) > SLEPT_SECONDS:
                self._woke()
            round_at = self.clock()
            self._look()
            self._tend()
            for key, _mask in self._selector.select(BUSY_TICK if self._busy() else TICK):
                self._heard(key.data)
        self._end()

    def stop(self) -> None:
        self._stopped = True

    def _busy(self) -> bool:
        return any(entry.opening or entry.changed for entry in self._watched.values())

    def _woke(self) -> None:
        log.info("the clock jumped: all connections are renewed")
        self._look_at = 0.0
        for entry in self._watched.values():
            entry.renew_at = entry.retry_at = 0.0

    def _end(self) -> None:
        for entry in self._watched.values():
            self._drop(entry)
        self._openers.shutdown(wait=False, cancel_futures=True)
        self._messenger.shutdown(wait=False, cancel_futures=True)
        self._clerk.submit(_keep_books, self._release)
        self._clerk.shutdown()

    def _release(self) -> dict[int, Held]:
        self.claims.release()
        return {}

    # --- which accounts ---

    def _look(self) -> None:
        """Have the books looked at now and then, and do what they say."""
        if self._looking is None:
            if time.monotonic() >= self._look_at:
                pushes, self._pushes = self._pushes, {}
                self._looking = self._clerk.submit(_keep_books, lambda: self._look_up(pushes))
            return
        if not self._looking.done():
            return
        looked, self._looking = self._looking, None
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            self._adopt(looked.result())
        except DatabaseError as error:
            log.warning("could not look for accounts: %s", error)
            for entry in self._watched.values():  # what was to be written down is lost
                self._pushes.setdefault(entry.account_id, entry.watch.how if entry.watch else "")

    def _look_up(self, pushes: dict[int, str]) -> dict[int, Held]:
        """In the clerk's thread."""
        events.mark_alive("watch", ALIVE_SECONDS)
        held = self.claims.look()
        self.claims.tell(pushes)
        return held

    def _adopt(self, accounts: dict[int, Held]) -> None:
        """Begin with accounts that came, end with those that went or changed."""
        for account_id, entry in list(self._watched.items()):
            if accounts.get(account_id) != entry.held:
                self._drop(entry)
                del self._watched[account_id]
        for account_id, held in accounts.items():
            if account_id not in self._watched:
                self._watched[account_id] = _Watched(account_id, held)

    # --- one account ---

    def _tend(self) -> None:
        now = time.monotonic()
        opening = Counter(entry.held.incoming for entry in self._watched.values() if entry.opening)
        for entry in self._watched.values():
            if entry.opening is not None:
                if entry.opening.done():
                    self._opened(entry)
            elif entry.watch is None:
                if now >= entry.retry_at and opening[entry.held.incoming] < OPENERS_PER_SERVER:
                    opening[entry.held.incoming] += 1
                    entry.opening = self._openers.submit(_open, entry.account_id)
            elif entry.answer_by:
                self._await_answer(entry, now)
            elif now >= entry.renew_at:
                self._renew(entry, now)
            if entry.changed:
                self._pass_on(entry, now)

    def _opened(self, entry: _Watched) -> None:
        future, entry.opening = entry.opening, None
        now = time.monotonic()
        try:
            opened = future.result() if future else None
        except MailError as error:
            self._failed(entry, error)
            return
        except Exception as error:  # noqa: BLE001  (an account removed while it was opened, a busy database: the others are watched on)
            log.warning("watch of account %s: %r", entry.account_id, error)
            self._failed(entry, Unreachable(str(error)))
            return
        if opened is None:  # the server has no IDLE: the schedule polls it
            entry.retry_at = now + POLLED_SECONDS * random.uniform(0.9, 1.1)  # noqa: S311  (jitter, no secret)
            return
        entry.store, entry.watch = opened
        entry.opened_at, entry.answer_by = now, 0.0
        entry.renew_at = now + self.renew_seconds * random.uniform(0.7, 1.0)  # noqa: S311
        self._pushes[entry.account_id] = entry.watch.how
        entry.fd = entry.watch.fileno()
        self._selector.register(entry.fd, selectors.EVENT_READ, entry)
        entry.changed = True  # what came before we listened was not announced
        self._heard(entry)  # nor does the selector tell of what came together with the server's "+"

    def _heard(self, entry: _Watched) -> None:
        if entry.watch is None:
            return
        how = entry.watch.how
        try:
            entry.changed = entry.watch.changed() or entry.changed
        except MailError as error:
            self._failed(entry, error)
            return
        if entry.watch.how != how:
            self._pushes[entry.account_id] = entry.watch.how
        if entry.changed:
            self._pass_on(entry, time.monotonic())

    def _pass_on(self, entry: _Watched, now: float) -> None:
        """One nudge at a time, with a pause between two: the last change is never left out."""
        if now < entry.nudge_at or (entry.nudging and not entry.nudging.done()):
            return
        entry.changed, entry.nudge_at = False, now + NUDGE_PAUSE
        entry.nudging = self._messenger.submit(self.nudge, entry.account_id)

    def _renew(self, entry: _Watched, now: float) -> None:
        assert entry.watch
        try:
            entry.watch.renew()
        except MailError as error:
            self._failed(entry, error)
            return
        entry.answer_by = now + self.answer_seconds

    def _await_answer(self, entry: _Watched, now: float) -> None:
        assert entry.watch
        if entry.watch.settled:
            entry.answer_by = 0.0
            entry.renew_at = now + self.renew_seconds * random.uniform(0.9, 1.0)  # noqa: S311
        elif now >= entry.answer_by:
            self._failed(entry, Unreachable("no answer to the renewal", "TIMEOUT"))

    def _failed(self, entry: _Watched, error: MailError) -> None:
        if entry.watch and time.monotonic() - entry.opened_at > STABLE_SECONDS:
            entry.failures = 0
        self._drop(entry)
        entry.failures += 1
        wait = min(2.0 ** min(entry.failures - 1, 20), MAX_BACKOFF)
        if error.needs_user or isinstance(error, Unavailable):  # RFC 5530 §3: [LIMIT], [UNAVAILABLE], [INUSE]
            wait = POLLED_SECONDS
        wait *= random.uniform(0.7, 1.3)  # noqa: S311
        entry.retry_at = time.monotonic() + wait
        log.info("watch of account %s lost (%s); again in %.0f s", entry.account_id, error.detail[:120], wait)

    def _drop(self, entry: _Watched) -> None:
        """Without a word: a polite end would wait for the server."""
        if entry.opening is not None:
            entry.opening.add_done_callback(_close_when_open)
            entry.opening = None
        if entry.watch is not None:
            self._pushes[entry.account_id] = ""
            self._selector.unregister(entry.fd)
            entry.watch.abandon()
        entry.watch = entry.store = None


def _keep_books(work: Callable[[], dict[int, Held]]) -> dict[int, Held]:
    """In the clerk's thread. Raises DatabaseError; the next time it has a connection again."""
    close_old_connections()
    try:
        return work()
    except DatabaseError:
        connection.close()
        raise


def _open(account_id: int) -> tuple[MailStore, Watch] | None:
    """In a thread; None if there is nothing to wait for. Raises MailError."""
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
        opened[1].abandon()
