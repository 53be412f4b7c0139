"""Rows that a worker holds: claimed by a conditional update, and changed only while the claim is its own."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any, cast

from django.db.models import CharField, F, Field, QuerySet
from django.utils import timezone

from accounts.models import Account
from webmail.leases import new_claim
from webmail.models import Submission, SubmissionState
from webmail.outbox.waiting import to_send
from webmail.prepared import Integer, PreparedUpdate

CLAIM = timedelta(minutes=30)  # after this a claim of another machine counts as abandoned
Text = CharField(max_length=255)
NEEDED = (
    "account_id", "draft_id", "message_id", "sender", "recipients", "raw", "size", "state", "notify", "recipient_count",
    "claimed_by", "attempts", "tries", "refused", "sent_at",
)  # fmt: skip


class Job:
    """A submission under a claim. A claim that was lost changes nothing."""

    def __init__(self, submission: Submission) -> None:
        self.row = submission
        self._claim = submission.claimed_by

    def change(self, was: SubmissionState, **values: Any) -> bool:
        """As an update of the row while it is ours and in that state; False if it is not."""
        if not _update(tuple(values))(*values.values(), self.row.pk, self._claim, was):
            return False
        for name, value in values.items():
            setattr(self.row, name, value)
        return True

    def done(self, was: SubmissionState, state: SubmissionState, **values: Any) -> bool:
        """As change, and the claim ends."""
        return self.change(was, state=state, claimed_by="", claimed_until=None, **values)


@cache
def _update(names: tuple[str, ...]) -> PreparedUpdate:
    """Of these columns, then of which row, under which claim and in which state."""
    fields = [cast("Field[Any, Any]", Submission._meta.get_field(name)) for name in names]

    def build(*given: Any) -> tuple[QuerySet[Submission], dict[str, Any]]:
        pk, claimed_by, state = given[-3:]
        return Submission.objects.filter(pk=pk, claimed_by=claimed_by, state=state), dict(
            zip(names, given, strict=False)
        )

    return PreparedUpdate(build, *fields, Integer, Text, Text)


def claim(account: Account, most: int) -> list[Job]:
    """So many of what is due, as ours alone, the one that waits longest first. Nothing of them is handed over yet: if we
    die they wait again."""
    now, name = timezone.now(), new_claim()
    free = to_send().filter(account=account)
    ids = list(free.order_by("not_before", "pk").values_list("pk", flat=True)[:most])
    if not ids or not _take(free.filter(pk__in=ids), name, now):
        return []
    ours = Submission.objects.filter(pk__in=ids, claimed_by=name).order_by("not_before", "pk").only(*NEEDED)
    jobs = [Job(submission) for submission in ours.annotate(source=F("draft__source_id"))]
    for job in jobs:
        job.row.account = account
    return jobs


def _take(free: Any, name: str, now: datetime) -> int:
    return free.update(state=SubmissionState.CLAIMED, claimed_by=name, claimed_until=now + CLAIM)


def give_back(jobs: list[Job]) -> None:
    """What was claimed and not begun."""
    for job in jobs:
        job.done(SubmissionState.CLAIMED, SubmissionState.WAITING)
