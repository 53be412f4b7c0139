"""The picture proxy: it goes where the name pointed when it was checked, and nowhere else."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from tests.letters import letter
from tests.views.conftest import Person
from webmail import outside, pictures, tasks
from webmail.models import RemotePermission, RemotePicture

PUBLIC, INNER = "8.8.8.8", "10.0.0.1"
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Web:
    """A web server that all connections of the proxy end at, and a name system; ``connected`` are the addresses that were
    asked for, ``looked_up`` the names."""

    answers: dict[str, Answer] = field(default_factory=dict)
    names: dict[str, list[str]] = field(default_factory=dict)
    connected: list[tuple[str, int]] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)

    def lookup(self, host: str, port: int, **_named: Any) -> list[Any]:
        self.looked_up.append(host)
        known = self.names.get(host, [host])
        address = known.pop(0) if len(known) > 1 else known[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]


@pytest.fixture
def web(alice: Person, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:  # alice has connected to her servers before
    web = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = web.answers[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def connected(address: tuple[str, int], timeout: float) -> socket.socket:
        web.connected.append(address)
        connection = socket.socket()
        connection.settimeout(timeout)
        connection.connect(server.server_address)
        return connection

    web.names = {"pictures.example": [PUBLIC], "inner.example": [INNER]}
    with monkeypatch.context() as patch:
        patch.setattr("accounts.discovery.socket.getaddrinfo", web.lookup)
        patch.setattr(outside.socket, "create_connection", connected)
        yield web
    server.shutdown()
    server.server_close()


@pytest.fixture
def ask(alice: Person) -> Callable[[str], Any]:
    return lambda url: alice.get(pictures.proxy_url(alice.account.pk, url))


def test_a_picture_comes_from_the_address_that_was_checked(web: Web, ask: Callable[[str], Any]) -> None:
    web.names["pictures.example"] = [PUBLIC, INNER]  # what the name says from the second time on
    web.answers["/a.png"] = (200, {"Content-Type": "text/html"}, PNG)
    answer = ask("http://pictures.example/a.png")
    assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "image/png", PNG)
    assert "sandbox" in answer["Content-Security-Policy"]
    assert (web.connected, web.looked_up) == ([(PUBLIC, 80)], ["pictures.example"])


def test_its_server_hears_of_the_first_showing_only(web: Web, ask: Callable[[str], Any]) -> None:
    web.answers |= {"/a.png": (200, {}, PNG), "/none.png": (200, {}, b"<html>")}
    for _time in range(3):
        assert b"".join([ask("http://pictures.example/a.png").content]) == PNG
        assert ask("http://pictures.example/none.png").status_code == 404
    assert len(web.connected) == 2


def test_what_is_past_its_time_is_fetched_anew_and_what_is_too_much_goes_with_its_file(
    web: Web, ask: Callable[[str], Any], alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    web.answers |= {f"/{n}.png": (200, {}, PNG + bytes([n])) for n in range(3)}
    for n in range(3):
        ask(f"http://pictures.example/{n}.png")
    names = list(RemotePicture.objects.order_by("fetched_at").values_list("file", flat=True))
    monkeypatch.setattr(pictures, "MOST_KEPT", 2 * len(PNG) + 2)
    pictures.forget_old()
    assert [default_storage.exists(name) for name in names] == [False, True, True]
    RemotePicture.objects.update(fetched_at=timezone.now() - pictures.KEPT - timedelta(1))
    ask("http://pictures.example/2.png")
    assert len(web.connected) == 4
    pictures.forget_old()
    kept = RemotePicture.objects.get()
    assert default_storage.exists(kept.file.name)
    assert not default_storage.exists(names[1])


def newsletter(person: Person, sender: str) -> None:
    pictures_of = "".join(f'<img src="http://pictures.example/{n}.png" width=300 height=200>' for n in range(2))
    pictures_of += '<img src="http://pictures.example/open.gif" width=1 height=1>'
    person.receive(letter(f"News of {sender}", sender=sender, html=pictures_of))


def test_pictures_that_somebody_always_wants_come_with_the_message_and_not_when_it_is_opened(
    alice: Person, request: pytest.FixtureRequest
) -> None:
    RemotePermission.objects.create(user=alice.user, sender="@shop.example")
    newsletter(alice, "news@shop.example")
    newsletter(alice, "news@other.example")
    assert pictures.wanting() == [alice.account.pk]
    web: Web = request.getfixturevalue("web")  # from now on all connections go there
    web.answers |= {"/0.png": (200, {}, PNG), "/1.png": (200, {}, PNG)}
    tasks.fetch_pictures(alice.account.pk)
    assert web.connected == [(PUBLIC, 80), (PUBLIC, 80)]  # without the tracker's
    assert pictures.wanting() == []
    message = alice.message("News of news@shop.example")
    body = alice.get(f"/messages/{message.pk}/body/").content.decode()
    found = re.findall(r'src="(/pictures/[^"]+)"', body)
    assert len(found) == 2
    assert [alice.get(url).content for url in found] == [PNG, PNG]
    assert len(web.connected) == 2


@pytest.mark.parametrize(
    "place",
    [
        "http://inner.example/a.png", "http://127.0.0.1/a.png", "http://[::1]/a.png", "//inner.example/a.png",
        "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "ftp://pictures.example/a.png",
        "http://pictures.example:6379/", "http://user@pictures.example/a.png", "gopher://pictures.example/",
    ],
)  # fmt: skip
def test_a_redirect_leads_nowhere_that_the_first_address_may_not(
    web: Web, ask: Callable[[str], Any], place: str
) -> None:
    web.answers |= {"/go": (302, {"Location": place}, b""), "/a.png": (200, {}, PNG), "/": (200, {}, PNG)}
    web.answers["/latest/meta-data/"] = (200, {}, PNG)
    assert ask("http://pictures.example/go").status_code == 404
    assert web.connected == [(PUBLIC, 80)]
    assert ask(place if ":" in place.split("/")[0] else f"http:{place}").status_code == 404
    assert web.connected == [(PUBLIC, 80)]


def test_a_redirect_to_a_public_place_is_followed_but_not_for_ever(web: Web, ask: Callable[[str], Any]) -> None:
    web.answers |= {"/go": (302, {"Location": "/a.png"}, b""), "/a.png": (200, {}, PNG)}
    web.answers["/round"] = (302, {"Location": "/round"}, b"")
    assert ask("http://pictures.example/go").status_code == 200
    assert ask("http://pictures.example/round").status_code == 404
    assert len(web.connected) == 2 + outside.MAX_REDIRECTS + 1


@pytest.mark.parametrize("body", [b"<svg onload=alert(1)>", b"<html>", b"", b"%PDF-1.4", b"RIFF1234WAVE"])
def test_only_pictures_of_dots_pass(web: Web, ask: Callable[[str], Any], body: bytes) -> None:
    web.answers["/a.png"] = (200, {"Content-Type": "image/png"}, body)
    assert ask("http://pictures.example/a.png").status_code == 404


def test_a_picture_without_end_is_cut(web: Web, ask: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outside, "MAX_OCTETS", 1000)
    web.answers["/a.png"] = (200, {}, PNG + b"\0" * 100_000)
    assert ask("http://pictures.example/a.png").status_code == 404


def test_only_what_we_signed_is_fetched(web: Web, alice: Person) -> None:
    url = pictures.proxy_url(alice.account.pk, "http://pictures.example/a.png")
    assert alice.get(url[:-4] + "x/").status_code in (403, 404)
    assert web.connected == []


def test_nobody_has_a_picture_fetched_for_the_account_of_another(alice: Person, bob: Person, web: Web) -> None:
    web.answers["/a.png"] = (200, {}, PNG)
    assert bob.get(pictures.proxy_url(alice.account.pk, "http://pictures.example/a.png")).status_code == 403
    assert web.connected == []


def test_a_picture_that_drips_ends_in_time(
    web: Web, ask: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "SECONDS", 0.5)
    web.answers["/a.png"] = (200, {"Content-Length": "1000"}, PNG)  # and then nothing more
    monkeypatch.setattr(BaseHTTPRequestHandler, "finish", lambda self: threading.Event().wait(3))
    assert ask("http://pictures.example/a.png").status_code == 404


def test_a_picture_that_is_still_to_come_is_fetched_when_it_is_asked_for(
    web: Web, ask: Callable[[str], Any], alice: Person
) -> None:
    """Whoever took it upon themselves may have died."""
    web.answers["/a.png"] = (200, {}, PNG)
    pictures.want(alice.account.pk, ["http://pictures.example/a.png"])
    RemotePicture.objects.update(fetched_at=timezone.now())
    assert ask("http://pictures.example/a.png").content == PNG
