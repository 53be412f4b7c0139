"""An account's page of state: every step of the connection check failing in turn, pausing, removing, writing from it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.files.storage import default_storage

from accounts import check
from accounts.discovery import Candidate, ServerURL
from accounts.models import Account, Identity
from accounts.sign_in import save_account
from tests.letters import letter
from tests.servers import PASSWORD, Certificate, Dovecot, free_port
from tests.views.conftest import Person
from webmail import compose, connections, operations, outbox, sync
from webmail.models import Draft, Mailbox, Message, MessageBody, Operation, Submission


@contextmanager
def listener(words: bytes, certificate: Certificate | None = None) -> Iterator[int]:
    """A server that says this to whoever connects, and then nothing; the port. With a certificate it speaks TLS."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        open_ones: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                open_ones.append(connection)
                with suppress(OSError):  # whoever does not trust us hangs up
                    if certificate:
                        open_ones[-1] = connection = certificate.context().wrap_socket(connection, server_side=True)
                    connection.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
            for connection in open_ones:
                connection.close()


@pytest.fixture
def move_to(settings: LazySettings, alice: Person) -> Callable[[str], None]:
    """Her incoming server is another from now on, and one that the operator allows."""

    def move(url: str) -> None:
        settings.MAIL_DOMAINS = {**settings.MAIL_DOMAINS, "other.test": {"incoming": url}}
        account = Account.objects.get(pk=alice.account.pk)
        account.incoming = url
        account.remember(PASSWORD)
        account.save()

    return move


def checked(person: Person) -> list[check.Side]:
    response = person.post(f"/settings/accounts/{person.account.pk}/state/")
    assert response.status_code == 200
    sides: list[check.Side] = response.context["sides"]
    for side in sides:
        for line in side.lines:
            assert line.title in response.content.decode().replace("&#x27;", "'")
    return sides


def failure(person: Person) -> tuple[check.Line, int, int]:
    """What failed, how many steps went well before, and how many were not tried."""
    side = checked(person)[0]
    assert not side.well
    *before, last = side.lines
    assert all(line.well for line in before)
    assert not last.well
    assert last.detail
    assert last.advice
    return last, len(before), len(side.to_come)


def test_a_server_in_order_passes_every_step(alice: Person) -> None:
    sides = checked(alice)
    assert [side.well for side in sides] == [True, True]
    assert [len(side.lines) for side in sides] == [5, 5]
    assert "IDLE" in sides[0].lines[-1].detail


def test_a_name_that_leads_nowhere_is_told(alice: Person, move_to: Callable[[str], None]) -> None:
    move_to("imaps://nowhere.invalid:993")
    line, before, to_come = failure(alice)
    assert (line.title, before, to_come) == ("The server's name leads nowhere", 0, 5)


def test_an_address_inside_a_private_network_is_not_asked(alice: Person) -> None:
    with listener(b"* OK never asked\r\n") as port:
        Account.objects.filter(pk=alice.account.pk).update(incoming=f"imap://localhost:{port}")
        line, before, _to_come = failure(alice)
    assert (line.title, before) == ("The server may not be asked", 0)
    assert "never asked" not in line.detail


def test_a_closed_port_is_told(alice: Person, move_to: Callable[[str], None]) -> None:
    port = free_port()
    move_to(f"imap://localhost:{port}")
    line, before, to_come = failure(alice)
    assert (line.title, before, to_come) == (f"Port {port} does not answer", 1, 3)


def test_a_server_that_says_nothing_is_given_up(
    alice: Person, move_to: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "TIMEOUT", 0.3)
    with listener(b"") as port:
        move_to(f"imap://localhost:{port}")
        line, before, to_come = failure(alice)
    assert (line.title, before, to_come) == ("The server does not greet as IMAP does", 2, 2)


