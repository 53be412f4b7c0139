"""An open page shows by itself what happened elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from tests.app import eventually
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


# Keeps what the page shows as notifications, and shows them as ever.
_OBSERVER = """
window.shown = [];
const Real = window.Notification;
window.Notification = class extends Real {
  constructor(title, options) { super(title, options); window.shown.push({ title, ...options }); }
};
Object.defineProperty(document, "visibilityState", { get: () => window.outOfSight ? "hidden" : "visible" });
"""


def _ask_for_notifications(visit: Visit) -> None:
    visit.page.goto(f"{visit.url}/settings/")
    visit.page.get_by_label("Notify me of new mail").check()
    visit.page.get_by_role("button", name="Save").click()
    expect(visit.page).to_have_url(f"{visit.url}/settings/?saved=1")


def test_the_title_counts_what_is_unread_and_a_notification_names_who_wrote(
    visit_with: Callable[..., Visit], world: World, address: str
) -> None:
    visit = visit_with(permissions=["notifications"])
    visit.context.add_init_script(_OBSERVER)
    visit.enter(address)
    _ask_for_notifications(visit)
    expect(visit.page.locator("#notify-denied")).to_be_hidden()
    visit.page.goto(f"{visit.url}/")
    expect(visit.page).to_have_title("Inbox · Postkasse")

    world.deliver(address, letter("Seen as it comes", to=address))
    expect(visit.page).to_have_title("(1) Inbox · Postkasse")
    assert visit.page.evaluate("shown") == [], "the page is in sight"

    visit.page.evaluate("outOfSight = true; localStorage.removeItem('looking-at-mail')")
    world.deliver(address, letter("Out of sight", to=address, sender="Kari Nordmann <kari@example.org>"))
    expect(visit.page).to_have_title("(2) Inbox · Postkasse")
    (shown,) = eventually(lambda: visit.page.evaluate("shown"), "a notification")
    assert (shown["title"], shown["body"], shown["silent"]) == ("Kari Nordmann", "Out of sight", True)
    assert shown["tag"].startswith("postkasse-")
    assert visit.errors == []


def test_away_from_the_inbox_a_notification_says_no_more_than_that_mail_came(
    visit_with: Callable[..., Visit], world: World, address: str
) -> None:
    visit = visit_with(permissions=["notifications"])
    visit.context.add_init_script(_OBSERVER)
    visit.enter(address)
    _ask_for_notifications(visit)
    visit.page.goto(f"{visit.url}/starred/")
    visit.page.evaluate("outOfSight = true; localStorage.removeItem('looking-at-mail')")
    world.deliver(address, letter("Not to be named", to=address))
    (shown,) = eventually(lambda: visit.page.evaluate("shown"), "a notification")
    assert (shown["title"], shown["body"]) == ("New mail", "")


def test_who_did_not_ask_for_notifications_gets_none(
    visit_with: Callable[..., Visit], world: World, address: str
) -> None:
    visit = visit_with(permissions=["notifications"])
    visit.context.add_init_script(_OBSERVER)
    visit.enter(address)
    visit.page.evaluate("outOfSight = true; localStorage.removeItem('looking-at-mail')")
    world.deliver(address, letter("Quietly", to=address))
    expect(visit.row("Quietly")).to_have_count(1)
    expect(visit.page).to_have_title("(1) Inbox · Postkasse")
    assert visit.page.evaluate("shown") == []


def test_a_browser_that_denies_notifications_is_told_about(visit: Visit, address: str) -> None:
    visit.enter(address)
    visit.page.goto(f"{visit.url}/settings/")
    box = visit.page.get_by_label("Notify me of new mail")
    expect(visit.page.locator("#notify-denied")).to_be_hidden()
    box.check()
    expect(visit.page.locator("#notify-denied")).to_be_visible()
    box.uncheck()
    expect(visit.page.locator("#notify-denied")).to_be_hidden()
