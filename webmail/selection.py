"""What an action is about when that is more than the ticked rows: everything in a list, as it was at that moment.

A *cursor* is a place in a list, newest first. A selection is a plain value that can be kept in an operation and worked
off in batches from its newest message on, without ever holding all of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q

from webmail import search
from webmail.models import Mailbox, Message, MessageQuerySet

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HIDDEN_ROLES = ("junk", "trash")  # not part of "everywhere"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: just after (received_at, id), newest first."""

    received_at: datetime
    pk: int

    def __str__(self) -> str:
        return f"{(self.received_at - EPOCH) // timedelta(microseconds=1)}-{self.pk}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        stamp, _dash, pk = text.rpartition("-")
        if not re.fullmatch(r"-?\d{1,18}-\d{1,18}", text, re.ASCII):
            return None
        try:
            return cls(EPOCH + timedelta(microseconds=int(stamp)), int(pk))
        except OverflowError:
            return None

    def older(self, inclusive: bool = False) -> Q:
        """What comes after it. Said so that an index can only be used for the bound: of an OR, PostgreSQL would make two
        looks into it, and sort what they found."""
        not_before = Q(received_at=self.received_at, **{"id__gt" if inclusive else "id__gte": self.pk})
        return Q(received_at__lte=self.received_at) & ~not_before

    def newer(self) -> Q:
        return Q(received_at__gte=self.received_at) & ~Q(received_at=self.received_at, id__lte=self.pk)


@dataclass(frozen=True, slots=True)
class Selection:
    """``mailboxes``: none means all of an account but Junk and Trash. ``where``: columns of Message and their values.
    ``query``: of a search. ``last``: the highest id there was; ``until``: the cursor of the newest message that the
    person saw. What came later is not meant."""

    mailboxes: tuple[int, ...] = ()
    where: Mapping[str, bool] = field(default_factory=dict)
    query: str = ""
    last: int = 0
    until: str = ""

    def messages(self, account_id: int) -> MessageQuerySet:
        """Those of one account, newest first."""
        rows = Message.objects.filter(account_id=account_id, pk__lte=self.last, mailbox__isnull=False, **self.where)
        if self.mailboxes:
            rows = rows.filter(mailbox_id__in=self.mailboxes)
        else:
            hidden = Mailbox.objects.filter(Q(hidden=True) | Q(role__in=HIDDEN_ROLES), account_id=account_id)
            rows = rows.exclude(mailbox_id__in=list(hidden.values_list("pk", flat=True)))
        if self.query:
            rows = rows.filter(search.condition(self.query))
        newest = Cursor.parse(self.until)
        if newest:
            rows = rows.filter(newest.older(inclusive=True))
        return rows.newest_first()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Selection:
        return cls(**{**value, "mailboxes": tuple(value["mailboxes"])})
