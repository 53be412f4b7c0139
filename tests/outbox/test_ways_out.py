"""Where a guess of the outgoing server is wrong about the port, the others are tried, and what worked is remembered."""

from __future__ import annotations

import pytest

from accounts import check, discovery, models
from accounts.discovery import ServerURL, ways_out
from accounts.models import Account
from tests.outbox.conftest import Sender
from tests.scripted_smtp import CLOSE, STALL, FailingSMTP
from tests.servers import free_port
from webmail import tasks
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


def test_the_way_out_is_found_before_there_is_anything_to_send(guessed: Sender) -> None:
    tasks.settle_outgoing(guessed.account.pk)
    account = Account.objects.get(pk=guessed.account.pk)
    assert (account.outgoing, account.outgoing_settled) == (guessed.account.outgoing, True)
    assert account.message_limit == 1_000_000
    assert [line.split()[0] for line in guessed.server.commands if line.startswith((b"AUTH", b"MAIL"))] == [b"AUTH"]
    tasks.settle_outgoing(guessed.account.pk)
    assert sum(line.startswith(b"AUTH") for line in guessed.server.commands) == 1


def test_where_no_way_leads_out_the_next_message_tries_them_again(guessed: Sender) -> None:
    guessed.server.fail("connect", CLOSE)
    tasks.settle_outgoing(guessed.account.pk)
    assert not Account.objects.get(pk=guessed.account.pk).outgoing_settled
    guessed.server.behave()
    submission = guessed.write()
    guessed.drain()
    assert Submission.objects.get(pk=submission.pk).state == SubmissionState.SENT
    assert Account.objects.get(pk=guessed.account.pk).outgoing_settled


@pytest.mark.parametrize(
    ("step", "action"),
    [("connect", CLOSE), ("connect", STALL), ("connect", 421), ("connect", 554), ("ehlo", 550), ("", 0)],
)
def test_what_is_no_way_out_is_passed_by(
    guessed: Sender, monkeypatch: pytest.MonkeyPatch, step: str, action: int | str
) -> None:
    """The last of them lets nobody sign in there, as on a port for servers among themselves."""
    with FailingSMTP(auth="" if not step else "AUTH PLAIN") as other:
        other.fail(step, action)
        ways = [f"smtp://localhost:{other.port}", guessed.account.outgoing]
        monkeypatch.setattr(models, "ways_out", lambda guess: tuple(map(ServerURL.parse, ways)))
        tasks.settle_outgoing(guessed.account.pk)
        assert other.connections == 1
        assert not any(line.startswith(b"AUTH") for line in other.commands)
    account = Account.objects.get(pk=guessed.account.pk)
    assert (account.outgoing, account.outgoing_settled) == (guessed.account.outgoing, True)


def test_what_the_person_says_meanwhile_is_not_undone(guessed: Sender) -> None:
    before = Account.objects.get(pk=guessed.account.pk)
    Account.objects.filter(pk=before.pk).update(outgoing="smtps://smtp.example.org:465", outgoing_settled=True)
    before.settle_outgoing()
    assert Account.objects.get(pk=before.pk).outgoing == "smtps://smtp.example.org:465"


def test_the_connection_check_tells_of_each_way_and_remembers_what_it_finds(
    guessed: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "ways_out", models.ways_out)
    account = Account.objects.get(pk=guessed.account.pk)
    sides = check.check(account)[1:]
    assert [side.well for side in sides] == [False, False, True]
    assert Account.objects.get(pk=account.pk).outgoing == guessed.account.outgoing == sides[-1].url
    (only,) = check.check(Account.objects.get(pk=account.pk))[1:]
    assert (only.url, only.well) == (guessed.account.outgoing, True)
