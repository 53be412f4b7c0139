"""Preferences and identities take effect at once, on every page."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Visit, World
from tests.second_client import second_client


def test_language_and_theme_are_chosen(visit: Visit, address: str) -> None:
    visit.enter(address)
    page = visit.page
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.goto(f"{visit.url}/settings/")
    page.get_by_label("Language").select_option("nb")
    page.get_by_label("Dark").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).to_have_attribute("lang", "nb")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(f"{visit.url}/")
    expect(page.get_by_role("heading", name="Innboks", exact=True)).to_be_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.get_by_role("button", name="Logg ut").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_an_identity_signs_what_is_written_as_it(
    visit: Visit, world: World, address: str, new_address: Callable[[str], str]
) -> None:
    friend = new_address("imap.test")
    visit.enter(address)
    visit.send_at_once()
    page = visit.page
    page.goto(f"{visit.url}/settings/")
    page.locator("#nav").get_by_role("link", name=address).click()
    page.get_by_role("link", name="Edit").first.click()
    page.get_by_label("Name").fill("Kari Nordmann")
    page.get_by_label("Signature", exact=True).fill("Kari\nPostboks 1")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Kari Nordmann").first.wait_for()
    page.goto(f"{visit.url}/compose/")
    expect(page.locator("textarea#text")).to_have_value("\n-- \nKari\nPostboks 1\n")
    page.get_by_label("To", exact=True).fill(friend)
    page.get_by_label("Subject").fill("Signed")
    visit.press_send()
    with second_client(world.dovecot, friend) as theirs:
        arrived = theirs.await_message("Signed")
    assert arrived["From"] == f"Kari Nordmann <{address}>"
    assert "-- \r\nKari\r\nPostboks 1" in arrived.get_content().replace("\r\n", "\n").replace("\n", "\r\n")
