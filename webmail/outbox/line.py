"""The connection that an account's messages leave by, kept open from one to the next.

A server that could not be reached or did not let us in is not asked again for each of a thousand messages: what it said
to the first is what it says to all of them, until the next time somebody empties this outbox.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.relay import Relay, relay_for
from webmail.protocols.base import Envelope, Submitted, Transport
from webmail.protocols.errors import MailError, Refused, Unreachable

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Way:
    """A transport, whom it leads to, and whether a message was given to it before."""

    transport: Transport
    host: str
    relayed: bool = False
    served: bool = False


class Line:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._ways: dict[bool, Way] = {}  # by whether it is the relay
        self._failed: dict[bool, MailError] = {}

    @property
    def host(self) -> str:
        """Of the account's own server; what it is called where there is none."""
        return self._account.outgoing.partition("://")[2].rpartition(":")[0] or self._account.label

    def way(self, sender: str) -> Way:
        """The account's own server; the operator's relay where that cannot be reached, or where it is always to be used.
        Raises MailError."""
        relay = relay_for(self._account, sender)
        if relay and relay.is_always_for(sender):
            return self._way(relay)
        try:
            return self._way(None)
        except Unreachable as error:
            if relay is None:
                raise
            try:
                return self._way(relay)
            except MailError as also:
                log.warning("the relay for account %s: %s", self._account.pk, also)
                raise error from also

    def _way(self, relay: Relay | None) -> Way:
        by_relay = relay is not None
        if failed := self._failed.get(by_relay):
            raise failed.with_traceback(None)
        if (way := self._ways.get(by_relay)) and way.transport.usable:
            return way
        try:
            way = Way(relay.open(), relay.url.host, True) if relay else Way(self._own(), self.host)
        except MailError as error:
            self._failed[by_relay] = error
            raise
        self._ways[by_relay] = way
        return way

    def _own(self) -> Transport:
        if not self._account.outgoing:
            raise Refused(_("No server for outgoing mail is set up for this account."))
        return self._account.open_transport()

    def submit(
        self,
        envelope: Envelope,
        message: BinaryIO,
        begin: Callable[[], None],
        meanwhile: Callable[[], None],
        at_last: Callable[[], None],
    ) -> tuple[Submitted, Way]:
        """Hand it over. A connection that served before may have died or be tired of us: if that shows before ``begin``
        was called, when no server can have this message, it is tried once more over a new one. Raises MailError."""
        way, begun = self.way(envelope.sender), False

        def begin_once() -> None:
            nonlocal begun
            begin()
            begun = True

        served, way.served = way.served, True
        try:
            return way.transport.submit(envelope, message, begin_once, meanwhile, at_last), way
        except MailError as error:
            if begun or not served or not (error.connection_lost or error.code.startswith("421")):
                raise
        way.transport.close()
        way = self.way(envelope.sender)
        way.served = True
        return way.transport.submit(envelope, message, begin, at_last=at_last), way

    def close(self) -> None:
        for way in self._ways.values():
            way.transport.close()
        self._ways.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
