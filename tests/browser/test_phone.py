"""The same at a phone's width, by touch."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient, second_client


def fits(page: Page) -> None:
    """Nothing makes the page scroll sideways."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, page.url


def test_reading_acting_and_writing_work_on_a_phone(
    visit_with: Callable[..., Visit],
    world: World,
    address: str,
    elsewhere: SecondClient,
    new_address: Callable[[str], str],
) -> None:
    friend = new_address("imap.test")
    wide = "<table width=900><tr><td width=900>A table wider than any phone</td></tr></table>"
    elsewhere.append(letter("A wide one", "text", html=wide, minutes_ago=2))
    elsewhere.append(letter("A subject that goes on and on " * 5, "short", minutes_ago=3))
    elsewhere.append(letter("Archive me", minutes_ago=1))
    visit = visit_with(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = visit.page
    page.goto(f"{visit.url}/sign-in/")
    fits(page)
    visit.enter(address)
    expect(page.locator(".row .s").first).to_have_text("Archive me")
    fits(page)

    visit.row("A wide one").locator("a.subj").tap()
    read = page.locator("#read")
    expect(read.locator("iframe").content_frame.locator("td")).to_be_visible()
    expect(page.locator("#list")).to_be_hidden()
    fits(page)
    read.get_by_role("link", name="Back to the list").tap()
    expect(visit.row("Archive me")).to_be_visible()
    fits(page)

    visit.row("Archive me").locator("a.subj").tap()
    expect(read.locator("h1")).to_have_text("Archive me")
    page.locator("#dock").get_by_role("button", name="Archive").tap()
    expect(visit.row("Archive me")).to_have_count(0)
    elsewhere.await_subjects({"Archive me"}, "Archive")
    page.locator("#toast").get_by_role("button", name="Undo").tap()
    elsewhere.await_subjects(set(), "Archive")

    page.goto(f"{visit.url}/")
    page.locator("#dock").get_by_role("button", name="Folders").tap()
    page.locator("#nav").get_by_role("link", name="Archive").tap()
    expect(page.get_by_role("heading", name="Archive")).to_be_visible()
    fits(page)

    visit.send_at_once()
    fits(page)
    page.locator("#dock").get_by_role("link", name="Write").tap()
    page.get_by_label("To", exact=True).fill(friend)
    page.get_by_label("Subject").fill("From the bus")
    page.locator("textarea#text").fill("Ten minutes late.")
    fits(page)
    page.get_by_role("button", name="Send", exact=True).tap()
    expect(page.locator("#toast")).to_contain_text("Sending to")
    with second_client(world.dovecot, friend) as theirs:
        theirs.await_message("From the bus")
    for path in ("/folders/", "/outbox/", "/search/?q=wide", "/settings/", "/operations/"):
        page.goto(visit.url + path)
        fits(page)
    assert visit.errors == []
