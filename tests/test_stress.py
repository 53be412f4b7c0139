"""Web, workers and watch write into one SQLite file at once, and nobody ever hears that it was locked."""

from __future__ import annotations

import re
import threading
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.app import Postkasse, eventually
from tests.bench.mail import fill
from tests.letters import letter
from tests.second_client import second_client
from tests.servers import Dovecot, SMTPServer
from tests.visitor import Visitor

pytestmark = pytest.mark.xdist_group("crash")
BEING_FETCHED = 6000  # messages of an account that is back-filled meanwhile
ROUNDS = 25  # of what each visitor does
VISITORS = 4
DELIVERED = 30


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot() as running:
        yield running


@pytest.fixture(scope="module")
def app(dovecot: Dovecot) -> Iterator[Postkasse]:
    with SMTPServer(deliver_to=dovecot, domains=("imap.test",)) as smtp:
        table = {
            "imap.test": {
                "incoming": f"imap://localhost:{dovecot.imap_port}",
                "outgoing": f"smtp://localhost:{smtp.port}",
            }
        }
        with Postkasse(table) as running:
            yield running


def act(visitor: Visitor, number: int, failures: list[str]) -> None:
    """What a busy person does: look, open, mark, move, write."""
    for turn in range(ROUNDS):
        steps: list[Callable[[], object]] = [lambda: visitor.get("/")]
        ids = re.findall(r'name="id" value="(\d+)"', visitor.get("/"))
        if ids:
            pk = ids[(turn * 7 + number) % len(ids)]
            steps += [
                lambda: visitor.get(f"/messages/{pk}/"),
                lambda: visitor.post("/messages/keywords/?set=star", form="/", id=pk, next="/"),
                lambda: visitor.post("/messages/keywords/?set=read", form="/", id=pk, next="/"),
            ]
            if turn % 5 == 4:
                steps.append(lambda: visitor.post("/messages/mailbox/?role=archive", form="/", id=pk, next="/"))
                steps.append(lambda: visitor.post("/messages/keywords/?set=unread", form="/", all="inbox", next="/"))
        steps.append(lambda: visitor.post("/compose/", subject=f"Draft {number} {turn}", text="words", do="save"))
        for step in steps:
            try:
                step()
            except urllib.error.HTTPError as error:
                if error.code != 404:  # moved away by another visitor: they share the account
                    failures.append(f"{error.url}: {error.code}")


def test_nobody_hears_of_a_locked_database(app: Postkasse, dovecot: Dovecot) -> None:
    shared, large = "shared@imap.test", "large@imap.test"
    with second_client(dovecot, shared) as client:
        client.append_many(letter(f"Before {n}", f"text {n}") for n in range(60))
    fill(dovecot, large, BEING_FETCHED)
    visitors = [Visitor(app) for _n in range(VISITORS)]
    for visitor in visitors:
        visitor.sign_in(shared)
    eventually(lambda: complete(app, shared), "the shared account is fetched", 60)
    Visitor(app).sign_in(large)
    failures: list[str] = []
    over = threading.Event()
    with ThreadPoolExecutor(VISITORS + 1) as pool:
        delivering = pool.submit(deliver, dovecot, shared, over)
        working = [pool.submit(act, visitor, number, failures) for number, visitor in enumerate(visitors)]
        for work in working:
            work.result()
        over.set()
        delivering.result()
    assert failures == []
    eventually(lambda: complete(app, large), "the large account is fetched", 120)
    open_ones = "SELECT COUNT(*) AS n FROM webmail_operation WHERE state IN ('pending', 'replaying')"
    eventually(lambda: app.rows(open_ones)[0]["n"] == 0, "everything has reached the server", 120)
    stored = app.rows(
        "SELECT COUNT(*) AS n FROM webmail_message m JOIN accounts_account a ON a.id = m.account_id WHERE a.address = ?",
        large,
    )
    assert stored[0]["n"] == BEING_FETCHED
    assert app.rows("SELECT COUNT(*) AS n FROM webmail_draft")[0]["n"] == VISITORS * ROUNDS
    logs = "".join(file.read_text(errors="replace") for file in app.data.glob("*.log"))
    assert "locked" not in logs, app.log()
    stars = app.rows("SELECT COUNT(*) AS n FROM webmail_message WHERE flagged")[0]["n"]
    assert stars > VISITORS, "the visitors were at work"


def deliver(dovecot: Dovecot, address: str, over: threading.Event) -> None:
    with second_client(dovecot, address) as client:
        for number in range(DELIVERED):
            client.append(letter(f"Meanwhile {number}", "text"))
            if over.wait(0.2):
                return


def complete(app: Postkasse, address: str) -> bool:
    found = app.rows(
        "SELECT MIN(b.complete) AS complete FROM webmail_mailbox b JOIN accounts_account a ON a.id = b.account_id "
        "WHERE a.address = ? AND b.selectable",
        address,
    )
    return bool(found and found[0]["complete"])
