"""Address books on servers (CardDAV, RFC 6352), and what was lately done to contacts."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone

from webmail.models.people import Contact


class AddressBookQuerySet(models.QuerySet["AddressBook"]):
    def for_user(self, user: Any) -> AddressBookQuerySet:
        return self.filter(user=user)


class AddressBook(models.Model):
    """A collection of cards on a server, kept in step with contacts here. ``state`` is what the server gave to ask for what
    changed since (RFC 6578); "" where it has to be compared card by card. ``trouble`` and ``needs_user`` are as an
    account's are."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="address_books")
    name = models.CharField(max_length=100)
    url = models.CharField(max_length=500)
    username = models.CharField(max_length=254)
    credentials = models.TextField()
    state = models.CharField(max_length=1000, blank=True)
    writable = models.BooleanField(default=True)
    synced_at = models.DateTimeField(null=True)
    due_at = models.DateTimeField(default=timezone.now, db_index=True)
    leased_until = models.DateTimeField(null=True)
    failures = models.PositiveSmallIntegerField(default=0)
    needs_user = models.BooleanField(default=False)
    trouble = models.TextField(blank=True)
    notes = models.JSONField(default=list)  # sentences the person has not read yet

    objects = AddressBookQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["user", "url"], name="one_book_per_url")]

    def __str__(self) -> str:
        return self.name


class RemoteCard(models.Model):
    """One card of a book. ``source`` is the card as the server last gave it, which what the person changed is worked out
    against; ``contact`` is None for one they deleted that the server still has. ``href`` is "" until it has been put
    there. ``changed`` is what the server has not heard yet."""

    book = models.ForeignKey(AddressBook, models.CASCADE, related_name="cards")
    contact = models.OneToOneField(Contact, models.SET_NULL, null=True, related_name="card")
    href = models.CharField(max_length=500, blank=True)
    etag = models.CharField(max_length=300, blank=True)
    source = models.TextField(blank=True)
    changed = models.BooleanField(default=False)
    failures = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["book", "href"], condition=~models.Q(href=""), name="one_card_per_href")
        ]
        indexes = [models.Index(fields=["book"], name="cards_to_put", condition=models.Q(changed=True))]

    def __str__(self) -> str:
        return self.href


class DistinctContacts(models.Model):
    """Two contacts that look like one and are not, as the person said; the lower id first."""

    first = models.ForeignKey(Contact, models.CASCADE, related_name="+")
    second = models.ForeignKey(Contact, models.CASCADE, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["first", "second"], name="distinct_once")]


class ContactsBefore(models.Model):
    """Contacts as they were before something was done to them, for as long as it can be undone. An action in several steps
    has several rows with one ``key``."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    key = models.UUIDField(default=uuid.uuid4, db_index=True)
    what = models.CharField(max_length=255)
    before = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.what
