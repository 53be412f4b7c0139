"""For each request of a signed-in person: the language and time zone they chose, and that they are here."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from datetime import timedelta

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation

from accounts.models import Account, User

PRESENT = timedelta(minutes=1)  # noted no more often
AWAY = timedelta(minutes=30)  # who comes back after that finds out about new mail soon


def note_presence(user: User) -> None:
    """Somebody is here: their accounts are watched closely (webmail/watching). One update a minute at most."""
    now = timezone.now()
    if user.active_at and user.active_at > now - PRESENT:
        return
    stale = User.objects.filter(Q(active_at=None) | Q(active_at__lte=now - PRESENT), pk=user.pk)
    if stale.update(active_at=now) and user.active_at and user.active_at < now - AWAY:
        Account.objects.filter(user=user, sync_due_at__gt=now).update(sync_due_at=now)  # asked rarely meanwhile
    user.active_at = now


def preferences(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        user = request.user
        if not user.is_authenticated:
            return get_response(request)
        note_presence(user)
        if user.language:
            translation.activate(user.language)
            request.LANGUAGE_CODE = user.language
        if user.time_zone:
            timezone.activate(zoneinfo.ZoneInfo(user.time_zone))
        try:
            return get_response(request)
        finally:
            timezone.deactivate()

    return middleware
