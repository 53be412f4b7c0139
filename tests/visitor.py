"""A person at a browser without script, over plain HTTP: follows redirects, keeps cookies, fills in forms."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from urllib.parse import urlencode

from tests.app import Postkasse
from tests.servers import PASSWORD


class Visitor:
    def __init__(self, app: Postkasse) -> None:
        self.base = app.url
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> str:
        with self._opener.open(self.base + path, timeout=60) as answer:
            return answer.read().decode()

    def post(self, path: str, form: str = "", **fields: str) -> str:
        """Submit to ``path`` with the token of the page ``form``; the page that follows."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(form or path))
        assert token, f"{form or path} has no form"
        data = urlencode({"csrfmiddlewaretoken": token[1], **fields}).encode()
        request = urllib.request.Request(self.base + path, data, {"Referer": self.base + path})
        with self._opener.open(request, timeout=60) as answer:
            return answer.read().decode()

    def listen(self, last_id: str) -> Iterator[tuple[str, str]]:
        """Id and kind of each event after ``last_id``, as they come."""
        request = urllib.request.Request(self.base + "/events/", headers={"Last-Event-ID": last_id})
        with self._opener.open(request, timeout=60) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            event_id = ""
            for line in answer:
                name, _colon, value = line.decode().rstrip("\n").partition(": ")
                if name == "id":
                    event_id = value
                elif name == "event":
                    yield event_id, value

    def sign_in(self, address: str) -> None:
        page = self.post("/sign-in/", address=address, password=PASSWORD)
        assert 'id="list"' in page, page

    def send(self, to: str, subject: str, text: str = "Hello.", undo: int = 0) -> None:
        """It can be taken back for ``undo`` seconds."""
        preferences = {"theme": "system", "language": "", "time_zone": "", "page_size": "50"}
        preferences |= {"conversations": "True", "newest_on_top": "False", "rich_text": "False"}
        self.post("/settings/", undo_send=str(undo), **preferences)
        page = self.post("/compose/", to=to, subject=subject, text=text, do="send")
        assert "Sending to" in page, page
