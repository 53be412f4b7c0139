"""Time what people do all day, on a real Dovecot, over HTTP, as a browser would ask.

    python -m tests.bench [--sizes 1000,20000] [--repeat 40]

Every figure is the median of ``repeat`` requests, without network latency. The peers' figures were taken on another day's
machine; the time of an almost empty answer of ours, printed first, says how this one compares.
"""

from __future__ import annotations

import argparse
import http.client
import imaplib
import re
import socket
import sqlite3
import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import urlencode

from tests.app import Postkasse, eventually
from tests.servers import PASSWORD, Dovecot, SMTPServer

DOMAIN = "bench.test"
# Medians of DESIGN's table: (Roundcube 1.6.5, SnappyMail 2.38.2, our goal), milliseconds, for 1 k and 20 k messages.
PEERS = {
    "list, first page": ({1000: 22, 20000: 62}, {1000: 23, 20000: 29}, 8),
    "list, next page": ({}, {}, 8),
    "open a plain message": ({1000: 20, 20000: 33}, {1000: 15, 20000: 35}, 8),
    "open a plain message, not cached": ({1000: 20, 20000: 33}, {1000: 15, 20000: 35}, 15),
    "open a newsletter": ({1000: 50, 20000: 61}, {1000: 17, 20000: 36}, 8),
    "open a newsletter, not cached": ({1000: 50, 20000: 61}, {1000: 17, 20000: 36}, 60),
    "star one": ({}, {}, 6),
    "move one": ({}, {}, 6),
    "send (until the page answers)": ({}, {}, None),
    "sign in (known account)": ({1000: 59, 20000: 106}, {1000: 54, 20000: 78}, 30),
}


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
        headers |= {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
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
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            name, _equals, value = cookie.split(";")[0].partition("=")
            self.cookies[name] = value
        return answer.status, answer.getheader("Location", ""), text.decode("utf-8", "replace")

    @property
    def token(self) -> str:
        return self.cookies.get("csrftoken", "")

    def sign_in(self, address: str) -> None:
        self.ask("GET", "/sign-in/")
        status, _place, text = self.ask("POST", "/sign-in/", {"address": address, "password": PASSWORD, "keep": "1"})
        assert status == 302, text[:2000]


def median(act: Callable[[], object], repeat: int) -> float:
    """Milliseconds."""
    times = []
    for _round in range(repeat):
        began = time.perf_counter()
        act()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def newsletter() -> str:
    """About 100 kB of the tables and inline styles that shops send."""
    row = (
        '<tr><td style="padding:12px 24px;font:14px/1.5 Arial,sans-serif;color:#333333;border-bottom:1px solid #eeeeee">'
        '<a href="https://shop.example/item/{n}" style="color:#0a5;text-decoration:none"><b>Item {n}</b></a>'
        '<p style="margin:4px 0;color:#666666">A short description of the thing, its price and why now.</p>'
        '<img src="https://shop.example/i/{n}.png" width="120" height="80" alt="Item {n}"></td></tr>\n'
    )
    return "<html><body><table width=600>" + "".join(row.format(n=n) for n in range(270)) + "</table></body></html>"


def fill(dovecot: Dovecot, address: str, count: int) -> None:
    """Plain messages with replies among them, and newsletters on top."""
    now = datetime.now(UTC)
    page = newsletter()
    with imaplib.IMAP4("127.0.0.1", dovecot.imap_port) as client:
        client.login(address, PASSWORD)
        for n in range(count):
            when = now - timedelta(minutes=count - n)
            html = n >= count - 60 and n % 2
            head = (
                f"From: Person {n % 200} <p{n % 200}@example.org>\r\nTo: <{address}>\r\nSubject: Subject {n // 3} of many\r\n"
                f"Date: {format_datetime(when)}\r\nMessage-ID: <{n}@bench.example>\r\n"
                + (f"In-Reply-To: <{n - 1}@bench.example>\r\n" if n % 3 else "")
                + f"MIME-Version: 1.0\r\nContent-Type: text/{'html' if html else 'plain'}; charset=utf-8\r\n\r\n"
            )
            body = page if html else f"Hello, this is message {n}.\r\n" * 20
            client.append(
                "INBOX", "" if n % 10 == 0 else r"(\Seen)", imaplib.Time2Internaldate(when), (head + body).encode()
            )


def measure(app: Postkasse, dovecot: Dovecot, size: int, repeat: int) -> dict[str, float]:
    address = f"bench{size}@{DOMAIN}"
    fill(dovecot, address, size)
    browser = Browser(app.port)
    began = time.perf_counter()
    browser.sign_in(address)
    status, _place, text = browser.ask("GET", "/")
    first = time.perf_counter() - began
    assert status == 200
    assert 'class="row' in text, "no message on the first page"
    figures = {"new account: sign-in until page one is answered": first * 1000}
    began = time.perf_counter()
    eventually(lambda: _complete(app, address), f"{size} messages synced", 600)
    figures["back-fill, messages/s"] = size / (time.perf_counter() - began)
    _settle(app)

    def open_(kind: str, cached: bool) -> Callable[[], object]:
        ids = iter(_messages(app, address, kind, cached, repeat))
        return lambda: _open(browser, next(ids))

    figures["an almost empty answer"] = median(lambda: browser.ask("GET", "/check/"), repeat)
    figures["list, first page"] = median(lambda: browser.ask("GET", "/"), repeat)
    figures["list, first page, bytes (gzip)"] = _bytes(browser, "/")
    older = re.search(r'href="([^"]*after=[^"]*)"', browser.ask("GET", "/")[2])
    if older:
        figures["list, next page"] = median(lambda: browser.ask("GET", older[1]), repeat)
    for kind, name in (("plain", "open a plain message"), ("html", "open a newsletter")):
        figures[name] = median(open_(kind, True), min(repeat, 20))
        cold = min(repeat, 20) if kind == "plain" else 0
        if cold:
            figures[f"{name}, not cached"] = median(open_(kind, False), cold)
    figures["open a newsletter, not cached"] = _cold_newsletter(app, browser, address)
    ids = iter(_messages(app, address, "plain", True, 2 * repeat) + _messages(app, address, "plain", False, 2 * repeat))
    figures["star one"] = median(
        lambda: browser.ask("POST", "/messages/keywords/?set=star", {"id": str(next(ids)), "next": "/"}), repeat
    )
    figures["move one"] = median(
        lambda: browser.ask("POST", "/messages/mailbox/?role=archive", {"id": str(next(ids)), "next": "/"}), repeat
    )
    _settle(app)
    form = {"to": f"friend@{DOMAIN}", "subject": "Bench", "text": "Hello\n", "do": "send", "identity": ""}
    figures["send (until the page answers)"] = median(lambda: browser.ask("POST", "/compose/", form), min(repeat, 20))
    figures["sign in (known account)"] = median(lambda: _sign_in_again(app.port, address), min(repeat, 20))
    return figures


def _sign_in_again(port: int, address: str) -> None:
    browser = Browser(port)
    browser.sign_in(address)
    assert browser.ask("GET", "/")[0] == 200


def _bytes(browser: Browser, path: str) -> float:
    browser.ask("GET", path, **{"Accept-Encoding": "gzip"})
    return browser.octets


def _complete(app: Postkasse, address: str) -> bool:
    rows = app.rows(
        "SELECT COUNT(*) AS n FROM webmail_mailbox m JOIN accounts_account a ON a.id = m.account_id "
        "WHERE a.address = ? AND m.role = 'inbox' AND m.complete",
        address,
    )
    return bool(rows[0]["n"])


def _settle(app: Postkasse) -> None:
    """Nothing is left for the background to do, so that it does not take part in what is timed."""
    quiet = "SELECT COUNT(*) AS n FROM webmail_operation WHERE state IN ('pending', 'replaying')"
    eventually(lambda: app.rows(quiet)[0]["n"] == 0, "all operations replayed", 300)
    eventually(
        lambda: app.rows("SELECT COUNT(*) AS n FROM accounts_account WHERE sync_holder <> ''")[0]["n"] == 0,
        "sync over",
        300,
    )


def _messages(app: Postkasse, address: str, kind: str, cached: bool, count: int) -> list[int]:
    rows = app.rows(
        "SELECT m.id AS id FROM webmail_message m JOIN accounts_account a ON a.id = m.account_id "
        "JOIN webmail_mailbox b ON b.id = m.mailbox_id LEFT JOIN webmail_messagebody t ON t.message_id = m.id "
        f"WHERE a.address = ? AND b.role = 'inbox' AND t.message_id IS {'NOT ' if cached else ''}NULL "
        f"AND m.structure {'LIKE' if kind == 'html' else 'NOT LIKE'} '%text/html%' ORDER BY m.id LIMIT ?",
        address,
        count,
    )
    found = [row["id"] for row in rows]
    return found * (count // max(len(found), 1) + 1) if cached else found


def _open(browser: Browser, pk: int) -> None:
    """As a click does: the reading pane, then the body document if there is one."""
    status, _place, text = browser.ask("GET", f"/messages/{pk}/", **{"HX-Request": "true", "HX-Target": "read"})
    assert status == 200
    if "<iframe" in text:
        assert browser.ask("GET", f"/messages/{pk}/body/")[0] == 200


def _cold_newsletter(app: Postkasse, browser: Browser, address: str) -> float:
    """Each body is forgotten by us first, so that it is fetched and cleaned again."""
    times = []
    for pk in _messages(app, address, "html", True, 10)[:10]:
        _forget(app, pk)
        began = time.perf_counter()
        _open(browser, pk)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def _forget(app: Postkasse, pk: int) -> None:
    with closing(sqlite3.connect(app.data / "postkasse.sqlite3", timeout=20)) as database:
        database.execute("DELETE FROM webmail_messagebody WHERE message_id = ?", [pk])
        database.commit()


def report(results: dict[int, dict[str, float]]) -> None:
    sizes = list(results)
    print(
        f"\n{'median, ms unless it says otherwise':50}"
        + "".join(f"{size:>10,}" for size in sizes)
        + "   Roundcube   SnappyMail   goal"
    )
    for name in next(iter(results.values())):
        roundcube, snappymail, goal = PEERS.get(name, ({}, {}, None))
        cells = "".join(f"{results[size].get(name, float('nan')):>10.1f}" for size in sizes)
        theirs = (
            " / ".join(str(peer.get(size, "-")) for size in sizes) if peer else "" for peer in (roundcube, snappymail)
        )
        print(f"{name:50}{cells}" + "".join(f"{text:>12} " for text in theirs) + (f"  <= {goal}" if goal else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,20000")
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args()
    results = {}
    with Dovecot() as dovecot, SMTPServer(deliver_to=dovecot, domains=(DOMAIN,)) as smtp:
        table = {
            DOMAIN: {"incoming": f"imap://localhost:{dovecot.imap_port}", "outgoing": f"smtp://localhost:{smtp.port}"}
        }
        with Postkasse(table) as app:
            for size in map(int, options.sizes.split(",")):
                print(f"{size:,} messages …", flush=True)
                results[size] = measure(app, dovecot, size, options.repeat)
    report(results)


if __name__ == "__main__":
    main()
