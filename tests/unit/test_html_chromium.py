"""What a real browser makes of cleaned mail: no script, no request, nothing outside its frame. The corpus is opened without
any of the other layers of the wall (no policy, script allowed), and in the frame that the page has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, Route, expect, sync_playwright

from tests.unit.test_html_newsletters import LETTERS
from webmail.html import clean, document
from webmail.html.document import Theme

CHROMIUM = "/usr/bin/chromium"
HOSTILE = [
    line.replace("␀", "\0").replace("␤", "\n")
    for line in (Path(__file__).parent / "hostile_html.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("# ")
]
SANDBOX = "allow-popups allow-popups-to-escape-sandbox allow-same-origin"  # as templates/webmail/message.html has it
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


class Room:
    """A page whose every request but its own is noted and refused."""

    def __init__(self, page: Page) -> None:
        self.page, self.pages = page, dict[str, str]()
        self.asked: list[str] = []
        self.said: list[str] = []
        page.route("**/*", self.answer)
        page.on("dialog", self.spoken)
        page.on("popup", lambda popup: self.said.append(f"a window: {popup.url}"))

    def spoken(self, dialog: Dialog) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    def answer(self, route: Route) -> None:
        url = route.request.url
        if url in self.pages:
            route.fulfill(body=self.pages[url], content_type="text/html; charset=utf-8")
        elif url.startswith("http://mail.test/parts/"):
            route.fulfill(status=404)
        else:
            self.asked.append(url)
            route.abort()

    def show(self, markup: str, frames: Sequence[str] = (), sandbox: str | None = None) -> None:
        """A page of ours with frames in it, in this sandbox or in none."""
        allowed = "" if sandbox is None else f' sandbox="{sandbox}"'
        places = {f"http://mail.test/{number}": frame for number, frame in enumerate(frames)}
        inner = "".join(f'<iframe src="{place}"{allowed}></iframe>' for place in places)
        self.pages = {"http://mail.test/": f"<!doctype html><body>{markup}{inner}", **places}
        self.page.goto("http://mail.test/", wait_until="load")

    def touch(self) -> None:
        """What a reader's hand might set off."""
        for frame in self.page.frames[1:]:
            frame.evaluate(
                """() => { for (const element of document.querySelectorAll('#message, #message *'))
                     for (const kind of ['mouseover', 'mouseenter', 'focus', 'toggle', 'error', 'animationstart', 'load'])
                       element.dispatchEvent(new Event(kind, {bubbles: true})); }"""
            )


@pytest.fixture(scope="module")
def pane(browser: Browser) -> Iterator[Page]:
    """A reader in the dark."""
    page = browser.new_page(color_scheme="dark")
    yield page
    page.close()


@pytest.fixture
def room(browser: Browser) -> Iterator[Room]:
    context = browser.new_context()
    yield Room(context.new_page())
    context.close()


def shown(source: str, **more: Any) -> str:
    cleaned = clean(source, cid=lambda name: f"/parts/{name}" if name == "known@x" else None)
    return document(cleaned.html, plain=False, **more)


WRAPPINGS = {
    "bare": "{}",
    "in a table": "<table><tr><td>{}</table>",
    "folded": f"own words<div>On Monday Ola wrote:<blockquote type=cite>{'long ' * 100}{{}}</blockquote></div>",
}


@pytest.mark.parametrize("sandbox", [None, SANDBOX], ids=["unprotected", "in our frame"])
@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_hostile_html_runs_nothing_and_asks_for_nothing(room: Room, wrapping: str, sandbox: str | None) -> None:
    sources = [WRAPPINGS[wrapping].replace("{}", source) for source in HOSTILE]
    cleaned = [
        clean(source, cid=lambda name: f"/parts/{name}" if name == "known@x" else None).html for source in sources
    ]
    room.show("ours", [document("<hr>".join(cleaned[part::6]), plain=False) for part in range(6)], sandbox)
    assert len(room.page.frames) == 7
    room.touch()
    assert (room.asked, room.said, room.page.url) == ([], [], "http://mail.test/")
    assert {frame.url.rpartition("/")[0] for frame in room.page.frames} == {"http://mail.test"}


def test_what_is_not_cleaned_is_seen_to_run_and_to_ask(room: Room) -> None:
    """Else the test above could not fail."""
    room.show("", ["<div id=message><p onmouseover=alert(2)>x</p><img src=http://evil.test/x onerror=alert(1)>"])
    room.touch()
    assert room.asked == ["http://evil.test/x"]
    assert {*room.said} == {"1", "2"}


def test_the_browser_reads_what_the_gate_wrote_as_the_gate_meant_it(room: Room) -> None:
    """No second reading differs from the first: mutation is what the classical bypasses live on."""
    room.show("")
    read = """pages => pages.map(html => { const element = document.createElement('div'); element.innerHTML = html;
        return element.innerHTML; })"""
    wrote = [clean(source, cid=lambda _cid: None).html for source in HOSTILE]
    once = room.page.evaluate(read, wrote)
    assert room.page.evaluate(read, once) == once
    for theirs, ours in zip(once, wrote, strict=True):
        assert clean(theirs, cid=lambda _cid: None).html == clean(ours, cid=lambda _cid: None).html


