"""Leaving a list: at one click only where the sender signed how."""

from __future__ import annotations

from typing import Any

import pytest

from accounts.models import Account
from tests.letters import letter
from tests.views.conftest import Person
from webmail import outside

SERVER = "mx.example.net"
SIGNED = "v=1; a=rsa-sha256; d=shop.example; s=x; h=From:Subject:List-Unsubscribe:List-Unsubscribe-Post; b=abc"


def news(person: Person, **headers: str) -> str:
    usual = {
        "Authentication-Results": f"{SERVER}; dkim=pass header.d=shop.example",
        "DKIM-Signature": SIGNED,
        "List-Unsubscribe": "<https://shop.example/leave?u=1>, <mailto:leave@shop.example?subject=leave%20me>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    Account.objects.filter(pk=person.account.pk).update(believed=SERVER)
    person.receive(
        letter("News", sender="Shop <news@shop.example>", headers={k: v for k, v in {**usual, **given}.items() if v})
    )
    return person.get(f"/messages/{person.message('News').pk}/").content.decode()


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bytes]]:
    """What would go out."""
    found: list[tuple[str, bytes]] = []

    def post(url: str, form: bytes) -> int:
        found.append((url, form))
        return 200

    monkeypatch.setattr(outside, "post", post)
    return found


def leave(person: Person) -> Any:
    return person.post(f"/messages/{person.message('News').pk}/unsubscription/", {"next": "/"}, follow=True)


def test_one_click_tells_the_list_what_rfc_8058_wants(alice: Person, posted: list[tuple[str, bytes]]) -> None:
    assert "/unsubscription/" in news(alice)
    assert posted == []
    assert "no more mail from this list" in leave(alice).content.decode()
    assert posted == [("https://shop.example/leave?u=1", b"List-Unsubscribe=One-Click")]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authentication_Results": f"{SERVER}; dkim=fail header.d=shop.example"},
        {"Authentication_Results": "mx.evil.example; dkim=pass header.d=shop.example"},
        {"DKIM_Signature": "v=1; d=shop.example; h=From:Subject; b=abc"},
        {"DKIM_Signature": "v=1; d=evil.example; h=List-Unsubscribe:List-Unsubscribe-Post; b=abc"},
        {"List_Unsubscribe_Post": ""},
    ],
)
def test_what_the_sender_did_not_sign_is_never_called(
    alice: Person, posted: list[tuple[str, bytes]], headers: dict[str, str]
) -> None:
    page = news(alice, **headers)
    assert "/unsubscription/" not in page
    assert "to=leave%40shop.example&amp;subject=leave+me" in page
    leave(alice)
    assert posted == []


def test_a_list_with_a_page_only_leads_there_in_a_window_of_its_own(alice: Person) -> None:
    page = news(alice, List_Unsubscribe="<https://shop.example/leave>", List_Unsubscribe_Post="")
    assert 'href="https://shop.example/leave" target="_blank" rel="noopener noreferrer"' in page


def test_a_script_is_no_way_to_leave(alice: Person) -> None:
    page = news(alice, List_Unsubscribe="<javascript:alert(1)>, <http://shop.example/>")
    assert "javascript:" not in page
    assert "Unsubscribe" not in page


def test_a_list_that_cannot_be_reached_is_said_so(alice: Person) -> None:
    news(alice, List_Unsubscribe="<https://127.0.0.1/leave>")
    assert "could not be reached" in leave(alice).content.decode()
