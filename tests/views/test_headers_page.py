"""All headers, and what a list says of itself."""

from __future__ import annotations

import re
from pathlib import Path

from accounts.models import Account
from tests.letters import letter
from tests.views.conftest import Person
from webmail.views.headers import hops

WAY = [
    "from mx.example.net (mx.example.net [192.0.2.1]) by imap.test with ESMTPS id 3; Tue, 24 Nov 2026 09:10:00 +0100",
    "from out.example.org by mx.example.net with ESMTP; Tue, 24 Nov 2026 08:00:05 +0000",
    "from [10.0.0.1] by out.example.org; Tue, 24 Nov 2026 08:00:00 +0000",
]


def headers(person: Person, subject: str, query: str = "") -> str:
    return person.get(f"/messages/{person.message(subject).pk}/headers/{query}").content.decode()


def test_every_field_is_shown_decoded_or_as_it_came(alice: Person) -> None:
    alice.receive(
        b"X-Odd: <script>alert(1)</script>\r\nMIME-Version: 1.0\r\n"
        + letter("V=C3=A5r", headers={"X-Word": "=?utf-8?q?V=C3=A5r?="})
    )
    text = headers(alice, "V=C3=A5r")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Vår" in text
    assert "MIME-Version" in text
    assert "=?utf-8?q?V=C3=A5r?=" in headers(alice, "V=C3=A5r", "?raw=1")


def test_the_way_is_told_from_its_beginning_with_delays() -> None:
    way = hops(WAY)
    assert [(hop.by, hop.from_) for hop in way] == [
        ("out.example.org", "[10.0.0.1]"),
        ("mx.example.net", "out.example.org"),
        ("imap.test", "mx.example.net"),
    ]
    assert [hop.delay for hop in way] == ["", "5 seconds", "9 minutes"]
    assert [hop.slow for hop in way] == [False, False, True]


def test_odd_received_fields_are_shown_for_what_they_are() -> None:
    way = hops(["nonsense", "", "by x; not a date", WAY[1], WAY[0].replace("2026", "2020"), ";" * 1000])
    assert [hop.by for hop in way] == ["", "imap.test", "mx.example.net", "x", "", ""]
    assert hops([WAY[2], WAY[1]])[1].delay == "before the one above (a clock is wrong)"


def test_what_a_trusted_server_found_is_said_in_words(alice: Person) -> None:
    Account.objects.filter(pk=alice.account.pk).update(believed="mx.example.net")
    found = "mx.example.net; spf=softfail smtp.mailfrom=example.org; dkim=pass header.d=example.org"
    alice.receive(letter("Checked", headers={"Authentication-Results": found}))
    text = headers(alice, "Checked")
    assert "Checked by mx.example.net" in text
    assert "failed, but not for certain" in text
    assert "Signature (DKIM), <bdi>example.org</bdi>: passed" in text
    alice.receive(letter("Forged", headers={"Authentication-Results": "evil.example; dkim=pass header.d=example.org"}))
    assert "No server that is trusted here" in headers(alice, "Forged")


def test_a_list_shows_its_name_and_links_that_are_safe(alice: Person) -> None:
    alice.receive(
        letter(
            "Listed",
            headers={
                "List-Id": "Folk og sånt <folk.lists.example>",
                "List-Post": "<mailto:folk@lists.example?bcc=evil@evil.example>",
                "List-Archive": "<javascript:alert(1)>, <https://lists.example/folk?a=1&b=2>",
                "List-Help": "<http://lists.example/help>",
            },
        )
    )
    text = alice.get(f"/messages/{alice.message('Listed').pk}/").content.decode()
    assert "<bdi>Folk og sånt</bdi> &lt;folk.lists.example&gt;" in text
    assert 'href="/compose/?to=folk%40lists.example"' in text
    assert 'href="https://lists.example/folk?a=1&amp;b=2"' in text
    assert "javascript:" not in text
    assert "evil.example" not in text
    assert "http://lists.example/help" not in text


OF_SCRIPT = {"J", "K", "X", "Enter", "Esc", "↓", "Tab", "Del"}  # what keys.js and search_box.js do themselves


def test_the_page_of_keys_names_every_key_that_a_control_has_and_no_other(alice: Person) -> None:
    templates = Path(__file__).resolve().parents[2] / "templates"
    written = {key for path in templates.rglob("*.html") for key in re.findall(r'data-key="([^"]+)"', path.read_text())}
    of_controls = {"+".join(word.capitalize() for word in key.replace("mod", "ctrl").split("+")) for key in written}
    named = {key for _title, keys in alice.get("/keys/").context["groups"] for key, _words in keys}
    assert named == of_controls | OF_SCRIPT
