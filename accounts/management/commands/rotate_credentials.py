"""Encrypt all stored credentials anew under the newest key."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from accounts import secrets


class Command(BaseCommand):
    help = "Encrypt stored credentials anew under the newest key; --new-key makes that key first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--new-key", action="store_true", help="put a new key in front of the others")

    def handle(self, *args: Any, new_key: bool, **options: Any) -> None:
        keys = list(settings.CREDENTIAL_KEYS)
        if new_key:
            keys.insert(0, secrets.new_key())
            path = settings.DATA_DIR / "keys" / "credentials"
            fresh = path.with_suffix(".new")
            fresh.touch(mode=0o600)
            fresh.write_text("\n".join(keys) + "\n")
            fresh.replace(path)  # whole or not at all
        done = lost = 0
        for model in (model for model in apps.get_models() if hasattr(model, "credentials")):
            rows = model._default_manager
            for pk, credentials in rows.values_list("pk", "credentials").iterator():
                try:
                    sealed = secrets.rotate(credentials, keys)
                except secrets.Unreadable:
                    lost += 1
                    continue
                # Only over what was read: a password typed meanwhile stays.
                done += rows.filter(pk=pk, credentials=credentials).update(credentials=sealed)
        self.stdout.write(f"{done} encrypted anew, {lost} that no key opens.")
        if new_key:
            self.stdout.write(
                "Restart all processes, so that they know the new key. Then the old lines of the key file may go."
            )
