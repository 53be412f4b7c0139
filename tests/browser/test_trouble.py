"""When a server says no: a sentence that says what happened, the server's own words, and nothing typed is lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import second_client
from tests.servers import PASSWORD


@pytest.mark.parametrize(
    ("domain", "password", "sentence", "words"),
    [
        ("imap.test", "wrong", "localhost does not accept this address and password.", "Authentication failed"),
        ("pop.test", "wrong", "localhost does not accept this address and password.", "Authentication failed"),
        ("unknown.test", PASSWORD, "nowhere.invalid does not answer.", ""),
        ("refused.test", PASSWORD, "localhost does not answer.", "refused"),
        (
            "expired.test",
            PASSWORD,
            "No safe connection to localhost is possible, so your password was not sent.",
            "expired",
        ),
    ],
)
def test_a_failed_sign_in_is_explained_and_keeps_the_address(
    visit: Visit, new_address: Callable[[str], str], domain: str, password: str, sentence: str, words: str
) -> None:
    address = new_address(domain)
    visit.sign_in(address, password)
    alert = visit.page.get_by_role("alert")
    expect(alert.locator("b")).to_have_text(sentence)
    expect(alert.locator("samp")).to_contain_text(words, ignore_case=True)
    expect(visit.page.get_by_label("Mail address")).to_have_value(address)
    expect(visit.page.get_by_label("Password")).to_have_value("")


def test_after_a_wrong_password_the_right_one_lets_in(visit: Visit, address: str) -> None:
    visit.sign_in(address, "wrong")
    expect(visit.page.get_by_role("alert")).to_be_visible()
    visit.page.get_by_label("Password").fill(PASSWORD)
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.page).to_have_url(f"{visit.url}/")


def test_an_address_without_a_domain_is_pointed_out(visit: Visit) -> None:
    visit.sign_in("kari")
    expect(visit.page.get_by_text("Enter a mail address, such as kari@example.org.")).to_be_visible()
    expect(visit.page.get_by_label("Mail address")).to_have_value("kari")


def test_with_the_server_away_fetched_mail_is_readable_and_all_is_well_when_it_returns(
    visit: Visit, world: World, new_address: Callable[[str], str]
) -> None:
    address = new_address("away.test")
    world.deliver(address, letter("Read me offline", "The text is kept here."))
    visit.enter(address)
    page = visit.page
    expect(visit.row("Read me offline")).to_contain_text("The text is kept here.")  # its text has been fetched
    world.away.stop()
    try:
        page.get_by_role("button", name="Check for new mail").click()
        note = page.locator("#list").get_by_role("alert")
        expect(note).to_contain_text("localhost does not answer.")
        expect(note).to_contain_text("What was fetched before can be read; it is tried again by itself.")
        read = visit.open("Read me offline")
        expect(read).to_contain_text("The text is kept here.")
        read.get_by_role("button", name="Star", exact=True).click()
        expect(visit.row("Read me offline").locator(".flag")).to_be_visible()
    finally:
        world.away.start()
    world.deliver(address, letter("After the storm"))
    page.get_by_role("button", name="Check for new mail").click()
    expect(visit.row("After the storm")).to_have_count(1)
    expect(page.locator("#list").get_by_role("alert")).to_have_count(0)
    expect(visit.row("Read me offline").locator(".flag")).to_be_visible()
    with second_client(world.away, address) as theirs:
        theirs.await_flag("Read me offline", "\\Flagged")
