"""Messages: what the server says of them -> rows, each in its conversation."""

from __future__ import annotations

import functools
import itertools
import json
import operator
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, models, transaction
from django.db.models.constants import OnConflict
from django.utils import timezone

from accounts.models import Account
from webmail import correspondents, mime, operations, threads
from webmail.models import (
    KEYWORD_FIELDS,
    Mailbox,
    Message,
    MessageQuerySet,
    PlainEncoder,
    Submission,
    SubmissionState,
    Thread,
    ThreadId,
)
from webmail.protocols.base import Outline, RemoteMessage

KEPT_FIELDS = (
    "list-id",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "list-post",
    "delivered-to",
    "x-original-to",
    "auto-submitted",
)


Row = dict[str, Any]  # the columns of a Message, by attribute name; JSON already as text


class Stored(NamedTuple):
    """What became rows."""

    created: int = 0
    unread: int = 0


def store_messages(account: Account, mailbox: Mailbox, remotes: Iterable[RemoteMessage]) -> Stored:
    """One transaction: rows for what is new, the remote half of rows that waited for their uid. What is there already
    is left alone, so that a batch may be repeated."""
    fresh = [_row(account, mailbox, remote) for remote in remotes]
    try:
        return _store(account, mailbox, fresh)
    except IntegrityError:  # seldom: after a crash in the middle, or where a first page was read before
        there = set(by_uid(mailbox, [row["uid"] for row in fresh]).values_list("uid", flat=True))
        return _store(account, mailbox, [row for row in fresh if row["uid"] not in there])


@transaction.atomic
def _store(account: Account, mailbox: Mailbox, fresh: Sequence[Row]) -> Stored:
    """One at a time in an account (SQLite has but one writer): beside its sync a search may bring messages, and two must
    not begin the same conversation."""
    Account.objects.select_for_update(no_key=True).filter(pk=account.pk).values_list("pk").first()
    known = known_threads(account, {i for row in fresh for i in (row["message_id"], *row["ids"])})
    new = _adopt(mailbox, fresh, known)
    inputs = [
        threads.ThreadInput(at, row["message_id"], tuple(row["ids"]), "", row["sent_at"] or row["received_at"])
        for at, row in enumerate(new)
    ]
    for row, thread in zip(new, thread_ids(account, inputs, known), strict=True):
        row["thread_id"] = thread
    # Of messages that arrived in one second the later gets the higher id, and so stands on top.
    new.sort(key=lambda row: (row["received_at"], len(row["uid"]), row["uid"]))
    came = _came(mailbox, new)
    insert(Message, new)
    _introduce(account, mailbox, new)
    unread = sum(not row["seen"] for row in new)
    if mailbox.complete:  # before that the counts are the server's own, which know of mail not fetched yet
        mailbox.count(len(new), unread)
    silent = (
        operations.silence(account, mailbox, [r["uid"] for r in came], [r["thread_id"] for r in came]) if came else 0
    )
    return Stored(len(new), unread - silent)


def _came(mailbox: Mailbox, new: Sequence[Row]) -> Sequence[Row]:
    """Of what is to be inserted, what has come in just now; the rest has been in the folder before we knew of it."""
    if mailbox.role != "inbox" or not new:
        return ()
    if mailbox.complete:
        return new
    newest = Message.objects.filter(mailbox=mailbox).newest_first().values_list("received_at", flat=True).first()
    return [row for row in new if newest and row["received_at"] >= newest]


def _introduce(account: Account, mailbox: Mailbox, new: Sequence[Row]) -> None:
    if mailbox.role == "sent":
        told = _sent_from_here(account, new)
        correspondents.wrote_to(
            account, (one for row in new if row["message_id"] not in told for one in _recipients(row))
        )
    elif mailbox.role not in ("drafts", "junk", "trash"):
        correspondents.heard_from(account, ((row["from_email"], row["from_name"], row["received_at"]) for row in new))


def _sent_from_here(account: Account, new: Sequence[Row]) -> set[str]:
    """Of these, which sending has told of already."""
    ids = [row["message_id"] for row in new if row["message_id"]]
    mine = Submission.objects.filter(account=account, state=SubmissionState.SENT, message_id__in=ids)
    return set(mine.order_by().values_list("message_id", flat=True))


