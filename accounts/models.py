"""Who uses Postkasse and where their mail is.

A *User* is known by a mail address; there is no registration and no password of ours: signing in means that the
person's own mail server accepts them. A server that the address itself leads to (the operator's table, the domain's own
records) vouches for the address; one that somebody typed in vouches only for itself, so such users have the server in
their ``handle`` and can never be taken for, or stand in the way of, the owner of the address.

An *Account* is one mailbox somewhere, with a server for incoming and one for outgoing mail; an *Identity* (RFC 8621 §6)
is a name and address to write as. Preferences are columns of the user, because every page reads them.
"""

from __future__ import annotations

import hmac
import re
import zoneinfo
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts import secrets
from accounts.discovery import ServerURL, resolve, ways_out
from webmail.prepared import Integer, Prepared
from webmail.protocols import open_store, open_transport
from webmail.protocols.base import Credentials, MailStore, Server, Transport
from webmail.protocols.errors import NO_SIGN_IN, AuthenticationFailed, MailError

# How long a sign-in may be taken at its word because the server accepted the same password: sparing a round trip of
# connecting, TLS and authentication each time someone comes back.
TRUST_STORED_PASSWORD = timedelta(hours=1)
COLOURS = 4
MAX_PATTERNS = 20  # of one identity
MAX_STARS = 2  # in one of them
IMPATIENT = 10.0  # seconds, each read and write
REMEMBERED_FIELDS = [
    "credentials", "verified_at", "needs_user", "trouble", "trouble_detail", "trouble_since", "failures"
]  # fmt: skip
VERIFIED_FIELDS = [
    "name", "username", "incoming", "outgoing", "outgoing_settled", "files_sent", *REMEMBERED_FIELDS
]  # fmt: skip


def fold(address: str) -> str:
    """Lower case of ASCII letters alone: what Unicode folds together (the Kelvin sign and k) are other addresses."""
    return "".join(c.lower() if c.isascii() else c for c in address)


class UserManager(BaseUserManager["User"]):
    def create_user(self, address: str, password: str | None = None, handle: str = "", **fields: Any) -> User:
        user = self.model(address=fold(address), handle=handle or fold(address), **fields)
        user.set_password(password)
        user.save()
        return user

    def create_superuser(self, handle: str, password: str | None = None, **fields: Any) -> User:
        """An operator, who signs in to /admin/ with a password of ours."""
        return self.create_user(handle, password, is_staff=True, is_superuser=True, **fields)


class User(AbstractBaseUser, PermissionsMixin):
    handle = models.CharField(unique=True, max_length=600)
    address = models.EmailField(max_length=254)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)
    date_joined = models.DateTimeField(default=timezone.now)

    language = models.CharField(max_length=10, blank=True)  # chosen; "" for the browser's
    browser_language = models.CharField(max_length=10, blank=True)  # at the last sign-in
    theme = models.CharField(max_length=10, default="system")
    time_zone = models.CharField(max_length=64, blank=True)
    undo_send = models.PositiveSmallIntegerField(default=10)  # seconds
    rich_text = models.BooleanField(default=False)  # how a new message begins
    page_size = models.PositiveSmallIntegerField(default=50)
    conversations = models.BooleanField(default=True)  # lists show one row for each, else one for each message
    newest_on_top = models.BooleanField(default=False)  # of a conversation
    notify = models.BooleanField(default=False)  # desktop notifications of new mail
    saved_searches = models.PositiveSmallIntegerField(default=0, db_default=0)  # so that most pages need not look
    active_at = models.DateTimeField(null=True)  # last seen here; decides how closely their accounts are watched

    objects = UserManager()
    USERNAME_FIELD = "handle"

    def __str__(self) -> str:
        return self.address

    @property
    def zone(self) -> tzinfo:
        """Whose days are theirs, in the background too; that of the installation unless they chose one."""
        return zoneinfo.ZoneInfo(self.time_zone) if self.time_zone else timezone.get_default_timezone()

    @cached_property
    def account_list(self) -> list[Account]:
        """Their accounts in order, read once a request: nearly every page asks more than once."""
        found = _accounts_of(self.pk)
        for account in found:
            account.user = self
        return found

    def identities(self) -> list[Identity]:
        """Whom they write as, in order, each with its account at hand."""
        accounts = {account.pk: account for account in self.account_list}
        found = _identities_of(self.pk)
        for identity in found:
            if identity.account_id in accounts:
                identity.account = accounts[identity.account_id]
        return found


