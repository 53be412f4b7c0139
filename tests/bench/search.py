"""Search over a large mailbox: the whole request within one process, beside IMAP SEARCH on the same messages.

    python -m tests.bench.search [--sizes 20000,100000,1000000] [--database sqlite,postgres] [--repeat 20]

Texts are 2 kB on average, of words as frequent as words are: few often, most of them seldom (Zipf). The peers' figures were
taken on another day's machine. IMAP SEARCH is measured up to 100,000 messages, on a Dovecot without an index of texts,
which is what most people's servers are.
"""

from __future__ import annotations

import argparse
import bisect
import imaplib
import itertools
import os
import random
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

WORDS = 60_000
LENGTHS = (300, 1000, 2000, 2000, 4700)  # letters of a text; 2,000 on average
SYLLABLES = (
    *("ka", "ri", "fjell", "tak", "plan", "mø", "te", "for", "sik", "ring", "bil", "de", "ved", "lag", "opp", "drag"),
    *("sam", "let", "ny", "het", "ter", "min", "dag", "uke", "ren"),
)
HALF = "hei"  # half of all messages have it
PHRASE = "ny takst"
GOALS = {20_000: 25, 100_000: 25, 1_000_000: 60}
PEERS = "Roundcube / SnappyMail: subject 0.17 / 0.21 s (20 k), 0.99 / 1.1 s (100 k); text 7.7 / 9.4 s, 14.9 / 12.1 s"
IMAP_MOST = 100_000


