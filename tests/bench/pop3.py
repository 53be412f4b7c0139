"""Downloading over POP3: messages of 94 kB, stored durably and parsed, beside poplib's loop, with and without latency.

    python -m tests.bench.pop3 [--count 1000] [--latency 25]

The others' figures are of another day: getmail6 15.4 s, fetchmail 6.4, mpop 0.9 without latency; mpop 1.7 with 25 ms.
"""

from __future__ import annotations

import argparse
import base64
import os
import poplib
import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.line import line_of_its_own
from tests.redis_server import redis_server
from tests.second_client import second_client
from tests.servers import PASSWORD, Dovecot

DOMAIN = "bench.test"
GOALS = {0: 2.0, 25: 2.5}  # seconds, for 1,000 messages
OCTETS = 68_000  # of an attachment, before base64


def letter(number: int, chance: random.Random) -> bytes:
    """94 kB: a few words and a file."""
    file = base64.encodebytes(chance.randbytes(OCTETS)).replace(b"\n", b"\r\n")
    head = (
        f"From: Person {number % 200} <p{number % 200}@example.org>\r\nTo: someone@{DOMAIN}\r\n"
        f"Subject: Number {number}\r\nMessage-ID: <{number}@pop.example>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0100\r\n"
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=between\r\n\r\n"
        f"--between\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThis is message {number}, with a file.\r\n"
        "--between\r\nContent-Type: application/pdf; name=file.pdf\r\nContent-Transfer-Encoding: base64\r\n"
        "Content-Disposition: attachment; filename=file.pdf\r\n\r\n"
    )
    return head.encode() + file + b"--between--\r\n"


def poplib_loop(port: int, user: str, count: int) -> None:
    """What most programs do: one RETR after another."""
    client = poplib.POP3("127.0.0.1", port)
    client.user(user)
    client.pass_(PASSWORD)
    for number in range(1, count + 1):
        assert len(b"\r\n".join(client.retr(number)[1])) > OCTETS
    client.quit()


def ours(account: Any, count: int) -> None:
    """All of a sync: listed, downloaded, on the disk, parsed, threaded, in the database."""
    from webmail import sync
    from webmail.models import Message

    report = sync.sync_account(account, progress=lambda done, total: None)
    assert report is not None
    assert report.created == count
    assert Message.objects.filter(account=account).exclude(blob="").count() == count


def timed(act: Callable[..., None], *arguments: Any) -> float:
    began = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - began


def account_on(port: int, user: str) -> Any:
    from django.conf import settings

    from accounts.models import Account, Keep, User

    settings.MAIL_DOMAINS = {DOMAIN: {"incoming": f"pop3://localhost:{port}"}}
    handle = f"{user} {port}"
    account = Account(
        user=User.objects.create(handle=handle, address=user), address=user, username=user,
        incoming=f"pop3://localhost:{port}", keep=Keep.HEADERS,
    )  # fmt: skip
    account.remember(PASSWORD)
    account.save()
    return account


def prepare(data: Path) -> None:
    os.environ |= {"DJANGO_SETTINGS_MODULE": "webmail.settings", "WEBMAIL_DATA": str(data), "WEBMAIL_DEMO": "0"}
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--latency", type=int, default=25, help="milliseconds there and back, for the second round")
    options = parser.parse_args()
    user = f"pop@{DOMAIN}"
    with Dovecot() as dovecot, tempfile.TemporaryDirectory(prefix="postkasse-") as folder:
        chance = random.Random(1)
        with second_client(dovecot, user) as client:
            for number in range(options.count):
                client.append(letter(number, chance))
        with redis_server(Path(folder)) as redis_url:
            os.environ["REDIS_URL"] = redis_url
            prepare(Path(folder))
            print(
                f"\n{options.count:,} messages of 94 kB, seconds" + f"{'poplib':>14}{'ours':>10}{'ratio':>9}{'goal':>9}"
            )
            for latency in (0, options.latency):
                with line_of_its_own(dovecot.pop3_port, latency / 2000) as line:
                    port = line if latency else dovecot.pop3_port
                    theirs = timed(poplib_loop, port, user, options.count)
                    mine = timed(ours, account_on(port, user), options.count)
                goal = f"<= {GOALS[latency] * options.count / 1000:.1f}" if latency in GOALS else ""
                print(f"{f'latency of {latency} ms':35}{theirs:>14.2f}{mine:>10.2f}{theirs / mine:>9.1f}{goal:>9}")
            print(
                f"largest memory of the process, MB{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:>27.0f}"
            )


if __name__ == "__main__":
    main()
