"""People at the other end."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from accounts.models import Account


class Correspondent(models.Model):
    """Somebody an account has mail from, a message of ``heard_at`` and perhaps others (``again``), or has written to, last
    at ``written_at``. ``email`` is in lower case."""

    account = models.ForeignKey(Account, models.CASCADE, db_index=False, related_name="correspondents")
    email = models.CharField(max_length=320)
    name = models.CharField(max_length=255, blank=True)
    heard_at = models.DateTimeField(null=True)
    again = models.BooleanField(default=False)
    written_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "email"], name="one_correspondent_per_address")]

    def __str__(self) -> str:
        return self.email


class RemotePermission(models.Model):
    """Senders whose remote pictures are shown without asking; looked up when a message is shown, never kept with it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    sender = models.CharField(max_length=320)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "sender"], name="one_permission_per_sender")]
