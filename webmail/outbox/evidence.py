"""What helps a person to decide about a message that may have been sent: what has come to us since that knows of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db.models import Q

from webmail.models import Message, MessageBody, Submission, ThreadId

MOST = 5  # of each kind that are told
ROOM = timedelta(minutes=5)  # by which the clocks of two servers may differ


@dataclass(frozen=True, slots=True)
class Evidence:
    """Messages of the person's: the copy in Sent (``filed``), others of the same id (it arrived, at oneself at least),
    ``answers`` to it, and ``bounces`` that tell of it. Any of them means that it went out. ``checked_at`` is when the
    account was last synced: what came later is not known."""

    filed: list[Message] = field(default_factory=list)
    arrived: list[Message] = field(default_factory=list)
    answers: list[Message] = field(default_factory=list)
    bounces: list[Message] = field(default_factory=list)
    checked_at: datetime | None = None

    @property
    def found(self) -> bool:
        return bool(self.filed or self.arrived or self.answers or self.bounces)


def evidence(submission: Submission) -> Evidence:
    """Looks at the cache alone."""
    account, message_id = submission.account, submission.message_id
    own = Message.objects.for_user(account.user).select_related("mailbox", "account").defer("structure", "fields")
    same = own.filter(account_id__in=[one.pk for one in account.user.account_list], message_id=message_id)
    copies = list(same.exclude(draft=True).newest_first()[: 2 * MOST])
    later = own.filter(account=account, received_at__gte=(submission.begun_at or submission.created_at) - ROOM)
    bounces = list(later.filter(pk__in=_telling_of(submission)).newest_first()[:MOST])
    threads = ThreadId.objects.filter(account=account, message_id=message_id).values("thread_id")
    related = later.filter(thread_id__in=threads).exclude(message_id=message_id).exclude(draft=True).newest_first()
    told = {one.pk for one in bounces}
    answers = [one for one in related[:50] if message_id in one.references and one.pk not in told]
    return Evidence(
        filed=[one for one in copies if one.mailbox and one.mailbox.role == "sent"][:MOST],
        arrived=[one for one in copies if one.mailbox and one.mailbox.role not in ("sent", "drafts")][:MOST],
        answers=answers[:MOST],
        bounces=bounces,
        checked_at=account.synced_at,
    )


def _telling_of(submission: Submission) -> list[int]:
    """Reports that name it, among those whose text is here: those of servers are short, and fetched ahead."""
    since = (submission.begun_at or submission.created_at) - ROOM
    read = MessageBody.objects.filter(message__account=submission.account, message__received_at__gte=since)
    naming = Q(facts__icontains=submission.message_id) | Q(text__icontains=submission.message_id)
    return list(
        read.filter(naming).exclude(message__message_id=submission.message_id).values_list("pk", flat=True)[:20]
    )