def test_garbage_is_no_greeting(alice: Person, move_to: Callable[[str], None]) -> None:
    with listener(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        move_to(f"imap://localhost:{port}")
        line, before, _to_come = failure(alice)
    assert (line.title, before) == ("The server does not greet as IMAP does", 2)
    assert "400 Bad Request" in line.detail


def test_a_port_without_encryption_is_no_tls(alice: Person, dovecot: Dovecot, move_to: Callable[[str], None]) -> None:
    move_to(f"imaps://localhost:{dovecot.imap_port}")
    line, before, to_come = failure(alice)
    assert (line.title, before, to_come) == ("No safe encryption", 2, 3)


def test_a_certificate_for_another_name_is_refused(
    alice: Person, move_to: Callable[[str], None], settings: LazySettings, tmp_path: Path
) -> None:
    certificate = Certificate.create(tmp_path, name="mail.example.org")
    settings.MAIL_CA_FILE = certificate.certificate
    with listener(b"* OK\r\n", certificate) as port:
        move_to(f"imaps://localhost:{port}")
        line, before, _to_come = failure(alice)
    assert (line.title, before) == ("No safe encryption", 2)
    assert "localhost" in line.detail


def test_a_wrong_password_is_told_at_both_sides(alice: Person) -> None:
    account = Account.objects.get(pk=alice.account.pk)
    account.remember("wrong")
    account.save()
    for side in checked(alice):
        assert side.lines[-1].title == "It refuses the user name or password"
        assert len(side.to_come) == 1


def test_the_password_goes_to_no_server_it_was_not_saved_for(
    alice: Person, settings: LazySettings, dovecot: Dovecot
) -> None:
    url = f"imap://127.0.0.1:{dovecot.imap_port}"
    settings.MAIL_DOMAINS = {**settings.MAIL_DOMAINS, "other.test": {"incoming": url}}
    Account.objects.filter(pk=alice.account.pk).update(incoming=url)
    line, before, _to_come = failure(alice)
    assert (line.title, before) == ("It refuses the user name or password", 0)


# --- pausing ----------------------------------------------------------------------------------------------------


def test_a_paused_account_says_so_and_goes_on_from_there(alice: Person) -> None:
    here = f"/settings/accounts/{alice.account.pk}/"
    inbox = f"/folders/{alice.mailbox('inbox').pk}/"
    assert alice.post(f"{here}state/pause/", {"on": "1", "next": here})["Location"] == here
    assert alice.address in sync_left_out()
    for path in ("/", inbox):
        page = alice.get(path).content.decode()
        assert f"{alice.address} is paused" in page
        assert f'formaction="{here}state/pause/" name="on" value="0"' in page
    assert '<span class="vh">Paused</span>' in page
    alice.post(f"{here}state/pause/", {"on": "0", "next": inbox})
    assert alice.address not in sync_left_out()
    assert "is paused" not in alice.get(inbox).content.decode()


def sync_left_out() -> set[str]:
    due = sync.due_accounts(limit=1000)
    return set(Account.objects.filter(paused=True).exclude(pk__in=due).values_list("address", flat=True))


def test_another_account_s_pause_is_not_told_in_a_folder_it_does_not_concern(
    alice: Person, second_account: Account
) -> None:
    Account.objects.filter(pk=second_account.pk).update(paused=True)
    assert "is paused" in alice.get("/").content.decode()
    assert "is paused" not in alice.get(f"/folders/{alice.mailbox('inbox').pk}/").content.decode()


# --- several accounts -------------------------------------------------------------------------------------------


@pytest.fixture
def second_account(alice: Person, dovecot: Dovecot, settings: LazySettings) -> Iterator[Account]:
    """Hers too: POP3, at another address."""
    incoming = f"pop3://localhost:{dovecot.pop3_port}"
    settings.MAIL_DOMAINS = {**settings.MAIL_DOMAINS, "pop.test": {"incoming": incoming}}
    address = alice.address.replace("alice", "alice-pop").replace("imap.test", "pop.test")
    candidate = Candidate(ServerURL.parse(incoming), ServerURL.parse(alice.account.outgoing), address, True, "table")
    account = save_account(alice.user, address, PASSWORD, candidate)
    dovecot.deliver(address, letter("Downloaded", files={"a.txt": ("text/plain", b"octets")}, to=address))
    sync.sync_account(account)
    yield account
    connections.close_all(account.pk)


def test_a_new_message_is_from_the_account_one_is_at(alice: Person, second_account: Account) -> None:
    inbox = Mailbox.objects.get(account=second_account, role="inbox")
    mine, other = (Identity.objects.get(account=account) for account in (alice.account, second_account))
    for path, identity in (
        ("/", mine),
        ("/sent/", mine),
        (f"/folders/{alice.mailbox('inbox').pk}/", mine),
        (f"/folders/{inbox.pk}/", other),
    ):
        link = alice.get(path).context["nav"]["compose"]
        assert alice.get(link).context["draft"].identity == identity, path
    assert alice.get(f"/compose/?in=account-{second_account.pk}").context["draft"].identity == other


def test_where_bob_is_does_not_let_him_write_as_alice(alice: Person, bob: Person) -> None:
    for place in (f"folder-{alice.mailbox('inbox').pk}", f"account-{alice.account.pk}", "folder-", "x-1", "account-9"):
        draft = bob.get(f"/compose/?in={place}").context["draft"]
        assert draft.account == bob.account


def test_write_from_this_first_puts_an_account_before_the_others(alice: Person, second_account: Account) -> None:
    path = f"/settings/accounts/{second_account.pk}/"
    form = alice.get(path).context["form"].initial
    colours = {account.pk: account.colour for account in alice.user.accounts.all()}
    assert (
        alice.post(path, {**{k: v for k, v in form.items() if v not in (None, False)}, "first": "on"}).status_code
        == 302
    )
    assert alice.get("/compose/").context["draft"].account == second_account
    assert [account.pk for account in alice.user.accounts.all()] == [second_account.pk, alice.account.pk]
    assert {account.pk: account.colour for account in alice.user.accounts.all()} == colours


def test_sent_and_drafts_are_lists_over_all_accounts(alice: Person, second_account: Account) -> None:
    alice.receive(letter("From the one", sender=alice.address, to="kari@example.org"), folder="Sent")
    alice.receive(letter("Draft elsewhere", sender=alice.address, to="kari@example.org"), folder="Drafts")
    sent = Mailbox.objects.get(account=second_account, role="sent")
    Message.objects.filter(account=second_account).update(mailbox=sent)
    compose.save(compose.new(alice.user, subject="Draft here", to="ola@example.org"))
    listed = alice.get("/sent/").content.decode()
    assert "From the one" in listed
    assert "Downloaded" in listed
    assert "kari@example.org" in listed
    drafts = alice.get("/drafts/").content.decode()
    assert drafts.index("Draft here") < drafts.index("Draft elsewhere")
    assert "2 drafts" in drafts


def test_a_search_result_is_opened_beside_its_search(alice: Person) -> None:
    alice.receive(letter("Needle one", minutes_ago=3), letter("Hay", minutes_ago=2), letter("Needle two"))
    page = alice.get("/search/?q=needle").content.decode()
    two, one = alice.message("Needle two"), alice.message("Needle one")
    assert f"/messages/{two.pk}/?in=search&amp;q=needle" in page
    opened = alice.get(f"/messages/{two.pk}/?in=search&q=needle")
    assert opened.context["older_message"] == f"/messages/{one.pk}/?in=search&q=needle"
    assert opened.context["newer"] == ""
    assert opened.context["list_url"] == "/search/?q=needle"
    assert [row.subject for day in opened.context["days"] for row in day.rows] == ["Needle two", "Needle one"]
    assert 'value="needle"' in opened.content.decode()


def test_the_only_account_s_inbox_drafts_and_sent_stand_in_the_sidebar_once(alice: Person) -> None:
    nav = alice.get(f"/folders/{alice.mailbox('inbox').pk}/").context["nav"]
    assert nav["current"] == "inbox"
    assert not {"inbox", "drafts", "sent"} & {entry.icon for entry in nav["accounts"][0].entries}


def test_with_two_accounts_each_has_all_its_folders(alice: Person, second_account: Account) -> None:
    for tree in alice.get("/").context["nav"]["accounts"]:
        assert {"inbox", "drafts", "sent"} <= {entry.icon for entry in tree.entries}


# --- removing ---------------------------------------------------------------------------------------------------


def files_of(account_id: int) -> list[str]:
    def walk(folder: str) -> Iterator[str]:
        if default_storage.exists(folder):
            folders, files = default_storage.listdir(folder)
            yield from (f"{folder}/{name}" for name in files)
            for name in folders:
                yield from walk(f"{folder}/{name}")

    return [name for kind in ("messages", "drafts", "outbox") for name in walk(f"{kind}/{account_id}")]


@pytest.mark.parametrize("downloads", [False, True], ids=["imap", "pop3"])
def test_a_removed_account_leaves_nothing_behind(
    downloads: bool, alice: Person, second_account: Account, tmp_path: Path
) -> None:
    going, staying = (second_account, alice.account) if downloads else (alice.account, second_account)
    upload = tmp_path / "a.txt"
    upload.write_bytes(b"octets")
    draft = compose.save(compose.new(alice.user, to="kari@example.org", subject="Unfinished", account=going))
    with upload.open("rb") as file:
        alice.post(f"/drafts/{draft.pk}/", {"do": "attach", "to": "kari@example.org", "files": file})
    leaving = compose.save(compose.new(alice.user, to="kari@example.org", subject="Leaving", account=going))
    outbox.submit(alice.user, leaving)
    message = Message.objects.filter(account=going).get()
    alice.get(f"/messages/{message.pk}/")  # its text is here, and a connection is kept
    operations.change_keywords(alice.user, [message.pk], add=["$flagged"])
    stays = files_of(staying.pk)
    assert files_of(going.pk)

    path = f"/settings/accounts/{going.pk}/destruction/"
    page = alice.get(path).content.decode()
    assert "1 draft written here" in page
    assert "1 message in the outbox, not sent yet" in page
    assert ("1 message downloaded" if downloads else "1 message stays") in page
    assert alice.post(path).status_code == 302
    for model in (Mailbox, Message, Draft, Operation, Submission, Identity):
        assert not model._default_manager.filter(account_id=going.pk).exists(), model
    assert not MessageBody.objects.filter(pk=message.pk).exists()
    assert files_of(going.pk) == []
    assert going.pk not in connections._idle
    assert files_of(staying.pk) == stays
    assert Message.objects.filter(account=staying).exists()
    assert alice.get("/").status_code == 200
