"""The address book in a browser: from a file to groups, merged, written to; with script and without."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.browser.test_accessibility import violations

CARDS = """BEGIN:VCARD
VERSION:4.0
FN:Kari Nordmann
ORG:Fjord AS
EMAIL;TYPE=work:kari@example.org
TEL:+47 22 33 44 55
CATEGORIES:Koret
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Nordmann\\, Kari
EMAIL:kari@hjemme.example
NOTE:Alt
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Ola Hansen
EMAIL:ola@example.org
END:VCARD
"""


def look_well(page: Page, script: bool) -> None:
    """Nothing hinders anybody, and nothing is wider than the window."""
    if script:
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("script", "width"), [(True, 1280), (True, 390), (False, 1280)], ids=["with script", "on a phone", "without script"]
)
def test_a_book_is_filled_from_a_file_put_in_order_and_written_to(
    visit_with: Callable[..., Visit], address: str, tmp_path: Path, script: bool, width: int
) -> None:
    (tmp_path / "book.vcf").write_text(CARDS)
    visit = visit_with(java_script_enabled=script, viewport={"width": width, "height": 800})
    visit.enter(address)
    page = visit.page
    page.goto(f"{visit.url}/contacts/import/")
    look_well(page, script)
    page.get_by_label("A file of contacts").set_input_files(tmp_path / "book.vcf")
    page.get_by_role("button", name="Look at the file").click()
    expect(page.locator(".counts")).to_contain_text("3 new")
    look_well(page, script)
    page.get_by_role("button", name="Import 3 contacts").click()
    expect(page.locator("#toast")).to_contain_text("3 new contacts.")
    expect(page.locator(".rowlist li")).to_have_count(3)
    look_well(page, script)

    page.get_by_label("Name of the group").fill("Styret")
    page.get_by_role("button", name="Make a group").click()
    look_well(page, script)
    page.get_by_role("link", name="All", exact=True).click()
    page.get_by_label("Select Ola Hansen").check()
    page.get_by_label("Select Kari Nordmann").check()
    look_well(page, script)
    page.locator("select[name=to]").select_option(label="Styret")
    page.get_by_role("button", name="Put in").click()
    page.get_by_role("link", name="Styret", exact=True).click()
    expect(page.locator(".rowlist li")).to_have_count(2)
    look_well(page, script)

    page.get_by_role("link", name="All", exact=True).click()
    page.get_by_role("link", name="Doubles").click()
    expect(page.locator(".twins")).to_have_count(1)
    look_well(page, script)
    page.get_by_role("button", name="Merge").click()
    expect(page.get_by_role("heading", name="No doubles")).to_be_visible()
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.locator(".twins")).to_have_count(1)

    for path in ("/contacts/books/", "/contacts/correspondents/"):
        page.goto(f"{visit.url}{path}")
        look_well(page, script)
    page.goto(f"{visit.url}/contacts/")
    page.get_by_role("link", name="Styret", exact=True).click()
    page.get_by_role("link", name="Write to all").click()
    if not script or width < 720:
        page.wait_for_url("**/compose/**")
    expect(page.locator("form input[name=to]")).to_have_value(re.compile("ola@example.org"))
