"""An account in the cache, on a server in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Account, User
from webmail import sync
from webmail.models import Mailbox, Message
from webmail.protocols.memory import MemoryServer, MemoryStore


@pytest.fixture
def server() -> MemoryServer:
    return MemoryServer()


@pytest.fixture
def account(server: MemoryServer) -> Account:
    account = Account(
        user=User.objects.create(handle="alice"), address="alice@imap.test", username="alice",
        incoming="imap://localhost:1", outgoing="smtp://localhost:1",
    )  # fmt: skip
    account.remember("secret")
    account.save()
    store = MemoryStore(server)
    store.create_mailbox("Work")
    server.deliver("alice", b"Subject: in Work\r\nMessage-ID: <w@x>\r\n\r\nx", "Work")
    server.deliver("alice", b"Subject: in Inbox\r\nMessage-ID: <i@x>\r\n\r\nx")
    run(account, server)
    return account


def run(account: Account, server: MemoryServer) -> None:
    account = Account.objects.get(pk=account.pk)
    account.open_store = lambda: MemoryStore(server)  # type: ignore[method-assign]
    sync.sync_account(account)


def shown(account: Account) -> dict[str, str]:
    return dict(Message.objects.filter(account=account).values_list("subject", "mailbox__name"))


def folder(account: Account, name: str) -> Mailbox:
    return Mailbox.objects.get(account=account, name=name)


def counts_are_right(account: Account) -> bool:
    return all(
        (box.total, box.unread) == (box.messages.count(), box.messages.filter(seen=False).count())
        for box in Mailbox.objects.filter(account=account)
    )


def gone_for_good(account: Account) -> None:
    """Missed once already, long ago."""
    Mailbox.objects.filter(account=account, name="Work").update(missing_since=timezone.now() - timedelta(hours=1))
