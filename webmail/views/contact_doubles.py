"""Contacts that are likely one person, side by side."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail.contacts import doubles
from webmail.models import Contact
from webmail.views import listing, navigation
from webmail.views.redirection import SeeOther, notice, problem


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    context: dict[str, Any] = {
        **navigation.context(request, "contacts"),
        "pairs": doubles.doubles(request.user),
        "here": request.path,
    }
    return render(request, "webmail/contact_doubles.html", context)


def _pair(request: Request) -> tuple[Contact, Contact]:
    """``one`` and ``other``, two of theirs."""
    mine = Contact.objects.for_user(request.user)
    one, other = (
        get_object_or_404(mine, pk=listing.number(request.POST.get(name, "")) or 0) for name in ("one", "other")
    )
    return one, get_object_or_404(mine.exclude(pk=one.pk), pk=other.pk)


@require_POST
@login_required
def merge(request: Request) -> HttpResponse:
    try:
        contact, key = doubles.merge(*_pair(request))
    except doubles.TooMany as error:
        problem(request, str(error))
    else:
        words = _("%(name)s is one contact now.") % {"name": contact.name}
        notice(request, words, taken_back_at=reverse("contacts-undo", args=[key]))
    return SeeOther(reverse("contact-doubles"))


@require_POST
@login_required
def separate(request: Request) -> HttpResponse:
    doubles.keep_apart(*_pair(request))
    return SeeOther(reverse("contact-doubles"))
