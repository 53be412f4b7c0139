"""Push: what the person did, shown at once and replayed on the server in order.

An operation is a row. Its kind has ``apply`` (the cache, in the transaction that makes the row), ``replay`` (the
server; idempotent, because a crash repeats it), ``revert`` (the cache, as it was) and ``inverse`` (what undoes it
afterwards). ``pending → replaying → done``; ``canceled`` if undone before it began; ``failed`` (and reverted) if the
server refused. One runner per account replays first in, first out; see leases.py.
"""

from __future__ import annotations

import logging
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Count, F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account, User
from accounts.troubles import explain
from webmail import events
from webmail.models import (
    KEYWORD_FIELDS,
    Mailbox,
    Message,
    MessageBody,
    Operation,
    OperationState,
    forget_file,
)
from webmail.protocols.base import Condition, MailStore
from webmail.protocols.errors import AlreadyExists, MailError, NotFound, ProtocolError, Refused, StateLost

log = logging.getLogger(__name__)
BATCH = 500  # messages a server command and a database statement
MAX_ATTEMPTS = 12
MAX_DEFECTS = 3
HISTORY = timedelta(days=30)  # how long what was done is kept to be undone
UNDO_WINDOW = timedelta(seconds=10)  # how long what cannot be reversed is held back
DEFAULT_NAMES = {"archive": "Archive", "junk": "Junk", "trash": "Trash", "sent": "Sent", "drafts": "Drafts"}


class CannotDo(Exception):
    """What was asked makes no sense here; the text is for the person."""


def chunks(items: Sequence[Any], size: int = BATCH) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


# --- kinds ------------------------------------------------------------------------------------------------------


class Kind:
    name: ClassVar[str]
    delay = timedelta(0)
    needs_server = True  # False: on a downloading account nothing is replayed

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
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return None


KINDS: dict[str, type[Kind]] = {}


def kind(cls: type[Kind]) -> type[Kind]:
    KINDS[cls.name] = cls
    return cls


def _rows(op: Operation, ids: Collection[int]) -> list[Message]:
    rows: list[Message] = []
    for some in chunks(list(ids)):
        rows += Message.objects.filter(account_id=op.account_id, pk__in=some)
    return rows


def _mailbox(pk: int) -> Mailbox:
    """Raises NotFound if the folder went meanwhile."""
    found = Mailbox.objects.filter(pk=pk).first()
    if found is None:
        raise NotFound(_("The folder is gone."))
    return found


def _by_remote(rows: Iterable[Message]) -> Iterator[tuple[Mailbox, list[Message]]]:
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


def _locate(store: MailStore, mailbox: Mailbox, rows: Iterable[Message]) -> list[Message]:
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


def _uid_of(store: MailStore, mailbox: Mailbox, name: str, row: Message) -> str:
    """The uid of a message known by its Message-ID and size; "" if it is not there. A Message-ID alone proves nothing:
    anybody can send a message with one that is known."""
    known = Message.objects.filter(remote_mailbox=mailbox, message_id=row.message_id).exclude(uid="")
    taken = set(known.values_list("uid", flat=True))
    free = [uid for uid in store.search(name, Condition(message_id=row.message_id)) if uid not in taken]
    same = [remote.uid for remote in store.messages(name, free[:20]) if remote.size == row.size]
    return same[0] if same else ""


