"""Search as a person does it: typing and seeing, taking something away again, acting on all that was found."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient


@pytest.fixture
def mail(elsewhere: SecondClient) -> None:
    elsewhere.append(
        letter(
            "Takst på huset",
            "Vi trenger en ny måling av gesimsen.",
            sender="Ingrid <ingrid@example.org>",
            minutes_ago=3,
        )
    )
    elsewhere.append(
        letter("Befaring", "Ta med stige, så blir det takst.", sender="Ola <ola@example.org>", minutes_ago=2)
    )
    elsewhere.append(letter("Ferie", "Strand og sol.", sender="Ingrid <ingrid@example.org>", minutes_ago=1))  # fmt: skip


def test_what_is_typed_is_found_while_it_is_typed(visit: Visit, world: World, address: str, mail: None) -> None:
    visit.enter(address)
    expect(visit.page.locator(".row")).to_have_count(3)
    world.app.indexed(address, 3)
    page = visit.page
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("malin")
    page.keyboard.press("Enter")
    rows = page.locator(".row .s")
    expect(rows).to_have_text(["Takst på huset"])
    expect(page.locator(".row .pre mark")).to_have_text("måling")
    box = page.get_by_role("searchbox")
    box.fill("takst")
    expect(rows).to_have_text(["Befaring", "Takst på huset"])
    expect(page).to_have_url(re.compile(r"\?q=takst$"))
    box.press_sequentially(" from:ingrid")
    expect(rows).to_have_text(["Takst på huset"])
    chips = page.locator(".chip.op")
    expect(chips).to_have_text(["takst", "from:ingrid"])
    chips.nth(1).get_by_role("link").click()
    expect(rows).to_have_text(["Befaring", "Takst på huset"])
    box.fill("takst is:blue")
    expect(page.locator(".note")).to_contain_text("“blue” is none of what can be asked for here.")
    visit.errors.clear()


def test_a_result_is_opened_and_left_again(visit: Visit, world: World, address: str, mail: None) -> None:
    visit.enter(address)
    expect(visit.page.locator(".row")).to_have_count(3)
    world.app.indexed(address, 3)
    page = visit.page
    page.goto(f"{visit.url}/search/?q=ingrid")
    page.locator(".row a.subj", has_text="Takst").click()
    expect(page.locator("#read h1")).to_have_text("Takst på huset")
    page.go_back()
    expect(page.locator(".row .s")).to_have_text(["Ferie", "Takst på huset"])


def test_all_that_was_found_is_archived_and_that_is_taken_back(
    visit: Visit, world: World, address: str, elsewhere: SecondClient
) -> None:
    for n in range(60):
        elsewhere.append(letter(f"Budsjett {n}", minutes_ago=n + 1))
    elsewhere.append(letter("Noe annet"))
    visit.enter(address)
    page = visit.page
    expect(visit.row("Noe annet")).to_be_visible()
    world.app.indexed(address, 61)
    page.goto(f"{visit.url}/search/?q=budsjett")
    expect(page.get_by_role("link", name="Older", exact=True)).to_be_visible()
    page.locator(".pick").first.check()
    page.get_by_role("toolbar").get_by_label("all that fit").check()
    page.get_by_role("toolbar").get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("60")
    elsewhere.await_subjects({"Noe annet"})
    visit.undo()
    elsewhere.await_subjects({"Noe annet", *(f"Budsjett {n}" for n in range(60))})


def test_search_works_without_javascript(
    visit_with: Callable[..., Visit], world: World, address: str, mail: None
) -> None:
    visit = visit_with(java_script_enabled=False)
    visit.enter(address)
    page = visit.page
    expect(page.locator(".row")).to_have_count(3)
    world.app.indexed(address, 3)
    page.get_by_role("searchbox").fill("takst -from:ola")
    page.get_by_role("searchbox").press("Enter")
    expect(page.locator(".row .s")).to_have_text(["Takst på huset"])
    page.locator(".chip.op").nth(1).get_by_role("link").click()
    expect(page.locator(".row")).to_have_count(2)
