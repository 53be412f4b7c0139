"""A form that is handed in twice, at once or one after the other, is one message: over HTTP, by several processes."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from tests.app import Postkasse, eventually
from tests.servers import Dovecot, SMTPServer
from tests.visitor import Visitor

ADDRESS = "kari@twice.test"
ROUNDS = 8  # of each race


@pytest.fixture(scope="module")
def smtp() -> Iterator[SMTPServer]:
    with SMTPServer() as running:
        yield running


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def app(request: pytest.FixtureRequest, smtp: SMTPServer) -> Iterator[Postkasse]:
    with Dovecot() as dovecot:
        table = {"incoming": f"imap://localhost:{dovecot.imap_port}", "outgoing": f"smtp://localhost:{smtp.port}"}
        with Postkasse({"twice.test": table}, database=request.param, web=2) as app:
            yield app


@pytest.fixture
def visitor(app: Postkasse, smtp: SMTPServer) -> Visitor:
    smtp.clear()
    visitor = Visitor(app)
    visitor.sign_in(ADDRESS)
    visitor.send("first@example.org", "Nothing is held back from now on")
    return visitor


def form_of(page: str, **fields: str) -> dict[str, str]:
    """What a browser would hand in of a composer."""
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {**{name: unescape(value) for name, value in hidden}, "to": "ola@example.org", **fields}


def handed_in(visitor: Visitor, path: str, form: dict[str, str]) -> Callable[[], str]:
    request = Request(visitor.base + path, urlencode(form).encode(), {"Referer": visitor.base + path})

    def hand_in() -> str:
        cookies = CookieJar()  # what is said on the next page is of this press alone
        for cookie in visitor.cookies:
            cookies.set_cookie(cookie)
        opener = build_opener(HTTPCookieProcessor(cookies))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.read().decode()
        except HTTPError as error:
            return f"{error.code} {error.read().decode()}"

    return hand_in


def at_once(*acts: Callable[[], str]) -> list[str]:
    together = threading.Barrier(len(acts))

    def act(one: Callable[[], str]) -> str:
        together.wait(30)
        return one()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))


def assert_sent_once(app: Postkasse, smtp: SMTPServer, subject: str, pages: list[str]) -> None:
    assert not [page for page in pages if page.startswith("5")], app.log()
    assert len(app.rows("SELECT id FROM webmail_submission WHERE subject = ?", subject)) == 1
    assert sum("Sending to" in page for page in pages) == 1
    assert sum("on its way already" in page for page in pages) == len(pages) - 1
    filed = "SELECT id FROM webmail_submission WHERE subject = ? AND raw = '' AND filing = 'filed'"
    eventually(lambda: app.rows(filed, subject), f"{subject} is filed")
    assert sum(subject.encode() in received.raw for received in smtp.received) == 1
    assert app.rows("SELECT id FROM webmail_draft WHERE subject = ?", subject) == []


def test_an_unsaved_form_handed_in_at_once_is_one_message(app: Postkasse, smtp: SMTPServer, visitor: Visitor) -> None:
    for n in range(ROUNDS):
        form = form_of(visitor.get("/compose/"), subject=f"Unsaved {n}.", text="Hello", do="send")
        pages = at_once(*(handed_in(visitor, "/compose/", form) for _press in range(3)))
        assert_sent_once(app, smtp, f"Unsaved {n}.", pages)


def test_a_draft_handed_in_at_once_is_one_message(app: Postkasse, smtp: SMTPServer, visitor: Visitor) -> None:
    for n in range(ROUNDS):
        visitor.post("/compose/", subject=f"Saved {n}.", text="Hello", do="save")
        pk = app.rows("SELECT id FROM webmail_draft WHERE subject = ?", f"Saved {n}.")[0]["id"]
        form = form_of(visitor.get(f"/drafts/{pk}/"), subject=f"Saved {n}.", text="Hello", do="send")
        pages = at_once(*(handed_in(visitor, f"/drafts/{pk}/", form) for _press in range(3)))
        assert_sent_once(app, smtp, f"Saved {n}.", pages)


def test_a_form_handed_in_again_when_its_message_is_gone_is_still_one_message(
    app: Postkasse, smtp: SMTPServer, visitor: Visitor
) -> None:
    form = form_of(visitor.get("/compose/"), subject="Again.", text="Hello", do="send")
    hand_in = handed_in(visitor, "/compose/", form)
    assert_sent_once(app, smtp, "Again.", [hand_in()])
    assert "on its way already" in hand_in()
    visitor.post("/compose/", subject="Once more.", text="Hello", do="save")
    pk = app.rows("SELECT id FROM webmail_draft WHERE subject = 'Once more.'")[0]["id"]
    form = form_of(visitor.get(f"/drafts/{pk}/"), subject="Once more.", text="Hello", do="send")
    hand_in = handed_in(visitor, f"/drafts/{pk}/", form)
    assert_sent_once(app, smtp, "Once more.", [hand_in()])
    assert_sent_once(app, smtp, "Once more.", ["Sending to", hand_in()])
