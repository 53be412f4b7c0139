"""Trying settings against a real server: the one way an account comes to be, at sign-in and in the settings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _

from accounts.discovery import Candidate, ServerURL, candidates, resolve
from accounts.models import Account, Identity, User
from accounts.troubles import Trouble, explain, explain_discovery
from webmail.protocols import open_store
from webmail.protocols.base import Credentials, MailStore
from webmail.protocols.errors import AuthenticationFailed, MailError

log = logging.getLogger(__name__)
# Anybody may have us connect anywhere by trying to sign in: a slow server must not hold every thread of the pages.
_tries = threading.BoundedSemaphore(6)
TRY_WAIT = 5.0  # seconds
GUESS_TIMEOUT = 6.0  # seconds; a guess that does not answer is not worth waiting for


class CannotSignIn(Exception):
    """``trouble`` for the person; ``ask`` is True where filling in the servers by hand may help."""

    def __init__(self, trouble: Trouble, ask: bool) -> None:
        super().__init__(trouble.what)
        self.trouble = trouble
        self.ask = ask


@dataclass(frozen=True, slots=True)
class Accepted:
    """Settings that worked, and the open connection they worked on, so that the first page needs no second one."""

    candidate: Candidate
    store: MailStore


def verify(address: str, password: str, by_hand: Candidate | None = None) -> Accepted:
    """Sign in at the first server that takes the password. Raises CannotSignIn."""
    if not _tries.acquire(timeout=TRY_WAIT):
        raise CannotSignIn(
            Trouble(_("Too many people are signing in at once."), _("Try again in a minute.")), ask=False
        )
    try:
        return _verify(address, password, by_hand)
    finally:
        _tries.release()


def _verify(address: str, password: str, by_hand: Candidate | None) -> Accepted:
    trouble = explain_discovery(address.rpartition("@")[2])
    for candidate in _to_try(address, by_hand):
        try:
            return Accepted(candidate, _connect(candidate, password))
        except AuthenticationFailed as error:
            # A server that answers and refuses is the right server: trying others would only show them the password.
            raise CannotSignIn(explain(error, candidate.incoming.host), ask=not candidate.certain) from error
        except MailError as error:
            if candidate.certain:
                raise CannotSignIn(explain(error, candidate.incoming.host), ask=True) from error
            log.info("guess %s: %s", candidate.incoming, error)
    raise CannotSignIn(trouble, ask=True)


def _to_try(address: str, by_hand: Candidate | None) -> Iterable[Candidate]:
    return [by_hand] if by_hand else candidates(address)


def _connect(candidate: Candidate, password: str) -> MailStore:
    server = resolve(candidate.incoming)
    if not candidate.certain:
        from dataclasses import replace

        server = replace(server, timeout=GUESS_TIMEOUT)
    return open_store(server, Credentials(candidate.username, password))


@transaction.atomic
def save_account(user: User, address: str, password: str, candidate: Candidate) -> Account:
    """Make or update the account of this address, with one identity to write as."""
    account = next((own for own in Account.objects.filter(user=user) if own.is_of(address)), None)
    if account is None:
        last = Account.objects.filter(user=user).aggregate(last=Max("position"))["last"] or 0
        account = Account(user=user, address=address, position=last + 1)
    account.username = candidate.username
    account.incoming = str(candidate.incoming)
    account.outgoing = str(candidate.outgoing) if candidate.outgoing else ""
    account.outgoing_settled = not candidate.outgoing_guessed
    account.files_sent = files_sent_itself(candidate.outgoing)
    account.remember(password)
    account.save_verified() if account.pk else account.save()
    if not account.identities.exists():
        Identity.objects.create(account=account, address=address, is_default=True)
    return account


def files_sent_itself(outgoing: ServerURL | None) -> bool:
    """Providers known to put a copy of submitted mail into Sent on their own."""
    return outgoing is not None and outgoing.host.endswith(
        ("gmail.com", "googlemail.com", "office365.com", "outlook.com")
    )


def manual_candidate(address: str, data: dict[str, str]) -> Candidate:
    """Settings as typed into the form's further fields."""
    return Candidate(
        ServerURL.parse(data["incoming"]),
        ServerURL.parse(data["outgoing"]) if data.get("outgoing") else None,
        data.get("username") or address,
        True,
        _("typed in"),
    )


def demo_sign_in() -> tuple[str, str] | None:
    """Address and password of the sample mailbox, while the sample mail server runs beside us."""
    if settings.DEMO and (settings.DEMO_DIR / "servers.toml").exists():
        return settings.DEMO_ADDRESS, settings.DEMO_PASSWORD
    return None
