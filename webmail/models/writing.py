"""What is being written, and what waits to be sent."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, Identity
from webmail.models.mail import Message


class DraftQuerySet(models.QuerySet["Draft"]):
    def for_user(self, user: Any) -> DraftQuerySet:
        return self.filter(account__user=user)

    def being_written(self) -> DraftQuerySet:
        return self.filter(submission__isnull=True)


class Draft(models.Model):
    """A message being written. ``message_id`` is fixed here, so that whatever happens later it is the same message;
    ``revision`` counts saves, so that an older tab cannot silently overwrite a newer one."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="drafts")
    identity = models.ForeignKey(Identity, models.SET_NULL, null=True)
    message_id = models.CharField(max_length=255, blank=True)
    revision = models.PositiveIntegerField(default=0)
    to = models.TextField(blank=True)
    cc = models.TextField(blank=True)
    bcc = models.TextField(blank=True)
    subject = models.TextField(blank=True)
    text = models.TextField(blank=True)
    in_reply_to = models.CharField(max_length=255, blank=True)
    references = models.JSONField(default=list)
    source = models.ForeignKey(Message, models.SET_NULL, null=True, related_name="+")  # answered or forwarded
    kind = models.CharField(max_length=10, default="new")  # new, reply, forward, draft
    awaits_attachments = models.BooleanField(default=False)  # those of the source still have to be fetched
    created_at = models.DateTimeField(default=timezone.now)
    saved_at = models.DateTimeField(default=timezone.now)

    objects = DraftQuerySet.as_manager()

    class Meta:
        ordering = ["-saved_at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["message_id"], condition=~models.Q(message_id=""), name="one_draft_per_message_id"
            )
        ]

    def __str__(self) -> str:
        return self.subject or str(_("(no subject)"))


def attachment_path(attachment: DraftAttachment, name: str) -> str:
    return f"drafts/{attachment.draft.account_id}/{uuid.uuid4().hex}"


class DraftAttachment(models.Model):
    """A file that goes with a draft, bound to its id."""

    draft = models.ForeignKey(Draft, models.CASCADE, related_name="attachments")
    name = models.CharField(max_length=255)
    type = models.CharField(max_length=120, default="application/octet-stream")
    size = models.PositiveBigIntegerField()
    source_part = models.CharField(max_length=60, blank=True)  # of the forwarded message, where it comes from one
    file = models.FileField(upload_to=attachment_path, max_length=200)

    class Meta:
        ordering = ["id"]


class SubmissionState(models.TextChoices):
    WAITING = "waiting", _("waiting")
    CLAIMED = "claimed", _("connecting")
    SENDING = "sending", _("sending")
    SENT = "sent", _("sent")
    REFUSED = "refused", _("refused")
    UNCERTAIN = "uncertain", _("uncertain")
    CANCELED = "canceled", _("taken back")


class FilingState(models.TextChoices):
    PENDING = "pending", _("to be filed")
    FILED = "filed", _("filed in Sent")
    SKIPPED = "skipped", _("filed by the provider")


class SubmissionQuerySet(models.QuerySet["Submission"]):
    def for_user(self, user: Any) -> SubmissionQuerySet:
        return self.filter(account__user=user)

    def in_outbox(self) -> SubmissionQuerySet:
        """What is not over yet, or has not been seen."""
        return self.exclude(state=SubmissionState.CANCELED).exclude(raw="")


def submission_path(submission: Submission, name: str) -> str:
    return f"outbox/{submission.account_id}/{uuid.uuid4().hex}.eml"


class Submission(models.Model):
    """A message on its way out (RFC 8621 §7).

    waiting → claimed (one worker, by a conditional update) → sending (the message is being handed over) → sent.
    A worker that dies while *claimed* handed nothing over: back to waiting. One that dies while *sending* leaves the
    submission *uncertain*: the program never sends it again, the person decides. Filing in Sent is a step of its own.
    *Scheduled* is what waits for a time that the person chose (``send_at``). ``tries`` are the last KEPT_TRIES attempts:
    of each ``at`` (ISO 8601), ``host``, ``how`` (a SubmissionState: what it came to) and ``said``, the server's words."""

    KEPT_TRIES = 20

    account = models.ForeignKey(Account, models.CASCADE, related_name="submissions")
    draft = models.OneToOneField(Draft, models.SET_NULL, null=True, related_name="submission")
    message_id = models.CharField(max_length=255)
    subject = models.TextField(blank=True)
    sender = models.CharField(max_length=320)
    recipients = models.JSONField()
    raw = models.FileField(upload_to=submission_path, max_length=200, blank=True)  # with Bcc, as it is filed in Sent
    size = models.PositiveBigIntegerField()
    state = models.CharField(max_length=10, choices=SubmissionState, default=SubmissionState.WAITING)
    filing = models.CharField(max_length=10, choices=FilingState, default=FilingState.PENDING)
    filing_attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    not_before = models.DateTimeField(default=timezone.now)
    send_at = models.DateTimeField(null=True)  # chosen by the person; not_before moves when a try has failed
    notify = models.BooleanField(default=False)  # servers are asked to tell of delivery (RFC 3461)
    recipient_count = models.PositiveIntegerField(default=0)
    handed_over = models.BooleanField(default=False)  # to the server, once, however that ended
    begun_at = models.DateTimeField(null=True)  # when it was last handed over
    relayed = models.BooleanField(default=False)  # through the operator's relay, not the account's own server
    tries = models.JSONField(default=list)
    claimed_by = models.CharField(max_length=120, blank=True)
    claimed_until = models.DateTimeField(null=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    refused = models.JSONField(default=dict)  # recipient -> the server's reply
    trouble = models.TextField(blank=True)
    detail = models.TextField(blank=True)
    dismissed = models.BooleanField(default=False)  # the person has seen how it ended

    objects = SubmissionQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["state", "not_before"]),
            models.Index(fields=["account", "state"]),
            models.Index(fields=["account", "begun_at"], name="sent_lately"),
        ]
        ordering = ["-id"]

    @property
    def seconds(self) -> int:
        """How long it is held back still."""
        return max(0, round((self.not_before - timezone.now()).total_seconds()))

    @property
    def is_scheduled(self) -> bool:
        """It waits for the time that the person chose, and not since a server asked for patience."""
        return (
            self.state == SubmissionState.WAITING
            and self.send_at is not None
            and not self.attempts
            and self.not_before > timezone.now()
        )

    def tried(self, how: str, said: str, host: str) -> list[dict[str, str]]:
        """The tries with one more, for the caller to save."""
        one = {"at": timezone.now().isoformat(timespec="seconds"), "host": host, "how": how, "said": said[:500]}
        self.tries = [*self.tries, one][-self.KEPT_TRIES :]
        return self.tries

    @property
    def needs_person(self) -> bool:
        return self.state in (SubmissionState.REFUSED, SubmissionState.UNCERTAIN) or (
            self.state == SubmissionState.SENT and bool(self.refused) and not self.dismissed
        )
