"""What axe-core can tell of WCAG 2.2 AA, on every kind of page, light and dark, wide and narrow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import Visit
from tests.letters import letter
from tests.second_client import SecondClient

RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


def violations(page: Page, within: str | None = None) -> list[str]:
    """Each with one element concerned; ``within`` is a selector, for what lies over a page that may still change."""
    found: list[dict[str, Any]] = Axe().run(page, context=within, options=RULES).response["violations"]
    return [f"{v['id']}: {v['help']}: {v['nodes'][0]['html'][:200]}" for v in found]


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")], ids=["wide", "dark", "phone"]
)
def test_pages_have_no_fault_that_axe_finds(
    visit_with: Callable[..., Visit], address: str, elsewhere: SecondClient, width: int, scheme: str
) -> None:
    elsewhere.append(letter("Plain", "Hello\n> quoted\n", minutes_ago=2, files={"a.pdf": ("application/pdf", b"%PDF")}))
    elsewhere.append(letter("Rich", "text", html="<p>Hello</p><img src='https://x.invalid/a.png'>", minutes_ago=1))
    visit = visit_with(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = visit.page
    faults: dict[str, list[str]] = {}
    page.goto(f"{visit.url}/sign-in/")
    faults["sign-in"] = violations(page)
    visit.sign_in(address, "wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    faults["refused"] = violations(page)
    visit.enter(address)
    expect(visit.row("Plain")).to_be_visible()
    faults["inbox"] = violations(page)
    hrefs = [visit.row(subject).locator("a.subj").get_attribute("href") for subject in ("Plain", "Rich")]
    paths = [*hrefs, "/compose/", "/settings/", "/folders/", "/outbox/", "/drafts/", "/search/?q=plain", "/operations/"]
    number = visit.world.app.rows("SELECT id FROM accounts_account WHERE address = ?", address)[0]["id"]
    account = f"/settings/accounts/{number}/"
    paths += ["/settings/accounts/creation/", "/sent/", account, f"{account}state/", f"{account}destruction/"]
    for path in paths:
        page.goto(f"{visit.url}{path}")
        faults[str(path)] = violations(page)
    page.goto(f"{visit.url}{account}state/")
    page.get_by_role("button", name="Check the connection").click()
    expect(page.locator("#connection .steps").first).to_be_visible()
    faults["checked"] = violations(page)
    visit.world.app.change(
        "UPDATE accounts_account SET sync_done = 10, sync_total = 2000, sync_rate = 5 WHERE id = ?", number
    )
    page.goto(f"{visit.url}/")
    faults["being fetched"] = violations(page)
    page.goto(f"{visit.url}{account}")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".state-line")).to_contain_text("Paused")
    for path in ("/", f"{account}state/"):
        page.goto(f"{visit.url}{path}")
        faults[f"{path} paused"] = violations(page)
    pages: dict[str, list[str]] = {}
    for path, found in faults.items():
        for fault in found:
            pages.setdefault(fault, []).append(path)
    assert not pages, "\n".join(f"{fault}\n    on {', '.join(paths)}" for fault, paths in pages.items())
