"""The operator's relay carries what an account's own server cannot be reached for, and nothing of a stranger's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.conf import LazySettings

from accounts.models import Account, Identity
from tests.outbox.conftest import Sender
from tests.scripted_smtp import FailingSMTP
from tests.servers import free_port
from webmail.models import Submission, SubmissionState


@pytest.fixture
def relay(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingSMTP]:
    with FailingSMTP() as server:
        monkeypatch.setenv("RELAY_PASSWORD", "hush")
        settings.MAIL_RELAY = {
            "url": f"smtp://localhost:{server.port}",
            "user": "postkasse",
            "password_env": "RELAY_PASSWORD",
            "domains": ["out.test"],
        }
        yield server


@pytest.fixture
def away(sender: Sender, settings: LazySettings) -> Sender:
    """Nothing listens where the account's own server should be."""
    gone = f"smtp://localhost:{free_port()}"
    settings.MAIL_DOMAINS = {"out.test": {"incoming": sender.account.incoming, "outgoing": gone}}
    Account.objects.filter(pk=sender.account.pk).update(outgoing=gone)
    return sender


def state(submission: Submission) -> tuple[str, bool]:
    submission.refresh_from_db()
    return submission.state, submission.relayed


def test_what_cannot_reach_its_own_server_goes_through_the_relay(away: Sender, relay: FailingSMTP) -> None:
    submission = away.write()
    away.drain()
    assert state(submission) == (SubmissionState.SENT, True)
    assert len(relay.accepted) == 1
    assert any(command.startswith(b"AUTH") for command in relay.commands)


def test_what_its_own_server_takes_does_not_go_through_the_relay(sender: Sender, relay: FailingSMTP) -> None:
    submission = sender.write()
    sender.drain()
    assert state(submission) == (SubmissionState.SENT, False)
    assert relay.connections == 0


@pytest.mark.parametrize("step", ["mail", "message"])
def test_what_its_own_server_had_in_its_hands_does_not_go_through_the_relay(
    sender: Sender, relay: FailingSMTP, step: str
) -> None:
    sender.server.fail(step, "close")
    sender.write()
    sender.drain()
    assert relay.connections == 0


def test_a_domain_may_always_go_through_the_relay(sender: Sender, relay: FailingSMTP, settings: LazySettings) -> None:
    settings.MAIL_RELAY = {**settings.MAIL_RELAY, "always": ["out.test"]}
    submission = sender.write()
    sender.drain()
    assert state(submission) == (SubmissionState.SENT, True)
    assert sender.server.connections == 0


def another_address(away: Sender) -> None:
    Identity.objects.filter(account=away.account).update(address="director@out.test")


def a_server_of_their_own(away: Sender) -> None:
    """Whoever names the incoming server themselves is vouched for by nobody but that."""
    Account.objects.filter(pk=away.account.pk).update(incoming="imap://localhost:2")


def another_domain(away: Sender) -> None:
    Account.objects.filter(pk=away.account.pk).update(address="kari@elsewhere.test")
    Identity.objects.filter(account=away.account).update(address="kari@elsewhere.test")


@pytest.mark.parametrize("change", [another_address, a_server_of_their_own, another_domain])
def test_the_relay_carries_nothing_that_nobody_vouches_for(
    away: Sender, relay: FailingSMTP, change: Callable[[Sender], None]
) -> None:
    change(away)
    submission = away.write()
    away.drain()
    assert state(submission) == (SubmissionState.WAITING, False)
    assert relay.connections == 0


def test_a_relay_that_is_away_too_leaves_it_waiting(away: Sender, relay: FailingSMTP) -> None:
    relay.fail("connect", "close")
    submission = away.write()
    away.drain()
    assert state(submission) == (SubmissionState.WAITING, False)
