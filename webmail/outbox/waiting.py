"""What goes into the outbox and what comes back out of it, and what is due there."""

from __future__ import annotations

import email.utils
import shutil
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import BinaryIO, cast

from django.core.files import File
from django.db import IntegrityError, transaction
from django.db.models import Min, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account, User
from accounts.troubles import explain
from webmail import compose, events, mime, operations
from webmail.leases import is_abandoned
from webmail.models import Draft, FilingState, Submission, SubmissionQuerySet, SubmissionState, forget_file
from webmail.prepared import Integer, Prepared
from webmail.protocols.errors import DeliveryUncertain

REMEMBER = timedelta(days=8)  # how long the id of a sent message is known: longer than its form is (TOKEN_SECONDS)
MAX_FILING_ATTEMPTS = 20
SWEEPS = timedelta(seconds=25)  # a little more than passes between two sweeps


class AlreadySubmitted(Exception):
    """This draft is in the outbox already, or was there."""


# --- putting in and taking out ----------------------------------------------------------------------------------


@transaction.atomic
def submit(user: User, draft: Draft, at: datetime | None = None, notify: bool = False) -> Submission:
    """Put a draft into the outbox, held back for as long as the person may undo, or until a time of their choice.
    ``notify`` asks servers to tell of delivery. Raises compose.Unsendable, AlreadySubmitted, and
    Draft.DoesNotExist if it was discarded."""
    _must_be_new(user, draft)
    people = compose.recipients(draft)
    undo_until = timezone.now() + timedelta(seconds=user.undo_send)
    with tempfile.TemporaryFile() as file:
        size = compose.write(draft, cast(BinaryIO, file))
        limit = compose.size_limit(draft.account)
        if size > limit:
            raise compose.Unsendable({"files": compose.too_large(draft.subject or _("This message"), limit)})
        file.seek(0)
        sender = compose.sender_of(draft)
        submission = Submission(
            account=draft.account, draft=draft, message_id=draft.message_id, subject=draft.subject, sender=sender,
            recipients=list(people.addresses), recipient_count=len(people.addresses), size=size,
            notify=notify or draft.wants_delivery_report, fingerprint=compose.fingerprint(draft),
            not_before=max(at, undo_until) if at else undo_until, send_at=at,
        )  # fmt: skip
        if draft.account.files_sent:
            submission.filing = FilingState.SKIPPED
        if at:
            _save_dated(submission, cast(BinaryIO, file), submission.not_before)
        else:
            submission.raw.save("message", File(file), save=False)
    try:
        with transaction.atomic():
            submission.save()
    except IntegrityError as error:  # the same form twice at once
        forget_file(submission.raw.name)
        raise AlreadySubmitted from error
    transaction.on_commit(lambda: changed(submission))
    return submission


def _must_be_new(user: User, draft: Draft) -> None:
    """While one form is being taken the same one may come in, be sent, filed and let go of with its draft. Of two at once
    the second waits here for the first."""
    Draft.objects.select_for_update().filter(pk=draft.pk).first()
    if submission_of(user, draft.message_id):
        raise AlreadySubmitted
    if not Draft.objects.filter(pk=draft.pk).exists():
        raise Draft.DoesNotExist


def changed(submission: Submission) -> None:
    events.publish(submission.account.user_id, "outbox", id=submission.pk, state=submission.state)


def _save_dated(submission: Submission, raw: BinaryIO, at: datetime) -> None:
    """Store the message with another Date: one that waits is ready to enter the mail system when it may go (RFC 5322
    §3.6.1). The row is not saved."""
    header, _found = header_without(raw, b"date:")
    with tempfile.TemporaryFile() as out:
        out.write(f"Date: {email.utils.format_datetime(timezone.localtime(at))}\r\n".encode() + header)
        shutil.copyfileobj(raw, out)
        submission.size = out.tell()
        out.seek(0)
        submission.raw.save("message", File(out), save=False)


def header_without(raw: BinaryIO, field: bytes) -> tuple[bytes, bool]:
    """The header without one field and its continuation lines, and whether it was there; what is left to read is the body."""
    kept, found, dropping = bytearray(), False, False
    for line in iter(raw.readline, b""):
        if line[:1] not in (b" ", b"\t"):
            dropping = line.lower().startswith(field)
            found = found or dropping
        if not dropping:
            kept += line
        if line in (b"\r\n", b"\n"):
            break
    return bytes(kept), found


