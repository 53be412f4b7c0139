"""An open page shows by itself what happened elsewhere."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient


def test_new_mail_and_changes_made_elsewhere_appear_on_an_untouched_page(
    visit: Visit, world: World, address: str, elsewhere: SecondClient
) -> None:
    elsewhere.append(letter("Here before", minutes_ago=5))
    visit.enter(address)
    expect(visit.row("Here before")).to_have_class("row unread")
    world.deliver(address, letter("Just arrived", to=address))
    expect(visit.page.locator(".row .s")).to_have_text(["Just arrived", "Here before"])
    expect(visit.page).to_have_title("(2) Inbox · Postkasse")

    elsewhere.add_flag("Here before", "\\Seen")
    elsewhere.add_flag("Here before", "\\Flagged")
    expect(visit.row("Here before")).to_have_class("row")
    expect(visit.row("Here before").locator(".flag")).to_be_visible()
    expect(visit.page.locator("#inbox-unread")).to_have_text("1")

    elsewhere.move("Just arrived", "Archive")
    expect(visit.page.locator(".row .s")).to_have_text(["Here before"])
    assert visit.errors == []


def test_a_selection_and_the_opened_message_survive_the_arrival_of_another(
    visit: Visit, world: World, address: str, elsewhere: SecondClient
) -> None:
    for age, subject in enumerate(("First", "Second")):
        elsewhere.append(letter(subject, minutes_ago=age + 1))
    visit.enter(address)
    visit.open("First")
    visit.row("Second").locator(".pick").check(force=True)
    world.deliver(address, letter("Third", to=address))
    expect(visit.row("Third")).to_have_count(1)
    expect(visit.row("Second").locator(".pick")).to_be_checked()
    expect(visit.row("First")).to_have_attribute("aria-current", "true")
    expect(visit.page.locator("#read h1")).to_have_text("First")
