"""What stands around a message, in a browser: an invitation answered, a card kept, a page for paper, with and without script."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable

import icalendar
import pytest
from playwright.sync_api import expect

from tests.app import eventually
from tests.browser.conftest import Visit
from tests.browser.test_accessibility import violations
from tests.letters import letter
from tests.second_client import SecondClient
from tests.views.test_contacts import CARD
from tests.views.test_invitation import calendar, invite


@pytest.mark.parametrize("script", [True, False], ids=["with script", "without"])
def test_an_invitation_is_answered_and_a_card_kept(
    visit_with: Callable[..., Visit], address: str, elsewhere: SecondClient, script: bool
) -> None:
    elsewhere.append(
        invite("Inv", calendar(address, "DESCRIPTION:Agenda", "RRULE:FREQ=WEEKLY;BYDAY=TU"), minutes_ago=1)
    )
    elsewhere.append(letter("Card", files={"kari.vcf": ("text/vcard", CARD.encode())}, minutes_ago=2))
    visit = visit_with(java_script_enabled=script, viewport={"width": 1280, "height": 900})
    visit.enter(address)
    visit.world.app.change("UPDATE accounts_user SET undo_send = 0 WHERE address = ?", address)
    read = visit.open("Inv")
    expect(read.locator(".invite")).to_contain_text("every week on Tuesday")
    if script:
        assert violations(visit.page) == []
    read.get_by_role("button", name="Accept").click()
    expect(visit.page.locator("#read .invite")).to_contain_text("You have accepted.")
    received = eventually(
        lambda: [one for one in visit.world.smtp.received if one.recipients == ["kari@example.org"]], "the answer"
    )
    message = email.message_from_bytes(received[0].raw, policy=email.policy.default)
    _text, reply = message.iter_parts()
    (event,) = icalendar.Calendar.from_ical(reply.get_content()).walk("VEVENT")
    assert event["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"

    read = visit.open("Card")
    if script:
        assert violations(visit.page) == []
    read.get_by_role("button", name="Add to contacts").last.click()
    visit.page.locator("#read").get_by_role("link", name="In your contacts").click()
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Kari <b>Nordmann</b>")
    if script:
        assert violations(visit.page) == []


def test_a_message_is_printed_and_its_headers_and_the_keys_are_a_page_each(
    visit_with: Callable[..., Visit], address: str, elsewhere: SecondClient
) -> None:
    elsewhere.append(letter("Rich", "text", html="<p>Hello <a href='https://a.example/x'>there</a></p>", minutes_ago=1))
    visit = visit_with(viewport={"width": 1280, "height": 900})
    visit.enter(address)
    read = visit.open("Rich")
    page = visit.page
    href = read.locator("a[data-print]").first.get_attribute("href")
    expect(read.locator("a[data-print][data-key=p]")).to_be_visible()
    page.goto(f"{visit.url}{href}")
    page.emulate_media(media="print")
    expect(page.locator(".bar")).to_be_hidden()
    page.emulate_media(media="screen")
    paths = [str(href).replace("print", "headers"), "/keys/", "/contacts/", "/contacts/creation/"]
    faults: dict[str, list[str]] = {}
    for path in paths:
        page.goto(f"{visit.url}{path}")
        faults[path] = violations(page)
    assert not any(faults.values()), faults
    page.goto(f"{visit.url}/")
    page.keyboard.press("?")
    expect(page.get_by_role("heading", level=1)).to_have_text("Keyboard")


SEE_PRINTING = """() => { const open = window.open;
  window.open = (...given) => { const paper = open(...given);
    paper.addEventListener("beforeprint", () => { document.body.dataset.printed = paper.location.pathname }); return paper } }"""


def test_the_dialogue_of_printing_opens_by_itself_and_addresses_are_copied(
    visit: Visit, address: str, elsewhere: SecondClient
) -> None:
    elsewhere.append(letter("On paper", html="<p>What it says.</p>", sender="Ola <ola@example.org>"))
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.enter(address)
    page = visit.page
    read = visit.open("On paper")
    read.locator("details.to summary").first.click()
    read.get_by_role("button", name="Copy ola@example.org").click()
    expect(page.locator("#toast")).to_contain_text("Address copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "ola@example.org"
    page.evaluate(SEE_PRINTING)
    with page.context.expect_page() as paper:
        page.keyboard.press("p")
    expect(page.locator("body")).to_have_attribute(
        "data-printed", paper.value.url.removeprefix(visit.url).split("?")[0]
    )
    paper.value.close()
    assert visit.errors == []
