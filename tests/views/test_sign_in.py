"""Signing in: the person's own mail server decides, and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from accounts import discovery, models, sign_in
from accounts.discovery import Candidate, ServerURL
from accounts.models import Account, User
from tests.servers import PASSWORD, Dovecot, free_port
from tests.views.conftest import Person
from webmail import tasks


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    """Tries of other tests do not count."""
    cache.clear()
    yield
    cache.clear()


def test_the_right_password_opens_the_account(alice: Person, charlie: Client) -> None:
    response = charlie.post("/sign-in/", {"address": alice.address.upper(), "password": PASSWORD})
    assert response.status_code == 302
    assert charlie.session["_auth_user_id"] == str(alice.user.pk)


def test_a_wrong_password_does_not(alice: Person, charlie: Client) -> None:
    response = charlie.post("/sign-in/", {"address": alice.address, "password": "wrong"})
    assert response.status_code == 401
    assert "_auth_user_id" not in charlie.session
    assert "does not accept this address and password" in response.content.decode()
    assert alice.address in response.content.decode()
    assert "wrong" not in response.content.decode()


def test_a_server_of_ones_own_does_not_vouch_for_somebody_elses_address(
    alice: Person, charlie: Client, dovecot: Dovecot, settings: object
) -> None:
    """The very server is in the table, so only the rule of who vouches for whom can say no."""
    with Dovecot() as theirs:
        settings.MAIL_DOMAINS |= {"evil.test": {"incoming": f"imap://localhost:{theirs.imap_port}"}}  # type: ignore[attr-defined]
        data = {
            "address": alice.address, "password": PASSWORD, "incoming_host": "localhost", "incoming_protocol": "imap",
            "incoming_port": str(theirs.imap_port), "incoming_security": "plain",
        }  # fmt: skip
        charlie.post("/sign-in/", data)
        assert charlie.session.get("_auth_user_id") != str(alice.user.pk)
        if "_auth_user_id" in charlie.session:
            assert "Hemmelig" not in charlie.get("/").content.decode()
    alice.account.refresh_from_db()
    assert str(dovecot.imap_port) in alice.account.incoming


def test_the_host_typed_in_must_be_public_or_the_operators(charlie: Client, db: None) -> None:
    data = {
        "address": "x@nowhere.test", "password": PASSWORD, "incoming_host": "127.0.0.1", "incoming_protocol": "imap",
        "incoming_port": "22", "incoming_security": "plain",
    }  # fmt: skip
    response = charlie.post("/sign-in/", data)
    assert response.status_code == 401
    assert "127.0.0.1 is not a public address" in response.content.decode()
    assert not User.objects.exists()


def test_guessing_is_stopped_after_some_tries(alice: Person, charlie: Client) -> None:
    data = {"address": alice.address, "password": "wrong"}
    statuses = [charlie.post("/sign-in/", data).status_code for _try in range(8)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert charlie.post("/sign-in/", {**data, "password": PASSWORD}).status_code == 429


def test_the_password_is_kept_only_encrypted(alice: Person) -> None:
    account = Account.objects.get(pk=alice.account.pk)
    assert PASSWORD not in account.credentials
    assert account.knows(PASSWORD)


def test_another_server_gets_the_password_only_when_it_is_typed_again(alice: Person, settings: object) -> None:
    with Dovecot() as other:
        settings.MAIL_DOMAINS |= {"other.test": {"incoming": f"imap://localhost:{other.imap_port}"}}  # type: ignore[attr-defined]
        data = {
            "incoming_host": "localhost", "incoming_protocol": "imap", "incoming_port": str(other.imap_port),
            "incoming_security": "plain", "username": alice.address, "password": "",
        }  # fmt: skip
        response = alice.post(f"/settings/accounts/{alice.account.pk}/", data)
        assert response.status_code == 422
        assert "Type the password again" in response.content.decode()
        assert "Login" not in other.log()


@pytest.fixture
def guessing(alice: Person, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where mail is sent from is a guess for everybody; whose way out a worker was asked to find."""
    asked: list[int] = []
    outgoing = ServerURL.parse(f"smtp://localhost:{free_port()}")
    found = Candidate(
        ServerURL.parse(alice.account.incoming), outgoing, alice.address, True, "srv", outgoing_guessed=True
    )
    monkeypatch.setattr(sign_in, "candidates", lambda address: iter([replace(found, username=address)]))
    monkeypatch.setattr(discovery, "_is_operators", lambda url: True)
    monkeypatch.setattr(models, "ways_out", lambda guess: (guess, ServerURL.parse(alice.account.outgoing)))
    monkeypatch.setattr(tasks, "nudge_settle_outgoing", asked.append)
    return asked