def test_nothing_in_a_message_leaves_its_place(room: Room) -> None:
    """An overlay over our own page, or over the rest of the message, is no part of what CSS may do."""
    covers = (
        "position:fixed;inset:0", "position:absolute;top:-999px", "position:sticky;top:0", "transform:translate(-999px)",
        "margin-left:-190px;z-index:99999", "float:left;width:9999px;height:9999px", "margin-top:-150px",
    )  # fmt: skip
    room.show("", [shown(f"<p>x</p><div style='{cover};background:red'>y</div>") for cover in covers], SANDBOX)
    for frame in room.page.frames[1:]:
        found = frame.evaluate(
            """() => { const element = document.querySelector('#message div'), style = getComputedStyle(element);
            return [style.position, style.zIndex, style.transform, document.documentElement.scrollWidth <= innerWidth] }"""
        )
        assert found == ["static", "auto", "none", True]


LUMINANCE = """() => { const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgb = (colour, on) => { canvas.fillStyle = on; canvas.fillRect(0, 0, 1, 1); canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1); return canvas.getImageData(0, 0, 1, 1).data; };
  const light = (c) => [0, 1, 2].map(i => c[i] / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const ground = (element) => { const own = getComputedStyle(element).backgroundColor, parent = element.parentElement;
    if (!parent) return rgb(own, '#fff'); const under = ground(parent); return rgb(own, `rgb(${under[0]},${under[1]},${under[2]})`); };
  return [...document.querySelectorAll('#message *')].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
    .map(e => { const under = ground(e), ink = light(rgb(getComputedStyle(e).color, `rgb(${under[0]},${under[1]},${under[2]})`));
      const [a, b] = [ink, light(under)].sort((x, y) => y - x); return [(a + .05) / (b + .05), light(under)]; }); }"""

PAIRS = "".join(
    f"<p style='background:{ground};color:{ink}'>text</p>"
    for ground, ink in (
        ("#fff", "#000"), ("#fff", "#333"), ("#fff", "#666"), ("#f5f5f5", "#555"), ("#eee", "#0b57d0"), ("#000", "#fff"),
        ("#111", "#eee"), ("#0b57d0", "#fff"), ("#ff6600", "#000"), ("#ffcc00", "#333"), ("#00a650", "#000"),
        ("yellow", "navy"), ("#ffe", "#800"), ("#222", "#ccc"), ("rgba(255,255,255,.9)", "rgb(20 20 20)"),
    )
)  # fmt: skip
COLOURED = {
    "pairs": PAIRS,
    "no colours": "<p>text</p><h1>x</h1><a href=https://x.no>y</a><font color=black>z</font>",
    "old attributes": "<body bgcolor=#ffffff text=#000000><table bgcolor=white><tr><td bgcolor=fafafa><font color=#222>x</font>y",
    "dark by design": "<body style='background:#101010;color:#fafafa'><p>x</p><p style='color:#bbb'>y</p>",
    "style sheet": "<style>body{background:#fff;color:#111}.c{background:#f0f0f0!important}</style><p class=c>x</p><p>y</p>",
    **{name: letter() for name, letter in LETTERS.items()},
}


@pytest.mark.parametrize("theme", ["dark", "system"])
@pytest.mark.parametrize("name", COLOURED)
def test_in_the_dark_every_ground_is_dark_and_every_text_readable(pane: Page, name: str, theme: Theme) -> None:
    pane.set_content(shown(COLOURED[name], theme=theme))
    found = pane.evaluate(LUMINANCE)
    assert found
    assert min(contrast for contrast, _ground in found) > 3
    assert max(ground for _contrast, ground in found) < 0.2


@pytest.mark.parametrize(
    ("head", "options", "white"),
    [
        ("", {"theme": "light"}, True),
        ("", {"theme": "dark", "original": True}, True),
        ("<meta name=color-scheme content='light only'>", {"theme": "dark"}, True),
        ("<style>:root{color-scheme:only light}</style>", {"theme": "dark"}, True),
        ("<meta name=color-scheme content='light dark'>", {"theme": "dark"}, False),
        ("<meta name=supported-color-schemes content=dark>", {"theme": "light"}, False),
    ],
)
def test_a_message_and_its_reader_have_a_say_in_its_colours(
    pane: Page, head: str, options: dict[str, Any], white: bool
) -> None:
    pane.set_content(shown(head + "<p style='background:#fff;color:#000'>x</p>", **options))
    [(_contrast, ground)] = pane.evaluate(LUMINANCE)
    assert (ground > 0.9) == white


