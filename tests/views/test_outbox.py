"""The outbox page: what waits and until when, what was tried, and what helps to decide."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from tests.letters import letter
from tests.servers import SMTPServer
from tests.views.conftest import Person, work_off
from webmail import compose, outbox
from webmail.models import Submission, SubmissionState


def write(person: Person, **fields: object) -> Submission:
    draft = compose.new(person.user, to="ola@example.org", subject="Hi", text="Hello\n")
    return outbox.submit(person.user, compose.save(draft), **fields)  # type: ignore[arg-type]


def uncertain(person: Person, smtp: SMTPServer) -> Submission:
    submission = write(person)
    smtp.drop_after_dot = True
    work_off(person.account)
    smtp.drop_after_dot = False
    submission.refresh_from_db()
    assert submission.state == SubmissionState.UNCERTAIN
    return submission


def page(person: Person) -> str:
    return person.get("/outbox/").content.decode()


def test_what_is_to_go_later_is_shown_with_its_time_in_the_persons_zone(alice: Person) -> None:
    alice.user.time_zone = "Asia/Tokyo"
    alice.user.save()
    at = timezone.now().replace(hour=20, minute=30, second=0, microsecond=0) + timedelta(days=2)
    submission = write(alice, at=at)
    shown = page(alice)
    assert "Scheduled" in shown
    assert " 05:30</time>" in shown
    alice.post(f"/submissions/{submission.pk}/time/", {"at": f"{at + timedelta(days=3):%Y-%m-%d}T07:15"})
    submission.refresh_from_db()
    assert f"{submission.not_before:%H:%M}" == "22:15"
    assert " 07:15</time>" in page(alice)


@pytest.mark.parametrize(
    ("now", "zone", "typed", "at"),
    [
        ("2027-03-26T12:00", "Europe/Oslo", "2027-03-27T08:00", "2027-03-27T07:00"),
        ("2027-03-26T12:00", "Europe/Oslo", "2027-03-28T08:00", "2027-03-28T06:00"),  # the clocks were moved that night
        ("2027-03-26T12:00", "Europe/Oslo", "2027-03-28T02:30", "2027-03-28T01:30"),  # there is no such time: 03:30
        ("2026-10-24T12:00", "Europe/Oslo", "2026-10-25T02:30", "2026-10-25T00:30"),  # the first of two
        ("2026-10-24T12:00", "America/New_York", "2026-11-02T08:00", "2026-11-02T13:00"),
        ("2026-10-24T12:00", "Pacific/Kiritimati", "2026-10-25T08:00", "2026-10-24T18:00"),
        ("2026-10-24T12:00", "Europe/Oslo", "0001-01-01T00:00", ""),
        ("2026-10-24T12:00", "America/New_York", "9999-12-31T23:59", ""),
        ("2026-10-24T12:00", "Europe/Oslo", "2026-10-25T08:00+05:00", ""),
        ("2026-10-24T12:00", "Europe/Oslo", "2026-10-24T13:59", ""),  # past by a minute
    ],
)
def test_a_time_is_one_of_the_persons_zone_also_where_the_clocks_are_moved(
    alice: Person, monkeypatch: pytest.MonkeyPatch, now: str, zone: str, typed: str, at: str
) -> None:
    alice.user.time_zone = zone
    alice.user.save()
    monkeypatch.setattr(timezone, "now", lambda: datetime.fromisoformat(f"{now}+00:00"))
    alice.client.force_login(alice.user)
    form = {"to": "ola@example.org", "subject": "Hi", "text": "Hello", "do": "later", "send_at": typed}
    assert alice.post("/compose/", form).status_code == (303 if at else 422)
    assert [f"{one.not_before.astimezone(UTC):%Y-%m-%dT%H:%M}" for one in Submission.objects.all()] == (
        [at] if at else []
    )


def test_the_composer_says_whose_clock_it_goes_by(alice: Person) -> None:
    alice.user.time_zone = "Asia/Tokyo"
    alice.user.save()
    assert "Times are those of Asia/Tokyo." in alice.get("/compose/").content.decode()


def test_a_time_that_is_none_changes_nothing(alice: Person) -> None:
    submission = write(alice, at=timezone.now() + timedelta(days=2))
    for at in ("", "nonsense", "2001-01-01T10:00", "9999-12-31T23:59", "2400-01-01T00:00"):
        response = alice.client.post(f"/submissions/{submission.pk}/time/", {"at": at}, follow=True)
        assert "Choose a " in response.content.decode()
    before = submission.not_before
    submission.refresh_from_db()
    assert submission.not_before == before


def test_every_try_is_told_with_the_words_of_the_server(alice: Person, smtp: SMTPServer) -> None:
    smtp.reply = "451 4.7.1 Greylisted, come back"
    write(alice)
    work_off(alice.account)
    work_off(alice.account)
    shown = page(alice)
    assert "2 tries" in shown
    assert shown.count("451 4.7.1 Greylisted, come back") >= 2


def test_of_an_uncertain_one_it_is_told_that_nothing_has_been_seen(alice: Person, smtp: SMTPServer) -> None:
    uncertain(alice, smtp)
    assert "Nothing has been seen of it" in page(alice)


def test_of_an_uncertain_one_it_is_told_who_knows_of_it(alice: Person, smtp: SMTPServer) -> None:
    submission = uncertain(alice, smtp)
    message_id = f"<{submission.message_id.strip('<>')}>"
    alice.receive(letter("Copy", headers={"Message-ID": message_id}), folder="Sent")
    assert "There is a copy in Sent" in page(alice)
    alice.receive(
        letter("Copy", headers={"Message-ID": message_id}),
        letter("Re: Hi", headers={"In-Reply-To": message_id, "References": message_id}),
    )
    shown = page(alice)
    assert "It has arrived: a copy is in Inbox" in shown
    assert "has answered it" in shown
    assert "Nothing has been seen" not in shown


def test_what_the_provider_has_filed_is_not_filed_again(alice: Person, smtp: SMTPServer) -> None:
    submission = write(alice)
    with alice.on_server() as server:
        server.append(letter("Hi", headers={"Message-ID": f"<{submission.message_id.strip('<>')}>"}), "Sent")
        work_off(alice.account)
        assert len(smtp.received) == 1
        assert server.subjects("Sent") == ["Hi"]
