"""One message: the page with its conversation beside the list it was opened from."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import compose, search, threads
from webmail.models import Message
from webmail.views import listing, navigation
from webmail.views.body import charset_names
from webmail.views.conversation import conversation
from webmail.views.mailbox import list_context
from webmail.views.unchanged import while_unchanged


@require_safe
@login_required
@while_unchanged
def show(request: Request, pk: int) -> HttpResponse:
    """The three panes. Asked for the reading pane alone, only that is made."""
    message = listing.own(request, pk)
    draft = compose.draft_of(message) if message.draft else None
    if draft:  # it goes on where it is written
        place = reverse("draft", args=[draft.pk])
        return HttpResponse(headers={"HX-Redirect": place}) if request.htmx else redirect(place)
    opened_from, query, sort = (request.GET.get(name, "") for name in ("in", "q", "sort"))
    scope = listing.scope_for(request.user, message, opened_from, query, sort)
    cursor = scope.place_of(message)
    context = read_context(request, message, scope, cursor)
    if request.htmx and request.htmx.target == "read":
        return _lasting(context, render(request, "webmail/message_alone.html", context))
    size = request.user.page_size
    first = scope.page(None, size)
    if not first or cursor in [listing.Cursor(m.received_at, m.pk) for m in first]:
        context |= list_context(request, scope, first, None, cursor.pk)
    else:
        context |= list_context(request, scope, scope.page(cursor, size, inclusive=True), cursor, cursor.pk)
    return _lasting(context, render(request, "webmail/message.html", context))


def _lasting(context: dict[str, Any], response: HttpResponse) -> HttpResponse:
    """What could not be fetched is tried again when the page is asked for again."""
    if any(entry["trouble"] or entry["awaited"] for entry in context["thread"]):
        response["Cache-Control"] = "private, no-store"
    return response


def read_context(request: Request, message: Message, scope: listing.Scope, place: listing.Cursor) -> dict[str, Any]:
    newer, older = scope.neighbours(place)
    tree = scope.asked.tree if scope.key == "search" else None
    shown = conversation(request, message, search.Finder(request.user, tree) if tree else None)
    subject = message.subject.strip()
    words = [word for word in search.words_of(tree) if word.field in ("", "subject", "body")]
    suffix = f"?{scope.source}" if not scope.mailbox else ""
    return {
        "message": message,
        "row": place.pk,
        "subject": (threads.plain_subject(subject) if len(shown.entries) > 1 else subject) or _("(no subject)"),
        "scope": scope,
        "conversation": shown,
        "words": " ".join(f'"{word.text}"' if word.exact else word.text for word in words),
        "sought": json.dumps(search.sought(words, "subject", "body")) if words else "",
        "thread": shown.entries,
        "several": len(shown.entries) > 1,
        "newest_on_top": request.user.newest_on_top,
        "newer": reverse("message", args=[newer]) + suffix if newer else "",
        "older_message": reverse("message", args=[older]) + suffix if older else "",
        "after_removal": reverse("message", args=[older or newer]) + suffix if older or newer else scope.href(),
        "here": request.get_full_path(),
        "list_url": scope.href(),
        "in_trash": message.mailbox is not None and message.mailbox.role in ("trash", "junk"),
        "targets": navigation.targets([message.account], listing.mailboxes_of(request.user)),
        "charsets": charset_names(),
    }