@transaction.atomic
def reschedule(submission: Submission, at: datetime) -> bool:
    """Have what still waits go at another time, or now; False if it is on its way already."""
    before, at = submission.raw.name, max(at, timezone.now())
    same = Submission.objects.filter(pk=submission.pk, state=SubmissionState.WAITING, raw=before, sent_at=None)
    if not same.exists():
        return False
    with submission.raw.open("rb") as raw:
        _save_dated(submission, cast(BinaryIO, raw), at)
    submission.not_before = submission.send_at = at
    moved = same.update(
        raw=submission.raw.name, size=submission.size, not_before=at, send_at=at, attempts=0, trouble="", detail=""
    )
    lost = before if moved else submission.raw.name
    transaction.on_commit(lambda: forget_file(lost))
    if moved:
        transaction.on_commit(lambda: changed(submission))
    return bool(moved)


@transaction.atomic
def cancel(submission: Submission) -> Draft | None:
    """Take it back to be edited; None if it is too late. The only states to come back from are those in which nothing
    was handed over, or the server said no. Of what some have got comes back what goes to the others."""
    if submission.draft is None:
        return None  # nothing to come back to: it would be lost
    if draft := _rest(submission):
        return draft
    back = (SubmissionState.WAITING, SubmissionState.REFUSED, SubmissionState.UNCERTAIN)
    mine = Submission.objects.filter(pk=submission.pk, state__in=back, sent_at=None)
    if not mine.update(state=SubmissionState.CANCELED):
        return None
    submission.refresh_from_db()
    draft = submission.draft
    _remove(submission)
    if draft and submission.handed_over:
        # Sent anew after an attempt that may have reached someone: a message of its own, as far as receivers can tell.
        draft.message_id = mime.new_message_id(submission.sender.rpartition("@")[2])
        draft.save(update_fields=["message_id"])
    transaction.on_commit(lambda: events.publish(submission.account.user_id, "outbox"))
    return draft


def _rest(submission: Submission) -> Draft | None:
    """A draft of its own for those who did not get it; the submission is done with, and filed."""
    ended = (SubmissionState.WAITING, SubmissionState.REFUSED, SubmissionState.UNCERTAIN, SubmissionState.SENT)
    partly = Submission.objects.filter(pk=submission.pk, state__in=ended, dismissed=False).exclude(sent_at=None)
    row = partly.select_for_update().first()
    if row is None or not row.missing or row.draft is None:
        return None
    draft = compose.copy_of(row.draft)
    _address(draft, row.missing)
    draft.save(update_fields=["to", "cc", "bcc"])
    partly.update(state=SubmissionState.SENT, dismissed=True, trouble="", detail="")
    let_go(row.account, row.pk)
    transaction.on_commit(lambda: events.publish(row.account.user_id, "outbox"))
    return draft


def _address(draft: Draft, missing: Sequence[str]) -> None:
    """To these of its recipients alone, each in the field it was in: who was in Bcc is not shown to the others."""
    left = {one.casefold() for one in missing}
    for field in ("to", "cc", "bcc"):
        people, _problems = mime.parse_addresses(getattr(draft, field))
        people = [one for one in people if one.email.casefold() in left]
        left -= {one.email.casefold() for one in people}
        setattr(draft, field, ", ".join(map(mime.format_address, people)))
    if left:  # written in another way than they were sent to, as names of domains can be
        draft.bcc = ", ".join(filter(None, [draft.bcc, *sorted(left)]))


def _remove(submission: Submission) -> None:
    name = submission.raw.name
    submission.delete()
    transaction.on_commit(lambda: forget_file(name))


def retry(submission: Submission) -> bool:
    """The person asks for another try of what was refused or waits, or, knowing the risk, of what is uncertain."""
    if submission.is_scheduled:
        return reschedule(submission, timezone.now())
    again = Submission.objects.filter(
        pk=submission.pk, state__in=[SubmissionState.WAITING, SubmissionState.REFUSED, SubmissionState.UNCERTAIN]
    )
    return bool(
        again.update(state=SubmissionState.WAITING, not_before=timezone.now(), attempts=0, trouble="", detail="")
    )


def settle_as_sent(submission: Submission) -> bool:
    """The person knows that an uncertain one arrived: file it and let go."""
    uncertain = Submission.objects.filter(pk=submission.pk, state=SubmissionState.UNCERTAIN)
    return bool(
        uncertain.update(state=SubmissionState.SENT, sent_at=timezone.now(), trouble="", detail="", dismissed=True)
    )


def dismiss(submission: Submission) -> None:
    """The person has read which recipients were refused; the rest was delivered."""
    Submission.objects.filter(pk=submission.pk).update(dismissed=True)
    let_go(submission.account, submission.pk)


