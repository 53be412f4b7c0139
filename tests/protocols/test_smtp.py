"""SMTP submission against a real server."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from tests.servers import PASSWORD, UNICODE_PASSWORD, UNICODE_USER, Dovecot, SMTPServer
from webmail.protocols import open_transport
from webmail.protocols.base import Credentials, Envelope, Security
from webmail.protocols.errors import (
    AuthenticationFailed,
    DeliveryUncertain,
    InsecureConnection,
    RecipientsRefused,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from webmail.protocols.imap import IMAPStore
from webmail.protocols.smtp import SMTPTransport, _stuffed

RAW = b"From: kari@example.org\r\nSubject: hello\r\n\r\n.dot\r\n..dots\r\nend\r\n"
CREDENTIALS = Credentials("kari", PASSWORD)
ENVELOPE = Envelope("kari@example.org", ("ola@example.org",))


def submit(server: SMTPServer, raw: bytes = RAW, envelope: Envelope = ENVELOPE, **changes: object):
    with SMTPTransport(server.server(**changes), CREDENTIALS) as transport:
        return transport.submit(envelope, io.BytesIO(raw))


def test_a_message_arrives_octet_for_octet(smtp_server: SMTPServer) -> None:
    submitted = submit(smtp_server)
    assert submitted.refused == {}
    assert submitted.reply.startswith("250 ")
    (received,) = smtp_server.received
    assert (received.sender, received.recipients, received.user) == ("kari@example.org", ["ola@example.org"], "kari")
    assert received.raw == RAW
    assert f"SIZE={len(RAW)}" in received.options


def test_a_large_message_is_streamed_whole(smtp_server: SMTPServer) -> None:
    raw = b"Subject: large\r\n\r\n" + b".0123456789\r\n" * 300_000
    submit(smtp_server, raw)
    assert smtp_server.received[0].raw == raw


@pytest.mark.parametrize("block", [1, 2, 3, 5, 64])
def test_dots_are_stuffed_and_line_ends_made_right_wherever_blocks_end(block: int) -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(block)

    raw = b".a\r\n.\r\n\r\n..b\nc\rd\r\r\n.\n.\r"
    assert b"".join(_stuffed(Slow(raw))) == b"..a\r\n..\r\n\r\n...b\r\nc\r\nd\r\n\r\n..\r\n..\r\n"
    assert b"".join(_stuffed(Slow(b"no end"))) == b"no end\r\n"
    assert b"".join(_stuffed(Slow(b""))) == b""


def test_a_bare_line_end_cannot_smuggle_a_second_message(smtp_server: SMTPServer) -> None:
    submit(smtp_server, b"Subject: x\r\n\r\nfirst\n.\nMAIL FROM:<evil@example.org>\r.\rsecond\n.\r\nthird\r\n")
    (received,) = smtp_server.received
    assert b"third" in received.raw


def test_several_messages_go_over_one_connection(smtp_server: SMTPServer) -> None:
    smtp_server.refuse["nobody@example.org"] = "550 5.1.1 no such user"
    with SMTPTransport(smtp_server.server(), CREDENTIALS) as transport:
        transport.submit(ENVELOPE, io.BytesIO(RAW))
        with pytest.raises(RecipientsRefused):
            transport.submit(Envelope("a@example.org", ("nobody@example.org",)), io.BytesIO(RAW))
        transport.submit(ENVELOPE, io.BytesIO(RAW))
    assert len(smtp_server.received) == 2


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_signing_in_takes_any_password(mechanism: str) -> None:
    with SMTPServer(security=Security.TLS, mechanisms=(mechanism,)) as server:
        SMTPTransport(server.server(), Credentials(UNICODE_USER, UNICODE_PASSWORD)).close()
        with pytest.raises(AuthenticationFailed) as caught:
            SMTPTransport(server.server(), Credentials("kari", "wrong"))
        assert caught.value.needs_user
        assert caught.value.code.startswith("535")


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_signing_in_takes_a_token(mechanism: str) -> None:
    with SMTPServer(security=Security.TLS, mechanisms=(mechanism,)) as server:
        SMTPTransport(server.server(), Credentials("kari@example.org", "token", oauth=True)).close()
        with pytest.raises(AuthenticationFailed):
            SMTPTransport(server.server(), Credentials("kari@example.org", "old", oauth=True))
        with pytest.raises(AuthenticationFailed):
            SMTPTransport(server.server(), CREDENTIALS)


def test_without_credentials_nobody_signs_in(smtp_server: SMTPServer) -> None:
    with SMTPTransport(smtp_server.server(), None) as transport:
        transport.submit(ENVELOPE, io.BytesIO(RAW))
    assert smtp_server.received[0].user is None


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
def test_tls_is_verified(security: Security) -> None:
    with SMTPServer(security=security) as server:
        submit(server)
        assert len(server.received) == 1
        for changes in ({"ca_file": None}, {"host": "other.example.org"}):
            with pytest.raises(InsecureConnection):
                submit(server, **changes)
        assert len(server.received) == 1


def test_an_expired_certificate_is_refused() -> None:
    with SMTPServer(security=Security.TLS, expired=True) as server:
        with pytest.raises(InsecureConnection) as caught:
            submit(server)
        assert "expired" in caught.value.detail


def test_starttls_is_demanded_when_asked_for(smtp_server: SMTPServer) -> None:
    with pytest.raises(InsecureConnection):
        submit(smtp_server, security=Security.STARTTLS)
    assert smtp_server.received == []


def test_only_the_given_addresses_are_connected_to(smtp_server: SMTPServer) -> None:
    submit(smtp_server, host="name.invalid")  # never looked up
    assert len(smtp_server.received) == 1
    with pytest.raises(ValueError):
        submit(smtp_server, addresses=("localhost",))


def test_a_refused_recipient_is_told_of_and_the_others_are_served(smtp_server: SMTPServer) -> None:
    smtp_server.refuse["nobody@example.org"] = "550 5.1.1 no such user"
    submitted = submit(smtp_server, envelope=Envelope("a@example.org", ("nobody@example.org", "ola@example.org")))
    assert submitted.refused == {"nobody@example.org": "550 5.1.1 no such user"}
    assert smtp_server.received[0].recipients == ["ola@example.org"]


def test_nobody_accepted_is_an_error(smtp_server: SMTPServer) -> None:
    smtp_server.refuse["ola@example.org"] = "550 5.1.1 no such user"
    with pytest.raises(RecipientsRefused) as caught:
        submit(smtp_server)
    assert caught.value.refused == {"ola@example.org": "550 5.1.1 no such user"}
    assert caught.value.code == "550 5.1.1"


def test_a_temporary_refusal_can_be_retried(smtp_server: SMTPServer) -> None:
    smtp_server.refuse["ola@example.org"] = "450 4.2.1 greylisted"
    with pytest.raises(Unavailable) as caught:
        submit(smtp_server)
    assert caught.value.retryable
    smtp_server.clear()
    smtp_server.reply = "451 4.3.0 later"
    with pytest.raises(Unavailable):
        submit(smtp_server)


def test_a_message_refused_for_good_is_refused(smtp_server: SMTPServer) -> None:
    smtp_server.reply = "554 5.7.1 looks like spam"
    with pytest.raises(Refused) as caught:
        submit(smtp_server)
    assert (caught.value.detail, caught.value.code) == ("5.7.1 looks like spam", "554 5.7.1")
    smtp_server.reply = "552 5.3.4 too big"
    with pytest.raises(TooLarge):
        submit(smtp_server)


def test_a_message_over_the_limit_is_never_begun(smtp_server: SMTPServer) -> None:
    with SMTPTransport(smtp_server.server(), CREDENTIALS) as transport:
        assert transport.max_size == 8_000_000
        with pytest.raises(TooLarge):
            transport.submit(ENVELOPE, io.BytesIO(b"x" * 8_000_001))
        transport.submit(ENVELOPE, io.BytesIO(RAW))


def test_a_connection_lost_before_the_final_dot_may_be_retried(smtp_server: SMTPServer) -> None:
    smtp_server.drop_before_dot = True
    raw = b"Subject: x\r\n\r\n" + b"0123456789\r\n" * 600_000  # more than lies in any buffer on the way
    with pytest.raises(Unreachable) as caught:
        submit(smtp_server, raw)
    assert caught.value.retryable
    assert smtp_server.received == []


def test_a_connection_lost_after_the_final_dot_is_uncertain(smtp_server: SMTPServer) -> None:
    smtp_server.drop_after_dot = True
    with pytest.raises(DeliveryUncertain) as caught:
        submit(smtp_server)
    assert not caught.value.retryable
    assert len(smtp_server.received) == 1


@pytest.mark.parametrize("bad", ["a\r\nRCPT TO:<b@x>", "a\n", "a\0", "a@x> SIZE=1", "<a@x>", "a\r"])
def test_no_address_can_add_a_command(smtp_server: SMTPServer, bad: str) -> None:
    for envelope in (Envelope(bad, ("ola@example.org",)), Envelope("kari@example.org", (bad,))):
        with pytest.raises(Refused):
            submit(smtp_server, envelope=envelope)
    assert smtp_server.received == []


def test_a_domain_beyond_ascii_is_sent_in_idna(smtp_server: SMTPServer) -> None:
    submit(smtp_server, envelope=Envelope("kari@example.org", ("ola@blåbær.example",)))
    (received,) = smtp_server.received
    assert received.recipients == ["ola@xn--blbr-roah.example"]
    assert "SMTPUTF8" not in received.options


def test_a_local_part_beyond_ascii_needs_smtputf8(smtp_server: SMTPServer) -> None:
    envelope = Envelope("kari@example.org", ("bjørn@example.org",))
    submit(smtp_server, envelope=envelope)
    (received,) = smtp_server.received
    assert received.recipients == ["bjørn@example.org"]
    assert "SMTPUTF8" in received.options
    with SMTPServer(unicode=False) as old:
        with pytest.raises(Refused, match="ASCII"):
            submit(old, envelope=envelope)
        assert old.received == []


def test_eight_bits_are_announced(smtp_server: SMTPServer) -> None:
    submit(smtp_server, "Subject: x\r\n\r\nblåbær\r\n".encode())
    assert "BODY=8BITMIME" in smtp_server.received[0].options


def test_nobody_listening_is_unreachable(smtp_server: SMTPServer) -> None:
    with pytest.raises(Unreachable):
        submit(smtp_server, port=1)


@pytest.fixture
def delivering(dovecot: Dovecot) -> Iterator[SMTPServer]:
    with SMTPServer(deliver_to=dovecot) as server:
        yield server


def test_what_is_sent_to_a_local_user_is_in_their_inbox(delivering: SMTPServer, dovecot: Dovecot) -> None:
    envelope = Envelope("kari@postkasse.test", ("local@postkasse.test",))
    with open_transport(delivering.server(), CREDENTIALS) as transport:
        transport.submit(envelope, io.BytesIO(RAW))
    with IMAPStore(dovecot.imap(), Credentials("local@postkasse.test", PASSWORD)) as store:
        (found,) = store.newest("INBOX", 5)
        assert b"".join(store.body("INBOX", found.uid)).endswith(RAW)
