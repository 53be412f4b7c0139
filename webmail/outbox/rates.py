"""How much may be sent, as the operator says (settings): of each account, and of each person. What is over it waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from webmail.models import Submission, SubmissionQuerySet

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Held:
    """``until`` when it has to wait at least, and ``why``, in a sentence for the person."""

    until: datetime
    why: str


def held(submission: Submission) -> Held | None:
    """None if it may go now. Of several limits the one that holds it longest counts."""
    return max(_limits(submission), key=lambda one: one.until, default=None)


def _limits(submission: Submission) -> Iterator[Held]:
    account = submission.account
    scopes = (
        (settings.ACCOUNT_MESSAGES_AN_HOUR, settings.ACCOUNT_RECIPIENTS_A_DAY, {"account": account.pk}),
        (settings.USER_MESSAGES_AN_HOUR, settings.USER_RECIPIENTS_A_DAY, {"account__user": account.user_id}),
    )
    for messages, recipients, scope in scopes:
        if not messages and not recipients:
            continue
        sent = Submission.objects.filter(handed_over=True, **scope).exclude(pk=submission.pk)
        if messages and (until := _full_until(sent, HOUR, 1, messages, each=True)):
            yield Held(until, _hourly(messages, until))
        if recipients and (until := _full_until(sent, DAY, submission.recipient_count, recipients, each=False)):
            yield Held(until, _daily(recipients, until))


def _full_until(sent: SubmissionQuerySet, span: timedelta, more: int, limit: int, each: bool) -> datetime | None:
    """When ``more`` fit under the limit, or None for now. What alone is over it goes when nothing else went for a span."""
    lately = sent.filter(begun_at__gt=timezone.now() - span).order_by("begun_at")
    counted = [(at, 1 if each else n) for at, n in lately.values_list("begun_at", "recipient_count") if at]
    left = sum(n for _at, n in counted)
    until = None
    for at, n in counted:
        if left + more <= limit:
            break
        left, until = left - n, at + span
    return until


def _hourly(limit: int, until: datetime) -> str:
    return _("No more than %(limit)d messages an hour may be sent. It goes at %(time)s.") % {
        "limit": limit,
        "time": _time(until),
    }


def _daily(limit: int, until: datetime) -> str:
    return _("No more than %(limit)d recipients a day may be written to. It goes at %(time)s.") % {
        "limit": limit,
        "time": _time(until),
    }


def _time(until: datetime) -> str:
    return date_format(timezone.localtime(until), "H:i")
