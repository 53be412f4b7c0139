"""Somebody with an outbox in front of a server that fails as it is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from accounts.models import Account, Identity, User
from tests.scripted_smtp import FailingSMTP
from tests.servers import PASSWORD, Certificate
from webmail import compose, outbox
from webmail.models import Submission, SubmissionState

_numbers = itertools.count(1)
SHORT = 0.4  # seconds until a silent server is given up


@dataclass
class Sender:
    account: Account
    server: FailingSMTP

    def write(self, subject: str = "Hi", **fields: Any) -> Submission:
        """In the outbox, and due."""
        draft = compose.new(self.account.user, to=fields.pop("to", "ola@example.org"), subject=subject, text="Hello\n")
        draft.bcc = fields.pop("bcc", "")
        submission = outbox.submit(self.account.user, compose.save(draft), **fields)
        Submission.objects.filter(pk=submission.pk, send_at=None).update(not_before=timezone.now())
        return submission

    def drain(self) -> None:
        """As a worker does, at a time when everything that waits is due."""
        waiting = Submission.objects.filter(account=self.account, state=SubmissionState.WAITING)
        waiting.update(not_before=timezone.now())
        outbox.recover()
        outbox.drain(Account.objects.select_related("user").get(pk=self.account.pk))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder: Path = tmp_path_factory.mktemp("certificate")
    return Certificate.create(folder)


@pytest.fixture
def new_sender(db: None, redis_url: str, settings: LazySettings) -> Iterator[Callable[..., Sender]]:
    settings.MAIL_TIMEOUT = settings.MAIL_PATIENCE = SHORT
    servers: list[FailingSMTP] = []

    def make(**changes: Any) -> Sender:
        server = FailingSMTP(**changes).__enter__()
        servers.append(server)
        scheme = "smtp"
        if server.certificate:
            scheme, settings.MAIL_CA_FILE = "smtp+starttls", server.certificate.certificate
        outgoing = f"{scheme}://localhost:{server.port}"
        settings.MAIL_DOMAINS = {"out.test": {"incoming": "imap://localhost:1", "outgoing": outgoing}}
        address = f"kari{next(_numbers)}@out.test"
        user = User.objects.create_user(address, undo_send=0)
        account = Account(
            user=user, address=address, username=address, incoming="imap://localhost:1", outgoing=outgoing, files_sent=True
        )  # fmt: skip
        account.remember(PASSWORD)
        account.save()
        Identity.objects.create(account=account, address=address, is_default=True)
        return Sender(account, server)

    yield make
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture
def sender(new_sender: Callable[..., Sender]) -> Sender:
    return new_sender()
