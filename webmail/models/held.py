"""What was posted after the sign-in had run out."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone


def held_path(held: HeldFile, name: str) -> str:
    return f"held/{uuid.uuid4().hex}"


class HeldForm(models.Model):
    """A form that came in without a valid sign-in, from a browser in which ``user`` had signed in: kept until they have
    signed in again, then handed in once more as it was. ``fields`` are [[name, value], …]."""

    key = models.UUIDField(default=uuid.uuid4, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    path = models.CharField(max_length=2000)
    fields = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)


class HeldFile(models.Model):
    form = models.ForeignKey(HeldForm, models.CASCADE, related_name="files")
    field = models.CharField(max_length=100)
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=120)
    size = models.PositiveBigIntegerField()
    file = models.FileField(upload_to=held_path, max_length=200)

    class Meta:
        ordering = ["id"]
