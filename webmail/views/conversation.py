"""A conversation on the page of a message: which messages of it, in which order, and which of them unfolded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.models import Identity, User
from accounts.requests import Request
from webmail import bodies, operations, search
from webmail.conversations import ASIDE, OWN_WORK
from webmail.models import Message, Thread
from webmail.prepared import Integer, Prepared
from webmail.views import listing
from webmail.views.presenting import present
from webmail.views.redirection import back, notice, problem

SHOWN, MOST_SHOWN = 100, 1000  # messages of a conversation on one page, at first and where all are asked for
FOUND_UNFOLDED = 10  # messages of it that have what was searched for

_members = Prepared(
    lambda thread: Message.objects.filter(thread_id=thread, mailbox__hidden=False).order_by("-received_at", "-id")[
        : SHOWN + 1
    ],
    Integer,
)
_all_members = Prepared(
    lambda thread: Message.objects.filter(thread_id=thread, mailbox__hidden=False).order_by("-received_at", "-id")[
        :MOST_SHOWN
    ],
    Integer,
)
_addresses_of = Prepared(
    lambda user: Identity.objects.filter(account__user_id=user).order_by().values_list("address"), Integer
)
_threads = Prepared(lambda pk: Thread.objects.filter(pk=pk), Integer)


@dataclass(frozen=True, slots=True)
class Conversation:
    """``entries`` are what the page prints of each message. ``here`` and ``everywhere``: how many of its messages are in
    the shown folder, and in all that an action on the whole would reach."""

    entries: list[dict[str, Any]]
    here: int
    everywhere: int
    more: bool  # older ones are not shown
    muted: bool
    all_unfolded: bool


def conversation(request: Request, message: Message, finder: search.Finder | None = None) -> Conversation:
    """The opened message and the unread ones unfolded, and the first that are found; the rest folded. A copy in two folders
    shows once."""
    user = request.user
    ask = _all_members if request.GET.get("all") else _members
    rows = listing.place(ask(message.thread_id), user) if message.thread_id else []
    more = ask is _members and len(rows) > SHOWN
    shown = _once_each(message, rows[:SHOWN] if more else rows)
    shown.sort(key=lambda row: (row.received_at, row.pk), reverse=user.newest_on_top)
    mine = own_addresses(user)
    unfold = _ready(shown, message, bool(request.GET.get("unfold")), finder)
    folders = [row.mailbox for row in rows]
    return Conversation(
        entries=[
            present(request, row, mine, open_=row.pk in unfold) | {"opened": row.pk == message.pk} for row in shown
        ],
        here=sum(row.mailbox_id == message.mailbox_id for row in rows) or 1,
        everywhere=sum(folder is not None and folder.role not in (*ASIDE, OWN_WORK) for folder in folders),
        more=more,
        muted=bool(message.thread_id) and any(thread.muted for thread in _threads(message.thread_id)),
        all_unfolded=len(unfold) == len(shown),
    )


def own_addresses(user: User) -> set[str]:
    return {address.lower() for (address,) in _addresses_of(user.pk)}


def _once_each(message: Message, rows: list[Message]) -> list[Message]:
    """Without what lies in Trash or Junk, unless the message itself does."""
    found: dict[str | int, Message] = {}
    for row in [message, *rows]:
        aside = row.mailbox is not None and row.mailbox.role in ASIDE and row.mailbox_id != message.mailbox_id
        if not aside:
            found.setdefault(row.message_id or row.pk, row)
    return list(found.values())


def _ready(shown: list[Message], message: Message, unfold: bool, finder: search.Finder | None) -> set[int]:
    """What is shown unfolded. Only the opened one may have to be fetched: another that is not here yet stays folded."""
    found = finder.which([row.pk for row in shown]) if finder and len(shown) > 1 else set()
    found = set([row.pk for row in shown if row.pk in found][:FOUND_UNFOLDED])
    wanted = [row.pk for row in shown if (unfold or not row.seen or row.pk in found) and row.pk != message.pk]
    return {message.pk, *bodies.read_of(wanted)}


@require_POST
@login_required
def split(request: Request, pk: int) -> HttpResponse:
    """From this message on it is a conversation of its own."""
    message = listing.own(request, pk)
    try:
        batch, number = operations.split(message)
    except operations.CannotDo as error:
        problem(request, str(error))
        return back(request, reverse("message", args=[pk]))
    notice(request, _("A conversation of its own: %(n)d messages.") % {"n": number}, batch)
    return back(request, reverse("message", args=[pk]))


@require_POST
@login_required
def arrange(request: Request) -> HttpResponse:
    """How the person likes to see conversations: in lists, and the order of their messages."""
    user = request.user
    if "show" in request.POST:
        user.conversations = request.POST["show"] == "conversations"
    if "top" in request.POST:
        user.newest_on_top = request.POST["top"] == "newest"
    user.save(update_fields=["conversations", "newest_on_top"])
    return back(request)
