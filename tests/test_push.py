"""What happens on a server is heard at once, whatever becomes of connections and processes in between."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.app import ROOT, Postkasse, eventually
from tests.letters import letter
from tests.protocols.scripted import Scripted
from tests.second_client import second_client
from tests.servers import CAPABILITY_SETS, PASSWORD, Dovecot, SMTPServer
from tests.visitor import Visitor
from webmail.protocols.base import Credentials, Watch
from webmail.protocols.errors import Unavailable, Unreachable
from webmail.protocols.imap import IMAPStore

pytestmark = pytest.mark.xdist_group("push")
_numbers = iter(range(1, 10_000))


class Gate:
    """A relay before a server, whose connections can be made to fall silent as behind a NAT that forgot them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._silent: set[socket.socket] = set()
        self._idle: set[socket.socket] = set()  # clients
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._running = True
        self._thread = threading.Thread(target=self._relay, daemon=True)

    def __enter__(self) -> Gate:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running = False
        self._thread.join(10)
        for one in (self._listener, *self._pairs):
            one.close()
        self._selector.close()

    def forget(self) -> None:
        """All connections that wait in IDLE now stay open, and nothing comes through any more."""
        self._silent |= self._idle | {self._pairs[client] for client in self._idle}

    def _relay(self) -> None:
        while self._running:
            for key, _mask in self._selector.select(0.1):
                source = key.fileobj
                assert isinstance(source, socket.socket)
                if source is self._listener:
                    self._accept()
                elif source in self._pairs:
                    self._pass(source)

    def _accept(self) -> None:
        client, _address = self._listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._port), 5)
        except OSError:
            client.close()
            return
        self._pairs |= {client: server, server: client}
        for one in (client, server):
            self._selector.register(one, selectors.EVENT_READ)

    def _pass(self, source: socket.socket) -> None:
        target = self._pairs[source]
        with contextlib.suppress(OSError):
            if data := source.recv(65536):
                if data.endswith(b" IDLE\r\n"):
                    self._idle.add(source)
                if source not in self._silent:
                    target.sendall(data)
                return
        if source in self._silent:
            self._selector.unregister(source)
            return
        for one in (source, target):
            self._pairs.pop(one, None)
            self._idle.discard(one)
            with contextlib.suppress(KeyError):
                self._selector.unregister(one)
            one.close()


