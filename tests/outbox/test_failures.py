"""A server that fails at any step: nothing is lost, nothing is sent twice, and what nobody can know is said to be so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.outbox.conftest import Sender
from tests.scripted_smtp import CLOSE, STALL, STEPS
from tests.servers import Certificate
from webmail import outbox
from webmail.models import Submission, SubmissionState
from webmail.outbox import sending

CODES = (421, 450, 451, 452, 535, 550, 552, 554)
CHUNKING = ("CHUNKING", "SIZE 1000000", "8BITMIME")


def expected(step: str, action: int | str) -> SubmissionState:
    """What a try comes to."""
    if step == "quit":
        return SubmissionState.SENT
    if action in (CLOSE, STALL):
        return SubmissionState.UNCERTAIN if step == "message" else SubmissionState.WAITING
    return SubmissionState.WAITING if int(action) < 500 else SubmissionState.REFUSED


def go_on(sender: Sender) -> None:
    """The server is well again, and a worker looks several times."""
    sender.server.behave()
    for _ in range(3):
        sender.drain()


@pytest.mark.parametrize("action", [CLOSE, STALL, *CODES])
@pytest.mark.parametrize("step", STEPS)
def test_a_failure_at_a_step_loses_nothing_and_sends_nothing_twice(
    new_sender: Callable[..., Sender], certificate: Certificate, step: str, action: int | str
) -> None:
    sender = new_sender(certificate=certificate if step == "starttls" else None)
    sender.server.fail(step, action)
    submission = sender.write()
    sender.drain()
    submission.refresh_from_db()
    state = expected(step, action)
    assert submission.state == state
    assert (submission.tries[-1]["how"], len(submission.tries)) == (state, 1)
    assert len(sender.server.accepted) == (step == "quit" or state == SubmissionState.UNCERTAIN)
    go_on(sender)
    submission.refresh_from_db()
    assert len(sender.server.accepted) == (state != SubmissionState.REFUSED)
    assert submission.state == (SubmissionState.SENT if state == SubmissionState.WAITING else state)


@pytest.mark.parametrize("action", [CLOSE, STALL, *CODES])
def test_chunks_are_as_safe_as_dots(new_sender: Callable[..., Sender], action: int | str) -> None:
    sender = new_sender(extensions=CHUNKING)
    sender.server.fail("message", action)
    submission = sender.write()
    sender.drain()
    submission.refresh_from_db()
    assert submission.state == expected("message", action)
    go_on(sender)
    assert len(sender.server.accepted) == (expected("message", action) != SubmissionState.REFUSED)
    assert not any(command.startswith(b"DATA") for command in sender.server.commands)


@pytest.mark.parametrize("nonsense", [354, 999, 220 - 120])
def test_an_answer_that_is_none_leaves_it_uncertain(sender: Sender, nonsense: int) -> None:
    sender.server.fail("message", nonsense)
    submission = sender.write()
    sender.drain()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.UNCERTAIN


def test_a_message_that_is_refused_does_not_spoil_those_after_it(sender: Sender) -> None:
    first, second, third = (sender.write(subject) for subject in ("One", "Two", "Three"))
    sender.server.fail("message", 554, times=1)
    sender.drain()
    states = [Submission.objects.get(pk=one.pk).state for one in (first, second, third)]
    assert states == [SubmissionState.REFUSED, SubmissionState.SENT, SubmissionState.SENT]
    assert sender.server.connections == 1


@pytest.mark.parametrize("action", [421, CLOSE])
def test_a_connection_that_died_between_two_messages_is_found_out_before_the_second_leaves(
    sender: Sender, action: int | str
) -> None:
    submissions = [sender.write(subject) for subject in ("One", "Two")]
    server = sender.server
    take = server._take

    def take_once(talk: object) -> None:
        take(talk)  # type: ignore[arg-type]
        if len(server.accepted) == 1:
            server.fail("mail", action, times=1)

    server._take = take_once  # type: ignore[method-assign]
    sender.drain()
    for submission in submissions:
        submission.refresh_from_db()
        assert (submission.state, submission.attempts) == (SubmissionState.SENT, 1)
    assert len(server.accepted) == server.connections == 2


def test_a_server_that_is_away_is_asked_once_for_all_that_waits(sender: Sender) -> None:
    sender.server.fail("auth", 535)
    submissions = [sender.write(str(number)) for number in range(5)]
    sender.drain()
    assert sum(command.startswith(b"AUTH") for command in sender.server.commands) == 1
    for submission in submissions:
        submission.refresh_from_db()
        assert submission.state == SubmissionState.REFUSED


def test_refused_recipients_are_named_and_the_others_have_it(sender: Sender) -> None:
    sender.server.fail("rcpt", 550, times=1)
    submission = sender.write(to="nobody@example.org, ola@example.org")
    sender.drain()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.SENT
    assert list(submission.refused) == ["nobody@example.org"]
    assert submission.needs_person
    assert len(sender.server.accepted) == 1


def accepted_by(sender: Sender) -> list[bytes]:
    return [command.split()[1] for command in sender.server.commands if command.startswith(b"RCPT")]


def test_a_recipient_who_is_to_wait_gets_it_later_and_nobody_twice(sender: Sender) -> None:
    sender.server.fail("rcpt", 450, times=1)
    submission = sender.write(to="later@example.org, ola@example.org")
    sender.drain()
    submission.refresh_from_db()
    assert (submission.state, submission.recipients) == (SubmissionState.WAITING, ["later@example.org"])
    assert (submission.refused, submission.missing) == ({}, ["later@example.org"])
    assert timedelta(seconds=25) < submission.not_before - timezone.now() <= timedelta(seconds=30)
    first = submission.sent_at
    sender.server.commands.clear()
    go_on(sender)
    submission.refresh_from_db()
    assert (submission.state, submission.sent_at, submission.missing) == (SubmissionState.SENT, first, [])
    assert accepted_by(sender) == [b"TO:<later@example.org>"]
    assert len(sender.server.accepted) == 2
    assert not submission.raw


@pytest.mark.parametrize("last", [450, 550])
def test_a_recipient_who_never_gets_it_is_told_of_and_the_others_have_it(
    sender: Sender, monkeypatch: pytest.MonkeyPatch, last: int
) -> None:
    monkeypatch.setattr(sending, "MAX_ATTEMPTS", 3)
    sender.server.fail("rcpt", 450, times=1)
    submission = sender.write(to="never@example.org, ola@example.org")
    sender.drain()
    sender.server.fail("rcpt", last)
    for _ in range(4):
        sender.drain()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.SENT
    assert list(submission.refused) == ["never@example.org"]
    assert submission.refused["never@example.org"].startswith(str(last))
    assert submission.needs_person
    assert len(sender.server.accepted) == 1


def test_where_nobody_has_it_those_who_are_to_wait_still_get_it(sender: Sender) -> None:
    replies = iter([550, 450])
    usual = sender.server._answer

    def answer(talk: object, step: str, reply: bytes) -> bool:
        if step == "rcpt" and (code := next(replies, 0)):
            talk.say(b"%d as told" % code)  # type: ignore[attr-defined]
            return False
        return usual(talk, step, reply)  # type: ignore[arg-type]

    sender.server._answer = answer  # type: ignore[method-assign,assignment]
    submission = sender.write(to="no@example.org, later@example.org")
    sender.drain()
    submission.refresh_from_db()
    assert (submission.state, submission.recipients) == (SubmissionState.WAITING, ["later@example.org"])
    sender.drain()
    submission.refresh_from_db()
    assert (submission.state, list(submission.refused)) == (SubmissionState.SENT, ["no@example.org"])
    assert len(sender.server.accepted) == 1


@pytest.mark.parametrize("code", [450, 550])
def test_what_comes_back_of_what_others_have_goes_to_the_rest_alone(sender: Sender, code: int) -> None:
    sender.server.fail("rcpt", code, times=1)
    submission = sender.write(to="rest@example.org, ola@example.org")
    sender.drain()
    submission.refresh_from_db()
    draft = outbox.cancel(submission)
    assert draft is not None
    assert (draft.to, draft.cc, draft.bcc, draft.text.strip()) == ("rest@example.org", "", "", "Hello")
    assert draft.message_id != submission.message_id
    sender.server.commands.clear()
    go_on(sender)
    assert accepted_by(sender) == []
    submission.refresh_from_db()
    assert (submission.state, submission.needs_person, bool(submission.raw)) == (SubmissionState.SENT, False, False)
    assert outbox.cancel(submission) is None
    outbox.submit(sender.account.user, draft)
    sender.drain()
    assert accepted_by(sender) == [b"TO:<rest@example.org>"]


def test_who_was_in_bcc_is_not_shown_to_others_when_it_goes_to_the_rest(sender: Sender) -> None:
    sender.server.fail("rcpt", 550, times=2)
    submission = sender.write(to="Rest Nordmann <rest@example.org>", bcc="secret@example.org, ola@example.org")
    sender.drain()
    submission.refresh_from_db()
    assert set(submission.missing) == {"rest@example.org", "secret@example.org"}
    draft = outbox.cancel(submission)
    assert draft is not None
    assert (draft.to, draft.cc, draft.bcc) == ("Rest Nordmann <rest@example.org>", "", "secret@example.org")


def test_what_some_have_already_is_not_dated_anew(sender: Sender) -> None:
    sender.server.fail("rcpt", 450, times=1)
    submission = sender.write(to="rest@example.org, ola@example.org")
    sender.drain()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.WAITING
    assert not outbox.reschedule(submission, timezone.now() + timedelta(hours=1))


@pytest.mark.parametrize("extensions", [CHUNKING, ("PIPELINING",), ()], ids=["chunks", "dots", "dots one by one"])
@pytest.mark.parametrize(
    ("step", "code", "what"),
    [
        ("message", 550, "localhost would not take this message."),
        ("message", 554, "localhost would not take this message."),
        ("message", 552, "The message is larger than localhost takes."),
        ("message", "552 5.3.4", "The message is larger than localhost takes."),
        ("message", "552 5.2.3", "The message is larger than localhost takes."),
        ("message", "552 5.2.2", "There is no room for the message where it was to go"),
        ("message", "554 5.2.2", "There is no room for the message where it was to go"),
        ("message", "552 5.3.1", "There is no room for the message where it was to go"),
        ("message", "550 5.1.1", "localhost did not allow this."),
        ("message", "550 5.7.1", "localhost would not take this message."),
        ("mail", "552 5.3.4", "The message is larger than localhost takes."),
        ("mail", "552 5.2.2", "There is no room for the message where it was to go"),
        ("rcpt", 550, "localhost refused the recipients."),
        ("rcpt", "552 5.2.2", "localhost refused the recipients."),
    ],
)
def test_what_the_server_would_not_have_is_named(
    new_sender: Callable[..., Sender], extensions: tuple[str, ...], step: str, code: int | str, what: str
) -> None:
    sender = new_sender(extensions=extensions)
    sender.server.fail(step, code)
    submission = sender.write()
    sender.drain()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.REFUSED
    assert submission.trouble.startswith(what)
    assert submission.detail.endswith("as told")
    assert bool(submission.refused) == (step == "rcpt")


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("452", "localhost is busy."),
        ("450 4.7.1", "localhost is busy."),
        ("452 4.2.2", "There is no room for the message where it was to go"),
        ("452 4.3.1", "There is no room for the message where it was to go"),
    ],
)
@pytest.mark.parametrize("step", ["mail", "rcpt", "message"])
def test_what_the_server_will_take_later_is_said_for_what_it_is(
    sender: Sender, step: str, code: str, what: str
) -> None:
    sender.server.fail(step, code, times=1)
    submission = sender.write()
    sender.drain()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.WAITING
    assert submission.trouble.startswith(what)
    sender.drain()
    submission.refresh_from_db()
    assert submission.state == SubmissionState.SENT


def test_the_last_twenty_tries_are_kept_with_the_words_of_the_server(sender: Sender) -> None:
    sender.server.fail("mail", 451)
    submission = sender.write()
    for _ in range(22):
        sender.drain()
    submission.refresh_from_db()
    assert submission.attempts == 22
    assert len(submission.tries) == 20
    assert {(one["how"], one["said"], one["host"]) for one in submission.tries} == {
        ("waiting", "451 as told", "localhost")
    }


def test_delivery_reports_are_asked_for_where_they_are_wanted_and_offered(sender: Sender) -> None:
    submission = sender.write(notify=True)
    sender.write("Without")
    sender.drain()
    mail = [command for command in sender.server.commands if command.startswith((b"MAIL", b"RCPT"))]
    envid = submission.message_id.replace("+", "+2B").replace("=", "+3D")
    assert f"RET=HDRS ENVID={envid}".encode() in mail[0]
    assert b"NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;ola@example.org" in mail[1]
    assert b"ENVID" not in mail[2]
    assert b"NOTIFY" not in mail[3]


def test_the_limit_of_the_server_is_remembered(sender: Sender) -> None:
    sender.write()
    sender.drain()
    sender.account.refresh_from_db()
    assert sender.account.message_limit == 1_000_000


# --- times --------------------------------------------------------------------------------------------------------


def test_what_is_to_go_later_waits_for_its_time_and_has_it_for_its_date(sender: Sender) -> None:
    at = timezone.now() + timedelta(days=1)
    submission = sender.write(at=at)
    assert submission.is_scheduled
    outbox.process(submission.pk)
    assert sender.server.accepted == []
    with submission.raw.open("rb") as raw:
        assert f"Date: {timezone.localtime(at):%a, %d %b %Y %H:%M:%S}".encode() in raw.read()
    sender.drain()  # the worker was down when its time came, and finds it later
    assert len(sender.server.accepted) == 1


def test_another_time_can_be_chosen_and_now_is_one(sender: Sender) -> None:
    submission = sender.write(at=timezone.now() + timedelta(days=1))
    later = timezone.now() + timedelta(days=9)
    assert outbox.reschedule(submission, later)
    submission.refresh_from_db()
    assert (submission.not_before, submission.send_at) == (later, later)
    assert outbox.retry(submission)
    outbox.process(submission.pk)
    (raw,) = sender.server.accepted
    assert f"Date: {timezone.localtime():%a, %d %b %Y}".encode() in raw
    submission.refresh_from_db()
    assert not outbox.reschedule(submission, later)


def test_what_was_to_go_later_can_be_taken_back(sender: Sender) -> None:
    submission = sender.write(at=timezone.now() + timedelta(days=1))
    draft = outbox.cancel(submission)
    assert draft is not None
    assert draft.text.strip() == "Hello"
    sender.drain()
    assert sender.server.accepted == []


# --- rates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["ACCOUNT", "USER"])
def test_what_is_over_the_rate_waits_and_is_told_why(sender: Sender, settings: object, scope: str) -> None:
    setattr(settings, f"{scope}_MESSAGES_AN_HOUR", 2)
    submissions = [sender.write(str(number)) for number in range(3)]
    outbox.process(submissions[0].pk)
    assert len(sender.server.accepted) == 2
    held = Submission.objects.get(state=SubmissionState.WAITING)
    assert "No more than 2 messages an hour" in held.trouble
    assert held.attempts == 0
    assert timedelta(minutes=59) < held.not_before - timezone.now() <= timedelta(hours=1)
    Submission.objects.exclude(pk=held.pk).update(begun_at=timezone.now() - timedelta(minutes=61))
    sender.drain()
    assert len(sender.server.accepted) == 3


def test_recipients_count_by_the_day_and_one_with_too_many_goes_alone(sender: Sender, settings: object) -> None:
    settings.ACCOUNT_RECIPIENTS_A_DAY = 2  # type: ignore[attr-defined]
    many = sender.write(to="a@example.org, b@example.org, c@example.org")
    one = sender.write()
    outbox.process(many.pk)
    assert len(sender.server.accepted) == 1
    one.refresh_from_db()
    assert "No more than 2 recipients a day" in one.trouble
