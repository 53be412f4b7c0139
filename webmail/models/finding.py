"""What search knows of messages, and what people have searched for."""

from __future__ import annotations

from django.db import models
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
    """What a person searched for. With a name, it stands in the sidebar; without, it is one of the last few."""

    user = models.ForeignKey(User, models.CASCADE, related_name="searches")
    text = models.TextField()
    name = models.CharField(max_length=100, blank=True)
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["user", "-used_at"])]

    def __str__(self) -> str:
        return self.name or self.text
