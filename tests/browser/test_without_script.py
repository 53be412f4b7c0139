"""The same without JavaScript: every control is a link or a form."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from tests.browser.conftest import Visit, World
from tests.letters import letter
from tests.second_client import SecondClient, second_client


def test_reading_acting_and_writing_work_without_javascript(
    visit_with: Callable[..., Visit],
    world: World,
    address: str,
    elsewhere: SecondClient,
    new_address: Callable[[str], str],
    tmp_path: Path,
) -> None:
    friend = new_address("imap.test")
    octets = os.urandom(50_000)
    (tmp_path / "tall.bin").write_bytes(octets)
    elsewhere.append(
        letter("With a file", "See it.", files={"tall.bin": ("application/x-tall", octets)}, minutes_ago=3)
    )
    elsewhere.append(letter("A newsletter", "text", html="<p>Rich <i>text</i></p>", minutes_ago=2))
    elsewhere.append(letter("On top", minutes_ago=1))
    visit = visit_with(java_script_enabled=False, viewport={"width": 1280, "height": 800})
    visit.enter(address)
    page = visit.page
    expect(page.locator(".row .s")).to_have_text(["On top", "A newsletter", "With a file"])

    expect(visit.open("A newsletter").locator("iframe").content_frame.locator("i")).to_have_text("text")
    read = visit.open("With a file")
    with page.expect_download() as download:
        read.get_by_role("link", name="tall.bin", exact=True).click()
    assert download.value.path().read_bytes() == octets

    read.get_by_role("button", name="Star", exact=True).click()
    elsewhere.await_flag("With a file", "\\Flagged")
    visit.undo()
    elsewhere.await_flag("With a file", "\\Flagged", there=False)
    visit.open("With a file").get_by_role("button", name="Archive", exact=True).click()
    expect(visit.row("With a file")).to_have_count(0)
    elsewhere.await_subjects({"With a file"}, "Archive")
    visit.undo()
    expect(visit.row("With a file")).to_have_count(1)
    elsewhere.await_subjects({"On top", "A newsletter", "With a file"})

    page.goto(f"{visit.url}/folders/")
    page.get_by_label("New folder").fill("Plain")
    page.get_by_role("button", name="Create").click()
    page.goto(f"{visit.url}/")
    read = visit.open("On top")
    read.get_by_label("Move or copy").click()
    read.get_by_label("Folder").select_option("Plain")
    read.get_by_role("button", name="Move", exact=True).click()
    elsewhere.await_subjects({"On top"}, "Plain")

    visit.send_at_once()
    visit.write(friend, "By hand", "No script was needed.")
    page.locator("#files").set_input_files(tmp_path / "tall.bin")
    page.get_by_role("button", name="Upload").click()
    expect(page.locator(".files")).to_contain_text("tall.bin")
    expect(page.locator("textarea#text")).to_have_value("No script was needed.")
    visit.press_send()
    with second_client(world.dovecot, friend) as theirs:
        arrived = theirs.await_message("By hand")
    (attachment,) = arrived.iter_attachments()
    assert attachment.get_content() == octets
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