def _recipients(row: Row) -> list[tuple[str, str, datetime]]:
    people = json.loads(row["addresses"])
    found = [*people.get("to", ()), *people.get("cc", ()), *people.get("bcc", ())]
    return [(email, name, row["received_at"]) for name, email in found[: correspondents.MAX_RECIPIENTS]]


def count_anew() -> None:
    """PostgreSQL plans by numbers that it takes once a minute by itself. Until then it holds the tables of somebody's first
    mailbox for empty, and sorts all of it for each page of a list. SQLite plans without numbers."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE webmail_message, webmail_thread")


def by_uid(mailbox: Mailbox, uids: Sequence[str]) -> MessageQuerySet:
    """The rows with these uids, at most some hundred. The second condition is implied by the first, but only with it
    is the index used that holds them."""
    return Message.objects.filter(remote_mailbox=mailbox, uid__in=uids).exclude(uid="")


def _row(account: Account, mailbox: Mailbox, remote: RemoteMessage) -> Row:
    columns = _columns(mime.parse_header(remote.header))
    structure, has_attachment = _structure_columns(remote)
    return {
        "account_id": account.pk,
        "mailbox_id": mailbox.pk,
        "remote_mailbox_id": mailbox.pk,
        "uid": remote.uid,
        "received_at": remote.received_at or timezone.now(),
        "size": remote.size,
        "preview": mime.preview(remote.preview) if remote.preview else "",
        **columns,
        "ids": columns["references"],
        "references": _list_json(columns["references"]) if columns["references"] else "[]",
        "addresses": _people_json(columns["addresses"]),
        "fields": _json(columns["fields"]) if columns["fields"] else "{}",
        "structure": structure,
        "has_attachment": has_attachment,
        **_keyword_columns(remote.keywords),
    }


def _list_json(texts: list[str]) -> str:
    """As json has it; ids seldom hold what must be escaped, and json takes longer to begin than to do it."""
    text = '", "'.join(texts)
    plain = text.isascii() and text.isprintable() and "\\" not in text and text.count('"') == 2 * len(texts) - 2
    return f'["{text}"]' if plain else _json(texts)


def _people_json(people: Mapping[str, list[list[str]]]) -> str:
    """The same for addresses, with letters as they are."""
    texts = "".join([text for some in people.values() for pair in some for text in pair])
    if not texts.isprintable() or '"' in texts or "\\" in texts:
        return _plain_json(people)
    fields = []
    for name, some in people.items():
        pairs = ", ".join([f'["{who}", "{email}"]' for who, email in some])
        fields.append(f'"{name}": [{pairs}]')
    return "{" + ", ".join(fields) + "}"


_json = json.JSONEncoder().encode
_plain_json = PlainEncoder().encode


@functools.lru_cache(1024)  # a mailbox has few different sets of keywords
def _keyword_columns(keywords: frozenset[str]) -> Row:
    row = Message()
    row.show_keywords(keywords)
    columns = {name: getattr(row, name) for name in KEYWORD_FIELDS}
    return columns | {"labels": _json(row.labels), "synced_keywords": operations.join_keywords(keywords)}


_STAND_IN = 10**17  # for the first size, the next for the second: numbers that nothing else in mail is likely to be
_STANDING_IN = re.compile(r"\b1000000000000\d{5}\b")


def _structure_columns(remote: RemoteMessage) -> tuple[str | None, bool]:
    """``structure`` as JSON and ``has_attachment``; nearly all mail has one of a few forms, and differs in sizes."""
    if remote.outline is None:
        return None, False
    template, has_attachment = _form(remote.outline)
    if template is not None and all(remote.sizes):  # to_json leaves a size of 0 out
        return template % remote.sizes, has_attachment
    return _json(mime.from_structure(remote.outline.sized(remote.sizes)).to_json()), has_attachment


@functools.lru_cache(1024)
def _form(outline: Outline) -> tuple[str | None, bool]:
    """The JSON with a ``%d`` for each size; None if it has not each of them once (the tree was too large)."""
    sizes = itertools.count(_STAND_IN)
    part = mime.from_structure(outline.sized(sizes))
    count = next(sizes) - _STAND_IN
    template, found = _STANDING_IN.subn("%d", _json(part.to_json()).replace("%", "%%"))
    return template if found == count else None, _has_attachment(part)


def row_of_header(
    account: Account, mailbox: Mailbox, header: mime.Header, structure: mime.BodyPart | None, received_at: datetime
) -> Message:
    """The row that lists show; not saved."""
    return Message(
        account=account, mailbox=mailbox, received_at=received_at, **_columns(header),
        structure=structure.to_json() if structure else None, has_attachment=_has_attachment(structure),
    )  # fmt: skip


def _columns(header: mime.Header) -> Row:
    """What a header says."""
    fields = header.fields
    sender = header.from_[0] if header.from_ else (header.sender[0] if header.sender else mime.Address("", ""))
    references = [i[:255] for i in (*header.references, *header.in_reply_to)]
    people = (
        ("from", header.from_),
        ("to", header.to),
        ("cc", header.cc),
        ("bcc", header.bcc),
        ("reply_to", header.reply_to),
    )
    return {
        "message_id": header.message_id[:255],
        "references": list(dict.fromkeys(references))[-100:],
        "subject": header.subject,
        "from_name": sender.name[:255],
        "from_email": sender.email[:320],
        "addresses": {name: [[a.name[:255], a.email[:320]] for a in found[:200]] for name, found in people if found},
        "fields": {name: fields[name][:3] for name in KEPT_FIELDS if name in fields},
        "sent_at": header.date,
    }


def insert(model: type[models.Model], rows: Sequence[Row], unless_there: bool = False) -> None:
    """INSERT past the ORM, which costs more than the database does. What a row leaves out has the field's default."""
    if not rows:
        return
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    conflict = OnConflict.IGNORE if unless_there else None
    operation, quoted = connection.ops, connection.ops.quote_name
    columns = ", ".join(quoted(field.column or "") for field in fields)
    statement = (
        f"{operation.insert_statement(conflict)} {quoted(model._meta.db_table)} ({columns}) "
        f"VALUES ({', '.join(['%s'] * len(fields))}) {operation.on_conflict_suffix_sql(fields, conflict, [], [])}"
    )
    defaults = {field.attname: field.get_db_prep_save(field.get_default(), connection) for field in fields}
    times = [field.attname for field in fields if isinstance(field, models.DateTimeField)]
    values = operator.itemgetter(*defaults)
    adapt = _utc_text if connection.vendor == "sqlite" else operation.adapt_datetimefield_value

    def prepared(row: Row) -> tuple[Any, ...]:
        row = defaults | row
        for name in times:
            if row[name] is not None:
                row[name] = adapt(row[name])
        return values(row)

    with connection.cursor() as cursor:
        cursor.executemany(statement, [prepared(row) for row in rows])


