"""What search knows of messages, and what people have searched for."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from webmail.models.mail import Message


class Document(models.Model):
    """A message in the index (webmail/search/index.py), by its number there. Without a message: it is gone, and the index
    is about to forget it."""

    number = models.BigIntegerField(primary_key=True)
    message = models.OneToOneField(Message, models.SET_NULL, null=True, related_name="document")
    received_at = models.DateTimeField()


class Search(models.Model):
    """What a person searched for. With a name, it is saved and stands in the sidebar; without, it is one of the last few.
    Of a saved one: ``unread`` messages are found by it, and maybe ``more``, as was counted last."""

    user = models.ForeignKey(User, models.CASCADE, related_name="searches")
    text = models.TextField()
    name = models.CharField(max_length=100, blank=True)
    used_at = models.DateTimeField(default=timezone.now)
    unread = models.PositiveSmallIntegerField(default=0, db_default=0)
    more = models.BooleanField(default=False, db_default=False)
    count_due = models.BooleanField(default=False, db_default=False)
    counted_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)  # kept for Undo

    class Meta:
        indexes = [
            models.Index(fields=["user", "-used_at"]),
            models.Index(fields=["user"], condition=Q(count_due=True), name="searches_to_count"),
        ]

    def __str__(self) -> str:
        return self.name or self.text
