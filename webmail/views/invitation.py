"""An invitation on the page of a message, and answering it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_POST

from accounts.models import Identity
from accounts.requests import Request
from webmail import bodies, compose, html, invitations, mime, notices, tasks
from webmail.models import Answer, Message, Participation, SubmissionState
from webmail.protocols.errors import MailError
from webmail.views import eventtimes, listing
from webmail.views.redirection import back, notice, problem
from webmail.views.trouble import unreadable

ANSWERABLE = ("REQUEST", "ADD")
SHOWN_EVENTS = 20  # beside the first
STATES = {
    "ACCEPTED": gettext_lazy("accepted"),
    "DECLINED": gettext_lazy("declined"),
    "TENTATIVE": gettext_lazy("may come"),
    "DELEGATED": gettext_lazy("sends somebody else"),
    "NEEDS-ACTION": gettext_lazy("has not answered"),
}
ICONS = {"ACCEPTED": "check", "DECLINED": "x", "TENTATIVE": "question", "DELEGATED": "right", "NEEDS-ACTION": "clock"}


@dataclass(slots=True)
class Invitation:
    """What the template prints. ``notes`` are (grade, words, url); ``reason`` says why it cannot be answered."""

    event: mime.Event
    label: str
    title: str
    times: list[str]
    leaf: tuple[str, str, str] | None
    repeats: str
    exceptions: str
    text: str
    guests: list[tuple[mime.Guest, str, str]]
    more_guests: int
    file: str
    others: list[tuple[str, str]]
    notes: list[tuple[str, str, str]] = field(default_factory=list)
    reason: str = ""
    answerable: bool = False
    canceled: bool = False
    answer: Answer | None = None
    number: int = 0
    attendee: str = ""
    identities: Sequence[Identity] = ()


def invitation_of(request: Request, message: Message, facts: dict[str, Any]) -> Invitation | None:
    calendar = notices.calendar_of(facts)
    if calendar is None:
        return None
    event = notices.main_event(calendar)
    found = Invitation(
        event=event,
        label=_label(calendar.method),
        title=event.title or message.subject or _("(no title)"),
        times=eventtimes.lines(event),
        leaf=_leaf(event),
        repeats=eventtimes.repeats(event),
        exceptions=eventtimes.exceptions(event),
        text=html.text_markup(event.text) if event.text else "",
        guests=[(guest, str(STATES[guest.state]), ICONS[guest.state]) for guest in event.attendees],
        more_guests=event.invited - len(event.attendees),
        file=reverse("part", args=[message.pk, facts["calendar"]["part"]]),
        others=[_other(one) for one in calendar.events if one is not event][:SHOWN_EVENTS],
    )
    _tell_standing(found, message, calendar.method)
    _tell_people(found, message, calendar.method)
    if calendar.method in ANSWERABLE and not found.canceled:
        _tell_answer(request, found, message)
    return found


def _label(method: str) -> str:
    labels = {
        "REQUEST": _("Invitation"), "ADD": _("Another date of a series"), "CANCEL": _("Cancellation"), "REPLY": _("Answer"),
        "COUNTER": _("Proposal of another time"), "DECLINECOUNTER": _("Proposal turned down"), "REFRESH": _("Question"),
    }  # fmt: skip
    return labels.get(method, _("Event"))


def _leaf(event: mime.Event) -> tuple[str, str, str] | None:
    """Month, day and weekday, as a calendar's leaf has them."""
    start: date | None = eventtimes.local(event.start)
    return (date_format(start, "M"), date_format(start, "j"), date_format(start, "D")) if start else None


def _other(event: mime.Event) -> tuple[str, str]:
    when = eventtimes.lines(event)
    return event.title or _("(no title)"), when[0] if when else ""


def _tell_standing(found: Invitation, message: Message, method: str) -> None:
    """What this and other messages of the account say of the event."""
    event = found.event
    standing = notices.standing(message, event) if event.uid and method in notices.OF_ORGANIZER else notices.Standing()
    url = reverse("message", args=[standing.newer]) if standing.newer else ""
    if method == "CANCEL":
        found.canceled = True
        if event.occurrence.wall:
            found.notes.append(("danger", _("This date of the series is called off."), ""))
        else:
            found.notes.append(("danger", _("This event is called off."), ""))
    elif standing.canceled:
        found.canceled = True
        found.notes.append(("danger", _("This event was called off by a later message."), url))
    elif event.status == "CANCELLED":
        found.canceled = True
        found.notes.append(("danger", _("This event is called off."), ""))
    elif standing.newer:
        found.notes.append(("warn", _("This is out of date: a later message changes it."), url))
        found.reason = _("Answer the later message.")
    if standing.moved_from and not found.canceled:
        before = eventtimes.told(standing.moved_from)
        found.notes.append(("", _("Moved. Before, it was %(when)s.") % {"when": before}, ""))


