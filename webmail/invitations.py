"""Answering invitations (RFC 5546 §3.2.3, RFC 6047): an answer is a message like any other, and leaves through the outbox.

Nothing is ever answered by itself. Each answer of a person to an event has a number, and there is one of each, so that a
form that comes in twice, or from two windows, is sent once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Identity, User
from webmail import compose, mime, outbox
from webmail.models import Answer, Draft, DraftAttachment, Message, Participation, Submission
from webmail.notices import digest, main_event, occurrence

MAX_COMMENT = 2_000
MAX_IDENTITIES = 100


class AnsweredMeanwhile(Exception):
    """This answer was given already, here or in another window."""


@dataclass(slots=True)
class Part:
    """What somebody is to an event: ``attendee`` as they are invited, and the identity of that address. Nobody of theirs
    is invited: they choose an identity of ``identities``, the one the message came to first."""

    identities: Sequence[Identity]
    attendee: mime.Guest | None = None
    organizes: bool = False

    @property
    def identity(self) -> Identity:
        return self.identities[0]


def part_of(user: User, message: Message, event: mime.Event) -> Part | None:
    """None for somebody without an identity."""
    mine = list(Identity.objects.for_user(user).select_related("account")[:MAX_IDENTITIES])
    mine.sort(key=lambda identity: identity.account_id != message.account_id)
    if not mine:
        return None
    organizes = any(one.address.lower() == event.organizer.email.lower() for one in mine)
    for identity in mine:
        for guest in event.attendees:
            if guest.email.lower() == identity.address.lower():
                return Part([identity], guest, organizes)
    first, _written_as = compose.identity_for(user, message)
    return Part([first, *(one for one in mine if one != first)], None, organizes)


def last_answer(user: User, event: mime.Event) -> Answer | None:
    """The one that counts."""
    given = Answer.objects.for_user(user).filter(event=digest(event), occurrence=occurrence(event))
    return given.select_related("submission").order_by("-number").first()


def answer(
    user: User,
    message: Message,
    calendar: mime.Calendar,
    part: Part,
    state: Participation,
    comment: str,
    after: int,
) -> Submission:
    """Answer the event that a message is about, and what the message says of days of it, as the first identity of ``part``.
    ``after`` is the number of the answer that the person saw. Raises AnsweredMeanwhile, and compose.Unsendable."""
    event = main_event(calendar)
    attendee = part.attendee or mime.Guest(part.identity.name, part.identity.address)
    attendee = replace(attendee, name=attendee.name or part.identity.name)
    comment = comment.replace("\r\n", "\n").replace("\0", "").strip()[:MAX_COMMENT]
    series = [one for one in calendar.events if one.uid == event.uid]
    reply = mime.write_reply(series, attendee, state, comment, timezone.now())
    try:
        with transaction.atomic():
            given = Answer.objects.create(
                user=user, event=digest(event), occurrence=occurrence(event), number=after + 1, attendee=attendee.email,
                sequence=event.sequence, state=state, comment=comment,
            )  # fmt: skip
            submission = outbox.submit(user, _draft(message, event, part.identity, given, reply))
            given.message_id, given.submission = submission.message_id, submission
            given.save(update_fields=["message_id", "submission"])
    except IntegrityError as error:
        raise AnsweredMeanwhile from error
    return submission


def _draft(message: Message, event: mime.Event, identity: Identity, given: Answer, reply: bytes) -> Draft:
    """To the organiser and nobody else (RFC 6047 §2.3)."""
    title = event.title or message.subject or _("(no subject)")
    references = [*message.references, *([message.message_id] if message.message_id else [])]
    draft = Draft(
        account=identity.account, identity=identity, kind=compose.ANSWER, source=message, subject=_subject(given, title),
        to=mime.format_address(mime.Address(event.organizer.name, event.organizer.email)), text=_text(given, identity, title),
        in_reply_to=message.message_id, references=references[-50:],
    )  # fmt: skip
    compose.save(draft)
    attachment = DraftAttachment(draft=draft, name="reply.ics", type="text/calendar", size=len(reply))
    attachment.file.save("reply", ContentFile(reply), save=False)
    attachment.save()
    return draft


def _subject(given: Answer, title: str) -> str:
    words = {
        Participation.ACCEPTED: _("Accepted: %(title)s"),
        Participation.TENTATIVE: _("Tentative: %(title)s"),
        Participation.DECLINED: _("Declined: %(title)s"),
    }
    return words[Participation(given.state)] % {"title": title}


def _text(given: Answer, identity: Identity, title: str) -> str:
    words = {
        Participation.ACCEPTED: _("%(who)s has accepted: %(title)s"),
        Participation.TENTATIVE: _("%(who)s may come: %(title)s"),
        Participation.DECLINED: _("%(who)s has declined: %(title)s"),
    }
    line = words[Participation(given.state)] % {"who": identity.name or identity.address, "title": title}
    return f"{line}\n\n{given.comment}\n" if given.comment else f"{line}\n"


def take_back(submission: Submission) -> Draft | None:
    """As outbox.cancel; of an answer nothing is left then, and the one before it counts again."""
    given = Answer.objects.filter(submission=submission)  # the draft may come back with another message-id
    with transaction.atomic():
        numbers = list(given.values_list("pk", flat=True))
        draft = outbox.cancel(submission)
        if draft and draft.kind == compose.ANSWER:
            Answer.objects.filter(pk__in=numbers).delete()
            compose.discard(draft)
    return draft
