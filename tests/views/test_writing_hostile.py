"""Writing against what goes wrong around it: hostile mail that is quoted, lost answers, crashes in between, two windows."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from tests.letters import letter
from tests.servers import SMTPServer
from tests.views.conftest import Person, work_off
from webmail import compose, outbox
from webmail.models import Submission

HELLO = {"to": "ola@example.org", "subject": "Hei", "text": "Hei på deg", "do": "send"}


def token(alice: Person) -> str:
    return compose.form_token(alice.user, compose.new(alice.user))


def test_a_form_is_known_for_as_long_as_it_can_come_in(alice: Person, smtp: SMTPServer) -> None:
    form = {**HELLO, "token": token(alice)}
    alice.post("/compose/", form)
    work_off(alice.account)
    assert len(smtp.received) == 1
    Submission.objects.update(sent_at=timezone.now() - timedelta(days=6, hours=23))
    outbox.forget_old()
    alice.post("/compose/", form)
    work_off(alice.account)
    assert len(smtp.received) == 1


def test_a_message_that_goes_along_as_a_file_does_not_tell_whom_it_went_to_blindly(
    alice: Person, smtp: SMTPServer
) -> None:
    blind = b"Bcc: Skjult <skjult@example.org>,\r\n enda@example.org\r\n"
    alice.receive(blind + letter("Hemmelig kopi", "Hei").replace(b"\n", b"\r\n"), folder="Sent")
    alice.post(f"/compose/?attach={alice.message('Hemmelig kopi').pk}", HELLO)
    work_off(alice.account)
    (received,) = smtp.received
    assert b"Subject: Hemmelig kopi" in received.raw
    assert b"skjult@example.org" not in received.raw
    assert b"enda@example.org" not in received.raw


RICH_A, RICH_B = {"html": "<div>her</div>"}, {"html": "<div>der</div>"}
PLAIN_A, PLAIN_B = {"text": "her", "html": ""}, {"text": "der", "html": ""}
