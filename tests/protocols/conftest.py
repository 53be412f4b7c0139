"""Accounts to test on: the same few verbs over every kind of server."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.servers import CAPABILITY_SETS, PASSWORD, Dovecot, Pymap, SMTPServer
from webmail.protocols.base import Credentials, MailStore, Server
from webmail.protocols.imap import IMAPStore
from webmail.protocols.memory import MemoryServer, MemoryStore
from webmail.protocols.pop3 import POP3Store

_count = itertools.count(1)
_pymap_users = itertools.count()  # it has 200, each with an empty mailbox


@dataclass
class Account:
    """An account nobody else has. Stores opened here are closed at the end of the test."""

    kind: str
    user: str
    _open: Callable[[], MailStore]
    deliver: Callable[[bytes], object]
    server: Server | None = None
    _stores: list[MailStore] = field(default_factory=list)

    def open(self) -> MailStore:
        store = self._open()
        self._stores.append(store)
        return store

    def close(self) -> None:
        for store in self._stores:
            store.close()


def new_user() -> str:
    return f"user{next(_count)}-{os.getpid()}"


@pytest.fixture(scope="session")
def dovecots() -> Iterator[Callable[[str], Dovecot]]:
    """A Dovecot for each set of capabilities, started when first asked for."""
    running: dict[str, Dovecot] = {}

    def get(kind: str) -> Dovecot:
        if kind not in running:
            storage = "maildir" if kind == "maildir" else "sdbox"
            dovecot = Dovecot(capabilities=CAPABILITY_SETS.get(kind, ""), storage=storage)
            running[kind] = dovecot.__enter__()
        return running[kind]

    yield get
    for dovecot in running.values():
        dovecot.__exit__(None, None, None)


@pytest.fixture
def dovecot(dovecots: Callable[[str], Dovecot]) -> Dovecot:
    return dovecots("full")


@pytest.fixture(scope="session")
def pymap() -> Iterator[Pymap]:
    with Pymap() as server:
        yield server


@pytest.fixture(scope="session")
def _smtp_server() -> Iterator[SMTPServer]:
    with SMTPServer(size=8_000_000) as server:
        yield server


@pytest.fixture
def smtp_server(_smtp_server: SMTPServer) -> SMTPServer:
    _smtp_server.clear()
    return _smtp_server


def imap_account(dovecot: Dovecot, kind: str = "full") -> Account:
    user = new_user()
    server = dovecot.imap()

    def open_store() -> MailStore:
        return IMAPStore(server, Credentials(user, PASSWORD))

    return Account(kind, user, open_store, lambda raw: dovecot.deliver(user, raw), server)


def pop3_account(dovecot: Dovecot) -> Account:
    user = new_user()
    server = dovecot.pop3()

    def open_store() -> MailStore:
        return POP3Store(server, Credentials(user, PASSWORD))

    return Account("pop3", user, open_store, lambda raw: dovecot.deliver(user, raw), server)


def memory_account() -> Account:
    server = MemoryServer()
    return Account("memory", "alice", lambda: MemoryStore(server), lambda raw: server.deliver("alice", raw))


def pymap_account(pymap: Pymap, user: str) -> Account:
    server = pymap.imap()

    def open_store() -> MailStore:
        return IMAPStore(server, Credentials(user, PASSWORD))

    def deliver(raw: bytes) -> None:
        import io

        with IMAPStore(server, Credentials(user, PASSWORD)) as store:
            store.append("INBOX", io.BytesIO(raw))

    return Account("pymap", user, open_store, deliver, server)


# What pymap's maildirs cannot do, by test; everything else of the contract holds for it.
_LF = "stores line ends as LF"
PYMAP_CANNOT = {
    "test_a_message_comes_back_octet_for_octet": _LF,
    "test_a_list_entry_has_what_a_list_needs": _LF,
    "test_the_structure_names_parts_that_can_be_fetched": "says nothing of dispositions",
    "test_a_single_part_is_part_one": "counts the header into the size of a part",
    "test_a_large_body_comes_in_chunks": _LF,
    "test_a_move_to_nowhere_loses_nothing": _LF,
    "test_creating_what_exists_is_refused": "hangs up on it",
    "test_a_copy_leaves_the_original": "copies nothing but the header",
    "test_custom_keywords_are_lower_case": "keeps no custom keywords",
    "test_letters_beyond_ascii_are_found": "decodes no charset in a search",
}


@pytest.fixture(params=["memory", "full", "no-qresync", "no-condstore", "bare", "maildir", "pymap"])
def account(request: pytest.FixtureRequest, dovecots: Callable[[str], Dovecot]) -> Iterator[Account]:
    """An account on each kind of store that has mailboxes."""
    if request.param == "memory":
        account = memory_account()
    elif request.param == "pymap":
        test = request.node.originalname
        if test in PYMAP_CANNOT:
            pytest.skip(f"pymap {PYMAP_CANNOT[test]}")
        account = pymap_account(request.getfixturevalue("pymap"), f"user{next(_pymap_users)}")
    else:
        account = imap_account(dovecots(request.param), request.param)
    yield account
    account.close()


@pytest.fixture
def imap(dovecots: Callable[[str], Dovecot]) -> Iterator[Account]:
    """An account on Dovecot with all it has."""
    account = imap_account(dovecots("full"))
    yield account
    account.close()


@pytest.fixture
def pop3(dovecots: Callable[[str], Dovecot]) -> Iterator[Account]:
    account = pop3_account(dovecots("full"))
    yield account
    account.close()
