"""Watch the inboxes of all accounts for new mail (IDLE) until told to end."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from webmail import tasks
from webmail.watching import Watcher


class Command(BaseCommand):
    help = "Watch all inboxes over IDLE and have what changes synced at once."

    def handle(self, *args: Any, **options: Any) -> None:
        watcher = Watcher(tasks.nudge_sync)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: watcher.stop())
        watcher.run()
