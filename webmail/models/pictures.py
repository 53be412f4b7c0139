"""Remote pictures that were fetched for somebody, kept so that their senders hear of none of the later openings."""

from __future__ import annotations

from django.db import models

from accounts.models import Account


def picture_path(picture: RemotePicture, _name: str) -> str:
    return f"pictures/{picture.account_id}/{picture.digest[:2]}/{picture.digest}"


class RemotePicture(models.Model):
    """What came from one URL for one account. ``type`` is "" where no picture came; then there is no file. ``fetched_at``:
    None of one that is to be fetched before anybody asks for it; only then ``url`` is kept."""

    account = models.ForeignKey(Account, models.CASCADE, db_index=False, related_name="+")
    digest = models.CharField(max_length=64)  # SHA-256 of the URL, as hexadecimal digits
    url = models.TextField(blank=True)
    type = models.CharField(max_length=20, blank=True)
    file = models.FileField(upload_to=picture_path, max_length=255)
    size = models.PositiveIntegerField(default=0)  # octets
    fetched_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "digest"], name="one_picture_per_url")]
