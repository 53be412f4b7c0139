"""What search knows of messages, and what people have searched for."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import User
from webmail.models.mail import Mailbox, Message


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


class ServerSearchState(models.TextChoices):
    SEARCHING = "searching"
    STOPPED = "stopped"
    DONE = "done"


class ServerSearch(models.Model):
    """What a person searches for on mail servers, since not all of it is here (webmail/server_search.py)."""

    user = models.ForeignKey(User, models.CASCADE, db_index=False, related_name="server_searches")
    text = models.TextField()
    state = models.CharField(max_length=10, choices=ServerSearchState, default=ServerSearchState.SEARCHING)
    began_at = models.DateTimeField(default=timezone.now)
    moved_at = models.DateTimeField(default=timezone.now)  # when a folder was last begun with

    class Meta:
        indexes = [models.Index(fields=["user", "-began_at"], name="server_searches")]

    def __str__(self) -> str:
        return self.text


class AskedState(models.TextChoices):
    WAITING = "waiting"
    ASKING = "asking"
    ASKED = "asked"
    UNASKED = "unasked"  # it could not be


class AskedFolder(models.Model):
    """One folder of such a search. ``ids``: messages that the server found and that are not found here, newest first;
    ``more``: the server found others beyond the bound; ``similar``: none of them is what was searched for, they are only like
    it. ``why`` it could not be asked, and what the server ``said``."""

    search = models.ForeignKey(ServerSearch, models.CASCADE, related_name="folders")
    mailbox = models.ForeignKey(Mailbox, models.CASCADE)
    position = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=AskedState, default=AskedState.WAITING)
    why = models.CharField(max_length=20, blank=True)
    said = models.CharField(max_length=500, blank=True)
    ids = models.JSONField(default=list)
    more = models.BooleanField(default=False)
    similar = models.BooleanField(default=False)

    class Meta:
        ordering = ["position"]
