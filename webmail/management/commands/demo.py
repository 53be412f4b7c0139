"""The sample mail server, in the foreground: ``manage.py demo``. ``manage.py dev`` starts it with everything else."""

from __future__ import annotations

import logging
import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone


class Command(BaseCommand):
    help = "Run the sample mail server, with one lived-in mailbox, on the loopback interface."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        from webmail.demo.server import USUAL_PORTS, Ports, SampleBusy, serve

        logging.getLogger("webmail.demo").setLevel(logging.INFO)
        wanted = None
        if {"WEBMAIL_DEMO_IMAP", "WEBMAIL_DEMO_SMTP"} & os.environ.keys():
            wanted = Ports(_port("WEBMAIL_DEMO_IMAP", USUAL_PORTS.imap), _port("WEBMAIL_DEMO_SMTP", USUAL_PORTS.smtp))
        try:
            serve(settings.DEMO_DIR, settings.DEMO_PASSWORD, wanted, timezone.localtime())
        except (SampleBusy, OSError) as error:
            raise CommandError(str(error)) from error


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, "").strip() or str(default)
    if not text.isdigit() or int(text) > 65535:
        raise CommandError(f"{name} must be a port number, not {text!r}.")
    return int(text)
