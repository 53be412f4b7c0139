"""Folders, conversations and messages: the local cache of mail.

*Seen* and *remote* are kept apart. ``Message.mailbox`` and the keyword columns are what the person sees;
``remote_mailbox``, ``uid`` and ``synced_keywords`` are what the server last said. They differ exactly while an operation
is under way, so sync compares with the remote half and never undoes what the person did. ``Mailbox.name`` and
``remote_name`` are split the same way. A message that is gone for the person but not yet for the server has no mailbox.

Lists are keyset-paginated over (received_at, id); counts are kept, not counted.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from typing import Any

from django.db import models, transaction
from django.db.models import Count, F, Q
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Account
from webmail.mime import Address, BodyPart
from webmail.prepared import Integer, PreparedUpdate

KEYWORD_COLUMNS = {
    "$seen": "seen",
    "$flagged": "flagged",
    "$answered": "answered",
    "$draft": "draft",
    "$forwarded": "forwarded",
}

ROLE_ORDER = ("inbox", "drafts", "sent", "archive", "junk", "trash")

ROLE_NAMES = {
    "inbox": _("Inbox"),
    "drafts": _("Drafts"),
    "sent": _("Sent"),
    "archive": pgettext_lazy("folder", "Archive"),
    "junk": _("Junk"),
    "trash": _("Trash"),
}

# Larger than any real mailbox name (RFC 9051 sets no limit; servers stop near 255 octets).
NAME_LENGTH = 500


class PlainEncoder(json.JSONEncoder):
    """JSON with letters as they are, so that a search in the database finds them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


class MailboxQuerySet(models.QuerySet["Mailbox"]):
    def for_user(self, user: Any) -> MailboxQuerySet:
        return self.filter(account__user=user, hidden=False)

    def shown(self) -> MailboxQuerySet:
        return self.filter(hidden=False)


class Mailbox(models.Model):
    """A folder. ``state`` is the sync token of the seam; ``missing_since`` makes a vanished one wait for a second look."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="mailboxes")
    name = models.CharField(max_length=NAME_LENGTH)
    remote_name = models.CharField(max_length=NAME_LENGTH, null=True)  # null: not on any server (yet, or local)
    delimiter = models.CharField(max_length=2, default="/", blank=True)
    role = models.CharField(max_length=10, blank=True)
    selectable = models.BooleanField(default=True)
    subscribed = models.BooleanField(default=True)
    hidden = models.BooleanField(default=False)
    total = models.PositiveIntegerField(default=0)
    unread = models.PositiveIntegerField(default=0)
    state = models.TextField(blank=True)
    complete = models.BooleanField(default=False)  # back-fill done
    missing_since = models.DateTimeField(null=True)
    emptied_since = models.DateTimeField(null=True)  # the server listed nothing; not believed at once
    synced_at = models.DateTimeField(null=True)
    text_until = models.CharField(max_length=40, blank=True)  # cursor; texts are fetched ahead down to here

    objects = MailboxQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "remote_name"], name="one_row_per_remote_mailbox"),
        ]
        indexes = [models.Index(fields=["account", "role"])]

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> list[str]:
        return self.name.split(self.delimiter) if self.delimiter else [self.name]

    @property
    def title(self) -> str:
        """What the page calls it: our word for a role, else the last piece of its name."""
        return str(ROLE_NAMES[self.role]) if self.role else self.path[-1]

    @property
    def depth(self) -> int:
        """How far it is indented; what a server keeps below INBOX for technical reasons stands beside it."""
        if self.role:
            return 0
        return len(self.path) - (2 if self.path[0].upper() == "INBOX" and len(self.path) > 1 else 1)

    @property
    def parent_name(self) -> str:
        return self.delimiter.join(self.path[:-1]) if self.delimiter else ""

    @property
    def protected(self) -> bool:
        """Folders with a role stay as they are: mail programs everywhere count on them."""
        return bool(self.role)

    def count(self, total: int = 0, unread: int = 0) -> None:
        """Add to the kept counts, never below nothing."""
        if total or unread:
            _add_to_counts(self.pk, total, unread)

    @transaction.atomic
    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """With it goes what was shown in it and kept in it. What the server has in another folder is shown there again;
        what the person had moved out stays where they put it, and waits there for the server to tell its uid (a sync
        that does not hear of it drops it)."""
        elsewhere = Message.objects.filter(mailbox=self, remote_mailbox__isnull=False).exclude(remote_mailbox=self)
        homes = elsewhere.order_by().values_list("remote_mailbox")
        counts = list(homes.annotate(total=Count("id"), unread=Count("id", filter=Q(seen=False))))
        elsewhere.update(mailbox=F("remote_mailbox"))
        for home, total, unread in counts:
            Mailbox(pk=home).count(total, unread)
        moved_out = Message.objects.filter(remote_mailbox=self, mailbox__isnull=False).exclude(mailbox=self)
        moved_out.update(remote_mailbox=F("mailbox"), uid="")
        return super().delete(*args, **options)

    def recount(self) -> None:
        """Set the kept counts right by counting; for the background, O(mailbox)."""
        shown = Message.objects.filter(mailbox=self)
        Mailbox.objects.filter(pk=self.pk).update(total=shown.count(), unread=shown.filter(seen=False).count())


_add_to_counts = PreparedUpdate(
    lambda pk, total, unread: (
        Mailbox.objects.filter(pk=pk),
        {"total": Greatest(F("total") + total, 0), "unread": Greatest(F("unread") + unread, 0)},
    ),
    *[Integer] * 3,
)


class Thread(models.Model):
    """A conversation over all folders of an account. Of one that is ``muted``, what comes in is read and archived."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="threads")
    muted = models.BooleanField(default=False, db_default=False)


