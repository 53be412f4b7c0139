"""Writing against what goes wrong around it: hostile mail that is quoted, lost answers, crashes in between, two windows."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from tests.letters import letter
from tests.servers import SMTPServer
from tests.views.conftest import Person, work_off
from webmail import compose, mime, operations, outbox, sync
from webmail.mime.addresses import MAX_FIELD
from webmail.models import Draft, DraftCopy, HeldForm, Message, Submission, Template, Upload
from webmail.protocols.errors import Unreachable
from webmail.views.compose import BEGINNINGS
from webmail.views.inserted import cid_of

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


def picture(name: str, shown: str) -> bytes:
    head = b"From: Ola <ola@example.org>\r\nTo: me@example.org\r\nSubject: Bilde\r\nMIME-Version: 1.0\r\n"
    return (
        head
        + (
            "Message-ID: <bilde@example.org>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n"
            "Content-Type: multipart/related; boundary=cut\r\n\r\n"
            f'--cut\r\nContent-Type: text/html\r\n\r\n<p>Se <img src="cid:{shown}"></p>\r\n'
            f"--cut\r\nContent-Type: image/png; name=p.png\r\nContent-ID: <{name}>\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--cut--\r\n"
        ).encode()
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b@example.org", "a%20b@example.org"),
        ("bånd@example.org", "b%C3%A5nd@example.org"),
        ("a@x", "a%0Ab"),
        ("a@x", "%20"),
        ("a@x", "a%3Eb"),
        ("a/b@x", "a/b@x"),
    ],
)
@pytest.mark.parametrize("kind", ["reply", "forward"])
def test_no_picture_of_a_message_keeps_the_answer_to_it_from_being_opened_or_sent(
    alice: Person, smtp: SMTPServer, kind: str, name: str, shown: str
) -> None:
    alice.receive(picture(name, shown))
    form = {**HELLO, "do": "save"}
    path = alice.post(f"/compose/?{kind}={alice.message('Bilde').pk}&rich=1", form)["Location"]
    assert alice.get(path).status_code == 200
    assert alice.post(path, {**form, "do": "send"}).status_code == 303
    work_off(alice.account)
    assert len(smtp.received) == 1


@pytest.mark.parametrize("url", ["//[", "//[x]y/", "ftp://[", "/messages/1/?cid=" + "%22" * 5, "cid:", "http:"])
def test_no_address_of_a_picture_keeps_a_text_from_being_saved(alice: Person, url: str) -> None:
    alice.post("/compose/", {**HELLO, "html": f'<p>Hei på deg</p><img src="{url}">', "do": "save"})
    assert Draft.objects.get().text.strip() == "Hei på deg"
    assert cid_of("/messages/1/parts/2/?cid=a") == "a"


@pytest.mark.parametrize("kind", ["reply", "forward"])
def test_what_was_written_to_a_message_that_is_gone_meanwhile_is_kept_and_not_sent_without_it(
    alice: Person, kind: str
) -> None:
    message = alice.message("Hemmelig hilsen")
    Message.objects.filter(pk=message.pk).delete()
    answer = alice.post(f"/compose/?{kind}={message.pk}", HELLO)
    assert answer.status_code == 303
    assert Draft.objects.get().text == "Hei på deg"
    assert not Submission.objects.exists()
    assert "is gone" in alice.get(answer["Location"]).content.decode()
    assert alice.get(f"/compose/?{kind}={message.pk}").status_code == 404


def test_what_was_written_is_shown_where_the_server_cannot_be_reached(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: Any) -> Draft:
        raise Unreachable("away")

    monkeypatch.setitem(BEGINNINGS, "reply", away)
    answer = alice.post(f"/compose/?reply={alice.message('Hemmelig hilsen').pk}", HELLO)
    assert answer.status_code == 503
    assert "Hei på deg" in answer.content.decode()
    assert "ola@example.org" in answer.content.decode()


def test_no_password_is_kept_with_a_form_that_came_after_the_sign_in_had_run_out(alice: Person) -> None:
    alice.get("/")
    Session.objects.all().delete()
    alice.post("/settings/accounts/creation/", {"address": "a@imap.test", "password": "sekret-7"})
    assert not [one for one in HeldForm.objects.all() if "sekret-7" in str(one.fields)]


@pytest.fixture
def draft(alice: Person) -> Draft:
    return compose.save(compose.new(alice.user, to="ola@example.org", subject="Kart"))


def upload(alice: Person, draft: Draft, octets: bytes) -> Any:
    alice.post(f"/drafts/{draft.pk}/uploads/", {"key": "k1", "name": "kart.txt", "size": str(len(octets))})
    return give(alice, draft, 0, octets)


def give(alice: Person, draft: Draft, offset: int, octets: bytes) -> Any:
    path = f"/drafts/{draft.pk}/uploads/k1/?offset={offset}"
    return alice.client.post(path, octets, content_type="application/octet-stream")


def test_a_file_whose_pieces_all_came_before_a_crash_becomes_one(
    alice: Person, draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("webmail.compose.attachments._complete", dies)
        with pytest.raises(KeyboardInterrupt):
            upload(alice, draft, b"octets")
    assert Upload.objects.get().received == 6
    assert give(alice, draft, 6, b"").json()["attachment"]
    with draft.attachments.get().file.open() as file:
        assert file.read() == b"octets"


def choose(alice: Person, mine: dict[str, str], theirs: dict[str, str], **taken: str) -> Draft:
    """Two windows of one draft; in the second one's conflict page, what is taken."""
    path = alice.post("/compose/", {**HELLO, "text": "", "do": "save"})["Location"]
    first = Draft.objects.get()
    alice.post(path, {**HELLO, "do": "save", "revision": str(first.revision), **theirs})
    page = alice.post(path, {**HELLO, "do": "save", "revision": str(first.revision), **mine})
    assert page.status_code == 409
    form = page.content.decode().partition('<form class="conflict"')[2]
    fields = re.findall(r'name="([^"]*)" value="([^"]*)"', form.partition("<fieldset")[0])
    typed = {unescape(name): unescape(value) for name, value in fields}
    offered = set(re.findall(r'name="take-([a-z_]+)"', form))
    chosen = {f"take-{name}": value for name, value in taken.items() if name in offered}
    assert chosen
    assert alice.post(f"{path}merge/", {**typed, **chosen}).status_code == 303
    return Draft.objects.get()


