"""POP3 against a real server: reading and deleting, and nothing else."""

from __future__ import annotations

import io

import pytest

from tests.protocols.conftest import Account
from tests.servers import PASSWORD, UNICODE_PASSWORD, UNICODE_USER, Dovecot
from webmail.protocols import open_store
from webmail.protocols.base import CHUNK, Condition, Credentials, Security
from webmail.protocols.errors import AuthenticationFailed, InsecureConnection, NotFound, Refused, StateLost, Unsupported
from webmail.protocols.pop3 import POP3Store


def raw(number: int, body: bytes = b"body\r\n") -> bytes:
    return b"Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\n%s" % (number, number, body)


def test_there_is_one_mailbox(pop3: Account) -> None:
    pop3.deliver(raw(1))
    store = pop3.open()
    (inbox,) = store.mailboxes()
    assert (inbox.name, inbox.role, inbox.total, inbox.unread) == ("INBOX", "inbox", 1, None)
    assert store.capabilities == frozenset()
    with pytest.raises(NotFound):
        store.changes("Sent", None, {})


def test_changes_are_a_difference_of_uids(pop3: Account) -> None:
    store = pop3.open()
    assert store.changes("INBOX", None, {}).created == ()
    for number in range(3):
        pop3.deliver(raw(number))
    first = store.changes("INBOX", None, {})
    subjects = [m.header.split(b"Subject: ")[1][:1] for m in store.messages("INBOX", first.created)]
    assert subjects == [b"2", b"1", b"0"]
    known = dict.fromkeys(first.created, frozenset[str]())
    again = store.changes("INBOX", first.state, known)
    assert (again.created, again.updated, again.destroyed) == ((), {}, ())
    store.destroy("INBOX", [first.created[1], "never-was"])
    pop3.deliver(raw(3))
    last = store.changes("INBOX", first.state, known)
    assert len(last.created) == 1
    assert last.destroyed == (first.created[1],)
    with pytest.raises(StateLost):
        store.changes("INBOX", "nonsense", {})


def test_what_was_destroyed_is_gone_even_if_the_connection_is_lost(pop3: Account) -> None:
    for number in range(3):
        pop3.deliver(raw(number))
    store = pop3.open()
    assert isinstance(store, POP3Store)
    created = store.changes("INBOX", None, {}).created
    store.destroy("INBOX", created[:2])
    store._abandon()
    assert pop3.open().changes("INBOX", None, {}).created == created[2:]


def test_a_message_comes_back_octet_for_octet(pop3: Account) -> None:
    body = b".\r\n..\r\n.dot\r\n\r\n" + b"0123456789abcdef" * 40_000 + b"\r\n.\r\nend\r\n"
    pop3.deliver(raw(1, body))
    store = pop3.open()
    (found,) = store.newest("INBOX", 5)
    chunks = list(store.body("INBOX", found.uid))
    whole = b"".join(chunks)
    assert whole.endswith(raw(1, body))
    assert len(whole) == found.size
    assert all(0 < len(chunk) <= CHUNK for chunk in chunks)
    assert b"".join(store.body("INBOX", found.uid, None, (100, 50))) == whole[100:150]
    assert found.header == whole[: whole.index(b"\r\n\r\n") + 4]
    assert (found.keywords, found.received_at, found.structure) == (frozenset(), None, None)


@pytest.mark.parametrize("block", [1, 2, 3, 4, 5, 7])
def test_the_end_and_the_dots_are_found_wherever_blocks_end(block: int) -> None:
    from webmail.protocols.pop3 import _POP3

    class Blocks:
        def __init__(self, octets: bytes) -> None:
            self.octets = octets

        def some(self) -> bytes:
            data, self.octets = self.octets[:block], self.octets[block:]
            return data

        def unread(self, data: bytes) -> None:
            self.octets = data + self.octets

        def restart(self) -> None: ...

    pop3 = object.__new__(_POP3)
    for sent, meant in (
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n...\r\n\r\n..a\r\n.\r\n", b".\r\n..\r\n\r\n.a\r\n"),
        (b"a\rb\nc\r\r\n.\r\n", b"a\rb\nc\r\r\n"),
    ):
        pop3.reader = Blocks(sent + b"+OK next\r\n")  # type: ignore[assignment]
        assert b"".join(pop3.text()) == meant
        assert pop3.reader.octets == b"+OK next\r\n"  # type: ignore[attr-defined]


def test_many_bodies_are_read_one_after_another(pop3: Account) -> None:
    for number in range(5):
        pop3.deliver(raw(number, b"x" * 1000 * number + b"\r\n"))
    store = pop3.open()
    assert isinstance(store, POP3Store)
    created = store.changes("INBOX", None, {}).created
    sizes = {m.uid: m.size for m in store.messages("INBOX", created)}
    read = {}
    for uid, chunks in store.bodies("INBOX", [*created, "gone"]):
        read[uid] = sum(map(len, chunks)) if uid != created[2] else sizes[uid]  # one is not read at all
    assert read == sizes
    assert store.alive()


def test_a_body_that_is_not_read_to_its_end_harms_nothing(pop3: Account) -> None:
    pop3.deliver(raw(1, b"0123456789abcdef" * 100_000 + b"\r\n"))
    store = pop3.open()
    (uid,) = store.changes("INBOX", None, {}).created
    next(store.body("INBOX", uid))
    assert store.newest("INBOX", 1)[0].uid == uid


def test_what_is_not_there_is_not_found(pop3: Account) -> None:
    store = pop3.open()
    with pytest.raises(NotFound):
        store.body("INBOX", "nothing")
    assert list(store.messages("INBOX", ["nothing"])) == []
    for bad in ("a\r\nDELE 1", "\0"):
        with pytest.raises(Refused):
            store.body("INBOX", bad)
        with pytest.raises(Refused):
            store.destroy("INBOX", [bad])
    assert store.alive()


def test_what_pop3_has_not_is_unsupported(pop3: Account) -> None:
    store = pop3.open()
    calls = [
        lambda: store.search("INBOX", Condition()),
        lambda: store.append("INBOX", io.BytesIO(b"")),
        lambda: store.set_keywords("INBOX", []),
        lambda: store.copy("INBOX", [], "X"),
        lambda: store.move("INBOX", [], "X"),
        lambda: store.create_mailbox("X"),
        lambda: store.rename_mailbox("X", "Y"),
        lambda: store.destroy_mailbox("X"),
        lambda: store.subscribe("X", True),
        lambda: store.watch("INBOX"),
    ]
    for call in calls:
        with pytest.raises(Unsupported):
            call()
    assert store.quota() is None


@pytest.mark.parametrize("security", list(Security))
def test_signing_in_takes_any_password(dovecot: Dovecot, security: Security) -> None:
    with open_store(dovecot.pop3(security), Credentials(UNICODE_USER, UNICODE_PASSWORD)) as store:
        assert store.alive()
    assert not store.alive()
    with pytest.raises(AuthenticationFailed):
        open_store(dovecot.pop3(security), Credentials(UNICODE_USER, "wrong"))


def test_tls_is_verified(dovecot: Dovecot) -> None:
    for security in (Security.TLS, Security.STARTTLS):
        for changes in ({"ca_file": None}, {"host": "other.example.org"}):
            with pytest.raises(InsecureConnection):
                POP3Store(dovecot.pop3(security, **changes), Credentials("x", PASSWORD))
