"""A search of what only the mail server has, while the server takes its time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from tests.app import eventually
from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient, second_client


@pytest.fixture
def slow_address(new_address: Callable[[str], str]) -> str:
    return new_address("slow.test")


@pytest.fixture
def far(world: World, slow_address: str) -> Iterator[SecondClient]:
    """The same mailbox over a line that is never held."""
    with second_client(world.dovecot, slow_address) as client:
        yield client
    world.slow.let_go()


@pytest.fixture
def headers_only(world: World, slow_address: str, far: SecondClient) -> Callable[[Visit], None]:
    """Sign in to an account that keeps no text, with mail in two folders."""

    def enter(visit: Visit) -> None:
        visit.enter(slow_address)
        synced = "SELECT 1 FROM accounts_account WHERE address = ? AND synced_at IS NOT NULL AND sync_holder = ''"
        eventually(lambda: world.app.rows(synced, slow_address), "the first sync done")  # that fetches text still
        world.app.change("UPDATE accounts_account SET keep = 'headers' WHERE address = ?", slow_address)
        far.append(letter("Hilsen", "Vi ses ved gesimsen.", minutes_ago=3))
        far.append(letter("Gesims", "Ingenting.", minutes_ago=2))
        far.append(letter("Svar", "Gesimsen er malt.", minutes_ago=1), "Sent")
        world.app.change(
            "UPDATE accounts_account SET sync_due_at = '2020-01-01 00:00:00' WHERE address = ?", slow_address
        )
        world.app.sweep()
        query = (
            "SELECT COUNT(*) AS n FROM webmail_message m JOIN accounts_account a ON a.id = m.account_id"
            " WHERE a.address = ? AND m.index_due = 0"
        )
        eventually(lambda: world.app.rows(query, slow_address)[0]["n"] == 3, "three messages")

    return enter


def test_what_a_slow_server_finds_comes_in_while_it_is_asked(
    visit: Visit, world: World, headers_only: Callable[[Visit], None]
) -> None:
    headers_only(visit)
    page = visit.page
    page.goto(f"{visit.url}/search/")
    world.slow.hold(b"UID SORT", times=1)
    visit.search_box.fill("gesims")
    here = page.locator("#list-scroll > .rows .s")
    there = page.locator(".from-servers .row .s")
    expect(here).to_have_text(["Gesims"])
    asking = page.locator("#asking")
    expect(asking).to_contain_text("Searching on the server: Sent… 1 of 2 folders")
    expect(there).to_have_text(["Hilsen"])
    page.locator(".from-servers .pick").check()
    world.slow.let_go()
    expect(there).to_have_text(["Svar", "Hilsen"])
    expect(asking).to_contain_text("Also asked on the server: Inbox, Sent.")
    expect(page.locator(".row:has(.pick:checked) .s")).to_have_text(["Hilsen"])
    page.get_by_role("toolbar").get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("#toast")).to_contain_text("Archive")


def test_a_search_on_the_server_is_stopped_and_taken_up_again(
    visit: Visit, world: World, headers_only: Callable[[Visit], None]
) -> None:
    headers_only(visit)
    page = visit.page
    world.slow.hold(b"UID SORT", times=1)
    page.goto(f"{visit.url}/search/?q=malt")
    asking = page.locator("#asking")
    expect(page.locator(".blank h2")).to_have_text("Nothing found so far")
    expect(asking).to_contain_text("Searching on the server: Sent…")
    asking.get_by_role("button", name="Stop").click()
    expect(asking).to_contain_text("The search on the server was stopped. Not asked: Sent.")
    expect(page.locator(".blank h2")).to_have_text("Nothing found so far")
    world.slow.let_go()
    asking.get_by_role("button").click()
    expect(page.locator(".from-servers .row .s")).to_have_text(["Svar"])


def test_servers_are_asked_without_javascript(
    visit_with: Callable[..., Visit], world: World, headers_only: Callable[[Visit], None]
) -> None:
    visit = visit_with(java_script_enabled=False)
    headers_only(visit)
    page = visit.page
    world.slow.hold(b"UID SORT", times=1)
    page.goto(f"{visit.url}/search/?q=gesimsen")
    page.get_by_role("button", name="Search on the server").click()
    asking = page.locator("#asking")
    expect(asking).to_contain_text("Searching on the server:")
    world.slow.let_go()
    query = "SELECT COUNT(*) AS n FROM webmail_serversearch WHERE state = 'done' AND text = 'gesimsen'"
    eventually(lambda: world.app.rows(query)[0]["n"], "all folders asked")
    asking.get_by_role("link", name="Show what has come").click()
    expect(page.locator(".from-servers .row .s")).to_have_text(["Svar", "Hilsen"])
    expect(asking).to_contain_text("Also asked on the server: Inbox, Sent.")
