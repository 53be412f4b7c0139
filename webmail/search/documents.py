"""Messages -> what the index knows of them: at once when they arrive, their text as soon as it is here, the newest first.

What is to be done is marked in the messages themselves, so nothing is forgotten by a crash: the index is written first, then
the mark is taken away, unless there was something new meanwhile. What was written twice is the same."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from accounts.models import Account
from webmail import mime
from webmail.mime.kinds import kind_of
from webmail.models import Document, Message
from webmail.search.index import index, place_of
from webmail.search.words import terms

AT_ONCE = 100  # messages whose terms are written in one transaction, during which no other process can write the index
CHUNK = 500
NEW, TEXT = 1, 2  # of Message.index_due
FIELDS = {"subject": "s", "from": "f", "to": "t", "cc": "c", "filename": "n", "list": "l"}  # and how their terms begin
_LINK = re.compile(r"https?://", re.IGNORECASE)
_ANCHOR = re.compile(r"<a\s[^>]{0,300}href\s*=\s*[\"']?https?:", re.IGNORECASE)
MAX_SIZE = 2**40  # octets; no message is larger
MAX_PEOPLE = 200  # of a message
_COLUMNS = (
    "pk", "account_id", "account__user_id", "received_at", "index_due", "subject", "from_name", "from_email", "addresses",
    "fields", "structure", "has_attachment", "size", "document__number", "body__text", "body__source",
)  # fmt: skip


class Row(NamedTuple):
    """What is read of a message to index it."""

    pk: int
    account_id: int
    user_id: int
    received_at: datetime
    due: int
    subject: str
    from_name: str
    from_email: str
    addresses: dict[str, list[list[str]]]
    fields: dict[str, list[str]]
    structure: dict[str, Any] | None
    has_attachment: bool
    size: int
    number: int | None
    text: str | None
    source: str | None


def catch_up(account: Account, most: int = AT_ONCE) -> int:
    """Index the newest of what is due in one account; how many they were, less than ``most`` if nothing is left."""
    due = Message.objects.filter(account=account, index_due__gt=0).newest_first()
    done = 0
    while done < most:
        rows = [Row(*values) for values in due.values_list(*_COLUMNS)[: min(AT_ONCE, most - done)]]
        if not rows:
            break
        write(rows)
        done += len(rows)
    return done


def rows_of(ids: Collection[int], texts: bool = True) -> Iterator[Row]:
    """Without ``texts`` their text and source are None."""
    columns, rest = (_COLUMNS, ()) if texts else (_COLUMNS[:-2], (None, None))
    for values in Message.objects.filter(pk__in=ids).values_list(*columns):
        yield Row(*values, *rest)


def write(rows: Sequence[Row]) -> None:
    """Into the index. Two at once may do the same messages: the second's new numbers are given back."""
    new = [row for row in rows if row.number is None]
    places = [place_of(row.user_id, row.received_at) for row in new]
    numbers = {row.pk: row.number for row in rows if row.number is not None}
    numbers |= dict(zip((row.pk for row in new), index().numbers(places), strict=True))
    index().put([(numbers[row.pk], terms_of(row)) for row in rows])
    _note(rows, new, numbers)


@transaction.atomic
def _note(rows: Sequence[Row], new: Sequence[Row], numbers: dict[int, int]) -> None:
    Document.objects.bulk_create(
        [Document(number=numbers[row.pk], message_id=row.pk, received_at=row.received_at) for row in new],
        ignore_conflicts=True,
    )
    if new:
        kept = Document.objects.filter(number__in=[numbers[row.pk] for row in new]).values_list("number", flat=True)
        index().remove(sorted({numbers[row.pk] for row in new} - set(kept)))
    for due in (NEW, TEXT):
        done = [row.pk for row in rows if row.due == due]
        Message.objects.filter(pk__in=done, index_due=due).update(index_due=0)


def forget(most: int = 1000) -> int:
    """Let the index forget messages that are gone; how many they were."""
    gone = list(Document.objects.filter(message__isnull=True).values_list("pk", flat=True)[:most])
    if gone:
        index().remove(gone)
        Document.objects.filter(pk__in=gone).delete()
    return len(gone)


