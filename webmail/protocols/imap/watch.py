"""IDLE (RFC 2177, RFC 9051 §6.3.13), and NOTIFY (RFC 5465) where the server has it, as base.Watch.

NOTIFY says beforehand which events of which mailboxes are wanted, and so lets one connection hear of all folders; IDLE
is entered in both cases, since it is what keeps a server from signing off somebody who says nothing.

    entering ──"+"──> waiting ──renew()──> leaving ──tagged OK──> entering …

Only opening and close() wait for the server. renew() just sends, and changed() takes what has come: a server that is
slow, or behind a NAT that forgot us, stops nobody but itself; that it owes an answer can be seen at ``settled``.
"""

from __future__ import annotations

import contextlib
import enum

from webmail.protocols.errors import MailError, Refused, Unavailable
from webmail.protocols.imap.client import Client
from webmail.protocols.imap.responses import Response
from webmail.protocols.network import clean_detail

# What is told without being asked for. STATUS and LIST come only by NOTIFY, RFC 5465 §5.
_CHANGES = (b"EXISTS", b"EXPUNGE", b"VANISHED", b"FETCH", b"STATUS", b"LIST")
_NOTIFY = (  # RFC 5465 §3.1, §6: the selected mailbox, and all others in the person's own namespaces
    b"NOTIFY SET (selected (MessageNew MessageExpunge FlagChange)) "
    b"(personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))"
)


class _State(enum.Enum):
    ENTERING = enum.auto()
    WAITING = enum.auto()
    LEAVING = enum.auto()


class IMAPWatch:
    """Holds the store's connection, its mailbox selected, in IDLE. ``changed()`` is to be called once before the first
    wait, since something may have come with the server's consent; after that it leaves nothing behind in TLS's
    buffer."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pending = False
        self._observe_store = client.observer
        client.observer = self._observe
        try:
            self._notified = "NOTIFY" in client.capabilities and self._notify()
            self._idle()
            client.until_continue(self._tag)
        except MailError:
            client.observer = self._observe_store
            raise
        self._state = _State.WAITING

    @property
    def how(self) -> str:
        return "notify" if self._notified else "idle"

    @property
    def settled(self) -> bool:
        return self._state is _State.WAITING

    def _notify(self) -> bool:
        try:
            self._client.run(_NOTIFY)
        except MailError:  # NO [BADEVENT], RFC 5465 §8; and whoever offers it, but not quite this
            if self._client.lost:
                raise
            return False
        return True

    def _observe(self, response: Response) -> None:
        self._pending = self._pending or response.kind in _CHANGES
        if response.code == b"NOTIFICATIONOVERFLOW":  # RFC 5465 §5.8: it tells no more than IDLE does from here on
            self._notified, self._pending = False, True
        self._observe_store(response)

    def _idle(self) -> None:
        self._tag = self._client.send(b"IDLE")
        self._state = _State.ENTERING

    def fileno(self) -> int:
        return self._client.fileno()

    def changed(self) -> bool:
        for response in self._client.arrived():
            self._take(response)
        changed, self._pending = self._pending, False
        return changed

    def _take(self, response: Response) -> None:
        if response.kind == b"+" and self._state is _State.ENTERING:
            self._state = _State.WAITING
        elif response.kind == self._tag:
            status, _, words = response.pieces[0].partition(b" ")
            if self._state is not _State.LEAVING or status.upper() != b"OK":
                raise Unavailable(f"the server ended IDLE: {clean_detail(words)[:200]}")
            self._idle()

    def renew(self) -> None:
        if self._state is _State.WAITING:
            self._client.send_line(b"DONE")
            self._state = _State.LEAVING

    def close(self) -> None:
        try:
            if not self._client.lost:
                self._leave()
        except MailError:
            self._client.abandon()
        finally:
            self._client.observer = self._observe_store

    def _leave(self) -> None:
        if self._state is _State.ENTERING:
            self._client.until_continue(self._tag)
        if self._state is not _State.LEAVING:
            self._client.send_line(b"DONE")
        self._client.finish(self._tag)
        if self._notified:
            with contextlib.suppress(Refused):
                self._client.run(b"NOTIFY NONE")  # RFC 5465 §3.1: back to what every client is told

    def abandon(self) -> None:
        self._client.abandon()
        self._client.observer = self._observe_store
