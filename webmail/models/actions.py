"""What the person did to their mail."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account


class OperationState(models.TextChoices):
    PENDING = "pending", _("waiting for the server")
    REPLAYING = "replaying", _("being done on the server")
    DONE = "done", _("done")
    FAILED = "failed", _("refused by the server")
    REVERTED = "reverted", _("undone")
    CANCELED = "canceled", _("taken back")


OPEN = (OperationState.PENDING, OperationState.REPLAYING)


class OperationQuerySet(models.QuerySet["Operation"]):
    def for_user(self, user: Any) -> OperationQuerySet:
        return self.filter(account__user=user)

    def open(self) -> OperationQuerySet:
        return self.filter(state__in=OPEN)


class Operation(models.Model):
    """Something the person did to their mail, shown at once and replayed on the server in order (see operations/).

    ``before`` holds what ``revert`` needs; ``batch`` joins the operations of one action over several accounts."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="operations")
    kind = models.CharField(max_length=30)
    payload = models.JSONField()
    before = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=OperationState, default=OperationState.PENDING)
    batch = models.UUIDField(default=uuid.uuid4, db_index=True)
    undoes = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    not_before = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)
    trouble = models.TextField(blank=True)
    detail = models.TextField(blank=True)
    done = models.PositiveIntegerField(default=0)  # messages, of one that works through many in batches
    total = models.PositiveIntegerField(default=0)  # 0 while it is not known
    told = models.BooleanField(default=True)  # False: failed, and the person has not been told yet

    objects = OperationQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["account", "state", "id"])]
