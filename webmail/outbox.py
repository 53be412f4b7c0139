"""The way out: a draft becomes a submission row, a worker hands it to the server once, a copy is filed in Sent.

Sending is the one step that cannot be repeated (see models.Submission for the states). The claim is a conditional
update; the state *sending* is committed before the first octet of the message leaves, so that a crash tells afterwards
whether anything may have gone out.
"""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import IO, Any, BinaryIO, cast

from django.core.files import File
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account, User
from accounts.troubles import explain
from webmail import compose, connections, correspondents, events, mime, operations, sync
from webmail.leases import Lost, is_abandoned, new_claim
from webmail.models import Draft, FilingState, Message, Submission, SubmissionQuerySet, SubmissionState, forget_file
from webmail.prepared import Integer, Prepared
from webmail.protocols.base import Capability, Condition, Envelope, MailStore
from webmail.protocols.errors import DeliveryUncertain, MailError, RecipientsRefused, Refused, TooLarge, Unavailable

log = logging.getLogger(__name__)
CLAIM = timedelta(minutes=30)  # after this a claim of another machine counts as abandoned …
REMEMBER = timedelta(days=2)  # how long the id of a sent message is known
SENDING = timedelta(hours=6)  # … and after this one that was handing a message over: a slow line takes its time
MAX_ATTEMPTS = 15
MAX_FILING_ATTEMPTS = 20
WAITS = (30, 60, 120, 300, 900, 1800, 3600)  # seconds between attempts; the last one repeats


class AlreadySubmitted(Exception):
    """This draft is in the outbox already."""


# --- putting in and taking out ----------------------------------------------------------------------------------


@transaction.atomic
def submit(user: User, draft: Draft, at: datetime | None = None) -> Submission:
    """Put a draft into the outbox, held back for as long as the person may undo. Raises compose.Unsendable."""
    people = compose.recipients(draft)
    with tempfile.TemporaryFile() as file:
        size = compose.write(draft, cast(BinaryIO, file))
        limit = compose.size_limit(draft.account)
        if size > limit:
            raise compose.Unsendable({"files": compose.too_large(draft.subject or _("This message"), limit)})
        file.seek(0)
        sender = compose.sender_of(draft)
        submission = Submission(
            account=draft.account, draft=draft, message_id=draft.message_id, subject=draft.subject, sender=sender,
            recipients=list(people.addresses), size=size, not_before=at or timezone.now() + timedelta(seconds=user.undo_send),
        )  # fmt: skip
        if draft.account.files_sent:
            submission.filing = FilingState.SKIPPED
        submission.raw.save("message", File(file), save=False)
    try:
        with transaction.atomic():
            submission.save()
    except IntegrityError as error:  # the same form twice at once
        forget_file(submission.raw.name)
        raise AlreadySubmitted from error
    transaction.on_commit(lambda: _changed(submission))
    return submission


def _changed(submission: Submission) -> None:
    events.publish(submission.account.user_id, "outbox", id=submission.pk, state=submission.state)


@transaction.atomic
def cancel(submission: Submission) -> Draft | None:
    """Take it back to be edited; None if it is too late. The only states to come back from are those in which nothing
    was handed over, or the server said no."""
    if submission.draft is None:
        return None  # nothing to come back to: it would be lost
    back = (SubmissionState.WAITING, SubmissionState.REFUSED, SubmissionState.UNCERTAIN)
    mine = Submission.objects.filter(pk=submission.pk, state__in=back)
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


def _remove(submission: Submission) -> None:
    name = submission.raw.name
    submission.delete()
    transaction.on_commit(lambda: forget_file(name))


def retry(submission: Submission) -> bool:
    """The person asks for another try of what was refused or waits, or, knowing the risk, of what is uncertain."""
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
    _let_go(submission)


# --- sending ----------------------------------------------------------------------------------------------------


def due() -> list[int]:
    waiting = Submission.objects.filter(
        state=SubmissionState.WAITING, not_before__lte=timezone.now(), account__needs_user=False
    )
    filing = Submission.objects.filter(
        state=SubmissionState.SENT,
        filing=FilingState.PENDING,
        not_before__lte=timezone.now(),
        filing_attempts__lt=MAX_FILING_ATTEMPTS,
        account__needs_user=False,
    )
    return [*waiting.order_by("id").values_list("pk", flat=True)[:100], *filing.values_list("pk", flat=True)[:100]]


def next_due() -> datetime | None:
    """When the earliest waiting submission may go."""
    return (
        Submission.objects.filter(state=SubmissionState.WAITING)
        .order_by("not_before")
        .values_list("not_before", flat=True)
        .first()
    )