@kind
class ChangeKeywords(Kind):
    """payload ``{"changes": [{"ids", "add", "remove"}]}``; before: the same shape, undoing exactly what changed."""

    name = "keywords"

    @staticmethod
    def apply(op: Operation) -> None:
        undo: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
        for change in op.payload["changes"]:
            add, remove = set(change["add"]), set(change["remove"])
            for some in chunks(change["ids"]):
                own = Message.objects.filter(account_id=op.account_id, pk__in=some)
                rows = list(own.only("account_id", "mailbox_id", *KEYWORD_FIELDS))  # of many rows only what changes
                for row in rows:
                    old = row.keywords
                    row.show_keywords((old | add) - remove)
                    added, removed = row.keywords - old, old - row.keywords
                    if added or removed:
                        undo[tuple(sorted(removed)), tuple(sorted(added))].append(row.pk)
                _count_unread(rows, some)
                Message.objects.bulk_update(rows, KEYWORD_FIELDS)
        op.before = {"changes": [{"ids": ids, "add": add, "remove": remove} for (add, remove), ids in undo.items()]}

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        for change in op.payload["changes"]:
            add, remove = set(change["add"]), set(change["remove"])
            for mailbox, some in _by_remote(_rows(op, change["ids"])):
                rows = _locate(store, mailbox, some)
                store.set_keywords(use(store, mailbox), [row.uid for row in rows], add, remove)
                for row in rows:
                    row.synced_keywords = join_keywords((set(row.synced_keywords.split()) | add) - remove)
                Message.objects.bulk_update(rows, ["synced_keywords"])

    @staticmethod
    def revert(op: Operation) -> None:
        forward = op.before
        ChangeKeywords.apply(Operation(account_id=op.account_id, payload=forward))

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return ("keywords", op.before) if op.before["changes"] else None


def _count_unread(rows: Sequence[Message], ids: Sequence[int]) -> None:
    """Move the kept counts by the difference between these rows, not yet saved, and their stored selves."""
    unread: dict[int, int] = defaultdict(int)
    stored = Message.objects.filter(pk__in=ids, seen=False, mailbox__isnull=False)
    for mailbox_id, number in stored.values_list("mailbox").annotate(Count("id")):
        unread[mailbox_id] -= number
    for row in rows:
        if row.mailbox_id and not row.seen:
            unread[row.mailbox_id] += 1
    for mailbox_id, number in unread.items():
        Mailbox(pk=mailbox_id).count(unread=number)


def _show_in(ids: Sequence[int], target_id: int | None) -> dict[str, list[int]]:
    """Put messages into another folder of the cache (None: out of sight) and keep the counts; what was where, before."""
    before: dict[str, list[int]] = defaultdict(list)
    total: dict[int, int] = defaultdict(int)
    unread: dict[int, int] = defaultdict(int)
    for some in chunks(ids):
        for pk, mailbox_id, seen in Message.objects.filter(pk__in=some).values_list("pk", "mailbox_id", "seen"):
            if mailbox_id == target_id:
                continue
            before[str(mailbox_id or "")].append(pk)
            for place, step in ((mailbox_id, -1), (target_id, 1)):
                if place:
                    total[place] += step
                    unread[place] += 0 if seen else step
        Message.objects.filter(pk__in=some).update(mailbox_id=target_id)
    for mailbox_id in total:
        Mailbox(pk=mailbox_id).count(total[mailbox_id], unread[mailbox_id])
    return dict(before)


def _visible(op: Operation, ids: Sequence[int]) -> Iterator[int]:
    """Without those that were destroyed meanwhile: an old move undone must not bring them back."""
    for some in chunks(ids):
        shown = Message.objects.filter(account_id=op.account_id, pk__in=some, mailbox__isnull=False)
        yield from shown.values_list("pk", flat=True)


def _show_again(op: Operation) -> None:
    """Put messages back where they were shown before; if the server was at work already, but for those it has moved."""
    there = set(Mailbox.objects.filter(account_id=op.account_id).values_list("pk", flat=True))
    for mailbox_id, ids in op.before.items():
        if not mailbox_id or int(mailbox_id) not in there:
            continue
        for some in chunks(ids):
            rows = Message.objects.filter(pk__in=some)
            if op.attempts:
                rows = rows.exclude(remote_mailbox=F("mailbox"), mailbox__isnull=False)
            _show_in(list(rows.values_list("pk", flat=True)), int(mailbox_id))


