"""Which process holds which accounts: a lease in the account's row, so that several ``watch`` processes share them.

    free ──claim (conditional update, in batches)──> held ──give back (stop, surplus, no longer active)──> free
                                                      └──lease over, or the process has died──> free

All leases of a process are renewed by one update. A process takes no more than its share of the active accounts, with
some slack so that two of them do not hand accounts to and fro; when another process joins, it gives the surplus back.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from accounts.models import Account
from webmail import events
from webmail.leases import has_died, new_claim
from webmail.models import Mailbox
from webmail.watching.schedule import active_since

LEASE = timedelta(seconds=60)
RENEW_SECONDS = 20.0
BATCH = 100  # claimed by one update
BATCHES = 5  # of them at one look, so that a look stays short
SLACK = 8  # accounts beyond the fair share
GROUP = "watchers"
log = logging.getLogger(__name__)


class Held(NamedTuple):
    """What is to be watched: where, and as whom. Another value means that the connection must be made anew."""

    incoming: str
    username: str
    credentials: str


@dataclass
class Claims:
    """The accounts of one watcher. To be used by one thread at a time."""

    name: str = field(default_factory=new_claim)
    _renew_at: float = 0.0

    def look(self) -> dict[int, Held]:
        """Renew, give back what is not to be held any more, claim what is free; what is held after that."""
        now = timezone.now()
        if time.monotonic() >= self._renew_at:
            self._mine().update(watch_lease=now + LEASE)
            self._renew_at = time.monotonic() + RENEW_SECONDS
        held = set(self._mine().values_list("pk", flat=True))
        wanted = set(_watchable(now).filter(watch_holder=self.name).values_list("pk", flat=True))
        limit = self._limit(now)
        self._give_back([*(held - wanted), *sorted(wanted)[limit:]])
        self._claim(limit - len(wanted), now)
        rows = self._mine().values_list("pk", "incoming", "username", "credentials")
        return {pk: Held(*rest) for pk, *rest in rows}

    def tell(self, pushes: Mapping[int, str]) -> None:
        """Write down how accounts are watched now, for pages and syncs: one update for each way."""
        for how in set(pushes.values()):
            ids = [pk for pk, way in pushes.items() if way == how]
            for start in range(0, len(ids), BATCH):
                self._mine().filter(pk__in=ids[start : start + BATCH]).update(push=how)

    def release(self) -> None:
        """The end: all are free for others at once."""
        self._mine().update(watch_holder="", watch_lease=None, push="")
        events.sign_off(GROUP, self.name)

    def _mine(self) -> QuerySet[Account]:
        return Account.objects.filter(watch_holder=self.name).order_by()

    def _limit(self, now: datetime) -> int:
        """How many to hold at most. Without Redis only processes that hold something are seen; that is fair enough."""
        holders = _watchable(now).filter(watch_lease__gt=now).exclude(watch_holder="")
        alive = {name for name in holders.values_list("watch_holder", flat=True).distinct() if not has_died(name)}
        processes = len(alive | {self.name} | events.sign_on(GROUP, self.name, int(LEASE.total_seconds())))
        if processes == 1:
            return _watchable(now).count()
        return -(-_watchable(now).count() // processes) + SLACK

    def _give_back(self, ids: list[int]) -> None:
        for start in range(0, len(ids), BATCH):
            mine = self._mine().filter(pk__in=ids[start : start + BATCH])
            mine.update(watch_holder="", watch_lease=None, push="")

    def _claim(self, room: int, now: datetime) -> None:
        free = Q(watch_holder="") | Q(watch_lease__lt=now) | Q(watch_lease=None) | Q(watch_holder__in=self._dead())
        for _ in range(BATCHES):
            if room <= 0:
                return
            candidates = _watchable(now).filter(free).exclude(watch_holder=self.name)
            ids = list(candidates.values_list("pk", flat=True)[: min(room, BATCH)])
            if not ids:
                return
            mine = Account.objects.filter(free, pk__in=ids)
            room -= mine.update(watch_holder=self.name, watch_lease=now + LEASE, push="")

    def _dead(self) -> list[str]:
        """Processes of this machine that ended without a word."""
        others = Account.objects.exclude(watch_holder__in=["", self.name]).order_by()
        return [name for name in others.values_list("watch_holder", flat=True).distinct() if has_died(name)]


def _watchable(now: datetime) -> QuerySet[Account]:
    """POP3 has nothing to wait for; and an account whose folders were never listed is synced first."""
    inbox = Mailbox.objects.filter(account=OuterRef("pk"), role="inbox")
    active = Account.objects.filter(
        Exists(inbox), needs_user=False, paused=False, user__active_at__gte=active_since(now)
    )
    return active.exclude(incoming__startswith="pop3").order_by("pk")
