"""What the page of a message says about whom it is from."""

from __future__ import annotations

import pytest

from accounts.models import Account
from tests.letters import letter
from tests.views.conftest import Person
from webmail import connections
from webmail.models import MessageBody

SERVER = "mx.example.net"


@pytest.fixture
def believing(alice: Person) -> Person:
    Account.objects.filter(pk=alice.account.pk).update(believed=SERVER)
    return alice


def opened(person: Person, subject: str) -> str:
    return person.get(f"/messages/{person.message(subject).pk}/").content.decode()


def from_shop(subject: str, results: str, sender: str = "Shop <news@shop.example>") -> bytes:
    return letter(subject, sender=sender, headers={"Authentication-Results": results})


def test_a_sender_that_the_accounts_server_checked_is_shown_as_verified(believing: Person) -> None:
    believing.receive(from_shop("Offer", f"{SERVER}; dmarc=pass header.from=shop.example"))
    page = opened(believing, "Offer")
    assert 'class="trust ok"' in page
    assert "mx.example.net has checked that this comes from shop.example" in page


def test_a_forged_sender_is_shown_as_not_verified(believing: Person) -> None:
    believing.receive(from_shop("Offer", f"{SERVER}; dmarc=fail header.from=shop.example"))
    assert 'class="trust bad"' in opened(believing, "Offer")


def test_a_server_that_nobody_believes_says_nothing(believing: Person) -> None:
    believing.receive(from_shop("Offer", "mx.evil.example; dmarc=pass header.from=shop.example"))
    assert 'class="trust' not in opened(believing, "Offer")


def test_the_first_message_of_somebody_says_so_until_there_is_a_second(alice: Person) -> None:
    alice.receive(letter("One", sender="Eve <eve@new.example>", minutes_ago=5))
    assert "First message from this address" in opened(alice, "One")
    alice.receive(letter("Two", sender="Eve <eve@new.example>"))
    for subject in ("One", "Two"):
        assert "First message from this address" not in opened(alice, subject)


def test_an_address_that_passes_for_one_that_the_person_writes_to_is_warned_of(alice: Person) -> None:
    from django.utils import timezone

    from webmail.correspondents import wrote_to

    wrote_to(alice.account, [("ingrid@fjellverk.example", "Ingrid", timezone.now())])
    alice.receive(letter("Invoice", sender="Ingrid <ingrid@fje11verk.example>"))
    page = opened(alice, "Invoice")
    assert "Not who it seems" in page
    assert "which is easily taken for fjellverk.example" in page


def test_a_link_that_names_another_host_and_answers_that_go_elsewhere_are_told(alice: Person) -> None:
    markup = '<p>Pay at <a href="https://evil.example/pay">https://bank.example/pay</a></p>'
    alice.receive(letter("Pay", html=markup, sender="Bank <post@bank.example>", headers={"Reply-To": "x@evil.example"}))
    page = opened(alice, "Pay")
    assert "leads to evil.example." in page
    assert "Answers go to x@evil.example, not to post@bank.example." in page


def test_what_is_said_of_a_hostile_name_is_text(alice: Person) -> None:
    alice.receive(letter("Odd", sender='"<script>alert(1)</script>x@y.example" <a@b.example>'))
    page = opened(alice, "Odd")
    assert "<script>alert" not in page
    assert "Look twice" in page


PICTURE = '<p>Look</p><img src="https://pictures.example/a.png" width="300" height="200">'


def test_pictures_that_are_allowed_for_a_domain_show_for_all_at_it_until_that_is_taken_back(alice: Person) -> None:
    for name in ("one", "two"):
        alice.receive(letter(name, html=PICTURE, sender=f"{name} <{name}@shop.example>"))
    alice.receive(letter("other", html=PICTURE, sender="Other <x@evilshop.example>"))
    assert "1 remote picture blocked" in opened(alice, "one")
    alice.post(f"/messages/{alice.message('one').pk}/pictures/", {"allow": "domain", "next": "/"})
    for name, blocked in (("one", False), ("two", False), ("other", True)):
        assert ("1 remote picture blocked" in opened(alice, name)) == blocked
    assert "Do not always show pictures" in opened(alice, "two")
    alice.post(f"/messages/{alice.message('two').pk}/pictures/", {"allow": "0", "next": "/"})
    assert "1 remote picture blocked" in opened(alice, "one")


def test_a_domain_that_strangers_share_is_not_offered(alice: Person) -> None:
    alice.receive(
        letter("one", html=PICTURE, sender="One <one@gmail.com>"), letter("two", html=PICTURE, sender="T <t@b.example>")
    )
    assert "Always from gmail.com" not in opened(alice, "one")
    assert "Always from b.example" in opened(alice, "two")


def test_mail_that_somebody_forged_from_ones_own_address_is_not_shown_as_ones_own(believing: Person) -> None:
    forged = letter(
        "Pay me", sender=f"Alice <{believing.address}>",
        headers={"Authentication-Results": f"{SERVER}; dmarc=fail header.from=imap.test"},
    )  # fmt: skip
    believing.receive(forged)
    page = opened(believing, "Pay me")
    assert 'class="trust bad"' in page
    assert "<bdi>You</bdi>" not in page


def test_of_several_authors_none_is_verified(believing: Person) -> None:
    raw = from_shop("Two", f"{SERVER}; dmarc=pass header.from=shop.example")
    believing.receive(raw.replace(b"From: ", b"From: boss@bank.example, ", 1))
    assert 'class="trust ok"' not in opened(believing, "Two")


def test_an_id_that_no_row_can_have_is_not_there(alice: Person) -> None:
    for path in ("", "body/", "source/"):
        assert alice.get(f"/messages/{10**20}/{path}").status_code == 404


def test_reading_a_message_leaves_the_connection_for_the_next_one(alice: Person) -> None:
    alice.receive(letter("One"), letter("Two"))
    MessageBody.objects.all().delete()
    opened(alice, "One")
    (before,) = connections._idle[alice.account.pk]
    opened(alice, "Two")
    (after,) = connections._idle[alice.account.pk]
    assert after.store is before.store
