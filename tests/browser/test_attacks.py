"""Hundreds of hostile messages in one mailbox, opened in a real browser at every page that shows mail: no script runs, no
request leaves the host, nobody is led away, nothing is drawn over a page of ours. The vectors are in tests/attacks.

The browser is told what to look for by the class, not by the vector: what may be on a page and in the document of a body
is listed, and anything else is a fault. That the policy had to stop something is one, too: the sanitiser let it through."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Error, Page, Request, expect

from tests import attacks
from tests.app import Postkasse, eventually
from tests.attacks import Vector
from tests.browser.conftest import PATIENCE, Visit, World
from tests.second_client import second_client
from webmail.mime import BodyPart

VECTORS = attacks.vectors()
PAGE = (Path(attacks.__file__).parent / "page.js").read_text()
BODY = (Path(attacks.__file__).parent / "body.js").read_text()
EDITOR = (Path(attacks.__file__).parent / "editor.js").read_text()
EACH = os.environ.get("POSTKASSE_ATTACKS") == "each"  # also by itself what an editor of its own takes minutes for
NOTHING = "() => []"  # a download, or what is shown has nothing of ours around it
OWN_FIELDS = {"from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references", "mime-version"}
INNER = {"data", "about", "chrome", "chrome-extension"}  # the last two are the browser's own viewer of PDF
FRAME = re.compile(r"/messages/\d+/body/")
WRITTEN = "/compose/editor/"  # the frame that rich text is written in
EDITED = """() => {
    const rich = document.getElementById("rich");
    return !rich?.src || rich.contentWindow.location.pathname === rich.dataset.rich;
}"""
BEGUN = "() => document.getElementById('text')?.isContentEditable && document.getElementById('text').firstChild"


@dataclass
class Hostile:
    """A message in the cache; ``parts`` are those that have no parts themselves."""

    pk: int
    vectors: list[Vector]
    parts: list[str]

    @property
    def name(self) -> str:
        return " ".join(vector.name for vector in self.vectors[:12])

    @property
    def kind(self) -> str:
        return self.vectors[0].kind

    @property
    def alone(self) -> bool:
        return len(self.vectors) == 1 and self.kind in ("html", "text", "as", "message")

    @property
    def repeated(self) -> bool:
        """What it tries stands together with others in another message, too."""
        return self.alone and self.kind in attacks.TOGETHER and len(self.vectors[0].data) < attacks.LONG

    def of_class(self, letters: str) -> bool:
        return any(vector.group in letters for vector in self.vectors)


@dataclass
class Room:
    """One person at a browser whose mailbox is full of attacks. ``faults`` is what happened that should not have."""

    app: Postkasse
    address: str
    context: BrowserContext
    page: Page
    canary: str
    mail: list[Hostile] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    at: str = ""

    @property
    def url(self) -> str:
        return self.app.url

    def fault(self, what: str) -> None:
        self.faults.append(f"{self.at}: {what}"[:500])

    def listen(self) -> None:
        self.context.on("request", self.asked)
        self.context.on("requestfailed", self.stopped)
        self.context.on("weberror", lambda error: self.fault(f"an error: {error.error}"))
        self.context.on("console", self.said)
        self.page.on("dialog", lambda dialog: (self.fault(f"dialog {dialog.message}"), dialog.dismiss()))
        self.page.on("popup", lambda popup: self.fault(f"a window {popup.url}"))
        self.page.on("framenavigated", lambda frame: self.is_ours(frame.url) or self.fault(f"led to {frame.url}"))

    def is_ours(self, url: str) -> bool:
        return urlsplit(url).netloc == urlsplit(self.url).netloc or urlsplit(url).scheme in INNER

    def asked(self, request: Request) -> None:
        if not self.is_ours(request.url) and not self.is_quoted(request):
            self.fault(f"asked for {request.url}")
        if request.method not in ("GET", "HEAD") and "compose" not in self.page.url and "drafts" not in self.page.url:
            self.fault(f"{request.method} {request.url}")

    def is_quoted(self, request: Request) -> bool:
        """A picture of a quote, which goes with it to whom it is sent: where it is written the policy holds it off."""
        return request.resource_type == "image" and urlsplit(request.frame.url).path == WRITTEN

    def stopped(self, request: Request) -> None:
        if not self.is_ours(request.url) and self.is_quoted(request) and request.failure != "csp":
            self.fault(f"not stopped by the policy but by {request.failure}: {request.url}")

    def said(self, message: ConsoleMessage) -> None:
        """What is not there is said, too; and pages of ours that are no success."""
        place = message.location["url"].removeprefix(self.url)
        told = place.startswith(("/pictures/", "/favicon.ico")) or (
            self.at.endswith(place) and (" of 4" in message.text or "/parts/" in place)
        )
        if "img-src" in message.text and urlsplit(message.location["url"]).path == WRITTEN:
            return  # a quote keeps its pictures for whom it is sent to; where it is written, the policy holds them off
        if message.type == "error" and not told:
            self.fault(f"said {message.text} at {place}")

    def open(self, path: str, look: str, name: str = "") -> None:
        """This address at the top of the window, and what its frames hold."""
        self.at = f"{name} at {path}"
        try:
            self.page.goto(self.url + path, wait_until="load")
        except Error as error:
            if "Download is starting" not in str(error):
                raise
            return
        if self.page.url == self.url + path:
            self.look(look)
        elif (
            self.page.url == f"{self.url}{path.partition('?')[0]}preview/"
        ):  # what could be dangerous is explained before it is given
            self.look(PAGE)
        else:
            self.fault(f"led to {self.page.url}")

    def look(self, script: str) -> None:
        self.page.wait_for_function(EDITED)
        try:
            faults = self.page.evaluate(script)
        except Error as error:  # it is gone
            faults = [str(error)]
        for fault in faults:
            self.fault(fault)
        for frame in self.page.frames[1:]:
            if FRAME.fullmatch(urlsplit(frame.url).path):
                for fault in frame.evaluate(BODY):
                    self.fault(f"in the frame, {fault}")
            elif frame.frame_element().get_attribute("id") == "rich":
                if urlsplit(frame.url).path != WRITTEN:
                    continue  # text is plain
                frame.wait_for_function(BEGUN)
                for fault in frame.evaluate(EDITOR):
                    self.fault(f"in the editor, {fault}")
            elif "/parts/" not in self.page.url or not self.is_ours(frame.url):
                self.fault(f"a frame at {frame.url}")

    def hrefs(self, links: str) -> set[str]:
        return set(self.page.locator(links).evaluate_all("all => all.map((link) => link.getAttribute('href'))"))

    def listed(self) -> set[int]:
        """The messages of the list that is shown."""
        ids = self.page.locator("#list .row").evaluate_all("all => all.map((row) => row.id)")
        return {int(name.removeprefix("m")) for name in ids}

    def save(self) -> None:
        """What is in the composer, as a draft."""
        self.page.keyboard.press("Control+s")
        self.page.wait_for_url("**/drafts/*/")

    def send(self) -> None:
        """What is in the composer; if its addresses are refused, to a plain one."""
        gone = self.page.locator("#toast", has_text="Sending to")
        refused = self.page.get_by_role("alert")
        self.page.get_by_role("button", name="Send", exact=True).click()
        expect(gone.or_(refused).first).to_be_attached()
        if gone.count():
            return
        self.look(PAGE)
        plain = {"to": "plain@attack.test", "cc": ""}
        self.page.locator("#composer").evaluate("(form, fields) => form.composer.put(fields)", plain)
        self.page.get_by_role("button", name="Send", exact=True).click()
        expect(gone).to_be_attached()

    def prefer(self, **choices: int) -> None:
        """Of the person's preferences."""
        columns = ", ".join(f"{name} = ?" for name in choices)
        person = "id = (SELECT user_id FROM accounts_account WHERE address = ?)"
        self.app.change(f"UPDATE accounts_user SET {columns} WHERE {person}", *choices.values(), self.address)

    def operations(self) -> list[int]:
        """What they asked for that changes mail."""
        query = (
            "SELECT o.id FROM webmail_operation o JOIN accounts_account a ON a.id = o.account_id WHERE a.address = ?"
        )
        return [row["id"] for row in self.app.rows(query, self.address)]