class Keep(models.TextChoices):
    """How much of the text of messages is fetched ahead and kept; their headers always are."""

    EVERYTHING = "everything", _("The text of every message")
    RECENT = "recent", _("The text of recent messages")
    HEADERS = "headers", _("Only what lists show; text when a message is opened")


class AfterDownload(models.TextChoices):
    """What becomes of the server's copy of a message that a downloading account has safely stored."""

    LEAVE = "leave", _("Leave it on the server")
    DAYS = "days", _("Delete it after some days")
    DELETE = "delete", _("Delete it at once")


_accounts_of = Prepared(lambda user: Account.objects.filter(user_id=user), Integer)
_identities_of = Prepared(lambda user: Identity.objects.filter(account__user_id=user), Integer)


class AccountQuerySet(models.QuerySet["Account"]):
    def for_user(self, user: Any) -> AccountQuerySet:
        return self.filter(user=user)


class Account(models.Model):
    """One mailbox somewhere. ``trouble`` is what keeps it from being synced, in our words; ``trouble_detail`` in the
    server's. ``needs_user`` stops the program from trying again until the person has done something."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="accounts")
    address = models.EmailField(max_length=254)
    name = models.CharField(max_length=80, blank=True)
    position = models.PositiveSmallIntegerField(default=1)
    username = models.CharField(max_length=254)
    incoming = models.CharField(max_length=300)
    outgoing = models.CharField(max_length=300, blank=True)
    credentials = models.TextField()
    verified_at = models.DateTimeField(null=True)
    synced_at = models.DateTimeField(null=True)
    sync_due_at = models.DateTimeField(default=timezone.now, db_index=True)
    sync_lease = models.DateTimeField(null=True)
    sync_wanted = models.BooleanField(default=False)  # asked for while a sync was running, which may have passed it by
    sync_holder = models.CharField(max_length=120, blank=True)
    sending_lease = models.DateTimeField(null=True)
    sending_holder = models.CharField(max_length=120, blank=True)  # the process that empties its outbox
    sync_done = models.PositiveIntegerField(default=0)
    sync_total = models.PositiveIntegerField(default=0)
    sync_rate = models.PositiveIntegerField(default=0)  # messages a second, of what sync_done and sync_total are about
    poll_seconds = models.PositiveIntegerField(default=300)  # adaptive; see watching.py
    push = models.CharField(max_length=10, blank=True)  # how the server tells of changes now: idle, notify, "" for not
    watch_holder = models.CharField(max_length=120, blank=True)  # the process that watches it
    watch_lease = models.DateTimeField(null=True)
    paused = models.BooleanField(default=False)  # by the person: nothing is asked of its servers
    hue = models.PositiveSmallIntegerField(null=True)  # chosen colour, 1 to COLOURS
    keep = models.CharField(max_length=10, choices=Keep, default=Keep.RECENT)
    keep_days = models.PositiveSmallIntegerField(default=90)
    after_download = models.CharField(max_length=10, choices=AfterDownload, default=AfterDownload.LEAVE)
    leave_days = models.PositiveSmallIntegerField(default=14)
    capabilities = models.JSONField(default=list)  # what the incoming server offered last, as it spells it
    switched_off = models.JSONField(default=list)  # of those, what is not to be used because the server's is broken
    failures = models.PositiveSmallIntegerField(default=0)
    needs_user = models.BooleanField(default=False)
    trouble = models.TextField(blank=True)
    trouble_detail = models.TextField(blank=True)
    trouble_since = models.DateTimeField(null=True)  # the first of the failures in a row
    files_sent = models.BooleanField(default=False)  # the provider files sent mail by itself
    outgoing_settled = models.BooleanField(
        default=True
    )  # False: a guess, and its host's other ports were not tried yet
    message_limit = models.PositiveBigIntegerField(
        default=0
    )  # octets that the outgoing server takes; 0: it did not say
    believed = models.CharField(max_length=500, blank=True)  # servers whose Authentication-Results count, by spaces

    objects = AccountQuerySet.as_manager()

    class Meta:
        ordering = ["position", "id"]
        constraints = [models.UniqueConstraint(fields=["user", "address"], name="one_account_per_address")]

    def __str__(self) -> str:
        return self.address

    @cached_property
    def met(self) -> dict[str, datetime | None]:
        """Correspondents that this object has told of (webmail/correspondents.py)."""
        return {}

    def is_of(self, address: str) -> bool:
        return fold(self.address) == fold(address)

    @property
    def label(self) -> str:
        return self.name or self.address

    @property
    def sign(self) -> str:
        """What is up with it, in a word or two; "" if nothing is."""
        if self.paused:
            return gettext("Paused")
        if self.needs_user:
            return gettext("Needs you")
        return gettext("Unreachable") if self.trouble else ""

    @property
    def colour(self) -> int:
        return self.hue or (self.position - 1) % COLOURS + 1

    def put_first(self) -> None:
        """The first account is the one that is written from unless the context says otherwise. Colours stay."""
        others = [account for account in self.user.accounts.all() if account.pk != self.pk]
        for position, account in enumerate([self, *others], 1):
            Account.objects.filter(pk=account.pk).update(position=position, hue=account.colour)

    @property
    def downloads(self) -> bool:
        """POP3: mail is fetched into our own store; folders and flags are ours alone."""
        return self.incoming.startswith("pop3")

    # --- credentials -------------------------------------------------------------------------------------------

    def remember(self, password: str) -> None:
        hosts = tuple(ServerURL.parse(url).host for url in (self.incoming, self.outgoing) if url)
        self.credentials = secrets.seal(secrets.Secret(password, hosts), settings.CREDENTIAL_KEYS)
        self.verified_at = timezone.now()
        self.needs_user, self.trouble, self.trouble_detail, self.failures = False, "", "", 0
        self.trouble_since = None

    def save_verified(self, servers: bool = True) -> None:
        """Save what signing in settles, and nothing that a worker may have written meanwhile: of an account that was known
        the servers, too, of which the way out may just have been found."""
        self.save(update_fields=VERIFIED_FIELDS if servers else REMEMBERED_FIELDS)

    def knows(self, password: str) -> bool:
        """True if this is the stored password, compared in constant time."""
        try:
            stored = secrets.unseal(self.credentials, settings.CREDENTIAL_KEYS)
        except secrets.Unreadable:
            return False
        return hmac.compare_digest(stored.text.encode(), password.encode())

    def vouches_for(self, password: str, now: datetime) -> bool:
        """True if the server accepted this very password so recently that asking again can wait for the next sync."""
        fresh = self.verified_at is not None and now - self.verified_at < TRUST_STORED_PASSWORD
        return fresh and not self.needs_user and self.knows(password)

    def credentials_for(self, host: str) -> Credentials:
        """Raises AuthenticationFailed if there are none that may be sent to this host."""
        try:
            secret = secrets.unseal(self.credentials, settings.CREDENTIAL_KEYS)
        except secrets.Unreadable as error:
            raise AuthenticationFailed(str(_("The stored password cannot be read any more."))) from error
        if not secret.allowed_at(host):
            raise AuthenticationFailed(str(_("The stored password belongs to another server.")))
        return Credentials(self.username, secret.text, secret.oauth)

    # --- connections ------------------------------------------------------------------------------------------

    def open_store(self) -> MailStore:
        """A new authenticated connection to the incoming server. Raises MailError."""
        server = self._server(self.incoming)
        store = open_store(server, self.credentials_for(server.host))
        self.learn(store)
        return store

    def open_transport(self) -> Transport:
        """A new authenticated connection to the submission server. Raises MailError."""
        transport = self._dial_out(self._server(self.outgoing)) if self.outgoing_settled else self._settle_outgoing()
        self.learn_limit(transport.max_size or 0)
        return transport

    def _dial_out(self, server: Server) -> Transport:
        return open_transport(server, self.credentials_for(server.host), settings.EHLO_NAME)

    def settle_outgoing(self) -> None:
        """Find the way out now, where it is a guess, so that no first message has to wait for that. Raises MailError."""
        if not self.outgoing_settled:
            self.open_transport().close()

    def _settle_outgoing(self) -> Transport:
        """Of the ways that a guess leaves open the first that lets us in, which is remembered. A server that answers and
        refuses the password is the right one. Raises what the guess itself came to where all fail."""
        first: MailError | None = None
        for url in ways_out(ServerURL.parse(self.outgoing)):
            server = self._server(str(url))
            try:
                transport = self._dial_out(replace(server, timeout=min(server.timeout, IMPATIENT)))
            except MailError as error:
                if isinstance(error, AuthenticationFailed) and error.code != NO_SIGN_IN:
                    raise
                first = first or error
                continue
            self.settle_on(url)
            return transport
        assert first is not None
        raise first

    def settle_on(self, url: ServerURL) -> None:
        """The guess came to this. Nothing is written if the person has named a server meanwhile."""
        guess = Account.objects.filter(pk=self.pk, outgoing=self.outgoing, outgoing_settled=False)
        self.outgoing, self.outgoing_settled = str(url), True
        guess.update(outgoing=self.outgoing, outgoing_settled=True)

    def _server(self, url: str) -> Server:
        server = replace(resolve(ServerURL.parse(url)), without=frozenset(self.switched_off))
        # One that was silent last time keeps nobody waiting for long: others want their turn.
        return replace(server, timeout=min(server.timeout, IMPATIENT)) if self.failures else server

    def learn(self, store: MailStore) -> None:
        """Remember what the server offers, so that it can be shown, and switched off where it is broken."""
        offered = sorted(store.offered)
        if offered != self.capabilities:
            self.capabilities = offered
            Account.objects.filter(pk=self.pk).update(capabilities=offered)

    def learn_limit(self, octets: int) -> None:
        """Remember what the outgoing server takes, so that it can be said before anything is uploaded."""
        octets = min(octets, 2**63 - 1)
        if octets != self.message_limit:
            self.message_limit = octets
            Account.objects.filter(pk=self.pk).update(message_limit=octets)

    def report(self, error: MailError, what: str) -> None:
        """Remember a failure for the person to see; one that only they can mend stops further tries. Nothing is
        remembered if they have typed a new password since."""
        self.failures = min(self.failures + 1, 30)
        self.trouble_since = self.trouble_since or timezone.now()
        self.needs_user = error.needs_user
        self.trouble, self.trouble_detail = what, error.detail
        Account.objects.filter(pk=self.pk, credentials=self.credentials).update(
            failures=self.failures, needs_user=self.needs_user, trouble=self.trouble, trouble_detail=self.trouble_detail,
            trouble_since=self.trouble_since,
        )  # fmt: skip

    def report_well(self) -> None:
        if self.failures or self.trouble or self.needs_user:
            self.failures, self.needs_user, self.trouble, self.trouble_detail, self.trouble_since = (
                0,
                False,
                "",
                "",
                None,
            )
            self.save(update_fields=["failures", "needs_user", "trouble", "trouble_detail", "trouble_since"])


class IdentityQuerySet(models.QuerySet["Identity"]):
    def for_user(self, user: Any) -> IdentityQuerySet:
        return self.filter(account__user=user)


class Identity(models.Model):
    """A name and address to write as, with the signature that goes below (RFC 8621 §6)."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="identities")
    name = models.CharField(_("name"), max_length=120, blank=True)
    address = models.EmailField(_("address"), max_length=254)
    signature = models.TextField(_("signature"), blank=True, max_length=5000)
    signature_below = models.BooleanField(default=False)  # below what is quoted, not above it
    reply_to = models.CharField(max_length=500, blank=True)  # where answers are to go, if elsewhere
    patterns = models.TextField(
        blank=True, max_length=1000
    )  # further addresses it answers for, by spaces; * is anything
    is_default = models.BooleanField(default=False)

    objects = IdentityQuerySet.as_manager()

    class Meta:
        ordering = ["account__position", "-is_default", "id"]
        verbose_name_plural = "identities"

    def __str__(self) -> str:
        return f"{self.name} <{self.address}>" if self.name else self.address

    def answers_for(self, address: str) -> bool:
        """True for its own address, that with a detail behind ``+`` (RFC 5233), and what its patterns say."""
        asked, own = fold(address), fold(self.address)
        local, _at, domain = asked.rpartition("@")
        if not local or not domain:
            return False
        patterns = (re.escape(fold(one)).replace(r"\*", "[^@]*") for one in self.patterns.split()[:MAX_PATTERNS])
        return f"{local.partition('+')[0]}@{domain}" == own or any(re.fullmatch(one, asked) for one in patterns)
