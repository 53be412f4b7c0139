"""One full sync of an address in the foreground."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from accounts.models import Account
from webmail import sync
from webmail.protocols.errors import MailError

BAR = 30


class Command(BaseCommand):
    help = "Sync the account of an address now, with a progress bar and the rate at the end."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("address")
        parser.add_argument("--role", help="only the folder of this role, for example inbox")

    def handle(self, *args: Any, address: str, role: str | None, **options: Any) -> None:
        accounts = Account.objects.filter(address=address)
        if not accounts:
            raise CommandError(f"No account {address}. Sign in with it once.")
        for account in accounts:
            self._sync(account, role)

    def _sync(self, account: Account, role: str | None) -> None:
        began = time.monotonic()
        try:
            report = sync.sync_account(account, progress=self._show, only=role)
        except MailError as error:
            raise CommandError(f"{account}: {type(error).__name__}: {error.detail}") from error
        if report is None:
            raise CommandError(f"{account} is being synced by another process; try again in a minute.")
        seconds = time.monotonic() - began
        if self.stdout.isatty():
            self.stdout.write("")
        self.stdout.write(
            f"{account}: {report.mailboxes} folders, {report.created} new, {report.updated} changed, "
            f"{report.destroyed} gone in {seconds:.1f} s ({report.created / max(seconds, 0.001):.0f} messages/s)"
        )

    def _show(self, done: int, total: int) -> None:
        if self.stdout.isatty() and total:
            filled = BAR * done // total
            self.stdout.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {done}/{total} ", ending="")
            self.stdout.flush()
