"""Conversations in lists: which message stands for each, what is told of the rest, and which messages one is.

A list of conversations is a list of messages without those that have a newer one of the same conversation in the same
list. So it is read and paged as a list of messages is, from one index; whether there is a newer one is a look into
another. Nothing is kept that the change of one message could make wrong.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from django.db.models import BooleanField, Case, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.lookups import In

from webmail.models import Message
from webmail.prepared import Integer, Prepared

TOLD = 5_000  # messages, of the conversations of one page, that are looked at: the newest
MOST = 10_000  # messages that an action on conversations reaches
ASIDE = ("trash", "junk")  # what is in there is told of, and acted upon, nowhere else
OWN_WORK = "drafts"  # what is being written is not put away with what it answers


def newest_of_each(rows: QuerySet[Message, Any], among: QuerySet[Message, Any]) -> QuerySet[Message, Any]:
    """Those of ``rows`` that have no newer one of their conversation ``among``. Within CASE, PostgreSQL looks row by row and
    holds it for true of every other; a bare NOT EXISTS it would take for a join with the whole table."""
    here = OuterRef("received_at")
    newer = among.filter(
        ~Q(received_at=here, id__lte=OuterRef("pk")), thread_id=OuterRef("thread_id"), received_at__gte=here
    )
    there_is = When(Exists(newer), then=Value(False))
    return rows.filter(Case(there_is, default=Value(True), output_field=BooleanField()))


class Member(NamedTuple):
    """What is told of a message of a conversation beside the one that stands for it."""

    thread_id: int
    mailbox_id: int
    message_id: str
    from_name: str
    from_email: str
    seen: bool
    flagged: bool
    has_attachment: bool


@dataclass(slots=True)
class Summary:
    """``number`` of messages; ``people`` as (name, address), each once, in the order in which they first wrote. The rest is
    of the folder where the conversation is shown."""

    number: int = 0
    people: dict[str, str] = field(default_factory=dict)  # name by address
    unread: bool = False
    flagged: bool = False
    has_attachment: bool = False


def summaries(shown: Sequence[tuple[int | None, int]], aside: Collection[int]) -> dict[int, Summary]:
    """By thread, for those ``shown``, each with its folder. What is in the folders ``aside`` counts there only."""
    places = {thread: mailbox for thread, mailbox in shown if thread}
    told: dict[int, Summary] = {}
    met: set[tuple[int, str]] = set()
    for row in reversed(_members(tuple(places))):
        place = places[row.thread_id]
        if row.mailbox_id != place and row.mailbox_id in aside:
            continue
        summary = told.setdefault(row.thread_id, Summary())
        if row.mailbox_id == place:
            summary.unread |= not row.seen
            summary.flagged |= row.flagged
            summary.has_attachment |= row.has_attachment
        if row.message_id and (row.thread_id, row.message_id) in met:
            continue  # the same message in two folders
        met.add((row.thread_id, row.message_id))
        summary.number += 1
        summary.people.setdefault(row.from_email.lower(), row.from_name)
    return told


def _members(threads: tuple[int, ...]) -> list[Member]:
    """Newest first."""
    if not threads:
        return []
    size = -(-len(threads) // 25) * 25  # few statements for all sizes of pages
    rows = _asked_for(size)(*threads, *[0] * (size - len(threads)))
    return list(itertools.starmap(Member, rows))


@cache
def _asked_for(size: int) -> Prepared[tuple[Any, ...]]:
    return Prepared(
        lambda *threads: (
            Message.objects.filter(In(F("thread_id"), threads), mailbox__isnull=False, mailbox__hidden=False)
            .order_by("-received_at", "-id")
            .values_list(*Member._fields)[:TOLD]
        ),
        *[Integer] * size,
    )


def whole(user: Any, ids: Iterable[int], everywhere: bool = False) -> list[int]:
    """The messages of the conversations of these messages: those in the same folder, or those in all but Trash, Junk and
    Drafts, which no conversation takes along."""
    own = Message.objects.for_user(user)
    chosen = own.filter(pk__in=list(ids)).order_by().values_list("pk", "thread_id", "mailbox_id")
    places = {(thread, mailbox) for _pk, thread, mailbox in chosen if thread}
    members = own.filter(thread_id__in={thread for thread, _mailbox in places}).order_by("-received_at", "-id")
    wanted = [
        pk
        for pk, thread, mailbox, role in members.values_list("pk", "thread_id", "mailbox_id", "mailbox__role")[:MOST]
        if (thread, mailbox) in places or (everywhere and role not in (*ASIDE, OWN_WORK))
    ]
    return list(dict.fromkeys([*(pk for pk, _thread, _mailbox in chosen), *wanted]))
