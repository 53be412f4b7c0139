"""kill -9 in the middle: nothing is lost, nothing is sent twice, and what nobody can know is left to the person."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.app import Postkasse, eventually
from tests.letters import letter
from tests.second_client import second_client
from tests.servers import Dovecot, SMTPServer
from tests.visitor import Visitor

pytestmark = pytest.mark.xdist_group("crash")
MANY = 4000


@dataclass
class HoldingServer(SMTPServer):
    """Stops at a moment of the conversation until told to go on: ``hold`` names it, ``reached`` says that it is there."""

    hold: str = ""  # "sign-in", "recipient", "message" (its final dot has come, no answer went out)
    reached: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def stop_at(self, moment: str) -> None:
        self.clear()
        self.hold = moment
        self.reached.clear()
        self.go_on.clear()

    def release(self) -> None:
        self.hold = ""
        self.go_on.set()

    async def _pass(self, moment: str) -> None:
        if self.hold == moment:
            self.reached.set()
            await asyncio.to_thread(self.go_on.wait, 60)

    async def auth_PLAIN(self, server: SMTP, args: list[str]) -> AuthResult | None:
        await self._pass("sign-in")
        return await server.auth_PLAIN(server, args)

    async def auth_LOGIN(self, server: SMTP, args: list[str]) -> AuthResult | None:
        await self._pass("sign-in")
        return await server.auth_LOGIN(server, args)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        await self._pass("recipient")
        return await super().handle_RCPT(server, session, envelope, address, options)  # type: ignore[arg-type]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await self._pass("message")
        return await super().handle_DATA(server, session, envelope)  # type: ignore[arg-type]


@dataclass
class World:
    app: Postkasse
    dovecot: Dovecot
    smtp: HoldingServer


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with Dovecot() as dovecot, HoldingServer(deliver_to=dovecot, domains=("imap.test",)) as smtp:
        incoming, outgoing = f"imap://localhost:{dovecot.imap_port}", f"smtp://localhost:{smtp.port}"
        with Postkasse({"imap.test": {"incoming": incoming, "outgoing": outgoing}}) as app:
            yield World(app, dovecot, smtp)


@pytest.fixture
def visitor(world: World) -> Visitor:
    return Visitor(world.app)


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    return f"crash{abs(hash(request.node.nodeid))}-{os.getpid()}@imap.test"


def _state(app: Postkasse, subject: str) -> str:
    """As the row says; "gone" when it is sent, filed, and its message let go."""
    (row,) = app.rows("SELECT state, filing, raw FROM webmail_submission WHERE subject = ?", subject)
    return "gone" if row["state"] == "sent" and row["filing"] == "filed" and not row["raw"] else row["state"]


def _kill_while(world: World, moment: str, send: Callable[[], None]) -> None:
    """Kill the worker while the server holds its connection at ``moment``; then let the server go on, and start again."""
    world.smtp.stop_at(moment)
    send()
    assert world.smtp.reached.wait(30), f"nobody came to {moment}"
    world.app.kill_worker()
    world.smtp.release()
    world.app.start_worker()
    world.app.sweep()


@pytest.mark.parametrize("moment", ["sign-in", "recipient"])
def test_a_worker_killed_before_it_handed_the_message_over_sends_it_once_in_the_end(
    world: World, visitor: Visitor, address: str, moment: str
) -> None:
    subject = f"Killed at the {moment}"
    visitor.sign_in(address)
    _kill_while(world, moment, lambda: visitor.send(address, subject))
    eventually(lambda: _state(world.app, subject) == "gone", f"{subject} to be sent and filed", 60)
    assert [message.recipients for message in world.smtp.received] == [[address]]
    with second_client(world.dovecot, address) as client:
        client.await_subjects({subject})
        client.await_subjects({subject}, "Sent")
        assert client.subjects("Sent") == [subject]


def test_a_worker_killed_after_the_final_dot_leaves_the_decision_to_the_person(
    world: World, visitor: Visitor, address: str
) -> None:
    subject = "Killed after the dot"
    visitor.sign_in(address)
    _kill_while(world, "message", lambda: visitor.send(address, subject))
    eventually(lambda: _state(world.app, subject) == "uncertain", "an uncertain submission")
    page = visitor.get("/outbox/")
    assert "It may have been sent" in page
    assert subject in page
    # Whoever looks for work now finds none here; a later message goes out past it.
    world.app.sweep()
    visitor.send(address, "A later one")
    eventually(lambda: _state(world.app, "A later one") == "gone", "the later message sent")
    world.app.sweep()
    with second_client(world.dovecot, address) as client:
        client.await_message("A later one")
        assert client.subjects().count(subject) <= 1
    assert _state(world.app, subject) == "uncertain"
    assert len(world.smtp.received) <= 2

    number = world.app.rows("SELECT id FROM webmail_submission WHERE subject = ?", subject)[0]["id"]
    visitor.post(f"/submissions/{number}/settlement/", form="/outbox/")
    eventually(lambda: _state(world.app, subject) == "gone", "it filed and let go")
    with second_client(world.dovecot, address) as client:
        client.await_message(subject, "Sent")


def test_what_waits_when_redis_loses_everything_is_sent_once(world: World, visitor: Visitor, address: str) -> None:
    subjects = [f"Forgotten {number}" for number in range(3)]
    visitor.sign_in(address)
    world.smtp.clear()
    world.app.kill_worker()
    for subject in subjects:
        visitor.send(address, subject)
    world.app.forget_nudges()
    world.app.start_worker()
    world.app.sweep()
    for subject in subjects:
        eventually(lambda: _state(world.app, subject) == "gone", f"{subject} to be sent and filed", 60)
    assert len(world.smtp.received) == len(subjects)


def test_a_connection_lost_after_the_final_dot_is_uncertain_too(world: World, visitor: Visitor, address: str) -> None:
    subject = "Dropped after the dot"
    visitor.sign_in(address)
    world.smtp.clear()
    world.smtp.drop_after_dot = True
    visitor.send(address, subject)
    eventually(lambda: _state(world.app, subject) == "uncertain", "an uncertain submission")
    world.smtp.drop_after_dot = False
    world.app.sweep()
    visitor.send(address, "Another one")
    eventually(lambda: _state(world.app, "Another one") == "gone", "the other message sent")
    assert [subject in message.raw.decode() for message in world.smtp.received] == [True, False]


def test_a_connection_lost_before_the_final_dot_is_tried_again(world: World, visitor: Visitor, address: str) -> None:
    subject = "Dropped before the dot"
    visitor.sign_in(address)
    world.smtp.clear()
    world.smtp.drop_before_dot = True
    visitor.send(address, subject, "A long story.\n" * 200_000)  # so long that it cannot be in the network's buffers
    query = "SELECT attempts FROM webmail_submission WHERE subject = ? AND state = 'waiting' AND attempts > 0"
    eventually(lambda: world.app.rows(query, subject), "a first try")
    world.smtp.drop_before_dot = False
    number = world.app.rows("SELECT id FROM webmail_submission WHERE subject = ?", subject)[0]["id"]
    visitor.post(f"/submissions/{number}/retry/", form="/outbox/")
    eventually(lambda: _state(world.app, subject) == "gone", "it sent")
    assert len(world.smtp.received) == 1


def test_a_sync_killed_in_the_middle_is_finished_by_the_next(world: World, visitor: Visitor, address: str) -> None:
    with second_client(world.dovecot, address) as client:
        client.append_many(letter(f"Number {number}", minutes_ago=MANY - number) for number in range(MANY))
        visitor.sign_in(address)
        count = (
            "SELECT count(*) AS n, count(DISTINCT m.uid) AS uids FROM webmail_message m JOIN accounts_account a "
            "ON m.account_id = a.id WHERE a.address = ? AND m.mailbox_id IS NOT NULL"
        )

        def fetched() -> int:
            return world.app.rows(count, address)[0]["n"]

        eventually(lambda: fetched() > 400, "a sync under way")
        world.app.kill_worker()
        at_death = fetched()
        assert at_death < MANY, "the sync was over before it could be killed"
        client.add_flag(f"Number {MANY - 1}", "\\Flagged")
        world.app.start_worker()
        world.app.sweep()
        eventually(lambda: fetched() == MANY, f"{MANY} messages, has {fetched()}", 90)
        done = "SELECT complete, total, unread FROM webmail_mailbox b JOIN accounts_account a ON b.account_id = a.id "
        done += "WHERE a.address = ? AND b.role = 'inbox'"
        eventually(lambda: world.app.rows(done, address)[0]["complete"], "a complete inbox")
        assert tuple(world.app.rows(done, address)[0])[1:] == (MANY, MANY)
        assert world.app.rows(count, address)[0]["uids"] == MANY
        flagged = "SELECT m.subject FROM webmail_message m JOIN accounts_account a ON m.account_id = a.id "
        flagged += "WHERE a.address = ? AND m.flagged"
        eventually(lambda: world.app.rows(flagged, address), "the star set meanwhile")
        assert [row["subject"] for row in world.app.rows(flagged, address)] == [f"Number {MANY - 1}"]


def test_what_was_done_while_no_worker_ran_reaches_the_server_later(
    world: World, visitor: Visitor, address: str
) -> None:
    with second_client(world.dovecot, address) as client:
        client.append(letter("To be archived"))
        visitor.sign_in(address)
        world.app.kill_worker()
        row = world.app.rows(
            "SELECT m.id FROM webmail_message m JOIN accounts_account a ON m.account_id = a.id WHERE a.address = ?",
            address,
        )
        page = visitor.post("/messages/mailbox/?role=archive", form="/", id=str(row[0]["id"]), next="/")
        assert "Archived 1 message." in page
        assert client.subjects() == ["To be archived"]
        world.app.start_worker()
        world.app.sweep()
        client.await_subjects({"To be archived"}, "Archive")
        client.await_subjects(set())
