"""Where a guess of the outgoing server is wrong about the port, the others are tried, and what worked is remembered."""

from __future__ import annotations

import pytest

from accounts import discovery, models
from accounts.discovery import ServerURL, ways_out
from accounts.models import Account
from tests.outbox.conftest import Sender
from tests.servers import free_port
from webmail.models import Submission, SubmissionState


def test_the_ways_are_tried_as_rfc_8314_prefers_them_and_never_in_the_clear() -> None:
    guess = ServerURL.parse("smtps://smtp.example.org")
    assert [str(url) for url in ways_out(guess)] == [
        "smtps://smtp.example.org:465",
        "smtp+starttls://smtp.example.org:587",
        "smtp+starttls://smtp.example.org:25",
    ]


@pytest.fixture
def guessed(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> Sender:
    """Two of three ways lead nowhere, the last to the server."""
    ways = [f"smtp://localhost:{free_port()}", f"smtps://localhost:{sender.server.port}", sender.account.outgoing]
    monkeypatch.setattr(models, "ways_out", lambda guess: tuple(map(ServerURL.parse, ways)))
    monkeypatch.setattr(discovery, "_is_operators", lambda url: True)
    Account.objects.filter(pk=sender.account.pk).update(outgoing=ways[0], outgoing_settled=False)
    return sender


def test_the_way_that_works_is_remembered(guessed: Sender) -> None:
    submission = guessed.write()
    guessed.drain()
    assert Submission.objects.get(pk=submission.pk).state == SubmissionState.SENT
    account = Account.objects.get(pk=guessed.account.pk)
    assert (account.outgoing, account.outgoing_settled) == (guessed.account.outgoing, True)


def test_a_server_that_refuses_the_password_is_the_right_one(guessed: Sender) -> None:
    guessed.server.fail("auth", 535)
    submission = guessed.write()
    guessed.drain()
    row = Submission.objects.get(pk=submission.pk)
    assert (row.state, "does not accept this address" in row.trouble) == (SubmissionState.REFUSED, True)
    assert not Account.objects.get(pk=guessed.account.pk).outgoing_settled