def _utc_text(at: datetime) -> str:
    """What Django makes of an aware time for SQLite, in a third of the time; a row has two or three."""
    return str(at.astimezone(UTC).replace(tzinfo=None))


def _has_attachment(structure: mime.BodyPart | None) -> bool:
    """A file worth a paper clip: pictures that belong to the text are none."""
    files = mime.select_bodies(structure).attachments if structure else ()
    return any(not part.cid or part.disposition == "attachment" for part in files)


def _adopt(mailbox: Mailbox, fresh: Sequence[Row], known: Container[str]) -> list[Row]:
    """Give rows that wait for their uid (moved without UIDPLUS, renumbered) the one of the same message; what is left.

    The same means Message-ID, size and time of arrival, or at least the first two where that leaves one choice: a
    Message-ID alone is anybody's to use again. ``known`` are the ids that were met before: no others can wait."""
    left, adopted = list(fresh), []
    met = list({row["message_id"] for row in fresh if row["message_id"] in known})
    waiting: list[Message] = []
    for some in operations.chunks(met):
        rows = Message.objects.filter(account_id=mailbox.account_id, message_id__in=some, uid="")
        waiting += [row for row in rows if row.remote_mailbox_id == mailbox.pk]
    for names in (("message_id", "size", "received_at"), ("message_id", "size")):
        for twin, row in _pairs(waiting, left, operator.attrgetter(*names), operator.itemgetter(*names)):
            twin.uid, twin.synced_keywords = row["uid"], row["synced_keywords"]
            twin.show_keywords(row["synced_keywords"].split())
            adopted.append(twin)
            waiting.remove(twin)
            left.remove(row)
    if adopted:
        operations.rebase(mailbox.account, adopted)
        Message.objects.bulk_update(adopted, ["uid", "synced_keywords", *KEYWORD_FIELDS])
    return left


