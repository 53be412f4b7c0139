"""Signing in and reading: newest on top, plain, HTML and multipart mail, attachments byte for byte."""

from __future__ import annotations

import os

from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.letters import letter
from tests.second_client import SecondClient

TRACKER = "https://tracker.invalid/open.gif"
NEWSLETTER = f"""<html><head><style>p {{ color: #123456 }}</style></head><body>
<p id="greeting" onclick="alert(1)">Autumn offers</p><img src="{TRACKER}" alt="A picture from afar" width="40" height="30">
<a href="https://shop.invalid/">Shop</a><script>document.body.textContent = "script ran"</script></body></html>"""


def test_the_newest_message_is_on_top_after_signing_in(visit: Visit, address: str, elsewhere: SecondClient) -> None:
    for age, subject in ((30, "The oldest"), (20, "In between"), (10, "The newest")):
        elsewhere.append(letter(subject, minutes_ago=age))
    visit.enter(address)
    rows = visit.page.locator(".row .s")
    expect(rows).to_have_text(["The newest", "In between", "The oldest"])
    assert visit.errors == []


def test_plain_html_and_multipart_mail_open_and_nothing_remote_is_asked(
    visit: Visit, address: str, elsewhere: SecondClient
) -> None:
    elsewhere.append(letter("A plain one", "First line\n\n> a quotation <b>not bold</b>\n"))
    elsewhere.append(letter("A newsletter", "As text", html=NEWSLETTER))
    octets = os.urandom(300_000)
    elsewhere.append(
        letter("With a file", "See the file.", files={"Årsrapport 2026.bin": ("application/x-thing", octets)})
    )
    visit.enter(address)
    page = visit.page

    page.get_by_role("link", name="A plain one").click()
    expect(page.locator("#read")).to_contain_text("a quotation <b>not bold</b>")
    elsewhere.await_flag("A plain one", "\\Seen")

    page.get_by_role("link", name="A newsletter").click()
    frame = page.locator("#read iframe")
    sandbox = frame.get_attribute("sandbox") or ""
    assert "allow-scripts" not in sandbox.split()
    assert "allow-forms" not in sandbox.split()
    body = frame.content_frame
    expect(body.locator("body")).to_contain_text("Autumn offers")
    expect(body.locator("body")).not_to_contain_text("script ran")
    expect(body.locator("script")).to_have_count(0)
    expect(page.locator("#read")).to_contain_text("1 remote picture blocked")
    expect(body.locator(f'img[src="{TRACKER}"]')).to_have_count(0)

    page.get_by_role("link", name="With a file").click()
    with page.expect_download() as download:
        page.locator("#read").get_by_role("link", name="Årsrapport 2026.bin", exact=True).click()
    assert download.value.suggested_filename == "Årsrapport 2026.bin"
    assert download.value.path().read_bytes() == octets
    assert visit.foreign == []
