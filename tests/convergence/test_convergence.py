"""The caches converge, on the reference server in memory and on a real one by each of the three ways to learn changes.

A fixed budget here; a long run: POSTKASSE_CONVERGENCE=2000 python -m pytest tests/convergence
"""

from __future__ import annotations

import os
from itertools import count

import pytest
from django.conf import LazySettings
from hypothesis import HealthCheck, Phase
from hypothesis import settings as budget
from hypothesis.stateful import run_state_machine_as_test

from tests.convergence.machine import Convergence
from tests.servers import PASSWORD, Dovecot
from webmail.protocols.base import Credentials, MailStore, Security, Server
from webmail.protocols.imap import IMAPStore
from webmail.protocols.memory import MemoryServer, MemoryStore

EXAMPLES = int(os.environ.get("POSTKASSE_CONVERGENCE", "0"))
_users = count()


def _budget(examples: int) -> budget:
    """Nothing is shrunk: that takes minutes, and the sequence that failed says enough."""
    return budget(
        max_examples=EXAMPLES or examples, stateful_step_count=30, deadline=None, database=None, derandomize=not EXAMPLES,
        suppress_health_check=list(HealthCheck), print_blob=False, phases=[Phase.generate],
    )  # fmt: skip


class MemoryWorld:
    paths: tuple[tuple[str, ...], ...] = ((), ())

    def __init__(self) -> None:
        self.server = MemoryServer()

    def new_user(self) -> str:
        return f"user{next(_users)}"

    def url(self) -> str:
        return "imap://memory.test"

    def open(self, user: str) -> MailStore:
        return MemoryStore(self.server, user)

    def renumber(self, user: str, mailbox: str) -> bool:
        self.server.invalidate(user, mailbox)
        return True


class DovecotWorld:
    paths = ((), ("QRESYNC",), ("QRESYNC", "CONDSTORE", "ENABLE", "UIDPLUS", "MOVE", "ESEARCH"))

    def __init__(self, dovecot: Dovecot) -> None:
        self.dovecot = dovecot

    def new_user(self) -> str:
        return f"machine{next(_users)}-{os.getpid()}"

    def url(self) -> str:
        return f"imap://localhost:{self.dovecot.imap_port}"

    def open(self, user: str) -> MailStore:
        server = Server("imap", "localhost", self.dovecot.imap_port, Security.PLAIN)
        return IMAPStore(server, Credentials(user, PASSWORD))

    def renumber(self, user: str, mailbox: str) -> bool:
        return False  # a real server keeps its numbers; a folder deleted and made again is another folder


@pytest.mark.django_db
def test_caches_converge_on_the_server_in_memory(redis_url: str) -> None:
    class Machine(Convergence):
        world = MemoryWorld()

    run_state_machine_as_test(Machine, settings=_budget(60))


@pytest.mark.django_db
def test_caches_converge_on_dovecot_by_each_way_of_learning_changes(redis_url: str, settings: LazySettings) -> None:
    with Dovecot() as dovecot:
        settings.MAIL_DOMAINS = {"machine.test": {"incoming": f"imap://localhost:{dovecot.imap_port}"}}

        class Machine(Convergence):
            world = DovecotWorld(dovecot)

        run_state_machine_as_test(Machine, settings=_budget(12))
