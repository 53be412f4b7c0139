"""Contacts come from files and go into files, and nothing of them is lost on the way."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from tests.views.conftest import Person
from webmail import contacts
from webmail.contacts import exchange
from webmail.models import Contact, ContactGroup

THREE = """BEGIN:VCARD\r
VERSION:3.0\r
FN:Kari Nordmann\r
N:Nordmann;Kari;;;\r
EMAIL;TYPE=WORK:kari@example.org\r
EMAIL;TYPE=HOME:kari@hjemme.example\r
TEL;TYPE=CELL:+47 22 22 22 22\r
CATEGORIES:Kor,Jobb\\, to\r
X-ODD:kept\r
END:VCARD\r
BEGIN:VCARD\r
VERSION:4.0\r
FN:Åse\\, Berg\r
EMAIL:aase@example.org\r
NOTE:To linjer\\nher\r
END:VCARD\r
"""
GOOGLE = (
    "First Name,Middle Name,Last Name,Organization Name,Organization Title,Notes,Labels,E-mail 1 - Label,E-mail 1 - Value,"
    "E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Label,Phone 1 - Value,Address 1 - Formatted\n"
    'Kari,,Nordmann,Fjord AS,Sjef,"Linje 1\nLinje 2",Kor ::: * myContacts,Work,kari@example.org,Home,k@hjemme.example,'
    'Mobile,+47 22 ::: 23,"Gata 1\n0150 Oslo"\n'
)
OLD_GOOGLE = (
    "Name,Given Name,Family Name,Group Membership,E-mail 1 - Type,E-mail 1 - Value,Phone 1 - Type,Phone 1 - Value\n"
    "Kari Nordmann,Kari,Nordmann,* myContacts ::: Kor,* Work,kari@example.org ::: k@hjemme.example,Mobile,+47 22\n"
)
OUTLOOK = (
    "First Name;Last Name;Company;Job Title;Business Street;Business City;Home Phone;Mobile Phone;Categories;"
    "E-mail Address;E-mail 2 Address;Notes\nKari;Nordmann;Fjord AS;Sjef;Gata 1;Oslo;11;+47 22;Kor;kari@example.org;"
    "k@hjemme.example;Hei\n"
)
PLAIN = "sep=;\nNavn;E-post;Telefon;Firma\nKari Nordmann;kari@example.org;'+47 22;Fjord AS\n"
THUNDERBIRD = (
    "First Name\tLast Name\tDisplay Name\tPrimary Email\tMobile Number\nK\tN\tKari Nordmann\tkari@example.org\t+47 22\n"
)


def look(person: Person, text: str | bytes) -> Any:
    octets = text.encode() if isinstance(text, str) else text
    return person.post("/contacts/import/", {"file": ContentFile(octets, "a.vcf")}, follow=True)


def take(person: Person, text: str | bytes, **fields: Any) -> str:
    page = look(person, text)
    assert page.status_code == 200, page.content.decode()
    return person.post(page.request["PATH_INFO"], {"doubtful": "1", **fields}, follow=True).content.decode()


def exported(person: Person, **query: Any) -> bytes:
    return b"".join(person.get("/contacts/export/", data=query).streaming_content)


def named(person: Person, name: str) -> Contact:
    return Contact.objects.get(user=person.user, name=name)


def emails(contact: Contact) -> list[tuple[str, str]]:
    return [(one.written, one.kind) for one in contact.addresses.all()]


def test_a_file_of_cards_is_looked_at_and_then_taken_in(alice: Person) -> None:
    page = look(alice, THREE)
    preview = page.context["preview"]
    assert (preview.new, preview.known, preview.doubtful, list(preview.groups)) == (2, 0, 0, ["Kor", "Jobb, to"])
    assert not Contact.objects.exists()
    assert "2 new contacts." in alice.post(page.request["PATH_INFO"], follow=True).content.decode()
    kari = named(alice, "Kari Nordmann")
    assert emails(kari) == [("kari@example.org", "work"), ("kari@hjemme.example", "home")]
    assert kari.phones == [["+47 22 22 22 22", "cell"]]
    assert [group.name for group in kari.groups.all()] == ["Jobb, to", "Kor"]
    assert named(alice, "Åse, Berg").note == "To linjer\nher"
    assert alice.get(page.request["PATH_INFO"]).status_code == 404


def test_what_is_taken_in_is_suggested_after_the_sweep(alice: Person) -> None:
    from webmail import tasks

    take(alice, THREE)
    tasks.make_suggestions()
    assert [one["name"] for one in alice.get("/contacts/suggestions/?q=hjemme").json()["suggestions"]] == [
        "Kari Nordmann"
    ]


@pytest.mark.parametrize("text", [GOOGLE, OLD_GOOGLE, OUTLOOK, PLAIN, THUNDERBIRD])
def test_tables_of_others_are_understood_by_their_header_row(alice: Person, text: str) -> None:
    take(alice, text)
    kari = named(alice, "Kari Nordmann")
    assert emails(kari)[0][0] == "kari@example.org"
    assert "+47 22" in [number for number, _kind in kari.phones]
    if "hjemme" in text:
        assert [email for email, _kind in emails(kari)] == ["kari@example.org", "k@hjemme.example"]
    if "Fjord" in text:
        assert kari.organisation == "Fjord AS"
    if "Kor" in text:
        assert [group.name for group in kari.groups.all()] == ["Kor"]


def test_all_that_a_table_of_google_says_is_kept(alice: Person) -> None:
    take(alice, GOOGLE)
    kari = named(alice, "Kari Nordmann")
    assert (kari.title, kari.note, kari.postal) == ("Sjef", "Linje 1\nLinje 2", "Gata 1, 0150 Oslo")
    assert kari.phones == [["+47 22", "cell"], ["23", "cell"]]
    assert emails(kari) == [("kari@example.org", "work"), ("k@hjemme.example", "home")]


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "windows-1252", "utf-16"])
def test_a_table_may_be_in_another_charset(alice: Person, charset: str) -> None:
    text = "Navn;E-post;Notat\nÅse Sørgård;aase@example.org;Blåbærsyltetøy på brødskiva før ferja går\n"
    take(alice, text.encode(charset))
    assert named(alice, "Åse Sørgård").note == "Blåbærsyltetøy på brødskiva før ferja går"


def test_somebody_whose_address_is_known_is_added_to_and_nothing_is_overwritten(alice: Person) -> None:
    mine = contacts.add(
        alice.user, Contact(name="Kari N", title="Sjef", note="Min", phones=[["+4722222222", "work"]]),
        [("KARI@example.org", "")],
    )  # fmt: skip
    text = THREE.replace("X-ODD:kept", "TITLE:Direktør\r\nORG:Fjord AS")
    preview = look(alice, text).context["preview"]
    assert (preview.new, preview.known) == (1, 1)
    assert "1 was added to." in take(alice, text)
    mine.refresh_from_db()
    assert (mine.name, mine.title, mine.organisation) == ("Kari N", "Sjef", "Fjord AS")
    assert mine.note == "Min\nDirektør\nKari Nordmann"
    assert mine.phones == [["+4722222222", "work"]]
    assert [email for email, _kind in emails(mine)] == ["KARI@example.org", "kari@hjemme.example"]


def test_the_same_file_twice_changes_nothing(alice: Person) -> None:
    take(alice, THREE)
    before = exported(alice)
    assert look(alice, THREE).context["preview"].known == 2
    assert "0 new contacts." in take(alice, THREE)
    assert exported(alice) == before


def test_two_cards_of_a_file_with_one_address_are_one_contact(alice: Person) -> None:
    card = "BEGIN:VCARD\nFN:{}\nEMAIL:one@example.org\nEMAIL:{}@example.org\nEND:VCARD\n"
    text = card.format("Ola", "two") + card.format("Ola N", "three")
    preview = look(alice, text).context["preview"]
    assert (preview.new, preview.known) == (1, 1)
    take(alice, text)
    assert [email for email, _kind in emails(Contact.objects.get())] == [
        f"{n}@example.org" for n in ("one", "two", "three")
    ]


def test_the_doubtful_are_left_out_where_the_person_says_so(alice: Person) -> None:
    contacts.add(alice.user, Contact(name="kari nordmann"), [("other@example.org", "")])
    assert look(alice, THREE).context["preview"].doubtful == 1
    assert "1 was left out." in take(alice, THREE, doubtful="")
    assert Contact.objects.count() == 2
    take(alice, THREE)
    assert Contact.objects.count() == 3


def test_an_import_is_taken_back_whole(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "BATCH", 1)
    mine = contacts.add(alice.user, Contact(name="Kari N"), [("kari@example.org", "")])
    page = take(alice, THREE)
    assert Contact.objects.count() == 2
    found = re.search(r'action="(/contacts/[0-9a-f-]+/undo/)"', page)
    assert found
    alice.post(found[1])
    mine.refresh_from_db()
    assert (Contact.objects.get(), mine.phones, emails(mine)) == (mine, [], [("kari@example.org", "")])


@pytest.mark.parametrize("text", ["", "hello", "a,b\n1,2\n", "\0\0", "BEGIN:VCARD", '"' * 50_000, "name\n"])
def test_what_holds_no_contacts_says_so(alice: Person, text: str) -> None:
    response = look(alice, text or " ")
    assert response.status_code in (200, 422)
    assert response.status_code == 422 or response.context["preview"].total == 0
    assert not Contact.objects.exists()


def test_a_file_has_bounds(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_CARDS", 1)
    page = look(alice, THREE)
    assert page.context["preview"].more
    alice.post(page.request["PATH_INFO"])
    assert Contact.objects.count() == 1
    monkeypatch.setattr(exchange, "MAX_OCTETS", 10)
    assert "The file is larger than" in look(alice, THREE).content.decode()


def test_a_file_that_was_only_looked_at_is_forgotten_after_a_day(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = look(alice, THREE)
    folder = f"imports/{alice.user.pk}"
    exchange.forget_old_files()
    assert page.request["PATH_INFO"].split("/")[-2].replace("-", "") in default_storage.listdir(folder)[1]
    monkeypatch.setattr(exchange, "KEPT", -exchange.KEPT)
    exchange.forget_old_files()
    assert default_storage.listdir(folder)[1] == []


@pytest.mark.parametrize("form", ["vcard3", "vcard4", "csv"])
def test_what_is_exported_comes_back_as_it_was(alice: Person, bob: Person, form: str) -> None:
    take(alice, THREE)
    text = exported(alice, **{"as": form})
    take(bob, text)
    kari, hers = named(bob, "Kari Nordmann"), named(alice, "Kari Nordmann")
    assert (kari.phones, kari.note, emails(kari)) == (hers.phones, hers.note, emails(hers))
    assert [group.name for group in kari.groups.all()] == ["Jobb, to", "Kor"]
    assert named(bob, "Åse, Berg").note == "To linjer\nher"
    if form != "csv":
        assert b"X-ODD:kept" in text
        assert text.count(b"VERSION:4.0" if form == "vcard4" else b"VERSION:3.0") == 2


def test_a_group_is_exported_alone(alice: Person) -> None:
    take(alice, THREE)
    text = exported(alice, group=ContactGroup.objects.get(name="Kor").pk, **{"as": "vcard4"})
    assert (text.count(b"BEGIN:VCARD"), b"Kari" in text) == (1, True)


def test_no_cell_of_an_exported_table_is_a_formula(alice: Person) -> None:
    contacts.add(alice.user, Contact(name='=HYPERLINK("x")', note="@SUM(A1)", phones=[["+47 1", ""], ["-1", ""]]), [])
    rows = list(csv.reader(io.StringIO(exported(alice, **{"as": "csv"}).decode("utf-8-sig"))))
    assert not [cell for row in rows for cell in row if cell[:1] in exchange_risky()]
    assert '\'=HYPERLINK("x")' in rows[1]


def exchange_risky() -> tuple[str, ...]:
    return tuple("=+-@\t\r")


@pytest.mark.parametrize("query", [{"as": "exe"}, {"group": "999999"}])
def test_an_export_of_nothing_we_know_is_not_found(alice: Person, query: dict[str, str]) -> None:
    assert alice.get("/contacts/export/", data=query).status_code == 404


def test_nobody_exports_the_group_of_another(alice: Person, bob: Person) -> None:
    take(alice, THREE)
    assert bob.get(f"/contacts/export/?group={ContactGroup.objects.first().pk}").status_code == 404  # type: ignore[union-attr]
    assert exported(bob) == b""
