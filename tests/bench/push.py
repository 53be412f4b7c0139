"""What watching and open pages cost, against a real Dovecot, Redis and web server: python -m tests.bench.push

Without network latency. Goals are DESIGN's; 1,000 accounts, 1,000 open event streams.
"""

from __future__ import annotations

import argparse
import os
import resource
import selectors
import socket
import sqlite3
import statistics
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from tests.app import ROOT, Postkasse, eventually
from tests.bench.__main__ import Browser, median
from tests.letters import letter
from tests.servers import Dovecot, SMTPServer

DOMAIN = "push.test"
IDLE_SECONDS = 60
LIMITS = """
default_client_limit = 5000
default_process_limit = 3000
mail_max_userip_connections = 5000
service imap-login {{
  client_limit = 5000
}}
service imap {{
  process_limit = {count}
}}
service anvil {{
  client_limit = 9000
}}
service auth {{
  client_limit = 9000
}}
service stats {{
  client_limit = 9000
}}
"""


def memory(pid: int) -> float:
    """Resident, MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def processor(pid: int) -> float:
    """Seconds spent so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def copy_account(app: Postkasse, address: str, count: int) -> None:
    """More people like this one; any name can sign in to the mail server."""
    with closing(sqlite3.connect(app.data / "postkasse.sqlite3", timeout=20)) as database:
        database.row_factory = sqlite3.Row
        user, account, inbox = (
            dict(database.execute(query, [address]).fetchone())
            for query in (
                "SELECT * FROM accounts_user WHERE address = ?",
                "SELECT * FROM accounts_account WHERE address = ?",
                "SELECT * FROM webmail_mailbox WHERE role = 'inbox' AND account_id = "
                "(SELECT id FROM accounts_account WHERE address = ?)",
            )
        )
        for n in range(count):
            name = f"many{n}@{DOMAIN}"
            user_id = _insert(database, "accounts_user", user, address=name, handle=name)
            fresh = {"watch_holder": "", "watch_lease": None, "push": "", "sync_holder": "", "sync_lease": None}
            account_id = _insert(
                database, "accounts_account", account, user_id=user_id, address=name, username=name, **fresh
            )
            _insert(database, "webmail_mailbox", inbox, account_id=account_id)
        database.commit()


def _insert(database: sqlite3.Connection, table: str, row: dict[str, object], **changes: object) -> int:
    values = {name: value for name, value in (row | changes).items() if name != "id"}
    marks = ", ".join("?" * len(values))
    done = database.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))
    assert done.lastrowid
    return done.lastrowid


def watching(app: Postkasse, count: int) -> None:
    """One process, many accounts. No worker meanwhile: what syncing costs is another matter."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "manage.py", "watch"], cwd=ROOT, env=app.environment)
    try:
        watched = "SELECT COUNT(*) AS n FROM accounts_account WHERE push <> ''"
        eventually(lambda: app.rows(watched)[0]["n"] >= count, f"{count} accounts watched", 600)
        print(f"{count:,} accounts watched after {time.perf_counter() - began:.1f} s")
        time.sleep(5)
        busy = processor(process.pid)
        time.sleep(IDLE_SECONDS)
        share = (processor(process.pid) - busy) / IDLE_SECONDS
        print(f"memory {memory(process.pid):.0f} MB (goal < 150), idle {share:.1%} of a core (goal < 5 %)")
    finally:
        began = time.perf_counter()
        process.terminate()
        process.wait(60)
        print(f"ended, leases given back, after {time.perf_counter() - began:.1f} s")


class Streams:
    """Many event streams of one person, read by one selector."""

    def __init__(self, browser: Browser, count: int) -> None:
        self.selector = selectors.DefaultSelector()
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        request = f"GET /events/ HTTP/1.1\r\nHost: 127.0.0.1:{browser.port}\r\nCookie: {cookie}\r\n\r\n".encode()
        self.sockets = []
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", browser.port), 30)
            sock.sendall(request)
            self.sockets.append(sock)
            self.selector.register(sock, selectors.EVENT_READ)
        waiting = set(self.sockets)
        deadline = time.monotonic() + 120
        while waiting:
            assert time.monotonic() < deadline, f"{len(waiting)} streams did not begin"
            waiting -= {sock for sock, data in self.read(1.0) if b"retry:" in data}

    def read(self, timeout: float) -> list[tuple[socket.socket, bytes]]:
        found = []
        for key, _mask in self.selector.select(timeout):
            assert isinstance(key.fileobj, socket.socket)
            data = key.fileobj.recv(65536)
            assert data, "a stream ended"
            found.append((key.fileobj, data))
        return found

    def drain(self) -> None:
        while self.read(0.5):
            pass

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.selector.close()


def pages_beside_streams(browser: Browser, web: int, count: int, repeat: int) -> None:
    """The second figure is taken while the open streams do what they do: give a sign of life now and then."""
    ask = lambda: browser.ask("GET", "/")  # noqa: E731
    ask()
    alone, before = median(ask, repeat), memory(web)
    began = time.perf_counter()
    streams = Streams(browser, count)
    opened = time.perf_counter() - began
    streams.drain()
    beside = median(ask, repeat)
    print(
        f"page: {alone:.1f} ms alone, {beside:.1f} ms beside {count:,} open streams "
        f"(opened in {opened:.1f} s, {(memory(web) - before) * 1000 / count:.0f} kB each)"
    )
    streams.close()


def delivery(app: Postkasse, dovecot: Dovecot, browser: Browser, address: str, repeat: int) -> None:
    """From the moment LMTP has accepted a message until an open page hears of it."""
    streams = Streams(browser, 1)
    times = []
    for n in range(repeat):
        streams.drain()
        time.sleep(0.7)
        dovecot.deliver(address, letter(f"Message {n}", to=address))
        began = time.perf_counter()
        deadline = time.monotonic() + 60
        while not any(b'"arrived": 1' in data for _sock, data in streams.read(1.0)):
            assert time.monotonic() < deadline, app.log()
        times.append((time.perf_counter() - began) * 1000)
    streams.close()
    times.sort()
    print(
        f"delivery to event: median {statistics.median(times):.0f} ms, p95 {times[int(len(times) * 0.95)]:.0f} ms "
        f"of {repeat} (goal < 1,000)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=40)
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000) if hard > 0 else 20_000, hard))
    address = f"first@{DOMAIN}"
    settings = LIMITS.format(count=options.count + 200)
    with Dovecot(settings=settings) as dovecot, SMTPServer(deliver_to=dovecot, domains=(DOMAIN,)) as smtp:
        table = {
            DOMAIN: {"incoming": f"imap://localhost:{dovecot.imap_port}", "outgoing": f"smtp://localhost:{smtp.port}"}
        }
        with Postkasse(table) as app:
            browser = Browser(app.port)
            browser.sign_in(address)
            browser.ask("GET", "/")  # now they are here
            watched = "SELECT 1 FROM accounts_account WHERE push <> ''"
            eventually(lambda: app.rows(watched), f"watched\n{app.log()}")
            delivery(app, dovecot, browser, address, options.repeat)
            pages_beside_streams(browser, app.process("web"), options.count, options.repeat)
            app.end_program("watch")
            app.kill_worker()
            copy_account(app, address, options.count - 1)
            watching(app, options.count)


if __name__ == "__main__":
    main()
