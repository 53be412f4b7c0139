"""Writing: saved before anything else, never silently overwritten, gone only when discarded or sent."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from django.core import signing
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from tests.letters import letter
from tests.views.conftest import Person, work_off
from webmail import bodies, compose
from webmail.compose.drafts import TOKEN_SALT
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


def unsaved(person: Person, **fields: str) -> dict[str, str]:
    """What the form of a new message has, filled in."""
    page = person.get("/compose/").content.decode()
    names = ("token", "revision")
    found = {name: re.search(rf'name="{name}" value="([^"]+)"', page) for name in names}
    return {**{name: match[1] for name, match in found.items() if match}, "do": "save", **fields}


@pytest.mark.parametrize("do", ["save", "send"])
def test_an_unsaved_form_that_comes_in_again_does_not_overwrite_what_its_draft_became(alice: Person, do: str) -> None:
    """Somebody saved it, wrote on, went back in their browser to where it was empty, and wrote something else there."""
    form = unsaved(alice, to="ola@example.org", subject="Plan", text="First")
    assert alice.post("/compose/", form).status_code == 303
    draft = Draft.objects.get()
    later = {"do": "save", "revision": draft.revision, "text": "First, and an hour's work"}
    assert alice.post(f"/drafts/{draft.pk}/", later).status_code == 303
    response = alice.post("/compose/", {**form, "do": do, "text": "First of all"})
    assert response.status_code == 409
    assert set(Draft.objects.values_list("text", flat=True)) == {"First, and an hour's work", "First of all"}
    assert not Submission.objects.exists()
    assert alice.post("/compose/", {**form, "text": "Third"}, **JSON).status_code == 409


def test_what_another_window_wrote_is_not_discarded_unseen(alice: Person) -> None:
    form = unsaved(alice, subject="Plan", text="First")
    alice.post("/compose/", form)
    draft = Draft.objects.get()
    here = f"/drafts/{draft.pk}/"
    alice.post(here, {"do": "save", "revision": "1", "text": "First, and an hour's work"})
    for path, revision in (("/compose/", "0"), (here, "1")):
        response = alice.post(path, {**form, "do": "discard", "revision": revision})
        assert response["Location"] == here
        assert "It was not discarded" in alice.get(here).content.decode()
    assert Draft.objects.get().text == "First, and an hour's work"
    alice.post(
        here, {**form, "do": "discard", "revision": "1", "text": "First, and an hour's work"}
    )  # the same as there
    assert not Draft.objects.exists()


def test_an_unsaved_form_whose_first_answer_was_lost_goes_on(alice: Person) -> None:
    form = unsaved(alice, subject="Plan", text="Dear \n\n> quoted")
    alice.post("/compose/", form, **JSON)
    grown = {**form, "to": "ola@example.org", "text": "Dear Ola, this\n\n> quoted"}
    said = alice.post("/compose/", grown, **JSON)
    assert (said.status_code, said.json()["revision"]) == (200, 2)
    assert alice.post("/compose/", grown, **JSON).status_code == 200  # and that answer too
    assert alice.post("/compose/", {**grown, "text": "Dear Kari"}, **JSON).status_code == 409
    assert list(Draft.objects.values_list("text", flat=True)) == ["Dear Ola, this\n\n> quoted"]


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


# --- in a window that stayed open while the message left or the draft was discarded ------------------------------


def filled(page: Any, **fields: str) -> dict[str, str]:
    """The form of a page, as a browser hands it in."""
    form = page.context
    draft = form["draft"]
    said = {name: getattr(draft, name) for name in ("to", "cc", "bcc", "reply_to", "subject", "text")}
    return said | {"token": form["token"], "revision": str(draft.revision), "identity": str(draft.identity_id)} | fields


def sent(alice: Person, gone: bool) -> tuple[str, dict[str, str]]:
    """The address of a draft that was sent and the form of another window of it; ``gone`` when it was filed, too."""
    draft = begin(alice, to="ola@example.org", subject="Plan", text="As sent")
    path = f"/drafts/{draft.pk}/"
    form = filled(alice.get(path))
    assert alice.post(path, {**form, "do": "send"}).status_code == 303
    if gone:
        work_off(alice.account)
        work_off(alice.account)
        assert not Draft.objects.exists()
    return path, form


@pytest.mark.parametrize("gone", [False, True])
def test_what_was_written_in_another_window_of_a_sent_draft_is_a_new_draft(alice: Person, gone: bool) -> None:
    path, form = sent(alice, gone)
    page = alice.post(path, {**form, "text": "As sent, and more", "do": "send"})
    assert "The message has left already" in page.content.decode()
    (fresh,) = Draft.objects.being_written()
    assert (fresh.to, fresh.subject, fresh.text) == ("ola@example.org", "Plan", "As sent, and more")
    assert page.context["action"] == f"/drafts/{fresh.pk}/"
    assert Submission.objects.count() == 1


@pytest.mark.parametrize("gone", [False, True])
def test_the_same_form_of_a_sent_draft_is_no_new_draft(alice: Person, gone: bool) -> None:
    path, form = sent(alice, gone)
    page = alice.client.post(path, {**form, "do": "send"}, follow=True)
    assert "on its way already" in page.content.decode()
    told = alice.post(path, {**form, "do": "save"}, **JSON)
    assert (told.status_code, list(told.json())) == (409, ["ended"])
    assert not Draft.objects.being_written().exists()


def test_a_script_that_saves_over_a_sent_draft_goes_on_in_a_new_one(alice: Person) -> None:
    path, form = sent(alice, gone=False)
    told = alice.post(path, {**form, "text": "Still typing", "do": "save"}, **JSON).json()
    (fresh,) = Draft.objects.being_written()
    assert told["url"] == f"/drafts/{fresh.pk}/" != path
    assert told["note"]
    assert fresh.text == "Still typing"


def test_an_unsaved_form_that_was_sent_and_written_on_is_a_new_draft(alice: Person) -> None:
    form = filled(alice.get("/compose/"), to="ola@example.org", subject="Plan", text="As sent", do="send")
    assert alice.post("/compose/", form).status_code == 303
    alice.post("/compose/", form | {"text": "Back, and written on"})
    assert Draft.objects.being_written().get().text == "Back, and written on"
    assert Submission.objects.count() == 1


def test_what_is_written_in_a_draft_discarded_elsewhere_is_kept(alice: Person) -> None:
    path = f"/drafts/{begin(alice, text='Begun').pk}/"
    form = filled(alice.get(path))
    alice.post(path, {**form, "do": "discard"})
    page = alice.post(path, {**form, "text": "Written since", "do": "send"})
    assert "is kept as a new one" in page.content.decode()
    assert Draft.objects.get().text == "Written since"
    assert not Submission.objects.exists()


def test_files_of_a_sent_draft_go_with_what_was_written_since(alice: Person) -> None:
    draft = begin(alice, to="ola@example.org", subject="Plan", text="As sent")
    compose.attach(draft, SimpleUploadedFile("a.txt", b"octets"))
    path = f"/drafts/{draft.pk}/"
    form = filled(alice.get(path))
    alice.post(path, {**form, "do": "send"})
    alice.post(path, {**form, "text": "More", "do": "save", "files": ContentFile(b"more", name="b.txt")})
    fresh = Draft.objects.being_written().get()
    assert list(fresh.attachments.values_list("name", flat=True)) == ["a.txt", "b.txt"]


# --- rich text over the bounds ----------------------------------------------------------------------------------

TOO_MUCH = {
    "length": "<div>" + "word " * 400_001 + "</div>",
    "elements": "<div><br></div>" * 5_001,
    "depth": "<div>" * 201 + "deep" + "</div>" * 201,
    "marks": "<div>" + "&lt;" * 100_001 + "</div>",
    "picture": f'<img src="data:image/png;base64,{"A" * 300_000}">',
}


@pytest.mark.parametrize("kind", TOO_MUCH)
def test_rich_text_that_would_be_cut_is_refused_and_shown_again(alice: Person, kind: str) -> None:
    draft = compose.save(compose.new(alice.user, to="ola@example.org", subject="Rich", rich=True))
    compose.change(draft, {"html": "<div>Former</div>"})
    compose.save(draft)
    path, form = f"/drafts/{draft.pk}/", {"revision": str(draft.revision), "html": TOO_MUCH[kind], "subject": "New"}
    page = alice.post(path, {**form, "do": "send"})
    assert page.status_code == 422
    assert "too long or too intricate" in page.content.decode()
    assert page.context["written"] == TOO_MUCH[kind]
    assert page.context["draft"].subject == "New"
    told = alice.post(path, {**form, "do": "save"}, **JSON)
    assert (told.status_code, list(told.json())) == (422, ["error"])
    assert Draft.objects.get().html == "<div>Former</div>"
    assert not Submission.objects.exists()


def test_an_unsaved_rich_text_that_would_be_cut_is_shown_again(alice: Person) -> None:
    page = alice.post("/compose/?rich=1", {"html": TOO_MUCH["elements"], "to": "ola@example.org", "do": "send"})
    assert page.status_code == 422
    assert page.context["written"] == TOO_MUCH["elements"]
    assert not Draft.objects.exists()


def test_whatever_mail_is_quoted_can_be_saved(alice: Person) -> None:
    for number, source in enumerate(TOO_MUCH.values()):
        alice.receive(letter(f"Endless {number}", "", to=alice.address, html=f"<html><body>{source}</body></html>"))
        pk = alice.message(f"Endless {number}").pk
        for begin_with in ("reply", "forward", "edit"):
            page = alice.get(f"/compose/?{begin_with}={pk}&rich=1")
            form = {"html": page.context["written"] + "<div>Mine</div>", "token": page.context["token"], "do": "save"}
            assert alice.post(f"/compose/?{begin_with}={pk}&rich=1", form).status_code == 303


# --- a tab left open for weeks ----------------------------------------------------------------------------------


def weeks_ago(monkeypatch: pytest.MonkeyPatch, form: dict[str, str], user: Any) -> dict[str, str]:
    """The form as a page of three weeks ago has it."""
    _owner, message_id = signing.loads(form["token"], salt=TOKEN_SALT)
    then = time.time() - 21 * 24 * 3600
    with monkeypatch.context() as past:
        past.setattr(signing.time, "time", lambda: then)
        return form | {"token": signing.dumps([user.pk, message_id], salt=TOKEN_SALT)}


def test_a_form_of_weeks_ago_is_taken_and_is_one_message(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = {"to": "ola@example.org", "subject": "Late", "text": "An evening's work"}
    form = weeks_ago(monkeypatch, filled(alice.get("/compose/"), **typed), alice.user)
    assert alice.post("/compose/", {**form, "do": "save"}).status_code == 303
    for _press in range(2):
        assert alice.post("/compose/", {**form, "do": "send"}).status_code == 303
    assert Draft.objects.get().text == "An evening's work"
    assert Submission.objects.count() == 1


def test_a_form_that_was_sent_weeks_ago_is_another_message_now(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    form = filled(alice.get("/compose/"), to="ola@example.org", subject="Twice", text="Said", do="send")
    alice.post("/compose/", form)
    alice.post("/compose/", weeks_ago(monkeypatch, form, alice.user))
    first, second = Submission.objects.values_list("message_id", flat=True)
    assert first != second


def test_a_form_of_weeks_ago_of_a_draft_that_is_gone_loses_no_word(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/drafts/{begin(alice, text='Begun').pk}/"
    form = weeks_ago(monkeypatch, filled(alice.get(path), text="Written since"), alice.user)
    alice.post(path, {**form, "do": "discard"})
    alice.post(path, {**form, "do": "save"})
    assert Draft.objects.get().text == "Written since"


# --- how many ---------------------------------------------------------------------------------------------------


def test_beyond_so_many_drafts_none_is_begun_and_what_was_written_is_shown(
    alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webmail.compose.drafts.MAX_DRAFTS", 2)
    path = f"/drafts/{begin(alice, text='First').pk}/"
    begin(alice, text="Second")
    page = alice.post("/compose/", {"to": "ola@example.org", "text": "Third", "do": "send"})
    assert page.status_code == 422
    assert "There are 2 drafts already. Discard some first." in page.content.decode()
    assert page.context["draft"].text == "Third"
    told = alice.post("/compose/", {"text": "Third", "do": "save"}, **JSON)
    assert (told.status_code, list(told.json())) == (422, ["error"])
    assert alice.post(path, {"text": "First, changed", "revision": "1", "do": "save"}).status_code == 303
    clash = alice.post(path, {"text": "First, otherwise", "revision": "1", "do": "save"})
    assert clash.context["draft"].text == "First, otherwise"
    assert Draft.objects.count() == 2
    begin(bob, text="His own")
