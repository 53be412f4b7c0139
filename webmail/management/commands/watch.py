"""Watch the accounts of everybody who was seen lately (IDLE, NOTIFY) until told to end."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from webmail import tasks
from webmail.watching import Watcher


class Command(BaseCommand):
    help = "Watch accounts over IDLE or NOTIFY and have what changes synced at once. Several of these share the work."

    def handle(self, *args: Any, **options: Any) -> None:
        watcher = Watcher(tasks.nudge_sync)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: watcher.stop())
        watcher.run()
