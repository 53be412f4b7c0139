"""What one does to messages and folders; each step is there on the server, each Undo takes it back there."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.letters import letter
from tests.second_client import SecondClient


def test_star_archive_delete_and_move_reach_the_server_and_so_does_their_undo(
    visit: Visit, address: str, elsewhere: SecondClient
) -> None:
    elsewhere.create("Projects")
    for age, subject in enumerate(("Starring", "Archiving", "Deleting", "Moving")):
        elsewhere.append(letter(subject, minutes_ago=age))
    visit.enter(address)
    page = visit.page

    read = visit.open("Starring")
    read.get_by_role("button", name="Star", exact=True).click()
    elsewhere.await_flag("Starring", "\\Flagged")
    expect(visit.row("Starring").locator(".flag")).to_be_visible()
    visit.undo()
    elsewhere.await_flag("Starring", "\\Flagged", there=False)

    everything = {"Starring", "Archiving", "Deleting", "Moving"}
    for subject, button, folder in (("Archiving", "Archive", "Archive"), ("Deleting", "Delete", "Trash")):
        visit.open(subject).get_by_role("button", name=button, exact=True).click()
        expect(visit.row(subject)).to_have_count(0)
        elsewhere.await_subjects({subject}, folder)
        elsewhere.await_subjects(everything - {subject})
        visit.undo()
        expect(visit.row(subject)).to_have_count(1)
        elsewhere.await_subjects(set(), folder)
        elsewhere.await_subjects(everything)

    read = visit.open("Moving")
    read.get_by_label("Move or copy").click()
    read.get_by_label("Folder").select_option("Projects")
    read.get_by_role("button", name="Move", exact=True).click()
    expect(visit.row("Moving")).to_have_count(0)
    elsewhere.await_subjects({"Moving"}, "Projects")
    visit.undo()
    expect(visit.row("Moving")).to_have_count(1)
    elsewhere.await_subjects(set(), "Projects")
    elsewhere.await_subjects(everything)
    assert page.url.startswith(visit.url)
    assert visit.errors == []


def test_ticked_rows_are_acted_on_together(visit: Visit, address: str, elsewhere: SecondClient) -> None:
    for age, subject in enumerate(("One", "Two", "Three")):
        elsewhere.append(letter(subject, minutes_ago=age))
    visit.enter(address)
    page = visit.page
    for subject in ("One", "Three"):
        visit.row(subject).locator(".pick").check(force=True)
    expect(page.locator(".picked")).to_have_text("2 selected")
    page.locator(".pick-bar").get_by_role("button", name="Archive").click()
    expect(page.locator(".row .s")).to_have_text(["Two"])
    expect(page.locator("#toast")).to_contain_text("Archived 2 messages.")
    elsewhere.await_subjects({"One", "Three"}, "Archive")
    visit.undo()
    expect(page.locator(".row .s")).to_have_text(["One", "Two", "Three"])
    elsewhere.await_subjects({"One", "Two", "Three"})


def test_a_folder_is_made_renamed_and_deleted_on_the_server_too(
    visit: Visit, address: str, elsewhere: SecondClient
) -> None:
    visit.enter(address)
    page = visit.page
    page.get_by_role("link", name="Manage folders").click()
    page.get_by_label("New folder").fill("Reiser & sånt")
    page.get_by_role("button", name="Create").click()
    box = page.locator(".rowlist li", has_text="Reiser & sånt")
    expect(box).to_have_count(1)
    _await_folder(elsewhere, "Reiser &- s&AOU-nt")

    box.get_by_text("Rename or move").click()
    box.get_by_label("Name").fill("Turer")
    box.get_by_role("button", name="Save").click()
    expect(page.locator("#toast")).to_contain_text("The folder is now “Turer”.")
    _await_folder(elsewhere, "Turer")
    _await_folder(elsewhere, "Reiser &- s&AOU-nt", there=False)
    visit.undo()
    _await_folder(elsewhere, "Reiser &- s&AOU-nt")

    page.goto(f"{visit.url}/folders/")
    page.locator(".rowlist li", has_text="Reiser & sånt").get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete folder").click()
    expect(page.locator(".rowlist li", has_text="Reiser & sånt")).to_have_count(0)
    visit.undo()
    expect(page.get_by_role("link", name=re.compile("Reiser & sånt")).first).to_be_visible()

    page.goto(f"{visit.url}/folders/")
    page.locator(".rowlist li", has_text="Reiser & sånt").get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete folder").click()
    _await_folder(elsewhere, "Reiser &- s&AOU-nt", there=False)
    assert visit.errors == []


def _await_folder(elsewhere: SecondClient, name: str, there: bool = True) -> None:
    from tests.app import eventually

    eventually(lambda: (name in elsewhere.folders()) == there, f"folder {name!r}: {there}, of {elsewhere.folders()}")
