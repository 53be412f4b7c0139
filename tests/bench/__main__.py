"""Time what people do all day, on a real Dovecot, over HTTP, as a browser would ask.

    python -m tests.bench [--sizes 1000,20000,100000,1000000] [--database sqlite,postgres] [--repeat 40]

Every figure is the median of ``repeat`` requests, without network latency. A few hundred messages are real, on a server;
the rest of a large mailbox are rows beside them. The peers' figures were taken on another day's machine, so each of ours
is also given as a multiple of the smallest Django answer there is (``x``), which is measured between any two of them.
"""

from __future__ import annotations

import argparse
import imaplib
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.app import ROOT, Postkasse, eventually
from tests.bench.browser import Browser, median, per_second
from tests.servers import PASSWORD, Dovecot, SMTPServer, free_port

DOMAIN = "bench.test"
REAL = 400  # messages that are on the server too
# Medians of others by number of messages, milliseconds: Roundcube 1.6.5, SnappyMail 2.38.2; then our goal.
PEERS: dict[str, tuple[dict[int, int], dict[int, int], str]] = {
    "list, first page": ({1000: 22, 20000: 62, 100000: 284}, {1000: 23, 20000: 29, 100000: 224}, "<= 8"),
    "list, after a change": ({1000: 22, 20000: 62, 100000: 284}, {1000: 23, 20000: 29, 100000: 224}, "<= 8"),
    "list, next page": ({100000: 301}, {100000: 200}, "<= 8"),
    "list, deep pages": ({100000: 284}, {100000: 255}, "<= 8"),
    "list, unread": ({}, {}, "<= 8"),
    "list, with files": ({}, {}, "<= 8"),
    "inbox of 3 accounts": ({}, {}, "<= 8"),
    "unread everywhere": ({}, {}, "<= 8"),
    "starred everywhere, none is": ({}, {}, "<= 8"),
    "compose, a new message": ({}, {}, "<= 10"),
    "compose, an answer": ({}, {}, "<= 10"),
    "open plain": ({1000: 20, 20000: 33, 100000: 118}, {1000: 15, 20000: 35, 100000: 100}, "<= 8"),
    "open plain, not cached": ({1000: 20, 20000: 33, 100000: 118}, {1000: 15, 20000: 35, 100000: 100}, "<= 15"),
    "open newsletter": ({1000: 50, 20000: 61, 100000: 159}, {1000: 17, 20000: 36, 100000: 112}, "<= 8"),
    "open newsletter, not cached": ({1000: 50, 20000: 61, 100000: 159}, {1000: 17, 20000: 36, 100000: 112}, "<= 60"),
    "star one (peers: mark read)": ({100000: 144}, {100000: 138}, "<= 6"),
    "move one": ({100000: 325}, {100000: 453}, "<= 6"),
    "sign in to inbox, known account": (
        {1000: 59, 20000: 106, 100000: 304},
        {1000: 54, 20000: 78, 100000: 289},
        "<= 30",
    ),
    "lists a second, 8 users": ({1000: 104}, {1000: 99}, ">= 300"),
    "openings a second, 8 users": ({1000: 63}, {1000: 110}, ">= 300"),
}


class Figures(dict[str, float]):
    """What was measured, by name. A machine is not equally fast all the time, so ``units`` has of each the milliseconds that
    the smallest Django took to answer just before and just after."""

    def __init__(self, smallest: Browser) -> None:
        super().__init__()
        self._smallest = smallest
        self._last = self._unit()
        self.units: dict[str, float] = {}

    def _unit(self) -> float:
        return median(lambda: self._smallest.ask("GET", "/"), 100)

    def __setitem__(self, name: str, figure: float) -> None:
        before, self._last = self._last, self._unit()
        self.units[name] = (before + self._last) / 2
        super().__setitem__(name, figure)


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


def measure(app: Postkasse, dovecot: Dovecot, smallest: Browser, size: int, repeat: int) -> Figures:
    address = f"bench{size}@{DOMAIN}"
    fill(dovecot, address, min(size, REAL))
    browser = Browser(app.port)
    browser.sign_in(address)
    eventually(lambda: _complete(app, address), "messages synced", 120)
    _settle(app)
    command = [sys.executable, "-m", "tests.bench.synthetic", address, str(size)]
    subprocess.run(command, cwd=ROOT, env={**app.environment, "DJANGO_SETTINGS_MODULE": "webmail.settings"}, check=True)
    app.change("ANALYZE")  # as the database does by itself within a minute
    figures = Figures(smallest)
    _lists(app, browser, address, repeat, figures)
    _openings(app, browser, address, repeat, figures)
    _actions(app, browser, address, repeat, figures)
    answered = iter(_messages(app, address, "plain", True, repeat + 2))
    figures["compose, a new message"] = median(lambda: _get(browser, "/compose/"), repeat)
    figures["compose, an answer"] = median(lambda: _get(browser, f"/compose/?reply={next(answered)}"), repeat)
    figures["sign in to inbox, known account"] = _sign_ins(app, address, min(repeat, 20))
    plain = [f"/messages/{pk}/" for pk in _messages(app, address, "plain", True, 20)]
    _settle(app)
    figures["lists a second, 8 users"] = per_second(app.port, browser.cookie, ["/"])
    figures["openings a second, 8 users"] = per_second(app.port, browser.cookie, plain)
    return figures


