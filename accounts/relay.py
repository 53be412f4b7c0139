"""The operator's relay: a way out for accounts whose own outgoing server cannot be reached from here.

In the file of WEBMAIL_SERVERS:

    [relay]
    url = "smtp+starttls://relay.example.net"
    user = "postkasse"
    password_env = "RELAY_PASSWORD"        # or: password = "…"
    domains = ["example.org"]              # whose mail it takes when their own server is away …
    always = ["example.com"]               # … and whose it takes always

It signs in as the operator, so it must not carry what just anybody says of themselves. It serves an address only where
the table of domains says which server vouches for it, that server is the one the account signed in at, and the message
is from the address of the account itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from django.conf import settings

from accounts.discovery import BadURL, ServerURL, in_table
from accounts.models import Account
from webmail.protocols import open_transport
from webmail.protocols.base import Credentials, Server, Transport
from webmail.protocols.errors import Refused


@dataclass(frozen=True, slots=True)
class Relay:
    url: ServerURL
    user: str
    password: str = field(repr=False)
    domains: frozenset[str]
    always: frozenset[str]

    def is_for(self, address: str) -> bool:
        return self._has(self.domains | self.always, address)

    def is_always_for(self, address: str) -> bool:
        return self._has(self.always, address)

    @staticmethod
    def _has(domains: frozenset[str], address: str) -> bool:
        return "*" in domains or address.rpartition("@")[2].lower() in domains

    def open(self) -> Transport:
        """A new connection, signed in to where there is a user. Raises MailError."""
        url = self.url
        server = Server(
            url.protocol, url.host, url.port, url.security, ca_file=settings.MAIL_CA_FILE,
            timeout=float(settings.MAIL_TIMEOUT), patience=float(settings.MAIL_PATIENCE),
        )  # fmt: skip
        credentials = Credentials(self.user, self.password) if self.user else None
        return open_transport(server, credentials, settings.EHLO_NAME)


def operators_relay() -> Relay | None:
    """As the operator's file says. Raises Refused, in words for the operator, if that makes no sense."""
    table = settings.MAIL_RELAY
    if not table:
        return None
    try:
        url = ServerURL.parse(table.get("url", ""))
    except BadURL as error:
        raise Refused(f"[relay] url: {error}") from error
    if url.protocol != "smtp":
        raise Refused(f"[relay] url: {url} is no server for outgoing mail")
    password = table.get("password") or os.environ.get(table.get("password_env", ""), "")
    return Relay(url, table.get("user", ""), password, _words(table, "domains"), _words(table, "always"))


def _words(table: dict[str, object], key: str) -> frozenset[str]:
    words = table.get(key, [])
    if not isinstance(words, list):
        raise Refused(f"[relay] {key} must be a list of domains")
    return frozenset(str(word).lower() for word in words)


def relay_for(account: Account, sender: str) -> Relay | None:
    """The relay, if it may carry what this account sends as ``sender``."""
    relay = operators_relay()
    if relay is None or not relay.is_for(sender) or not account.is_of(sender):
        return None
    known = in_table(account.address)
    return relay if known and str(known.incoming) == account.incoming else None
