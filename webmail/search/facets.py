"""By what the messages that were found can be told apart: how many are of which account, folder, person and year."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from django.utils import timezone

from webmail.models import Message
from webmail.search.finding import Finder

COUNTED = 2000  # messages, the newest
PATIENCE = 1.0  # seconds
_COLUMNS = (
    "pk", "account_id", "mailbox_id", "from_name", "from_email", "received_at", "has_attachment", "seen", "thread_id",
)  # fmt: skip


@dataclass(slots=True)
class Facets:
    """``number`` of messages that were counted, and of ``conversations``; ``more``: there are others. ``people`` by address,
    with the ``names`` they last wrote under."""

    number: int = 0
    conversations: int = 0
    more: bool = False
    accounts: Counter[int] = field(default_factory=Counter)
    mailboxes: Counter[int] = field(default_factory=Counter)
    people: Counter[str] = field(default_factory=Counter)
    names: dict[str, str] = field(default_factory=dict)
    years: Counter[int] = field(default_factory=Counter)
    attachments: int = 0
    unread: int = 0


def facets(finder: Finder) -> Facets:
    """Of the newest that are found."""
    ids: list[int] = []
    told, ends = Facets(), time.monotonic() + PATIENCE
    for kept, _reached in finder.steps():
        ids += [one.pk for one in kept]
        told.more = len(ids) > COUNTED or time.monotonic() > ends
        if told.more:
            break
    rows = Message.objects.filter(pk__in=ids[:COUNTED]).newest_first().values_list(*_COLUMNS)
    zone, threads = timezone.get_current_timezone(), set()
    for pk, account, mailbox, name, email, at, clip, seen, thread in rows:
        told.number += 1
        threads.add(thread or -pk)
        told.accounts[account] += 1
        told.mailboxes[mailbox] += 1
        told.people[email.lower()] += 1
        told.names.setdefault(email.lower(), name)
        told.years[at.astimezone(zone).year] += 1
        told.attachments += clip
        told.unread += not seen
    told.conversations = len(threads)
    return told
