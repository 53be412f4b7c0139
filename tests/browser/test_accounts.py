"""Several accounts of one person, and what the pages tell of how each of them is."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.app import eventually
from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import second_client
from tests.servers import PASSWORD


def add_account(visit: Visit, address: str, name: str) -> int:
    """One more, by the form; its number."""
    page = visit.page
    page.goto(f"{visit.url}/settings/accounts/creation/")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Mail address").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("#main form").get_by_role("button").last.click()
    page.wait_for_url("**/settings/accounts/*/?saved=1")
    return number_of(visit, address)


def number_of(visit: Visit, address: str) -> int:
    return int(visit.world.app.rows("SELECT id FROM accounts_account WHERE address = ?", address)[0]["id"])


def test_imap_and_pop3_stand_in_one_inbox_each_in_its_colour(
    visit: Visit, world: World, new_address: Callable[[str], str]
) -> None:
    imap, pop = new_address("imap.test"), new_address("pop.test")
    world.deliver(pop, letter("By POP3", to=pop, minutes_ago=2))
    with second_client(world.dovecot, imap) as client:
        client.append(letter("By IMAP", to=imap, minutes_ago=1))
        client.append(letter("Sent by IMAP", sender=imap, to="kari@example.org"), "Sent")
        client.append(letter("Draft of another program", sender=imap, to="kari@example.org"), "Drafts", "\\Draft")
    visit.enter(imap)
    page = visit.page
    nav = page.locator("#nav")
    expect(nav.get_by_role("link", name="Sent", exact=True)).to_have_count(1)  # one account: no folder twice
    second = add_account(visit, pop, "Old one")
    page.goto(f"{visit.url}/")
    expect(page.locator(".row .s")).to_have_text(["By IMAP", "By POP3"])
    assert [row.get_attribute("data-acc") for row in page.locator(".row").all()] == ["1", "2"]
    expect(nav.locator(".acct")).to_have_count(2)

    # What is written at the other account's folder is from it.
    visit.send_at_once()
    nav.locator(".acct", has_text="Old one").get_by_role("link", name="Inbox").click()
    expect(page).to_have_url(re.compile("/folders/"))
    window = visit.new_message()
    expect(window.locator("[name=identity] option:checked")).to_have_text(pop)
    page.get_by_label("To", exact=True).fill("kari@example.org")
    page.get_by_label("Subject").fill("Draft of ours")
    window.get_by_role("button", name="Close and keep the draft").click()
    expect(window).to_have_count(0)
    page.goto(f"{visit.url}/drafts/")
    expect(page.locator(".row .s")).to_have_text(["Draft of ours", "Draft of another program"])
    assert [row.get_attribute("data-acc") for row in page.locator(".row").all()] == ["2", "1"]
    visit.row("Draft of ours").locator("a.subj").click()
    page.get_by_label("Subject").fill("Sent by POP3")
    visit.press_send()

    nav.get_by_role("link", name="Sent").first.click()
    expect(page.locator(".list-head h1")).to_have_text("Sent")
    expect(page.locator(".row .s")).to_have_text(["Sent by POP3", "Sent by IMAP"])
    expect(page.locator(".row .from").first).to_have_text("kari@example.org")
    visit.open("Sent by IMAP")
    expect(page.locator("#read")).to_contain_text("Hello.")

    page.goto(f"{visit.url}/settings/accounts/{second}/")
    page.get_by_label("Moss").check()
    page.get_by_label("Write from this account unless said otherwise").check()
    page.get_by_role("button", name="Save and check").click()
    page.wait_for_url("**/?saved=1")
    page.goto(f"{visit.url}/compose/")
    expect(page.locator("[name=identity] option:checked")).to_have_text(pop)
    page.goto(f"{visit.url}/")
    expect(visit.row("By POP3")).to_have_attribute("data-acc", "3")
    assert visit.errors == []


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_paused_account_fetches_nothing_until_it_is_resumed(
    script: bool, visit_with: Callable[..., Visit], world: World, address: str
) -> None:
    visit = visit_with(java_script_enabled=script)
    world.deliver(address, letter("Before", to=address, minutes_ago=5))
    visit.enter(address)
    page, number = visit.page, number_of(visit, address)
    eventually(
        lambda: world.app.rows("SELECT synced_at FROM accounts_account WHERE id = ?", number)[0]["synced_at"], "a sync"
    )
    page.goto(f"{visit.url}/settings/accounts/{number}/")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".state-line")).to_contain_text("Paused")
    world.deliver(address, letter("Meanwhile", to=address))
    page.goto(f"{visit.url}/")
    expect(page.locator(".note.paused")).to_contain_text(f"{address} is paused")
    expect(page.locator("#nav .acct .sign")).to_have_text("Paused")
    page.get_by_role("button", name="Check for new mail").click()
    page.goto(f"{visit.url}/")
    expect(page.locator(".row .s")).to_have_text(["Before"])
    page.locator(".note.paused").get_by_role("button", name="Resume").click()
    expect(page.locator("#toast")).to_contain_text(f"{address} goes on.")
    expect(page.locator(".note.paused")).to_have_count(0)

    def there() -> bool:
        if not script:
            page.reload()
        return visit.row("Meanwhile").count() > 0

    eventually(there, "what came meanwhile")
    assert visit.errors == []


def test_the_state_page_shows_a_server_that_fails_and_one_that_is_mended(
    visit: Visit, world: World, new_address: Callable[[str], str]
) -> None:
    address = new_address("away.test")
    world.deliver(address, letter("Kept here", to=address))
    visit.enter(address)
    page, number = visit.page, number_of(visit, address)
    expect(visit.row("Kept here")).to_be_visible()
    state = f"{visit.url}/settings/accounts/{number}/state/"
    page.goto(state)
    expect(page.locator("table.facts tbody tr", has_text="Inbox").locator("td").first).to_have_text("1")
    world.away.stop()
    try:
        hold_back(page)
        page.evaluate(NOTE_WHAT_A_PRESSED_BUTTON_SAYS)
        page.get_by_role("button", name="Check the connection").click()
        expect(page.locator("#connection .steps")).to_have_count(2)
        assert page.evaluate("sessionStorage.pressed") == "Trying each step… true"
        expect(page.locator("#connection .fail b")).to_contain_text(f"Port {world.away.imap_port} does not answer")
        expect(page.locator("#connection .fail p")).to_contain_text("nothing listens on port")
        expect(page.locator("#connection .wait")).to_have_count(3)
        look_now(page)
        eventually(
            lambda: world.app.rows("SELECT trouble FROM accounts_account WHERE id = ?", number)[0]["trouble"], "trouble"
        )
        page.goto(f"{visit.url}/")
        expect(page.locator("#nav .acct .sign")).to_have_text("Unreachable")
    finally:
        world.away.start()
    page.goto(state)
    page.get_by_role("button", name="Check the connection").click()
    expect(page.locator("#connection .ok")).to_have_count(10)
    expect(page.locator("#connection .fail")).to_have_count(0)
    look_now(page)
    eventually(lambda: reloaded(page).locator(".state-line", has_text="In order").count(), "the account in order")
    assert visit.errors == []


NOTE_WHAT_A_PRESSED_BUTTON_SAYS = """addEventListener("submit", (event) => setTimeout(() => {
  sessionStorage.pressed = `${event.submitter.textContent} ${event.submitter.disabled}`;
}, 50))"""


def hold_back(page: Page) -> None:
    """The next check is answered only when the page has had the time to say that it is under way."""

    def later(route: object) -> None:
        page.wait_for_timeout(500)
        route.continue_()  # type: ignore[attr-defined]

    page.route("**/state/", later, times=1)


def look_now(page: Page) -> None:
    page.get_by_role("button", name="Look for changes now").click()
    expect(page.locator("#toast")).to_contain_text("Looking for changes in")


def reloaded(page: Page) -> Page:
    page.reload()
    return page


def test_the_first_fetch_tells_how_far_it_is_without_asking_the_server(
    visit: Visit, world: World, address: str
) -> None:
    world.deliver(address, letter("One", to=address))
    visit.enter(address)
    page, number = visit.page, number_of(visit, address)
    expect(visit.row("One")).to_be_visible()
    page.set_viewport_size({"width": 1000, "height": 800})
    world.app.end_program("worker")  # so that nobody tells of what is really fetched
    try:
        count_on(visit, world, number)
    finally:
        world.app.start_worker()
    assert visit.errors == []


def count_on(visit: Visit, world: World, number: int) -> None:
    page = visit.page
    world.app.change(
        "UPDATE accounts_account SET sync_done = 1200, sync_total = 52310, sync_rate = 400 WHERE id = ?", number
    )
    publish(world, number, done=1200, rate=400)  # a page of before is right until something is told
    page.reload()
    strip = page.locator("#list .sync-strip")
    expect(strip).to_contain_text("1,200 of 52,310")
    expect(strip).to_contain_text("400 a second · 2 min left")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    publish(world, number, done=1500, rate=10)
    expect(strip).to_contain_text("1,500 of 52,310")
    expect(strip).to_contain_text("10 a second · 85 min left")
    expect(strip.locator("progress")).to_have_attribute("value", "1500")
    expect(page.locator(".fetching [data-counted]")).to_have_text("1,500 of 52,310")
    assert asked == []


def publish(world: World, account: int, done: int, rate: int) -> None:
    """As the process that fetches does."""
    user = world.app.rows("SELECT user_id FROM accounts_account WHERE id = ?", account)[0]["user_id"]
    code = f"from webmail import events; events.publish({user}, 'progress', account={account}, done={done}, total=52310, rate={rate})"
    world.app.manage("shell", "--verbosity", "0", "--command", code)


def test_a_long_action_counts_in_its_notice_and_can_be_undone_meanwhile(
    visit: Visit, world: World, address: str
) -> None:
    world.deliver(address, letter("One", to=address))
    visit.enter(address)
    page = visit.page
    visit.row("One").locator(".pick").check(force=True)
    page.locator(".pick-bar").get_by_role("button", name="Archive").click()
    toast = page.locator("#toast .toast")
    expect(toast).to_contain_text("Archived 1 message.")
    batch = toast.locator("form").get_attribute("action").split("/")[2]
    user = world.app.rows("SELECT user_id FROM accounts_account WHERE address = ?", address)[0]["user_id"]
    for done, total, said in (
        (1000, 0, "1,000 so far"), (1500, 52310, "1,500 of 52,310"), (52310, 52310, "52,310 of 52,310"),
    ):  # fmt: skip
        told = f"batch='{batch}', done={done}, total={total}, over={done == total}, what='move'"
        code = f"from webmail import events; events.publish({user}, 'operation', {told})"
        world.app.manage("shell", "--verbosity", "0", "--command", code)
        expect(toast.locator("[data-going]")).to_have_text(said)
        expect(toast).to_have_class("toast" if done == total else "toast going")
    visit.undo()
    expect(visit.row("One")).to_be_visible()
    assert visit.errors == []
