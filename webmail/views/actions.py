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
from webmail import conversations, operations
from webmail.models import Mailbox
from webmail.selection import Selection
from webmail.views import listing
from webmail.views.redirection import back, notice, problem

# What the page may ask for; the rest of the keywords is the program's business.
KEYWORD_ACTIONS: dict[str, tuple[list[str], list[str]]] = {
    "read": (["$seen"], []),
    "unread": ([], ["$seen"]),
    "star": (["$flagged"], []),
    "unstar": ([], ["$flagged"]),
}
ONE_OF_THEM = ("unread", "star")  # of a conversation, the message that stands for it is marked
ROLES = ("archive", "junk", "trash", "inbox")


def _selected(request: Request) -> operations.What:
    """The one row whose button was pressed, everything in the list as the person saw it, or the ticked rows. Where rows are
    conversations: all messages of each that are in the same folder, or in any if that was asked for."""
    only = request.GET.get("only", "")
    if request.POST.get("all") and not only:
        scope = listing.scope_of(
            request.user, request.POST["all"], request.POST.get("f", ""), request.POST.get("q", "")
        )
        if scope.key == "search" and scope.asked.tree is None:
            return []  # a selection without a query would be all mail there is
        return scope.selection(request.POST.get("until", ""))
    ids = ticked(request)
    everywhere = request.GET.get("where") == "everywhere"
    if request.POST.get("rows") == "conversations" and request.GET.get("set") not in ONE_OF_THEM:
        return conversations.whole(request.user, ids, everywhere)
    return ids


def ticked(request: Request) -> list[int]:
    only = request.GET.get("only", "")
    return [listing.number(value) for value in ([only] if only else request.POST.getlist("id")[:1000])]


def _act(
    request: Request, act: Callable[[operations.What], tuple[uuid.UUID, int]], said: Callable[[int], str]
) -> HttpResponse:
    try:
        what = _selected(request)
        batch, number = act(what)
    except operations.CannotDo as error:
        problem(request, str(error))
        return back(request)
    more = isinstance(what, Selection) and operations.is_spread(batch)
    if not number and not more:
        problem(request, _("Nothing was selected."))
    elif not request.POST.get("quiet"):
        notice(request, said(number) + (" " + _("The rest follows.") if more else ""), batch)
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
    return _act(request, lambda what: operations.change_keywords(request.user, what, add, remove), texts[name])


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
        return _act(request, lambda what: operations.move_to_role(request.user, what, role), texts[role])
    target = _target(request)
    return _act(
        request,
        lambda what: operations.move_to(request.user, what, target),
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
        lambda what: operations.copy_to(request.user, what, target),
        lambda n: (
            ngettext("Copied %(n)d message to %(folder)s.", "Copied %(n)d messages to %(folder)s.", n)
            % {"n": n, "folder": target.title}
        ),
    )


@require_POST
@login_required
def mute(request: Request) -> HttpResponse:
    """The conversations of the ticked rows, or none of them any more."""
    muted = request.GET.get("set") != "unmute"
    batch, number = operations.mute(request.user, ticked(request), muted)
    if not number:
        problem(request, _("Nothing was selected."))
        return back(request)
    said = (
        ngettext(
            "Muted %(n)d conversation. What comes of it goes to Archive, read.",
            "Muted %(n)d conversations. What comes of them goes to Archive, read.",
            number,
        )
        if muted
        else ngettext("%(n)d conversation is no longer muted.", "%(n)d conversations are no longer muted.", number)
    )
    notice(request, said % {"n": number}, batch)
    return back(request)


def _target(request: Request) -> Mailbox:
    pk = request.POST.get("to", "")
    return get_object_or_404(Mailbox.objects.for_user(request.user), pk=listing.number(pk), selectable=True)


@require_POST
@login_required
def destroy(request: Request) -> HttpResponse:
    return _act(
        request,
        lambda what: operations.destroy(request.user, what),
        lambda n: ngettext("Deleted %(n)d message for good.", "Deleted %(n)d messages for good.", n) % {"n": n},
    )
