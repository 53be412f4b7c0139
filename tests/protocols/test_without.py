"""Words of a server that are left out of account, because what it makes of them is broken (Server.without)."""

from __future__ import annotations

from dataclasses import replace

from tests.protocols.conftest import pop3_account
from tests.servers import PASSWORD, Dovecot, SMTPServer
from webmail.protocols.base import Capability, Credentials
from webmail.protocols.imap import IMAPStore
from webmail.protocols.pop3 import POP3Store
from webmail.protocols.smtp import SMTPTransport


def test_a_capability_that_is_switched_off_is_not_used_and_still_told(dovecot: Dovecot) -> None:
    server = replace(dovecot.imap(), without=frozenset({"IDLE", "MOVE"}))
    with IMAPStore(server, Credentials("somebody", PASSWORD)) as store:
        assert Capability.WATCH not in store.capabilities
        assert {"IDLE", "MOVE"} <= store.offered


def test_a_pop3_capability_that_is_switched_off_is_still_told(dovecot: Dovecot) -> None:
    account = pop3_account(dovecot)
    account.deliver(b"Subject: here\r\n\r\nHello.\r\n")
    server = replace(dovecot.pop3(), without=frozenset({"TOP", "PIPELINING", "SASL"}))
    with POP3Store(server, Credentials(account.user, PASSWORD)) as store:
        assert {"TOP", "PIPELINING", "SASL"} <= store.offered
        (found,) = store.messages("INBOX", store.changes("INBOX", None, {}).created)
        assert b"Subject: here" in found.header


def test_a_word_of_ehlo_that_is_switched_off_counts_for_nothing(smtp_server: SMTPServer) -> None:
    server = smtp_server.server()
    credentials = Credentials("kari", PASSWORD)
    with SMTPTransport(server, credentials) as transport:
        assert transport.max_size == 8_000_000
    with SMTPTransport(replace(server, without=frozenset({"SIZE", "STARTTLS"})), credentials) as transport:
        assert transport.max_size is None
