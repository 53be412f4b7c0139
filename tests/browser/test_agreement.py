"""Two browsers and another mail program on one account: each change, made in any of the three, shows in the others.

How long each took is printed (``-s`` or a failure shows it); only that it happens is asserted."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient


@pytest.fixture
def two(visit_with: Callable[..., Visit], address: str, elsewhere: SecondClient) -> tuple[Visit, Visit]:
    """Both at the inbox of the same account, where four messages are."""
    for age, subject in enumerate(("First", "Second", "Third", "Fourth")):
        elsewhere.append(letter(subject, minutes_ago=age + 1))
    visits = visit_with(viewport={"width": 1280, "height": 800}), visit_with(viewport={"width": 1280, "height": 800})
    for visit in visits:
        visit.enter(address)
        expect(visit.page.locator(".row")).to_have_count(4)
    return visits


def timed(what: str, *looks: Callable[[], None]) -> None:
    began = time.monotonic()
    took = []
    for look in looks:
        look()
        took.append(f"{time.monotonic() - began:.2f}")
    print(f"{what}: {', '.join(took)} s")


def shows(visit: Visit, *subjects: str) -> Callable[[], None]:
    return lambda: expect(visit.page.locator(".row .s")).to_have_text(list(subjects))


def test_what_happens_elsewhere_shows_in_both_browsers(
    two: tuple[Visit, Visit], world: World, address: str, elsewhere: SecondClient
) -> None:
    world.deliver(address, letter("Fifth", to=address))
    everything = ("Fifth", "First", "Second", "Third", "Fourth")
    timed("arrived", *[shows(visit, *everything) for visit in two])
    elsewhere.add_flag("First", "\\Seen")
    timed("read", *[lambda visit=visit: expect(visit.row("First")).to_have_class("row") for visit in two])
    elsewhere.add_flag("Second", "\\Flagged")
    timed(
        "starred", *[lambda visit=visit: expect(visit.row("Second").locator(".flag")).to_be_visible() for visit in two]
    )
    elsewhere.move("Third", "Archive")
    timed("moved", *[shows(visit, "Fifth", "First", "Second", "Fourth") for visit in two])
    elsewhere.remove("Fourth")
    timed("deleted", *[shows(visit, "Fifth", "First", "Second") for visit in two])
    elsewhere.create("Anew")
    elsewhere.subscribe("Anew")
    links = [visit.page.locator("#nav").get_by_role("link", name="Anew", exact=True) for visit in two]
    timed("new folder", *[lambda link=link: expect(link).to_be_visible() for link in links])
    elsewhere.rename("Anew", "Renamed")
    elsewhere.subscribe("Renamed")
    links = [visit.page.locator("#nav").get_by_role("link", name="Renamed", exact=True) for visit in two]
    timed("renamed", *[lambda link=link: expect(link).to_be_visible() for link in links])
    assert [visit.errors for visit in two] == [[], []]


@pytest.mark.parametrize("side", [0, 1], ids=["one", "other"])
def test_what_is_done_in_a_browser_shows_in_the_other_and_elsewhere(
    side: int, two: tuple[Visit, Visit], elsewhere: SecondClient
) -> None:
    here, there = two[side], two[1 - side]

    def press(subject: str, name: str) -> None:
        row = here.row(subject)
        row.hover()
        row.get_by_role("button", name=name, exact=True).click()

    press("First", "Mark read")
    timed(
        "read",
        lambda: expect(there.row("First")).to_have_class("row"),
        lambda: elsewhere.await_flag("First", "\\Seen"),
    )
    read = here.open("Second")
    read.get_by_role("button", name="Star", exact=True).click()
    timed(
        "starred",
        lambda: expect(there.row("Second").locator(".flag")).to_be_visible(),
        lambda: elsewhere.await_flag("Second", "\\Flagged"),
    )
    press("Third", "Archive")
    timed(
        "moved",
        shows(there, "First", "Second", "Fourth"),
        lambda: elsewhere.await_subjects({"First", "Second", "Fourth"}),
        lambda: elsewhere.await_subjects({"Third"}, "Archive"),
    )
    press("Fourth", "Delete")
    timed(
        "deleted",
        shows(there, "First", "Second"),
        lambda: elsewhere.await_subjects({"First", "Second"}),
    )
    page = here.page
    page.goto(f"{here.url}/folders/")
    page.get_by_label("New folder").fill("Anew")
    page.get_by_role("button", name="Create").click()
    theirs = there.page.locator("#nav")
    timed(
        "new folder",
        lambda: expect(theirs.get_by_role("link", name="Anew", exact=True)).to_be_visible(),
        lambda: elsewhere.await_folder("Anew"),
    )
    row = page.locator(".rowlist li", has_text="Anew")
    row.locator("summary").click()
    row.locator("input[name=name]").fill("Renamed")
    row.locator("input[name=name]").press("Enter")
    timed(
        "renamed",
        lambda: expect(theirs.get_by_role("link", name="Renamed", exact=True)).to_be_visible(),
        lambda: elsewhere.await_folder("Renamed"),
    )
    assert [visit.errors for visit in two] == [[], []]
