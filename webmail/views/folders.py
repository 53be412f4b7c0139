"""Managing folders: make, rename, move, show or hide, empty, delete. Those with a role keep their place."""

from __future__ import annotations

from functools import partial

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.models import Account
from accounts.requests import Request
from webmail import operations
from webmail.models import Mailbox
from webmail.selection import Selection
from webmail.views import navigation
from webmail.views.listing import number
from webmail.views.redirection import SeeOther, back, notice, problem


@require_safe
@login_required
def manage(request: Request) -> HttpResponse:
    return _page(request)


def _page(request: Request, typed: dict[str, str] | None = None, status: int = 200) -> HttpResponse:
    accounts = []
    for account in Account.objects.for_user(request.user):
        boxes = sorted(account.mailboxes.shown().defer("state"), key=navigation._order)
        accounts.append((account, boxes))
    context = {
        **navigation.context(request, "folders"),
        "folders": accounts,
        "typed": typed or {},
        "here": reverse("folders"),
    }
    return render(request, "webmail/folders.html", context, status=status)


def _own(request: Request, pk: int) -> Mailbox:
    return get_object_or_404(Mailbox.objects.for_user(request.user).select_related("account"), pk=pk)


def _parent(request: Request, account: Account) -> Mailbox | None:
    pk = request.POST.get("parent", "")
    return get_object_or_404(account.mailboxes.shown(), pk=number(pk)) if pk else None


@require_POST
@login_required
def create(request: Request) -> HttpResponse:
    pk = request.POST.get("account", "")
    account = get_object_or_404(Account.objects.for_user(request.user), pk=number(pk))
    try:
        name = operations.mailbox_name(account, request.POST.get("name", ""), _parent(request, account))
        mailbox = operations.create_mailbox(account, name)
    except operations.CannotDo as error:
        return _page(request, {"account": pk, "name": request.POST.get("name", ""), "problem": str(error)}, status=422)
    notice(request, _("Made the folder “%(name)s”.") % {"name": mailbox.title})
    return back(request, reverse("folders"))


@require_POST
@login_required
def rename(request: Request, pk: int) -> HttpResponse:
    """A new name, a new parent, or both."""
    mailbox = _own(request, pk)
    try:
        name = operations.mailbox_name(
            mailbox.account, request.POST.get("name", mailbox.title), _parent(request, mailbox.account)
        )
        op = operations.rename_mailbox(mailbox, name)
    except operations.CannotDo as error:
        return _page(
            request, {"mailbox": str(pk), "name": request.POST.get("name", ""), "problem": str(error)}, status=422
        )
    if op:
        notice(request, _("The folder is now “%(name)s”.") % {"name": name}, op.batch)
    return back(request, reverse("folders"))


@require_POST
@login_required
def subscription(request: Request, pk: int) -> HttpResponse:
    mailbox = _own(request, pk)
    subscribed = request.POST.get("subscribed") == "1"
    op = operations.subscribe(mailbox, subscribed)
    text = _("“%(name)s” is shown.") if subscribed else _("“%(name)s” is hidden from the list.")
    notice(request, text % {"name": mailbox.title}, op.batch)
    return back(request, reverse("folders"))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def empty(request: Request, pk: int) -> HttpResponse:
    """All messages of a folder, for good where it is Trash or Junk, else into Trash. GET asks first, with the number."""
    mailbox = _own(request, pk)
    for_good = mailbox.role in ("trash", "junk")
    number = mailbox.total
    if request.method != "POST":
        text = (
            ngettext(
                "Delete %(n)d message in “%(name)s” for good?", "Delete %(n)d messages in “%(name)s” for good?", number
            )
            if for_good
            else ngettext(
                "Move %(n)d message in “%(name)s” to Trash?", "Move %(n)d messages in “%(name)s” to Trash?", number
            )
        )
        return _ask(request, text % {"n": number, "name": mailbox.title}, _("Empty"))
    what = Selection((mailbox.pk,), last=operations.last_id())
    act = operations.destroy if for_good else partial(operations.move_to_role, role="trash")
    batch, number = act(request.user, what)
    notice(request, _("“%(name)s” was emptied.") % {"name": mailbox.title}, batch if number else None)
    return SeeOther(reverse("folder", args=[pk]))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def destroy(request: Request, pk: int) -> HttpResponse:
    mailbox = _own(request, pk)
    if request.method != "POST":
        text = ngettext(
            "Delete the folder “%(name)s” with %(n)d message?",
            "Delete the folder “%(name)s” with %(n)d messages?",
            mailbox.total,
        )
        return _ask(request, text % {"name": mailbox.title, "n": mailbox.total}, _("Delete folder"))
    try:
        op = operations.destroy_mailbox(mailbox)
    except operations.CannotDo as error:
        problem(request, str(error))
        return SeeOther(reverse("folders"))
    notice(request, _("Deleted the folder “%(name)s”.") % {"name": mailbox.title}, op.batch)
    return back(request, reverse("folders"))


def _ask(request: Request, question: str, verb: str) -> HttpResponse:
    context = {
        **navigation.context(request, "folders"),
        "question": question,
        "verb": verb,
        "cancel": reverse("folders"),
    }
    return render(request, "webmail/ask.html", context)
