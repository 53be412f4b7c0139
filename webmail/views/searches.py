"""Searches that are kept: saved under a name, or the last few. Saving and removing works by forms; script alone can tell
that a search was used, so without it none are remembered."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import Request
from webmail import searches, tasks
from webmail.models import Search
from webmail.views import listing, navigation
from webmail.views.redirection import SeeOther, back, notice, problem


def own(request: Request, pk: int) -> Search:
    return get_object_or_404(Search.objects.exclude(name="").select_related("user"), pk=pk, user=request.user)


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    """All that is kept, to be renamed and removed."""
    context = {
        **navigation.context(request, "searches"),
        "saved": searches.saved_of(request.user),
        "recent": searches.recent_of(request.user.pk),
        "here": request.get_full_path(),
    }
    return render(request, "webmail/searches.html", context)


@require_POST
@login_required
def create(request: Request) -> HttpResponse:
    text = request.POST.get("q", "")
    try:
        kept = searches.save(request.user, text, request.POST.get("name", ""))
    except searches.TooMany:
        problem(request, _too_many())
        return SeeOther(_address(text))
    if kept is None:
        problem(request, _("There is nothing to search for in this."))
        return SeeOther(_address(text))
    tasks.nudge_first_count(request.user.pk)
    notice(request, _("Saved as “%(name)s”.") % {"name": kept.name})
    return SeeOther(_address(kept.text))


@require_POST
@login_required
def rename(request: Request, pk: int) -> HttpResponse:
    searches.rename(own(request, pk), request.POST.get("name", ""))
    return back(request, reverse("searches"))


@require_POST
@login_required
def destroy(request: Request, pk: int) -> HttpResponse:
    one = own(request, pk)
    searches.remove(one)
    words = _("The saved search “%(name)s” was removed.") % {"name": one.name}
    notice(request, words, taken_back_at=reverse("search-return", args=[pk]))
    return back(request, reverse("searches"))


@require_POST
@login_required
def bring_back(request: Request, pk: int) -> HttpResponse:
    try:
        searches.bring_back(own(request, pk))
    except searches.TooMany:
        problem(request, _too_many())
    else:
        tasks.nudge_first_count(request.user.pk)
        notice(request, _("Undone."))
    return back(request, reverse("searches"))


@require_POST
@login_required
def remember(request: Request) -> HttpResponse:
    searches.remember(request.user, request.POST.get("q", ""))
    return HttpResponse(status=204)


@require_POST
@login_required
def forget(request: Request) -> HttpResponse:
    """One recent search (``id``), or all of them."""
    recent = Search.objects.filter(user=request.user, name="")
    one = request.POST.get("id", "")
    (recent.filter(pk=listing.number(one)) if one else recent).delete()
    return back(request, reverse("searches"))


def _address(text: str) -> str:
    return f"{reverse('search')}?{urlencode({'q': text})}"


def _too_many() -> str:
    return _("No more than %(n)d searches can be saved. Remove one first.") % {"n": searches.MOST_SAVED}
