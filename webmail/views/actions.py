"""What can be done to a selection of messages: keywords, another folder, copies, destruction. Each answers with Undo."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from accounts.requests import Request
from webmail import operations
from webmail.models import Mailbox
from webmail.views import listing
from webmail.views.redirection import back, notice, problem

# What the page may ask for; the rest of the keywords is the program's business.
KEYWORD_ACTIONS: dict[str, tuple[list[str], list[str]]] = {
    "read": (["$seen"], []),
    "unread": ([], ["$seen"]),
    "star": (["$flagged"], []),
    "unstar": ([], ["$flagged"]),
}
ROLES = ("archive", "junk", "trash", "inbox")


def _selection(request: Request) -> list[int]:
    """The one row whose button was pressed, everything in the list, or the ticked rows."""
    only = request.GET.get("only", "")
    if only:
        return [listing.number(only)]
    if request.POST.get("all"):
        return listing.scope_of(request.user, request.POST["all"], request.POST.get("f", "")).all_ids()
    return [listing.number(value) for value in request.POST.getlist("id")[:1000]]


def _act(request: Request, act: Callable[[list[int]], uuid.UUID], said: Callable[[int], str]) -> HttpResponse:
    ids = _selection(request)
    if not ids:
        problem(request, _("Nothing was selected."))
        return back(request)
    try:
        batch = act(ids)
    except operations.CannotDo as error:
        problem(request, str(error))
        return back(request)
    if not request.POST.get("quiet"):
        notice(request, said(len(ids)), batch)
    return back(request)


@require_POST
@login_required
def keywords(request: Request) -> HttpResponse:
    name = request.GET.get("set") or request.POST.get("set", "")
    if name not in KEYWORD_ACTIONS:
        raise Http404
    add, remove = KEYWORD_ACTIONS[name]
    texts = {
        "read": lambda n: ngettext("Marked %(n)d message read.", "Marked %(n)d messages read.", n) % {"n": n},
        "unread": lambda n: ngettext("Marked %(n)d message unread.", "Marked %(n)d messages unread.", n) % {"n": n},
        "star": lambda n: ngettext("Starred %(n)d message.", "Starred %(n)d messages.", n) % {"n": n},
        "unstar": lambda n: ngettext("Unstarred %(n)d message.", "Unstarred %(n)d messages.", n) % {"n": n},
    }
    return _act(request, lambda ids: operations.change_keywords(request.user, ids, add, remove), texts[name])


@require_POST
@login_required
def move(request: Request) -> HttpResponse:
    """To a folder (``to``) or to the folder of a role (``role``) of each message's own account."""
    role = request.GET.get("role") or request.POST.get("role", "")
    if role:
        if role not in ROLES:
            raise Http404
        texts = {
            "archive": lambda n: ngettext("Archived %(n)d message.", "Archived %(n)d messages.", n) % {"n": n},
            "junk": lambda n: ngettext("Moved %(n)d message to Junk.", "Moved %(n)d messages to Junk.", n) % {"n": n},
            "trash": lambda n: (
                ngettext("Moved %(n)d message to Trash.", "Moved %(n)d messages to Trash.", n) % {"n": n}
            ),
            "inbox": lambda n: (
                ngettext("Moved %(n)d message to Inbox.", "Moved %(n)d messages to Inbox.", n) % {"n": n}
            ),
        }
        return _act(request, lambda ids: operations.move_to_role(request.user, ids, role), texts[role])
    target = _target(request)
    return _act(
        request,
        lambda ids: operations.move_to(request.user, ids, target),
        lambda n: (
            ngettext("Moved %(n)d message to %(folder)s.", "Moved %(n)d messages to %(folder)s.", n)
            % {"n": n, "folder": target.title}
        ),
    )


@require_POST
@login_required
def copy(request: Request) -> HttpResponse:
    target = _target(request)
    return _act(
        request,
        lambda ids: operations.copy_to(request.user, ids, target),
        lambda n: (
            ngettext("Copied %(n)d message to %(folder)s.", "Copied %(n)d messages to %(folder)s.", n)
            % {"n": n, "folder": target.title}
        ),
    )


def _target(request: Request) -> Mailbox:
    pk = request.POST.get("to", "")
    return get_object_or_404(Mailbox.objects.for_user(request.user), pk=listing.number(pk), selectable=True)


@require_POST
@login_required
def destroy(request: Request) -> HttpResponse:
    return _act(
        request,
        lambda ids: operations.destroy(request.user, ids),
        lambda n: ngettext("Deleted %(n)d message for good.", "Deleted %(n)d messages for good.", n) % {"n": n},
    )
