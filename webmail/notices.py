"""What the mail of an account says of events, written down as it is read: which of several messages counts (RFC 5546 §2.1.5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from webmail import mime
from webmail.models import Message, Notice

LOOKED_AT = 200  # notices of one event
OF_ORGANIZER = ("REQUEST", "PUBLISH", "ADD", "CANCEL")  # what changes an event; answers do not


@dataclass(frozen=True, slots=True)
class Standing:
    """``newer`` is the message that counts now, ``canceled`` if it calls the event off; ``moved_from`` is when an earlier
    message said it starts (as Notice.start)."""

    newer: int | None = None
    canceled: bool = False
    moved_from: str = ""


def calendar_of(facts: dict[str, Any]) -> mime.Calendar | None:
    """``facts`` as webmail.mime.facts tells them."""
    kept = facts.get("calendar")
    return mime.calendar_from_json({name: kept[name] for name in ("method", "events", "total")}) if kept else None


def main_event(calendar: mime.Calendar) -> mime.Event:
    """What a message is about: of a series, the series rather than those of its days that are changed."""
    return next((event for event in calendar.events if not event.occurrence.wall), calendar.events[0])


def digest(event: mime.Event) -> str:
    return sha256(event.uid.encode("utf-8", "replace")).hexdigest()


def occurrence(event: mime.Event) -> str:
    return (event.occurrence.at or event.occurrence.wall)[:32]


def record(message: Message, facts: dict[str, Any]) -> None:
    """Anew, from what was read of a message."""
    calendar = calendar_of(facts)
    if not calendar:
        return
    Notice.objects.filter(message=message).delete()
    found = {
        (digest(event), occurrence(event)): Notice(
            account_id=message.account_id, message=message, event=digest(event), occurrence=occurrence(event),
            method=calendar.method, sequence=event.sequence, organizer=event.organizer.email.lower(),
            stamp=datetime.fromisoformat(event.stamp) if event.stamp else None, start=_start(event),
        )
        for event in calendar.events
        if event.uid
    }  # fmt: skip
    Notice.objects.bulk_create(found.values(), ignore_conflicts=True)


def _start(event: mime.Event) -> str:
    return event.start.at or event.start.wall


def standing(message: Message, event: mime.Event) -> Standing:
    """Only who wrote this message, or the organiser it names, can change what it says; junk changes nothing."""
    organizer = event.organizer.email.lower()
    told = (
        Notice.objects.filter(
            account_id=message.account_id, event=digest(event), occurrence__in={occurrence(event), ""}, organizer=organizer,
            method__in=OF_ORGANIZER, message__mailbox__isnull=False,
        )
        .exclude(message=message)
        .exclude(message__mailbox__role="junk")
        .select_related("message")[:LOOKED_AT]
    )  # fmt: skip
    trusted = {organizer, message.from_email.lower()}
    others = [one for one in told if one.message.from_email.lower() in trusted]
    ours = (event.sequence, event.stamp)
    newer = [one for one in others if _version(one) > ours]
    older = [one for one in others if _version(one) < ours and one.occurrence == occurrence(event) and one.start]
    newest = max(newer, key=_version, default=None)
    before = max(older, key=_version, default=None)
    return Standing(
        newer=newest.message_id if newest else None,
        canceled=bool(newest and newest.method == "CANCEL"),
        moved_from=before.start if before and before.start != _start(event) else "",
    )


def _version(notice: Notice) -> tuple[int, str]:
    return notice.sequence, notice.stamp.isoformat() if notice.stamp else ""
