"""People at the other end."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from accounts.models import Account


class Correspondent(models.Model):
    """Somebody an account has mail from, a message of ``heard_at`` and perhaps others (``again``), or has written to, last
    at ``written_at``, in ``times_written`` messages. ``email`` is in lower case. ``suggested`` is whether the addressees
    (below) know what the row says."""

    account = models.ForeignKey(Account, models.CASCADE, db_index=False, related_name="correspondents")
    email = models.CharField(max_length=320)
    name = models.CharField(max_length=255, blank=True)
    heard_at = models.DateTimeField(null=True)
    again = models.BooleanField(default=False)
    written_at = models.DateTimeField(null=True)
    times_written = models.PositiveIntegerField(default=0)
    suggested = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "email"], name="one_correspondent_per_address")]
        indexes = [models.Index(fields=["id"], name="correspondents_to_suggest", condition=models.Q(suggested=False))]

    def __str__(self) -> str:
        return self.email


class RemotePermission(models.Model):
    """Senders whose remote pictures are shown without asking; looked up when a message is shown, never kept with it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    sender = models.CharField(max_length=320)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "sender"], name="one_permission_per_sender")]


class ContactQuerySet(models.QuerySet["Contact"]):
    def for_user(self, user: Any) -> ContactQuerySet:
        return self.filter(user=user)


class ContactGroupQuerySet(models.QuerySet["ContactGroup"]):
    def for_user(self, user: Any) -> ContactGroupQuerySet:
        return self.filter(user=user)


class Contact(models.Model):
    """Somebody in the person's address book. ``vcard`` is the card it came from: what has no column here is kept in it.
    ``sort`` is what lists are ordered by. ``uid`` names it for programs that share the book (RFC 6350 §6.7.6)."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="contacts")
    uid = models.UUIDField(default=uuid.uuid4)
    name = models.CharField(max_length=255)
    sort = models.CharField(max_length=255, editable=False)
    organisation = models.CharField(max_length=255, blank=True)
    title = models.CharField(max_length=255, blank=True)
    phones = models.JSONField(default=list)  # [[number, kind], …]
    postal = models.CharField(max_length=255, blank=True)
    note = models.TextField(blank=True)
    vcard = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(auto_now=True)

    objects = ContactQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["user", "sort", "id"], name="contacts_by_name")]
        constraints = [models.UniqueConstraint(fields=["user", "uid"], name="one_contact_per_uid")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        self.sort = self.name.casefold()[:255]
        super().save(*args, **options)


class ContactGroup(models.Model):
    """Contacts that a person put together under a name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="contact_groups")
    name = models.CharField(max_length=100)
    sort = models.CharField(max_length=100, editable=False)
    contacts: models.ManyToManyField[Contact, Any] = models.ManyToManyField(Contact, related_name="groups")

    objects = ContactGroupQuerySet.as_manager()

    class Meta:
        ordering = ["sort", "id"]
        constraints = [models.UniqueConstraint(fields=["user", "sort"], name="one_group_per_name")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **options: Any) -> None:
        self.sort = self.name.casefold()[:100]
        super().save(*args, **options)


class ContactAddress(models.Model):
    """A mail address of a contact, as it is written; of ``email``, in lower case, there is one in each book."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="+")
    contact = models.ForeignKey(Contact, models.CASCADE, related_name="addresses")
    email = models.CharField(max_length=320)
    written = models.CharField(max_length=320)
    kind = models.CharField(max_length=20, blank=True)  # home, work, or ""
    position = models.PositiveSmallIntegerField(default=0)
    suggested = models.BooleanField(default=False)  # whether the addressees know of it

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["user", "email"], name="one_contact_per_address")]
        indexes = [models.Index(fields=["id"], name="addresses_to_suggest", condition=models.Q(suggested=False))]

    def __str__(self) -> str:
        return self.written


class Addressee(models.Model):
    """An address that a message may go to, once for each person however many accounts and contacts know it; made from these
    by webmail/suggestions.py. ``rank`` orders them: whom one writes to often and lately stands highest, then who writes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="+")
    email = models.CharField(max_length=320)
    written = models.CharField(max_length=320)
    name = models.CharField(max_length=255, blank=True)
    contact = models.ForeignKey(Contact, models.SET_NULL, null=True, related_name="+")
    rank = models.IntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "email"], name="one_addressee_per_address")]
        indexes = [models.Index(fields=["user", "-rank", "id"], name="addressees_by_rank")]

    def __str__(self) -> str:
        return self.written


class AddresseeWord(models.Model):
    """A word that an addressee is found by: folded, as UTF-8, because octets are in one order in every database. One index
    holds all that a search reads."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, db_index=False, related_name="+")
    addressee = models.ForeignKey(Addressee, models.CASCADE, related_name="words")
    word = models.BinaryField(max_length=160)
    rank = models.IntegerField()

    class Meta:
        indexes = [models.Index(fields=["user", "word", "rank", "addressee"], name="addressees_by_word")]