@kind
class Move(Kind):
    """payload ``{"moves": [{"ids", "target"}]}``; before: ``{mailbox id: [message ids]}``."""

    name = "move"
    needs_server = False

    @staticmethod
    def apply(op: Operation) -> None:
        before: dict[str, list[int]] = defaultdict(list)
        for move in op.payload["moves"]:
            visible = list(_visible(op, move["ids"]))
            for mailbox_id, ids in _show_in(visible, move["target"]).items():
                before[mailbox_id] += ids
        op.before = before

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        for move in op.payload["moves"]:
            target = _mailbox(move["target"])
            if target.remote_name is None:
                raise NotFound(_("The folder is not on the server."))
            waiting = [row for row in _rows(op, move["ids"]) if row.remote_mailbox_id != target.pk]
            for source, some in _by_remote(waiting):
                rows = _locate(store, source, some)
                new_uids = store.move(use(store, source), [row.uid for row in rows], target.remote_name)
                for row in rows:
                    row.remote_mailbox, row.uid = target, new_uids.get(row.uid, "")
                settle(rows)

    @staticmethod
    def revert(op: Operation) -> None:
        _show_again(op)

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        there = set(Mailbox.objects.filter(account_id=op.account_id, hidden=False).values_list("pk", flat=True))
        moves = [
            {"ids": ids, "target": int(mailbox_id)}
            for mailbox_id, ids in op.before.items()
            if mailbox_id and int(mailbox_id) in there
        ]
        return ("move", {"moves": moves}) if moves else None


def _found_in(store: MailStore, target: Mailbox, rows: Iterable[Message]) -> list[Message]:
    """Those of the rows that the server has in ``target`` already; saved as being there."""
    name, found = use(store, target), []
    for row in rows:
        if row.message_id and (uid := _uid_of(store, target, name, row)):
            row.remote_mailbox, row.uid = target, uid
            settle([row])
            found.append(row)
    return found


def settle(rows: Sequence[Message]) -> None:
    """Save where the server has these rows now. A sync may have seen the new place first and made rows of its own:
    those give way, because ours carry what the person did."""
    for row in rows:
        if row.uid:
            Message.objects.filter(remote_mailbox_id=row.remote_mailbox_id, uid=row.uid).exclude(pk=row.pk).delete()
    Message.objects.bulk_update(rows, ["remote_mailbox", "uid"])


@kind
class Copy(Kind):
    """payload ``{"ids", "target"}``; before ``{"copies": {new id: old id}}``."""

    name = "copy"
    needs_server = False

    @staticmethod
    def apply(op: Operation) -> None:
        copies: dict[str, int] = {}
        target = Mailbox.objects.get(pk=op.payload["target"])
        for row in _rows(op, op.payload["ids"]):
            original = row.pk
            row.pk, row._state.adding = None, True
            row.mailbox, row.remote_mailbox, row.uid = target, None, ""
            if row.blob:
                with row.blob.storage.open(row.blob.name or "") as blob:
                    row.blob.save("copy", blob, save=False)
            row.save()
            copies[str(row.pk)] = original
            target.count(1, 0 if row.seen else 1)
        op.before = {"copies": copies}

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        copies = op.before["copies"]
        target = _mailbox(op.payload["target"])
        if target.remote_name is None:
            raise NotFound(_("The folder is not on the server."))
        waiting = {row.pk: row for row in _rows(op, [int(pk) for pk in copies]) if row.remote_mailbox_id is None}
        twin = {copies[str(pk)]: row for pk, row in waiting.items()}
        if op.attempts > 1:  # an earlier try may have come as far as the server
            arrived = _found_in(store, target, twin.values())
            twin = {pk: row for pk, row in twin.items() if row not in arrived}
        for source, some in _by_remote(_rows(op, list(twin))):
            originals = _locate(store, source, some)
            new_uids = store.copy(use(store, source), [row.uid for row in originals], target.remote_name)
            for original in originals:
                copy = twin[original.pk]
                copy.remote_mailbox, copy.uid = target, new_uids.get(original.uid, "")
            settle([twin[original.pk] for original in originals])

    @staticmethod
    def revert(op: Operation) -> None:
        ids = [int(pk) for pk in op.before["copies"]]
        _show_in(ids, None)
        Message.objects.filter(account_id=op.account_id, pk__in=ids).delete()

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return "destroy", {"ids": [int(pk) for pk in op.before["copies"]]}


@kind
class Destroy(Kind):
    """payload ``{"ids"}``; held back for UNDO_WINDOW, then gone for good; before as in Move."""

    name = "destroy"
    delay = UNDO_WINDOW

    @staticmethod
    def apply(op: Operation) -> None:
        op.before = _show_in(op.payload["ids"], None)

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        for mailbox, some in _by_remote(_rows(op, op.payload["ids"])):
            rows = _locate(store, mailbox, some)
            store.destroy(use(store, mailbox), [row.uid for row in rows])
            Message.objects.filter(pk__in=[row.pk for row in some]).delete()
        for ids in chunks(op.payload["ids"]):  # never on the server, or not any more
            Message.objects.filter(account_id=op.account_id, pk__in=ids, mailbox__isnull=True).delete()

    @staticmethod
    def revert(op: Operation) -> None:
        _show_again(op)


