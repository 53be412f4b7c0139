"""An account that downloads: the server knows one inbox, everything else is kept here."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import second_client


def test_a_pop3_mailbox_is_read_sorted_and_answered(
    visit: Visit, world: World, new_address: Callable[[str], str]
) -> None:
    address, friend = new_address("pop.test"), new_address("imap.test")
    world.deliver(address, letter("Older", "Its text", minutes_ago=10))
    world.deliver(address, letter("Newer", "Another text", html="<p>In <b>bold</b></p>"))
    visit.enter(address)
    page = visit.page
    expect(page.locator(".row .s")).to_have_text(["Newer", "Older"])
    expect(visit.open("Newer").locator("iframe").content_frame.locator("b")).to_have_text("bold")
    expect(visit.open("Older")).to_contain_text("Its text")

    visit.page.locator("#read").get_by_role("button", name="Star", exact=True).click()
    expect(visit.row("Older").locator(".flag")).to_be_visible()
    visit.undo()
    expect(visit.row("Older").locator(".flag")).to_have_count(0)

    page.goto(f"{visit.url}/folders/")
    page.get_by_label("New folder").fill("Kept")
    page.get_by_role("button", name="Create").click()
    expect(page.locator(".rowlist li", has_text="Kept")).to_have_count(1)
    page.goto(f"{visit.url}/")
    read = visit.open("Older")
    read.get_by_label("Move or copy").click()
    read.get_by_label("Folder").select_option("Kept")
    read.get_by_role("button", name="Move", exact=True).click()
    expect(page.locator(".row .s")).to_have_text(["Newer"])
    page.locator("#nav").get_by_role("link", name="Kept").click()
    expect(page.locator(".row .s")).to_have_text(["Older"])

    visit.send_at_once()
    visit.write(friend, "By the other way", "Sent from a POP3 account.")
    visit.press_send()
    with second_client(world.dovecot, friend) as theirs:
        theirs.await_message("By the other way")
    page.locator("#nav").get_by_role("link", name="Sent").first.click()
    expect(page.locator(".row .s")).to_have_text(["By the other way"])

    with second_client(world.dovecot, address) as theirs:  # copies were left on the server
        assert set(theirs.subjects()) == {"Older", "Newer"}
    world.deliver(address, letter("Fetched on request"))
    page.goto(f"{visit.url}/")
    page.get_by_role("button", name="Check for new mail").click()
    expect(page.locator(".row .s")).to_have_text(["Fetched on request", "Newer"])
    assert visit.errors == []