@contextmanager
def canary() -> Iterator[tuple[str, list[str]]]:
    """A web server on this machine, and what it was asked for: at port 80, which fetches may go to, if that can be had."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_POST = do_GET

        def log_message(self, *_args: object) -> None: ...

    try:
        server = ThreadingHTTPServer(("127.0.0.1", 80), Handler)
    except OSError:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    try:
        yield "http://127.0.0.1" + (f":{port}" if port != 80 else ""), asked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def room(mailbox: Room) -> Room:
    mailbox.faults.clear()
    return mailbox


@pytest.fixture(scope="module")
def mailbox(world: World, browser: Browser) -> Iterator[Room]:
    """Everything is delivered and read by the server's cache before the person comes."""
    address = f"attacked-{os.getpid()}@imap.test"
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="Europe/Oslo")
    context.set_default_timeout(PATIENCE)
    with canary() as (place, asked):
        room = Room(world.app, address, context, context.new_page(), place)
        sent = attacks.together(VECTORS) + attacks.alone(VECTORS)
        for group in sent:
            world.deliver(address, attacks.message(group, address, place))
        with second_client(world.dovecot, address) as client:
            client.mark_all("\\Seen")
        Visit(world, context, room.page, [], []).enter(address)
        room.mail = _received(world, address, sent)
        room.prefer(page_size=10)
        room.listen()
        yield room
        context.close()
        assert asked == [], "we asked a host that is not public"