def _lists(app: Postkasse, browser: Browser, address: str, repeat: int, figures: Figures) -> None:
    folder = f"/folders/{_inbox(app, address)}/"
    figures["list, first page"] = median(lambda: _get(browser, folder), repeat)
    figures["list, first page, bytes (gzip)"] = _bytes(browser, folder)
    following = re.search(r'href="([^"]*after=[^"]*)"', _get(browser, folder))
    assert following
    figures["list, next page"] = median(lambda: _get(browser, following[1]), repeat)
    deep = iter(_cursors(app, address, repeat + 2))
    figures["list, deep pages"] = median(lambda: _get(browser, f"{folder}?after={next(deep)}"), repeat)
    figures["list, unread"] = median(lambda: _get(browser, f"{folder}?f=unread"), repeat)
    figures["list, with files"] = median(lambda: _get(browser, f"{folder}?f=files"), repeat)
    figures["inbox of 3 accounts"] = median(lambda: _get(browser, "/"), repeat)
    figures["unread everywhere"] = median(lambda: _get(browser, "/unread/"), repeat)
    figures["starred everywhere, none is"] = median(lambda: _get(browser, "/starred/"), repeat)


def _openings(app: Postkasse, browser: Browser, address: str, repeat: int, figures: Figures) -> None:
    count = min(repeat, 20)
    for kind, name in (("plain", "open plain"), ("html", "open newsletter")):
        cached = iter(_messages(app, address, kind, True, count + 2))
        figures[name] = median(lambda cached=cached: _open(browser, next(cached)), count)  # type: ignore[misc]
        figures[f"{name}, not cached"] = _cold(app, browser, address, kind)


def _actions(app: Postkasse, browser: Browser, address: str, repeat: int, figures: Figures) -> None:
    """A page made anew is timed by itself, once the server has been told: nothing of it is at hand."""
    ids = iter(_messages(app, address, "plain", True, 2 * repeat + 20))
    folder = f"/folders/{_inbox(app, address)}/"

    def act(path: str) -> tuple[float, float]:
        times, pages = [], []
        for _round in range(repeat):
            began = time.perf_counter()
            status, _place, text = browser.ask("POST", path, {"id": str(next(ids)), "next": folder})
            times.append((time.perf_counter() - began) * 1000)
            assert status == 303, text[:500]
            _get(browser, folder)  # says that it is done
            _settle(app)
            _change_nothing(browser)
            began = time.perf_counter()
            _get(browser, folder)
            pages.append((time.perf_counter() - began) * 1000)
        return statistics.median(times), statistics.median(pages)

    figures["star one (peers: mark read)"], figures["list, after a change"] = act("/messages/keywords/?set=star")
    figures["move one"], _page = act("/messages/mailbox/?role=archive")
    _settle(app)


def _change_nothing(browser: Browser) -> None:
    """But what was made of the mail so far is not shown again."""
    browser.ask("POST", "/messages/keywords/?set=read", {"id": "0", "next": "/outbox/"})
    _get(browser, "/outbox/")  # says that nothing was selected


def _get(browser: Browser, path: str) -> str:
    status, _place, text = browser.ask("GET", path)
    assert status == 200, f"{path}: {status}"
    return text


def _inbox(app: Postkasse, address: str) -> int:
    query = "SELECT m.id AS id FROM webmail_mailbox m JOIN accounts_account a ON a.id = m.account_id"
    return int(app.rows(f"{query} WHERE a.address = ? AND m.role = 'inbox'", address)[0]["id"])


def _cursors(app: Postkasse, address: str, count: int) -> list[str]:
    """Of pages near the end, each another one; they overlap, so most of their rows were rendered before."""
    rows = app.rows(
        "SELECT received_at AS at, id FROM webmail_message WHERE mailbox_id = ? ORDER BY received_at, id LIMIT ?",
        _inbox(app, address),
        60 + 2 * count,
    )
    return [f"{_microseconds(row['at'])}-{row['id']}" for row in rows[60::2]]


