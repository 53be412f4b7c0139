"""Words are found in an opened message and its conversation: marked, counted, gone through."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient

MARKED = """() => [window, ...[...document.querySelectorAll("#read .frame iframe")].map((frame) => frame.contentWindow)].flatMap((view) =>
  [...(view.CSS.highlights.get("%s") ?? [])].map((range) => range.toString()))"""


def marked(page: Page, name: str = "hit") -> list[str]:
    found: list[str] = page.evaluate(MARKED % name)
    return found


@pytest.fixture
def opened(visit: Visit, world: World, address: str, elsewhere: SecondClient) -> Page:
    """A conversation of two messages that have the words, opened from a search for them."""
    page = "<p>Vi tar <b>tak</b>et først, så <i>TAKST</i>.<br>tak</p>"
    first = letter("Befaring", "Se siden.", html=page, headers={"Message-ID": "<one@test>"}, minutes_ago=9)
    answers = {"In-Reply-To": "<one@test>", "References": "<one@test>"}
    second = letter("Re: Befaring", "Greit! Sjekk takstein også.", headers=answers, minutes_ago=3)
    elsewhere.append(first)
    elsewhere.append(second)
    visit.enter(address)
    expect(visit.page.locator(".row")).to_have_count(1)
    world.app.indexed(address, 2)
    shown = visit.page
    shown.goto(f"{visit.url}/search/?q=tak")
    shown.locator(".row a.subj").click()
    expect(shown.locator("#finding [role=status]")).to_have_text("4")
    return shown


def test_what_was_searched_for_is_marked_in_all_messages_of_the_conversation(opened: Page) -> None:
    assert sorted(marked(opened)) == ["TAKST", "tak", "taket", "takstein"]


def test_hits_are_gone_through_by_key_and_round_the_end(opened: Page) -> None:
    output = opened.locator("#finding [role=status]")
    for number in ("1 of 4", "2 of 4", "3 of 4", "4 of 4", "1 of 4"):
        opened.keyboard.press("n")
        expect(output).to_have_text(number)
    assert marked(opened, "hit-here") == ["taket"]
    opened.keyboard.press("b")
    expect(output).to_have_text("4 of 4")


def test_other_words_can_be_looked_for_and_are_let_go_of(opened: Page) -> None:
    box = opened.locator("#finding").get_by_role("searchbox")
    box.fill('"så takst"')
    expect(opened.locator("#finding [role=status]")).to_have_text("1")
    assert marked(opened) == ["så TAKST"]
    box.fill("xyz")
    expect(opened.locator("#finding [role=status]")).to_have_text("None")
    box.press("Escape")
    expect(opened.locator("#finding")).to_be_hidden()
    assert marked(opened) == []
    opened.keyboard.press("h")
    expect(box).to_be_focused()


SCRIPTS = {
    "हिन्दी": "यह हिन्दी है।",
    "がくせい": "わたしはがくせいです。",
    "한국": "이것은 한국어로 썼다.",
    "தமிழ்": "இது தமிழ் தான்.",
}


def test_words_are_marked_in_scripts_whose_marks_are_letters(
    visit: Visit, world: World, address: str, elsewhere: SecondClient
) -> None:
    elsewhere.append(letter("Skrift", "\n\n".join(SCRIPTS.values())))
    visit.enter(address)
    world.app.indexed(address, 1)
    for word in SCRIPTS:
        visit.page.goto(f"{visit.url}/search/?q={word}")
        visit.page.locator(".row a.subj").click()
        expect(visit.page.locator("#finding [role=status]")).to_have_text("1")
        assert marked(visit.page) == [word]