WIDE = {
    "fixed table": "<table width=1200><tr>" + "<td width=200 style='width:200px'>cell</td>" * 6 + "</table>",
    "least width": "<table style='min-width:800px'><tr><td nowrap>" + "words " * 40 + "</table>",
    "picture": f"<img src='{PIXEL}' width=1200 height=300 style='width:1200px'>",
    "picture in tables": f"<table width=600><tr><td width=600><table width=600><tr><td><img src='{PIXEL}' width=600></table></table>",
    "long word": "<p>" + "x" * 900 + "</p><table><tr><td>" + "y" * 900 + "</table>",
    "long address": "<a href='https://x.no/'>https://x.no/" + "z" * 900 + "</a>",
    "lines of code": "<pre>" + "code " * 300 + "</pre>",
    "wide block": "<div style='width:900px'>x</div><center style='min-width:1000px'>y</center>",
    **{name: letter() for name, letter in LETTERS.items()},
}


@pytest.mark.parametrize("width", [390, 760])
@pytest.mark.parametrize("name", WIDE)
def test_wide_mail_fits_its_pane(pane: Page, name: str, width: int) -> None:
    pane.set_viewport_size({"width": width, "height": 800})
    pane.set_content(shown(WIDE[name]))
    assert pane.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if width == 390:  # on a phone nothing even scrolls within the message
        assert pane.evaluate("(m => m.scrollWidth <= m.clientWidth)(document.getElementById('message'))")


CASCADES = (
    "p{margin-top:3px} .x{margin:1px} #a{margin-top:5px}", "p{margin-top:3px!important} .x{margin:1px}",
    "#a{color:#fff} .x{color:#ff0} p{color:#0ff}", "p{color:#fff!important} #a{color:#ff0}",
    "#a.x{padding:1px 2px} p#a{padding-left:9px} p{padding:7px!important}", "div p{color:#fff} p.x{color:#ff0}",
    "div > p + p{margin-left:4px} p{margin:2px}", ".x,.y{padding:2px} p:nth-child(2){padding-top:6px}",
    "p{border:1px solid #fff;border-top:3px dotted #ff0} .x{border-top-width:5px}", "*{margin:3px} p{margin-left:1px}",
    "p{font:bold 14px/20px Arial} .x{font-weight:normal;line-height:2}", "p:not(.y){color:#fff} [lang=nb]{color:#ff0}",
    "@media print{p{margin:9px}} @media screen{p{margin:4px}} @media (max-width:9999px){p{margin:8px}}",
    "@media (prefers-color-scheme:light){p{padding:9px}} p{padding:2px} @media only screen and (min-width:480px){.x{padding:3px}}",
)  # fmt: skip


OWN = ("", "margin-left:8px;color:#0f0", "margin:8px!important;padding-top:5px;padding:1px")
COMPUTED = """names => { const style = getComputedStyle(document.querySelectorAll('p')[1]);
  return ['marginTop', 'marginLeft', 'paddingTop', 'paddingLeft', 'color', 'borderTopWidth', 'borderLeftWidth', 'fontWeight',
    'lineHeight'].map(name => style[name]); }"""


@pytest.mark.parametrize("sheet", CASCADES)
def test_the_cascade_survives_being_inlined(pane: Page, sheet: str) -> None:
    """What the browser computes is what it would have computed from the style sheet, @media left out where we do."""
    pane.set_viewport_size({"width": 1000, "height": 800})
    for own in OWN:
        body = f"<div><p>0</p><p id=a class=x lang=nb style='{own}'>x</p></div>"
        pane.set_content(f"<style>{sheet.replace('(max-width:9999px)', 'print')}</style>{body}")
        wanted = pane.evaluate(COMPUTED)
        pane.set_content(clean(f"<style>{sheet}</style>{body}", cid=lambda _cid: None).html)
        assert pane.evaluate(COMPUTED) == wanted


def test_a_folded_quote_opens_without_script(browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    quote = "<blockquote type=cite>" + "<p>What was said.</p>" * 50 + "</blockquote>"
    page.set_content(shown(f"<p>Agreed.</p><div>On Monday Ola wrote:</div>{quote}"))
    said = page.get_by_text("What was said.").first
    expect(said).to_be_hidden()
    expect(page.get_by_text("Agreed.")).to_be_visible()
    page.locator("summary").click()
    expect(said).to_be_visible()
    context.close()


@pytest.mark.parametrize(
    ("image", "size"),
    [
        ("width=400 height=1", (400, 1)),  # a line drawn with one dot
        ("width=100 height=20", (100, 20)),
        ("height=20", (20, 20)),
        ("width=100", (100, 100)),
        ("width=100 height=20 style='height:auto'", (100, 100)),
        ("width=100 height=20 style='line-height:18px;max-height:90px'", (100, 20)),
        ("width=1200 height=600", (476, 238)),  # shrunk to the pane
    ],
)
def test_an_image_has_the_shape_that_its_sender_gave_it(pane: Page, image: str, size: tuple[int, int]) -> None:
    dot = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
    pane.set_viewport_size({"width": 500, "height": 800})
    found = clean(f"<p>x</p><img src='{dot}' {image}>", cid=lambda _cid: None).html
    pane.set_content(document(found, plain=False, theme="light"))
    box = pane.locator("img").bounding_box()
    assert box
    assert (round(box["width"]), round(box["height"])) == size
