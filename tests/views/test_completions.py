"""What the search box offers while somebody types."""

from __future__ import annotations

import pytest

from tests.letters import letter
from tests.views.conftest import Person, snapshot
from webmail import contacts, operations
from webmail.models import Contact, Message


def offered(person: Person, text: str, at: int | None = None) -> list[str]:
    """With | for the cursor where it is not at the end."""
    query = {"q": text, "at": str(len(text) if at is None else at)}
    return [choice["text"] for choice in person.get("/search/completions/", data=query).json()["choices"]]


def keep(person: Person, name: str, address: str) -> None:
    contacts.add(person.user, Contact(name=name), [(address, "")])


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("fr", "from:"),
        ("FRA", "fra:"),
        ("takst has:pi", "picture"),
        ("is:u", "unread"),
        ("in:tr", "trash"),
        ("after:yes", "yesterday"),
        ("older_than:3", "3d"),
        ("larger:5", "5k"),
        ('before:"this w', '"this week"'),
    ],
)
def test_operators_and_their_values_are_offered(alice: Person, typed: str, first: str) -> None:
    assert offered(alice, typed)[0] == first


def test_an_operator_says_what_it_means(alice: Person) -> None:
    answer = alice.get("/search/completions/", data={"q": "fro", "at": "3"}).json()
    assert answer == {"start": 0, "end": 3, "choices": [{"text": "from:", "shown": "from:", "beside": "Who wrote it."}]}


def test_people_are_offered_by_name_in_quotes_where_they_need_them(alice: Person) -> None:
    keep(alice, "Kari Nordmann", "kari@example.org")
    keep(alice, 'Karin "Kaja" Vik', "vik@example.org")
    keep(alice, "", "karl@example.org")
    choices = alice.get("/search/completions/", data={"q": "takst from:kar", "at": "14"}).json()["choices"]
    assert {choice["text"]: choice["beside"] for choice in choices} == {
        '"Kari Nordmann"': "kari@example.org",
        '"Karin  Kaja  Vik"': "vik@example.org",
        "karl@example.org": "",
    }
    assert offered(alice, 'to:"kari no') == ['"Kari Nordmann"']


def test_a_word_that_may_be_a_name_offers_who_wrote(alice: Person) -> None:
    keep(alice, "Kari Nordmann", "kari@example.org")
    assert offered(alice, "takst kar") == ['from:"Kari Nordmann"']
    assert offered(alice, "takst k") == ["keyword:", "kopi:", "konto:"], "one letter is too little of a name"
    alice.user.language = "nb"
    alice.user.save()
    assert offered(alice, "kar") == ['fra:"Kari Nordmann"']


def test_what_is_in_the_middle_is_completed_there(alice: Person) -> None:
    answer = alice.get("/search/completions/", data={"q": "takst is:unr hus", "at": "11"}).json()
    assert (answer["start"], answer["end"]) == (9, 12)
    assert [choice["text"] for choice in answer["choices"]] == ["unread"]


def test_folders_are_offered_by_their_names_beside_those_with_a_role(alice: Person) -> None:
    operations.create_mailbox(alice.account, "Kvitteringer")
    operations.create_mailbox(alice.account, "Reiser/Øst Asia")
    assert offered(alice, "in:kvi") == ["Kvitteringer"]
    assert offered(alice, "in:asi") == ['"Øst Asia"']
    assert offered(alice, "in:ost") == ['"Øst Asia"']
    assert offered(alice, "in:")[0] == "inbox"
    assert "Kvitteringer" in offered(alice, "in:")


def test_accounts_are_offered_by_any_part_of_their_address(alice: Person) -> None:
    assert offered(alice, "account:imap") == [alice.address]
    assert offered(alice, "account:nowhere") == []


def test_keywords_are_offered_that_mail_bears(alice: Person) -> None:
    alice.receive(letter("Faktura"))
    Message.objects.filter(subject="Faktura").update(labels=["$Junk", "Jobb", "Regnskap og skatt"])
    assert offered(alice, "keyword:") == ["Jobb", '"Regnskap og skatt"']
    assert offered(alice, "keyword:reg") == ['"Regnskap og skatt"']
    assert offered(alice, "keyword:$j") == ["$Junk"]


def test_what_stands_there_already_is_not_offered(alice: Person) -> None:
    assert offered(alice, "is:unread") == []


def test_nothing_of_bobs_is_offered_to_alice(alice: Person, bob: Person) -> None:
    keep(bob, "Kari Nordmann", "kari@example.org")
    operations.create_mailbox(bob.account, "Kvitteringer")
    assert offered(alice, "from:kari") == []
    assert offered(alice, "in:kvi") == []
    assert offered(alice, "account:bob") == []


@pytest.mark.parametrize(
    "query", ["?q=x", "?q=x&at=-1", "?q=x&at=99999999999999999999", "?q=%22%22%22((from:&at=3", "?q=%00a&at=1"]
)
def test_whatever_is_asked_has_an_answer_and_changes_nothing(alice: Person, query: str) -> None:
    before = snapshot()
    assert alice.get(f"/search/completions/{query}").status_code == 200
    assert snapshot() == before