def _received(world: World, address: str, sent: list[list[Vector]]) -> list[Hostile]:
    query = (
        "SELECT m.id, m.structure FROM webmail_message m JOIN accounts_account a ON a.id = m.account_id"
        " WHERE a.address = ? ORDER BY CAST(m.uid AS INTEGER)"
    )
    rows = eventually(
        lambda: found if len(found := world.app.rows(query, address)) == len(sent) else None, "all messages", 60
    )
    mail = []
    for row, group in zip(rows, sent, strict=True):
        root = BodyPart.from_json(json.loads(row["structure"])) if row["structure"] else None
        mail.append(
            Hostile(row["id"], group, [part.part_id for part in root.walk() if not part.divided] if root else [])
        )
    return mail


# --- the pages ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A page that shows mail: where it is for a message, what it is to be looked at with, and for which messages."""

    addresses: Callable[[Hostile], list[str]]
    look: str = PAGE
    chosen: Callable[[Hostile], bool] = lambda hostile: not hostile.repeated


def _subject(hostile: Hostile) -> str:
    found = next((vector.data for vector in hostile.vectors if vector.kind == "subject"), b"")
    return quote(found[:200].replace(b"\0", b""))


def _has_files(hostile: Hostile) -> bool:
    return not hostile.repeated and hostile.kind in ("file", "as", "message")


def _has_fields(hostile: Hostile) -> bool:
    return bool(hostile.vectors[0].field) or hostile.kind == "message"


KINDS = {
    "the message": Kind(
        lambda m: [f"/messages/{m.pk}/"], chosen=lambda m: not m.repeated or m.vectors[0].name.startswith("o-")
    ),
    "the body by itself": Kind(lambda m: [f"/messages/{m.pk}/body/"], BODY, lambda m: m.alone),
    "the body in its own colours": Kind(
        lambda m: [f"/messages/{m.pk}/body/?colours=original"], BODY, lambda m: m.kind == "html" and not m.alone
    ),
    "the body with pictures": Kind(
        lambda m: [f"/messages/{m.pk}/body/?pictures=1"], BODY, lambda m: m.alone and m.of_class("J")
    ),
    "the body as text": Kind(lambda m: [f"/messages/{m.pk}/body/?as=text"], BODY),
    "the page for paper": Kind(lambda m: [f"/messages/{m.pk}/print/"], BODY),
    "the source": Kind(lambda m: [f"/messages/{m.pk}/source/"], chosen=_has_fields),
    "a reply": Kind(lambda m: [f"/compose/?reply={m.pk}"], chosen=lambda m: not m.repeated and m.kind != "file"),
    "a reply in rich text": Kind(
        lambda m: [f"/compose/?reply={m.pk}&rich=1"], chosen=lambda m: m.kind == "html" and (EACH or not m.repeated)
    ),
    "a forward": Kind(lambda m: [f"/compose/?forward={m.pk}"], chosen=lambda m: _has_fields(m) or _has_files(m)),
    "an edit": Kind(lambda m: [f"/compose/?edit={m.pk}"], chosen=lambda m: _has_fields(m) or m.kind == "file"),
    "its parts": Kind(lambda m: [f"/messages/{m.pk}/parts/{part}/" for part in m.parts[:15]], NOTHING, _has_files),
    "its parts inline": Kind(
        lambda m: [f"/messages/{m.pk}/parts/{part}/?inline=1" for part in m.parts[:15]], NOTHING, _has_files
    ),
    "its parts shown": Kind(
        lambda m: [f"/messages/{m.pk}/parts/{part}/?shown=1" for part in m.parts[:15]], NOTHING, _has_files
    ),
    "a preview": Kind(lambda m: [f"/messages/{m.pk}/parts/{part}/preview/" for part in m.parts[:15]], PAGE, _has_files),
    "a search": Kind(lambda m: [f"/search/?q={_subject(m)}"], chosen=lambda m: bool(_subject(m))),
}


