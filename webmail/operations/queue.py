"""Submitting, undoing and replaying: first in, first out, one runner per account."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.troubles import explain
from webmail import events
from webmail.models import Operation, OperationState
from webmail.operations.kinds import COMBINED_LIMIT, KINDS, MANY, MANY_KINDS
from webmail.prepared import Integer, Prepared
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError, ProtocolError, Refused, StateLost

log = logging.getLogger(__name__)
MAX_DEFECTS = 3
HISTORY = timedelta(days=30)  # how long what was done is kept to be undone
GIVE_UP = timedelta(days=14)  # how long a server that cannot be worked with is waited for
MAX_WAIT = timedelta(hours=1)
LOOK_AHEAD = 200  # open operations that are looked at to find the next
_nudge: Callable[[int], None] | None = None
_nudge_spread: Callable[[int], None] | None = None


def on_submit(nudge: Callable[[int], None], nudge_spread: Callable[[int], None]) -> None:
    """tasks.py says here how to tell a worker; operations know of no queue."""
    global _nudge, _nudge_spread
    _nudge, _nudge_spread = nudge, nudge_spread


def nudge_spread(account_id: int) -> None:
    """Once this transaction is over, have a worker go on with what is being spread in this account."""
    if _nudge_spread:
        transaction.on_commit(partial(_nudge_spread, account_id))


@transaction.atomic
def submit(
    account: Account,
    name: str,
    payload: dict[str, Any],
    batch: uuid.UUID | None = None,
    undoes: uuid.UUID | None = None,
    spreading: bool = False,
    after: timedelta | None = None,
) -> Operation:
    """Apply to the cache and queue for the server, in one transaction. ``spreading``: as part of one on many; ``after``:
    how long it is held back, if not as all of its kind."""
    what = KINDS[name]
    op = Operation(
        account=account,
        kind=name,
        payload=payload,
        batch=batch or uuid.uuid4(),
        undoes=undoes,
        not_before=timezone.now() + (what.delay if after is None else after),
    )
    if not spreading:
        _outweigh_many(account, what.ids_of(payload))
    what.apply(op)
    op.total = len(what.ids_of(payload))
    if what.here_only or (account.downloads and what.delay == timedelta(0)):
        op.state = OperationState.DONE
    op.save()
    transaction.on_commit(lambda: _tell(op))
    return op


_spreading = Prepared(
    lambda account: Operation.objects.filter(account_id=account, kind=MANY).open().only("before").select_for_update(),
    Integer,
)


def _outweigh_many(account: Account, ids: Sequence[int]) -> None:
    """What is done to a message now comes after what is being spread over all, though that may reach it later."""
    for many in _spreading(account.pk) if ids else ():
        many.before["but"] = sorted({*many.before["but"], *ids})
        many.save(update_fields=["before"])


def _tell(op: Operation) -> None:
    if not KINDS[op.kind].quiet:
        events.publish(op.account.user_id, "mailbox", ids=[])
    if op.state == OperationState.PENDING and _nudge:
        _nudge(op.account_id)


@transaction.atomic
def undo_one(op: Operation, back: uuid.UUID) -> bool:
    """Cancel it while it waits, else submit its inverse in the batch ``back``. False: too late."""
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
    submit(op.account, *inverse, batch=back, undoes=op.batch)
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
    return bool(_next(account))


def _next(account: Account) -> list[Operation]:
    """What is to be replayed now: the oldest operation whose time has come, and those right after it that can be
    replayed together with it. Folder operations never overtake one another."""
    waiting_folders = False
    run: list[Operation] = []
    waiting = Operation.objects.filter(account=account).open().exclude(kind__in=MANY_KINDS).order_by("id")[:LOOK_AHEAD]
    for op in waiting:
        is_due = op.not_before <= timezone.now()
        if run:
            if not (is_due and _joins(run, op)):
                break
            run.append(op)
            continue
        about_folders = op.kind.endswith("_mailbox")
        if is_due and about_folders and waiting_folders:
            return []  # what comes after it may be about the folder that it makes
        if is_due:
            run.append(op)
            continue
        if op.attempts:
            return []  # failed and waiting to be tried again: what came after it may depend on it
        waiting_folders |= about_folders
    return run


def _joins(run: Sequence[Operation], op: Operation) -> bool:
    """Only what was never tried is combined: of what failed once, the one that fails must be found."""
    if op.attempts or run[0].attempts or op.kind != run[0].kind:
        return False
    return KINDS[op.kind].combinable and sum(other.total for other in run) + op.total <= COMBINED_LIMIT


def replay_due(account: Account, store: MailStore) -> int:
    """Replay what is due, in order; how many were done. Raises MailError if the server cannot be worked with now."""
    done = 0
    while ops := _next(account):
        if not _replay(ops, store):
            break
        done += len(ops)
    return done


def _replay(ops: Sequence[Operation], store: MailStore) -> bool:
    """False: stop here for now. Raises MailError if the server cannot be worked with."""
    ops = [op for op in ops if _claim(op)]
    if not ops:
        return True  # taken back at the last moment
    op = _combined(ops)
    try:
        what = KINDS[op.kind]
        what.settle_here(op) if op.account.downloads else what.replay(op, store)
    except StateLost:
        # The server numbered a mailbox anew. A sync finds its messages again; this waits for it.
        _postpone(ops)
        Account.objects.filter(pk=op.account_id).update(sync_wanted=True)
        return False
    except MailError as error:
        return _failed(ops, error)
    except Exception:  # a defect of ours must not stop all that comes after it for ever
        log.exception("operation %s (%s)", op.pk, op.kind)
        if len(ops) > 1 or op.attempts < MAX_DEFECTS:
            _postpone(ops)
            return False
        fail(op, ProtocolError(_("An error in Postkasse; the operator finds it in the log.")))
        return True
    Operation.objects.filter(pk__in=[op.pk for op in ops]).update(state=OperationState.DONE)
    return True


def _claim(op: Operation) -> bool:
    unclaimed = Operation.objects.filter(pk=op.pk, state=op.state, attempts=op.attempts)
    claimed = unclaimed.update(state=OperationState.REPLAYING, attempts=op.attempts + 1)
    op.attempts += 1
    return bool(claimed)


def _combined(ops: Sequence[Operation]) -> Operation:
    """One operation, never saved, that does on the server what all of these do."""
    if len(ops) == 1:
        return ops[0]
    payload = KINDS[ops[0].kind].combine([op.payload for op in ops])
    return Operation(account=ops[0].account, kind=ops[0].kind, payload=payload, attempts=1)


def _failed(ops: Sequence[Operation], error: MailError) -> bool:
    """True: go on with the next. Raises ``error`` again where the server cannot be worked with: that is waited for as
    long as GIVE_UP says, since people are offline for days; what the server refuses is refused at once."""
    final = isinstance(error, Refused) or not (error.retryable or error.needs_user)
    if final and len(ops) > 1:
        _postpone(ops, timedelta(0))  # one by one, to find the one that it does not want
        return True
    tired = ops[0].created_at < timezone.now() - GIVE_UP
    confused = isinstance(error, ProtocolError) and ops[0].attempts >= MAX_DEFECTS
    if final or tired or confused:
        for op in ops:
            fail(op, error)
        return True
    _postpone(ops)
    raise error


def _postpone(ops: Sequence[Operation], wait: timedelta | None = None) -> None:
    if wait is None:
        wait = min(timedelta(seconds=5) * 2 ** min(ops[0].attempts, 20), MAX_WAIT)
    waiting = Operation.objects.filter(pk__in=[op.pk for op in ops])
    waiting.update(state=OperationState.PENDING, not_before=timezone.now() + wait)


@transaction.atomic
def fail(op: Operation, error: MailError) -> None:
    """The server said no for good: the cache goes back and the person is told once."""
    try:
        with transaction.atomic():
            if op.kind not in MANY_KINDS:  # their parts are reverted one by one
                KINDS[op.kind].revert(op)
    except Exception:  # what it was about may be gone altogether; the next sync shows what there is
        log.exception("operation %s (%s) could not be reverted", op.pk, op.kind)
    trouble, quiet = explain(error, op.account.label), op.kind in KINDS and KINDS[op.kind].quiet
    Operation.objects.filter(pk=op.pk).update(
        state=OperationState.FAILED, trouble=trouble.what, detail=trouble.detail, told=quiet
    )
    if not quiet:
        transaction.on_commit(lambda: events.publish(op.account.user_id, "operation", failed=[op.pk]))


def forget_old() -> None:
    """What is over cannot be undone for ever."""
    over = Operation.objects.exclude(state__in=[OperationState.PENDING, OperationState.REPLAYING]).filter(told=True)
    over.filter(created_at__lt=timezone.now() - HISTORY).delete()
