"""One action on everything in a list: spread over the messages in bounded batches, with progress.

An operation of the kind ``many`` is never replayed. It holds a selection and what is to be done to it; each step takes
the next messages from the selection's top and submits one ordinary operation for them under the same batch, so replay,
failure and undo of those are what they always are. A step is one transaction that moves the place on, from a place
nobody else has moved from meanwhile: any number of workers may try, and a crash repeats nothing.

Nobody waits for how many there are: each step counts some thousand further ahead, until the ``total`` is known.

Undoing such an action is itself one: ``undo_many`` takes back the batch's operations one by one, newest first.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.db import transaction

from accounts.models import Account, User
from webmail import events
from webmail.models import OPEN, Cursor, Message, Operation, OperationState
from webmail.operations.kinds import BATCH, KINDS, MANY, MANY_KINDS, UNDO_MANY, CannotDo
from webmail.operations.queue import nudge_spread, submit, undo_one
from webmail.protocols.errors import MailError
from webmail.selection import Selection, Some

AT_ONCE = 3  # operations of a batch that are undone while the person waits
COUNTED = 20_000  # messages in a step


def submit_many(
    account: Account, name: str, arguments: dict[str, Any], selection: Selection, first: Some, batch: uuid.UUID
) -> None:
    """Do ``name`` to everything selected in this account: to the ``first`` of it now, unless something of that kind is being
    done already, to the rest in the background."""
    payload = {
        "selection": selection.to_json(), "kind": name, "arguments": arguments, "place": "",
        "counted": len(first.ids), "ahead": str(first.rest or ""),
    }  # fmt: skip
    op = Operation.objects.create(account=account, kind=MANY, payload=payload, before={"but": []}, batch=batch)
    if _oldest(account.pk) == op:
        _take(op, first)
    nudge_spread(account.pk)


def _oldest(account_id: int) -> Operation | None:
    open_ones = Operation.objects.filter(account_id=account_id, kind__in=MANY_KINDS).open()
    return open_ones.select_related("account").order_by("id").first()


def spread(account_id: int) -> bool:
    """One step of the account's oldest ``many`` or ``undo_many``; True if there is more to do for the account."""
    op = _oldest(account_id)
    if op is None:
        return False
    _undo_step(op) if op.kind == UNDO_MANY else _step(op)
    _tell(op)
    return _oldest(account_id) is not None


def _tell(op: Operation) -> None:
    """How far the action is, over all accounts. ``total``: 0 while it is not known."""
    each = list(Operation.objects.filter(batch=op.batch, kind=op.kind).only("done", "total", "state"))
    going = [one for one in each if one.state in OPEN]
    total = sum(one.total for one in each) if all(one.total for one in going) else 0
    events.publish(
        op.account.user_id, "operation", batch=str(op.batch), what=op.payload["kind"],
        done=sum(one.done for one in each), total=total, over=not going,
    )  # fmt: skip


def _step(op: Operation) -> None:
    selection, payload = Selection.from_json(op.payload["selection"]), op.payload
    found = selection.some(op.account, Cursor.parse(payload["place"]), BATCH)
    if found.rest and not op.total:
        ahead = selection.some(op.account, Cursor.parse(payload["ahead"]), COUNTED)
        payload |= {"counted": payload["counted"] + len(ahead.ids), "ahead": str(ahead.rest or "")}
        op.total = 0 if ahead.rest else payload["counted"]
    _take(op, found)


@transaction.atomic
def _take(op: Operation, found: Some) -> None:
    """Raises nothing for what cannot be done to some of them: a target that is gone ends the whole."""
    before = op.done
    op.done += len(found.ids)
    op.payload["place"] = str(found.rest or "")
    if found.rest:
        op.state, op.total = OperationState.REPLAYING, op.total and max(op.total, op.done)
    else:
        op.state, op.total = OperationState.DONE, op.done
    here = Operation.objects.filter(pk=op.pk, done=before).open()
    if not here.update(done=op.done, total=op.total, payload=op.payload, state=op.state):
        return  # somebody else went on from here, or it was taken back
    # What the person did to one of them since they said "all" is later than this, and so outweighs it.
    but = set(Operation.objects.values_list("before", flat=True).get(pk=op.pk)["but"])
    ids = [pk for pk in found.ids if pk not in but]
    if ids:
        what = KINDS[op.payload["kind"]]
        try:
            with transaction.atomic():
                submit(op.account, what.name, what.payload(ids, **op.payload["arguments"]), op.batch, spreading=True)
        except (MailError, CannotDo) as error:
            trouble = getattr(error, "detail", "") or str(error)
            Operation.objects.filter(pk=op.pk).update(state=OperationState.FAILED, trouble=trouble, told=False)


def is_spread(batch: uuid.UUID) -> bool:
    """Not all that an action is about was done at once."""
    return Operation.objects.filter(batch=batch, kind=MANY).exists()


# --- taking back ------------------------------------------------------------------------------------------------


def undo(user: User, batch: uuid.UUID) -> bool:
    """Take back all operations of an action: canceled while they wait, by their inverse afterwards. False: too late."""
    mine = Operation.objects.for_user(user).filter(batch=batch)
    stopped = mine.filter(kind__in=MANY_KINDS).open().update(state=OperationState.CANCELED)
    mine.filter(kind=MANY, state=OperationState.DONE).update(state=OperationState.REVERTED)
    over = (OperationState.CANCELED, OperationState.FAILED, OperationState.REVERTED)
    parts = mine.exclude(kind__in=MANY_KINDS).exclude(state__in=over).order_by("-id")
    ids = list(parts.values_list("pk", flat=True))
    back = uuid.uuid4()  # of what undoes it, so that this can be undone in its turn
    undone = _undo_all(ids[:AT_ONCE], back)
    if len(ids) > AT_ONCE:
        first = parts.select_related("account")[0]
        Operation.objects.create(
            account=first.account, kind=UNDO_MANY, batch=back, undoes=batch, done=AT_ONCE, total=len(ids),
            payload={"kind": first.kind, "operations": ids[AT_ONCE:], "back": str(back)},
        )  # fmt: skip
        nudge_spread(first.account_id)
        return True
    return undone or bool(stopped)


def _undo_all(ids: Iterable[int], back: uuid.UUID) -> bool:
    undone = False
    for pk in ids:
        op = Operation.objects.select_related("account").filter(pk=pk).first()
        undone |= op is not None and undo_one(op, back)
    return undone


@transaction.atomic
def _undo_step(op: Operation) -> None:
    left = op.payload["operations"]
    some, rest = left[:1], left[1:]
    before = op.done
    op.done, op.payload["operations"] = op.done + len(some), rest
    op.state = OperationState.REPLAYING if rest else OperationState.DONE
    here = Operation.objects.filter(pk=op.pk, done=before).open()
    if here.update(done=op.done, payload=op.payload, state=op.state):
        _undo_all(some, uuid.UUID(op.payload["back"]))


def unspread() -> list[int]:
    """Accounts where something is not spread to its end: for the sweep."""
    waiting = Operation.objects.filter(kind__in=MANY_KINDS).open()
    return list(waiting.order_by().values_list("account_id", flat=True).distinct()[:100])


def last_id() -> int:
    """The highest id of any message."""
    newest = Message.objects.order_by("-id").values_list("pk", flat=True)[:1]
    return newest[0] if newest else 0
