"""Suggestions of the composer over 50,000 contacts: the whole request, within one process.

python -m tests.bench.contacts [--size 50000] [--database sqlite,postgres]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

GIVEN = (
    "Kari", "Ola", "Søren", "Åse", "Ingrid", "Bjørn", "Per", "Anna", "Jørgen", "Solveig", "Łukasz", "Zoë", "Nils", "Marit",
    "Sondre", "Astrid", "Thomas", "Eva",
)  # fmt: skip
FAMILY = (
    "Nordmann", "Hansen", "Berg", "Sørensen", "Lie", "Dahl", "Haugen", "Ødegård", "Strand", "Moen", "Solberg", "Lund",
    "Bakke", "Fjeld", "Vik", "Rønning",
)  # fmt: skip
DOMAINS = ("example.org", "mail.example.com", "uio.example", "fjord.example", "firma.example")
# What is typed: a name, letter by letter; two words; what nearly all have; what nobody has.
TYPED = ["s", "so", "sor", "soren", "Søren ha", "kari nordmann", "ola b", "e", "exam", "example.org", "ex s", "xyzzy"]
GOAL = "<= 15"


def fill(user: Any, size: int) -> float:
    """Rows as an import makes them, an eighth of them people who were written to; seconds that suggestions took."""
    from django.utils import timezone

    from accounts.models import Account
    from webmail import suggestions
    from webmail.models import Contact, ContactAddress, Correspondent

    chance = random.Random(1)
    names = [f"{chance.choice(GIVEN)} {chance.choice(FAMILY)} {n}" for n in range(size)]
    rows = [Contact(user=user, name=name, sort=name.casefold()) for name in names]
    contacts = Contact.objects.bulk_create(rows, batch_size=2000)
    emails = [f"{suggestions.fold(c.name).replace(' ', '.')}@{chance.choice(DOMAINS)}" for c in contacts]
    ContactAddress.objects.bulk_create(
        (ContactAddress(user=user, contact=c, email=e, written=e) for c, e in zip(contacts, emails, strict=True)),
        batch_size=2000,
    )
    account = Account.objects.create(user=user, address=user.address, username="x", incoming="imap://localhost")
    now = timezone.now()
    Correspondent.objects.bulk_create(
        (
            Correspondent(
                account=account, email=email, times_written=chance.randrange(1, 50),
                written_at=now - timedelta(days=chance.randrange(900)),
            )
            for email in emails[::8]
        ),
        batch_size=2000,
    )  # fmt: skip
    began = time.perf_counter()
    while suggestions.catch_up():
        pass
    return time.perf_counter() - began


def measure(size: int, repeat: int) -> None:
    """In this process, on the database that its environment names."""
    import django
    from django.conf import settings

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from accounts.models import User

    settings.ALLOWED_HOSTS = ["testserver"]
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("bench@example.org")
    took = fill(user, size)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE webmail_addresseeword, webmail_addressee")  # what autovacuum would do
    client = Client()
    client.force_login(user)
    all_times = []
    print(f"\n{connection.vendor}, {size:,} contacts; made findable at {size / took:,.0f} a second")
    for typed in TYPED:
        times = [_timed(client, typed) for _turn in range(repeat)]
        all_times += times
        print(f"  {typed!r:18} {statistics.median(times):6.1f} ms   p95 {sorted(times)[int(0.95 * repeat)]:6.1f} ms")
    print(f"  {'all of them':18} {statistics.median(all_times):6.1f} ms   goal {GOAL} ms")


def _timed(client: Any, typed: str) -> float:
    began = time.perf_counter()
    response = client.get("/contacts/suggestions/", {"q": typed})
    took = time.perf_counter() - began
    assert response.status_code == 200
    return took * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=40)
    parser.add_argument("--database", default="sqlite,postgres")
    parser.add_argument("--here", action="store_true", help="within this process")
    asked = parser.parse_args()
    if asked.here:
        from tests import environment

        measure(asked.size, asked.repeat)
        return
    for database in asked.database.split(","):
        command = [sys.executable, "-m", "tests.bench.contacts", "--here", "--size", str(asked.size)]
        environment = {**os.environ, "POSTKASSE_TEST_DATABASE": database, "DJANGO_SETTINGS_MODULE": "webmail.settings"}
        subprocess.run(command, check=True, env=environment)


if __name__ == "__main__":
    main()
