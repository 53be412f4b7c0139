"""What was done lately, each with Undo where that is still possible; and undoing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail import operations
from webmail.models import OPEN, Mailbox, Operation, OperationState
from webmail.views import listing, navigation
from webmail.views.redirection import back, notice, problem

SHOWN = 50
LOOKED_AT = 1000  # operations; an action on a whole folder has many
FOLDER_TITLES = {
    "create_mailbox": gettext_lazy("Made the folder “%(folder)s”"),
    "rename_mailbox": gettext_lazy("Renamed the folder “%(folder)s”"),
    "destroy_mailbox": gettext_lazy("Deleted the folder “%(folder)s”"),
    "subscribe": gettext_lazy("Showed or hid the folder “%(folder)s”"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One action: the operations of a batch."""

    ops: Sequence[Operation]
    title: str
    state: str
    undoable: bool

    @property
    def first(self) -> Operation:
        return self.ops[0]

    @property
    def accounts(self) -> str:
        return ", ".join(dict.fromkeys(str(op.account) for op in self.ops))

    @property
    def failed(self) -> Operation | None:
        return next((op for op in self.ops if op.trouble), None)


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    latest = Operation.objects.for_user(request.user).exclude(kind__in=operations.QUIET).select_related("account")
    latest = latest.order_by("-id")
    batches: dict[uuid.UUID, list[Operation]] = {}
    for op in latest.defer("payload", "before")[:LOOKED_AT]:
        if op.batch in batches or len(batches) < SHOWN:
            batches.setdefault(op.batch, []).append(op)
    folders = {mailbox.pk: mailbox.title for mailbox in listing.mailboxes_of(request.user)}
    steps = [_step(ops, folders) for ops in batches.values()]
    return render(request, "webmail/history.html", {**navigation.context(request, "history"), "steps": steps})


def _step(ops: Sequence[Operation], folders: dict[int, str]) -> Step:
    whole = [op for op in ops if op.kind in operations.MANY_KINDS]
    parts = [op for op in ops if op.kind not in operations.MANY_KINDS]
    many = {op.account_id: op.total or op.done for op in whole if op.kind == operations.MANY}
    number = sum(many.values()) + sum(op.total for op in parts if op.account_id not in many)
    title = _title(parts[-1] if parts else whole[0], number, folders)
    if ops[-1].undoes:
        title = _("Taken back: %(what)s") % {"what": title}
    return Step(ops, title, _state(whole, parts), _undoable(whole, parts))


def _title(op: Operation, number: int, folders: dict[int, str]) -> str:
    payload: dict[str, Any] = op.payload
    if op.kind == "keywords":
        change = (payload["changes"] or [{"add": [], "remove": []}])[0]
        return _keywords_title(set(change["add"]), set(change["remove"]), number)
    if op.kind == "move":
        targets = {folders.get(move["target"], "") for move in payload["moves"]}
        name = next(iter(targets)) if len(targets) == 1 else _("several folders")
        return ngettext("Moved %(n)d message to %(folder)s", "Moved %(n)d messages to %(folder)s", number) % {
            "n": number, "folder": name or _("a folder that is gone"),
        }  # fmt: skip
    if op.kind == "copy":
        name = folders.get(payload["target"]) or _("a folder that is gone")
        return ngettext("Copied %(n)d message to %(folder)s", "Copied %(n)d messages to %(folder)s", number) % {
            "n": number, "folder": name,
        }  # fmt: skip
    if op.kind in FOLDER_TITLES:
        gone = Mailbox.objects.filter(pk=payload["mailbox"]).first()
        name = payload.get("name") or folders.get(payload["mailbox"]) or (gone.title if gone else "…")
        return str(FOLDER_TITLES[op.kind]) % {"folder": name}
    if op.kind == "mute":
        n = len(payload["threads"])
        if payload["muted"]:
            return ngettext("Muted %(n)d conversation", "Muted %(n)d conversations", n) % {"n": n}
        return ngettext("Unmuted %(n)d conversation", "Unmuted %(n)d conversations", n) % {"n": n}
    if op.kind == "place":
        return _("Split a conversation") if payload["apart"] else _("Joined a conversation again")
    if op.kind == "destroy":
        return ngettext("Deleted %(n)d message for good", "Deleted %(n)d messages for good", number) % {"n": number}
    return ngettext("Changed %(n)d message", "Changed %(n)d messages", number) % {"n": number}


def _keywords_title(add: set[str], remove: set[str], number: int) -> str:
    values = {"n": number}
    if "$seen" in add:
        return ngettext("Marked %(n)d message read", "Marked %(n)d messages read", number) % values
    if "$seen" in remove:
        return ngettext("Marked %(n)d message unread", "Marked %(n)d messages unread", number) % values
    if "$flagged" in add:
        return ngettext("Starred %(n)d message", "Starred %(n)d messages", number) % values
    if "$flagged" in remove:
        return ngettext("Unstarred %(n)d message", "Unstarred %(n)d messages", number) % values
    return ngettext("Changed %(n)d message", "Changed %(n)d messages", number) % values


def _state(whole: Sequence[Operation], parts: Sequence[Operation]) -> str:
    going_on = next((op for op in whole if op.state in OPEN), None)
    if going_on and not going_on.total:
        return _("%(done)d done so far") % {"done": going_on.done}
    if going_on:
        return _("%(done)d of %(total)d done") % {"done": going_on.done, "total": going_on.total}
    failed = next((op for op in (*parts, *whole) if op.state == OperationState.FAILED), None)
    if failed:
        return str(failed.get_state_display())
    left = sum(op.total for op in parts if op.state in OPEN)
    done = sum(op.total for op in parts) - left
    if left and done:
        return _("waiting for the server: %(done)d of %(total)d done") % {"done": done, "total": done + left}
    return str((parts or whole)[-1].get_state_display())


def _undoable(whole: Sequence[Operation], parts: Sequence[Operation]) -> bool:
    if any(op.kind == operations.UNDO_MANY and op.state in OPEN for op in whole):
        return False
    if any(op.kind == operations.MANY and op.state in OPEN for op in whole):
        return True
    return any(_part_undoable(op) for op in (*parts[:3], *parts[-1:]))


def _part_undoable(op: Operation) -> bool:
    if op.state in (OperationState.DONE, OperationState.REPLAYING):
        return operations.KINDS[op.kind].inverse(op) is not None
    return op.state == OperationState.PENDING


@require_POST
@login_required
def undo(request: Request, batch: uuid.UUID) -> HttpResponse:
    if operations.undo(request.user, batch):
        notice(request, _("Undone."))
    else:
        problem(request, _("It is too late to undo this."))
    return back(request)


@require_POST
@login_required
def told(request: Request, pk: int) -> HttpResponse:
    """The person has read that an operation failed."""
    Operation.objects.for_user(request.user).filter(pk=pk).update(told=True)
    return back(request)
