"""Encryption of stored credentials. A leaf: keys come in as arguments, newest first (Fernet: AES-128-CBC with HMAC-SHA256).

What is sealed names the hosts it may be sent to, so that changing an account's server can never leak the old password
to the new host: the person types it again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet


class Unreadable(Exception):
    """No key opens this; the keys were lost or the row was changed by hand. The person has to type the password again."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A password or token and the host names it belongs to."""

    text: str = field(repr=False)
    hosts: tuple[str, ...]
    oauth: bool = False

    def allowed_at(self, host: str) -> bool:
        return host.lower() in self.hosts


def _box(keys: Sequence[str]) -> MultiFernet:
    return MultiFernet([Fernet(key) for key in keys])


def new_key() -> str:
    return Fernet.generate_key().decode()


def seal(secret: Secret, keys: Sequence[str]) -> str:
    body = {"text": secret.text, "hosts": sorted({host.lower() for host in secret.hosts}), "oauth": secret.oauth}
    return _box(keys).encrypt(json.dumps(body).encode()).decode()


def unseal(token: str, keys: Sequence[str]) -> Secret:
    """Raises Unreadable."""
    try:
        body = json.loads(_box(keys).decrypt(token.encode()))
    except InvalidToken as error:
        raise Unreadable("no key opens the stored credentials") from error
    return Secret(body["text"], tuple(body["hosts"]), body["oauth"])


def rotate(token: str, keys: Sequence[str]) -> str:
    """The same secret under the newest key. Raises Unreadable."""
    try:
        return _box(keys).rotate(token.encode()).decode()
    except InvalidToken as error:
        raise Unreadable("no key opens the stored credentials") from error
