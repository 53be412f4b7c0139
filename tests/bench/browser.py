"""What asks: one browser with its cookies, and many at once."""

from __future__ import annotations

import gzip
import http.client
import re
import socket
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from tests.servers import PASSWORD


@dataclass
class Browser:
    """A cookie jar and a connection that is kept open."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)
    octets: int = 0

    def __post_init__(self) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> tuple[int, str, str]:
        """Status, Location and body."""
        body = urlencode({**form, "csrfmiddlewaretoken": self.token}) if form is not None else None
        headers = {"Accept-Encoding": "gzip", "Cookie": self.cookie, **headers}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):  # the server tired of an idle connection
            self.connection.close()
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
        text = answer.read()
        self.octets = len(text)
        if answer.getheader("Content-Encoding") == "gzip":
            text = gzip.decompress(text)
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _equals, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.getheader("Location", ""), text.decode("utf-8", "replace")

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    @property
    def token(self) -> str:
        return self.cookies.get("csrftoken", "")

    def sign_in(self, address: str) -> None:
        self.ask("GET", "/sign-in/")
        status, _place, text = self.ask("POST", "/sign-in/", {"address": address, "password": PASSWORD, "keep": "1"})
        assert status == 302, text[:2000]


def median(act: Callable[[], object], repeat: int) -> float:
    """Milliseconds; the first two are not counted."""
    times = []
    for _round in range(repeat + 2):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times[2:])


def per_second(port: int, cookie: str, paths: list[str], users: int = 8, seconds: float = 4.0) -> float:
    """Answers a second when ``users`` ask at once, each again as soon as answered."""
    end = time.monotonic() + seconds
    answered = [0] * users

    def ask(user: int) -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.monotonic() < end:
                _ask(connection, cookie, paths[(user + answered[user]) % len(paths)])
                answered[user] += 1

    threads = [threading.Thread(target=ask, args=(user,)) for user in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(answered)
    return sum(answered) / seconds


def _ask(connection: socket.socket, cookie: str, path: str) -> None:
    """By hand: http.client takes as long as a quarter of our answer, on the cores that the server is to answer from."""
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", f"Cookie: {cookie}", "Accept-Encoding: gzip"]
    lines += ["HX-Request: true", "HX-Target: read"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _received(connection)
    head, _blank, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    assert head.startswith(b"HTTP/1.1 200"), head
    assert length, head
    left = int(length[1]) - len(body)
    while left > 0:
        left -= len(_received(connection))


def _received(connection: socket.socket) -> bytes:
    octets = connection.recv(65536)
    assert octets, "the server hung up"
    return octets
