"""Talks to mail servers, and knows nothing of the rest of the project (see base.py for the seam)."""

from __future__ import annotations

from webmail.protocols.base import Credentials, MailStore, Server, Transport


def open_store(server: Server, credentials: Credentials) -> MailStore:
    """Connect, secure and authenticate; raises MailError."""
    if server.protocol == "pop3":
        from webmail.protocols.pop3 import POP3Store

        return POP3Store(server, credentials)
    from webmail.protocols.imap import IMAPStore

    return IMAPStore(server, credentials)


def open_transport(server: Server, credentials: Credentials | None, local_name: str = "localhost") -> Transport:
    """Connect, secure and authenticate; ``local_name`` is what EHLO says (RFC 5321 §4.1.1.1). Raises MailError."""
    from webmail.protocols.smtp import SMTPTransport

    return SMTPTransport(server, credentials, local_name)
