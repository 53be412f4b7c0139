"""Writing: saved before anything else, never silently overwritten, gone only when discarded or sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.letters import letter
from tests.views.conftest import Person
from webmail import bodies, compose
from webmail.models import Draft, DraftAttachment, Submission

JSON = {"HTTP_ACCEPT": "application/json"}


def begin(person: Person, **fields: str) -> Draft:
    before = set(Draft.objects.values_list("pk", flat=True))
    response = person.post("/compose/", {"do": "save", **fields})
    assert response.status_code == 303
    (draft,) = Draft.objects.exclude(pk__in=before)
    assert response["Location"] == f"/drafts/{draft.pk}/"
    return draft


def test_the_later_of_two_tabs_does_not_overwrite_the_other(alice: Person) -> None:
    draft = begin(alice, subject="Plan", text="Together")
    fields = {"subject": "Plan", "revision": draft.revision, "do": "save"}
    assert alice.post(f"/drafts/{draft.pk}/", {**fields, "text": "First tab"}).status_code == 303
    response = alice.client.post(f"/drafts/{draft.pk}/", {**fields, "text": "Second tab"}, follow=True)
    assert "changed in another window" in response.content.decode()
    assert set(Draft.objects.values_list("text", flat=True)) == {"First tab", "Second tab"}
    draft.refresh_from_db()
    assert draft.text == "First tab"
    first, second = Draft.objects.values_list("message_id", flat=True)
    assert first != second


def test_a_script_that_saves_is_told_of_the_conflict_and_nothing_is_changed(alice: Person) -> None:
    draft = begin(alice, text="Together")
    fields = {"revision": draft.revision, "do": "save"}
    saved = alice.post(f"/drafts/{draft.pk}/", {**fields, "text": "First tab"}, **JSON)
    assert saved.json()["revision"] == draft.revision + 1
    response = alice.post(f"/drafts/{draft.pk}/", {**fields, "text": "Second tab"}, **JSON)
    assert response.status_code == 409
    assert list(Draft.objects.values_list("text", flat=True)) == ["First tab"]
    again = alice.post(f"/drafts/{draft.pk}/", {"revision": draft.revision + 1, "do": "save", "text": "Third"}, **JSON)
    assert again.status_code == 200
    draft.refresh_from_db()
    assert draft.text == "Third"


def test_a_draft_that_cannot_be_sent_is_kept_with_every_word(alice: Person) -> None:
    response = alice.post("/compose/", {"to": "", "subject": "No one", "text": "Words", "do": "send"})
    assert response.status_code == 422
    assert "Add at least one recipient." in response.content.decode()
    assert Draft.objects.get().text == "Words"
    assert not Submission.objects.exists()


def test_line_ends_and_odd_characters_survive(alice: Person) -> None:
    text = "  leading\n\n\ttab\nemoji 🧭 and ‮bidi‬\n<b>&amp;</b>\ntrailing  \n"
    draft = begin(alice, text=text.replace("\n", "\r\n"), subject="Ünïcödé")
    assert draft.text == text
    page = alice.get(f"/drafts/{draft.pk}/").content.decode()
    area = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
    assert area
    assert "&lt;b&gt;&amp;amp;&lt;/b&gt;\ntrailing  \n" in area[1]


def test_a_file_is_attached_and_taken_off_again(alice: Person) -> None:
    draft = begin(alice, text="See this")
    upload = ContentFile(b"octets", name="../../etc/note.txt")
    data: dict[str, Any] = {"do": "attach", "revision": draft.revision, "text": "See this", "files": upload}
    alice.post(f"/drafts/{draft.pk}/", data)
    attachment = DraftAttachment.objects.get(draft=draft)
    assert attachment.name == "note.txt"
    assert attachment.size == 6
    with attachment.file.open("rb") as file:
        assert file.read() == b"octets"
    name = attachment.file.name
    draft.refresh_from_db()
    alice.post(
        f"/drafts/{draft.pk}/", {"do": f"detach-{attachment.pk}", "revision": draft.revision, "text": "See this"}
    )
    assert not DraftAttachment.objects.exists()
    assert not attachment.file.storage.exists(name)


def test_a_file_that_is_too_large_is_refused_and_the_text_kept(alice: Person, settings: Any) -> None:
    settings.ATTACHMENT_LIMIT = 2_000_000
    upload = ContentFile(b"x" * 2_100_000, name="big.bin")
    response = alice.post("/compose/", {"do": "send", "to": "a@example.org", "text": "With it", "files": upload})
    assert "“big.bin” makes the message larger than the limit of 2 MB." in response.content.decode()
    assert Draft.objects.get().text == "With it"
    assert not DraftAttachment.objects.exists()
    assert not Submission.objects.exists()


def test_a_discarded_draft_is_gone_with_its_files(
    alice: Person, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    draft = begin(alice, text="Never mind")
    upload = ContentFile(b"octets", name="note.txt")
    alice.post(f"/drafts/{draft.pk}/", {"do": "attach", "revision": draft.revision, "files": upload})
    attachment = DraftAttachment.objects.get()
    storage, name = attachment.file.storage, attachment.file.name
    with django_capture_on_commit_callbacks(execute=True):
        alice.post(f"/drafts/{draft.pk}/", {"do": "discard"})
    assert not Draft.objects.exists()
    assert not storage.exists(name)


def test_a_link_to_write_to_somebody_fills_the_form(alice: Person) -> None:
    response = alice.get("/compose/?to=ola@example.org&subject=Hi&body=Line")
    page = response.content.decode()
    assert 'value="ola@example.org"' in page
    assert 'value="Hi"' in page
    assert not Draft.objects.exists()


def test_what_was_written_while_the_sign_in_ran_out_is_shown_not_lost(alice: Person) -> None:
    draft = begin(alice, text="Begun")
    alice.client.logout()
    for path in ("/compose/", f"/drafts/{draft.pk}/"):
        response = alice.post(path, {"to": "ola@example.org", "text": "An hour's <work>", "do": "send"})
        assert response.status_code in (401, 403)
        page = response.content.decode()
        assert "An hour&#x27;s &lt;work&gt;" in page
        assert "/sign-in/" in page
    assert Draft.objects.get().text == "Begun"
    assert not Submission.objects.exists()


def test_a_form_that_is_too_old_gives_back_what_was_written(alice: Person) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(alice.user)
    response = strict.post("/compose/", {"to": "ola@example.org", "text": "An hour's work", "do": "send"})
    assert response.status_code == 403
    assert "An hour&#x27;s work" in response.content.decode()


def test_the_same_unsaved_form_sent_twice_is_one_message(alice: Person) -> None:
    page = alice.client.get("/compose/").content.decode()
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found
    form = {"do": "send", "to": "friend@example.org", "subject": "Once", "text": "Hello", "token": found[1]}
    for _press in range(2):
        assert alice.post("/compose/", form).status_code == 303
    assert Submission.objects.for_user(alice.user).filter(subject="Once").count() == 1


def test_a_form_made_for_somebody_else_gives_no_hold_on_their_draft(alice: Person, bob: Person) -> None:
    page = alice.client.get("/compose/").content.decode()
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found
    alice.post("/compose/", {"do": "save", "subject": "Mine", "token": found[1]})
    bob.post("/compose/", {"do": "save", "subject": "Theirs", "token": found[1]})
    assert [d.subject for d in Draft.objects.for_user(alice.user)] == ["Mine"]
    assert [d.subject for d in Draft.objects.for_user(bob.user)] == ["Theirs"]


def test_removing_an_account_removes_its_files(alice: Person) -> None:
    draft = begin(alice, subject="With a file")
    attachment = DraftAttachment(draft=draft, name="a.txt", size=1)
    attachment.file.save("a", ContentFile(b"x"))
    storage, name = attachment.file.storage, attachment.file.name
    assert storage.exists(name)
    alice.post(f"/settings/accounts/{alice.account.pk}/destruction/", {})
    assert not storage.exists(name)


def test_files_of_a_forward_that_two_bring_at_once_are_there_once(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice.receive(letter("Vedlegg", files={"a.txt": ("text/plain", b"hello")}))
    draft = compose.save(compose.forward(alice.user, alice.message("Vedlegg")))
    read = bodies.open_part

    def meanwhile(*given: Any) -> Any:
        monkeypatch.setattr(bodies, "open_part", read)
        compose.bring_attachments(Draft.objects.get(pk=draft.pk))
        return read(*given)

    monkeypatch.setattr(bodies, "open_part", meanwhile)
    compose.bring_attachments(draft)
    assert list(draft.attachments.values_list("name", "size")) == [("a.txt", 5)]
