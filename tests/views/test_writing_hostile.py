"""Writing against what goes wrong around it: hostile mail that is quoted, lost answers, crashes in between, two windows."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

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


RICH_A, RICH_B = {"html": "<div>her</div>"}, {"html": "<div>der</div>"}
PLAIN_A, PLAIN_B = {"text": "her", "html": ""}, {"text": "der", "html": ""}
