"""The copy in Sent: a step of its own, retried by itself, because a copy too many can be seen and a copy too few cannot."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import BinaryIO, cast

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from webmail import connections, operations, sync
from webmail.leases import new_claim
from webmail.models import FilingState, Message, Submission, SubmissionQuerySet, SubmissionState
from webmail.outbox.waiting import changed, let_go
from webmail.protocols.base import Capability, Condition, MailStore
from webmail.protocols.errors import MailError, Unavailable

log = logging.getLogger(__name__)
AT_ONCE = 100  # rows in one transaction, which others wait for
CLAIM = timedelta(hours=6)
WAITS = (30, 60, 120, 300, 900, 1800, 3600)  # seconds between attempts; the last one repeats


def file_all(account: Account, submissions: Sequence[Submission]) -> None:
    """What a provider files by itself, or was filed before, is let go of many at a time."""
    filed = [one.pk for one in submissions if one.filing != FilingState.PENDING and not one.needs_person]
    for start in range(0, len(filed), AT_ONCE):
        let_go(account, *filed[start : start + AT_ONCE])
    for submission in submissions:
        if submission.filing == FilingState.PENDING:
            submission.account = account
            file(submission)


def file(submission: Submission) -> None:
    """Put a copy into Sent, unless the provider has done so; then let go of what nobody has to see any more."""
    if submission.filing == FilingState.PENDING:
        mine = _claim(submission)
        if mine is None:
            return
        try:
            _append(submission.account, submission)
        except MailError as error:
            wait = WAITS[min(submission.filing_attempts, len(WAITS)) - 1]
            mine.update(
                not_before=timezone.now() + timedelta(seconds=wait),
                detail=error.detail[:500],
                claimed_by="",
                claimed_until=None,
            )
            log.info("submission %s not filed: %s", submission.pk, error)
            changed(submission)
            return
        mine.update(filing=FilingState.FILED, claimed_by="", claimed_until=None)
    if not submission.needs_person:
        let_go(submission.account, submission.pk)


def _claim(submission: Submission) -> SubmissionQuerySet | None:
    """The row as ours alone: two workers filing at once would file two copies."""
    free = Submission.objects.filter(
        pk=submission.pk, state=SubmissionState.SENT, filing=FilingState.PENDING, claimed_by=""
    )
    claim = new_claim()
    submission.filing_attempts += 1
    claimed = free.update(
        claimed_by=claim, claimed_until=timezone.now() + CLAIM, filing_attempts=submission.filing_attempts
    )
    return Submission.objects.filter(pk=submission.pk, claimed_by=claim) if claimed else None


def _append(account: Account, submission: Submission) -> None:
    sent = operations.mailbox_for_role(account, "sent")
    with submission.raw.open("rb") as raw:
        if account.downloads:
            if not Message.objects.filter(mailbox=sent, message_id=submission.message_id).exists():
                sync.keep(account, sent, cast(BinaryIO, raw), keywords=["$seen"])
            return
        with connections.store_of(account) as store:
            if sent.remote_name is None:
                raise Unavailable(_("The folder for sent mail is being made."))
            name = sent.remote_name
            if not _filed_already(store, name, submission.message_id):
                store.append(name, cast(BinaryIO, raw), ["$seen"], submission.sent_at)


def _filed_already(store: MailStore, name: str, message_id: str) -> bool:
    """By a provider that does so by itself, or by an attempt of ours whose answer was lost."""
    return Capability.SEARCH in store.capabilities and bool(store.search(name, Condition(message_id=message_id)))
