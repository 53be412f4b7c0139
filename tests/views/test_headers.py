"""What browsers are told about every answer: which script may run, what may be framed, that types are not guessed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.letters import PIXEL, letter
from tests.views.conftest import Person

HTML = '<p onclick="x()">Hello</p><script>alert(1)</script><img src="http://tracker.invalid/x.png">'
SCRIPT_FILE = b"<script>alert(document.cookie)</script>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


def directives(response: Any) -> dict[str, str]:
    policy = response["Content-Security-Policy"]
    return {name: value for name, _space, value in (part.strip().partition(" ") for part in policy.split(";"))}


@pytest.fixture
def loaded(alice: Person) -> Person:
    files = {
        "page.html": ("text/html", SCRIPT_FILE),
        "drawing.svg": ("image/svg+xml", SVG),
        "lie.png": ("image/png", SCRIPT_FILE),
        "true.png": ("image/png", PIXEL),
        "data.xml": ("application/xhtml+xml", SCRIPT_FILE),
        "code.js": ("text/javascript", b"alert(1)"),
        "doc.pdf": ("application/pdf", b"%PDF-1.4 <script>"),
    }
    alice.receive(letter("Loaded", "As text", html=HTML, files=files, to=alice.address))
    return alice


def parts(person: Person) -> dict[str, str]:
    """Name of each attachment to its address."""
    message = person.message("Loaded")
    assert message.body_part
    return {p.name: f"/messages/{message.pk}/parts/{p.part_id}/" for p in message.body_part.walk() if p.name}


@pytest.mark.parametrize(
    "path", ["/", "/compose/", "/settings/", "/folders/", "/sign-in/", "/search/?q=x", "/nowhere/"]
)
def test_a_page_runs_our_scripts_only_and_is_framed_by_us_only(alice: Person, path: str) -> None:
    if path == "/sign-in/":
        alice.client.logout()
    response = alice.get(path)
    rules = directives(response)
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == "'self'"
    assert rules["style-src"] == "'self'"
    assert rules["form-action"] == "'self'"
    assert rules["base-uri"] == "'none'"
    assert rules["frame-ancestors"] in ("'self'", "'none'")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] in ("SAMEORIGIN", "DENY")
    assert response["Referrer-Policy"] in ("same-origin", "no-referrer")


@pytest.mark.parametrize("query", ["", "?pictures=1"])
def test_a_body_document_runs_nothing_and_loads_nothing_from_outside(loaded: Person, query: str) -> None:
    response = loaded.get(f"/messages/{loaded.message('Loaded').pk}/body/{query}")
    rules = directives(response)
    assert rules["default-src"] == "'none'"
    assert "script-src" not in rules
    assert "sandbox" in rules
    assert "allow-scripts" not in rules["sandbox"].split()
    assert "allow-forms" not in rules["sandbox"].split()
    assert set(rules["img-src"].split()) <= {"'self'", "data:"}
    assert rules["form-action"] == "'none'"
    assert rules["base-uri"] == "'none'"
    assert rules["frame-ancestors"] == "'self'"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "no-referrer"
    text = response.content.decode()
    assert "Hello" in text
    assert "script" not in text
    assert "onclick" not in text
    assert "tracker.invalid" not in text


@pytest.mark.parametrize(
    ("name", "query"),
    [
        (name, query)
        for name in ("page.html", "drawing.svg", "lie.png", "data.xml", "code.js", "doc.pdf")
        for query in ("", "?inline=1", "?shown=1")
        if (name, query) != ("doc.pdf", "?shown=1")  # which the viewer of PDF shows
    ],
)
def test_what_could_run_is_never_shown_in_the_page(loaded: Person, name: str, query: str) -> None:
    url = parts(loaded)[name] + query
    if name != "doc.pdf":  # a page says first why it is dangerous
        assert loaded.get(url)["Location"] == parts(loaded)[name] + "preview/"
    response = loaded.get(url) if name == "doc.pdf" else loaded.post(url)
    assert response["Content-Disposition"].startswith("attachment;")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in directives(response)
    assert "allow-scripts" not in directives(response)["sandbox"]
    assert not response["Content-Type"].startswith(("text/html", "image/svg", "application/xhtml", "text/xml"))
    assert b"".join(response.streaming_content)


def test_a_pdf_may_load_nothing_and_be_framed_by_us_only(loaded: Person) -> None:
    response = loaded.get(parts(loaded)["doc.pdf"] + "?shown=1")
    rules = directives(response)
    assert response["Content-Type"] == "application/pdf"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert (rules["default-src"], rules["form-action"], rules["base-uri"]) == ("'none'", "'none'", "'none'")
    assert rules["frame-ancestors"] == "'self'"
    assert "script-src" not in rules
    assert b"".join(response.streaming_content)


def test_a_true_picture_may_show_in_the_page_and_only_when_asked(loaded: Person) -> None:
    shown = loaded.get(parts(loaded)["true.png"] + "?inline=1")
    assert shown["Content-Type"] == "image/png"
    assert "Content-Disposition" not in shown
    assert "sandbox" in directives(shown)
    assert b"".join(shown.streaming_content) == PIXEL
    saved = loaded.get(parts(loaded)["true.png"])
    assert saved["Content-Disposition"].startswith("attachment;")
    assert b"".join(saved.streaming_content) == PIXEL


def test_the_whole_message_is_a_download(loaded: Person) -> None:
    response = loaded.get(f"/messages/{loaded.message('Loaded').pk}/file/")
    assert response["Content-Type"] == "message/rfc822"
    assert response["Content-Disposition"].startswith("attachment;")
    assert "sandbox" in directives(response)
    assert b"Subject: Loaded" in b"".join(response.streaming_content)


@pytest.mark.parametrize(
    ("name", "disposition"),
    [
        ("Årsrapport.pdf", "attachment; filename=\"_rsrapport.pdf\"; filename*=UTF-8''%C3%85rsrapport.pdf"),
        ('a"; evil="b.txt', "attachment; filename="),
    ],
)
def test_a_file_name_cannot_break_out_of_its_header(alice: Person, name: str, disposition: str) -> None:
    alice.receive(letter("Named", files={name: ("text/plain", b"x")}))
    message = alice.message("Named")
    response = alice.get(f"/messages/{message.pk}/parts/2/")
    assert b"".join(response.streaming_content) == b"x"
    value = response["Content-Disposition"]
    assert value.startswith(disposition)
    assert value.count('"') == 2
    assert "\r" not in value
    assert "\n" not in value


def test_the_source_of_a_message_is_text(alice: Person) -> None:
    alice.receive(letter("Source", headers={"X-Evil": "<script>alert(1)</script>"}))
    response = alice.get(f"/messages/{alice.message('Source').pk}/source/")
    assert b"&lt;script&gt;alert(1)&lt;/script&gt;" in response.content
    assert b"<script>alert(1)" not in response.content


def test_mail_data_is_text_wherever_it_shows(alice: Person) -> None:
    evil = '"><img src=x onerror=alert(1)>'
    raw = letter(f"S {evil}", f"T {evil}", files={f"{evil}.txt": ("text/plain", b"x")})
    alice.receive(raw.replace(b"Ola Nordmann", b'"<b onclick=alert(1)>Ola"'))
    message = alice.message(f"S {evil}")
    for path in ("/", f"/messages/{message.pk}/", "/search/?q=onerror", f"/compose/?reply={message.pk}"):
        page = alice.get(path).content.decode()
        assert "onerror" in page
        assert "<img src=x" not in page
        assert "<b onclick" not in page