def _pairs(
    waiting: Sequence[Message], fresh: Sequence[Row], ours: Callable[[Message], Any], theirs: Callable[[Row], Any]
) -> list[tuple[Message, Row]]:
    """Those that share a key with exactly one of the other side."""
    if not waiting:
        return []
    counts, others = Counter(map(ours, waiting)), Counter(map(theirs, fresh))
    by_key = {theirs(row): row for row in fresh}
    return [(row, by_key[ours(row)]) for row in waiting if counts[ours(row)] == others[ours(row)] == 1]


def assign_threads(account: Account, rows: Sequence[Message]) -> None:
    """Conversations for rows not yet saved; those that turn out to be one are joined."""
    inputs = [
        threads.ThreadInput(at, row.message_id, tuple(row.references), row.subject, row.sent_at or row.received_at)
        for at, row in enumerate(rows)
    ]
    known = known_threads(account, {i for one in inputs for i in (one.message_id, *one.references)})
    for row, thread in zip(rows, thread_ids(account, inputs, known), strict=True):
        row.thread_id = thread


def known_threads(account: Account, ids: set[str]) -> dict[str, int]:
    """The conversations of those message-ids that were met before."""
    known: dict[str, int] = {}
    table = connection.ops.quote_name(ThreadId._meta.db_table)
    with connection.cursor() as cursor:
        for some in operations.chunks(list(ids - {""})):
            marks = ", ".join(["%s"] * len(some))
            cursor.execute(
                f"SELECT message_id, thread_id FROM {table} WHERE account_id = %s AND message_id IN ({marks})",  # noqa: S608
                [account.pk, *some],
            )
            known.update(cursor.fetchall())
    return known


def thread_ids(account: Account, inputs: Sequence[threads.ThreadInput], known: Mapping[str, int]) -> list[int]:
    """The conversation of each message, made, found or joined; ``key`` is its position."""
    plan = threads.assign(inputs, known, _split_off(account))
    for gone, kept in plan.merges:
        ThreadId.objects.filter(thread_id=gone).update(thread_id=kept)
        Message.objects.filter(thread_id=gone).update(thread_id=kept)
        if Thread.objects.filter(pk=gone, muted=False).exists():  # who knows two message-ids must not silence anything
            Thread.objects.filter(pk=kept).update(muted=False)
        Thread.objects.filter(pk=gone).delete()
    numbers = sorted({n for n in plan.assignments.values() if n < 0}, reverse=True)
    real = dict(zip(numbers, _new_threads(account, len(numbers)), strict=True))
    fresh = [
        {"account_id": account.pk, "message_id": message_id, "thread_id": real.get(number, number)}
        for message_id, number in plan.ids.items()
        if message_id not in known
    ]
    insert(ThreadId, fresh, unless_there=True)
    return [real.get(plan.assignments[one.key], plan.assignments[one.key]) for one in inputs]


def _split_off(account: Account) -> frozenset[str]:
    return frozenset(ThreadId.objects.filter(account=account, apart=True).values_list("message_id", flat=True))


def _new_threads(account: Account, count: int) -> list[int]:
    """Their ids, in rising order. One statement for many, since a conversation has nothing but its id."""
    made: list[int] = []
    table = connection.ops.quote_name(Thread._meta.db_table)
    for some in operations.chunks([account.pk] * count):
        with connection.cursor() as cursor:
            marks = ", ".join(["(%s)"] * len(some))
            cursor.execute(f"INSERT INTO {table} (account_id) VALUES {marks} RETURNING id", some)  # noqa: S608
            made.extend(sorted(number for (number,) in cursor.fetchall()))
    return made