def recover() -> None:
    """Look after submissions whose worker is gone: untouched ones wait again, one being handed over is uncertain."""
    under_way = Submission.objects.filter(state__in=[SubmissionState.CLAIMED, SubmissionState.SENDING])
    for submission in under_way.select_related("account"):
        if not is_abandoned(submission.claimed_by, submission.claimed_until):
            continue
        same = Submission.objects.filter(pk=submission.pk, state=submission.state, claimed_by=submission.claimed_by)
        if submission.state == SubmissionState.CLAIMED:
            same.update(state=SubmissionState.WAITING, claimed_by="", claimed_until=None)
        else:
            trouble = explain(DeliveryUncertain(), submission.account.label)
            same.update(state=SubmissionState.UNCERTAIN, trouble=f"{trouble.what} {trouble.advice}", claimed_by="")
        _changed(submission)


def process(submission_id: int) -> None:
    """Send it if it waits, then file it if it is sent. Safe to call any number of times, from anywhere."""
    submission = Submission.objects.select_related("account", "draft").filter(pk=submission_id).first()
    if submission is None:
        return
    if submission.state == SubmissionState.WAITING:
        mine = _claim(submission)
        if mine is not None:
            _send(submission, mine)
            submission.refresh_from_db()
            _changed(submission)
    if submission.state == SubmissionState.SENT:
        _file(submission)


def _claim(submission: Submission) -> SubmissionQuerySet | None:
    """The row as ours alone, or None; every later change goes through it, so that a claim that was lost changes nothing."""
    now, claim = timezone.now(), new_claim()
    free = Submission.objects.filter(pk=submission.pk, state=SubmissionState.WAITING, not_before__lte=now)
    submission.attempts += 1
    claimed = free.update(
        state=SubmissionState.CLAIMED, claimed_by=claim, claimed_until=now + CLAIM, attempts=submission.attempts
    )
    return Submission.objects.filter(pk=submission.pk, claimed_by=claim) if claimed else None


def _send(submission: Submission, mine: SubmissionQuerySet) -> None:
    account = submission.account
    host = account.outgoing.partition("://")[2].rpartition(":")[0] or account.label
    try:
        if not account.outgoing:
            raise Refused(_("No server for outgoing mail is set up for this account."))
        with account.open_transport() as transport, _without_bcc(submission) as message:
            if transport.max_size and submission.size > transport.max_size:
                raise TooLarge(
                    _("%(host)s takes at most %(limit)d octets.") % {"host": host, "limit": transport.max_size}
                )
            envelope = Envelope(submission.sender, tuple(submission.recipients), submission.message_id)
            submitted = transport.submit(envelope, message, lambda: _begin(mine))
    except Lost:
        return  # taken from us while we connected; nothing was handed over
    except MailError as error:
        _not_sent(submission, mine, error, host)
        return
    except Exception:  # ours, not the server's: the person decides, as after a crash
        log.exception("submission %s", submission.pk)
        words = {
            "trouble": _("An error in Postkasse; the operator finds it in the log."),
            "claimed_by": "",
            "claimed_until": None,
        }
        mine.filter(state=SubmissionState.CLAIMED).update(state=SubmissionState.REFUSED, **words)
        mine.filter(state=SubmissionState.SENDING).update(state=SubmissionState.UNCERTAIN, **words)
        return
    mine.update(
        state=SubmissionState.SENT, sent_at=timezone.now(), refused=dict(submitted.refused), trouble="",
        detail=submitted.reply[:500], claimed_by="", claimed_until=None,
    )  # fmt: skip
    to = submission.recipients[: correspondents.MAX_RECIPIENTS]
    correspondents.wrote_to(submission.account, ((email, "", timezone.now()) for email in to))
    _mark_source(submission)


def _begin(mine: SubmissionQuerySet) -> None:
    """Committed before the first octet of the message leaves; from here on a crash leaves it uncertain. Raises Lost."""
    waiting = mine.filter(state=SubmissionState.CLAIMED)
    if not waiting.update(state=SubmissionState.SENDING, handed_over=True, claimed_until=timezone.now() + SENDING):
        raise Lost


def _not_sent(submission: Submission, mine: SubmissionQuerySet, error: MailError, host: str) -> None:
    trouble = explain(error, host)
    changes: dict[str, Any] = {
        "trouble": f"{trouble.what} {trouble.advice}", "detail": trouble.detail, "claimed_by": "", "claimed_until": None,
    }  # fmt: skip
    if isinstance(error, DeliveryUncertain):
        changes["state"] = SubmissionState.UNCERTAIN
    elif error.retryable and submission.attempts < MAX_ATTEMPTS:
        wait = WAITS[min(submission.attempts, len(WAITS)) - 1]
        changes |= {"state": SubmissionState.WAITING, "not_before": timezone.now() + timedelta(seconds=wait)}
    else:
        changes["state"] = SubmissionState.REFUSED
    if isinstance(error, RecipientsRefused):
        changes["refused"] = dict(error.refused)
    mine.update(**changes)
    log.info("submission %s: %s (%s)", submission.pk, type(error).__name__, error.detail[:200])


