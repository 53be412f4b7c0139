"""A place in a list of messages, newest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
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

    def older(self, inclusive: bool = False, key: str = "id") -> Q:
        """What comes after it; ``key`` is the column of the id. Said so that an index can only be used for the bound: of an
        OR, PostgreSQL would make two looks into it, and sort what they found."""
        beyond = f"{key}__gt" if inclusive else f"{key}__gte"
        not_before = Q(received_at=self.received_at, **{beyond: self.pk})
        return Q(received_at__lte=self.received_at) & ~not_before

    def newer(self, inclusive: bool = False) -> Q:
        not_after = Q(received_at=self.received_at, **{"id__lt" if inclusive else "id__lte": self.pk})
        return Q(received_at__gte=self.received_at) & ~not_after