class ThreadId(models.Model):
    """Which conversation a message-id belongs to, also for messages never seen but referred to. ``apart``: the person
    split it off from what it answers."""

    account = models.ForeignKey(Account, models.CASCADE, db_index=False)  # the constraint's index begins with it
    message_id = models.CharField(max_length=255)
    thread = models.ForeignKey(Thread, models.CASCADE, related_name="ids")
    apart = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "message_id"], name="one_thread_per_message_id")]
        indexes = [models.Index(fields=["account"], condition=Q(apart=True), name="split_off")]


class MessageQuerySet(models.QuerySet["Message"]):
    def for_user(self, user: Any) -> MessageQuerySet:
        return self.filter(account__user=user, mailbox__hidden=False)

    def newest_first(self) -> MessageQuerySet:
        return self.order_by("-received_at", "-id")


def blob_path(message: Message, folder: str) -> str:
    """``folder``: one of 256, chosen by who stores: what is stored together is made durable together."""
    return f"messages/{message.account_id}/{folder}/{uuid.uuid4().hex}.eml"


class Message(models.Model):
    """One message in one mailbox. ``blob`` is the whole of it where we are the ones who keep it (POP3, local folders)."""

    # These and ``thread`` have an index below that begins with them.
    account = models.ForeignKey(Account, models.CASCADE, db_index=False, related_name="messages")
    mailbox = models.ForeignKey(Mailbox, models.CASCADE, null=True, db_index=False, related_name="messages")
    remote_mailbox = models.ForeignKey(Mailbox, models.CASCADE, null=True, related_name="remote_messages")
    uid = models.CharField(max_length=255, blank=True)  # "" while the server has not told the new one
    thread = models.ForeignKey(Thread, models.SET_NULL, null=True, db_index=False, related_name="messages")

    message_id = models.CharField(max_length=255, blank=True)
    references = models.JSONField(default=list)
    subject = models.TextField(blank=True)
    from_name = models.CharField(max_length=255, blank=True)
    from_email = models.CharField(max_length=320, blank=True)
    # {"to": [[name, email], …], "cc": …, "bcc": …, "reply_to": …, "from": …}
    addresses = models.JSONField(default=dict, encoder=PlainEncoder)
    fields = models.JSONField(default=dict)  # the few header fields that pages use: list-id, list-unsubscribe …
    sent_at = models.DateTimeField(null=True)
    received_at = models.DateTimeField()
    size = models.PositiveBigIntegerField(default=0)
    structure = models.JSONField(null=True)
    preview = models.CharField(max_length=255, blank=True)
    has_attachment = models.BooleanField(default=False)
    blob = models.FileField(upload_to=blob_path, blank=True, max_length=200)
    downloaded_at = models.DateTimeField(null=True)  # stored for good; from then on the server's copy may go

    seen = models.BooleanField(default=False)
    flagged = models.BooleanField(default=False)
    answered = models.BooleanField(default=False)
    forwarded = models.BooleanField(default=False)
    draft = models.BooleanField(default=False)
    labels = models.JSONField(default=list)  # keywords beyond the five, sorted
    synced_keywords = models.TextField(blank=True)  # sorted, separated by spaces
    # What the index of search does not have yet: 1, that there is such a message; 2, its text.
    index_due = models.PositiveSmallIntegerField(default=1, db_default=1)

    objects = MessageQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index("mailbox", F("received_at").desc(), F("id").desc(), name="list_all"),
            models.Index("mailbox", F("received_at").desc(), F("id").desc(), condition=Q(seen=False), name="list_unread"),
            models.Index("mailbox", F("received_at").desc(), F("id").desc(), condition=Q(flagged=True), name="list_flagged"),
            models.Index("mailbox", F("received_at").desc(), F("id").desc(), condition=Q(has_attachment=True), name="list_files"),
            models.Index("account", F("received_at").desc(), F("id").desc(), condition=Q(flagged=True), name="account_flagged"),
            models.Index("account", F("received_at").desc(), F("id").desc(), condition=Q(seen=False), name="account_unread"),
            models.Index("thread", F("received_at").desc(), F("id").desc(), "mailbox", name="conversation"),
            models.Index("account", F("received_at").desc(), F("id").desc(), condition=Q(index_due__gt=0), name="to_index"),
            models.Index(fields=["account", "message_id"]),
        ]  # fmt: skip
        constraints = [
            models.UniqueConstraint(
                fields=["remote_mailbox", "uid"], condition=~Q(uid=""), name="one_row_per_remote_message"
            )
        ]

    def __str__(self) -> str:
        return self.subject or str(_("(no subject)"))

    @property
    def keywords(self) -> frozenset[str]:
        """What the person sees, in the JMAP form."""
        return frozenset([k for k, column in KEYWORD_COLUMNS.items() if getattr(self, column)] + self.labels)

    def show_keywords(self, keywords: Iterable[str]) -> None:
        """Set the columns from a keyword set; the caller saves."""
        keywords = set(keywords)
        for keyword, column in KEYWORD_COLUMNS.items():
            setattr(self, column, keyword in keywords)
        self.labels = sorted(keywords - KEYWORD_COLUMNS.keys())

    def people(self, field: str) -> list[Address]:
        return [Address(name, email) for name, email in self.addresses.get(field, [])]

    @property
    def sender(self) -> Address:
        return Address(self.from_name, self.from_email)

    @property
    def body_part(self) -> BodyPart | None:
        return BodyPart.from_json(self.structure) if self.structure else None


KEYWORD_FIELDS = [*KEYWORD_COLUMNS.values(), "labels"]


class MessageBody(models.Model):
    """The readable text of a message, sanitised once. ``version`` is that of the sanitiser; an older one is cleaned again."""

    message = models.OneToOneField(Message, models.CASCADE, primary_key=True, related_name="body")
    text = models.TextField(blank=True)
    source = models.TextField(blank=True)  # the HTML as sent; empty for plain text
    html = models.TextField(blank=True)  # cleaned, remote content blocked
    remote = models.JSONField(default=list)  # URLs that were blocked
    facts = models.JSONField(default=dict)  # what else was found out when it was read (bodies.Facts)
    version = models.PositiveSmallIntegerField(default=0)
    kept_at = models.DateTimeField(default=timezone.now, db_index=True)
