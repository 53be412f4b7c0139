"""What most of the world runs: a message of ours comes out of a real Postfix as it went in."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from django.core.files import File
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from accounts.models import Account
from tests import postfix
from tests.app import eventually
from tests.drafts import TYPED, Typed, assert_says_the_same, drafted
from tests.flat import growth
from tests.outbox.conftest import Sender
from tests.servers import SMTPServer
from webmail import compose, outbox
from webmail.models import Submission, SubmissionState

pytestmark = pytest.mark.skipif(bool(postfix.missing()), reason=postfix.missing())


@pytest.fixture
def behind() -> Iterator[SMTPServer]:
    with SMTPServer() as server:
        yield server


@pytest.fixture
def running(
    sender: Sender, behind: SMTPServer, settings: object, monkeypatch: pytest.MonkeyPatch
) -> Iterator[postfix.Postfix]:
    """What the account sends through; it passes on to ``behind``."""
    with postfix.Postfix(behind.port) as server:
        send_through(server, sender, settings, monkeypatch)
        yield server


@pytest.fixture
def roomy(sender: Sender, settings: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[postfix.Postfix]:
    """As ``running``, but takes messages of any size, and throws them away."""
    with postfix.Postfix(largest=0) as server:
        send_through(server, sender, settings, monkeypatch)
        yield server


def send_through(server: postfix.Postfix, sender: Sender, settings: object, monkeypatch: pytest.MonkeyPatch) -> None:
    outgoing = f"smtp://localhost:{server.port}"
    settings.MAIL_TIMEOUT = settings.MAIL_PATIENCE = 30  # type: ignore[attr-defined]  # nothing fails here
    settings.MAIL_DOMAINS = {"out.test": {"incoming": "imap://localhost:1", "outgoing": outgoing}}  # type: ignore[attr-defined]
    Account.objects.filter(pk=sender.account.pk).update(outgoing=outgoing)
    monkeypatch.setattr(Account, "credentials_for", lambda *_: None)  # it trusts this machine, and knows nobody


def test_a_message_arrives_through_postfix_octet_for_octet(
    sender: Sender, behind: SMTPServer, running: postfix.Postfix
) -> None:
    text = "Blåbærsyltetøy\n.\n..dots\nFrom here on\n" + "A long line. " * 200 + "\n"
    draft = compose.new(sender.account.user, to="ola@example.org", bcc="per@example.org", subject="Én ting", text=text)
    compose.save(draft)
    compose.attach(draft, SimpleUploadedFile("octets.bin", bytes(range(256)) * 10_000))
    submission = outbox.submit(sender.account.user, draft)
    with submission.raw.open("rb") as file:
        queued = file.read()
    sender.drain()
    assert Submission.objects.get(pk=submission.pk).state == SubmissionState.SENT
    (received,) = eventually(lambda: behind.received, f"it came through\n{running.log()}")
    assert "bdat=" in told(running)
    assert sorted(received.recipients) == ["ola@example.org", "per@example.org"]
    assert without_trace(received.raw) == without_bcc(queued)


@hypothesis.settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=3, deadline=None)
@given(st.lists(TYPED, min_size=10, max_size=10))
def test_any_drafts_come_out_of_postfix_as_they_were_written(
    sender: Sender, behind: SMTPServer, running: postfix.Postfix, several: list[Typed]
) -> None:
    behind.clear()
    queued = {}
    for typed in several:
        draft = drafted(sender.account.user, typed)
        submission = outbox.submit(sender.account.user, draft)
        with submission.raw.open("rb") as file:
            queued[draft.message_id.encode()] = (file.read(), typed, draft.text)
    sender.drain()
    eventually(lambda: len(behind.received) == len(several), f"they came through\n{running.log()}")
    for received in behind.received:
        raw = without_trace(received.raw)
        (sent, typed, text) = next(known for message_id, known in queued.items() if message_id in raw)
        assert raw == sent
        assert_says_the_same(raw, typed, text)


@pytest.mark.parametrize("without", [[], ["CHUNKING"]], ids=["chunks", "dots"])
def test_a_message_of_100_mb_is_handed_over_in_flat_memory(
    sender: Sender, roomy: postfix.Postfix, settings: object, tmp_path: Path, without: list[str]
) -> None:
    settings.ATTACHMENT_LIMIT = 200_000_000  # type: ignore[attr-defined]
    Account.objects.filter(pk=sender.account.pk).update(switched_off=without)
    draft = compose.new(
        sender.account.user, to="ola@example.org", bcc="per@example.org", subject="All of it", text="Hello"
    )
    compose.save(draft)
    with open(tmp_path / "octets.bin", "w+b") as file:
        file.writelines(os.urandom(1_000_000) for _ in range(75))
        compose.attach(draft, File(file, "octets.bin"))
    submission = outbox.submit(sender.account.user, draft)
    assert submission.size > 100_000_000
    _none, more = growth(sender.drain)
    submission.refresh_from_db()
    assert (submission.state, submission.refused) == (SubmissionState.SENT, {})
    talk = told(roomy)
    assert ("data=" in talk, "bdat=" in talk) == (bool(without), not without)
    (size,) = eventually(lambda: re.findall(r"qmgr.* size=(\d+), nrcpt=2", roomy.log()), "what it got of it")
    assert int(size) > 100_000_000
    assert more < 10_000_000, more


def told(server: postfix.Postfix) -> str:
    """By which commands a message came, which it says when the connection is over."""
    found: list[str] = eventually(lambda: re.findall("disconnect from.* mail=1 .*", server.log()), "its log")
    return found[0]


def without_trace(raw: bytes) -> bytes:
    """Without the Received field that a server puts on top (RFC 5321 §4.4)."""
    assert raw.startswith(b"Received: ")
    lines = raw.split(b"\r\n")
    first = next(number for number, line in enumerate(lines) if number and line[:1] not in (b" ", b"\t"))
    return b"\r\n".join(lines[first:])


def without_bcc(raw: bytes) -> bytes:
    lines = raw.split(b"\r\n")
    (bcc,) = [number for number, line in enumerate(lines) if line.startswith(b"Bcc: ")]
    return b"\r\n".join(lines[:bcc] + lines[bcc + 1 :])
