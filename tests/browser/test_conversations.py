"""Conversations in a browser: one row, the whole on one page, arranged and acted upon with and without script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.letters import letter
from tests.second_client import SecondClient


def talk(elsewhere: SecondClient) -> None:
    for n, name in enumerate(("Ola Berg", "Ingrid Solheim", "Jonas Lie"), 1):
        headers = {"Message-ID": f"<tur{n}@example.org>"}
        if n > 1:
            headers["References"] = " ".join(f"<tur{one}@example.org>" for one in range(1, n))
        sender = f"{name} <{n}@example.org>"
        raw = letter(
            "Re: Turen" if n > 1 else "Turen", f"Words {n}.", sender=sender, headers=headers, minutes_ago=9 - n
        )
        elsewhere.append(raw, flags="\\Seen")
    elsewhere.append(letter("Another", minutes_ago=60))


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_a_conversation_is_one_row_and_one_page_and_is_acted_upon_as_a_whole(
    visit_with: Callable[..., Visit], address: str, elsewhere: SecondClient, script: bool
) -> None:
    talk(elsewhere)
    visit = visit_with(java_script_enabled=script, viewport={"width": 1280, "height": 800})
    visit.enter(address)
    page = visit.page
    rows = page.locator(".row .s")
    expect(rows).to_have_text(["Turen", "Another"])
    expect(page.locator(".row .from").first).to_contain_text("Ola, Ingrid, Jonas")

    read = visit.open("Turen")
    expect(read.get_by_role("heading", level=1)).to_have_text("Turen")
    expect(read.locator(".fold b")).to_have_text(["Ola Berg", "Ingrid Solheim"])
    expect(read.locator(".msg.open")).to_contain_text("Words 3.")
    expect(page.locator(".row[aria-current=true] .s")).to_have_text("Turen")

    read.get_by_role("button", name="Newest on top").click()
    expect(read.locator(".msg").first).to_contain_text("Words 3.")
    read.locator(".fold").filter(has_text="Ola Berg").click()
    expect(read.locator(".msg.open")).to_contain_text("Words 1.")
    expect(page.locator(".row[aria-current=true] .s")).to_have_text("Turen")

    read.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("3 messages")
    expect(rows).to_have_text(["Another"])
    visit.undo()
    expect(rows).to_have_text(["Turen", "Another"])

    page.get_by_role("button", name="Conversations").click()
    expect(rows).to_have_text(["Re: Turen", "Re: Turen", "Turen", "Another"])
    page.get_by_role("button", name="Conversations").click()
    expect(rows).to_have_text(["Turen", "Another"])
    assert visit.errors == []


def test_a_muted_conversation_stays_away_when_it_goes_on(visit: Visit, address: str, elsewhere: SecondClient) -> None:
    talk(elsewhere)
    visit.enter(address)
    page = visit.page
    read = visit.open("Turen")
    read.locator("summary[aria-label=More]").first.click()
    read.get_by_role("button", name="Mute conversation").click()
    expect(page.locator("#toast")).to_contain_text("Muted 1 conversation")
    expect(page.locator(".row .s")).to_have_text(["Another"])
    going_on = {"Message-ID": "<tur4@example.org>", "References": "<tur1@example.org>"}
    elsewhere.append(letter("Re: Turen", "And on.", headers=going_on))
    elsewhere.append(letter("Told of"))
    expect(page.locator(".row .s")).to_have_text(["Told of", "Another"])
    elsewhere.await_subjects({"Turen", "Re: Turen"}, "Archive")
