"""Pages that are not made twice: right after every change, never anybody else's, and nothing said twice."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from tests.letters import letter
from tests.views.conftest import Person
from webmail import bodies, events
from webmail.models import Message
from webmail.protocols.errors import Unreachable

SESSION_AND_USER = 2  # queries of every request


@pytest.fixture
def alice(new_person: Callable[[str], Person]) -> Person:
    person = new_person("alice")
    person.receive(letter("First"))
    person.get("/")  # the browser has the cookie for its forms
    events.mark(person.user.pk)
    return person


def page(client: Client, path: str = "/", **extra: Any) -> str:
    response = client.get(path, headers={"Accept-Encoding": "gzip", **extra})
    assert response.status_code == 200
    assert response["Content-Encoding"] == "gzip"
    return gzip.decompress(response.content).decode()


def test_a_page_is_made_once_while_nothing_changes(
    alice: Person, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    first = page(alice.client)
    with django_assert_num_queries(SESSION_AND_USER):
        assert page(alice.client) == first


def test_new_mail_is_in_the_next_page(
    alice: Person, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    page(alice.client)
    with django_capture_on_commit_callbacks(execute=True):
        alice.receive(letter("Second"))
    assert "Second" in page(alice.client)


@pytest.mark.parametrize("path", ["/messages/keywords/?set=star", "/messages/mailbox/?role=trash"])
def test_what_the_person_does_is_in_the_next_page(alice: Person, path: str) -> None:
    before = page(alice.client)
    alice.post(path, {"id": str(alice.message("First").pk), "quiet": "1"})
    assert page(alice.client) != before


def test_a_draft_is_counted_at_once(alice: Person) -> None:
    page(alice.client, "/drafts/")
    alice.post("/compose/", {"subject": "Half a thought", "save": "1"})
    assert "Half a thought" in page(alice.client, "/drafts/")


def test_a_notice_is_said_once(alice: Person) -> None:
    page(alice.client)
    alice.post("/messages/keywords/?set=star", {"id": str(alice.message("First").pk)})
    assert "Starred 1 message." in page(alice.client)
    assert "Starred 1 message." not in page(alice.client)


def test_the_forms_of_a_kept_page_work(alice: Person) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = alice.client.cookies
    page(strict)
    token = page(strict).split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    answer = strict.post("/check/", {"csrfmiddlewaretoken": token})
    assert answer.status_code == 303


def test_it_is_nobody_elses(alice: Person, new_person: Callable[[str], Person]) -> None:
    bob = new_person("bob")
    bob.get("/")
    events.mark(bob.user.pk)
    assert "First" in page(alice.client)
    assert "First" not in page(bob.client)


def test_after_signing_out_there_is_no_page(alice: Person) -> None:
    page(alice.client)
    alice.post("/sign-out/")
    assert alice.client.get("/", headers={"Accept-Encoding": "gzip"}).status_code == 302


def test_the_pane_and_the_page_are_kept_apart(alice: Person) -> None:
    path = f"/messages/{alice.message('First').pk}/"
    whole = page(alice.client, path)
    pane = page(alice.client, path, **{"HX-Request": "true", "HX-Target": "read"})
    assert "<html" in whole
    assert "<html" not in pane


def test_a_message_that_could_not_be_fetched_is_tried_again(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: Any) -> None:
        raise Unreachable("nobody answers")

    path, pane = f"/messages/{alice.message('First').pk}/", {"HX-Request": "true", "HX-Target": "read"}
    with monkeypatch.context() as patch:
        patch.setattr(bodies, "body_of", away)
        assert "Hello." not in page(alice.client, path, **pane)
    assert "Hello." in page(alice.client, path, **pane)


def test_without_redis_no_page_is_kept(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "last_id", lambda _user_id: "")
    before = page(alice.client)
    Message.objects.update(subject="Changed")
    assert page(alice.client) != before
