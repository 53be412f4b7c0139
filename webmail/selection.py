"""What an action is about when that is more than the ticked rows: everything in a list, as it was at that moment.

A selection is a plain value that can be kept in an operation and worked
off in batches from its newest message on, without ever holding all of it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, NamedTuple

from django.db.models import Q
from django.utils import timezone

from accounts.models import Account
from webmail import search
from webmail.models import Cursor, Mailbox, Message, MessageQuerySet

PATIENCE = 1.0  # seconds in which a search is to find some; then the rest is another piece of work
HIDDEN_ROLES = ("junk", "trash")  # not part of "everywhere"


class Some(NamedTuple):
    """Messages, newest first. ``rest``: the others, if there are any, are behind that place; None: these are the last."""

    ids: list[int]
    rest: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Selection:
    """``mailboxes``: none means all of an account but Junk and Trash. ``where``: columns of Message and their values.
    ``query``: of a search, made on the person's day ``today``. ``last``: the highest id there was; ``until``: the cursor of
    the newest message that the person saw. What came later is not meant."""

    mailboxes: tuple[int, ...] = ()
    where: Mapping[str, bool] = field(default_factory=dict)
    query: str = ""
    last: int = 0
    until: str = ""
    today: str = ""

    def some(self, account: Account, after: Cursor | None, most: int, patience: float | None = None) -> Some:
        """The next of one account: ``most`` of them, or what a search finds in so many seconds."""
        newest = Cursor.parse(self.until)
        if after is None and newest:
            after = Cursor(newest.received_at, newest.pk + 1)
        if not self.query:
            return self._listed(account, after, most)
        return self._found(account, after, most, time.monotonic() + (PATIENCE if patience is None else patience))

    def _listed(self, account: Account, after: Cursor | None, most: int) -> Some:
        keys = [key for rows in self.queries(account, after, most) for key in rows.values_list("received_at", "pk")]
        keys.sort(reverse=True)
        return Some([pk for _at, pk in keys[:most]], Cursor(*keys[most - 1]) if len(keys) > most else None)

    def queries(self, account: Account, after: Cursor | None, most: int) -> list[MessageQuerySet]:
        """One a folder, each answered by one index from its top; one that is too many tells that there is more."""
        rows = Message.objects.filter(after.older() if after else Q(), pk__lte=self.last, **self.where).newest_first()
        boxes = Mailbox.objects.filter(account=account)
        if self.mailboxes:
            own = boxes.filter(pk__in=self.mailboxes).values_list("pk", flat=True)
            return [rows.filter(mailbox_id=pk)[: most + 1] for pk in own]
        hidden = list(boxes.filter(Q(hidden=True) | Q(role__in=HIDDEN_ROLES)).values_list("pk", flat=True))
        return [rows.filter(account=account, mailbox__isnull=False).exclude(mailbox_id__in=hidden)[: most + 1]]

    def _found(self, account: Account, after: Cursor | None, most: int, ends: float) -> Some:
        today = date.fromisoformat(self.today) if self.today else timezone.localdate(timezone=account.user.zone)
        finder = search.finder(account.user, self.query, today, [account.pk], **self.where)
        found: list[Cursor] = []
        for kept, reached in finder.steps(after):
            found += [one.place for one in kept if one.pk <= self.last]
            over = len(found) > most
            if over or time.monotonic() > ends:
                return Some([one.pk for one in found[:most]], found[most - 1] if over else reached)
        return Some([one.pk for one in found])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Selection:
        return cls(**{**value, "mailboxes": tuple(value["mailboxes"])})
