"""The page that says which key does what."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail.views import navigation


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    return render(request, "webmail/keys.html", {**navigation.context(request, "keys"), "groups": _groups()})


def _groups() -> list[tuple[str, list[tuple[str, str]]]]:
    """As the pages say them in ``data-key``; a test compares."""
    anywhere = [
        ("C", _("New message")), ("/", _("Search")), ("G", _("Check for new mail")), ("Z", _("Undo, while it is offered")),
        ("Esc", _("Close menus, drop the choice")), ("?", _("This page")),
    ]  # fmt: skip
    box = [
        ("↓", _("First result, or the next that is offered")),
        ("Enter", _("Search, or take what is chosen")),
        ("Tab", _("Take what is chosen")),
        ("Del", _("Forget the recent search that is chosen")),
        ("Esc", _("Close what is offered, then leave the box")),
    ]
    lists = [
        ("J", _("Next in the list")),
        ("K", _("The one before")),
        ("X", _("Choose the message")),
        ("Enter", _("Open it")),
    ]
    message = [
        ("J", _("Older message")), ("K", _("Newer message")), ("R", _("Reply")), ("A", _("Reply all")), ("F", _("Forward")),
        ("E", _("Archive")), ("#", _("Delete")), ("!", _("Junk")), ("V", _("Move or copy")), ("U", _("Mark unread")),
        ("S", _("Star, or remove the star")), ("P", _("Print")), ("H", _("Find in the message")), ("N", _("Next hit")),
        ("B", _("Previous hit")),
    ]  # fmt: skip
    writing = [("Ctrl+Enter", _("Send")), ("Ctrl+S", _("Save")), ("Ctrl+Shift+D", _("Discard"))]
    return [
        (_("Anywhere"), anywhere),
        (_("In the search box"), box),
        (_("In a list"), lists),
        (_("In a message"), message),
        (_("While writing"), writing),
    ]
