"""What was found out about the files of messages by looking at their octets."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from webmail.models.mail import Message


class FileFinding(models.Model):
    """About one file: what it is (mime/kinds.py), and its thumbnail once a worker has made one. Everything in it can be found
    out again, so a row may go at any time."""

    message = models.ForeignKey(Message, models.CASCADE, db_index=False, related_name="findings")
    part_id = models.CharField(max_length=60)
    type = models.CharField(max_length=80, blank=True)  # by content; "" where the octets do not tell
    dangers = models.JSONField(default=list)  # of kinds.DANGERS and CAUTIONS
    still = models.BooleanField(null=True)  # of a PDF: it does nothing by itself; None: nobody has looked
    size = models.PositiveBigIntegerField(null=True)  # in decoded octets; None: reading to its end would tell
    lines = models.JSONField(null=True)  # how its base64 is laid out (files.Lines), where in a regular way
    thumbnail = models.BinaryField(null=True)  # WebP, a few kB
    width = models.PositiveSmallIntegerField(default=0)  # of the thumbnail
    height = models.PositiveSmallIntegerField(default=0)
    refused = models.BooleanField(default=False)  # no thumbnail can be made of it
    found_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "part_id"], name="one_finding_per_file")]
