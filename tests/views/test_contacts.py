"""The address book: kept from messages and cards, found again, changed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.letters import letter
from tests.views.conftest import Person
from webmail.models import Contact, ContactAddress
from webmail.views import contacts as pages

CARD = """BEGIN:VCARD
VERSION:3.0
FN:Kari <b>Nordmann</b>
EMAIL;TYPE=WORK:Kari@Example.org
TEL;TYPE=CELL:+47 22 22 22 22
ORG:Fjord AS
X-ODD:kept
END:VCARD
"""


def page(person: Person, subject: str) -> str:
    return person.get(f"/messages/{person.message(subject).pk}/").content.decode()


def receive_card(person: Person, text: str = CARD, name: str = "kari.vcf", kind: str = "text/vcard") -> None:
    person.receive(letter("Card", files={name: (kind, text.encode())}))


def add(owner: Person, **fields: str) -> Any:
    return owner.post("/contacts/creation/", fields, follow=True)


def names(person: Person) -> list[str]:
    return list(Contact.objects.for_user(person.user).values_list("name", flat=True))


def test_the_sender_of_a_message_is_added_and_stranger_no_more(alice: Person) -> None:
    alice.receive(letter("Hi", sender="Ola Nordmann <Ola@Example.org>"))
    assert "First message from this address" in page(alice, "Hi")
    here = f"/messages/{alice.message('Hi').pk}/"
    text = add(alice, person="Ola Nordmann <Ola@Example.org>", next=here).content.decode()
    assert "Ola Nordmann is in your contacts now." in text
    assert "First message from this address" not in text
    assert f'href="/contacts/{Contact.objects.get().pk}/"' in text


def test_somebody_known_is_not_added_twice_however_the_address_is_written(alice: Person) -> None:
    add(alice, person="Ola <ola@example.org>")
    assert "Ola is in your contacts already." in add(alice, person="Another <OLA@example.ORG>").content.decode()
    assert names(alice) == ["Ola"]
    response = add(alice, name="Third", emails="new@example.org\nOla@example.org")
    assert response.status_code == 422
    assert "Ola has this address already." in response.content.decode()
    assert ContactAddress.objects.count() == 1


def test_the_same_address_may_be_in_the_books_of_two_people(alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        add(person, person="Ola <ola@example.org>")
    assert (names(alice), names(bob)) == (["Ola"], ["Ola"])


@pytest.mark.parametrize("typed", ["nobody", "a@b@c", "Ola <ola@example.org>, Kari <kari@example.org>", ""])
def test_what_is_no_single_address_is_not_added(alice: Person, typed: str) -> None:
    assert "Not a mail address" in add(alice, person=typed).content.decode()
    assert names(alice) == []


def test_a_card_is_shown_as_text_and_added_with_all_that_it_says(alice: Person) -> None:
    receive_card(alice)
    text = page(alice, "Card")
    assert "Kari &lt;b&gt;Nordmann&lt;/b&gt;" in text
    assert "+47 22 22 22 22" in text
    assert "Add to contacts" in text
    url = f"/messages/{alice.message('Card').pk}/"
    added = alice.post(f"{url}card/", {"card": "0-0", "next": url}, follow=True).content.decode()
    assert "In your contacts" in added
    contact = Contact.objects.get()
    assert (contact.name, contact.organisation) == ("Kari <b>Nordmann</b>", "Fjord AS")
    assert contact.phones == [["+47 22 22 22 22", "cell"]]
    assert [(one.email, one.written, one.kind) for one in contact.addresses.all()] == [
        ("kari@example.org", "Kari@Example.org", "work")
    ]
    assert "X-ODD:kept" in contact.vcard


def test_a_card_is_known_by_its_name_where_its_type_says_nothing(alice: Person) -> None:
    receive_card(alice, kind="application/octet-stream")
    assert "Add to contacts" in page(alice, "Card")


def test_of_a_file_with_many_cards_some_are_shown_and_any_of_them_added(alice: Person) -> None:
    receive_card(alice, "".join(f"BEGIN:VCARD\nFN:N{n}\nEND:VCARD\n" for n in range(60)))
    assert "And 10 more, in the file." in page(alice, "Card")
    url = f"/messages/{alice.message('Card').pk}/card/"
    alice.post(url, {"card": "0-7"})
    assert names(alice) == ["N7"]
    for odd in ("0-50", "1-0", "", "7"):
        assert "no such card" in alice.post(url, {"card": odd}, follow=True).content.decode()
    assert names(alice) == ["N7"]


def test_a_contact_is_changed_and_keeps_what_the_form_does_not_know(alice: Person) -> None:
    receive_card(alice)
    alice.post(f"/messages/{alice.message('Card').pk}/card/", {"card": "0-0"})
    contact = Contact.objects.get()
    fields = {
        "name": "Kari",
        "emails": "kari@example.org\nnew@example.org",
        "phones": "+47 22 22 22 22\n1",
        "note": "Hei",
    }
    shown = alice.post(f"/contacts/{contact.pk}/change/", fields, follow=True).content.decode()
    assert "new@example.org" in shown
    contact.refresh_from_db()
    assert (contact.name, contact.note, contact.organisation) == ("Kari", "Hei", "Fjord AS")
    assert contact.phones == [["+47 22 22 22 22", "cell"], ["1", ""]]
    assert [one.kind for one in contact.addresses.all()] == ["work", ""]
    assert "X-ODD:kept" in contact.vcard


def test_what_cannot_be_saved_changes_nothing_and_keeps_what_was_typed(alice: Person) -> None:
    add(alice, name="Ola", emails="ola@example.org")
    pk = Contact.objects.get().pk
    response = alice.post(f"/contacts/{pk}/change/", {"name": "New", "emails": "bad"})
    assert response.status_code == 422
    assert ">bad</textarea>" in response.content.decode()
    assert names(alice) == ["Ola"]
    assert add(alice, name=" ", emails="").status_code == 422


def test_deleting_asks_first(alice: Person) -> None:
    add(alice, name="Ola", emails="ola@example.org")
    url = f"/contacts/{Contact.objects.get().pk}/destruction/"
    assert "Delete Ola from your contacts?" in alice.get(url).content.decode()
    assert names(alice) == ["Ola"]
    alice.post(url)
    assert names(alice) == []


def test_people_are_found_by_name_organisation_and_address(alice: Person) -> None:
    add(alice, name="Åse Berg", emails="aase@fjord.example")
    add(alice, name="Ola", emails="ola@example.org", organisation="Fjord AS")
    add(alice, name="Kari", emails="kari@example.org")

    def found(query: str) -> list[str]:
        return [one.name for one in alice.get("/contacts/", data={"q": query}).context["contacts"]]

    assert found("ÅSE") == ["Åse Berg"]
    assert sorted(found("fjord")) == ["Ola", "Åse Berg"]
    assert found("example.org kari") == ["Kari"]
    assert found("%") == []


def test_a_long_book_comes_page_by_page_and_each_person_once(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE", 3)
    for n in range(7):
        add(alice, name="Same" if n < 5 else f"Z{n}")
    seen, query = [], ""
    while True:
        context = alice.get(f"/contacts/?{query}").context
        seen += [one.pk for one in context["contacts"]]
        query = context["more"]
        if not query:
            break
    assert seen == sorted(set(seen))
    assert len(seen) == 7


def test_an_empty_book_says_how_to_begin(alice: Person) -> None:
    assert "No contacts yet" in alice.get("/contacts/").content.decode()
