"""What mail said of events, and what the person answered."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from webmail.models.mail import Message
from webmail.models.writing import Submission


class Notice(models.Model):
    """What one message says of one event, or of one occurrence of a series: what tells which of several counts (RFC 5546
    §2.1.5). ``event`` is a digest of the UID, ``occurrence`` the RECURRENCE-ID or "". Written when a message is read."""

    account = models.ForeignKey(Account, models.CASCADE, db_index=False, related_name="+")
    message = models.ForeignKey(Message, models.CASCADE, related_name="+")
    event = models.CharField(max_length=64)
    occurrence = models.CharField(max_length=32, blank=True)
    method = models.CharField(max_length=14)
    sequence = models.PositiveIntegerField(default=0)
    stamp = models.DateTimeField(null=True)
    organizer = models.CharField(max_length=320, blank=True)  # lower case
    start = models.CharField(max_length=40, blank=True)  # as ISO 8601: in UTC, or a date, or a time anywhere

    class Meta:
        indexes = [models.Index(fields=["account", "event"])]
        constraints = [
            models.UniqueConstraint(fields=["message", "event", "occurrence"], name="one_notice_per_message_and_event")
        ]


class Participation(models.TextChoices):
    """RFC 5545 §3.2.12."""

    ACCEPTED = "ACCEPTED", _("accepted")
    TENTATIVE = "TENTATIVE", _("accepted tentatively")
    DECLINED = "DECLINED", _("declined")


class AnswerQuerySet(models.QuerySet["Answer"]):
    def for_user(self, user: Any) -> AnswerQuerySet:
        return self.filter(user=user)


class Answer(models.Model):
    """The ``number``-th answer to an event as ``attendee``; the last one counts. Two that are given at once have the same
    number, so only one of them is sent. ``submission`` is how it went out; one that was taken back is no answer."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="+")
    event = models.CharField(max_length=64)
    occurrence = models.CharField(max_length=32, blank=True)
    number = models.PositiveIntegerField()
    attendee = models.CharField(max_length=320)
    sequence = models.PositiveIntegerField(default=0)
    state = models.CharField(max_length=12, choices=Participation)
    comment = models.TextField(blank=True)
    message_id = models.CharField(max_length=255)
    submission = models.ForeignKey(Submission, models.SET_NULL, null=True, related_name="+")
    answered_at = models.DateTimeField(default=timezone.now)

    objects = AnswerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "event", "occurrence", "number"], name="one_answer_at_a_time")
        ]
