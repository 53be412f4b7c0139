"""Emptying an outbox: everything of one account that is due, one message after another over one connection.

One worker at a time does that for an account (a lease in its row). Whoever finds it taken may go: who holds it looks once
more after letting it go, so that nothing put in meanwhile is passed by.
"""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.troubles import explain
from webmail import correspondents, events, operations
from webmail.leases import Lost, lease, new_claim
from webmail.models import Submission, SubmissionQuerySet, SubmissionState
from webmail.outbox import filing, rates
from webmail.outbox.line import Line, Way
from webmail.outbox.waiting import changed, header_without, to_file, to_send
from webmail.protocols.base import Envelope, Submitted
from webmail.protocols.errors import DeliveryUncertain, MailError, RecipientsRefused, TooLarge

log = logging.getLogger(__name__)
CLAIM = timedelta(minutes=30)  # after this a claim of another machine counts as abandoned …
SENDING = timedelta(hours=6)  # … and after this one that was handing a message over: a slow line takes its time
WAITS = (30, 60, 120, 300, 900, 1800, 3600)  # seconds between attempts; the last one repeats
MAX_ATTEMPTS = 80  # some three days
TURN = 30.0  # seconds of sending, and of filing, until others have their turn
BATCH = 50  # rows read at once
TELL_SECONDS = 0.5  # open pages hear of it so often


def process(submission_id: int) -> bool:
    """Do what is due for the account of this submission; see drain."""
    account = Account.objects.select_related("user").filter(submissions=submission_id).first()
    return drain(account) if account else False


def drain(account: Account) -> bool:
    """Send what waits and file what was sent, for a while; True if there is more. Safe to call any number of times, from
    anywhere."""
    began = time.monotonic()
    while True:
        with lease(account, "sending") as held:
            if held is None:
                return False
            _empty(account)
        if not (to_send().filter(account=account).exists() or to_file().filter(account=account).exists()):
            return False
        if time.monotonic() - began > TURN:
            return True


def _empty(account: Account) -> None:
    told = time.monotonic()
    with Line(account) as line:
        for submission in _one_by_one(to_send(), account):
            _send(line, submission)
            if time.monotonic() - told > TELL_SECONDS:
                events.publish(account.user_id, "outbox")
                told = time.monotonic()
    for submission in _one_by_one(to_file(), account):
        filing.file(submission)
    events.publish(account.user_id, "outbox")


def _one_by_one(which: SubmissionQuerySet, account: Account) -> Iterator[Submission]:
    """Each once, the one that waits longest first, for as long as a turn is."""
    until, seen = time.monotonic() + TURN, set[int]()
    while True:
        some = which.filter(account=account).order_by("not_before", "pk").select_related("draft")
        batch = [one for one in some[: BATCH + len(seen)] if one.pk not in seen]
        if not batch:
            return
        for submission in batch:
            if time.monotonic() > until:
                return
            seen.add(submission.pk)
            submission.account = account
            yield submission


def _claim(submission: Submission) -> SubmissionQuerySet | None:
    """The row as ours alone, or None if it is another's or another one now; every later change goes through it, so that a
    claim that was lost changes nothing."""
    now, claim = timezone.now(), new_claim()
    free = Submission.objects.filter(
        pk=submission.pk, state=SubmissionState.WAITING, not_before__lte=now, raw=submission.raw.name,
        attempts=submission.attempts,
    )  # fmt: skip
    submission.attempts += 1
    claimed = free.update(
        state=SubmissionState.CLAIMED, claimed_by=claim, claimed_until=now + CLAIM, attempts=submission.attempts
    )
    return Submission.objects.filter(pk=submission.pk, claimed_by=claim) if claimed else None


def _send(line: Line, submission: Submission) -> None:
    held = rates.held(submission)
    if held:
        _hold(submission, held)
        return
    mine = _claim(submission)
    if mine is None:
        return
    try:
        submitted, way = _hand_over(line, submission, mine)
    except Lost:
        return  # taken from us while we connected; nothing was handed over
    except MailError as error:
        _not_sent(submission, mine, error, line.host)
    except Exception:  # ours, not the server's: the person decides, as after a crash
        log.exception("submission %s", submission.pk)
        _broken(submission, mine)
    else:
        _sent(submission, mine, submitted, way)


def _hold(submission: Submission, held: rates.Held) -> None:
    """Over the rate: it waits, which is no attempt."""
    waiting = Submission.objects.filter(pk=submission.pk, state=SubmissionState.WAITING, attempts=submission.attempts)
    waiting.update(not_before=held.until, trouble=held.why, detail="")
    changed(submission)


