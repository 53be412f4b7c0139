"""Groups of contacts, what is done to several of them at once, and taking it back."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest

from tests.views.conftest import Person
from webmail import contacts
from webmail.contacts import groups as limits
from webmail.models import Contact, ContactAddress, ContactGroup, ContactsBefore, Draft


def keep(person: Person, name: str, *emails: str) -> Contact:
    return contacts.add(person.user, Contact(name=name), [(email, "") for email in emails])


def make(person: Person, name: str) -> ContactGroup:
    person.post("/contacts/groups/creation/", {"name": name})
    return ContactGroup.objects.get(user=person.user, name=name)


def put(person: Person, group: ContactGroup, *members: Contact) -> str:
    data = {"id": [one.pk for one in members], "to": group.pk}
    return person.post("/contacts/membership/", data, follow=True).content.decode()


def names(group: ContactGroup) -> list[str]:
    return list(group.contacts.order_by("name").values_list("name", flat=True))


def undo(person: Person, page: str) -> str:
    """Press Undo in the notice of a page."""
    found = re.search(r'action="(/contacts/[0-9a-f-]+/undo/)"', page)
    assert found, "no Undo is offered"
    return person.post(found[1], follow=True).content.decode()


def test_people_are_put_into_a_group_and_taken_out_many_at_once(alice: Person) -> None:
    ola, kari, per = (keep(alice, name, f"{name}@x.example") for name in ("Ola", "Kari", "Per"))
    choir = make(alice, "Koret")
    assert "2 contacts are in “Koret” now." in put(alice, choir, ola, kari)
    assert names(choir) == ["Kari", "Ola"]
    shown = alice.get(f"/contacts/groups/{choir.pk}/").context["contacts"]
    assert [one.name for one in shown] == ["Kari", "Ola"]
    data = {"id": [ola.pk, per.pk], "from": choir.pk, "to": ""}
    assert "1 contact left “Koret”." in alice.post("/contacts/membership/", data, follow=True).content.decode()
    assert names(choir) == ["Kari"]


def test_nothing_is_done_without_people_or_a_group(alice: Person) -> None:
    choir, ola = make(alice, "Koret"), keep(alice, "Ola")
    for data in ({"to": choir.pk}, {"id": [ola.pk]}, {"id": [ola.pk], "to": ""}, {"id": ["x", ""], "to": choir.pk}):
        assert (
            "Tick contacts and choose a group."
            in alice.post("/contacts/membership/", data, follow=True).content.decode()
        )
    assert names(choir) == []


def test_nobody_puts_the_contacts_of_another_into_a_group_or_into_anothers(alice: Person, bob: Person) -> None:
    hers, his = keep(alice, "Ola"), keep(bob, "Kari")
    choir, band = make(alice, "Koret"), make(bob, "Bandet")
    put(bob, band, hers)
    assert bob.post("/contacts/membership/", {"id": [his.pk], "to": choir.pk}).status_code == 404
    bob.post("/contacts/destruction/", {"id": [hers.pk]})
    assert (names(choir), names(band), Contact.objects.count()) == ([], [], 2)


def test_a_name_is_one_groups_and_not_empty(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    choir, band = make(alice, "Koret"), make(alice, "Bandet")
    for name, words in (("KORET", "There is a group of this name already."), (" ", "Give the group a name.")):
        for url in ("/contacts/groups/creation/", f"/contacts/groups/{band.pk}/name/"):
            assert words in alice.post(url, {"name": name}, follow=True).content.decode()
    alice.post(f"/contacts/groups/{choir.pk}/name/", {"name": "Domkoret"})
    assert list(ContactGroup.objects.values_list("name", flat=True)) == ["Bandet", "Domkoret"]
    monkeypatch.setattr(limits, "MAX_GROUPS", 2)
    assert "At most 2 groups." in alice.post("/contacts/groups/creation/", {"name": "X"}, follow=True).content.decode()


def test_a_deleted_group_leaves_its_people_and_comes_back_with_them(alice: Person) -> None:
    choir, ola = make(alice, "Koret"), keep(alice, "Ola")
    put(alice, choir, ola)
    page = alice.post(f"/contacts/groups/{choir.pk}/destruction/", follow=True).content.decode()
    assert "The group “Koret” was deleted." in page
    assert not ContactGroup.objects.exists()
    assert Contact.objects.get() == ola
    assert "Taken back" in undo(alice, page)
    assert names(ContactGroup.objects.get()) == ["Ola"]


def test_deleted_people_come_back_with_all_they_had_and_into_their_groups(alice: Person) -> None:
    choir = make(alice, "Koret")
    ola, kari = keep(alice, "Ola", "ola@x.example", "ola@y.example"), keep(alice, "Kari", "kari@x.example")
    Contact.objects.filter(pk=ola.pk).update(note="Bass", phones=[["1", "cell"]], vcard="BEGIN:VCARD\nX-A:b\nEND:VCARD")
    put(alice, choir, ola, kari)
    before = Contact.objects.filter(pk=ola.pk).values("uid", "name", "note", "phones", "vcard", "created_at").get()
    page = alice.post("/contacts/destruction/", {"id": [ola.pk, kari.pk]}, follow=True).content.decode()
    assert "2 contacts were deleted." in page
    assert not Contact.objects.exists()
    undo(alice, page)
    assert Contact.objects.filter(pk=ola.pk).values(*before).get() == before
    assert [one.written for one in ola.addresses.all()] == ["ola@x.example", "ola@y.example"]
    assert names(choir) == ["Kari", "Ola"]
    found = alice.get("/contacts/suggestions/?q=ola@y").json()["suggestions"]
    assert [one["contact"] for one in found] == [ola.pk]


def test_what_is_taken_back_takes_no_address_from_somebody_else_and_says_so(alice: Person) -> None:
    ola = keep(alice, "Ola", "ola@x.example", "both@x.example")
    page = alice.post(f"/contacts/{ola.pk}/destruction/", follow=True).content.decode()
    keep(alice, "Kari", "both@x.example")
    assert "another contact has now: both@x.example" in undo(alice, page)
    assert [one.written for one in ola.addresses.all()] == ["ola@x.example"]
    assert ContactAddress.objects.get(email="both@x.example").contact.name == "Kari"


def test_something_is_taken_back_once_by_whose_it_is_and_within_a_month(alice: Person, bob: Person) -> None:
    page = alice.post(f"/contacts/{keep(alice, 'Ola').pk}/destruction/", follow=True).content.decode()
    assert "cannot be taken back any more" in undo(bob, page)
    assert not Contact.objects.exists()
    undo(alice, page)
    assert "cannot be taken back any more" in undo(alice, page)
    assert Contact.objects.count() == 1
    alice.post(f"/contacts/{Contact.objects.get().pk}/destruction/")
    row = ContactsBefore.objects.get()
    ContactsBefore.objects.update(created_at=row.created_at - limits.before.KEPT)
    contacts.forget_old()
    assert not ContactsBefore.objects.exists()


def test_a_letter_to_a_group_goes_to_the_first_address_of_each(alice: Person) -> None:
    choir = make(alice, "Koret")
    put(alice, choir, keep(alice, "Lie, Anna", "anna@x.example", "2@x.example"), keep(alice, "Ola", "ola@x.example"))
    page = alice.get(f"/contacts/groups/{choir.pk}/").content.decode()
    link = re.search(r'href="/compose/\?to=([^"]+)"', page)
    assert link
    assert unquote(link[1]) == '"Lie, Anna" <anna@x.example>, Ola <ola@x.example>'


def test_a_letter_to_a_large_group_is_a_draft(alice: Person) -> None:
    choir = make(alice, "Koret")
    put(alice, choir, *(keep(alice, f"Somebody {n:03}", f"p{n}@a-long-domain.example.org") for n in range(60)))
    page = alice.get(f"/contacts/groups/{choir.pk}/").content.decode()
    assert "/compose/?to=" not in page
    assert "Somebody 059" in alice.post(f"/contacts/groups/{choir.pk}/letter/", follow=True).content.decode()
    assert Draft.objects.get().to.count("@") == 60


def test_a_group_of_nobody_with_an_address_gets_no_letter(alice: Person) -> None:
    choir = make(alice, "Koret")
    put(alice, choir, keep(alice, "Ola"))
    assert "Nobody in this group" in alice.post(f"/contacts/groups/{choir.pk}/letter/", follow=True).content.decode()
    assert not Draft.objects.exists()