def is_due(account: Account) -> bool:
    """Something of this account is to be indexed."""
    return Message.objects.filter(account=account, index_due__gt=0).exists()


def due() -> list[int]:
    """Accounts of which something is to be indexed."""
    waiting = Message.objects.filter(index_due__gt=0).order_by()
    accounts = Account.objects.annotate(waits=Exists(waiting.filter(account=OuterRef("pk")))).filter(waits=True)
    return list(accounts.values_list("pk", flat=True))


def number_due() -> int:
    return Message.objects.filter(index_due__gt=0).count()


def index_anew() -> None:
    """Everything is due again. What the index has stays in it, and is found, until it is written anew; what no message
    knows of is let go."""
    last = 0
    while ids := list(Message.objects.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        Message.objects.filter(pk__in=ids).update(index_due=TEXT)
        last = ids[-1]
    _drop_unknown()


def _drop_unknown() -> None:
    """Documents that a crash left behind, or that were made after the database was backed up."""
    high = 2**63 - 1
    while numbers := index().match(index().all_of([]), 0, high, CHUNK):
        known = set(Document.objects.filter(number__in=numbers).values_list("number", flat=True))
        if unknown := [number for number in numbers if number not in known]:
            index().remove(unknown)
        high = numbers[-1]


def octets() -> int:
    """What the index takes on the disk."""
    return index().octets()


def is_lost() -> bool:
    """There is no index any more, although messages were indexed: its file was left out of a backup, or removed."""
    return (
        not index().match(index().all_of([]), 0, 2**63 - 1, 1)
        and Document.objects.filter(message__isnull=False).exists()
    )


def has_gone() -> bool:
    return Document.objects.filter(message__isnull=True).exists()


def is_untidy() -> bool:
    """Something of messages that are gone may still stand in the pages of the index."""
    return index().is_untidy()


def tidy() -> bool:
    """Write a part of the index anew without it; True if there is more to do. All of it is as much work as the index is
    large."""
    return index().tidy()


# --- terms --------------------------------------------------------------------------------------------------------


def terms_of(row: Row) -> set[str]:
    """Words of the text and of the fields stand alike; those of a field once more with its letter before them. The rest
    are marks."""
    found = set(terms((row.text or "")[: settings.SEARCH_TEXT]))
    for field, text in fields_of(row):
        letter = FIELDS[field]
        for term in terms(text):
            found |= {term, f"{letter}:{term}"}
    found.add(account_mark(row.account_id))
    found |= {has_mark(what) for what in features(row)}
    found.add(_size_mark(row.size))
    return found


def fields_of(row: Row) -> Iterator[tuple[str, str]]:
    """What is in the fields that can be searched by themselves."""
    yield "subject", row.subject
    yield "from", f"{row.from_name} {row.from_email}"
    for name, field in (("to", "to"), ("cc", "cc"), ("bcc", "cc")):
        for person in row.addresses.get(name, [])[:MAX_PEOPLE]:
            yield field, " ".join(person)
    for value in row.fields.get("list-id", [])[:1]:
        yield "list", value
    for part in _parts(row):
        if part.name:
            yield "filename", part.name


def features(row: Row) -> set[str]:
    """Of ``has:``."""
    found = {"attachment"} if row.has_attachment else set()
    for part in _parts(row):
        kind = kind_of(part.name, part.type)
        if kind == "calendar":
            found.add("invitation")
        elif kind == "pdf":
            found.add("pdf")
        elif kind == "image" and (part.disposition == "attachment" or not part.cid):
            found.add("picture")
    if row.text and (_LINK.search(row.text) or _ANCHOR.search(row.source or "")):
        found.add("link")
    return found


def _parts(row: Row) -> Sequence[mime.BodyPart]:
    return list(mime.BodyPart.from_json(row.structure).walk()) if row.structure else ()


def account_mark(account_id: int) -> str:
    return f":a{account_id}"


def has_mark(what: str) -> str:
    return f":{what}"


def _size_mark(size: int) -> str:
    return f":{size.bit_length()}b"


def size_marks(over: int | None, under: int | None) -> list[str]:
    """Of all messages between these sizes, and of some that are not."""
    return [f":{bits}b" for bits in range((over or 0).bit_length(), min(under or MAX_SIZE, MAX_SIZE).bit_length() + 1)]
