"""Three people: alice owns what the test is about, bob has an account of his own, charlie has not signed in.

Requests go through Django's test client; the mail servers are real. Nothing runs in the background: what a worker would
do, a test does with ``work_off``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import serializers
from django.test import Client
from django.utils import timezone

from accounts.discovery import Candidate, ServerURL
from accounts.models import Account, User
from accounts.sign_in import save_account
from tests.letters import letter
from tests.second_client import SecondClient, second_client
from tests.servers import PASSWORD, Dovecot, SMTPServer
from webmail import connections, operations, outbox, sync
from webmail.models import Mailbox, Message, Operation, Submission

_numbers = itertools.count(1)
PRESENCE = ("last_login", "active_at")


@dataclass
class Person:
    user: User
    account: Account
    client: Client
    dovecot: Dovecot
    clients: list[SecondClient] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.account.address

    def mailbox(self, role: str) -> Mailbox:
        return Mailbox.objects.get(account=self.account, role=role)

    def message(self, subject: str) -> Message:
        return Message.objects.get(account=self.account, subject=subject)

    def receive(self, *letters: bytes, folder: str = "INBOX") -> None:
        """They are on the server and in the cache."""
        with second_client(self.dovecot, self.address) as client:
            for raw in letters:
                client.append(raw, folder)
        sync.sync_account(self.account)

    def on_server(self) -> Any:
        return second_client(self.dovecot, self.address)

    def post(self, path: str, data: dict[str, Any] | None = None, **extra: Any) -> Any:
        return self.client.post(path, data or {}, **extra)

    def get(self, path: str, **extra: Any) -> Any:
        return self.client.get(path, **extra)


def work_off(account: Account) -> None:
    """What the worker would do now for this account: operations whose time has come or comes, then outgoing mail."""
    now = timezone.now()
    Operation.objects.filter(account=account).open().update(not_before=now)
    sync.replay_account(account)
    for submission in Submission.objects.filter(account=account):
        Submission.objects.filter(pk=submission.pk).update(not_before=now)
        outbox.process(submission.pk)
    operations.due(account)


def snapshot() -> dict[str, str]:
    """All rows of our models, to see that nothing changed. When somebody was last here does not count."""
    from django.apps import apps

    return {
        model.__name__: serializers.serialize(
            "json",
            model._default_manager.order_by("pk"),
            fields=[f.name for f in model._meta.get_fields() if getattr(f, "column", None) and f.name not in PRESENCE],
        )
        for label in ("accounts", "webmail")
        for model in apps.get_app_config(label).get_models()
    }


@pytest.fixture(scope="package")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as running:
        yield running


@pytest.fixture(scope="package")
def smtp_server() -> Iterator[SMTPServer]:
    with SMTPServer() as running:
        yield running


@pytest.fixture
def smtp(smtp_server: SMTPServer) -> SMTPServer:
    smtp_server.clear()
    return smtp_server


@pytest.fixture
def new_person(
    db: None, redis_url: str, settings: LazySettings, dovecot: Dovecot, smtp_server: SMTPServer
) -> Iterator[Callable[[str], Person]]:
    """Somebody with an IMAP account, signed in, their empty mailbox in the cache."""
    incoming, outgoing = f"imap://localhost:{dovecot.imap_port}", f"smtp://localhost:{smtp_server.port}"
    settings.MAIL_DOMAINS = {"imap.test": {"incoming": incoming, "outgoing": outgoing}}
    people: list[Person] = []

    def make(name: str) -> Person:
        address = f"{name}{next(_numbers)}-{os.getpid()}@imap.test"
        user = User.objects.create_user(address)
        candidate = Candidate(ServerURL.parse(incoming), ServerURL.parse(outgoing), address, True, "table")
        account = save_account(user, address, PASSWORD, candidate)
        client = Client()
        client.force_login(user)
        sync.sync_account(account)
        people.append(Person(user, account, client, dovecot))
        return people[-1]

    yield make
    for person in people:
        connections.close_all(person.account.pk)


@pytest.fixture
def alice(new_person: Callable[[str], Person]) -> Person:
    """Has a message in her inbox."""
    person = new_person("alice")
    person.receive(letter("Hemmelig hilsen", "Hemmelig innhold", to=person.address))
    return person


@pytest.fixture
def bob(new_person: Callable[[str], Person]) -> Person:
    return new_person("bob")


@pytest.fixture
def charlie() -> Client:
    return Client()
