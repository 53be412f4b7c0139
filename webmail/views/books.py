"""Address books on servers: taking them up, how they are, leaving them."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.requests import Request
from webmail import books, tasks
from webmail.models import AddressBook
from webmail.views import navigation
from webmail.views.redirection import SeeOther, notice


@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def show(request: Request) -> HttpResponse:
    """Those there are, and the form for more: ``place``, ``username``, ``password``."""
    if request.method != "POST":
        return _page(request, {})
    typed = {name: request.POST.get(name, "").strip()[:500] for name in ("place", "username")}
    password = request.POST.get("password", "")[:1000]
    if not typed["place"] or not password:
        return _page(request, {**typed, "problem": _("Give an address and a password.")})
    try:
        kept = books.connect(request.user, typed["place"], typed["username"] or typed["place"], password)
    except books.NoBooks as error:
        return _page(request, {**typed, "problem": str(error)})
    for book in kept:
        _soon(book)
    words = ngettext("%(n)d address book is fetched now.", "%(n)d address books are fetched now.", len(kept))
    notice(request, words % {"n": len(kept)})
    return SeeOther(reverse("books"))


def _page(request: Request, typed: dict[str, str]) -> HttpResponse:
    context: dict[str, Any] = {
        **navigation.context(request, "contacts"),
        "books": [
            (book, book.cards.exclude(contact=None).count(), book.cards.filter(changed=True).count())
            for book in AddressBook.objects.for_user(request.user)
        ],
        "typed": typed,
        "here": request.path,
    }
    return render(request, "webmail/books.html", context, status=422 if typed.get("problem") else 200)


def _own(request: Request, pk: int) -> AddressBook:
    return get_object_or_404(AddressBook.objects.for_user(request.user), pk=pk)


def _soon(book: AddressBook) -> None:
    AddressBook.objects.filter(pk=book.pk).update(due_at=timezone.now(), needs_user=False)
    tasks.nudge_book(book.pk)


@require_POST
@login_required
def sync(request: Request, pk: int) -> HttpResponse:
    _soon(_own(request, pk))
    notice(request, _("The address book is being compared with its server."))
    return SeeOther(reverse("books"))


@require_POST
@login_required
def read(request: Request, pk: int) -> HttpResponse:
    """The person has read what was noted."""
    AddressBook.objects.filter(pk=_own(request, pk).pk).update(notes=[])
    return SeeOther(reverse("books"))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def leave(request: Request, pk: int) -> HttpResponse:
    """Asks first; the contacts stay."""
    book = _own(request, pk)
    if request.method == "POST":
        books.leave(book)
        notice(request, _("%(name)s is not compared with its server any more.") % {"name": book.name})
        return SeeOther(reverse("books"))
    context = {
        **navigation.context(request, "contacts"),
        "question": _("Leave the address book %(name)s? Its contacts stay here and on the server.")
        % {"name": book.name},
        "verb": _("Leave"),
        "cancel": reverse("books"),
    }
    return render(request, "webmail/ask.html", context)
