"""Search over what lists show: subject, people and preview, newest first."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import search
from webmail.models import Mailbox
from webmail.views import listing, navigation
from webmail.views.mailbox import targets

SHOWN = 100


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:500]
    scope = listing.scope_of(request.user, "search", query=query)
    found = search.find(request.user, query, SHOWN + 1) if query else []
    more = len(found) > SHOWN
    found = found[:SHOWN]
    days = listing.days(scope, found)
    counted = ngettext("%(n)d message", "%(n)d messages", len(found)) % {"n": len(found)} + ("+" if more else "")
    incomplete = (
        Mailbox.objects.for_user(request.user)
        .filter(complete=False, selectable=True, remote_name__isnull=False)
        .exists()
    )
    context = {
        **navigation.context(request, "search"), "query": query, "days": days, "scope": scope,
        "summary": counted if query else "", "here": request.get_full_path(), "more": more, "incomplete": incomplete,
        "targets": targets(request, scope), "solo": True,
        "until": str(listing.Cursor(found[0].received_at, found[0].pk)) if found else "",
    }  # fmt: skip
    return render(request, "webmail/search.html", context)
