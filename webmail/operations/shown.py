"""What a message looks like to the person: what the server last said of it, with everything laid over it, in order, that
was done and that the server has not heard yet.

So an operation is taken back by leaving it out and laying the rest: whatever was done before or after it keeps its
effect, and what is shown is what the server will come to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from accounts.models import Account
from webmail.models import KEYWORD_FIELDS, Mailbox, Message, Operation
from webmail.operations.kinds import KINDS, MANY_KINDS, Shown, chunks


def rebase(account: Account, rows: Iterable[Message]) -> None:
    """Show on freshly synced rows (not yet saved) the keywords that the person set and the server has not heard."""
    stored = {row.pk: row for row in rows if row.pk}
    shown = {pk: Shown(row.mailbox_id, set(row.keywords)) for pk, row in stored.items()}
    if shown:
        _lay(Operation.objects.filter(account=account, kind="keywords").open().order_by("id"), shown)
    for pk, state in shown.items():
        stored[pk].show_keywords(state.keywords)


def take_back(op: Operation) -> None:
    """Show the messages of ``op`` as if it had not been done, and keep the counts."""
    others = Operation.objects.filter(account_id=op.account_id).open().exclude(pk=op.pk).exclude(kind__in=MANY_KINDS)
    waiting = list(others.order_by("id"))
    here = {int(pk): int(place) for place, ids in op.before.items() if place.isdigit() for pk in ids}
    for some in chunks(list(dict.fromkeys(KINDS[op.kind].ids_of(op.payload)))):
        rows = list(Message.objects.filter(account_id=op.account_id, pk__in=some).select_for_update())
        shown = {row.pk: _base(op, row, here) for row in rows}
        _lay(waiting, shown)
        _show(rows, shown)


def _base(op: Operation, row: Message, before: Mapping[int, int]) -> Shown:
    """What the server last said; of what no server has, how it was shown before."""
    if op.account.downloads or row.remote_mailbox_id is None:
        shown = Shown(before.get(row.pk, row.mailbox_id), set(row.keywords))
        for change in op.before.get("changes", ()):
            if row.pk in change["ids"]:
                shown.keywords = (shown.keywords | set(change["add"])) - set(change["remove"])
        return shown
    return Shown(row.remote_mailbox_id, set(row.synced_keywords.split()))


def _lay(operations: Iterable[Operation], shown: Mapping[int, Shown]) -> None:
    for op in operations:
        KINDS[op.kind].lay_over(op, shown)


def _show(rows: Iterable[Message], shown: Mapping[int, Shown]) -> None:
    total: dict[int, int] = defaultdict(int)
    unread: dict[int, int] = defaultdict(int)
    there = set(
        Mailbox.objects.filter(pk__in={state.mailbox_id for state in shown.values()}).values_list("pk", flat=True)
    )
    changed = []
    for row in rows:
        state = shown[row.pk]
        for step in (-1, 1):
            if row.mailbox_id:
                total[row.mailbox_id] += step
                unread[row.mailbox_id] += 0 if row.seen else step
            if step < 0:
                row.mailbox_id = state.mailbox_id if state.mailbox_id in there else None
                row.show_keywords(state.keywords)
        changed.append(row)
    Message.objects.bulk_update(changed, ["mailbox", *KEYWORD_FIELDS])
    for mailbox_id in total:
        Mailbox(pk=mailbox_id).count(total[mailbox_id], unread[mailbox_id])