def test_a_guess_of_the_way_out_is_tried_as_soon_as_somebody_is_in_and_remembered(
    alice: Person, charlie: Client, guessing: list[int]
) -> None:
    form = {"address": f"new-{alice.address}", "password": PASSWORD}
    assert charlie.post("/sign-in/", form).status_code == 302
    account = Account.objects.get(address=form["address"])
    assert (guessing, account.outgoing_settled) == ([account.pk], False)
    tasks.settle_outgoing(account.pk)
    account.refresh_from_db()
    assert (account.outgoing, account.outgoing_settled) == (alice.account.outgoing, True)
    Account.objects.filter(pk=account.pk).update(verified_at=None)
    assert charlie.post("/sign-in/", form).status_code == 302
    account.refresh_from_db()
    assert (guessing, account.outgoing) == ([account.pk], alice.account.outgoing)


def test_a_page_of_before_the_way_out_was_found_does_not_put_the_guess_back(alice: Person, guessing: list[int]) -> None:
    form = {"address": f"second-{alice.address}", "password": PASSWORD}
    page = alice.post("/settings/accounts/creation/", form)["Location"]
    account = Account.objects.get(address=form["address"])
    shown = {
        name: value for name, value in alice.get(page).context["form"].initial.items() if value not in (None, False)
    }
    tasks.settle_outgoing(account.pk)
    assert alice.post(page, {**shown, "name": "Second"}).status_code == 302
    account.refresh_from_db()
    assert (account.name, account.outgoing) == ("Second", alice.account.outgoing)
    other = {**shown, "outgoing_port": "2525", "password": PASSWORD}
    assert alice.post(page, other).status_code == 302
    account.refresh_from_db()
    assert (ServerURL.parse(account.outgoing).port, account.outgoing_settled) == (2525, True)


def test_a_domain_that_says_where_mail_is_read_alone_has_the_rest_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Candidate(ServerURL.parse("imaps://mail.example.org"), None, "kari@example.org", True, "srv")
    monkeypatch.setattr(discovery, "_from_srv", lambda address, domain: found)
    monkeypatch.setattr(discovery, "_exists", lambda host: host == "smtp.example.org")
    (candidate,) = discovery.candidates("kari@example.org")
    assert (str(candidate.outgoing), candidate.outgoing_guessed) == ("smtps://smtp.example.org:465", True)


def test_signing_out_needs_a_form_and_ends_the_session(alice: Person) -> None:
    assert alice.get("/sign-out/").status_code == 405
    assert alice.get("/").status_code == 200
    alice.post("/sign-out/")
    assert alice.get("/")["Location"].startswith("/sign-in/")


def test_credentials_are_encrypted_anew_under_a_new_key(alice: Person, tmp_path: Path, settings: LazySettings) -> None:
    (tmp_path / "keys").mkdir()
    settings.DATA_DIR = tmp_path
    before = alice.account.credentials
    call_command("rotate_credentials", "--new-key", stdout=StringIO())
    alice.account.refresh_from_db()
    assert alice.account.credentials != before
    newest = (tmp_path / "keys" / "credentials").read_text().splitlines()[0]
    assert newest not in settings.CREDENTIAL_KEYS
    settings.CREDENTIAL_KEYS = [newest]
    assert alice.account.knows(PASSWORD)