def _settle_downloaded(op: Operation, store: MailStore) -> None:
    """The held-back kinds on a downloading account, where nothing is to be told to the server."""
    if op.kind == "destroy":
        _forget(_rows(op, op.payload["ids"]))
    elif op.kind == "destroy_mailbox":
        inside = Message.objects.filter(account_id=op.account_id, mailbox_id=op.payload["mailbox"])
        rows = list(inside)
        inside.update(mailbox=None)
        _forget(rows)
        DestroyMailbox.replay(op, store)


def _forget(rows: Iterable[Message]) -> None:
    """Our copy goes. Of one that is still on the server the uid is remembered, or it would be downloaded again."""
    for row in rows:
        if row.blob:
            forget_file(row.blob.name)
        if row.uid:
            Message.objects.filter(pk=row.pk).update(
                blob="", subject="", preview="", from_name="", from_email="", addresses={}, fields={}, structure=None
            )
            MessageBody.objects.filter(message=row).delete()
        else:
            row.delete()


@kind
class CreateMailbox(Kind):
    """payload ``{"mailbox"}``: the row was made by the verb below."""

    name = "create_mailbox"
    needs_server = False

    @staticmethod
    def apply(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(hidden=False)

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        mailbox = _mailbox(op.payload["mailbox"])
        if mailbox.remote_name is not None:
            return
        try:
            store.create_mailbox(mailbox.name)
        except AlreadyExists:
            if op.attempts <= 1 and not mailbox.role:  # a repeat after a crash meets its own work
                raise
        store.subscribe(mailbox.name, True)
        # Sync may have listed it meanwhile: what it put there is ours to show under the row the person made.
        listed = Mailbox.objects.filter(account=mailbox.account, remote_name=mailbox.name).first()
        if listed:
            Message.objects.filter(mailbox=listed).update(mailbox=mailbox)
            Message.objects.filter(remote_mailbox=listed).update(remote_mailbox=mailbox)
            listed.delete()
        Mailbox.objects.filter(pk=mailbox.pk).update(remote_name=mailbox.name)

    @staticmethod
    def revert(op: Operation) -> None:
        mailbox = Mailbox.objects.filter(pk=op.payload["mailbox"]).first()
        if mailbox and not mailbox.messages.exists():
            mailbox.delete()

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        mailbox = Mailbox.objects.filter(pk=op.payload["mailbox"]).first()
        return ("destroy_mailbox", {"mailbox": mailbox.pk}) if mailbox and not mailbox.total else None


@kind
class RenameMailbox(Kind):
    """payload ``{"mailbox", "name"}``; before ``{"name"}``. Folders below follow, here and on the server (RFC 9051 §6.3.6)."""

    name = "rename_mailbox"
    needs_server = False

    @staticmethod
    def apply(op: Operation) -> None:
        mailbox = _mailbox(op.payload["mailbox"])
        op.before = {"name": mailbox.name}
        _rename_rows(mailbox, op.payload["name"], "name")

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        mailbox = _mailbox(op.payload["mailbox"])
        old, new = mailbox.remote_name, op.payload["name"]
        if old is None or old == new:
            return
        try:
            store.rename_mailbox(old, new)
        except NotFound:
            if op.attempts <= 1 or not any(box.name == new for box in store.mailboxes()):
                raise
        store.subscribe(old, False)
        store.subscribe(new, True)
        _rename_rows(mailbox, new, "remote_name")

    @staticmethod
    def revert(op: Operation) -> None:
        mailbox = Mailbox.objects.filter(pk=op.payload["mailbox"]).first()
        if mailbox:
            _rename_rows(mailbox, op.before["name"], "name")

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return "rename_mailbox", {"mailbox": op.payload["mailbox"], "name": op.before["name"]}


def _rename_rows(mailbox: Mailbox, new: str, column: str) -> None:
    old = getattr(mailbox, column)
    below = old + mailbox.delimiter if mailbox.delimiter else None
    for row in Mailbox.objects.filter(account_id=mailbox.account_id):
        name = getattr(row, column)
        if row.pk == mailbox.pk or (below and name and name.startswith(below)):
            setattr(row, column, new + name[len(old) :])
            row.save(update_fields=[column])


@kind
class DestroyMailbox(Kind):
    """payload ``{"mailbox"}``: the folder and what is in it, held back for UNDO_WINDOW."""

    name = "destroy_mailbox"
    delay = UNDO_WINDOW
    needs_server = False

    @staticmethod
    def apply(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(hidden=True)

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        mailbox = Mailbox.objects.filter(pk=op.payload["mailbox"]).first()
        if mailbox is None:
            return
        if mailbox.remote_name is not None:
            _refuse_unseen(store, mailbox)
            try:
                store.destroy_mailbox(mailbox.remote_name)
                store.subscribe(mailbox.remote_name, False)
            except NotFound:
                log.info("mailbox %s was gone already", mailbox.pk)
        mailbox.delete()

    @staticmethod
    def revert(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(hidden=False)


def _refuse_unseen(store: MailStore, mailbox: Mailbox) -> None:
    """A folder takes with it only what the person saw in it. Raises Refused if there is more by now, or if something
    they moved out of it is in there still."""
    rows = Message.objects.filter(remote_mailbox=mailbox)
    if rows.exclude(mailbox=mailbox).exclude(mailbox=None).exists():
        raise Refused(_("Something that was moved out of the folder is still in it."))
    brought_back = Operation.objects.filter(
        account_id=mailbox.account_id, kind="move", state=OperationState.FAILED, before__has_key=str(mailbox.pk)
    )
    if brought_back.filter(told=False).exists():
        raise Refused(_("Something that was to be moved out of the folder is still in it."))
    known = {
        row.uid: frozenset(row.synced_keywords.split()) for row in rows.exclude(uid="").only("uid", "synced_keywords")
    }
    try:
        created = store.changes(mailbox.remote_name or "", mailbox.state or None, known).created
    except NotFound:
        return
    if created and mailbox.complete:
        raise Refused(_("New mail has come into the folder since you looked."))


@kind
class Subscribe(Kind):
    """payload ``{"mailbox", "subscribed"}``."""

    name = "subscribe"
    needs_server = False

    @staticmethod
    def apply(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(subscribed=op.payload["subscribed"])

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        mailbox = _mailbox(op.payload["mailbox"])
        if mailbox.remote_name is not None:
            store.subscribe(mailbox.remote_name, op.payload["subscribed"])

    @staticmethod
    def revert(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(subscribed=not op.payload["subscribed"])

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return "subscribe", {**op.payload, "subscribed": not op.payload["subscribed"]}


# --- submitting and undoing -------------------------------------------------------------------------------------

_nudge: Callable[[int], None] | None = None


def on_submit(nudge: Callable[[int], None]) -> None:
    """tasks.py says here how to tell a worker; operations know of no queue."""
    global _nudge
    _nudge = nudge


@transaction.atomic
def submit(
    account: Account,
    name: str,
    payload: dict[str, Any],
    batch: uuid.UUID | None = None,
    undoes: uuid.UUID | None = None,
) -> Operation:
    """Apply to the cache and queue for the server, in one transaction."""
    what = KINDS[name]
    op = Operation(
        account=account,
        kind=name,
        payload=payload,
        batch=batch or uuid.uuid4(),
        undoes=undoes,
        not_before=timezone.now() + what.delay,
    )
    what.apply(op)
    if account.downloads and what.delay == timedelta(0):
        op.state = OperationState.DONE
    op.save()
    transaction.on_commit(lambda: _tell(op))
    return op


def _tell(op: Operation) -> None:
    events.publish(op.account.user_id, "mailbox", ids=[])
    if op.state == OperationState.PENDING and _nudge:
        _nudge(op.account_id)


def undo(user: User, batch: uuid.UUID) -> bool:
    """Take back all operations of an action: canceled while they wait, by their inverse afterwards. False: too late."""
    undone = False
    for op in Operation.objects.for_user(user).filter(batch=batch).select_related("account").order_by("-id"):
        undone |= _undo_one(op)
    return undone


@transaction.atomic
def _undo_one(op: Operation) -> bool:
    what = KINDS[op.kind]
    if op.kind == "create_mailbox" and _needed_later(op):
        return False
    untouched = Operation.objects.filter(pk=op.pk, state=OperationState.PENDING, attempts=0)
    if untouched.update(state=OperationState.CANCELED):
        what.revert(op)
        transaction.on_commit(lambda: events.publish(op.account.user_id, "mailbox", ids=[]))
        return True
    op.refresh_from_db()
    if op.state in (OperationState.CANCELED, OperationState.FAILED, OperationState.REVERTED):
        return False
    inverse = what.inverse(op)
    if inverse is None:
        return False
    submit(op.account, *inverse, undoes=op.batch)
    Operation.objects.filter(pk=op.pk, state=OperationState.DONE).update(state=OperationState.REVERTED)
    return True


def _needed_later(op: Operation) -> bool:
    """True if something done since, and still waiting, is about the folder that this one makes."""
    pk = op.payload["mailbox"]
    later = Operation.objects.filter(account_id=op.account_id, pk__gt=op.pk).open()
    about = Q(payload__mailbox=pk) | Q(payload__target=pk)
    return later.filter(about).exists() or any(
        move["target"] == pk for other in later.filter(kind="move") for move in other.payload["moves"]
    )


# --- replaying --------------------------------------------------------------------------------------------------


def due(account: Account) -> bool:
    return _next(account) is not None


def _next(account: Account) -> Operation | None:
    """The oldest operation whose time has come; folder operations never overtake one another."""
    waiting_folders = False
    for op in Operation.objects.filter(account=account).open().order_by("id")[:200]:
        about_folders = op.kind.endswith("_mailbox")
        if op.not_before <= timezone.now() and about_folders and waiting_folders:
            return None  # what comes after it may be about the folder that it makes
        if op.not_before <= timezone.now():
            return op
        if op.attempts:
            return None  # failed and waiting to be tried again: what came after it may depend on it
        waiting_folders |= about_folders
    return None


def replay_due(account: Account, store: MailStore) -> int:
    """Replay what is due, in order; how many were done. Raises MailError if the server cannot be worked with now."""
    done = 0
    while op := _next(account):
        if not _replay_one(op, store):
            break
        done += 1
    return done


def _replay_one(op: Operation, store: MailStore) -> bool:
    """False: stop here for now. Raises MailError if the server cannot be worked with."""
    unclaimed = Operation.objects.filter(pk=op.pk, state=op.state, attempts=op.attempts)
    claimed = unclaimed.update(state=OperationState.REPLAYING, attempts=op.attempts + 1)
    if not claimed:
        return True  # taken back at the last moment
    op.attempts += 1
    try:
        _settle_downloaded(op, store) if op.account.downloads else KINDS[op.kind].replay(op, store)
    except StateLost:
        # The server numbered a mailbox anew. A sync finds its messages again; this waits for it.
        _postpone(op)
        Account.objects.filter(pk=op.account_id).update(sync_wanted=True)
        return False
    except MailError as error:
        if isinstance(error, Refused) or not (error.retryable or error.needs_user) or op.attempts >= MAX_ATTEMPTS:
            fail(op, error)
            return True
        _postpone(op)
        raise
    except Exception:  # a defect of ours must not stop all that comes after it for ever
        log.exception("operation %s (%s)", op.pk, op.kind)
        if op.attempts < MAX_DEFECTS:
            _postpone(op)
            return False
        fail(op, ProtocolError(_("An error in Postkasse; the operator finds it in the log.")))
        return True
    Operation.objects.filter(pk=op.pk).update(state=OperationState.DONE)
    return True


def _postpone(op: Operation) -> None:
    wait = timedelta(seconds=min(5 * 2**op.attempts, 3600))
    Operation.objects.filter(pk=op.pk).update(state=OperationState.PENDING, not_before=timezone.now() + wait)


@transaction.atomic
def fail(op: Operation, error: MailError) -> None:
    """The server said no for good: the cache goes back and the person is told once."""
    try:
        with transaction.atomic():
            KINDS[op.kind].revert(op)
    except Exception:  # what it was about may be gone altogether; the next sync shows what there is
        log.exception("operation %s (%s) could not be reverted", op.pk, op.kind)
    trouble = explain(error, op.account.label)
    Operation.objects.filter(pk=op.pk).update(
        state=OperationState.FAILED, trouble=trouble.what, detail=trouble.detail, told=False
    )
    transaction.on_commit(lambda: events.publish(op.account.user_id, "operation", failed=[op.pk]))


def forget_old() -> None:
    """What is over cannot be undone for ever."""
    over = Operation.objects.exclude(state__in=[OperationState.PENDING, OperationState.REPLAYING]).filter(told=True)
    over.filter(created_at__lt=timezone.now() - HISTORY).delete()


def join_keywords(keywords: Iterable[str]) -> str:
    return " ".join(sorted(keywords))


def rebase(account: Account, rows: Iterable[Message]) -> None:
    """Show on freshly synced rows (not yet saved) what the person did and the server has not heard."""
    stored = {row.pk: row for row in rows if row.pk}
    if not stored:
        return
    for op in Operation.objects.filter(account=account, kind="keywords").open().order_by("id"):
        for change in op.payload["changes"]:
            for pk in stored.keys() & set(change["ids"]):
                stored[pk].show_keywords((stored[pk].keywords | set(change["add"])) - set(change["remove"]))


# --- verbs of the pages -----------------------------------------------------------------------------------------


def by_account(user: User, ids: Iterable[int]) -> Iterator[tuple[Account, list[int]]]:
    """The person's own among these messages, by account."""
    groups: dict[int, list[int]] = defaultdict(list)
    for some in chunks(list(dict.fromkeys(ids))):
        for account_id, pk in Message.objects.for_user(user).filter(pk__in=some).values_list("account_id", "pk"):
            groups[account_id].append(pk)
    accounts = Account.objects.for_user(user).in_bulk(groups)
    for account_id, own in groups.items():
        yield accounts[account_id], own


def change_keywords(user: User, ids: Iterable[int], add: Iterable[str] = (), remove: Iterable[str] = ()) -> uuid.UUID:
    batch = uuid.uuid4()
    for account, own in by_account(user, ids):
        submit(account, "keywords", {"changes": [{"ids": own, "add": sorted(add), "remove": sorted(remove)}]}, batch)
    return batch


def move_to(user: User, ids: Iterable[int], target: Mailbox) -> uuid.UUID:
    """Raises CannotDo if a message belongs to another account."""
    batch = uuid.uuid4()
    groups = list(by_account(user, ids))
    if any(account.pk != target.account_id for account, own in groups):
        raise CannotDo(_("Messages can be moved within their own account only."))
    for account, own in groups:
        submit(account, "move", {"moves": [{"ids": own, "target": target.pk}]}, batch)
    return batch


def move_to_role(user: User, ids: Iterable[int], role: str) -> uuid.UUID:
    """To the archive, junk or trash of each message's own account, which is made if it has none."""
    batch = uuid.uuid4()
    for account, own in by_account(user, ids):
        target = mailbox_for_role(account, role)
        submit(account, "move", {"moves": [{"ids": own, "target": target.pk}]}, batch)
    return batch


def copy_to(user: User, ids: Iterable[int], target: Mailbox) -> uuid.UUID:
    """Raises CannotDo if a message belongs to another account."""
    batch = uuid.uuid4()
    groups = list(by_account(user, ids))
    if any(account.pk != target.account_id for account, own in groups):
        raise CannotDo(_("Messages can be copied within their own account only."))
    for account, own in groups:
        submit(account, "copy", {"ids": own, "target": target.pk}, batch)
    return batch


def destroy(user: User, ids: Iterable[int]) -> uuid.UUID:
    batch = uuid.uuid4()
    for account, own in by_account(user, ids):
        submit(account, "destroy", {"ids": own}, batch)
    return batch


def mailbox_for_role(account: Account, role: str) -> Mailbox:
    """The account's folder of this role; made, here and on the server, if there is none."""
    found = Mailbox.objects.filter(account=account, role=role, hidden=False).first()
    if found:
        return found
    if role not in DEFAULT_NAMES:
        raise CannotDo(_("This account has no such folder."))
    sibling = (
        Mailbox.objects.filter(account=account, role__in=("sent", "drafts", "trash")).exclude(remote_name=None).first()
    )
    prefix = sibling.name[: -len(sibling.path[-1])] if sibling and len(sibling.path) > 1 else ""
    name = prefix + DEFAULT_NAMES[role]
    existing = Mailbox.objects.filter(account=account, name=name, hidden=False).first()
    if existing:
        Mailbox.objects.filter(pk=existing.pk).update(role=role)
        return existing
    return create_mailbox(account, name, role=role)


def _free(account: Account, name: str, but: Mailbox | None = None) -> None:
    taken = Mailbox.objects.filter(account=account, name=name, hidden=False)
    if (taken.exclude(pk=but.pk) if but else taken).exists():
        raise CannotDo(_("There is a folder “%(name)s” already.") % {"name": name})


def delimiter_of(account: Account) -> str:
    inbox = Mailbox.objects.filter(account=account, role="inbox").first()
    return inbox.delimiter if inbox else "/"


def mailbox_name(account: Account, title: str, parent: Mailbox | None) -> str:
    """The full name of a folder called ``title`` under ``parent``. Raises CannotDo."""
    delimiter = delimiter_of(account)
    title = title.strip()
    if not title:
        raise CannotDo(_("A folder needs a name."))
    if delimiter and delimiter in title:
        raise CannotDo(_("A folder's name cannot contain “%(sign)s” here.") % {"sign": delimiter})
    if any(ord(c) < 32 or ord(c) == 127 for c in title) or len(title) > 200:
        raise CannotDo(_("That name is too long, or has characters that no folder can have."))
    if parent is None:
        siblings = Mailbox.objects.filter(account=account).exclude(role="inbox").exclude(remote_name=None)
        names = list(siblings.values_list("name", flat=True)[:50])
        prefix = f"INBOX{delimiter}"
        inside = bool(names) and bool(delimiter) and all(name.startswith(prefix) for name in names)
        return (prefix if inside else "") + title  # a server whose every folder lies below INBOX takes no others
    return f"{parent.name}{delimiter}{title}"


@transaction.atomic
def create_mailbox(account: Account, name: str, role: str = "") -> Mailbox:
    """Raises CannotDo if the name is taken."""
    _free(account, name)
    mailbox = Mailbox.objects.create(
        account=account, name=name, role=role, delimiter=delimiter_of(account), complete=True
    )
    submit(account, "create_mailbox", {"mailbox": mailbox.pk})
    return mailbox


@transaction.atomic
def rename_mailbox(mailbox: Mailbox, name: str) -> Operation | None:
    """Raises CannotDo for a protected folder, a taken name, or a folder to be put inside itself."""
    if mailbox.protected:
        raise CannotDo(_("“%(name)s” has a role and keeps its name.") % {"name": mailbox.title})
    if name == mailbox.name:
        return None
    if mailbox.delimiter and name.startswith(mailbox.name + mailbox.delimiter):
        raise CannotDo(_("A folder cannot be moved into itself."))
    _free(mailbox.account, name, but=mailbox)
    return submit(mailbox.account, "rename_mailbox", {"mailbox": mailbox.pk, "name": name})


@transaction.atomic
def destroy_mailbox(mailbox: Mailbox) -> Operation:
    """Raises CannotDo for a protected folder or one that has folders below it."""
    if mailbox.protected:
        raise CannotDo(_("“%(name)s” has a role and cannot be deleted.") % {"name": mailbox.title})
    below = Q(name__startswith=mailbox.name + mailbox.delimiter) if mailbox.delimiter else Q(pk=None)
    if Mailbox.objects.filter(below, account=mailbox.account, hidden=False).exists():
        raise CannotDo(_("There are folders below it. Delete or move those first."))
    return submit(mailbox.account, "destroy_mailbox", {"mailbox": mailbox.pk})


def subscribe(mailbox: Mailbox, subscribed: bool) -> Operation:
    return submit(mailbox.account, "subscribe", {"mailbox": mailbox.pk, "subscribed": subscribed})
