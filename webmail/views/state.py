"""An account seen from inside: what is here, how its server tells of changes, what waits, what is wrong; and trying its
servers step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts import check
from accounts.models import Account, Keep
from accounts.requests import Request
from webmail import connections, events, tasks
from webmail.models import Cursor, Mailbox, Operation
from webmail.views import navigation, progress
from webmail.views.redirection import back, notice

# What can be done without, should a server offer it and get it wrong. The rest no session can be without.
DISPENSABLE = frozenset({
    "COMPRESS=DEFLATE", "CONDSTORE", "ENABLE", "ESEARCH", "IDLE", "LIST-EXTENDED", "LIST-STATUS", "LITERAL+", "LITERAL-",
    "MOVE", "NOTIFY", "PIPELINING", "PREVIEW", "QRESYNC", "QUOTA", "SASL-IR", "SEARCH=FUZZY", "SORT", "SPECIAL-USE", "TOP",
    "UIDPLUS", "UNSELECT", "WITHIN",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Folder:
    """One line of what is here."""

    title: str
    total: int
    unread: int
    complete: bool
    synced: str
    text_since: str


def _own(request: Request, pk: int) -> Account:
    return get_object_or_404(Account.objects.for_user(request.user).select_related("user"), pk=pk)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def show(request: Request, pk: int) -> HttpResponse:
    """POST tries both servers, which may take some seconds; the page that answers it tells each step."""
    account = _own(request, pk)
    return _page(request, account, check.check(account) if request.method == "POST" else None)


def _page(request: Request, account: Account, sides: list[check.Side] | None = None) -> HttpResponse:
    here = reverse("account-state", args=[account.pk])
    folders = [_folder(account, m) for m in sorted(account.mailboxes.shown(), key=navigation._order) if m.selectable]
    waiting = Operation.objects.filter(account=account).open()
    context: dict[str, Any] = {
        **navigation.context(request, f"account-{account.pk}"),
        "account": account, "own_accounts": request.user.account_list, "section": f"account-{account.pk}", "here": here,
        "folders": folders,
        "message_count": sum(folder.total for folder in folders),
        "progress": progress.of([account]),
        "push": _push(account),
        "keeps_text": _kept_text(account),
        "waiting": waiting.count(),
        "oldest_waiting": waiting.order_by("id").values_list("created_at", flat=True).first(),
        "sides": sides,
        "offered": [(word, word not in account.switched_off) for word in account.capabilities if word in DISPENSABLE],
        "offered_besides": [word for word in account.capabilities if word not in DISPENSABLE],
    }  # fmt: skip
    return render(request, "webmail/state.html", context)


def _folder(account: Account, mailbox: Mailbox) -> Folder:
    place = Cursor.parse(mailbox.text_until)
    synced = date_format(localtime(mailbox.synced_at), "H:i") if mailbox.synced_at else ""
    since = date_format(localtime(place.received_at), "DATE_FORMAT") if place and account.keep != Keep.HEADERS else ""
    return Folder(mailbox.title, mailbox.total, mailbox.unread, mailbox.complete, synced, since)


def _push(account: Account) -> str:
    """How news of this account reaches us."""
    if account.paused:
        return _("Paused: nothing is asked.")
    if account.push == "notify":
        return _("Told at once of changes in every folder (NOTIFY).")
    if account.push == "idle":
        return _("Told at once of changes in the inbox (IDLE); other folders are looked at now and then.")
    minutes = max(1, round(account.poll_seconds / 60))
    return ngettext("Asked every minute.", "Asked every %(n)d minutes.", minutes) % {"n": minutes}


def _kept_text(account: Account) -> str:
    if account.keep == Keep.RECENT:
        days = account.keep_days
        return ngettext("The text of mail of the last day", "The text of mail of the last %(n)d days", days) % {
            "n": days
        }
    return str(account.get_keep_display())


@require_POST
@login_required
def pause(request: Request, pk: int) -> HttpResponse:
    """Leave an account's servers alone, or not any more. What is done meanwhile waits."""
    account = _own(request, pk)
    paused = request.POST.get("on") == "1"
    Account.objects.filter(pk=account.pk).update(paused=paused)
    events.publish(account.user_id, "account", id=account.pk)
    if not paused:
        tasks.nudge_sync(account.pk)
    text = _("%(name)s is paused.") if paused else _("%(name)s goes on.")
    notice(request, text % {"name": account.label})
    return back(request, reverse("account-state", args=[pk]))


@require_POST
@login_required
def synchronise(request: Request, pk: int) -> HttpResponse:
    """Now, also if the account waits for its time or for the person."""
    account = _own(request, pk)
    Account.objects.filter(pk=account.pk).update(needs_user=False)
    tasks.nudge_sync(account.pk)
    notice(request, _("Looking for changes in %(name)s.") % {"name": account.label})
    return back(request, reverse("account-state", args=[pk]))


@require_POST
@login_required
def capabilities(request: Request, pk: int) -> HttpResponse:
    """Which of what the server offers is used; the boxes that are ticked."""
    account = _own(request, pk)
    used = set(request.POST.getlist("use"))
    off = sorted(word for word in account.capabilities if word in DISPENSABLE and word not in used)
    Account.objects.filter(pk=account.pk).update(switched_off=off)
    connections.close_all(account.pk)
    events.publish(account.user_id, "account", id=account.pk)
    notice(request, _("Saved."))
    return back(request, reverse("account-state", args=[pk]))
