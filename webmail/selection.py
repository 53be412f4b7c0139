"""What an action is about when that is more than the ticked rows: everything in a list, as it was at that moment.

A selection is a plain value that can be kept in an operation and worked
off in batches from its newest message on, without ever holding all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from django.db.models import Q
from django.utils import timezone

from accounts.models import Account
from webmail import search
from webmail.models import Cursor, Mailbox, Message, MessageQuerySet

CHUNK = 500
HIDDEN_ROLES = ("junk", "trash")  # not part of "everywhere"


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

    def keys(self, account: Account, after: Cursor | None = None) -> Iterator[Cursor]:
        """Of the messages of one account, newest first."""
        if self.query:
            yield from self._found(account, after)
            return
        rows = self._rows(account.pk)
        for place in (Cursor.parse(self.until), after):
            if place:
                rows = rows.filter(place.older(inclusive=place is not after))
        yield from (Cursor(*key) for key in rows.values_list("received_at", "pk").iterator(CHUNK))

    def count(self, account: Account) -> int:
        if self.query:
            return sum(1 for _key in self._found(account, None))
        newest = Cursor.parse(self.until)
        rows = self._rows(account.pk)
        return rows.filter(newest.older(inclusive=True)).count() if newest else rows.count()

    def _rows(self, account_id: int) -> MessageQuerySet:
        rows = Message.objects.filter(account_id=account_id, pk__lte=self.last, mailbox__isnull=False, **self.where)
        if self.mailboxes:
            rows = rows.filter(mailbox_id__in=self.mailboxes)
        else:
            hidden = Mailbox.objects.filter(Q(hidden=True) | Q(role__in=HIDDEN_ROLES), account_id=account_id)
            rows = rows.exclude(mailbox_id__in=list(hidden.values_list("pk", flat=True)))
        return rows.newest_first()

    def _found(self, account: Account, after: Cursor | None) -> Iterator[Cursor]:
        newest = Cursor.parse(self.until)
        today = date.fromisoformat(self.today) if self.today else timezone.localdate(timezone=account.user.zone)
        finder = search.finder(account.user, self.query, today, [account.pk], **self.where)
        for one in finder.each(after):
            if one.pk <= self.last and (newest is None or one.place <= newest):
                yield one.place

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Selection:
        return cls(**{**value, "mailboxes": tuple(value["mailboxes"])})
