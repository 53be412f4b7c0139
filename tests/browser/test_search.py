"""Search as a person does it: typing and seeing, taking something away again, acting on all that was found."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.app import eventually
from tests.browser.conftest import Visit, World
from tests.browser.test_accessibility import violations
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
    visit.press("/")
    expect(visit.search_box).to_be_focused()
    page.keyboard.type("malin")
    page.keyboard.press("Enter")
    rows = page.locator(".row .s")
    expect(rows).to_have_text(["Takst på huset"])
    expect(page.locator(".row .pre mark")).to_have_text("måling")
    box = visit.search_box
    box.fill("takst")
    expect(rows).to_have_text(["Befaring", "Takst på huset"])
    expect(page).to_have_url(re.compile(r"\?q=takst$"))
    expect(page.locator("#found-said")).to_have_text("2 conversations")
    box.press_sequentially(" from:ingrid")
    expect(rows).to_have_text(["Takst på huset"])
    chips = page.locator(".chip.op")
    expect(chips).to_have_text(["takst", "from:ingrid"])
    page.keyboard.press("Escape")  # what is offered lies over them
    chips.nth(1).get_by_role("link").click()
    expect(rows).to_have_text(["Befaring", "Takst på huset"])
    box.fill("takst is:blue")
    expect(page.locator(".note")).to_contain_text("“blue” is none of what can be asked for here.")
    expect(page.locator(".note mark")).to_have_text("blue")
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


def people(world: World, address: str, number: int) -> None:
    """Wait until so many of those who wrote are suggested."""
    query = (
        "SELECT COUNT(*) AS n FROM webmail_addressee e JOIN accounts_account a ON a.user_id = e.user_id"
        " WHERE a.address = ?"
    )
    world.app.sweep()
    eventually(lambda: world.app.rows(query, address)[0]["n"] >= number, f"{number} people to suggest")


def test_a_search_is_typed_and_completed_by_keyboard(visit: Visit, world: World, address: str, mail: None) -> None:
    visit.enter(address)
    page, box = visit.page, visit.search_box
    expect(page.locator(".row")).to_have_count(3)
    world.app.indexed(address, 3)
    people(world, address, 2)
    visit.press("/")
    expect(box).to_have_role("combobox")
    page.keyboard.type("fro")
    options = page.get_by_role("option")
    expect(options).to_have_count(1)
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(box).not_to_have_attribute("aria-activedescendant", re.compile("."))
    page.keyboard.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", str(options.first.get_attribute("id")))
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Tab")
    expect(box).to_have_value("from:")
    expect(box).to_be_focused()
    page.keyboard.type("ing")
    expect(options).to_have_count(1)
    assert violations(page) == []
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(box).to_have_value("from:Ingrid ")
    expect(options).to_have_count(0)
    page.keyboard.type("i")
    expect(options.first).to_be_visible()
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    expect(box).to_have_value("from:Ingrid i")
    page.keyboard.press("Backspace")
    page.keyboard.type("takst")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=from%3AIngrid\\+takst"))
    expect(page.locator(".row .s")).to_have_text(["Takst på huset"])
    assert visit.errors == []


def test_enter_searches_for_what_is_typed_though_something_else_is_offered(
    visit: Visit, world: World, address: str, mail: None
) -> None:
    visit.enter(address)
    people(world, address, 2)
    visit.press("/")
    visit.page.keyboard.type("ing")
    expect(visit.page.get_by_role("option")).to_have_text(re.compile("from:Ingrid"))
    visit.page.keyboard.press("Enter")
    expect(visit.page).to_have_url(re.compile("q=ing$"))


def test_the_keyboard_goes_from_the_box_to_the_results_and_back(
    visit: Visit, world: World, address: str, mail: None
) -> None:
    visit.enter(address)
    page = visit.page
    expect(page.locator(".row")).to_have_count(3)
    visit.press("/")
    page.keyboard.press("Escape")
    expect(page.locator(".row .subj").first).to_be_focused()
    visit.press("/")
    expect(visit.search_box).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".row .subj").first).to_be_focused()


def test_a_choice_is_taken_with_the_mouse_in_the_middle_of_what_is_typed(visit: Visit, address: str) -> None:
    visit.enter(address)
    page, box = visit.page, visit.search_box
    page.goto(f"{visit.url}/search/")
    expect(page.locator("html.live")).to_be_attached()
    box.fill("🏠 is: hus")
    box.evaluate("box => box.setSelectionRange(6, 6)")
    page.keyboard.type("u")
    page.get_by_role("option", name="unread").click()
    expect(box).to_have_value("🏠 is:unread hus")
    expect(box).to_be_focused()
    expect(page.locator(".chip.op")).to_have_text(["🏠", "is:unread", "hus"])


def test_recent_searches_are_offered_in_the_empty_box_and_forgotten(
    visit: Visit, world: World, address: str, mail: None
) -> None:
    visit.enter(address)
    page, box, options = visit.page, visit.search_box, visit.page.get_by_role("option")
    expect(page.locator(".row")).to_have_count(3)
    world.app.indexed(address, 3)
    for words in ("ferie", "befaring"):
        visit.press("/")
        box.fill(words)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile(f"q={words}$"))
    visit.press("/")
    page.keyboard.type(" stige")
    expect(page.locator(".row .s")).to_have_text(["Befaring"])
    page.locator(".row .subj").click()
    expect(page.locator("#read h1")).to_have_text("Befaring")
    page.goto(visit.url)
    visit.press("/")
    expect(options).to_have_text(["befaring stige", "ferie"])
    assert violations(page) == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("q=ferie$"))
    expect(page.locator(".row .s")).to_have_text(["Ferie"])
    expect(page.locator("html.live")).to_be_attached()
    box.fill("")
    expect(options).to_have_text(["ferie", "befaring stige"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Delete")
    expect(options).to_have_text(["befaring stige"])
    with page.expect_response("**/search/recent/destruction/"):
        page.get_by_role("button", name="Forget all").click()
    expect(options).to_have_count(0)
    page.goto(f"{visit.url}/searches/")
    expect(page.get_by_role("heading", name="Recent searches")).to_have_count(0)


def test_a_saved_search_counts_what_arrives_and_is_renamed_and_removed_with_undo(
    visit: Visit, world: World, address: str, mail: None
) -> None:
    visit.enter(address)
    page = visit.page
    expect(page.locator(".row")).to_have_count(3)
    world.app.indexed(address, 3)
    page.goto(f"{visit.url}/search/?q=takst")
    page.get_by_text("Save this search").click()
    page.get_by_label("Name").fill("Takster")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toast")).to_contain_text("Saved as “Takster”.")
    expect(page).to_have_title("Takster · Search · Postkasse")
    entry = page.locator("#searches").get_by_role("link")
    expect(entry).to_have_attribute("aria-current", "page")
    expect(entry.locator(".c")).to_have_text("2")
    page.goto(visit.url)
    expect(entry).not_to_have_attribute("aria-current", "page")
    world.deliver(address, letter("Enda en takst", to=address))
    expect(entry.locator(".c")).to_have_text("3")
    expect(entry).to_have_accessible_name(re.compile("Takster 3 unread messages"))
    assert violations(page) == []
    entry.click()
    expect(page.locator(".row")).to_have_count(3)
    visit.search_box.fill("takst hus")
    expect(entry).not_to_have_attribute("aria-current", "page")
    visit.search_box.fill("takst")
    expect(entry).to_have_attribute("aria-current", "page")
    expect(page).to_have_title("Takster · Search · Postkasse")
    visit.errors.clear()
    page.get_by_role("link", name="Manage saved searches").click()
    assert violations(page) == []
    page.locator("summary", has_text="Rename").click()
    page.get_by_label("Name").fill("Priser")
    page.get_by_role("button", name="Save").click()
    expect(entry.locator(".clip")).to_have_text("Priser")
    page.get_by_role("button", name="Remove").click()
    expect(entry).to_have_count(0)
    visit.undo()
    expect(entry.locator(".clip")).to_have_text("Priser")
    assert visit.errors == []


def test_a_search_is_saved_and_removed_without_javascript(
    visit_with: Callable[..., Visit], address: str, world: World, mail: None
) -> None:
    visit = visit_with(java_script_enabled=False)
    visit.enter(address)
    page = visit.page
    expect(page.locator(".row")).to_have_count(3)
    page.goto(f"{visit.url}/search/?q=takst")
    page.get_by_text("Save this search").click()
    page.get_by_role("button", name="Save").click()
    entry = page.locator("#searches").get_by_role("link")
    expect(entry).to_have_attribute("aria-current", "page")
    page.get_by_text("Rename or remove").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#toast")).to_contain_text("The saved search “takst” was removed.")
    expect(entry).to_have_count(0)
    visit.undo()
    expect(entry).to_have_count(1)


def test_on_a_phone_what_is_offered_is_one_line_and_is_taken_by_a_tap(
    visit_with: Callable[..., Visit], address: str, world: World, mail: None
) -> None:
    visit = visit_with(viewport={"width": 390, "height": 844}, has_touch=True)
    visit.enter(address)
    page, box = visit.page, visit.search_box
    page.goto(f"{visit.url}/search/?q=takst")
    visit.press("/")
    page.keyboard.type(" is:")
    option = page.get_by_role("option", name="unread")
    expect(option).to_be_visible()
    choices = page.locator(".choices").bounding_box()
    assert choices
    assert choices["height"] < 60
    assert violations(page, within=".find.open") == []
    option.tap()
    expect(box).to_have_value(re.compile("is:unread "))
    page.get_by_text("Save this search").tap()
    expect(page.get_by_label("Name")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("button", name="Save")).to_be_in_viewport(ratio=1)
