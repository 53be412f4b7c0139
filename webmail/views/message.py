"""One message: the page with its conversation beside the list it was opened from."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import Identity
from accounts.requests import Request
from webmail import bodies
from webmail.models import Message, MessageBody
from webmail.prepared import Integer, Prepared
from webmail.views import listing, navigation
from webmail.views.body import charset_names
from webmail.views.mailbox import list_context
from webmail.views.presenting import present
from webmail.views.unchanged import while_unchanged

THREAD_SHOWN = 100


_conversation = Prepared(
    lambda thread: (
        Message.objects.filter(thread_id=thread, mailbox__hidden=False)
        .exclude(mailbox__role__in=("trash", "junk"))
        .order_by("-received_at", "-id")[:THREAD_SHOWN]
    ),
    Integer,
)


_addresses_of = Prepared(
    lambda user: Identity.objects.filter(account__user_id=user).order_by().values_list("address"), Integer
)


@require_safe
@login_required
@while_unchanged
def show(request: Request, pk: int) -> HttpResponse:
    """The three panes. Asked for the reading pane alone, only that is made."""
    message = listing.own(request, pk)
    scope = listing.scope_for(request.user, message, request.GET.get("in", ""), request.GET.get("q", "")[:500])
    context = read_context(request, message, scope)
    if request.htmx and request.htmx.target == "read":
        parts = ("webmail/message.html#read", "webmail/message.html#dock")
        return _lasting(context, HttpResponse("".join(render_to_string(part, context, request) for part in parts)))
    cursor = listing.Cursor(message.received_at, message.pk)
    size = request.user.page_size
    first = scope.page(None, size)
    if not first or cursor in [listing.Cursor(m.received_at, m.pk) for m in first]:
        context |= list_context(request, scope, first, None, message)
    else:
        context |= list_context(request, scope, scope.page(cursor, size, inclusive=True), cursor, message)
    return _lasting(context, render(request, "webmail/message.html", context))


def _lasting(context: dict[str, Any], response: HttpResponse) -> HttpResponse:
    """What could not be fetched is tried again when the page is asked for again."""
    if any(entry.get("trouble") for entry in context["thread"]):
        response["Cache-Control"] = "private, no-store"
    return response


def read_context(request: Request, message: Message, scope: listing.Scope) -> dict[str, Any]:
    newer, older = scope.neighbours(message)
    suffix = f"?{scope.source}" if not scope.mailbox else ""
    return {
        "message": message,
        "subject": message.subject.strip() or _("(no subject)"),
        "scope": scope,
        "thread": thread(request, message),
        "newer": reverse("message", args=[newer]) + suffix if newer else "",
        "older_message": reverse("message", args=[older]) + suffix if older else "",
        "after_removal": reverse("message", args=[older or newer]) + suffix if older or newer else scope.href(),
        "here": request.get_full_path(),
        "list_url": scope.href(),
        "in_trash": message.mailbox is not None and message.mailbox.role in ("trash", "junk"),
        "targets": navigation.targets([message.account], listing.mailboxes_of(request.user)),
        "charsets": charset_names(),
    }


def thread(request: Request, message: Message) -> list[dict[str, Any]]:
    """The conversation, oldest first; the opened and the unread ones unfolded. A copy in two folders shows once."""
    rows = listing.place(_conversation(message.thread_id), request.user) if message.thread_id else []
    seen_ids, shown = set(), []
    for row in [message, *rows]:
        key = row.message_id or row.pk
        if key not in seen_ids:
            seen_ids.add(key)
            shown.append(row)
    mine = {address.lower() for (address,) in _addresses_of(request.user.pk)}
    shown.sort(key=lambda row: (row.received_at, row.pk))
    unread = [row.pk for row in shown if not row.seen and row.pk != message.pk]
    read = MessageBody.objects.filter(pk__in=unread, facts__reading=bodies.READING_VERSION)
    ready = set(read.values_list("pk", flat=True)) if unread else set()
    # Only the opened one may have to be fetched: another unread one that is not here yet stays folded.
    return [present(request, row, mine, open_=row.pk == message.pk or row.pk in ready) for row in shown]
