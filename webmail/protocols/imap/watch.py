"""IDLE (RFC 2177, RFC 9051 §6.3.13) as base.Watch."""

from __future__ import annotations

from webmail.protocols.imap.client import Client, Response

_CHANGES = (b"EXISTS", b"EXPUNGE", b"VANISHED", b"FETCH")


class IMAPWatch:
    """Holds the store's connection in IDLE. ``changed()`` is to be called once before the first wait, since something
    may have come with the server's consent; after that it leaves nothing behind in TLS's buffer."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._pending = False
        self._observe_store = client.observer
        client.observer = self._observe
        self._idle()

    def _observe(self, response: Response) -> None:
        self._pending = self._pending or response.kind in _CHANGES
        self._observe_store(response)

    def _idle(self) -> None:
        self._tag = self._client.send(b"IDLE")
        self._client.until_continue(self._tag)

    def fileno(self) -> int:
        return self._client.fileno()

    def changed(self) -> bool:
        for _ in self._client.arrived():
            pass
        changed, self._pending = self._pending, False
        return changed

    def renew(self) -> None:
        self._done()
        self._idle()

    def _done(self) -> None:
        self._client.send_line(b"DONE")
        self._client.finish(self._tag)

    def close(self) -> None:
        """Leave IDLE; the store can be used again. Never raises."""
        from webmail.protocols.errors import MailError

        try:
            if not self._client.lost:
                self._done()
        except MailError:
            self._client.abandon()
        finally:
            self._client.observer = self._observe_store