class World:
    def __init__(self, app: Postkasse, dovecot: Dovecot, gate: Gate) -> None:
        self.app, self.dovecot, self.gate = app, dovecot, gate
        self.watchers: list[subprocess.Popen[bytes]] = []

    def start_watcher(self, arguments: str = "") -> subprocess.Popen[bytes]:
        """A watch process of its own, its Watcher made with ``arguments``."""
        code = (
            "import os, signal, time, django; django.setup()\n"
            "from webmail import tasks\nfrom webmail.watching import Watcher\n"
            f"w = Watcher(tasks.nudge_sync, {arguments})\n"
            "signal.signal(signal.SIGTERM, lambda *_: w.stop())\nw.run()\n"
        )
        environment = {**self.app.environment, "DJANGO_SETTINGS_MODULE": "webmail.settings"}
        with (self.app.data / "watchers.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment, stdout=log, stderr=log)
        self.watchers.append(process)
        return process

    def end_watchers(self) -> None:
        for process in self.watchers:
            process.terminate()
        for process in self.watchers:
            assert process.wait(20) in (0, -signal.SIGKILL)
        self.watchers.clear()

    def enter(self, domain: str = "push.test") -> str:
        """Somebody new, signed in and watched."""
        address = f"person{next(_numbers)}-{os.getpid()}@{domain}"
        Visitor(self.app).sign_in(address)
        eventually(lambda: self.push(address), f"{address} is watched\n{self.app.log()}")
        self.settled(address)
        return address

    def settled(self, address: str) -> None:
        """The syncs that watching began with are over, so that what comes now comes because it was heard."""
        query = "SELECT 1 FROM accounts_account WHERE address = ? AND sync_holder = '' AND synced_at IS NOT NULL"
        eventually(lambda: self.app.rows(query, address), "synced")

    def _account(self, column: str, address: str) -> str:
        return self.app.rows(f"SELECT {column} AS it FROM accounts_account WHERE address = ?", address)[0]["it"]

    def push(self, address: str) -> str:
        return self._account("push", address)

    def holder(self, address: str) -> str:
        """The number of the process that watches it; "" if none does."""
        return [*self._account("watch_holder", address).split(":"), "", ""][2]

    def hears(self, address: str, subject: str) -> None:
        """A message that is delivered now is in the cache long before anybody would poll for it."""
        self.dovecot.deliver(address, letter(subject, to=address))
        query = "SELECT 1 FROM webmail_message m JOIN accounts_account a ON a.id = m.account_id WHERE a.address = ? AND m.subject = ?"
        eventually(lambda: self.app.rows(query, address, subject), f"{subject}\n{self.app.log()}")


@pytest.fixture(scope="module")
def running() -> Iterator[World]:
    with (
        Dovecot() as dovecot,
        Dovecot(capabilities=CAPABILITY_SETS["no-qresync"]) as plain,
        Gate(dovecot.imap_port) as gate,
        SMTPServer(deliver_to=dovecot) as smtp,
    ):
        out = f"smtp://localhost:{smtp.port}"
        domains = {
            "push.test": {"incoming": f"imap://localhost:{gate.port}", "outgoing": out},
            "plain.test": {"incoming": f"imap://localhost:{plain.imap_port}", "outgoing": out},
        }
        with Postkasse(domains) as app:
            app.end_program("watch")
            yield World(app, dovecot, gate)


@pytest.fixture
def world(running: World) -> Iterator[World]:
    yield running
    running.end_watchers()


# --- the protocol -----------------------------------------------------------------------------------------------------


def _hears(watch: Watch) -> bool:
    if watch.changed():  # it came with the server's consent
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(watch, selectors.EVENT_READ)
        while selector.select(10):
            if watch.changed():
                return True
    return False


def _settle(watch: Watch) -> None:
    """Read until the renewal is answered."""
    with selectors.DefaultSelector() as selector:
        selector.register(watch, selectors.EVENT_READ)
        while not watch.settled:
            assert selector.select(10), "no answer"
            watch.changed()


def test_notify_hears_every_folder_on_one_connection() -> None:
    with Dovecot() as dovecot, second_client(dovecot, "kari") as elsewhere:
        with IMAPStore(dovecot.imap(), Credentials("kari", PASSWORD)) as store:
            watch = store.watch("INBOX")
            assert watch.how == "notify"
            watch.changed()
            assert not watch.changed()
            elsewhere.append(letter("In another folder"), "Archive")
            assert _hears(watch)
            watch.renew()
            _settle(watch)
            elsewhere.create("Quite new")
            assert _hears(watch)
            dovecot.deliver("kari", letter("In the inbox"))
            assert _hears(watch)
            watch.close()
            assert len(store.changes("Archive", None, {}).created) == 1


def test_without_notify_the_inbox_is_heard_by_idle() -> None:
    with Dovecot(capabilities=CAPABILITY_SETS["no-qresync"]) as dovecot:
        with IMAPStore(dovecot.imap(), Credentials("kari", PASSWORD)) as store:
            watch = store.watch("INBOX")
            assert watch.how == "idle"
            dovecot.deliver("kari", letter("In the inbox"))
            assert _hears(watch)
            watch.close()


def _scripted(capabilities: bytes, *steps: bytes | str) -> Scripted:
    offered = b"IMAP4rev1 SASL-IR AUTH=PLAIN IDLE " + capabilities
    begin = [
        *(b"* OK hello\r\n", "CAPABILITY", b"* CAPABILITY " + offered + b"\r\nTAG OK\r\n"),
        *("AUTHENTICATE PLAIN", b"TAG OK [CAPABILITY " + offered + b"] in\r\n"),
        *("SELECT", b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nTAG OK [READ-WRITE] done\r\n"),
    ]
    return Scripted([*begin, *steps])


def test_a_server_that_refuses_what_we_want_of_notify_is_heard_by_idle() -> None:
    refusal = b"TAG NO [BADEVENT (MessageNew)] not that one\r\n"
    with _scripted(
        b"NOTIFY", "NOTIFY SET", refusal, "IDLE", b"+ idling\r\n* 2 EXISTS\r\n", "DONE", b"K4 OK\r\n"
    ) as script:
        store = IMAPStore(script.server(), Credentials("kari", "secret"))
        watch = store.watch("INBOX")
        assert watch.how == "idle"
        assert _hears(watch)
        watch.close()
        store.close()


def test_a_server_whose_notifications_overflow_tells_no_more_than_idle() -> None:
    overflow = b"+ idling\r\n* OK [NOTIFICATIONOVERFLOW] too much\r\n"
    with _scripted(b"NOTIFY", "NOTIFY SET", b"TAG OK\r\n", "IDLE", overflow, "DONE", b"K4 OK\r\n") as script:
        store = IMAPStore(script.server(), Credentials("kari", "secret"))
        watch = store.watch("INBOX")
        assert _hears(watch)
        assert watch.how == "idle"
        watch.close()
        store.close()


def test_half_a_response_is_not_waited_for() -> None:
    """A name may come as a literal; the rest of it comes when it comes."""
    half = b"+ idling\r\n* STATUS {7}\r\nArch"
    with _scripted(
        b"", "IDLE", half, "DONE", b"ive (MESSAGES 2)\r\nK3 OK\r\n", "IDLE", b"+ again\r\n", "DONE", b"K4 OK\r\n"
    ) as script:
        store = IMAPStore(script.server(), Credentials("kari", "secret"))
        watch = store.watch("INBOX")
        assert not watch.changed()
        watch.renew()
        assert _hears(watch)
        _settle(watch)
        watch.close()
        store.close()


def test_a_server_that_ends_idle_by_itself_is_left_alone_for_a_while() -> None:
    with _scripted(b"", "IDLE", b"+ idling\r\n", b"K3 NO [LIMIT] enough\r\n") as script:
        store = IMAPStore(script.server(), Credentials("kari", "secret"))
        watch = store.watch("INBOX")
        with pytest.raises((Unavailable, Unreachable)):
            _hears(watch)
        watch.abandon()
        store.close()


# --- processes --------------------------------------------------------------------------------------------------------


def test_mail_is_heard_also_after_the_server_was_restarted(world: World) -> None:
    world.start_watcher()
    address = world.enter()
    assert world.push(address) == "notify"
    world.hears(address, "Before")
    world.dovecot.stop()
    eventually(lambda: world.push(address) == "", "noticed")
    world.dovecot.start()
    eventually(lambda: world.push(address) == "notify", "watched again")
    world.settled(address)
    world.hears(address, "After")


def test_a_server_without_notify_is_watched_by_idle(world: World) -> None:
    world.start_watcher()
    assert world.push(world.enter("plain.test")) == "idle"


def test_a_connection_that_fell_silent_is_noticed_by_the_renewal_and_opened_anew(world: World) -> None:
    world.start_watcher("renew_seconds=1.0, answer_seconds=1.0")
    address = world.enter()
    world.gate.forget()
    world.hears(address, "Heard on another connection")
    eventually(lambda: world.push(address) == "notify", "watched again")


def test_after_the_machine_slept_every_connection_is_suspect(world: World, tmp_path: Path) -> None:
    slept = tmp_path / "slept"
    world.start_watcher(f"answer_seconds=1.0, clock=lambda: time.time() + 3600 * os.path.exists({str(slept)!r})")
    address = world.enter()
    world.gate.forget()
    slept.touch()
    world.hears(address, "Came while it slept")
    eventually(lambda: world.push(address) == "notify", "watched again")


def test_another_process_takes_over_from_one_that_was_killed(world: World) -> None:
    first = world.start_watcher()
    address = world.enter()
    assert world.holder(address) == str(first.pid)
    second = world.start_watcher()
    first.kill()
    first.wait(10)
    eventually(lambda: world.holder(address) == str(second.pid) and world.push(address) == "notify", "taken over")
    world.settled(address)
    world.hears(address, "Heard by the other")


def test_a_process_that_is_told_to_end_gives_its_accounts_back(world: World) -> None:
    process = world.start_watcher()
    address = world.enter()
    process.terminate()
    assert process.wait(20) == 0
    assert (world.holder(address), world.push(address)) == ("", "")


# --- the stream -------------------------------------------------------------------------------------------------------


def test_a_page_hears_of_mail_and_resumes_by_the_id_it_heard_last(world: World) -> None:
    world.start_watcher()
    address = world.enter()
    visitor = Visitor(world.app)
    visitor.sign_in(address)
    world.hears(address, "First")
    with closing(visitor.listen("0-0")) as stream:
        heard = [next(stream) for _ in range(3)]
    with closing(visitor.listen(heard[0][0])) as stream:
        assert [next(stream) for _ in range(2)] == heard[1:]
    with closing(visitor.listen("1700000000000-0")) as stream:
        last_id, kind = next(stream)
        assert kind == "reload"
        assert last_id >= heard[-1][0]
        world.hears(address, "Second")
        assert next(stream)[1] in ("mailbox", "account")


def test_who_has_not_signed_in_gets_no_stream(world: World) -> None:
    with urllib.request.urlopen(f"{world.app.url}/events/", timeout=30) as answer:
        assert (answer.status, answer.read()) == (204, b"")
