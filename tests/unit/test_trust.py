"""Who a message is really from: results of trusted servers only, and names that deceive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.mime import Address
from webmail.trust import Doubt, Standing, authentication, cautions, mixed_scripts, organisation, signed_fields

OURS = ["mx.example.net"]


def said(*values: str) -> list[tuple[str, str]]:
    return [("received", "from somewhere"), *(("authentication-results", value) for value in values)]


@pytest.mark.parametrize(
    ("value", "standing"),
    [
        ("mx.example.net; dmarc=pass header.from=shop.example", Standing.VERIFIED),
        ("mx.example.net; dmarc=fail (p=reject) header.from=shop.example; spf=pass smtp.mailfrom=x@evil.example", Standing.FAILED),
        ("mx.example.net; dmarc=fail header.from=shop.example; arc=pass", Standing.UNKNOWN),
        ("mx.example.net 1; dkim=pass (2048-bit key; unprotected) header.d=shop.example", Standing.VERIFIED),
        ("mx.example.net; dkim=pass header.i=@mail.shop.example header.s=x", Standing.VERIFIED),
        ("mx.example.net; dkim=pass header.d=evil.example", Standing.UNKNOWN),
        ("mx.example.net; spf=pass smtp.mailfrom=news@bounce.shop.example", Standing.VERIFIED),
        ("mx.example.net; spf=fail smtp.mailfrom=shop.example; dkim=none", Standing.FAILED),
        ("mx.example.net; spf=softfail smtp.mailfrom=shop.example", Standing.UNKNOWN),
        ("mx.example.net; none", Standing.UNKNOWN),
        ("inner.mx.example.net; dmarc=pass header.from=shop.example", Standing.VERIFIED),
        ("mx.evil.example; dmarc=pass header.from=shop.example", Standing.UNKNOWN),
        ("evilmx.example.net; dmarc=pass header.from=shop.example", Standing.UNKNOWN),
        ('mx.example.net; dkim=fail reason="it said dmarc=pass; dmarc=pass" header.d=shop.example', Standing.UNKNOWN),
        ("mx.example.net; spf=none (; dmarc=pass header.from=shop.example) smtp.mailfrom=x", Standing.UNKNOWN),
    ],
)  # fmt: skip
def test_what_a_trusted_server_found_is_shown_as_one_sign(value: str, standing: Standing) -> None:
    assert authentication(said(value), OURS).standing("shop.example") == standing


def test_of_two_fields_of_trusted_servers_the_newer_server_counts() -> None:
    forged = "old.mx.example.net; dmarc=pass header.from=shop.example"
    true = "mx.example.net; dmarc=fail header.from=shop.example"
    assert authentication(said(true, forged), OURS).standing("shop.example") == Standing.FAILED


def test_results_that_one_server_spread_over_fields_belong_together() -> None:
    found = authentication(said("mx.example.net; spf=fail", "mx.example.net; dkim=pass header.d=shop.example"), OURS)
    assert (found.of("spf"), found.of("dkim"), found.signed_by("shop.example")) == ("fail", "pass", True)


def test_a_pass_of_another_domain_than_the_shown_one_is_none() -> None:
    passed = authentication(said("mx.example.net; dmarc=pass header.from=evil.example"), OURS)
    assert passed.standing("bank.example") == Standing.UNKNOWN
    neighbour = authentication(said("mx.example.net; dkim=pass header.d=evil.github.io"), OURS)
    assert neighbour.standing("bank.github.io") == Standing.UNKNOWN


def test_what_stands_below_the_next_received_came_with_the_message() -> None:
    own = ("authentication-results", "mx.example.net; spf=fail; dkim=none")
    forged = ("authentication-results", "mx.example.net; dmarc=pass header.from=shop.example")
    assert authentication([own, ("received", "from there"), forged], OURS).standing("shop.example") == Standing.FAILED


def test_nothing_in_quotes_or_of_odd_characters_tells_a_result() -> None:
    found = authentication(said('mx.example.net; dkim=pass reason="header.d=bank.example x"; spf=pa\0ss'), OURS)
    assert [one.domain for one in found.results] == ["", ""]
    assert all(one.result.isprintable() for one in found.results)


def test_a_method_may_name_its_version() -> None:
    assert authentication(said("mx.example.net; dkim/1 = pass header.d = shop.example"), OURS).signed_by("shop.example")


@pytest.mark.parametrize(
    "value",
    ["x; " + "a" * 100_000, "mx.example.net; " + "a" * 100_000, "mx.example.net;" + " " * 100_000, "(" * 100_000],
)
def test_a_long_field_takes_no_longer_than_it_is_long(value: str) -> None:
    fields = [("authentication-results", value), ("dkim-signature", value)] * 25
    signed_fields(fields, authentication(fields, OURS))


def test_a_forged_result_below_the_servers_own_counts_for_nothing() -> None:
    found = authentication(said("mx.example.net; dkim=fail", "mx.example.net; dkim=pass header.d=shop.example"), OURS)
    assert not found.signed_by("shop.example")


def doubts(sender: Address, *reply_to: str, known: list[str] | None = None, listed: bool = False) -> list[Doubt]:
    found = cautions(sender, [Address("", email) for email in reply_to], known or [], listed)
    return [one.doubt for one in found]


@pytest.mark.parametrize(
    ("name", "email", "expected"),
    [
        ("Ada", "ada@example.org", []),
        ("ada@example.org", "ada@example.org", []),
        ("service@paypal.com", "x@evil.example", [Doubt.NAME_HOLDS_ADDRESS]),
        ("PayPal", "service@paypa1.com", [Doubt.LOOKS_LIKE]),
        ("PayPal", "service@pаypal.com", [Doubt.MIXED_SCRIPTS]),
        ("PayPal", "service@xn--pypal-4ve.com", [Doubt.MIXED_SCRIPTS]),
        ("Vipps", "post@vlpps.no", [Doubt.LOOKS_LIKE]),
        ("Ad", "x@rnicrosoft.com", [Doubt.LOOKS_LIKE]),
        ("PayPal", "service@mail.paypal.com", []),
        ("Bjørn", "bjorn@blåbær.no", []),
        ("日本", "x@日本語ドメイン.jp", []),
        ("Post", "x@пошта.укр", []),
    ],
)
def test_names_that_deceive_are_told(name: str, email: str, expected: list[Doubt]) -> None:
    assert doubts(Address(name, email)) == expected


def test_a_domain_written_in_another_alphabet_throughout_that_passes_for_a_known_one_is_told() -> None:
    assert doubts(Address("", "x@сосо.com"), known=["coco.com"]) == [Doubt.LOOKS_LIKE]


def test_answers_that_go_to_another_organisation_are_told_unless_it_is_a_list() -> None:
    sender = Address("Boss", "boss@firm.example")
    assert doubts(sender, "boss@gmail.example") == [Doubt.REPLY_ELSEWHERE]
    assert doubts(sender, "replies@mail.firm.example") == []
    assert doubts(sender, "list@lists.example", listed=True) == []


@pytest.mark.parametrize(
    ("domain", "registered"),
    [("mail.example.org", "example.org"), ("a.b.co.uk", "b.co.uk"), ("co.uk", "co.uk"), ("x", "x"), ("", "")],
)
def test_the_registered_domain_is_told_from_its_labels(domain: str, registered: str) -> None:
    assert organisation(domain) == registered


@given(st.text(max_size=300), st.text(max_size=80), st.text(max_size=80))
def test_no_text_makes_it_fail(value: str, name: str, email: str) -> None:
    authentication([("authentication-results", value)], OURS).standing(email)
    cautions(Address(name, email), [Address(email, name)], [value])
    mixed_scripts(value)