class Texts:
    """Of words that are as frequent as in mail; the same in each run."""

    def __init__(self) -> None:
        self.chance = random.Random(1)
        self.words = list(dict.fromkeys(self._word(n) for n in range(WORDS)))
        weights = (1 / (n + 2.7) ** 1.1 for n in range(len(self.words)))
        self._sums = list(itertools.accumulate(weights))

    def _word(self, n: int) -> str:
        return "".join(self.chance.choices(SYLLABLES, k=1 + n.bit_length() // 5)) + (
            chr(97 + n % 26) if n > 500 else ""
        )

    def text(self, letters: int) -> str:
        count = letters // 7 + 1
        return " ".join(
            self.words[bisect.bisect(self._sums, self.chance.random() * self._sums[-1])] for _one in range(count)
        )

    def message(self, n: int) -> tuple[str, str, str]:
        """Sender's address, subject, text."""
        text = self.text(self.chance.choice(LENGTHS))
        text += (f" {HALF}" if n % 2 else "") + (f" {PHRASE}" if n % 100 == 0 else "")
        return f"p{self.chance.randrange(2000)}@example.org", self.text(30), text


def fill(user: Any, size: int) -> tuple[float, int]:
    """Seconds that indexing took, and letters of all texts."""
    from accounts.models import Account
    from webmail import search
    from webmail.models import Mailbox, Message, MessageBody
    from webmail.sync.rows import insert

    account = Account.objects.create(user=user, address=user.address, username="x", incoming="imap://localhost")
    inbox = Mailbox.objects.create(account=account, name="INBOX", remote_name="INBOX", role="inbox", complete=True)
    texts, now, letters = Texts(), datetime.now(UTC), 0
    step = timedelta(days=3650) / size
    for some in _batches(range(size), 2000):
        made = [texts.message(n) for n in some]
        insert(Message, [
            {
                "account_id": account.pk, "mailbox_id": inbox.pk, "subject": subject, "from_name": "", "from_email": sender,
                "received_at": now - step * n, "size": len(text), "preview": text[:200], "has_attachment": n % 10 == 0,
                "seen": n % 20 != 0, "structure": "null", "addresses": "{}", "fields": "{}", "references": "[]", "labels": "[]",
            }
            for n, (sender, subject, text) in zip(some, made, strict=True)
        ])  # fmt: skip
        ids = Message.objects.order_by("-pk").values_list("pk", flat=True)[: len(some)]
        insert_bodies = [
            MessageBody(message_id=pk, text=text) for pk, (_f, _s, text) in zip(reversed(ids), made, strict=True)
        ]
        MessageBody.objects.bulk_create(insert_bodies, batch_size=500)
        letters += sum(len(text) for _f, _s, text in made)
    inbox.recount()
    began = time.perf_counter()
    while search.catch_up(account, 10_000):
        print(f"\r  {Message.objects.filter(index_due__gt=0).count():>9,} left to index", end="", flush=True)
    print("\r", end="")
    return time.perf_counter() - began, letters


def _batches(numbers: range, most: int) -> Iterator[range]:
    yield from (numbers[at : at + most] for at in range(0, len(numbers), most))


def queries(words: list[str]) -> dict[str, str]:
    rare, some = words[20_000], words[2_000]
    return {
        "a word of a subject": f"subject:{some} ",
        "a sender": "from:p17@example.org ",
        "a word of a text, rare": f"{rare} ",
        "a word of a text": f"{some} ",
        "a phrase": f'"{PHRASE}"',
        "two operators": f"subject:{words[40]} has:attachment ",
        "a word, unread": f"{some} is:unread ",
        "the first three letters": "pla",
        "a word of half of all": f"{HALF} ",
        "nothing": "xyzzyx ",
        "2,000 letters of many words": " ".join(words[100:400])[:2000],
    }


def measure(size: int, repeat: int) -> None:
    """In this process, on the database that its environment names."""
    import django
    from django.conf import settings

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from accounts.models import User
    from tests.bench.__main__ import smallest
    from tests.bench.browser import Browser, median
    from webmail import search

    settings.ALLOWED_HOSTS = ["testserver"]
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench@example.org")
    took, letters = fill(user, size)
    with connection.cursor() as cursor:  # what the databases do by themselves
        cursor.execute("ANALYZE" if connection.vendor == "sqlite" else "VACUUM ANALYZE")
    share = search.octets() / letters
    with smallest() as port:
        browser = Browser(port)
        empty = median(lambda: browser.ask("GET", "/"), 200)
    print(
        f"\n{connection.vendor}, {size:,} messages, {letters / size:,.0f} letters each; indexed at {size / took:,.0f} a second;"
        f" the index is {share:.0%} of the texts; the smallest Django answer takes {empty:.2f} ms, of which x is a multiple"
    )
    client = Client()
    client.force_login(user)
    client.get("/search/", {"q": "x"})
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name, typed in queries(Texts().words).items():
        took, shown = _asked(client, "/search/", "found", typed, "", repeat)
        best, _shown = _asked(client, "/search/", "found", typed, "best", repeat)
        facets, _shown = _asked(client, "/search/narrowing/", "narrow", typed, "", repeat)
        print(
            f"  {name:27} {took:7.1f} ms {took / empty:6.1f} x   goal <= {GOALS.get(size, 25)}"
            f"   best first {best:6.1f}   facets {facets:6.1f}   {shown}"
        )
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory
    print(f"  memory grew by {grown / 1024:.0f} MB meanwhile; peers: {PEERS}")


def _asked(client: Any, path: str, target: str, typed: str, sort: str, repeat: int) -> tuple[float, str]:
    """The median of the whole request in ms, and what the page says of the number."""
    times, page = [], ""
    for _turn in range(repeat):
        began = time.perf_counter()
        response = client.get(path, {"q": typed, "sort": sort}, HTTP_HX_REQUEST="true", HTTP_HX_TARGET=target)
        times.append((time.perf_counter() - began) * 1000)
        assert response.status_code == 200
        page = response.content.decode()
    return statistics.median(times), page.partition('id="found-count">')[2].partition("<")[0]


def measure_imap(size: int) -> None:
    """The same texts on a Dovecot."""
    from tests.servers import PASSWORD, Dovecot

    texts = Texts()
    with Dovecot() as dovecot, imaplib.IMAP4("127.0.0.1", dovecot.imap_port) as client:
        client.login("search@imap.test", PASSWORD)
        for n in range(size):
            sender, subject, text = texts.message(n)
            client.append("INBOX", "", "", f"From: <{sender}>\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode())
        client.select("INBOX")
        print(f"IMAP SEARCH on a Dovecot, {size:,} messages:")
        for name, criteria in (
            ("a word of a subject", ("SUBJECT", texts.words[2_000])),
            ("a word of a text", ("BODY", texts.words[2_000])),
        ):
            began = time.perf_counter()
            client.search(None, *criteria)
            print(f"  {name:26} {(time.perf_counter() - began) * 1000:9.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="20000,100000,1000000")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--database", default="sqlite,postgres")
    parser.add_argument("--here", action="store_true", help="within this process")
    asked = parser.parse_args()
    sizes = [int(size) for size in asked.sizes.split(",")]
    if asked.here:
        from tests import environment

        measure(sizes[0], asked.repeat)
        return
    for size in sizes:
        for database in asked.database.split(","):
            command = [
                sys.executable,
                "-m",
                "tests.bench.search",
                "--here",
                "--sizes",
                str(size),
                "--repeat",
                str(asked.repeat),
            ]
            environment = {
                **os.environ,
                "POSTKASSE_TEST_DATABASE": database,
                "DJANGO_SETTINGS_MODULE": "webmail.settings",
            }
            subprocess.run(command, check=True, env=environment)
        if size <= IMAP_MOST:
            measure_imap(size)


if __name__ == "__main__":
    main()
