"""People one writes to who are no contacts: the most and the latest written to first."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import mime
from webmail.models import Addressee
from webmail.views import listing, navigation

PAGE = 100


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    """``after`` is the last of the page before."""
    people = Addressee.objects.filter(user=request.user, contact=None, rank__gt=0).order_by("-rank", "id")
    after = people.filter(pk=listing.number(request.GET.get("after", "")) or 0).first()
    if after:
        people = people.filter(Q(rank__lt=after.rank) | Q(rank=after.rank, pk__gt=after.pk))
    page = list(people[: PAGE + 1])
    context: dict[str, Any] = {
        **navigation.context(request, "contacts"),
        "people": [(one, mime.format_address(mime.Address(one.name, one.written))) for one in page[:PAGE]],
        "more": urlencode({"after": page[PAGE - 1].pk}) if len(page) > PAGE else "",
        "here": request.get_full_path(),
    }
    return render(request, "webmail/correspondents.html", context)
