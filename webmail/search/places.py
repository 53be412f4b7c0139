"""A place in a list, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.db.models import Q


class Place(NamedTuple):
    """Just after the message that was received then and has this id."""

    received_at: datetime
    pk: int

    def older(self, key: str = "id") -> Q:
        """What comes after it."""
        return Q(received_at__lte=self.received_at) & ~Q(received_at=self.received_at, **{f"{key}__gte": self.pk})
