"""What an operation can be, and what all kinds of them need: their rows, by where the server has them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from webmail.models import Mailbox, Message, MessageQuerySet, Operation
from webmail.protocols.base import Condition, MailStore
from webmail.protocols.errors import NotFound

BATCH = 500  # messages a server command and a database statement
UNDO_WINDOW = timedelta(seconds=10)  # how long what cannot be reversed is held back


class CannotDo(Exception):
    """What was asked makes no sense here; the text is for the person."""


def chunks(items: Sequence[Any], size: int = BATCH) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


MANY, UNDO_MANY = "many", "undo_many"
MANY_KINDS = (MANY, UNDO_MANY)  # never replayed themselves; see many.py
COMBINED_LIMIT = 2000  # messages of operations that are replayed as one


@dataclass(slots=True)
class Shown:
    """How the person sees a message: in which folder (None: nowhere) and with which keywords."""

    mailbox_id: int | None
    keywords: set[str]


class Kind:
    """What can be done. ``payload``, for kinds that are about messages, makes a payload of ids and further arguments;
    ``ids_of`` is its reverse. One that is ``here_only`` is done as soon as it is applied. Where ``combinable``, ``combine``
    turns the payloads of operations that follow one another into one with the same effect. ``lay_over`` changes how
    messages are shown as ``apply`` does, in memory."""

    name: ClassVar[str]
    combinable: ClassVar[bool] = False
    here_only: ClassVar[bool] = False  # nothing to be told to any server
    quiet: ClassVar[bool] = False  # nothing that the person did: no page changes by it, and no failure is told
    delay = timedelta(0)

    @staticmethod
    def payload(ids: Sequence[int], **arguments: Any) -> dict[str, Any]:
        raise NotImplementedError

    @staticmethod
    def ids_of(payload: dict[str, Any]) -> list[int]:
        return payload.get("ids", [])

    @staticmethod
    def combine(payloads: Sequence[dict[str, Any]]) -> dict[str, Any]:
        raise NotImplementedError

    @staticmethod
    def apply(op: Operation) -> None:
        raise NotImplementedError

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        raise NotImplementedError

    @staticmethod
    def revert(op: Operation) -> None:
        raise NotImplementedError

    @staticmethod
    def lay_over(op: Operation, shown: Mapping[int, Shown]) -> None:
        """Nothing, for what is not about messages that are there already."""

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return None

    @staticmethod
    def settle_here(op: Operation) -> None:
        """Instead of ``replay`` on a downloading account: make final what was held back. Nothing to be told to any
        server."""


KINDS: dict[str, type[Kind]] = {}


def kind(cls: type[Kind]) -> type[Kind]:
    KINDS[cls.name] = cls
    return cls


def rows_of(op: Operation, ids: Collection[int]) -> list[Message]:
    rows: list[Message] = []
    for some in chunks(list(ids)):
        rows += Message.objects.filter(account_id=op.account_id, pk__in=some)
    return rows


def mailbox_of(pk: int) -> Mailbox:
    """Raises NotFound if the folder went meanwhile."""
    found = Mailbox.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound(_("The folder is gone."))
    return found


def by_remote(rows: Iterable[Message]) -> Iterator[tuple[Mailbox, list[Message]]]:
    """Rows grouped by where the server has them, in batches; what no server has is left out."""
    groups: dict[int, list[Message]] = defaultdict(list)
    for row in rows:
        if row.remote_mailbox_id:
            groups[row.remote_mailbox_id].append(row)
    mailboxes = Mailbox.objects.in_bulk(groups.keys())
    for mailbox_id, group in groups.items():
        if mailboxes[mailbox_id].remote_name is not None:
            for some in chunks(group):
                yield mailboxes[mailbox_id], list(some)


def use(store: MailStore, mailbox: Mailbox) -> str:
    """The mailbox's name there; from now on the store refuses our uids if they would mean other messages."""
    if mailbox.remote_name is None:
        raise NotFound(_("The folder is not on the server yet."))
    store.expect(mailbox.remote_name, mailbox.state or None)
    return mailbox.remote_name


def locate(store: MailStore, mailbox: Mailbox, rows: Iterable[Message]) -> list[Message]:
    """The rows that have a uid, after asking for those whose new uid a server without UIDPLUS kept to itself."""
    name = use(store, mailbox)
    found = []
    for row in rows:
        if not row.uid and row.message_id:
            row.uid = _uid_of(store, mailbox, name, row)
            row.save(update_fields=["uid"])
        if row.uid:
            found.append(row)
    return found


def _uid_of(store: MailStore, mailbox: Mailbox, name: str, row: Message, before: int | None = None) -> str:
    """The uid of a message known by its Message-ID and size; "" if it is not there. A Message-ID alone proves nothing:
    anybody can send a message with one that is known. ``before``: only rows with a lower id can have a uid that is not
    the one looked for."""
    known = Message.objects.filter(remote_mailbox=mailbox, message_id=row.message_id).exclude(uid="")
    if before is not None:
        known = known.filter(pk__lt=before)
    taken = set(known.values_list("uid", flat=True))
    free = [uid for uid in store.search(name, Condition(message_id=row.message_id)) if uid not in taken]
    same = [remote.uid for remote in store.messages(name, free[:20]) if remote.size == row.size]
    return same[0] if same else ""


def found_in(store: MailStore, target: Mailbox, rows: Iterable[Message]) -> list[Message]:
    """Those of the rows that the server has in ``target`` already; saved as being there. A sync may have made a row of
    its own for one meanwhile, with a higher id; an older row is of another message."""
    name, found = use(store, target), []
    for row in rows:
        if row.message_id and (uid := _uid_of(store, target, name, row, row.pk)):
            row.remote_mailbox, row.uid = target, uid
            settle([row])
            found.append(row)
    return found


def settle(rows: Sequence[Message]) -> None:
    """Save where the server has these rows now. A sync may have seen the new place first and made rows of its own:
    those give way, because ours carry what the person did."""
    told: dict[int | None, list[Message]] = defaultdict(list)
    for row in rows:
        if row.uid:
            told[row.remote_mailbox_id].append(row)
    for mailbox_id, some in told.items():
        # "uid is not empty" lets the partial index be used; without it a whole mailbox is read.
        there = Message.objects.filter(remote_mailbox_id=mailbox_id, uid__in=[row.uid for row in some]).exclude(uid="")
        discard(there.exclude(pk__in=[row.pk for row in some]))
    Message.objects.bulk_update(rows, ["remote_mailbox", "uid"])


def discard(rows: MessageQuerySet) -> int:
    """Delete rows for good, and keep the counts of the folders that they were shown in; how many."""
    shown = rows.filter(mailbox__isnull=False).order_by().values_list("mailbox")
    counts = list(shown.annotate(total=Count("id"), unread=Count("id", filter=Q(seen=False))))
    gone = rows.delete()[1].get("webmail.Message", 0)
    for mailbox_id, total, unread in counts:
        Mailbox(pk=mailbox_id).count(-total, -unread)
    return gone


def join_keywords(keywords: Iterable[str]) -> str:
    return " ".join(sorted(keywords))
