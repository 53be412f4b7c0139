"""What was done lately, each with Undo where that is still possible; and undoing."""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail import operations
from webmail.models import Operation, OperationState
from webmail.views import navigation
from webmail.views.redirection import back, notice, problem

SHOWN = 50
KIND_NAMES = {
    "keywords": gettext_lazy("Marked messages"),
    "move": gettext_lazy("Moved messages"),
    "copy": gettext_lazy("Copied messages"),
    "destroy": gettext_lazy("Deleted messages for good"),
    "create_mailbox": gettext_lazy("Made a folder"),
    "rename_mailbox": gettext_lazy("Renamed a folder"),
    "destroy_mailbox": gettext_lazy("Deleted a folder"),
    "subscribe": gettext_lazy("Showed or hid a folder"),
}


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    rows = Operation.objects.for_user(request.user).select_related("account").order_by("-id")[:SHOWN]
    steps = [{"op": op, "title": KIND_NAMES[op.kind], "undo": _undoable(op)} for op in rows]
    return render(request, "webmail/history.html", {**navigation.context(request, "history"), "steps": steps})


def _undoable(op: Operation) -> bool:
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
