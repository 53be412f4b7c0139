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
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, BinaryIO, cast

from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.troubles import explain
from webmail import correspondents, events, operations
from webmail.leases import Lost, lease
from webmail.models import Submission, SubmissionState
from webmail.outbox import filing, rates
from webmail.outbox.jobs import Job, claim, give_back
from webmail.outbox.line import Line, Way
from webmail.outbox.waiting import changed, header_without, to_file, to_send
from webmail.protocols.base import Envelope, Submitted
from webmail.protocols.errors import DeliveryUncertain, MailError, RecipientsRefused, TooLarge, Unavailable

log = logging.getLogger(__name__)
SENDING_CLAIM = timedelta(hours=6)  # after this one of another machine is abandoned: a slow line takes its time
CLAIMED, SENDING = SubmissionState.CLAIMED, SubmissionState.SENDING
WAITS = (30, 60, 120, 300, 900, 1800, 3600)  # seconds between attempts; the last one repeats
MAX_ATTEMPTS = 80  # some three days
TURN = 30.0  # seconds of sending, and of filing, until others have their turn
FILED_AT_ONCE = 500
MOST_AT_ONCE = 250
SMALL = 256 * 1024  # octets of a message
MOMENT = 0.5  # seconds
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
    with Line(account) as line:
        _send_all(line, account)
    filing.file_all(account, list(to_file().filter(account=account).order_by("sent_at")[:FILED_AT_ONCE]))
    events.publish(account.user_id, "outbox")