def _tell_people(found: Invitation, message: Message, method: str) -> None:
    event, sender = found.event, message.from_email.lower()
    if method in ("REPLY", "COUNTER", "REFRESH"):
        for guest in event.attendees[:5]:
            found.notes.append(("", _spoken(method, guest), ""))
            if guest.email.lower() != sender:
                words = _("The message itself is from %(sender)s.")
                found.notes.append(("warn", words % {"sender": message.from_email}, ""))
        if event.comment:
            found.notes.append(("", _("They write: %(comment)s") % {"comment": event.comment[:2000]}, ""))
    elif method == "DECLINECOUNTER":
        found.notes.append(("", _("The organiser stays with the time it had."), ""))
    elif method and event.organizer.email and event.organizer.email.lower() != sender:
        words = _("The organiser it names is %(organizer)s; the message is from %(sender)s.")
        people = {"organizer": event.organizer.email, "sender": message.from_email}
        found.notes.append(("warn" if method == "CANCEL" else "", words % people, ""))


def _spoken(method: str, guest: mime.Guest) -> str:
    words = {
        "ACCEPTED": _("%(who)s has accepted."),
        "DECLINED": _("%(who)s has declined."),
        "TENTATIVE": _("%(who)s may come."),
        "DELEGATED": _("%(who)s sends somebody else."),
        "NEEDS-ACTION": _("%(who)s has not decided."),
    }
    said = words[guest.state]
    if method == "COUNTER":
        said = _("%(who)s proposes this time instead.")
    elif method == "REFRESH":
        said = _("%(who)s asks for the invitation as it is now.")
    return said % {"who": guest.name or guest.email}


def _tell_answer(request: Request, found: Invitation, message: Message) -> None:
    event = found.event
    part = invitations.part_of(request.user, message, event)
    if part and part.attendee:
        found.attendee = part.attendee.email
    if not found.reason:
        found.reason = _obstacle(message, event, part)
    if part is None:
        return
    found.answer = invitations.last_answer(request.user, event)
    found.number = found.answer.number if found.answer else 0
    found.identities = () if part.attendee else part.identities
    found.answerable = not found.reason
    if found.answer and found.answer.sequence < event.sequence:
        words = _("You %(answered)s before it was changed. Answer again.")
        found.notes.append(("warn", words % {"answered": found.answer.get_state_display()}, ""))
        found.answer = None
    elif found.answer:
        found.notes.append(_told(found.answer))


def _obstacle(message: Message, event: mime.Event, part: invitations.Part | None) -> str:
    """Why there is no answer to give, "" if there is."""
    if not event.organizer.email or not event.uid or len(event.uid) > mime.MAX_UID:
        return _("It names nobody to answer to.")
    if part is None:
        return _("You have no address to answer from.")
    if part.organizes:
        return _("You are the organiser.")
    role = message.mailbox.role if message.mailbox else ""
    if role == "junk":
        return _("It is in Junk. Move it out of there to answer it.")
    return _("You have sent it yourself.") if role in ("sent", "drafts") else ""


def _told(answer: Answer) -> tuple[str, str, str]:
    words = {
        Participation.ACCEPTED: _("You have accepted."),
        Participation.TENTATIVE: _("You may come."),
        Participation.DECLINED: _("You have declined."),
    }
    said = words[Participation(answer.state)]
    submission = answer.submission
    if submission is None or submission.state == SubmissionState.SENT:
        when = date_format(timezone.localtime(answer.answered_at), pgettext("date", "j F Y H:i"))
        return "ok", f"{said} " + _("Answered %(when)s.") % {"when": when}, ""
    if submission.state in (SubmissionState.REFUSED, SubmissionState.UNCERTAIN):
        return "danger", f"{said} " + _("But the answer is held up in the outbox."), reverse("outbox")
    return "ok", f"{said} " + _("The answer is on its way."), reverse("outbox")


@require_POST
@login_required
def answer(request: Request, pk: int) -> HttpResponse:
    """``state`` is a PARTSTAT, ``after`` the number of the answer that was shown, ``identity`` who answers, where none of
    the invited addresses is theirs."""
    message = listing.own(request, pk)
    here = reverse("message", args=[pk])
    try:
        facts = bodies.body_of(message).facts
    except MailError as error:
        return unreadable(request, message, error)
    calendar, found = notices.calendar_of(facts), invitation_of(request, message, facts)
    state = request.POST.get("state", "")
    if not calendar or not found or state not in Participation.values:
        problem(request, _("There is nothing to answer."))
        return back(request, here)
    part = invitations.part_of(request.user, message, found.event)
    if not found.answerable or part is None:
        problem(request, found.reason or _("There is nothing to answer."))
        return back(request, here)
    if found.identities:
        chosen = [one for one in found.identities if str(one.pk) == request.POST.get("identity", "")]
        part.identities = chosen or part.identities[:1]
    comment = request.POST.get("comment", "")
    try:
        if request.POST.get("after", "") != str(found.number):
            raise invitations.AnsweredMeanwhile
        submission = invitations.answer(
            request.user, message, calendar, part, Participation(state), comment, found.number
        )
    except invitations.AnsweredMeanwhile:
        notice(request, _("You have answered this already. Look at what is shown now, and answer again to change it."))
        return back(request, here)
    except compose.Unsendable as error:
        problem(request, " ".join(error.problems.values()))
        return back(request, here)
    tasks.nudge_send(submission.pk, countdown=request.user.undo_send)
    words = _("Your answer goes to %(who)s.") % {"who": ", ".join(submission.recipients)}
    notice(request, words, cancel=submission.pk if request.user.undo_send else None)
    return back(request, here)
