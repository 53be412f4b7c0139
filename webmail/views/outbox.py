"""The outbox: what waits, what is on its way, what needs the person, each with a way on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail import invitations, operations, outbox, tasks
from webmail.models import Mailbox, Submission, SubmissionState
from webmail.views import navigation
from webmail.views.redirection import SeeOther, back, notice, problem

TIME = "%Y-%m-%dT%H:%M"  # as a field for day and time has it
FURTHEST = timedelta(days=366)
MOST_LOOKED_INTO = 10


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    jobs = list(Submission.objects.for_user(request.user).in_outbox().select_related("account__user", "draft")[:200])
    scheduled = sorted((job for job in jobs if job.is_scheduled), key=lambda job: job.not_before)
    context = {
        **navigation.context(request, "outbox"),
        "needy": _told(job for job in jobs if job.needs_person),
        "moving": _told(job for job in jobs if not job.needs_person and not job.is_scheduled),
        "scheduled": _told(scheduled),
        "earliest": timezone.localtime().strftime(TIME),
        "sent_urls": _sent_urls(request),
        "here": request.get_full_path(),
    }
    return render(request, "webmail/outbox.html", context)


def _told(jobs: Iterable[Submission]) -> list[tuple[Submission, list[dict[str, Any]], outbox.Evidence | None]]:
    """With what was tried, and what helps to decide about those that nobody can be sure of."""
    left = MOST_LOOKED_INTO
    told = []
    for job in jobs:
        unsure = job.state == SubmissionState.UNCERTAIN and left > 0
        left -= unsure
        told.append((job, _tries(job), outbox.evidence(job) if unsure else None))
    return told


def _tries(job: Submission) -> list[dict[str, Any]]:
    """What happened so far, the latest first."""
    return [
        {**one, "at": datetime.fromisoformat(one["at"]), "how": SubmissionState(one["how"]).label}
        for one in reversed(job.tries)
    ]


def _sent_urls(request: Request) -> dict[int, str]:
    """Where each account's copies are filed."""
    sent = Mailbox.objects.for_user(request.user).filter(role="sent").values_list("account_id", "pk")
    return {account_id: reverse("folder", args=[pk]) for account_id, pk in sent}


def _own(request: Request, pk: int) -> Submission:
    return get_object_or_404(Submission.objects.for_user(request.user).select_related("account", "draft"), pk=pk)


@require_POST
@login_required
def cancel(request: Request, pk: int) -> HttpResponse:
    """Take it back into the composer: undo send, and editing what was refused."""
    submission = _own(request, pk)
    unsure = submission.state == SubmissionState.UNCERTAIN
    draft = invitations.take_back(submission)
    if draft is None:
        problem(request, _("It is too late: the message is on its way."))
        return back(request, reverse("outbox"))
    if draft.kind == outbox.compose.ANSWER:  # nothing to edit: one answers anew where the invitation is
        said = _("The answer may have been sent. Answer anew to be sure.") if unsure else _("The answer was not sent.")
        notice(request, said)
        return SeeOther(reverse("message", args=[draft.source_id]) if draft.source_id else reverse("outbox"))
    if request.POST.get("do") == "discard":
        operations.discard_draft(draft)
        notice(request, _("Message discarded."))
        return back(request, reverse("outbox"))
    if submission.missing:
        notice(request, _("This goes to those who did not get it. The others have it."))
    else:
        notice(request, _("Not sent. Here it is to be changed."))
    return SeeOther(reverse("draft", args=[draft.pk]))


@require_POST
@login_required
def retry(request: Request, pk: int) -> HttpResponse:
    submission = _own(request, pk)
    if outbox.retry(submission):
        tasks.nudge_send(submission.pk)
        notice(request, _("Trying now."))
    else:
        problem(request, _("It is on its way already."))
    return back(request, reverse("outbox"))


@require_POST
@login_required
def reschedule(request: Request, pk: int) -> HttpResponse:
    """Another time for what still waits, in the person's time zone."""
    submission = _own(request, pk)
    try:
        chosen = timezone.make_aware(datetime.strptime(request.POST.get("at", "")[:16], TIME))
    except (ValueError, OverflowError):
        problem(request, _("Choose a day and a time."))
        return back(request, reverse("outbox"))
    now = timezone.now()
    if chosen < now or chosen > now + FURTHEST:
        problem(request, _("Choose a time within the next year."))
    elif outbox.reschedule(submission, chosen):
        notice(request, _("It will be sent then."))
    else:
        problem(request, _("It is on its way already."))
    return back(request, reverse("outbox"))


@require_POST
@login_required
def settle(request: Request, pk: int) -> HttpResponse:
    """The person knows that it arrived."""
    submission = _own(request, pk)
    if outbox.settle_as_sent(submission):
        tasks.nudge_send(submission.pk)
        notice(request, _("Marked as sent."))
    return back(request, reverse("outbox"))


@require_POST
@login_required
def dismiss(request: Request, pk: int) -> HttpResponse:
    outbox.dismiss(_own(request, pk))
    return back(request, reverse("outbox"))
