"""One runner per account and kind of work, across processes and machines: a lease in the account's row, renewed while it
works.

A holder that died on this machine is seen at once (its process is gone); one on another machine when its lease ends.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.db.models import Q
from django.utils import timezone

from accounts.models import Account, AccountQuerySet

LEASE = timedelta(minutes=3)
RENEW_SECONDS = 45.0
log = logging.getLogger(__name__)


def _host() -> str:
    """This machine, and where containers share its name, this container: process numbers mean something only here."""
    try:
        return f"{socket.gethostname()[:60]}/{os.readlink('/proc/self/ns/pid')[5:-1]}"
    except OSError:
        return socket.gethostname()[:60]


_HOST = _host()


def _boot_id() -> str:
    """Differs after each start of the machine, so that a process number is not mistaken for one of before."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return file.read(8)
    except OSError:
        return "-"


def _started(pid: int) -> str:
    """When the process began, in clock ticks since boot: tells a reused process number from the one we knew."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return "-"


def this_process() -> str:
    """Names this process: host, boot, number, when it started."""
    return f"{_HOST}:{_boot_id()}:{os.getpid()}:{_started(os.getpid())}"


def has_died(process: str) -> bool:
    """True only if ``process`` certainly runs no more: it was on this machine and is gone."""
    try:
        host, boot, pid, started = process.split(":")[:4]
    except ValueError:
        return False
    if host != _HOST:
        return False
    if boot != _boot_id():
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(pid)) != started


def new_claim() -> str:
    """Names this process and this one use of it: for rows that a worker claims by a conditional update."""
    return f"{this_process()}:{uuid.uuid4().hex[:8]}"


def is_abandoned(claim: str, until: datetime | None) -> bool:
    """True if nobody works on a claimed row any more: its process has died, or, where that cannot be seen, its time is
    over. A process of this machine that lives keeps its claim however long it takes."""
    if claim.split(":")[0] == _HOST:
        return has_died(claim)
    return until is None or until < timezone.now()


class Lost(Exception):
    """Another runner took the account over."""


class Lease:
    """``work``: "sync" or "sending", each with columns of its own."""

    def __init__(self, account_id: int, work: str = "sync") -> None:
        self.account_id = account_id
        self.name = new_claim()
        self._holder, self._until = f"{work}_holder", f"{work}_lease"

    def take(self) -> bool:
        now, holder, until = timezone.now(), self._holder, self._until
        free = Q(**{holder: ""}) | Q(**{f"{until}__lt": now}) | Q(**{f"{until}__isnull": True})
        held_by = Account.objects.filter(pk=self.account_id).values_list(holder, flat=True).first()
        if held_by and has_died(held_by):
            free |= Q(**{holder: held_by})
        mine = Account.objects.filter(free, pk=self.account_id)
        return bool(mine.update(**{holder: self.name, until: now + LEASE}))

    def renew(self) -> None:
        """Raises Lost."""
        if not self._mine().update(**{self._until: timezone.now() + LEASE}):
            raise Lost

    def release(self) -> None:
        self._mine().update(**{self._holder: "", self._until: None})

    def _mine(self) -> AccountQuerySet:
        return Account.objects.filter(**{"pk": self.account_id, self._holder: self.name})


@contextmanager
def lease(account: Account, work: str = "sync") -> Iterator[Lease | None]:
    """The lease for the length of the block, or None if somebody else holds it."""
    held = Lease(account.pk, work)
    if not held.take():
        yield None
        return
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(held, done), daemon=True)
    keeper.start()
    try:
        yield held
    finally:
        done.set()
        keeper.join()
        held.release()


def _keep(held: Lease, done: threading.Event) -> None:
    """Renew the lease for as long as its holder lives, however long one step of its work takes."""
    try:
        while not done.wait(RENEW_SECONDS):
            try:
                held.renew()
            except DatabaseError as error:  # busy, or the connection was dropped: there is time for two more tries
                log.warning("the lease of account %s was not renewed: %s", held.account_id, error)
                connection.close()
    except Lost:
        log.warning("the lease of account %s was taken over", held.account_id)
    finally:
        connection.close()
