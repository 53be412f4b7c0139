"""kill -9 at each point between the click and the copy in Sent; and two workers that want the same row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.outbox.rig import MAY_HAVE_LEFT, POINTS, Rig
from tests.scripted_smtp import FailingSMTP
from tests.second_client import second_client
from tests.servers import Dovecot, SMTPServer

_numbers = itertools.count(1)


@dataclass
class World:
    rig: Rig
    dovecot: Dovecot
    smtp: SMTPServer
    chunks: FailingSMTP

    def write(self, address: str, subject: str, port: int = 0, **fields: str) -> int:
        incoming, outgoing = f"imap://localhost:{self.dovecot.imap_port}", f"smtp://localhost:{port or self.smtp.port}"
        return self.rig.tell("write", address=address, subject=subject, incoming=incoming, outgoing=outgoing, **fields)

    def filed(self, address: str) -> list[str]:
        with second_client(self.dovecot, address) as client:
            return client.subjects("Sent")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with Dovecot() as dovecot, SMTPServer() as smtp, FailingSMTP(extensions=("PIPELINING", "CHUNKING")) as chunks:
        incoming = f"imap://localhost:{dovecot.imap_port}"
        table = {
            domain: {"incoming": incoming, "outgoing": f"smtp://localhost:{port}"}
            for domain, port in (("kill.test", smtp.port), ("chunks.test", chunks.port))
        }
        with Rig(tmp_path_factory.mktemp("rig"), table) as rig:
            yield World(rig, dovecot, smtp, chunks)


@pytest.fixture
def address() -> str:
    return f"killed{next(_numbers)}@kill.test"


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_at_a_point_loses_nothing_and_sends_nothing_twice(
    world: World, address: str, point: str
) -> None:
    number = world.write(address, point)
    world.smtp.clear()
    assert world.rig.tell("work", numbers=[number], point=point) == [-9]
    for _ in range(2):
        assert world.rig.tell("work", numbers=[number], recover=True) == [0]
    row = world.rig.tell("state", number=number)
    if point in MAY_HAVE_LEFT:
        assert row["state"] == "uncertain"
        assert not row["gone"]
        assert len(world.smtp.received) <= 1
        return
    assert (row["state"], row["gone"]) == ("sent", True)
    assert len(world.smtp.received) == 1
    assert world.filed(address) == [point]


@pytest.mark.parametrize("point", [*POINTS[6:8], *MAY_HAVE_LEFT])
def test_a_worker_killed_among_chunks_sends_nothing_twice(world: World, address: str, point: str) -> None:
    """There the row is marked when all but the last octet has left, so that a worker killed before that sends it again."""
    smtp, address = world.chunks, address.replace("kill.", "chunks.")
    number = world.write(address, point, smtp.port)
    smtp.accepted.clear()
    assert world.rig.tell("work", numbers=[number], point=point) == [-9]
    for _ in range(2):
        assert world.rig.tell("work", numbers=[number], recover=True) == [0]
    whole = point.startswith(
        ("webmail.protocols.smtp:SMTPTransport._finish after", "webmail.outbox.sending:_sent before")
    )
    marked = whole or point.endswith(("_begin after", "_finish before"))
    assert world.rig.tell("state", number=number)["state"] == ("uncertain" if marked else "sent")
    assert len(smtp.accepted) == (whole or not marked)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("again", [False, True], ids=["first try", "second try"])
def test_a_worker_killed_while_some_are_to_wait_sends_to_nobody_twice(
    world: World, address: str, point: str, again: bool
) -> None:
    """One of two recipients is to wait; the worker dies in the try for both, or in the one for who is left."""
    number = world.write(address, point, to="later@example.org, ola@example.org")
    world.smtp.clear()
    world.smtp.refuse["later@example.org"] = "450 4.2.0 Later"
    if again:
        assert world.rig.tell("work", numbers=[number]) == [0]
        world.smtp.refuse.clear()
        world.rig.tell("come_due", number=number)
    filing = "outbox.filing" in point
    assert world.rig.tell("work", numbers=[number], point=point) == [0 if filing and not again else -9]
    world.smtp.refuse.clear()
    for _ in range(2):
        world.rig.tell("come_due", number=number)
        assert world.rig.tell("work", numbers=[number], recover=True) == [0]
    reached = [recipient for received in world.smtp.received for recipient in received.recipients]
    assert len(reached) == len(set(reached))
    if point in MAY_HAVE_LEFT:
        assert world.rig.tell("state", number=number)["state"] == "uncertain"
        return
    assert world.rig.tell("state", number=number)["state"] == "sent"
    assert sorted(reached) == ["later@example.org", "ola@example.org"]
    assert world.filed(address) == [point]


def test_many_workers_at_once_send_each_message_once(world: World, address: str) -> None:
    subjects = [f"Number {number}" for number in range(8)]
    world.smtp.clear()
    numbers = [world.write(address, subject) for subject in subjects]
    assert set(world.rig.tell("work", numbers=[*numbers, *numbers])) == {0}
    world.rig.tell("work", numbers=numbers[:1], recover=True)
    assert len(world.smtp.received) == len(subjects)
    assert sorted(world.filed(address)) == sorted(subjects)
    assert all(world.rig.tell("state", number=number)["gone"] for number in numbers)
