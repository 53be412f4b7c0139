"""What is being written, and what waits to be sent."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account, Identity
from webmail.models.mail import Mailbox, Message


class DraftQuerySet(models.QuerySet["Draft"]):
    def for_user(self, user: Any) -> DraftQuerySet:
        return self.filter(account__user=user)

    def being_written(self) -> DraftQuerySet:
        return self.filter(submission__isnull=True)

    def not_in_folder(self) -> DraftQuerySet:
        """Without those that the list of the server's Drafts shows already, by the copy that we keep there."""
        seen = Message.objects.filter(remote_mailbox=OuterRef("mailbox"), uid=OuterRef("uid")).exclude(uid="")
        copies = DraftCopy.objects.filter(Exists(seen), account=OuterRef("account"), draft_number=OuterRef("pk"))
        return self.filter(~Exists(copies))


class Priority(models.TextChoices):
    HIGH = "high", _("High")
    NORMAL = "normal", _("Normal")
    LOW = "low", _("Low")


class Draft(models.Model):
    """A message being written. ``message_id`` is fixed here, so that whatever happens later it is the same message;
    ``revision`` counts saves, so that an older tab cannot silently overwrite a newer one."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="drafts")
    identity = models.ForeignKey(Identity, models.SET_NULL, null=True)
    written_as = models.CharField(max_length=320, blank=True)  # one that the identity answers for, if not its own
    message_id = models.CharField(max_length=255, blank=True)
    revision = models.PositiveIntegerField(default=0)
    to = models.TextField(blank=True)
    cc = models.TextField(blank=True)
    bcc = models.TextField(blank=True)
    reply_to = models.TextField(blank=True)
    subject = models.TextField(blank=True)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)  # what is written where it is rich text, cleaned; then ``text`` follows from it
    priority = models.CharField(max_length=6, choices=Priority, default=Priority.NORMAL)
    wants_receipt = models.BooleanField(default=False)  # RFC 8098
    wants_delivery_report = models.BooleanField(default=False)  # RFC 3461
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
    source_message = models.ForeignKey(
        Message, models.SET_NULL, null=True, related_name="+"
    )  # if not the draft's source
    cid = models.CharField(max_length=120, blank=True)  # shown in the rich text as ``cid:…``
    key = models.CharField(max_length=80, blank=True)  # of the upload by which it came
    file = models.FileField(upload_to=attachment_path, max_length=200)

    class Meta:
        ordering = ["id"]


def piece_path(piece: UploadPiece, name: str) -> str:
    return f"drafts/{piece.upload.draft.account_id}/{uuid.uuid4().hex}"


class Upload(models.Model):
    """A file on its way into a draft, in pieces that follow one another; it becomes an attachment when it is complete.
    ``key`` is the browser's name for it, by which it finds out after a break how much has come."""

    draft = models.ForeignKey(Draft, models.CASCADE, related_name="uploads")
    key = models.CharField(max_length=80)
    name = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField()
    received = models.PositiveBigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["draft", "key"], name="one_upload_per_key")]


class UploadPiece(models.Model):
    upload = models.ForeignKey(Upload, models.CASCADE, related_name="pieces")
    offset = models.PositiveBigIntegerField()
    file = models.FileField(upload_to=piece_path, max_length=200)

    class Meta:
        ordering = ["offset"]
        constraints = [models.UniqueConstraint(fields=["upload", "offset"], name="one_piece_per_offset")]


class DraftCopy(models.Model):
    """A copy of a draft that we have put into the server's Drafts, or were about to when ``uid`` is empty. It outlives
    the draft: only then is it known what has to go. ``state`` is the mailbox's when it was put there (its uids mean
    nothing in another)."""

    account = models.ForeignKey(Account, models.CASCADE, db_index=False, related_name="+")
    draft_number = models.BigIntegerField()
    revision = models.PositiveIntegerField()
    mailbox = models.ForeignKey(Mailbox, models.CASCADE, related_name="+")
    state = models.TextField()
    uid = models.CharField(max_length=80, blank=True)
    message_id = models.CharField(max_length=255)
    size = models.PositiveBigIntegerField()
    put_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["account", "draft_number"])]


class Template(models.Model):
    """A text that is written again and again (``name`` is for its author)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="templates")
    name = models.CharField(max_length=120)
    subject = models.TextField(blank=True)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


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
    What went out to some and is tried again for others has ``sent_at`` already, and only the others for ``recipients``.
    *Scheduled* is what waits for a time that the person chose (``send_at``). ``tries`` are the last KEPT_TRIES attempts:
    of each ``at`` (ISO 8601), ``host``, ``how`` (a SubmissionState: what it came to) and ``said``, the server's words."""

    KEPT_TRIES = 20

    account = models.ForeignKey(Account, models.CASCADE, related_name="submissions")
    draft = models.OneToOneField(Draft, models.SET_NULL, null=True, related_name="submission")
    message_id = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, blank=True)  # of what was written (compose.fingerprint)
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
            and self.sent_at is None
            and self.not_before > timezone.now()
        )

    @property
    def missing(self) -> list[str]:
        """Who did not get it, of something that others got."""
        if self.sent_at is None:
            return []
        waiting = [] if self.state == SubmissionState.SENT else self.recipients
        return list(dict.fromkeys([*waiting, *self.refused]))

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
