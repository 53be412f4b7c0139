"""Submitting, undoing and replaying: first in, first out, one runner per account."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account, User
from accounts.troubles import explain
from webmail import events
from webmail.models import Message, Operation, OperationState
from webmail.operations.kinds import KINDS
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError, ProtocolError, Refused, StateLost

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 12
MAX_DEFECTS = 3
HISTORY = timedelta(days=30)  # how long what was done is kept to be undone
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
        what = KINDS[op.kind]
        what.settle_here(op) if op.account.downloads else what.replay(op, store)
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


def rebase(account: Account, rows: Iterable[Message]) -> None:
    """Show on freshly synced rows (not yet saved) what the person did and the server has not heard."""
    stored = {row.pk: row for row in rows if row.pk}
    if not stored:
        return
    for op in Operation.objects.filter(account=account, kind="keywords").open().order_by("id"):
        for change in op.payload["changes"]:
            for pk in stored.keys() & set(change["ids"]):
                stored[pk].show_keywords((stored[pk].keywords | set(change["add"])) - set(change["remove"]))
