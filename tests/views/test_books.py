"""Address books on a CardDAV server, a real Radicale: read, written, and nothing lost where both sides change things."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command

from accounts import discovery
from tests.radicale import Radicale
from tests.servers import PASSWORD
from tests.views.conftest import Person
from webmail import books, contacts
from webmail.books import sync as syncing
from webmail.models import AddressBook, Contact, ContactAddress, ContactGroup, RemoteCard
from webmail.protocols import carddav
from webmail.protocols.errors import Refused

KARI = """BEGIN:VCARD
VERSION:3.0
UID:8f6f1a6e-6a52-4b52-9f8a-3a3d5a4f5b10
FN:Kari Nordmann
N:Nordmann;Kari;;;
EMAIL;TYPE=WORK:kari@example.org
item1.TEL:+47 22
item1.X-ABLabel:Hytta
NOTE:Fra serveren
X-ODD;A="b:c":kept as it is
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAAAQABAAD/2w==
CATEGORIES:Kor
END:VCARD
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Radicale]:
    with Radicale(tuple(f"anna{n}" for n in range(60))) as running:
        yield running


_users = iter(range(60))


class Book:
    """Alice's book on the server, as she and another program of hers see it."""

    def __init__(self, server: Radicale, owner: Person) -> None:
        self.server, self.owner = server, owner
        self.user = f"anna{next(_users)}"
        server.make_book(self.user, "bok", "Boka")

    def connect(self, place: str = "", password: str = PASSWORD) -> Any:
        data = {"place": place or self.server.url, "username": self.user, "password": password}
        return self.owner.post("/contacts/books/", data, follow=True)

    @property
    def row(self) -> AddressBook:
        return AddressBook.objects.get(user=self.owner.user)

    def sync(self) -> None:
        books.sync_book(self.row.pk)
        assert (self.row.trouble, self.row.leased_until) == ("", None)

    def put(self, text: str, name: str = "kari.vcf") -> None:
        self.server.put(f"/{self.user}/bok/{name}", text, self.user)

    def card(self, name: str = "kari.vcf") -> str:
        return self.server.card(f"/{self.user}/bok/{name}", self.user)

    def delete(self, name: str = "kari.vcf") -> None:
        self.server.delete(f"/{self.user}/bok/{name}", self.user)

    def all(self) -> list[str]:
        return [path.rpartition("/")[2] for path in self.server.paths(self.user, "bok")]


@pytest.fixture
def book(alice: Person, server: Radicale, settings: LazySettings) -> Book:
    """With Kari in it, taken up and in step."""
    settings.MAIL_DOMAINS = {
        **settings.MAIL_DOMAINS,
        "dav.test": {**settings.MAIL_DOMAINS["imap.test"], "contacts": server.url},
    }
    made = Book(server, alice)
    made.put(KARI)
    made.connect()
    made.sync()
    return made


def kari() -> Contact:
    return Contact.objects.get(name__startswith="Kari")


def change(person: Person, contact: Contact, **fields: str) -> None:
    emails = "\n".join(one.written for one in contact.addresses.all())
    response = person.post(f"/contacts/{contact.pk}/change/", {"name": contact.name, "emails": emails, **fields})
    assert response.status_code == 303


