"""What is handed in after the sign-in has run out goes on when its author is back."""

from __future__ import annotations

import html
import re
from typing import Any

from django.contrib.sessions.models import Session
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from tests.servers import PASSWORD
from tests.views.conftest import Person
from webmail.models import Draft, HeldFile, HeldForm

TEXT = "Første linje\nAndre «linje» & <b>slutt</b>"


def forget_sign_in() -> None:
    Session.objects.all().delete()


def hand_in(alice: Person, **more: Any) -> Any:
    alice.get("/")
    forget_sign_in()
    return alice.post("/compose/", {"to": "ola@example.org", "subject": "Hei", "text": TEXT, "do": "save", **more})


def sign_in(person: Person, place: str) -> Any:
    return person.client.post(place, {"address": person.address, "password": PASSWORD, "keep": "1"})


def resume(alice: Person, path: str) -> Any:
    """As the page's own button does."""
    page = alice.get(path).content.decode()
    action = html.unescape(re.search(r'<form method="post" action="([^"]*)"', page)[1])  # type: ignore[index]
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return alice.post(action, {html.unescape(name): html.unescape(value) for name, value in fields})


def test_a_form_goes_on_as_it_was_after_signing_in_again(alice: Person) -> None:
    file = SimpleUploadedFile("Kart over øya.txt", b"octets", "text/plain")
    asked = hand_in(alice, files=file)
    assert asked.status_code == 303
    assert asked["Location"].startswith("/sign-in/?next=")
    assert not Draft.objects.exists()
    back = sign_in(alice, asked["Location"])["Location"]
    resume(alice, back)
    draft = Draft.objects.get()
    assert (draft.to, draft.subject, draft.text) == ("ola@example.org", "Hei", TEXT)
    (attachment,) = draft.attachments.all()
    assert attachment.name == "Kart over øya.txt"
    with attachment.file.open() as kept:
        assert kept.read() == b"octets"
    assert not HeldForm.objects.exists()
    assert not HeldFile.objects.exists()


def test_any_other_form_goes_on_too(alice: Person) -> None:
    alice.get("/")
    forget_sign_in()
    asked = alice.post("/templates/creation/", {"name": "Hytta", "text": "Hei"})
    resume(alice, sign_in(alice, asked["Location"])["Location"])
    assert alice.user.templates.get().name == "Hytta"


def test_somebody_else_who_signs_in_there_does_not_see_it(alice: Person, bob: Person) -> None:
    asked = hand_in(alice)
    key = HeldForm.objects.get().key
    bob.client.cookies = alice.client.cookies.copy()
    sign_in(bob, asked["Location"])
    assert bob.get(f"/resumption/{key}/").status_code == 404
    assert HeldForm.objects.get().user == alice.user


def test_a_forged_form_is_not_kept(alice: Person) -> None:
    alice.get("/")
    forget_sign_in()
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = alice.client.cookies
    assert strict.post("/compose/", {"text": TEXT}).status_code == 403
    assert not HeldForm.objects.exists()


def test_of_a_stranger_nothing_is_kept(alice: Person) -> None:
    stranger = Client()
    assert stranger.post("/folders/creation/", {"name": "x"})["Location"].startswith("/sign-in/")
    stranger.cookies["who"] = f"{alice.user.pk}:forged"
    stranger.post("/folders/creation/", {"name": "x"})
    assert not HeldForm.objects.exists()


def test_a_script_that_saves_is_told_where_to_sign_in(alice: Person) -> None:
    alice.get("/")
    forget_sign_in()
    answer = alice.post("/compose/", {"text": TEXT}, HTTP_ACCEPT="application/json")
    assert answer.status_code == 403
    assert answer.json()["sign_in"].startswith("/sign-in/?next=")


def test_no_more_than_some_are_kept(alice: Person) -> None:
    alice.get("/")
    forget_sign_in()
    for number in range(25):
        alice.post("/compose/", {"text": str(number)})
    assert HeldForm.objects.count() == 20