def _hand_over(line: Line, submission: Submission, mine: SubmissionQuerySet) -> tuple[Submitted, Way]:
    """Raises MailError, and Lost before anything left."""
    envelope = Envelope(
        submission.sender, tuple(submission.recipients), submission.message_id, notify=submission.notify
    )
    way = line.way(submission.sender)
    limit = way.transport.max_size
    if limit and submission.size > limit:
        raise TooLarge(_("%(host)s takes at most %(limit)d octets.") % {"host": way.host, "limit": limit})
    with _without_bcc(submission) as message:
        return line.submit(envelope, message, lambda: _begin(mine))


def _begin(mine: SubmissionQuerySet) -> None:
    """Committed before the first octet of the message leaves; from here on a crash leaves it uncertain. Raises Lost."""
    now = timezone.now()
    claimed = mine.filter(state=SubmissionState.CLAIMED)
    if not claimed.update(
        state=SubmissionState.SENDING, handed_over=True, begun_at=now, claimed_until=now + SENDING
    ):  # fmt: skip
        raise Lost


def _sent(submission: Submission, mine: SubmissionQuerySet, submitted: Submitted, way: Way) -> None:
    now = timezone.now()
    mine.update(
        state=SubmissionState.SENT, sent_at=now, refused=dict(submitted.refused), trouble="", relayed=way.relayed,
        detail=submitted.reply[:500], claimed_by="", claimed_until=None,
        tries=submission.tried(SubmissionState.SENT, submitted.reply, way.host),
    )  # fmt: skip
    with transaction.atomic():
        to = submission.recipients[: correspondents.MAX_RECIPIENTS]
        correspondents.wrote_to(submission.account, ((email, "", now) for email in to))
        _mark_source(submission)


def _not_sent(submission: Submission, mine: SubmissionQuerySet, error: MailError, host: str) -> None:
    trouble = explain(error, host)
    changes: dict[str, Any] = {
        "trouble": f"{trouble.what} {trouble.advice}", "detail": trouble.detail, "claimed_by": "", "claimed_until": None,
    }  # fmt: skip
    if isinstance(error, DeliveryUncertain):
        changes["state"] = SubmissionState.UNCERTAIN
    elif error.retryable and submission.attempts < MAX_ATTEMPTS:
        changes |= {"state": SubmissionState.WAITING, "not_before": next_try(submission.attempts)}
    else:
        changes["state"] = SubmissionState.REFUSED
    if isinstance(error, RecipientsRefused):
        changes["refused"] = dict(error.refused)
    said = f"{error.code.partition(' ')[0]} {error.detail}".strip() if error.code[:1].isdigit() else error.detail
    changes["tries"] = submission.tried(changes["state"], said, host)
    mine.update(**changes)
    log.info("submission %s: %s (%s)", submission.pk, type(error).__name__, error.detail[:200])
    submission.state = changes["state"]
    changed(submission)


def _broken(submission: Submission, mine: SubmissionQuerySet) -> None:
    words = {
        "trouble": _("An error in Postkasse; the operator finds it in the log."), "claimed_by": "", "claimed_until": None,
    }  # fmt: skip
    mine.filter(state=SubmissionState.CLAIMED).update(state=SubmissionState.REFUSED, **words)
    mine.filter(state=SubmissionState.SENDING).update(state=SubmissionState.UNCERTAIN, **words)
    changed(submission)


def next_try(attempts: int) -> datetime:
    return timezone.now() + timedelta(seconds=WAITS[min(attempts, len(WAITS)) - 1])


@contextlib.contextmanager
def _without_bcc(submission: Submission) -> Iterator[BinaryIO]:
    """The message as recipients get it: the Bcc field belongs to the sender's copy alone (RFC 5322 §3.6.3)."""
    with submission.raw.open("rb") as raw:
        kept, has_bcc = header_without(cast(BinaryIO, raw), b"bcc:")
        if not has_bcc:
            raw.seek(0)
            yield cast(BinaryIO, raw)
            return
        with tempfile.TemporaryFile() as out:
            out.write(kept)
            shutil.copyfileobj(raw, out)
            out.seek(0, io.SEEK_SET)
            yield cast(BinaryIO, out)


def _mark_source(submission: Submission) -> None:
    """The message that was answered or forwarded shows it; a draft of the server's that was sent is gone."""
    draft = submission.draft
    source = draft.source if draft and draft.source_id else None
    if draft is None or source is None or source.mailbox_id is None:
        return
    user = submission.account.user
    if draft.kind == "reply":
        operations.change_keywords(user, [source.pk], add=["$answered"])
    elif draft.kind == "forward":
        operations.change_keywords(user, [source.pk], add=["$forwarded"])
    elif draft.kind == "draft" and source.draft:
        operations.destroy(user, [source.pk])
