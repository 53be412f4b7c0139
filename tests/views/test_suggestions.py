"""Whom the composer suggests while somebody types."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from tests.letters import letter
from tests.second_client import second_client
from tests.views.conftest import Person, work_off
from webmail import contacts, correspondents, suggestions, tasks
from webmail.models import Addressee, AddresseeWord, Contact, ContactGroup, Correspondent

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def asked(person: Person, typed: str) -> list[dict[str, Any]]:
    response = person.get("/contacts/suggestions/", data={"q": typed})
    assert response["Content-Type"] == "application/json"
    return response.json()["suggestions"]


def emails(person: Person, typed: str) -> list[str]:
    return [one["email"] for one in asked(person, typed)]


def keep(person: Person, name: str, *addresses: str) -> Contact:
    return contacts.add(person.user, Contact(name=name), [(one, "") for one in addresses])


def catch_up() -> None:
    while suggestions.catch_up():
        pass


@pytest.mark.parametrize(
    "typed", ["so", "SØ", "søren", "Soren k", "kier sor", "sk@mail.fj", "fjo", "sk", "fjord.ex", "example"]
)
def test_somebody_is_found_by_the_beginning_of_any_word(alice: Person, typed: str) -> None:
    contact = keep(alice, "Søren Kierkegård", "SK@mail.fjord.example.org")
    assert asked(alice, typed) == [
        {
            "name": "Søren Kierkegård",
            "email": "SK@mail.fjord.example.org",
            "text": "Søren Kierkegård <SK@mail.fjord.example.org>",
            "contact": contact.pk,
            "group": False,
        }
    ]


@pytest.mark.parametrize("typed", ["", " ", "ren", "sor x", "org", "%", "_", "\0", "so" * 500, "'", "\U0010ffff"])
def test_what_fits_nobody_finds_nobody(alice: Person, typed: str) -> None:
    keep(alice, "Søren Kierkegård", "sk@fjord.example.org")
    assert asked(alice, typed) == []


def test_a_name_that_would_be_read_as_two_is_quoted(alice: Person) -> None:
    keep(alice, 'Lie, Anna "Ann"', "anna@example.org")
    assert asked(alice, "ann")[0]["text"] == '"Lie, Anna \\"Ann\\"" <anna@example.org>'


def test_a_long_address_is_found_as_it_is_typed_to_its_end(alice: Person) -> None:
    long = "a.very.long.local.part.indeed.of.somebody@an.even.longer.domain.example.org"
    keep(alice, "X", long)
    assert all(emails(alice, long[:n]) == [long] for n in range(1, len(long) + 1))


def test_whom_one_writes_to_often_and_lately_comes_first_then_who_writes(alice: Person) -> None:
    for name in ("nothing", "heard", "once", "often", "old"):
        keep(alice, f"Per {name}", f"{name}@example.org")
    lately = NOON + timedelta(days=100)
    correspondents.heard_from(alice.account, [("heard@example.org", "", lately)])
    correspondents.wrote_to(alice.account, [("once@example.org", "", lately)])
    correspondents.wrote_to(alice.account, [("often@example.org", "", lately - timedelta(days=n)) for n in range(20)])
    correspondents.wrote_to(alice.account, [("old@example.org", "", NOON - timedelta(days=900))] * 20)
    catch_up()
    assert [one.partition("@")[0] for one in emails(alice, "per")] == ["often", "once", "old", "heard", "nothing"]


def test_an_address_of_two_accounts_and_a_contact_comes_once_with_the_name_of_the_contact(alice: Person) -> None:
    other = Account.objects.create(user=alice.user, address="2@imap.test", username="2", incoming="imap://localhost")
    for account in (alice.account, other):
        correspondents.wrote_to(account, [("tor@example.org", "O. N.", NOON)])
    catch_up()
    assert [one["name"] for one in asked(alice, "tor")] == ["O. N."]
    contact = keep(alice, "Tor Nordmann", "Tor@example.org")
    assert [(one["name"], one["email"]) for one in asked(alice, "tor")] == [("Tor Nordmann", "Tor@example.org")]
    alice.post(f"/contacts/{contact.pk}/destruction/")
    assert [one["name"] for one in asked(alice, "tor")] == ["O. N."]
    alice.post(f"/settings/accounts/{other.pk}/destruction/")
    assert emails(alice, "tor") == ["tor@example.org"]


def test_whom_only_a_removed_account_knew_is_not_suggested_any_more(alice: Person) -> None:
    other = Account.objects.create(user=alice.user, address="2@imap.test", username="2", incoming="imap://localhost")
    correspondents.wrote_to(other, [("tor@example.org", "", NOON), ("kari@example.org", "", NOON)])
    keep(alice, "Kari", "kari@example.org")
    catch_up()
    alice.post(f"/settings/accounts/{other.pk}/destruction/")
    assert emails(alice, "tor") == []
    assert emails(alice, "kari") == ["kari@example.org"]


def test_what_is_changed_is_found_anew_and_what_is_gone_not_at_all(alice: Person) -> None:
    contact = keep(alice, "Tor", "tor@example.org")
    alice.post(f"/contacts/{contact.pk}/change/", {"name": "Kari", "emails": "kari@example.org"})
    assert emails(alice, "tor") == []
    assert emails(alice, "kari") == ["kari@example.org"]
    alice.post(f"/contacts/{contact.pk}/destruction/")
    assert emails(alice, "kari") == []
    assert not Addressee.objects.exists()
    assert not AddresseeWord.objects.exists()


def test_nobody_is_suggested_whom_only_another_person_knows(alice: Person, bob: Person) -> None:
    keep(alice, "Tor", "tor@example.org")
    assert emails(alice, "tor")
    assert emails(bob, "tor") == []


def test_mail_that_is_sent_counts_once_though_its_copy_is_found_in_sent(alice: Person, smtp: Any) -> None:
    alice.post("/compose/", {"to": "Tor <tor@example.org>", "subject": "Hei", "text": "Hei", "do": "send"})
    work_off(alice.account)
    alice.receive()
    assert alice.mailbox("sent").messages.count() == 1
    known = Correspondent.objects.get(account=alice.account, email="tor@example.org")
    assert known.times_written == 1
    raw = letter("Fra telefonen", to="Tor <tor@example.org>", sender=alice.address)
    with second_client(alice.dovecot, alice.address) as client:
        client.append(raw, "Sent")
    alice.receive()
    known.refresh_from_db()
    assert (known.times_written, known.name) == (2, "Tor")


def test_mail_that_was_synced_is_suggested_after_the_sweep_in_bounded_batches(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    catch_up()
    correspondents.heard_from(alice.account, [(f"p{n}@news.example", f"P{n}", NOON) for n in range(7)])
    assert suggestions.catch_up(limit=3)
    assert len(emails(alice, "news")) == 3
    tasks.make_suggestions()
    assert len(emails(alice, "news")) == 7
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert not suggestions.catch_up()
    assert len([q for q in queries if "SELECT" in q["sql"]]) == 2


def test_at_most_eight_are_suggested(alice: Person) -> None:
    for n in range(20):
        keep(alice, f"Tor {n}", f"tor{n}@example.org")
    assert len(asked(alice, "tor")) == 8


def test_a_group_is_suggested_with_all_its_members(alice: Person) -> None:
    group = ContactGroup.objects.create(user=alice.user, name="Korløpet Sør")
    ContactGroup.objects.create(user=alice.user, name="Korpset")
    group.contacts.add(
        keep(alice, "Lie, Anna", "anna@example.org", "second@example.org"), keep(alice, "Tor", "tor@x.example")
    )
    assert asked(alice, "kor") == [
        {
            "name": "Korløpet Sør",
            "email": "",
            "text": '"Lie, Anna" <anna@example.org>, Tor <tor@x.example>',
            "contact": None,
            "group": True,
        }
    ]


def test_the_composer_asks_with_few_queries(alice: Person, django_assert_max_num_queries: Any) -> None:
    keep(alice, "Tor", "tor@example.org")
    asked(alice, "tor")
    with django_assert_max_num_queries(5):
        asked(alice, "tor n")
