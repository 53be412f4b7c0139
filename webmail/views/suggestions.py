"""Whom a message may be meant for, asked while somebody types in the composer."""

from __future__ import annotations

from dataclasses import asdict

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import suggestions


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    """JSON for ``q``: at most eight, the likeliest first."""
    found = suggestions.suggest(request.user.pk, request.GET.get("q", ""))
    return JsonResponse({"suggestions": [asdict(one) for one in found]})