def _without_bcc(submission: Submission) -> BinaryIO:
    """The message as recipients get it: the Bcc field belongs to the sender's copy alone (RFC 5322 §3.6.3)."""
    out = tempfile.TemporaryFile()  # noqa: SIM115  (the caller's with closes it)
    with submission.raw.open("rb") as raw:
        _copy_without(raw, out, b"bcc:")
    out.seek(0, io.SEEK_SET)
    return cast(BinaryIO, out)


def _copy_without(raw: Iterable[bytes], out: IO[bytes], field: bytes) -> None:
    """Copy line by line, leaving one header field out with its continuation lines, however long the header is."""
    in_header, dropping = True, False
    for line in raw:
        if in_header:
            in_header = line not in (b"\r\n", b"\n")
            if line[:1] not in (b" ", b"\t"):
                dropping = in_header and line.lower().startswith(field)
        if not dropping:
            out.write(line)


def _mark_source(submission: Submission) -> None:
    """The message that was answered or forwarded shows it; a draft of the server's that was sent is gone."""
    draft = submission.draft
    source = draft.source if draft else None
    if draft is None or source is None or source.mailbox_id is None:
        return
    user = submission.account.user
    if draft.kind == "reply":
        operations.change_keywords(user, [source.pk], add=["$answered"])
    elif draft.kind == "forward":
        operations.change_keywords(user, [source.pk], add=["$forwarded"])
    elif draft.kind == "draft" and source.draft:
        operations.destroy(user, [source.pk])


# --- filing -----------------------------------------------------------------------------------------------------


def _file(submission: Submission) -> None:
    """Put a copy into Sent; retried by itself, because a copy too many can be seen and a copy too few cannot."""
    if submission.filing == FilingState.PENDING:
        mine = _claim_filing(submission)
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
            return
        mine.update(filing=FilingState.FILED, claimed_by="", claimed_until=None)
    submission.refresh_from_db()
    _changed(submission)
    if not submission.needs_person:
        _let_go(submission)


def _claim_filing(submission: Submission) -> SubmissionQuerySet | None:
    """As _claim: two workers filing at once would file two copies."""
    if submission.claimed_by and not is_abandoned(submission.claimed_by, submission.claimed_until):
        return None
    free = Submission.objects.filter(
        pk=submission.pk, state=SubmissionState.SENT, filing=FilingState.PENDING, claimed_by=submission.claimed_by
    )
    claim = new_claim()
    submission.filing_attempts += 1
    claimed = free.update(
        claimed_by=claim, claimed_until=timezone.now() + SENDING, filing_attempts=submission.filing_attempts
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
            if submission.filing_attempts <= 1 or not _filed_already(store, name, submission.message_id):
                store.append(name, cast(BinaryIO, raw), ["$seen"], submission.sent_at)


def _filed_already(store: MailStore, name: str, message_id: str) -> bool:
    return Capability.SEARCH in store.capabilities and bool(store.search(name, Condition(message_id=message_id)))


@transaction.atomic
def _let_go(submission: Submission) -> None:
    """Sent, filed and seen: the copy in Sent is the record now. The row stays for a while without its message, so that
    the same form coming in once more is known for what it is."""
    done = Submission.objects.filter(pk=submission.pk, state=SubmissionState.SENT).exclude(filing=FilingState.PENDING)
    name, draft = submission.raw.name, submission.draft
    if not done.update(raw="", draft=None):
        return
    transaction.on_commit(lambda: forget_file(name))
    if draft:
        operations.discard_draft(draft)


def forget_old() -> None:
    """Ids of what was sent long ago need not be known any more."""
    Submission.objects.filter(raw="", sent_at__lt=timezone.now() - REMEMBER).delete()


def sent_before(user: User, message_id: str) -> bool:
    """True if this very message was submitted already."""
    return (
        Submission.objects.for_user(user).filter(message_id=message_id).exclude(state=SubmissionState.CANCELED).exists()
    )


_in_outbox = Prepared(
    lambda user: Submission.objects.filter(account__user_id=user).in_outbox().only("state", "refused", "dismissed"),
    Integer,
)


def attention(user: User) -> tuple[int, int]:
    """How many are in the outbox, and how many of those need the person."""
    open_ = _in_outbox(user.pk)
    return len(open_), sum(submission.needs_person for submission in open_)
