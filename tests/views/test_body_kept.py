"""The body document that a browser has is shown again, for as long as it is what would be sent, and to whom it may be."""

from __future__ import annotations

import gzip

import pytest
from django.http import HttpResponse
from django.utils import timezone

from tests.letters import letter
from tests.views.conftest import Person
from webmail import bodies
from webmail.models import Message, MessageBody

WHITE = '<p style="color:#000000">Hei</p><img src="https://pictures.example/1.png">'


@pytest.fixture
def message(alice: Person) -> Message:
    alice.receive(letter("Nyhetsbrev", html=WHITE + "<p>og mer</p>" * 100))
    found = alice.message("Nyhetsbrev")
    bodies.body_of(found)
    return found


def ask(person: Person, message: Message, query: str = "", mark: str = "", encoding: str = "gzip") -> HttpResponse:
    headers = {"Accept-Encoding": encoding} | ({"If-None-Match": mark} if mark else {})
    answer: HttpResponse = person.client.get(f"/messages/{message.pk}/body/{query}", headers=headers)
    return answer


def test_what_the_browser_has_is_not_sent_again(alice: Person, message: Message) -> None:
    first = ask(alice, message)
    again = ask(alice, message, mark=first["ETag"])
    assert (first.status_code, again.status_code, again.content) == (200, 304, b"")
    assert again["Content-Security-Policy"] == first["Content-Security-Policy"]
    assert b"Hei" in gzip.decompress(first.content)
    assert b"Hei" in ask(alice, message, encoding="").content


def test_another_look_at_it_is_another_document(alice: Person, message: Message) -> None:
    marks = {ask(alice, message, query)["ETag"] for query in ("", "?colours=original", "?pictures=1")}
    alice.user.theme = "dark"
    alice.user.save()
    marks.add(ask(alice, message)["ETag"])
    MessageBody.objects.filter(pk=message.pk).update(kept_at=timezone.now())
    marks.add(ask(alice, message)["ETag"])
    alice.post(f"/messages/{message.pk}/pictures/", {"allow": "sender"})
    marks.add(ask(alice, message)["ETag"])
    assert len(marks) == 6


def test_who_must_not_see_it_is_not_told_that_it_is_the_same(alice: Person, bob: Person, message: Message) -> None:
    mark = ask(alice, message)["ETag"]
    assert ask(bob, message, mark=mark).status_code == 404
    alice.client.logout()
    assert ask(alice, message, mark=mark).status_code == 302


def test_of_a_body_that_was_kept_before_it_is_found_out_what_pages_ask_of_it(alice: Person, message: Message) -> None:
    body = MessageBody.objects.get(pk=message.pk)
    known = {name: body.facts.pop(name) for name in ("marked_up", "adapted")}
    assert known == {"marked_up": True, "adapted": True}
    body.save()
    page = alice.get(f"/messages/{message.pk}/").content.decode()
    assert "<iframe" in page
    assert "Original colours" in page
    assert MessageBody.objects.get(pk=message.pk).facts | known == MessageBody.objects.get(pk=message.pk).facts