RICH_A, RICH_B = {"html": "<div>her</div>"}, {"html": "<div>der</div>"}
PLAIN_A, PLAIN_B = {"text": "her", "html": ""}, {"text": "der", "html": ""}


@pytest.mark.parametrize(("mine", "theirs"), [(RICH_A, RICH_B), (PLAIN_A, RICH_B), (RICH_A, PLAIN_B)])
def test_both_of_two_versions_are_in_what_both_become(
    alice: Person, mine: dict[str, str], theirs: dict[str, str]
) -> None:
    draft = choose(alice, mine, theirs, text="both", html="both")
    for word in ("her", "der"):
        assert draft.text.count(word) == 1
        assert draft.html.count(word) == 1


@pytest.mark.parametrize(("mine", "theirs"), [(RICH_A, RICH_B), (PLAIN_A, RICH_B), (RICH_A, PLAIN_B)])
def test_of_two_versions_the_one_that_was_not_taken_is_in_neither_form(
    alice: Person, mine: dict[str, str], theirs: dict[str, str]
) -> None:
    draft = choose(alice, mine, theirs, text="theirs", html="theirs")
    assert (draft.text.strip(), "her" in draft.html) == ("der", False)


def test_a_draft_that_is_discarded_while_it_is_put_there_does_not_stay_there(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.sync_account(alice.account)
    alice.post("/compose/", {**HELLO, "do": "save"})
    written = compose.write_unfinished

    def meanwhile(draft: Draft, out: Any) -> int:
        with transaction.atomic():
            operations.discard_draft(Draft.objects.get(pk=draft.pk))
        return written(draft, out)

    monkeypatch.setattr(compose, "write_unfinished", meanwhile)
    work_off(alice.account)
    monkeypatch.undo()
    work_off(alice.account)
    with alice.on_server() as server:
        assert server.subjects("Drafts") == []
    assert not DraftCopy.objects.exists()


def test_no_recipient_of_a_list_too_long_to_be_read_is_left_out_silently() -> None:
    """Nor is the one that the end cuts through taken for another."""
    one = "nummer@example.org "
    _good, bad = mime.parse_addresses(one * (MAX_FIELD // len(one) + 1))
    assert bad


def test_the_composer_does_not_read_the_text_of_every_template(
    alice: Person, django_assert_max_num_queries: Any
) -> None:
    Template.objects.create(user=alice.user, name="Hytta", text="lang tekst")
    with django_assert_max_num_queries(100) as queries:
        alice.get("/compose/")
    asked = [one["sql"] for one in queries.captured_queries if "webmail_template" in one["sql"]]
    assert asked
    assert not any('"text"' in sql or '"html"' in sql for sql in asked)
