"""Make mail findable in the foreground, with progress; made anew if wished, while search goes on."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from accounts.models import Account
from webmail import search

TELL_EACH = 0.5  # seconds


class Command(BaseCommand):
    help = "Index the mail of all accounts for search. It may be stopped at any time and goes on where it was."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--anew", action="store_true", help="also what is indexed already, as after a restored backup"
        )

    def handle(self, *args: Any, anew: bool, **options: Any) -> None:
        if anew:
            search.index_anew()
        total, done, began, told = search.number_due(), 0, time.monotonic(), 0.0
        for account in Account.objects.order_by("pk"):
            while number := search.catch_up(account):
                done += number
                if time.monotonic() - told > TELL_EACH:
                    told = time.monotonic()
                    self._tell(done, total, done / (told - began))
        while search.forget():
            pass
        while search.tidy():
            pass
        seconds = max(time.monotonic() - began, 0.001)
        self.stdout.write(
            f"{done} messages in {seconds:.1f} s ({done / seconds:.0f} a second), {search.octets():,} octets"
        )

    def _tell(self, done: int, total: int, rate: float) -> None:
        if self.stdout.isatty():
            left = max(total - done, 0) / max(rate, 1)
            self.stdout.write(f"\r{done:,} of {total:,} messages, {rate:.0f} a second, {left:.0f} s left   ", ending="")
            self.stdout.flush()