def _send_all(line: Line, account: Account) -> None:
    """For as long as a turn is. As many are claimed at once as go out in a moment: what is claimed cannot be taken back."""
    until, at_once, told = time.monotonic() + TURN, 1, time.monotonic()
    while time.monotonic() < until and (jobs := claim(account, at_once)):
        began, written = time.monotonic(), dict[str, datetime]()
        last, ahead = Once(), Ahead(jobs)
        try:
            while jobs and time.monotonic() < until:
                job = jobs.pop(0)
                sent = _send(line, job, last, ahead)
                last.do()  # if the server was never asked
                if sent:
                    last = sent
                    written |= dict.fromkeys(job.row.recipients[: correspondents.MAX_RECIPIENTS], timezone.now())
        finally:
            last.do()
            give_back(jobs)
            correspondents.wrote_to(account, ((email, "", at) for email, at in written.items()))
        took = time.monotonic() - began
        if took < MOMENT / 5:
            at_once = min(MOST_AT_ONCE, at_once * 4)
        elif took > MOMENT:
            at_once = max(1, at_once // 2)
        if time.monotonic() - told > TELL_SECONDS:
            events.publish(account.user_id, "outbox")
            told = time.monotonic()


class Once:
    """Something to be done, soon, and once."""

    def __init__(self, what: Callable[[], None] | None = None) -> None:
        self._what = what

    def do(self) -> None:
        what, self._what = self._what, None
        if what:
            what()


class Ahead:
    """The next message, read while the server takes in the one before it."""

    def __init__(self, jobs: list[Job]) -> None:
        self._jobs = jobs
        self._row: Submission | None = None
        self._message = b""

    def read(self) -> None:
        """What cannot be read now is read again in its turn, where that is told."""
        self._row = None
        if self._jobs and (row := self._jobs[0].row).size <= SMALL:
            with contextlib.suppress(OSError), _without_bcc(row) as message:
                self._row, self._message = row, message.read()

    @contextlib.contextmanager
    def message(self, row: Submission) -> Iterator[BinaryIO]:
        if self._row is row:
            yield io.BytesIO(self._message)
            return
        with _without_bcc(row) as message:
            yield message


def _send(line: Line, job: Job, last: Once, ahead: Ahead) -> Once | None:
    """If it was sent, the writing down of that, which is done while the server thinks about the envelope of the next: as
    is ``last`` here."""
    held = rates.held(job.row)
    if held:  # over the rate, it waits, which is no attempt
        job.done(CLAIMED, SubmissionState.WAITING, not_before=held.until, trouble=held.why, detail="")
        changed(job.row)
        return None
    try:
        submitted, way = _hand_over(line, job, last, ahead)
    except Lost:
        return None  # taken from us while we connected; nothing was handed over
    except MailError as error:
        _not_sent(job, error, line.host)
        return None
    except Exception:  # ours, not the server's: the person decides, as after a crash
        log.exception("submission %s", job.row.pk)
        words = {"trouble": _("An error in Postkasse; the operator finds it in the log.")}
        state = SubmissionState.UNCERTAIN if job.row.state == SENDING else SubmissionState.REFUSED
        job.done(SubmissionState(job.row.state), state, **words)
        changed(job.row)
        return None
    return Once(partial(_sent, job, submitted, way, timezone.now()))


def _hand_over(line: Line, job: Job, last: Once, ahead: Ahead) -> tuple[Submitted, Way]:
    """Raises MailError, and Lost before anything left."""
    row = job.row
    envelope = Envelope(row.sender, tuple(row.recipients), row.message_id, notify=row.notify)
    way = line.way(row.sender)
    limit = way.transport.max_size
    if limit and row.size > limit:
        raise TooLarge(_("%(host)s takes at most %(limit)d octets.") % {"host": way.host, "limit": limit})
    with ahead.message(row) as message:
        return line.submit(envelope, message, lambda: _begin(job), last.do, ahead.read)


def _begin(job: Job) -> None:
    """Committed before the server can have all of the message; from here on a crash leaves it uncertain. Raises Lost."""
    now = timezone.now()
    if not job.change(CLAIMED, state=SENDING, handed_over=True, begun_at=now, claimed_until=now + SENDING_CLAIM):
        raise Lost


def _sent(job: Job, submitted: Submitted, way: Way, at: datetime) -> None:
    row = job.row
    first, changes = row.sent_at is None, _left(row, submitted.refused, submitted.later)
    state = SubmissionState(changes.pop("state", SubmissionState.SENT))
    said = next(iter(submitted.later.values()), submitted.reply)
    if state == SubmissionState.WAITING:
        changes["trouble"] = _busy(way.host)
    job.done(
        SENDING, state, sent_at=row.sent_at or at, attempts=row.attempts + 1, relayed=way.relayed, detail=said[:500],
        tries=row.tried(state, said, way.host), **{"trouble": "", **changes},
    )  # fmt: skip
    if submitted.later:
        changed(row)
    if first and row.source:  # type: ignore[attr-defined]
        _mark_source(row)


def _left(row: Submission, refused: Mapping[str, str], later: Mapping[str, str]) -> dict[str, Any]:
    """What a try that some recipients were not accepted in makes of the row: those of ``later`` are the ones to be tried
    again, and nobody else, until that has been done as often as anything is."""
    left = [one for one in row.recipients if one in later]
    if left and row.attempts + 1 < MAX_ATTEMPTS:
        again = next_try(row.attempts + 1)
        return {
            "state": SubmissionState.WAITING, "recipients": left, "not_before": again, "refused": {**row.refused, **refused}
        }  # fmt: skip
    return {"refused": {**row.refused, **refused, **later}}


def _not_sent(job: Job, error: MailError, host: str) -> None:
    row = job.row
    trouble = explain(error, host)
    attempts = row.attempts + 1
    changes: dict[str, Any] = {
        "trouble": f"{trouble.what} {trouble.advice}", "detail": trouble.detail, "attempts": attempts
    }  # fmt: skip
    state = SubmissionState.REFUSED
    if isinstance(error, DeliveryUncertain):
        state = SubmissionState.UNCERTAIN
    elif error.retryable and attempts < MAX_ATTEMPTS:
        state = SubmissionState.WAITING
        changes["not_before"] = next_try(attempts)
    code = error.code.partition(" ")[0]
    said = f"{code} {error.detail}" if code.isdigit() else error.detail
    if isinstance(error, RecipientsRefused):
        later = {one: words for one, words in error.refused.items() if words.startswith("4")}
        changes |= _left(row, {one: words for one, words in error.refused.items() if one not in later}, later)
        state = changes.pop("state", state)
        if state == SubmissionState.WAITING:
            changes["trouble"] = _busy(host)
    if state == SubmissionState.REFUSED:
        refused = changes.get("refused", row.refused)
        if row.sent_at:  # others have it: that it went out is what there is to say, and for whom it did not
            state, changes["refused"] = SubmissionState.SENT, {**dict.fromkeys(row.recipients, said), **refused}
        elif refused:  # nobody has it: what is done with it next concerns all of them
            changes["recipients"] = list(dict.fromkeys([*row.recipients, *refused]))
    job.done(SubmissionState(row.state), state, **changes, tries=row.tried(state, said, host))
    log.info("submission %s: %s (%s)", row.pk, type(error).__name__, error.detail[:200])
    changed(row)


def _busy(host: str) -> str:
    trouble = explain(Unavailable(), host)
    return f"{trouble.what} {trouble.advice}"


def next_try(attempts: int) -> datetime:
    return timezone.now() + timedelta(seconds=WAITS[min(attempts, len(WAITS)) - 1])


def _opened(submission: Submission) -> BinaryIO:
    """A small one is read at once: it is gone through three times."""
    raw = cast(BinaryIO, submission.raw.storage.open(submission.raw.name or "", "rb"))
    if submission.size > SMALL:
        return raw
    with raw:
        return io.BytesIO(raw.read())


@contextlib.contextmanager
def _without_bcc(submission: Submission) -> Iterator[BinaryIO]:
    """The message as recipients get it: the Bcc field belongs to the sender's copy alone (RFC 5322 §3.6.3)."""
    with _opened(submission) as raw:
        kept, has_bcc = header_without(raw, b"bcc:")
        if not has_bcc:
            raw.seek(0)
            yield raw
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
