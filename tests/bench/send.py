"""Sending: an outbox of one account emptied, beside smtplib sending the same messages over one connection to the same server.

    python -m tests.bench.send [--count 1000]

Ours is all of it: each message claimed, committed as being sent, handed over, committed as sent. The servers run in
processes of their own: a Postfix, where there is one, which writes what it takes to the disk; and one in Python, which
throws it away and offers neither pipelining nor chunks. Then the time from the nudge of a worker until the server hears MAIL.
"""

from __future__ import annotations

import argparse
import os
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import postfix
from tests.app import Postkasse, eventually
from tests.bench.pop3 import prepare
from tests.redis_server import redis_server
from tests.scripted_smtp import FailingSMTP
from tests.servers import PASSWORD, Dovecot, free_port
from tests.visitor import Visitor

DOMAIN = "bench.test"
RATIO = 0.8  # of smtplib's rate, the goal
NUDGE = 100.0  # milliseconds, the goal
ROUNDS = 5
SERVER = """
import asyncio, sys
from aiosmtpd.smtp import SMTP, AuthResult
class Handler:
    async def handle_DATA(self, server, session, envelope):
        return "250 OK"
async def main():
    loop = asyncio.get_running_loop()
    accept = lambda *a: AuthResult(success=True)
    make = lambda: SMTP(Handler(), auth_require_tls=False, authenticator=accept, loop=loop)
    server = await loop.create_server(make, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


def smtplib_loop(port: int, user: str, messages: list[bytes], sign_in: bool) -> None:
    """What a script would do."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
        if sign_in:
            client.user, client.password = user, PASSWORD
            client.auth("PLAIN", client.auth_plain)
        for raw in messages:
            client.sendmail(user, [f"someone@{DOMAIN}"], raw)


def queue(account: Any, count: int) -> list[bytes]:
    """Submissions as a person makes them; the messages."""
    from django.utils import timezone

    from webmail import compose, outbox
    from webmail.models import Submission

    raws = []
    for number in range(count):
        draft = compose.new(
            account.user, to=f"someone@{DOMAIN}", subject=f"Number {number}", text="Hello there.\n" * 40
        )
        submission = outbox.submit(account.user, compose.save(draft))
        with submission.raw.open("rb") as file:
            raws.append(file.read())
    Submission.objects.filter(account=account).update(not_before=timezone.now())
    return raws


def account_on(port: int, user: str) -> Any:
    from django.conf import settings

    from accounts.models import Account, Identity, User

    outgoing = f"smtp://localhost:{port}"
    settings.MAIL_DOMAINS = {DOMAIN: {"incoming": "imap://localhost:1", "outgoing": outgoing}}
    account = Account(
        user=User.objects.create(handle=f"{user} {port}", address=user, undo_send=0), address=user, username=user,
        incoming="imap://localhost:1", outgoing=outgoing, files_sent=True,
    )  # fmt: skip
    account.remember(PASSWORD)
    account.save()
    Identity.objects.create(account=account, address=user, is_default=True)
    return account


def drained(account: Any, count: int) -> tuple[float, float]:
    """Seconds until the server has them all: what is done about each afterwards (drafts let go) is not sending. And the
    seconds of processor time of this process for all of it."""
    from webmail.celery import leave_the_program_to_itself
    from webmail.models import Submission, SubmissionState
    from webmail.outbox import drain

    leave_the_program_to_itself()  # as in each process of a worker
    began = time.process_time()
    drain(account)
    took = time.process_time() - began
    sent = Submission.objects.filter(account=account, state=SubmissionState.SENT)
    assert sent.count() == count
    first = Submission.objects.filter(account=account).earliest("sent_at").sent_at
    last = Submission.objects.filter(account=account).latest("sent_at").sent_at
    assert first is not None
    assert last is not None
    return (last - first).total_seconds() * count / (count - 1), took


def timed(act: Any, *arguments: Any) -> float:
    began = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - began


def compared(name: str, port: int, count: int, sign_in: bool) -> None:
    from accounts.models import Account

    user = f"send{port}@{DOMAIN}"
    account = account_on(port, user)
    credentials_for = Account.credentials_for
    if not sign_in:
        Account.credentials_for = lambda *_: None  # type: ignore[method-assign,assignment,return-value]
    raws = queue(account, count)
    before = timed(smtplib_loop, port, user, raws, sign_in)
    mine, processor = drained(account, count)
    theirs = (before + timed(smtplib_loop, port, user, raws, sign_in)) / 2  # no machine is equally fast all the time
    Account.credentials_for = credentials_for  # type: ignore[method-assign]
    print(f"{name:35}{count / theirs:>14.0f}{count / mine:>10.0f}{theirs / mine:>9.2f}{f'>= {RATIO}':>9}")
    print(f"{'  processor time of ours, ms each':35}{'':>14}{processor * 1000 / count:>10.2f}", flush=True)


@contextmanager
def sink() -> Iterator[int]:
    """A server in Python that takes everything and keeps nothing; its port."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-W", "ignore", "-c", SERVER, str(port)], stderr=subprocess.DEVNULL)
    try:
        await_port(port)
        yield port
    finally:
        server.terminate()
        server.wait(10)


class Clock(FailingSMTP):
    """Notes when it hears MAIL."""

    heard: float = 0.0

    def _answer(self, talk: Any, step: str, usual: bytes) -> bool:
        if step == "mail":
            self.heard = time.perf_counter()
        return super()._answer(talk, step, usual)


def nudges() -> None:
    """What waits for its undo becomes due, and the worker is told."""
    due = "UPDATE webmail_submission SET not_before = created_at WHERE subject = ?"
    with Dovecot() as dovecot, Clock() as clock:
        table = {"incoming": f"imap://localhost:{dovecot.imap_port}", "outgoing": f"smtp://localhost:{clock.port}"}
        with Postkasse({DOMAIN: table}) as app:
            visitor, took = Visitor(app), []
            visitor.sign_in(f"nudge@{DOMAIN}")
            for number in range(ROUNDS):
                subject = f"Number {number}"
                visitor.send(f"someone@{DOMAIN}", subject, undo=60)
                (row,) = app.rows("SELECT id FROM webmail_submission WHERE subject = ?", subject)
                clock.heard = 0.0
                app.change(due, subject)
                began = time.perf_counter()
                app.nudge("webmail.send", row["id"])
                eventually(lambda: clock.heard, "MAIL")
                took.append((clock.heard - began) * 1000)
            print(f"{'nudge to MAIL, ms':35}{'':>14}{statistics.median(took):>10.0f}{'':>9}{f'<= {NUDGE:.0f}':>9}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    nudges()  # before Django is made ready in this process, whose settings are others
    with tempfile.TemporaryDirectory(prefix="postkasse-") as folder, redis_server(Path(folder)) as redis_url:
        os.environ["REDIS_URL"] = redis_url
        prepare(Path(folder))
        print(f"\n{count:,} queued messages, a second{'smtplib':>22}{'ours':>10}{'ratio':>9}{'goal':>9}")
        if not postfix.missing():
            with postfix.Postfix() as running:
                compared("to a Postfix", running.port, count, sign_in=False)
        with sink() as port:
            compared("to a server that keeps nothing", port, count, sign_in=True)


def await_port(port: int) -> None:
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError("the server did not start")


if __name__ == "__main__":
    main()
