"""Keywords, move, copy, destroy: operations on messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from secrets import token_hex
from typing import Any

from django.utils.translation import gettext as _

from webmail.models import (
    KEYWORD_COLUMNS,
    KEYWORD_FIELDS,
    Mailbox,
    Message,
    MessageBody,
    Operation,
    forget_file,
)
from webmail.operations.kinds import (
    UNDO_WINDOW,
    Kind,
    Shown,
    by_remote,
    chunks,
    discard,
    found_in,
    join_keywords,
    kind,
    locate,
    mailbox_of,
    rows_of,
    settle,
    use,
)
from webmail.operations.shown import take_back
from webmail.prepared import Integer, Prepared, PreparedUpdate, Several
from webmail.protocols.base import MailStore
from webmail.protocols.errors import NotFound


@kind
class ChangeKeywords(Kind):
    """payload ``{"changes": [{"ids", "add", "remove"}]}``; before: the same shape, undoing exactly what changed."""

    name = "keywords"
    combinable = True

    @staticmethod
    def payload(ids: Sequence[int], **arguments: Any) -> dict[str, Any]:
        return {"changes": [{"ids": list(ids), "add": sorted(arguments["add"]), "remove": sorted(arguments["remove"])}]}

    @staticmethod
    def ids_of(payload: dict[str, Any]) -> list[int]:
        return [pk for change in payload["changes"] for pk in change["ids"]]

    @staticmethod
    def combine(payloads: Sequence[dict[str, Any]]) -> dict[str, Any]:
        last: dict[int, dict[str, bool]] = defaultdict(dict)  # message -> keyword -> there or not, in the end
        for change in (change for payload in payloads for change in payload["changes"]):
            said = {**dict.fromkeys(change["add"], True), **dict.fromkeys(change["remove"], False)}
            for pk in change["ids"]:
                last[pk] |= said
        groups: dict[frozenset[tuple[str, bool]], list[int]] = defaultdict(list)
        for pk, said in last.items():
            groups[frozenset(said.items())].append(pk)
        return {
            "changes": [
                {"ids": ids, "add": sorted(k for k, on in said if on), "remove": sorted(k for k, on in said if not on)}
                for said, ids in groups.items()
            ]
        }

    @staticmethod
    def apply(op: Operation) -> None:
        undo: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = defaultdict(list)
        unread: dict[int, int] = defaultdict(int)
        for change in op.payload["changes"]:
            add, remove = set(change["add"]), set(change["remove"])
            for some in chunks(change["ids"]):
                rows = _keywords_of(op.account_id, list(some))
                for row in rows:
                    old = row.keywords
                    row.show_keywords((old | add) - remove)
                    added, removed = row.keywords - old, old - row.keywords
                    if added or removed:
                        undo[tuple(sorted(removed)), tuple(sorted(added))].append(row.pk)
                    if row.mailbox_id and "$seen" in added | removed:
                        unread[row.mailbox_id] += 1 if "$seen" in removed else -1
                _write_keywords(rows, add, remove)
        for mailbox_id, number in unread.items():
            Mailbox(pk=mailbox_id).count(unread=number)
        op.before = {"changes": [{"ids": ids, "add": add, "remove": remove} for (add, remove), ids in undo.items()]}

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        for change in op.payload["changes"]:
            add, remove = set(change["add"]), set(change["remove"])
            for mailbox, some in by_remote(rows_of(op, change["ids"])):
                rows = locate(store, mailbox, some)
                store.set_keywords(use(store, mailbox), [row.uid for row in rows], add, remove)
                for row in rows:
                    row.synced_keywords = join_keywords((set(row.synced_keywords.split()) | add) - remove)
                Message.objects.bulk_update(rows, ["synced_keywords"])

    @staticmethod
    def lay_over(op: Operation, shown: Mapping[int, Shown]) -> None:
        for change in op.payload["changes"]:
            for pk in shown.keys() & set(change["ids"]):
                shown[pk].keywords |= set(change["add"])
                shown[pk].keywords -= set(change["remove"])

    @staticmethod
    def revert(op: Operation) -> None:
        take_back(op)

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return ("keywords", op.before) if op.before["changes"] else None


def _write_keywords(rows: Sequence[Message], add: set[str], remove: set[str]) -> None:
    """The usual keywords are columns, and one statement sets them for all; labels differ from row to row."""
    columns = {KEYWORD_COLUMNS[keyword]: True for keyword in add & KEYWORD_COLUMNS.keys()}
    columns |= {KEYWORD_COLUMNS[keyword]: False for keyword in remove & KEYWORD_COLUMNS.keys()}
    if columns:
        _set(tuple(columns.items()))([row.pk for row in rows])
    if (add | remove) - KEYWORD_COLUMNS.keys():
        Message.objects.bulk_update(rows, ["labels"])


_keywords_of = Prepared(
    lambda account, ids: Message.objects.filter(account_id=account, pk__in=ids).only(
        "account_id",
        "mailbox_id",
        *KEYWORD_FIELDS,  # of many rows only what changes
    ),
    Integer,
    Several(Integer),
)


@cache
def _set(columns: tuple[tuple[str, bool], ...]) -> PreparedUpdate:
    return PreparedUpdate(lambda ids: (Message.objects.filter(pk__in=ids), dict(columns)), Several(Integer))


_put_in = PreparedUpdate(
    lambda target, ids: (Message.objects.filter(pk__in=ids), {"mailbox_id": target}), Integer, Several(Integer)
)
_put_out_of_sight = PreparedUpdate(
    lambda ids: (Message.objects.filter(pk__in=ids), {"mailbox_id": None}), Several(Integer)
)
_in_sight = Prepared(
    lambda account, ids: Message.objects.filter(account_id=account, mailbox__isnull=False, pk__in=ids).values_list(
        "pk", "mailbox_id", "seen"
    ),
    Integer,
    Several(Integer),
)


def _show_in(account_id: int, ids: Sequence[int], target_id: int | None) -> dict[str, list[int]]:
    """Put those that are in sight into another folder of the cache (None: out of sight) and keep the counts; what was
    where, before. Those that were destroyed meanwhile stay so: an old move undone must not bring them back."""
    before: dict[str, list[int]] = defaultdict(list)
    total: dict[int, int] = defaultdict(int)
    unread: dict[int, int] = defaultdict(int)
    for some in chunks(ids):
        moved = []
        for pk, mailbox_id, seen in _in_sight(account_id, list(some)):
            if mailbox_id == target_id:
                continue
            moved.append(pk)
            before[str(mailbox_id or "")].append(pk)
            for place, step in ((mailbox_id, -1), (target_id, 1)):
                if place:
                    total[place] += step
                    unread[place] += 0 if seen else step
        if target_id:
            _put_in(target_id, moved)
        else:
            _put_out_of_sight(moved)
    for mailbox_id in total:
        Mailbox(pk=mailbox_id).count(total[mailbox_id], unread[mailbox_id])
    return dict(before)


@kind
class Move(Kind):
    """payload ``{"moves": [{"ids", "target"}]}``; before: ``{mailbox id: [message ids]}``."""

    name = "move"
    combinable = True

    @staticmethod
    def payload(ids: Sequence[int], **arguments: Any) -> dict[str, Any]:
        return {"moves": [{"ids": list(ids), "target": arguments["target"]}]}

    @staticmethod
    def ids_of(payload: dict[str, Any]) -> list[int]:
        return [pk for move in payload["moves"] for pk in move["ids"]]

    @staticmethod
    def combine(payloads: Sequence[dict[str, Any]]) -> dict[str, Any]:
        targets = {pk: move["target"] for payload in payloads for move in payload["moves"] for pk in move["ids"]}
        groups: dict[int, list[int]] = defaultdict(list)
        for pk, target in targets.items():
            groups[target].append(pk)
        return {"moves": [{"ids": ids, "target": target} for target, ids in groups.items()]}

    @staticmethod
    def apply(op: Operation) -> None:
        before: dict[str, list[int]] = defaultdict(list)
        for move in op.payload["moves"]:
            for mailbox_id, ids in _show_in(op.account_id, move["ids"], move["target"]).items():
                before[mailbox_id] += ids
        op.before = before

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        for move in op.payload["moves"]:
            target = mailbox_of(move["target"])
            if target.remote_name is None:
                raise NotFound(_("The folder is not on the server."))
            waiting = [row for row in rows_of(op, move["ids"]) if row.remote_mailbox_id != target.pk]
            for source, some in by_remote(waiting):
                rows = locate(store, source, some)
                new_uids = store.move(use(store, source), [row.uid for row in rows], target.remote_name)
                for row in rows:
                    row.remote_mailbox, row.uid = target, new_uids.get(row.uid, "")
                settle(rows)

    @staticmethod
    def lay_over(op: Operation, shown: Mapping[int, Shown]) -> None:
        for move in op.payload["moves"]:
            for pk in shown.keys() & set(move["ids"]):
                if shown[pk].mailbox_id is not None:
                    shown[pk].mailbox_id = move["target"]

    @staticmethod
    def revert(op: Operation) -> None:
        take_back(op)

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        there = set(Mailbox.objects.filter(account_id=op.account_id, hidden=False).values_list("pk", flat=True))
        moves = [
            {"ids": ids, "target": int(mailbox_id)}
            for mailbox_id, ids in op.before.items()
            if mailbox_id and int(mailbox_id) in there
        ]
        return ("move", {"moves": moves}) if moves else None


@kind
class Copy(Kind):
    """payload ``{"ids", "target"}``; before ``{"copies": {new id: old id}}``."""

    name = "copy"

    @staticmethod
    def payload(ids: Sequence[int], **arguments: Any) -> dict[str, Any]:
        return {"ids": list(ids), "target": arguments["target"]}

    @staticmethod
    def apply(op: Operation) -> None:
        copies: dict[str, int] = {}
        target = Mailbox.objects.get(pk=op.payload["target"])
        for row in rows_of(op, op.payload["ids"]):
            original = row.pk
            row.pk, row._state.adding = None, True
            row.mailbox, row.remote_mailbox, row.uid = target, None, ""
            if row.blob:
                with row.blob.storage.open(row.blob.name or "") as blob:
                    row.blob.save(token_hex(1), blob, save=False)
            row.save()
            copies[str(row.pk)] = original
            target.count(1, 0 if row.seen else 1)
        op.before = {"copies": copies}

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        copies = op.before["copies"]
        target = mailbox_of(op.payload["target"])
        if target.remote_name is None:
            raise NotFound(_("The folder is not on the server."))
        waiting = {row.pk: row for row in rows_of(op, [int(pk) for pk in copies]) if row.remote_mailbox_id is None}
        twin = {copies[str(pk)]: row for pk, row in waiting.items()}
        if op.attempts > 1:  # an earlier try may have come as far as the server
            arrived = found_in(store, target, twin.values())
            twin = {pk: row for pk, row in twin.items() if row not in arrived}
        for source, some in by_remote(rows_of(op, list(twin))):
            originals = locate(store, source, some)
            new_uids = store.copy(use(store, source), [row.uid for row in originals], target.remote_name)
            for original in originals:
                copy = twin[original.pk]
                copy.remote_mailbox, copy.uid = target, new_uids.get(original.uid, "")
            settle([twin[original.pk] for original in originals])

    @staticmethod
    def lay_over(op: Operation, shown: Mapping[int, Shown]) -> None:
        for pk in shown.keys() & {int(copy) for copy in op.before["copies"]}:
            shown[pk].mailbox_id = op.payload["target"]

    @staticmethod
    def revert(op: Operation) -> None:
        ids = [int(pk) for pk in op.before["copies"]]
        _show_in(op.account_id, ids, None)
        Message.objects.filter(account_id=op.account_id, pk__in=ids).delete()

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return "destroy", {"ids": [int(pk) for pk in op.before["copies"]]}


@kind
class Destroy(Kind):
    """payload ``{"ids"}``; held back for UNDO_WINDOW, then gone for good; before as in Move."""

    name = "destroy"
    combinable = True
    delay = UNDO_WINDOW

    @staticmethod
    def payload(ids: Sequence[int], **arguments: Any) -> dict[str, Any]:
        return {"ids": list(ids)}

    @staticmethod
    def combine(payloads: Sequence[dict[str, Any]]) -> dict[str, Any]:
        return {"ids": list(dict.fromkeys(pk for payload in payloads for pk in payload["ids"]))}

    @staticmethod
    def apply(op: Operation) -> None:
        op.before = _show_in(op.account_id, op.payload["ids"], None)

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        for mailbox, some in by_remote(rows_of(op, op.payload["ids"])):
            rows = locate(store, mailbox, some)
            store.destroy(use(store, mailbox), [row.uid for row in rows])
            discard(Message.objects.filter(pk__in=[row.pk for row in some]))
        for ids in chunks(op.payload["ids"]):  # never on the server, or not any more
            Message.objects.filter(account_id=op.account_id, pk__in=ids, mailbox__isnull=True).delete()

    @staticmethod
    def settle_here(op: Operation) -> None:
        forget(rows_of(op, op.payload["ids"]))

    @staticmethod
    def lay_over(op: Operation, shown: Mapping[int, Shown]) -> None:
        for pk in shown.keys() & set(op.payload["ids"]):
            shown[pk].mailbox_id = None

    @staticmethod
    def revert(op: Operation) -> None:
        take_back(op)


def forget(rows: Iterable[Message]) -> None:
    """Our copy goes. Of one that is still on the server the uid is remembered, or it would be downloaded again."""
    for row in rows:
        if row.blob:
            forget_file(row.blob.name)
        if row.uid and row.remote_mailbox_id:
            Message.objects.filter(pk=row.pk).update(
                blob="", subject="", preview="", from_name="", from_email="", addresses={}, fields={}, structure=None
            )
            MessageBody.objects.filter(message=row).delete()
        else:
            row.delete()
