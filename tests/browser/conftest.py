"""A real Chromium in front of the real thing: Postkasse's own processes, Dovecot, an SMTP server that delivers into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect, sync_playwright

from tests.app import Postkasse
from tests.line import Line
from tests.second_client import SecondClient, second_client
from tests.servers import PASSWORD, Dovecot, SMTPServer, free_port

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
]
PATIENCE = 15_000  # milliseconds until an expectation has failed; most are met at once
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All in one test process: one Postkasse and one Chromium are enough for two processors."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.xdist_group("browser"))


@dataclass
class World:
    """All that runs. Addresses at each domain have servers of their own kind."""

    app: Postkasse
    dovecot: Dovecot  # imap.test and pop.test
    away: Dovecot  # away.test: a test may stop it
    smtp: SMTPServer
    slow: Line  # to the same Dovecot for slow.test: a test may hold it

    def deliver(self, address: str, raw: bytes) -> None:
        dovecot = self.away if address.endswith("@away.test") else self.dovecot
        dovecot.deliver(address, raw)


@pytest.fixture(scope="package")
def world() -> Iterator[World]:
    with Dovecot() as dovecot, Dovecot() as away, Dovecot(expired=True) as expired, Line(dovecot.imap_port) as slow:
        with SMTPServer(deliver_to=dovecot, domains=("imap.test", "pop.test")) as smtp:
            out = f"smtp://localhost:{smtp.port}"
            domains = {
                "imap.test": {"incoming": f"imap://localhost:{dovecot.imap_port}", "outgoing": out},
                "pop.test": {"incoming": f"pop3://localhost:{dovecot.pop3_port}", "outgoing": out},
                "away.test": {"incoming": f"imap://localhost:{away.imap_port}", "outgoing": out},
                "slow.test": {"incoming": f"imap://localhost:{slow.port}", "outgoing": out},
                "expired.test": {"incoming": f"imaps://localhost:{expired.imaps_port}", "outgoing": out},
                "refused.test": {"incoming": f"imap://localhost:{free_port()}", "outgoing": out},
                "unknown.test": {"incoming": "imaps://nowhere.invalid", "outgoing": out},
            }
            with Postkasse(domains, expired.certificate.certificate) as app:
                yield World(app, dovecot, away, smtp, slow)


@pytest.fixture(autouse=True)
def fresh_smtp(world: World) -> None:
    world.smtp.clear()


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@dataclass
class Visit:
    """One person at one browser. ``foreign`` are requests that went to another host than ours; ``errors`` what the page
    complained of."""

    world: World
    context: BrowserContext
    page: Page
    foreign: list[str]
    errors: list[str]

    @property
    def url(self) -> str:
        return self.world.app.url

    def sign_in(self, address: str, password: str = PASSWORD) -> None:
        self.page.goto(f"{self.url}/sign-in/")
        self.page.get_by_label("Mail address").fill(address)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def enter(self, address: str) -> None:
        """Signed in and at the inbox."""
        self.sign_in(address)
        expect(self.page).to_have_url(f"{self.url}/")

    @property
    def search_box(self) -> Locator:
        """A combobox with script, a plain search box without."""
        return self.page.get_by_label("Search mail")

    def press(self, key: str) -> None:
        """On a page that hears it."""
        expect(self.page.locator("html.live")).to_be_attached()
        self.page.keyboard.press(key)

    def row(self, subject: str) -> Locator:
        return self.page.locator(".row", has_text=subject)

    def open(self, subject: str) -> Locator:
        """The reading pane with this message."""
        read = self.page.locator("#read")
        if read.count():  # it may show this very message already: what is asked for now is another pane
            read.evaluate("pane => { pane.dataset.before = '1' }")
        self.row(subject).locator("a.subj").click()
        expect(read).not_to_have_attribute("data-before", "1")
        expect(read.locator("h1")).to_have_text(subject)
        return read

    def undo(self) -> None:
        self.page.locator("#toast").get_by_role("button", name="Undo").click()
        expect(self.page.locator("#toast")).to_contain_text("Undone.")

    def send_at_once(self) -> None:
        """Preferences: messages leave without waiting for an Undo."""
        self.page.goto(f"{self.url}/settings/")
        self.page.get_by_label("Undo send").select_option("0")
        self.page.get_by_role("button", name="Save").click()
        expect(self.page).to_have_url(f"{self.url}/settings/?saved=1")
        self.page.goto(f"{self.url}/")

    def new_message(self) -> Locator:
        """Opened in a window of the page."""
        expect(self.page.locator("html.live")).to_be_attached()
        self.page.locator("#nav").get_by_role("link", name="New message").click()
        window = self.page.locator(".float").first
        expect(window.locator("form.live")).to_be_visible()
        return window

    def write(self, to: str, subject: str, text: str) -> None:
        """A filled-in composer, not sent."""
        self.page.goto(f"{self.url}/compose/")
        self.page.get_by_label("To", exact=True).fill(to)
        self.page.get_by_label("Subject").fill(subject)
        self.page.get_by_label("Message", exact=True).and_(self.page.locator("textarea")).fill(text)

    def press_send(self) -> None:
        self.page.get_by_role("button", name="Send", exact=True).click()
        expect(self.page.locator("#toast")).to_contain_text("Sending to")

    def watch(self, page: Page) -> None:
        own = urlsplit(self.url).netloc

        def seen(url: str) -> None:
            if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != own:
                self.foreign.append(url)

        page.on("request", lambda request: seen(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)


@pytest.fixture
def visit_with(world: World, browser: Browser) -> Iterator[Callable[..., Visit]]:
    """A visit in a context of the test's own making (``java_script_enabled``, ``viewport`` …)."""
    visits: list[Visit] = []

    def begin(**options: object) -> Visit:
        context = browser.new_context(locale="en-GB", timezone_id="Europe/Oslo", **options)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        visit = Visit(world, context, page, [], [])
        visit.watch(page)
        visits.append(visit)
        return visit

    yield begin
    for visit in visits:
        visit.context.close()
        assert visit.foreign == [], "a page asked another host"


@pytest.fixture
def visit(visit_with: Callable[..., Visit]) -> Visit:
    return visit_with(viewport={"width": 1280, "height": 800})


_names = iter(range(1, 100_000))


@pytest.fixture
def new_address() -> Callable[[str], str]:
    """An address nobody else has: ``new_address("imap.test")``."""
    return lambda domain: f"person{next(_names)}-{os.getpid()}@{domain}"


@pytest.fixture
def address(new_address: Callable[[str], str]) -> str:
    return new_address("imap.test")


@pytest.fixture
def elsewhere(world: World, address: str) -> Iterator[SecondClient]:
    """The mailbox of ``address`` in another mail program."""
    with second_client(world.dovecot, address) as client:
        yield client
