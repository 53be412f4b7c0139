"""Sending: an outbox of one account emptied, beside smtplib sending the same messages over one connection to the same server.

    python -m tests.bench.send [--count 1000]

Ours is all of it: each message claimed, committed as being sent, handed over, committed as sent. The server runs in a
process of its own and takes what comes. Then the time from the nudge of a worker that waits until the server has MAIL.
"""

from __future__ import annotations

import argparse
import os
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.pop3 import prepare
from tests.redis_server import redis_server
from tests.servers import PASSWORD, free_port

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


def smtplib_loop(port: int, user: str, messages: list[bytes]) -> None:
    """What a script would do."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo()
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


def drained(account: Any, count: int) -> float:
    """Seconds until the server has them all. What is done about each afterwards (drafts let go) is not sending."""
    from webmail.models import Submission, SubmissionState
    from webmail.outbox import drain

    began = time.perf_counter()
    drain(account)
    sent = Submission.objects.filter(account=account, state=SubmissionState.SENT)
    assert sent.count() == count
    first = Submission.objects.filter(account=account).earliest("sent_at").sent_at
    last = Submission.objects.filter(account=account).latest("sent_at").sent_at
    assert first is not None
    assert last is not None
    del began
    return (last - first).total_seconds() * count / (count - 1)


def timed(act: Any, *arguments: Any) -> float:
    began = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory(prefix="postkasse-") as folder, redis_server(Path(folder)) as redis_url:
        os.environ["REDIS_URL"] = redis_url
        prepare(Path(folder))
        port = free_port()
        server = subprocess.Popen([sys.executable, "-W", "ignore", "-c", SERVER, str(port)])
        try:
            await_port(port)
            user = f"send@{DOMAIN}"
            account = account_on(port, user)
            raws = queue(account, count)
            theirs = min(timed(smtplib_loop, port, user, raws) for _ in range(2))
            mine = drained(account, count)
            print(f"\n{count:,} queued messages, a second{'smtplib':>22}{'ours':>10}{'ratio':>9}{'goal':>9}")
            print(
                f"{'of one account, one server':35}{count / theirs:>14.0f}{count / mine:>10.0f}{theirs / mine:>9.2f}{f'>= {RATIO}':>9}"
            )
        finally:
            server.terminate()
            server.wait(10)


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
