"""Messages: what the server says of them -> rows, each in its conversation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from webmail import mime, operations, threads
from webmail.models import KEYWORD_FIELDS, Mailbox, Message, Thread, ThreadId
from webmail.protocols.base import RemoteMessage

KEPT_FIELDS = (
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-post",
    "delivered-to",
    "x-original-to",
    "auto-submitted",
)


def store_messages(account: Account, mailbox: Mailbox, remotes: Iterable[RemoteMessage]) -> list[Message]:
    """One transaction: rows for what is new, the remote half of rows that waited for their uid."""
    fresh = [_row(account, mailbox, remote) for remote in remotes]
    return _store(account, mailbox, fresh)


@transaction.atomic
def _store(account: Account, mailbox: Mailbox, fresh: Sequence[Message]) -> list[Message]:
    there = set(
        Message.objects.filter(remote_mailbox=mailbox, uid__in=[row.uid for row in fresh]).values_list("uid", flat=True)
    )
    new = [row for row in fresh if row.uid not in there]
    new = _adopt(mailbox, new)
    assign_threads(account, new)
    # Of messages that arrived in one second the later gets the higher id, and so stands on top.
    new.sort(key=lambda row: (row.received_at, len(row.uid), row.uid))
    Message.objects.bulk_create(new, batch_size=100)
    if mailbox.complete:  # before that the counts are the server's own, which know of mail not fetched yet
        mailbox.count(len(new), sum(1 for row in new if not row.seen))
    return new


def _row(account: Account, mailbox: Mailbox, remote: RemoteMessage) -> Message:
    structure = mime.from_structure(remote.structure) if remote.structure else None
    received_at = remote.received_at or timezone.now()
    row = row_of_header(account, mailbox, mime.parse_header(remote.header), structure, received_at)
    row.remote_mailbox, row.uid, row.size = mailbox, remote.uid, remote.size
    row.preview = mime.preview(remote.preview) if remote.preview else ""
    row.synced_keywords = operations.join_keywords(remote.keywords)
    row.show_keywords(remote.keywords)
    return row


def row_of_header(
    account: Account, mailbox: Mailbox, header: mime.Header, structure: mime.BodyPart | None, received_at: datetime
) -> Message:
    """The row that lists show; not saved."""
    sender = header.from_[0] if header.from_ else (header.sender[0] if header.sender else mime.Address("", ""))
    references = [*header.references, *(i for i in header.in_reply_to if i not in header.references)]
    people = {
        field: [[a.name[:255], a.email[:320]] for a in getattr(header, attribute)[:200]]
        for field, attribute in (
            ("from", "from_"),
            ("to", "to"),
            ("cc", "cc"),
            ("bcc", "bcc"),
            ("reply_to", "reply_to"),
        )
        if getattr(header, attribute)
    }
    return Message(
        account=account, mailbox=mailbox,
        message_id=header.message_id[:255], references=[r[:255] for r in references][-100:], subject=header.subject,
        from_name=sender.name[:255], from_email=sender.email[:320], addresses=people,
        fields={name: header.fields[name][:3] for name in KEPT_FIELDS if name in header.fields},
        sent_at=header.date, received_at=received_at,
        structure=structure.to_json() if structure else None,
        has_attachment=_has_attachment(structure),
    )  # fmt: skip


def _has_attachment(structure: mime.BodyPart | None) -> bool:
    """A file worth a paper clip: pictures that belong to the text are none."""
    files = mime.select_bodies(structure).attachments if structure else ()
    return any(not part.cid or part.disposition == "attachment" for part in files)


def _adopt(mailbox: Mailbox, fresh: Sequence[Message]) -> list[Message]:
    """Give rows that wait for their uid (moved without UIDPLUS, renumbered) the one of the same message; what is left.

    The same means Message-ID, size and time of arrival, or at least the first two where that leaves one choice: a
    Message-ID alone is anybody's to use again."""
    ids = [row.message_id for row in fresh if row.message_id]
    waiting = list(Message.objects.filter(remote_mailbox=mailbox, uid="", message_id__in=ids)) if ids else []
    if not waiting:
        return list(fresh)
    left, adopted = list(fresh), []
    for same in (lambda row: (row.message_id, row.size, row.received_at), lambda row: (row.message_id, row.size)):
        for twin, row in _pairs(waiting, left, same):
            twin.uid, twin.synced_keywords = row.uid, row.synced_keywords
            twin.show_keywords(row.keywords)
            adopted.append(twin)
            waiting.remove(twin)
            left.remove(row)
    operations.rebase(mailbox.account, adopted)
    Message.objects.bulk_update(adopted, ["uid", "synced_keywords", *KEYWORD_FIELDS])
    return left


def _pairs(
    waiting: Sequence[Message], fresh: Sequence[Message], key: Callable[[Message], tuple[object, ...]]
) -> list[tuple[Message, Message]]:
    """Those that share a key with exactly one of the other side."""
    ours, theirs = Counter(map(key, waiting)), Counter(map(key, fresh))
    by_key = {key(row): row for row in fresh}
    return [(row, by_key[key(row)]) for row in waiting if ours[key(row)] == theirs[key(row)] == 1]


def assign_threads(account: Account, rows: Sequence[Message]) -> None:
    """Conversations for rows not yet saved; those that turn out to be one are joined."""
    inputs = [
        threads.ThreadInput(index, row.message_id, tuple(row.references), row.subject, row.sent_at or row.received_at)
        for index, row in enumerate(rows)
    ]
    mentioned = {i for row in rows for i in (row.message_id, *row.references) if i}
    known: dict[str, int] = {}
    for some in operations.chunks(sorted(mentioned)):
        known |= dict(
            ThreadId.objects.filter(account=account, message_id__in=some).values_list("message_id", "thread_id")
        )
    plan = threads.assign(inputs, known)
    numbers = sorted({n for n in [*plan.assignments.values(), *plan.ids.values()] if n < 0}, reverse=True)
    made = Thread.objects.bulk_create([Thread(account=account) for _ in numbers])
    real = {number: thread.pk for number, thread in zip(numbers, made, strict=True)}
    for gone, kept in plan.merges:
        ThreadId.objects.filter(thread_id=gone).update(thread_id=kept)
        Message.objects.filter(thread_id=gone).update(thread_id=kept)
        Thread.objects.filter(pk=gone).delete()
    for index, row in enumerate(rows):
        number = plan.assignments[index]
        row.thread_id = real.get(number, number)
    fresh = [
        ThreadId(account=account, message_id=message_id, thread_id=real.get(number, number))
        for message_id, number in plan.ids.items()
        if message_id not in known
    ]
    ThreadId.objects.bulk_create(fresh, ignore_conflicts=True, batch_size=300)
