"""With the server away for days, everything kept can be read and everything done waits; only what it refuses is undone."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from tests.convergence.faults import FaultyStore, Plan
from tests.letters import letter
from tests.servers import free_port
from tests.views.conftest import Person, work_off
from webmail import connections, operations, sync, tasks
from webmail.models import Message, Operation, OperationState
from webmail.operations.queue import GIVE_UP
from webmail.protocols.errors import MailError


def cut_off(person: Person) -> None:
    connections.close_all(person.account.pk)
    Account.objects.filter(pk=person.account.pk).update(incoming=f"imap://localhost:{free_port()}")


def bring_back(person: Person) -> None:
    Account.objects.filter(pk=person.account.pk).update(incoming=person.account.incoming)


def try_to_replay(person: Person, open_store: Any = None) -> None:
    account = Account.objects.select_related("user").get(pk=person.account.pk)
    if open_store:
        account.open_store = open_store  # type: ignore[method-assign]
    Operation.objects.filter(account=account).open().update(not_before=timezone.now())
    with suppress(MailError):
        sync.replay_account(account)


def test_what_is_done_while_the_server_is_away_reaches_it_in_the_end(alice: Person) -> None:
    message = alice.message("Hemmelig hilsen")
    cut_off(alice)
    alice.post("/messages/keywords/?set=star", {"id": message.pk, "next": "/"})
    alice.post("/messages/mailbox/?role=archive", {"id": message.pk, "next": "/"})
    for _day in range(40):
        try_to_replay(alice)
    assert set(Operation.objects.values_list("state", "attempts")) == {(OperationState.PENDING, 0)}
    bring_back(alice)
    work_off(Account.objects.get(pk=alice.account.pk))
    with alice.on_server() as server:
        assert server.flags("Hemmelig hilsen", "Archive") == {"\\Flagged"}


@pytest.mark.parametrize("fault", ["dropped", "busy"])
def test_a_server_that_breaks_off_each_time_is_waited_for(alice: Person, fault: str) -> None:
    message = alice.message("Hemmelig hilsen")
    alice.post("/messages/keywords/?set=star", {"id": message.pk, "next": "/"})
    for _try in range(30):
        plan = Plan(countdown=0, fault=fault)
        connections.close_all(alice.account.pk)
        try_to_replay(alice, lambda plan=plan: FaultyStore(alice.account.open_store(), plan))  # type: ignore[misc]
    waiting = Operation.objects.get()
    assert waiting.state == OperationState.PENDING
    assert waiting.attempts > 20
    Operation.objects.update(created_at=timezone.now() - GIVE_UP - timedelta(hours=1))
    connections.close_all(alice.account.pk)
    plan = Plan(countdown=0, fault=fault)
    try_to_replay(alice, lambda: FaultyStore(alice.account.open_store(), plan))
    assert Operation.objects.get().state == OperationState.FAILED
    message.refresh_from_db()
    assert not message.flagged, "given up means taken back"


def test_what_the_server_refuses_is_taken_back_and_told_once(alice: Person) -> None:
    message = alice.message("Hemmelig hilsen")
    archive = operations.mailbox_for_role(alice.account, "archive")
    archive.remote_name = "No such folder"
    archive.save()
    alice.post("/messages/mailbox/?role=archive", {"id": message.pk, "next": "/"})
    work_off(alice.account)
    message.refresh_from_db()
    assert message.mailbox is not None
    assert message.mailbox.role == "inbox"
    said = "The server refused what you did"
    assert said in alice.get("/").content.decode()
    failed = Operation.objects.get(state=OperationState.FAILED)
    alice.post(f"/operations/{failed.pk}/told/", {"next": "/"})
    assert said not in alice.get("/").content.decode()


def test_an_account_that_is_away_is_not_asked_at_each_sweep(alice: Person) -> None:
    cut_off(alice)
    alice.post("/messages/keywords/?set=star", {"id": alice.message("Hemmelig hilsen").pk, "next": "/"})
    try_to_replay(alice)
    reachable = Account.objects.filter(tasks._reachable(), pk=alice.account.pk)
    assert not reachable.exists()
    Account.objects.filter(pk=alice.account.pk).update(sync_due_at=timezone.now() - timedelta(seconds=1))
    assert reachable.exists()


def test_mail_that_is_kept_can_be_read_with_the_server_away(alice: Person) -> None:
    alice.receive(letter("Nummer to", "Teksten i nummer to", to=alice.address))
    message = alice.message("Nummer to")
    cut_off(alice)
    for path in (
        "/",
        f"/messages/{message.pk}/",
        "/search/?q=nummer",
        "/operations/",
        f"/folders/{message.mailbox_id}/",
    ):
        assert "Nummer to" in re.sub("</?mark>", "", alice.get(path).content.decode()) or path == "/operations/"
    assert "Teksten i nummer to" in alice.get(f"/messages/{message.pk}/").content.decode()
    assert Message.objects.get(pk=message.pk).seen is False