@pytest.mark.parametrize("name", KINDS)
def test_nothing_hostile_gets_its_way_at(name: str, room: Room) -> None:
    kind = KINDS[name]
    chosen = [hostile for hostile in room.mail if kind.chosen(hostile)]
    assert chosen
    before = room.operations()
    for hostile in chosen:
        for address in kind.addresses(hostile):
            room.open(address, kind.look, hostile.name)
    assert room.faults == []
    assert room.operations() == before, "a look at mail has changed something"


def test_nothing_hostile_gets_its_way_in_a_list(room: Room) -> None:
    room.prefer(page_size=100)
    room.open("/", PAGE)
    shown = room.listed()
    while room.page.locator("a[data-older]").count():
        older = room.page.locator("a[data-older]").get_attribute("href")
        room.open(older or "", PAGE)
        shown |= room.listed()
    assert shown >= {hostile.pk for hostile in room.mail if hostile.kind == "html"}  # others may be of one conversation
    assert room.faults == []


def test_nothing_hostile_gets_its_way_in_a_draft_that_is_found_again(room: Room) -> None:
    room.prefer(page_size=100)
    for hostile in room.mail:
        named = any(vector.place.startswith("file-name") for vector in hostile.vectors)
        if _has_fields(hostile) or named:
            kind = "forward" if named else "replyall"
            room.open(f"/compose/?{kind}={hostile.pk}", PAGE, hostile.name)
            room.save()
            room.look(PAGE)
    room.open("/drafts/", PAGE)
    drafts = room.page.locator("a[href^='/drafts/']").evaluate_all(
        "all => all.map((link) => link.getAttribute('href'))"
    )
    assert len(set(drafts)) > 30
    for draft in set(drafts):
        room.open(draft, PAGE)
    assert room.faults == []


def test_no_message_gets_a_line_into_the_answer_to_it(room: Room, world: World) -> None:
    """Header fields, commands and recipients are those that the composer showed."""
    room.prefer(undo_send=0)
    chosen = [hostile for hostile in room.mail if hostile.of_class("L") and not hostile.repeated]
    for hostile in chosen:
        room.open(f"/compose/?reply={hostile.pk}", PAGE, hostile.name)
        room.send()
    eventually(lambda: len(world.smtp.received) == len(chosen), "all answers sent", 60)
    for answer in world.smtp.received:
        header = email.message_from_bytes(answer.raw, policy=email.policy.default)
        assert {name.lower() for name in header if not name.startswith("Content-")} <= OWN_FIELDS
        assert "victim@imap.test" not in answer.recipients
        assert answer.raw.count(b"\r\n") == answer.raw.count(b"\n") == answer.raw.count(b"\r")
    assert room.faults == []


CLEANED_BY_NOBODY = {
    "a script": "<script>alert(1)</script>",
    "a handler": "<img src=x onerror=alert(1)>",
    "a picture of another host": "<img src=http://attack.test/x>",
    "a style sheet of another host": "<style>@import 'http://attack.test/x'</style>",
    "something over everything": "<p style='position:fixed;inset:0'>x</p>",
    "a frame": "<iframe srcdoc='<script>parent.pwned = 1</script>'></iframe>",
    "a way to elsewhere": "<meta http-equiv=refresh content='0;url=http://attack.test/'>",
    "a link that runs": "<a href='javascript:alert(1)' target=_blank rel=noopener>x</a>",
    "SVG": "<svg><animate onbegin=alert(1) attributeName=x dur=1s></svg>",
    "a wide table": "<table width=99999><tr><td>x</table>",
}


@pytest.mark.parametrize("what", CLEANED_BY_NOBODY)
def test_the_browser_notices(what: str, room: Room) -> None:
    """Else the tests above would prove nothing: the same eyes, at a page whose mail was not cleaned."""
    address = f"{room.url}/messages/0/body/"
    html = f"<!doctype html><html><head></head><body><div id=message>{CLEANED_BY_NOBODY[what]}</div></body></html>"
    room.page.route(address, lambda route: route.fulfill(body=html, content_type="text/html"))
    room.page.route("http://attack.test/**", lambda route: route.abort())
    room.open("/messages/0/body/", BODY)
    room.page.unroute_all()
    assert [fault for fault in room.faults if "a head of" not in fault] != []


def test_the_browser_notices_what_lies_over_a_page_of_ours(room: Room) -> None:
    room.open(f"/messages/{room.mail[0].pk}/", PAGE)
    assert room.faults == []
    room.page.evaluate("""() => {
        const over = document.createElement("aside");
        Object.assign(over.style, { position: "fixed", inset: "0", zIndex: "99999" });
        document.body.append(over);
    }""")
    room.look(PAGE)
    assert any("covered by" in fault for fault in room.faults)