def _microseconds(value: str | datetime) -> int:
    """As cursors have it. SQLite keeps times as text, in UTC."""
    moment = datetime.fromisoformat(value).replace(tzinfo=UTC) if isinstance(value, str) else value
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _sign_ins(app: Postkasse, address: str, repeat: int) -> float:
    """What one sets off in the background is over before the next: nobody signs in twenty times a second."""

    def sign_in() -> float:
        browser, began = Browser(app.port), time.perf_counter()
        browser.sign_in(address)
        assert browser.ask("GET", "/")[0] == 200
        took = (time.perf_counter() - began) * 1000
        _settle(app)
        return took

    sign_in()
    return statistics.median(sign_in() for _round in range(repeat))


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


BUSY = (
    "SELECT COUNT(*) AS n FROM webmail_operation WHERE state IN ('pending', 'replaying')",
    "SELECT COUNT(*) AS n FROM accounts_account WHERE sync_holder <> ''",
    "SELECT COUNT(*) AS n FROM webmail_message WHERE index_due > 0",
)


def _settle(app: Postkasse) -> None:
    """Nothing is left for the background to do, so that it does not take part in what is timed. It is looked for twice: the
    server tells of a change that we made, and then a sync looks at it."""
    for _time in range(2):
        eventually(lambda: not any(app.rows(query)[0]["n"] for query in BUSY), "the background is idle", 300)
        time.sleep(0.4)


def _messages(app: Postkasse, address: str, kind: str, cached: bool, count: int) -> list[int]:
    rows = app.rows(
        "SELECT m.id AS id FROM webmail_message m JOIN accounts_account a ON a.id = m.account_id "
        "JOIN webmail_mailbox b ON b.id = m.mailbox_id LEFT JOIN webmail_messagebody t ON t.message_id = m.id "
        f"WHERE a.address = ? AND b.role = 'inbox' AND t.message_id IS {'NOT ' if cached else ''}NULL "
        f"AND CAST(m.structure AS text) {'LIKE' if kind == 'html' else 'NOT LIKE'} '%text/html%' ORDER BY m.id LIMIT ?",
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


def _cold(app: Postkasse, browser: Browser, address: str, kind: str) -> float:
    """Each body is forgotten by us first, so that it is fetched and cleaned again."""
    times = []
    for pk in _messages(app, address, kind, True, 10)[:10]:
        app.change("DELETE FROM webmail_messagebody WHERE message_id = ?", pk)
        _change_nothing(browser)
        began = time.perf_counter()
        _open(browser, pk)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


@contextmanager
def smallest() -> Iterator[int]:
    """The port of the smallest Django there is, under the same server."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    command = [sys.executable, "-m", "uvicorn", "tests.bench.empty:application", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "error", "--lifespan", "off"], cwd=ROOT, env=kept)
    try:
        eventually(lambda: _answers(port), "the smallest Django")
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        return Browser(port).ask("GET", "/")[0] == 200
    except ConnectionError:
        return False


def report(database: str, results: dict[int, Figures]) -> None:
    sizes = list(results)
    units = [unit for figures in results.values() for unit in figures.units.values()]
    fast, slow = min(units), max(units)
    print(f"\n{database}; the smallest Django answer took {statistics.median(units):.2f} ms ({fast:.2f} to {slow:.2f})")
    print(
        f"{'median, ms unless it says otherwise':36}"
        + "".join(f"{size:>11,}     x" for size in sizes)
        + "  goal     Roundcube / SnappyMail"
    )
    for name in next(iter(results.values())):
        roundcube, snappymail, goal = PEERS.get(name, ({}, {}, ""))
        cells = "".join(_cell(name, results[size]) for size in sizes)
        theirs = "  ".join(f"{roundcube[size]} / {snappymail[size]} ({size // 1000} k)" for size in roundcube)
        print(f"{name:36}{cells}  {goal:7}  {theirs}")


def _cell(name: str, figures: Figures) -> str:
    times = "" if "second" in name or "bytes" in name else f"{figures[name] / figures.units[name]:.1f}"
    return f"{figures[name]:>11.1f}{times:>6}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1000,20000,100000")
    parser.add_argument("--database", default="sqlite,postgres")
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args()
    with Dovecot() as dovecot, SMTPServer(deliver_to=dovecot, domains=(DOMAIN,)) as smtp:
        table = {
            DOMAIN: {"incoming": f"imap://localhost:{dovecot.imap_port}", "outgoing": f"smtp://localhost:{smtp.port}"}
        }
        for database in options.database.split(","):
            results = {}
            with smallest() as port, Postkasse(table, database=database, web=2) as app:  # as `make run` starts it
                for size in map(int, options.sizes.split(",")):
                    print(f"{database}: {size:,} messages …", flush=True)
                    results[size] = measure(app, dovecot, Browser(port), size, options.repeat)
            report(database, results)


if __name__ == "__main__":
    main()
