"""The connection check names the step that fails, and those before it as done."""

from __future__ import annotations

from tests.servers import PASSWORD, Dovecot
from webmail.protocols.base import Credentials, Security
from webmail.protocols.errors import AuthenticationFailed
from webmail.protocols.probe import probe


def test_a_refused_password_comes_after_starttls_was_done(dovecot: Dovecot) -> None:
    steps = list(probe(dovecot.imap(Security.STARTTLS), Credentials("probe", "wrong")))
    assert [step.name for step in steps] == ["port", "greeting", "tls", "sign-in"]
    assert [step.error is None for step in steps] == [True, True, True, False]
    assert isinstance(steps[-1].error, AuthenticationFailed)


def test_all_steps_of_a_server_that_works(dovecot: Dovecot) -> None:
    steps = list(probe(dovecot.imap(Security.STARTTLS), Credentials("probe", PASSWORD)))
    assert [step.name for step in steps] == ["port", "greeting", "tls", "sign-in", "offer"]
    assert all(step.error is None for step in steps)
    assert "IDLE" in steps[-1].detail.split()