@transaction.atomic
def let_go(account: Account, *numbers: int) -> None:
    """Sent, filed and seen: the copy in Sent is the record now. The rows stay for a while without their messages, so that
    the same form coming in once more is known for what it is."""
    done = Submission.objects.filter(account=account, pk__in=numbers, state=SubmissionState.SENT)
    done = done.exclude(filing=FilingState.PENDING).exclude(raw="").order_by("pk")
    found = list(done.select_for_update().values_list("pk", "raw", "draft_id"))
    Submission.objects.filter(pk__in=[pk for pk, _name, _draft in found]).update(raw="", draft=None)
    for _pk, name, _draft in found:
        transaction.on_commit(partial(forget_file, name))
    drafts = [draft for _pk, _name, draft in found if draft]
    if drafts:
        operations.discard_drafts(account, drafts)


# --- what is due ------------------------------------------------------------------------------------------------


def to_send() -> SubmissionQuerySet:
    return Submission.objects.filter(state=SubmissionState.WAITING, not_before__lte=timezone.now())


def to_file() -> SubmissionQuerySet:
    """What was sent and is to be filed, or was filed by somebody who died before they let go of it."""
    filing = Q(
        filing=FilingState.PENDING, claimed_by="", not_before__lte=timezone.now(), filing_attempts__lt=MAX_FILING_ATTEMPTS
    )  # fmt: skip
    filed = ~Q(filing=FilingState.PENDING) & (Q(refused={}) | Q(dismissed=True))
    return Submission.objects.filter(filing | filed, state=SubmissionState.SENT).exclude(raw="")


def due() -> list[int]:
    """One submission of each account that has something to do now: who does that goes on with the others."""
    found: dict[int, int] = {}
    for some in (to_file(), to_send()):
        by_account = some.filter(account__needs_user=False).order_by().values("account_id")
        found |= dict(by_account.annotate(first=Min("pk")).values_list("account_id", "first"))
    return list(found.values())


def soon() -> list[tuple[int, float]]:
    """What becomes due before the next sweep, with the seconds until then: at its time, not somewhere behind it."""
    now = timezone.now()
    coming = Submission.objects.filter(
        state=SubmissionState.WAITING, not_before__gt=now, not_before__lte=now + SWEEPS, account__needs_user=False
    )
    return [
        (pk, (at - now).total_seconds())
        for pk, at in coming.order_by("not_before").values_list("pk", "not_before")[:1000]
    ]


def recover() -> None:
    """Look after submissions whose worker is gone: untouched ones wait again, one being handed over is uncertain."""
    under_way = Q(state__in=[SubmissionState.CLAIMED, SubmissionState.SENDING])
    filing = Q(state=SubmissionState.SENT, filing=FilingState.PENDING) & ~Q(claimed_by="")
    for submission in Submission.objects.filter(under_way | filing).select_related("account"):
        if not is_abandoned(submission.claimed_by, submission.claimed_until):
            continue
        same = Submission.objects.filter(pk=submission.pk, state=submission.state, claimed_by=submission.claimed_by)
        if submission.state == SubmissionState.SENT:
            same.update(claimed_by="", claimed_until=None)
        elif submission.state == SubmissionState.CLAIMED:
            same.update(
                state=SubmissionState.WAITING, claimed_by="", claimed_until=None, attempts=submission.attempts + 1
            )
        else:
            trouble = explain(DeliveryUncertain(), submission.account.label)
            tries = submission.tried(SubmissionState.UNCERTAIN, "", submission.account.label)
            words = {"trouble": f"{trouble.what} {trouble.advice}", "tries": tries}
            same.update(state=SubmissionState.UNCERTAIN, claimed_by="", claimed_until=None, **words)
        changed(submission)


def forget_old() -> None:
    """Ids of what was sent long ago need not be known any more."""
    Submission.objects.filter(raw="", sent_at__lt=timezone.now() - REMEMBER).delete()


def submission_of(user: User, message_id: str) -> Submission | None:
    """By which this very message left, or is to leave."""
    mine = Submission.objects.for_user(user).exclude(state=SubmissionState.CANCELED)
    return mine.filter(message_id=message_id).first()


_in_outbox = Prepared(
    lambda user: Submission.objects.filter(account__user_id=user).in_outbox().only("state", "refused", "dismissed"),
    Integer,
)


def attention(user: User) -> tuple[int, int]:
    """How many are in the outbox, and how many of those need the person."""
    open_ = _in_outbox(user.pk)
    return len(open_), sum(submission.needs_person for submission in open_)