def without_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not know RFC 6578."""

    def refuse(*_: object) -> None:
        raise Refused("not known", "403")

    monkeypatch.setattr(carddav.CardDAV, "_changes", refuse)


@pytest.fixture(params=["sync-collection", "compared"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "compared":
        without_state(monkeypatch)


def test_a_book_is_taken_up_with_all_that_its_cards_say(alice: Person, book: Book) -> None:
    assert (book.row.name, book.row.writable) == ("Boka", True)
    assert PASSWORD not in book.row.credentials
    contact = kari()
    assert [(one.written, one.kind) for one in contact.addresses.all()] == [("kari@example.org", "work")]
    assert (contact.note, contact.phones) == ("Fra serveren", [["+47 22", ""]])
    assert [group.name for group in contact.groups.all()] == ["Kor"]
    assert alice.get("/contacts/suggestions/?q=nord+kari").json()["suggestions"][0]["contact"] == contact.pk
    assert "Boka" in alice.get("/contacts/books/").content.decode()


@pytest.mark.parametrize("place", ["{url}", "{url}{user}/", "{url}{user}/bok/", "x@dav.test"])
def test_a_book_is_found_from_wherever_one_begins(alice: Person, book: Book, place: str) -> None:
    books.leave(book.row)
    book.connect(place.format(url=book.server.url, user=book.user))
    assert book.row.url == f"{book.server.url}{book.user}/bok/"


def test_a_wrong_password_is_said_and_kept_nowhere(alice: Person, book: Book) -> None:
    books.leave(book.row)
    response = book.connect(password="wrong")
    assert response.status_code == 422
    assert "does not accept this address and password" in response.content.decode()
    assert "wrong" not in response.content.decode().partition('name="password"')[2][:200]
    assert not AddressBook.objects.exists()


def test_a_password_the_server_stops_taking_is_asked_for_again(alice: Person, book: Book) -> None:
    AddressBook.objects.update(username="nobody")
    books.sync_book(book.row.pk)
    assert book.row.needs_user
    assert books.due() == []
    assert "Type the password again" in alice.get("/contacts/books/").content.decode()
    book.connect()
    assert not book.row.needs_user
    book.sync()


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:1/", "https://127.0.0.1/", "https://[::1]/", "http://example.org/", "file:///etc/passwd", "https://10.0.0.1/"]
)  # fmt: skip
def test_no_server_is_asked_that_the_operator_has_not_allowed(alice: Person, book: Book, place: str) -> None:
    books.leave(book.row)
    assert book.connect(place).status_code == 422
    assert not AddressBook.objects.exists()


def test_passwords_of_books_are_sealed_anew_too(book: Book) -> None:
    before = book.row.credentials
    call_command("rotate_credentials")
    assert book.row.credentials != before
    book.sync()


@pytest.mark.usefixtures("either_way")
def test_what_is_changed_there_is_changed_here(book: Book) -> None:
    book.sync()
    book.put(
        KARI.replace("Fra serveren", "Ny").replace("+47 22", "+47 23").replace("CATEGORIES:Kor", "CATEGORIES:Band")
    )
    book.put(KARI.replace("Kari", "Ola").replace("kari@", "ola@").replace("5b10", "5b11"), "ola.vcf")
    book.sync()
    contact = kari()
    assert (contact.note, contact.phones) == ("Ny", [["+47 23", ""]])
    assert [group.name for group in contact.groups.all()] == ["Band"]
    assert Contact.objects.filter(name="Ola Nordmann").exists()
    book.delete("ola.vcf")
    book.sync()
    assert not Contact.objects.filter(name="Ola Nordmann").exists()
    assert "1 contact was deleted from Boka." in book.row.notes


def test_what_is_changed_here_is_changed_there_and_all_else_stays(alice: Person, book: Book) -> None:
    change(alice, kari(), name="Kari Ø. Nordmann", emails="kari@example.org\nny@example.org", note="Min, ny\nlinje")
    assert RemoteCard.objects.get().changed
    book.sync()
    text = book.card()
    for line in (
        "FN:Kari Ø. Nordmann",
        "EMAIL:ny@example.org",
        "NOTE:Min\\, ny\\nlinje",
        "item1.X-ABLabel:Hytta",
        "CATEGORIES:Kor",
    ):
        assert line.lower() in text.lower(), text
    assert "kept as it is" in text
    assert "/9j/4AAQSkZJRgABAQAAAQABAAD/2w==" in text
    card = RemoteCard.objects.get()
    assert not card.changed
    book.sync()
    assert kari().note == "Min, ny\nlinje"
    assert book.row.notes == []


def test_nothing_is_written_where_nothing_was_changed(book: Book) -> None:
    before = book.card()
    contacts.touch([kari().pk])
    book.sync()
    assert book.card() == before


def test_both_sides_change_different_things_and_both_stand(alice: Person, book: Book) -> None:
    change(alice, kari(), organisation="Fjord AS", emails="kari@example.org\nmin@example.org")
    book.put(KARI.replace("Fra serveren", "Deres").replace("END:", "EMAIL:deres@example.org\nEND:"))
    book.sync()
    contact = kari()
    assert (contact.organisation, contact.note) == ("Fjord AS", "Deres")
    everybody = {"kari@example.org", "min@example.org", "deres@example.org"}
    assert {one.written for one in contact.addresses.all()} == everybody
    text = book.card()
    assert all(email in text for email in everybody)
    assert "Fjord AS" in text
    assert book.row.notes == []


def test_both_change_one_thing_the_servers_stands_and_ours_is_told(alice: Person, book: Book) -> None:
    change(alice, kari(), note="Min")
    book.put(KARI.replace("Fra serveren", "Deres"))
    book.sync()
    assert kari().note == "Deres"
    assert "NOTE:Deres" in book.card()
    assert "“Deres” stays, and your “Min” was not kept." in book.row.notes[0]
    assert "your “Min” was not kept" in alice.get("/contacts/books/").content.decode()
    alice.post(f"/contacts/books/{book.row.pk}/read/")
    assert book.row.notes == []


def test_what_is_changed_between_looking_and_writing_is_merged_too(
    alice: Person, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(alice, kari(), organisation="Fjord AS")
    once = carddav.CardDAV.put

    def late(self: carddav.CardDAV, href: str, text: str, etag: str) -> str:
        monkeypatch.setattr(carddav.CardDAV, "put", once)
        book.put(KARI.replace("Fra serveren", "I siste liten"))
        return once(self, href, text, etag)

    monkeypatch.setattr(carddav.CardDAV, "put", late)
    book.sync()
    assert "I siste liten" in book.card()
    assert "Fjord AS" in book.card()
    assert (kari().organisation, kari().note) == ("Fjord AS", "I siste liten")


def test_what_the_person_changes_while_it_is_written_is_written_next(
    alice: Person, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(alice, kari(), organisation="Fjord AS")
    once = carddav.CardDAV.put

    def slow(self: carddav.CardDAV, href: str, text: str, etag: str) -> str:
        monkeypatch.setattr(carddav.CardDAV, "put", once)
        change(alice, kari(), title="Sjef")
        return once(self, href, text, etag)

    book.put(KARI.replace("Fra serveren", "Deres"))
    monkeypatch.setattr(carddav.CardDAV, "put", slow)
    book.sync()
    assert RemoteCard.objects.get().changed
    assert (kari().title, kari().organisation, kari().note) == ("Sjef", "Fjord AS", "Deres")
    book.sync()
    assert all(words in book.card() for words in ("TITLE:Sjef", "Fjord AS", "NOTE:Deres"))
    assert book.row.notes == []


def test_a_new_contact_is_put_there_once_though_the_answer_was_lost(
    alice: Person, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact = contacts.add(alice.user, Contact(name="Ola"), [("ola@example.org", "")])
    contacts.new_in(contact, book.row)
    once = carddav.CardDAV.put

    def lost(self: carddav.CardDAV, href: str, text: str, etag: str) -> str:
        once(self, href, text, etag)
        raise carddav.Unreachable("dropped")

    monkeypatch.setattr(carddav.CardDAV, "put", lost)
    books.sync_book(book.row.pk)
    assert "does not answer" in book.row.trouble
    monkeypatch.setattr(carddav.CardDAV, "put", once)
    book.sync()
    assert len(book.all()) == 2
    assert Contact.objects.count() == 2
    assert "EMAIL:ola@example.org" in book.card(f"{contact.uid}.vcf")
    assert not RemoteCard.objects.filter(changed=True).exists()


def test_who_is_deleted_here_is_deleted_there_and_undo_puts_them_back(alice: Person, book: Book) -> None:
    before = contacts.remove_all(alice.user, [kari()], "x")
    book.sync()
    assert book.all() == []
    assert contacts.undo(alice.user.pk, before)
    book.sync()
    assert len(book.all()) == 1
    assert "kept as it is" in book.card(book.all()[0]) or "Kari" in book.card(book.all()[0])


def test_undo_before_the_server_has_heard_leaves_the_card_alone(alice: Person, book: Book) -> None:
    before = book.card()
    key = contacts.remove_all(alice.user, [kari()], "x")
    contacts.undo(alice.user.pk, key)
    book.sync()
    assert (book.card(), kari().note) == (before, "Fra serveren")


@pytest.mark.usefixtures("either_way")
def test_who_is_deleted_here_and_changed_there_comes_back_and_it_is_told(alice: Person, book: Book) -> None:
    book.sync()
    contacts.remove_all(alice.user, [kari()], "x")
    book.put(KARI.replace("Fra serveren", "Endret"))
    book.sync()
    assert kari().note == "Endret"
    assert "so it is back" in book.row.notes[0]


@pytest.mark.usefixtures("either_way")
def test_who_is_changed_here_and_deleted_there_is_put_back_and_it_is_told(alice: Person, book: Book) -> None:
    book.sync()
    change(alice, kari(), note="Endret")
    book.delete()
    book.sync()
    book.sync()
    assert kari().note == "Endret"
    assert len(book.all()) == 1
    assert "so it was put back" in book.row.notes[0]


def test_who_is_deleted_there_can_be_had_back_here(alice: Person, book: Book) -> None:
    from webmail.models import ContactsBefore

    book.delete()
    book.sync()
    assert not Contact.objects.exists()
    contacts.undo(alice.user.pk, ContactsBefore.objects.get().key)
    assert kari().note == "Fra serveren"


def test_somebody_in_the_book_already_is_one_with_the_card_and_keeps_what_they_had(
    alice: Person, server: Radicale, book: Book
) -> None:
    mine = contacts.add(
        alice.user, Contact(name="Per", note="Min"), [("per@example.org", ""), ("per2@example.org", "")]
    )
    book.put(
        "BEGIN:VCARD\nVERSION:3.0\nUID:per\nFN:Per Hansen\nN:Hansen;Per;;;\nEMAIL:PER@example.org\nEND:VCARD\n",
        "per.vcf",
    )
    book.sync()
    book.sync()
    mine.refresh_from_db()
    assert mine.name == "Per Hansen"
    assert mine.note == "Min"
    assert "per2@example.org" in book.card("per.vcf")
    assert "NOTE:Min" in book.card("per.vcf")


def test_two_cards_with_one_address_keep_it_both_there(alice: Person, book: Book) -> None:
    text = "BEGIN:VCARD\nVERSION:3.0\nUID:ola\nFN:Ola\nN:;Ola;;;\nEMAIL:kari@example.org\nEND:VCARD\n"
    book.put(text, "ola.vcf")
    book.sync()
    ola = Contact.objects.get(name="Ola")
    assert ContactAddress.objects.get(email="kari@example.org").contact == kari()
    change(alice, ola, emails="", note="Endret")
    book.sync()
    assert "kari@example.org" in book.card("ola.vcf")
    assert "NOTE:Endret" in book.card("ola.vcf")


def test_a_group_put_together_here_is_a_category_there(alice: Person, book: Book) -> None:
    choir = contacts.create_group(alice.user, "Styret, nytt")
    contacts.gather(choir, [kari().pk])
    book.sync()
    assert "Styret\\, nytt" in book.card()
    contacts.scatter(ContactGroup.objects.get(name="Kor"), [kari().pk])
    book.sync()
    assert "CATEGORIES:Styret\\, nytt\n" in book.card()


def test_a_card_the_server_refuses_keeps_no_other_from_it(
    alice: Person, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = contacts.add(alice.user, Contact(name="Feil"), [])
    contacts.new_in(bad, book.row)
    change(alice, kari(), note="Endret")
    once = carddav.CardDAV.put

    def refusing(self: carddav.CardDAV, href: str, text: str, etag: str) -> str:
        if "Feil" in text:
            raise Refused("too strange", "400")
        return once(self, href, text, etag)

    monkeypatch.setattr(carddav.CardDAV, "put", refusing)
    monkeypatch.setattr(syncing, "GIVEN_UP", 2)
    book.sync()
    assert "NOTE:Endret" in book.card()
    assert RemoteCard.objects.get(contact=bad).changed
    book.sync()
    assert not RemoteCard.objects.get(contact=bad).changed
    assert "does not take your change of Feil: too strange" in book.row.notes[0]


def test_a_book_that_is_left_leaves_its_people(alice: Person, book: Book) -> None:
    assert "stay here and on the server" in alice.get(f"/contacts/books/{book.row.pk}/destruction/").content.decode()
    alice.post(f"/contacts/books/{book.row.pk}/destruction/")
    assert not AddressBook.objects.exists()
    assert kari().note == "Fra serveren"
    assert book.all() == ["kari.vcf"]


def test_somebody_written_down_here_goes_into_the_book_unless_the_person_says_otherwise(
    alice: Person, book: Book
) -> None:
    assert f'<option value="{book.row.pk}">Boka' in alice.get("/contacts/creation/").content.decode()
    alice.post("/contacts/creation/", {"name": "Ola", "emails": "ola@example.org", "book": book.row.pk})
    alice.post("/contacts/creation/", {"name": "Per", "emails": "per@example.org", "book": ""})
    book.sync()
    assert [Contact.objects.get(name=name).pk for name in ("Ola",)] == [
        c.contact_id for c in RemoteCard.objects.exclude(href__endswith="kari.vcf")
    ]
    assert len(book.all()) == 2


def test_an_import_may_go_into_a_book(alice: Person, book: Book) -> None:
    contacts.exchange.take_in(alice.user, b"BEGIN:VCARD\nFN:Ola\nEMAIL:ola@example.org\nEND:VCARD", book=book.row)
    book.sync()
    assert len(book.all()) == 2


def test_a_server_that_is_away_is_asked_again_later_and_later(alice: Person, book: Book) -> None:
    AddressBook.objects.update(url="http://localhost:1/x/")
    before = AddressBook.objects.get().due_at
    waits = []
    for _try in range(3):
        books.sync_book(book.row.pk)
        row = AddressBook.objects.get()
        waits.append(row.due_at - before)
    assert row.failures == 3
    assert waits == sorted(waits)
    assert kari()


@pytest.mark.parametrize(
    "octets",
    [
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><multistatus xmlns="DAV:">&a;</multistatus>',
        '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE x><x/>'.encode("utf-16"),
        b"<a>" * 100,
        b"\0",
        b"",
        b"<x/>" * 2,
    ],
)
def test_xml_that_is_none_or_more_than_that_is_refused(octets: bytes) -> None:
    with pytest.raises(carddav.ProtocolError):
        carddav._parsed(octets)


def test_where_a_table_names_a_place_it_is_asked_and_nothing_else(settings: LazySettings) -> None:
    settings.MAIL_DOMAINS = {
        "x.test": {"incoming": "imap://localhost", "contacts": "http://dav.lan:5232/%EMAILADDRESS%/"}
    }
    assert list(discovery.book_servers("a@x.test")) == ["http://dav.lan:5232/a%40x.test/"]
    assert discovery.resolve_book("dav.lan", 5232, False).addresses == ()
    with pytest.raises(Refused, match="not a public address"):
        discovery.resolve_book("localhost", 5232, True)
