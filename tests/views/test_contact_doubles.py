"""Two contacts that are one person, made one; and people who are none yet."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.views.conftest import Person
from webmail import contacts, correspondents, suggestions
from webmail.contacts import doubles
from webmail.models import AddressBook, Contact, RemoteCard
from webmail.views import correspondents as pages

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def keep(person: Person, name: str, *emails: str, **fields: Any) -> Contact:
    return contacts.add(person.user, Contact(name=name, **fields), [(email, "") for email in emails])


def pairs(person: Person) -> list[tuple[str, str]]:
    return [(one.name, other.name) for one, other in person.get("/contacts/doubles/").context["pairs"]]


def merge(person: Person, one: Contact, other: Contact, what: str = "merge") -> Any:
    return person.post(f"/contacts/doubles/{what}/", {"one": one.pk, "other": other.pk}, follow=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"name": "Søren Lie"}, {"name": "LIE, Soren"}),
        (
            {"name": "A", "phones": [["+47 22 33 44 55", ""]]},
            {"name": "B", "phones": [["1", ""], ["22334455", "work"]]},
        ),
    ],
)
def test_those_of_one_name_or_one_telephone_are_shown(
    alice: Person, one: dict[str, Any], other: dict[str, Any]
) -> None:
    keep(alice, **one)
    keep(alice, **other)
    keep(alice, "Somebody Else", phones=[["112", ""]])
    keep(alice, "And Another", phones=[["112", ""]])
    assert pairs(alice) == [(one["name"], other["name"])]


def test_a_switchboard_makes_nobody_the_same(alice: Person) -> None:
    for name in "ABCDE":
        keep(alice, name, phones=[["22334455", ""]])
    assert pairs(alice) == []


def test_merging_keeps_all_that_both_had_and_undo_makes_two_again(alice: Person) -> None:
    choir, board = (contacts.create_group(alice.user, name) for name in ("Koret", "Styret"))
    one = keep(alice, "Kari Lie", "kari@x.example", organisation="A", note="En", phones=[["22 33 44 55", "home"]])
    other = keep(alice, "kari lie", "kari@y.example", organisation="B", note="To", title="Sjef", phones=[["1", "work"]])
    contacts.gather(choir, [one.pk])
    contacts.gather(board, [other.pk])
    page = merge(alice, one, other).content.decode()
    assert "Kari Lie is one contact now." in page
    both = Contact.objects.get()
    assert [a.written for a in both.addresses.all()] == ["kari@x.example", "kari@y.example"]
    assert (both.organisation, both.title, both.note) == ("A", "Sjef", "En\nB\nTo")
    assert both.phones == [["22 33 44 55", "home"], ["1", "work"]]
    assert {group.name for group in both.groups.all()} == {"Koret", "Styret"}
    found = alice.get("/contacts/suggestions/?q=kari@y").json()["suggestions"]
    assert [suggested["contact"] for suggested in found] == [both.pk]
    undo = re.search(r'action="(/contacts/[0-9a-f-]+/undo/)"', page)
    assert undo
    alice.post(undo[1])
    first, second = Contact.objects.order_by("pk")
    assert ([a.written for a in first.addresses.all()], first.note) == (["kari@x.example"], "En")
    assert ([a.written for a in second.addresses.all()], second.note) == (["kari@y.example"], "To")
    assert [group.name for group in second.groups.all()] == ["Styret"]


def test_of_two_the_one_on_a_server_stays(alice: Person) -> None:
    one, other = keep(alice, "Kari Lie", "1@x.example"), keep(alice, "Kari Lie", "2@x.example")
    book = AddressBook.objects.create(user=alice.user, url="https://dav.invalid/", credentials="x")
    card = RemoteCard.objects.create(book=book, contact=other, href="/2.vcf")
    merge(alice, one, other)
    assert Contact.objects.get() == other
    card.refresh_from_db()
    assert (card.contact, card.changed) == (other, True)


def test_more_addresses_than_one_can_have_are_not_merged(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubles, "MAX_ADDRESSES", 1)
    response = merge(alice, keep(alice, "Kari", "1@x.example"), keep(alice, "Kari", "2@x.example"))
    assert "more than 1 addresses" in response.content.decode()
    assert Contact.objects.count() == 2


def test_two_that_are_two_are_not_shown_again(alice: Person) -> None:
    one, other = keep(alice, "Kari"), keep(alice, "Kari")
    merge(alice, other, one, "separation")
    assert pairs(alice) == []
    assert Contact.objects.count() == 2


@pytest.mark.parametrize("what", ["merge", "separation"])
def test_nobody_merges_the_contacts_of_another_or_one_with_itself(alice: Person, bob: Person, what: str) -> None:
    hers, his = keep(alice, "Kari"), keep(bob, "Kari")
    for one, other in ((his, hers), (hers, his), (his, his)):
        assert merge(bob, one, other, what).status_code == 404
    assert Contact.objects.count() == 2


def test_people_one_writes_to_are_listed_until_they_are_contacts(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE", 2)
    correspondents.heard_from(alice.account, [("news@x.example", "News", NOON)])
    for n in range(3):
        correspondents.wrote_to(alice.account, [(f"p{n}@x.example", f"P{n}", NOON + timedelta(days=n))])
    while suggestions.catch_up():
        pass
    first = alice.get("/contacts/correspondents/").context
    assert [one.name for one, _written in first["people"]] == ["P2", "P1"]
    second = alice.get(f"/contacts/correspondents/?{first['more']}").context
    assert ([one.name for one, _written in second["people"]], second["more"]) == (["P0"], "")
    alice.post("/contacts/creation/", {"person": "P2 <p2@x.example>"})
    shown = alice.get("/contacts/correspondents/").context["people"]
    assert [one.name for one, _written in shown] == ["P1", "P0"]
