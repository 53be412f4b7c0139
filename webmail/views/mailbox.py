"""Lists of messages: inboxes, sent mail and drafts of all accounts, unread and starred mail everywhere, one folder."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Account
from accounts.requests import Request
from webmail import tasks
from webmail.models import Draft
from webmail.views import listing, navigation
from webmail.views.redirection import back, notice
from webmail.views.unchanged import while_unchanged

OWN_DRAFTS = 200  # shown; nobody writes more at once


@require_safe
@login_required
@while_unchanged
def inbox(request: Request) -> HttpResponse:
    return _list(request, "inbox")


@require_safe
@login_required
@while_unchanged
def unread(request: Request) -> HttpResponse:
    return _list(request, "unread")


@require_safe
@login_required
@while_unchanged
def starred(request: Request) -> HttpResponse:
    return _list(request, "starred")


@require_safe
@login_required
@while_unchanged
def sent(request: Request) -> HttpResponse:
    return _list(request, "sent")


@require_safe
@login_required
@while_unchanged
def drafts(request: Request) -> HttpResponse:
    """Those written here first, which are still being written, then those that the servers keep."""
    return _list(request, "drafts")


@require_safe
@login_required
@while_unchanged
def folder(request: Request, pk: int) -> HttpResponse:
    return _list(request, f"folder-{pk}")


def _list(request: Request, key: str) -> HttpResponse:
    if key == "inbox" and not request.user.account_list:
        return redirect("accounts:account-creation")
    scope = listing.scope_of(request.user, key, request.GET.get("f", ""))
    after = listing.Cursor.parse(request.GET.get("after", ""))
    context = list_context(request, scope, scope.page(after, request.user.page_size), after)
    if key == "drafts":
        context["drafts"] = [] if after or scope.filter else _own_drafts(request)
        count = scope.total + context["nav"]["drafts"]
        context["summary"] = ngettext("%(n)d draft", "%(n)d drafts", count) % {"n": count} if count else ""
    return render(request, "webmail/mailbox.html", context)


def _own_drafts(request: Request) -> list[tuple[Draft, str]]:
    """With the time each was saved at, as rows tell it."""
    today = timezone.localdate()
    drafts = Draft.objects.for_user(request.user).being_written().not_in_folder().select_related("account")[:OWN_DRAFTS]
    return [(draft, listing.time_text(timezone.localtime(draft.saved_at), today)) for draft in drafts]


def list_context(
    request: Request,
    scope: listing.Scope,
    messages: list[listing.Listed],
    after: listing.Cursor | None,
    current: int | None = None,
) -> dict[str, Any]:
    """All that the list and the sidebar show. ``messages`` is the scope's page ``after``, with the one too many; ``current`` the row
    that is open."""
    size = request.user.page_size
    more = len(messages) > size
    messages = messages[:size]
    last = messages[-1] if more and not scope.query else None  # a search has one page
    return {
        **navigation.context(request, scope.key),
        "scope": scope,
        "query": scope.query,
        "more": more,
        "summary": listing.summary(scope),
        "days": listing.days(scope, messages, current),
        "older": scope.href(after=str(listing.Cursor(last.received_at, last.pk))) if last else "",
        "first": scope.href() if after else "",
        "until": str(listing.Cursor(messages[0].received_at, messages[0].pk)) if messages and not after else "",
        "here": request.get_full_path(),
        "filters": [(name, title, scope.filter == name) for name, title in _filters(scope)],
        "in_trash": bool(scope.mailbox and scope.mailbox.role in ("trash", "junk")),
        "targets": targets(request, scope),
        "solo": False,  # a name that a template looks for in vain costs more than a row
        "loading": bool(scope.mailboxes) and not any(m.complete for m in scope.mailboxes),
    }


def _filters(scope: listing.Scope) -> list[tuple[str, str]]:
    if scope.key == "search":
        return []
    names = [("unread", _("Unread")), ("starred", _("Starred")), ("files", _("With attachments"))]
    return [(name, title) for name, title in names if name != scope.key]


def targets(request: Request, scope: listing.Scope) -> navigation.Targets:
    """Where a selection can be moved to, by account."""
    concerned = {mailbox.account_id for mailbox in scope.mailboxes}
    accounts = [account for account in request.user.account_list if not concerned or account.pk in concerned]
    return navigation.targets(accounts, listing.mailboxes_of(request.user))


@require_POST
@login_required
def check(request: Request) -> HttpResponse:
    """Look for new mail now; an account that waits for the person is tried again too."""
    accounts = Account.objects.for_user(request.user)
    accounts.update(needs_user=False)
    for account in accounts:
        tasks.nudge_sync(account.pk)
    if not request.htmx:
        notice(request, _("Looking for new mail."))
    return back(request)
