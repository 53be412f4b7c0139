"""Groups of contacts: their pages, and what is done to several contacts at once."""

from __future__ import annotations

import uuid

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail import compose, contacts, suggestions
from webmail.models import Contact, ContactGroup
from webmail.views import contacts as pages
from webmail.views import listing
from webmail.views.redirection import SeeOther, back, notice, problem

MOST = 1000  # contacts that one form names
LINK = 1500  # characters of recipients that an address of ours may have


def own(request: Request, pk: int) -> ContactGroup:
    return get_object_or_404(ContactGroup.objects.for_user(request.user), pk=pk)


@require_safe
@login_required
def show(request: Request, pk: int) -> HttpResponse:
    group = own(request, pk)
    text = ", ".join(suggestions.members(pk))
    return pages.list_page(request, group, letter=text if len(text) <= LINK else "")


@require_POST
@login_required
def letter(request: Request, pk: int) -> HttpResponse:
    """To all of a group too large for a link: a draft."""
    people = suggestions.members(own(request, pk).pk)
    if not people:
        problem(request, _("Nobody in this group has a mail address."))
        return SeeOther(reverse("contact-group", args=[pk]))
    try:
        draft = compose.save(compose.new(request.user, to=", ".join(people)))
    except compose.Unsendable as error:
        problem(request, " ".join(error.problems.values()))
        return SeeOther(reverse("contact-group", args=[pk]))
    return SeeOther(reverse("draft", args=[draft.pk]))


@require_POST
@login_required
def create(request: Request) -> HttpResponse:
    try:
        group = contacts.create_group(request.user, request.POST.get("name", ""))
    except contacts.BadGroup as error:
        problem(request, str(error))
        return SeeOther(reverse("contacts"))
    notice(request, _("The group “%(name)s” was made.") % {"name": group.name})
    return SeeOther(reverse("contact-group", args=[group.pk]))


@require_POST
@login_required
def rename(request: Request, pk: int) -> HttpResponse:
    try:
        contacts.rename_group(own(request, pk), request.POST.get("name", ""))
    except contacts.BadGroup as error:
        problem(request, str(error))
    return SeeOther(reverse("contact-group", args=[pk]))


@require_POST
@login_required
def destroy(request: Request, pk: int) -> HttpResponse:
    group = own(request, pk)
    key = contacts.remove_group(group)
    notice(request, _("The group “%(name)s” was deleted.") % {"name": group.name}, taken_back_at=way_back(key))
    return SeeOther(reverse("contacts"))


def way_back(key: uuid.UUID) -> str:
    return reverse("contacts-undo", args=[key])


@require_POST
@login_required
def membership(request: Request) -> HttpResponse:
    """Ticked contacts (``id``) into the group ``to``, or out of the group ``from`` where that button was pressed."""
    ids = ticked(request)
    leaving = listing.number(request.POST.get("from", ""))
    group = leaving or listing.number(request.POST.get("to", ""))
    if not ids or not group:
        problem(request, _("Tick contacts and choose a group."))
        return back(request, reverse("contacts"))
    chosen = own(request, group)
    if leaving:
        n = contacts.scatter(chosen, ids)
        words = ngettext("%(n)d contact left “%(name)s”.", "%(n)d contacts left “%(name)s”.", n)
    else:
        n = contacts.gather(chosen, ids)
        words = ngettext("%(n)d contact is in “%(name)s” now.", "%(n)d contacts are in “%(name)s” now.", n)
    notice(request, words % {"n": n, "name": chosen.name})
    return back(request, reverse("contacts"))


def ticked(request: Request) -> list[int]:
    found = (listing.number(text) for text in request.POST.getlist("id")[:MOST])
    return [pk for pk in found if pk]


@require_POST
@login_required
def destroy_contacts(request: Request) -> HttpResponse:
    """Ticked contacts; with a way back."""
    rows = list(Contact.objects.for_user(request.user).filter(pk__in=ticked(request)))
    if not rows:
        problem(request, _("Tick the contacts to delete."))
        return back(request, reverse("contacts"))
    words = ngettext("%(n)d contact was deleted.", "%(n)d contacts were deleted.", len(rows)) % {"n": len(rows)}
    key = contacts.remove_all(request.user, rows, words)
    notice(request, words, taken_back_at=way_back(key))
    return back(request, reverse("contacts"))


@require_POST
@login_required
def undo(request: Request, key: uuid.UUID) -> HttpResponse:
    done = contacts.undo(request.user.pk, key)
    if done is None:
        problem(request, _("That cannot be taken back any more."))
    elif done.taken:
        problem(
            request,
            _("Taken back, but for addresses that another contact has now: %(pieces)s")
            % {"pieces": ", ".join(done.taken[:20])},
        )
    else:
        notice(request, _("Taken back: %(what)s") % {"what": done.what})
    return back(request, reverse("contacts"))
