"""Who asks, on every request: Django's sessions and users in the database, asked for by prepared queries."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.contrib.sessions.models import Session
from django.db.models import CharField
from django.utils import timezone

from accounts.models import User
from webmail.prepared import Integer, Moment, Prepared

_user = Prepared(lambda pk: User.objects.filter(pk=pk), Integer)
_session = Prepared(
    lambda key, now: Session.objects.filter(session_key=key, expire_date__gt=now), CharField(max_length=40), Moment
)


class SessionStore(DatabaseStore):
    """``SESSION_ENGINE``."""

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        return dict(_decoded(session_data))

    def _get_session_from_db(self) -> Any:
        found = _session(self.session_key, timezone.now()) if self.session_key else []
        if not found:
            self._session_key = None
            return None
        return found[0]


@lru_cache(maxsize=1000)
def _decoded(session_data: bytes | str) -> dict[str, Any]:
    """The same each time: a signature and what is signed, without a time. What a session of ours holds is never changed in
    place, but set anew."""
    return DatabaseStore.decode(SessionStore(), session_data)


class Backend(ModelBackend):
    """Of ``AUTHENTICATION_BACKENDS``."""

    def get_user(self, user_id: Any) -> User | None:
        found = _user(user_id)
        return found[0] if found and self.user_can_authenticate(found[0]) else None
