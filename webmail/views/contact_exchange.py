"""Contacts from files, and into files."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.requests import Request
from webmail import mime
from webmail.contacts import exchange
from webmail.models import AddressBook, Contact, ContactGroup
from webmail.views import listing, navigation
from webmail.views.parts import disposition
from webmail.views.redirection import SeeOther, notice

FORMS = {"vcard4": ("text/vcard", "vcf"), "vcard3": ("text/vcard", "vcf"), "csv": ("text/csv", "csv")}
STANDINGS = {
    "new": gettext_lazy("New"),
    "known": gettext_lazy("In your contacts"),
    "doubtful": gettext_lazy("Same name, other address"),
    "unusable": gettext_lazy("No name and no address"),
}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def send_file(request: Request) -> HttpResponse:
    """The form; a file is kept for a day and looked at on the next page."""
    problem = ""
    if request.method == "POST":
        file = request.FILES.get("file")
        try:
            if file is None:
                raise exchange.NoContacts(_("Choose a file."))
            return SeeOther(reverse("contacts-import-file", args=[exchange.put_by(request.user, file)]))
        except exchange.NoContacts as error:
            problem = str(error)
    groups = ContactGroup.objects.for_user(request.user)
    context = {**_context(request), "problem": problem, "groups": groups}
    return render(request, "webmail/contacts_import.html", context, status=422 if problem else 200)


def _context(request: Request) -> dict[str, Any]:
    return {**navigation.context(request, "contacts"), "most": exchange.MAX_CARDS}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def take_in(request: Request, key: uuid.UUID) -> HttpResponse:
    """What the file would do; then it is done."""
    octets = exchange.fetch(request.user, key)
    if octets is None:
        raise Http404
    try:
        if request.method == "POST":
            return _done(request, key, octets)
        preview = exchange.look_at(request.user, octets)
    except exchange.NoContacts as error:
        exchange.forget(request.user.pk, key)
        groups = ContactGroup.objects.for_user(request.user)
        context = {**_context(request), "problem": str(error), "groups": groups}
        return render(request, "webmail/contacts_import.html", context, status=422)
    sample = [(STANDINGS[standing], standing, entry) for standing, entry in preview.sample]
    books = AddressBook.objects.for_user(request.user).filter(writable=True)
    context = {**_context(request), "preview": preview, "sample": sample, "books": books}
    return render(request, "webmail/contacts_preview.html", context)


def _done(request: Request, key: uuid.UUID, octets: bytes) -> HttpResponse:
    number = listing.number(request.POST.get("book", ""))
    book = get_object_or_404(AddressBook.objects.for_user(request.user), pk=number) if number else None
    done = exchange.take_in(request.user, octets, request.POST.get("doubtful") == "1", book)
    exchange.forget(request.user.pk, key)
    words = [ngettext("%(n)d new contact.", "%(n)d new contacts.", done.new) % {"n": done.new}]
    if done.added_to:
        words.append(ngettext("%(n)d was added to.", "%(n)d were added to.", done.added_to) % {"n": done.added_to})
    if done.left_out:
        words.append(ngettext("%(n)d was left out.", "%(n)d were left out.", done.left_out) % {"n": done.left_out})
    way_back = reverse("contacts-undo", args=[done.key]) if done.new or done.added_to else ""
    notice(request, " ".join(words), taken_back_at=way_back)
    return SeeOther(reverse("contacts"))


@require_safe
@login_required
def export(request: Request) -> HttpResponseBase:
    """All, or those of ``group``; in the form ``as``."""
    form = request.GET.get("as", "vcard4")
    if form not in FORMS:
        raise Http404
    rows = Contact.objects.for_user(request.user)
    name = _("contacts")
    if number := listing.number(request.GET.get("group", "")):
        group = get_object_or_404(ContactGroup.objects.for_user(request.user), pk=number)
        rows, name = rows.filter(groups=group), group.name
    kind, ending = FORMS[form]
    response = StreamingHttpResponse(_octets(exchange.write(rows, form)), content_type=f"{kind}; charset=utf-8")
    name = mime.safe_name(name) or _("contacts")
    title = f"{name} {timezone.localdate():%Y-%m-%d}.{ending}"
    response["Content-Disposition"] = disposition(title)
    response["X-Content-Type-Options"] = "nosniff"
    return response


def _octets(pieces: Iterator[str]) -> Iterator[bytes]:
    for piece in pieces:
        yield piece.encode()
