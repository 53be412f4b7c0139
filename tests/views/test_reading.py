"""Odd messages of the corpus in the pages: what is read, what hangs on them, what can be downloaded."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from tests.letters import letter
from tests.views.conftest import Person
from webmail import bodies, mime, tasks
from webmail.models import Message, MessageBody

CORPUS = Path(__file__).resolve().parent.parent / "corpus"


def opened(person: Person, name: str) -> Message:
    person.receive(b"Date: Mon, 23 Nov 2026 10:00:00 +0100\r\n" + (CORPUS / f"{name}.eml").read_bytes())
    message = Message.objects.filter(account=person.account).latest("pk")
    bodies.body_of(message)
    return Message.objects.select_related("account", "body").get(pk=message.pk)


def files(message: Message) -> list[mime.BodyPart]:
    assert message.body_part
    return list(mime.select_bodies(message.body_part).attachments)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("uuencode-in-text", b"Hei"),
        ("tnef-one-file", b"innhold"),
        ("smime-opaque-signed-in-a-stream", b"a,b"),
        ("smime-opaque-around-tnef", b"x"),
        ("boundary-missing-parameter", b"%PDF-1.4 ikke egentlig"),
    ],
)
def test_a_file_that_is_inside_of_a_part_is_listed_and_can_be_downloaded(
    alice: Person, name: str, content: bytes
) -> None:
    message = opened(alice, name)
    (part,) = files(message)
    assert message.has_attachment
    page = alice.get(f"/messages/{message.pk}/")
    assert part.name in page.content.decode()
    answer = alice.get(f"/messages/{message.pk}/parts/{part.part_id}/")
    assert b"".join(answer.streaming_content) == content
    assert part.name in answer["Content-Disposition"]
    assert alice.get(f"/messages/{message.pk}/parts/{part.part_id}9/").status_code == 404


def test_plain_text_beside_html_is_in_both_views(alice: Person) -> None:
    message = opened(alice, "parts-html-and-footer-of-a-list")
    assert "Folk mailing list" in message.body.text
    assert "Hei" in message.body.text
    assert "Folk mailing list" in message.body.html
    assert "<p>Hei</p>" in message.body.html


def test_what_a_message_is_besides_is_kept_with_its_text(alice: Person) -> None:
    assert opened(alice, "smime-signed").body.facts["protection"] == {
        "kind": "smime",
        "signed": True,
        "encrypted": False,
    }
    report = opened(alice, "bounce-postfix").body.facts["report"]
    assert (report["is"], report["recipients"][0]["status"]) == ("bounce", "5.1.1")


def test_a_charset_that_the_reader_chose_is_kept(alice: Person) -> None:
    message = opened(alice, "charset-koi8-r-undeclared")
    assert bodies.fetch(message, None, "windows-1251").text.startswith("ъДТБЧУФЧХКФЕ")
    assert bodies.fetch(message, None, "koi8-r").text.startswith("Здравствуйте")
    assert bodies.body_of(message).facts["charset"] == "koi8-r"


def test_a_very_long_message_is_read_by_a_worker_while_the_page_waits(alice: Person) -> None:
    alice.receive(letter("Lang", html="<p>" + "Ord. " * 100_000))
    message = alice.message("Lang")
    MessageBody.objects.filter(message=message).delete()
    page, asked = alice.get(f"/messages/{message.pk}/").content.decode(), 1
    while again := re.search(r'hx-get="([^"]*\btry=[^"]*)"', page):
        assert "A very long message" in page
        assert not MessageBody.objects.filter(message=message).exists()
        page, asked = alice.get(unescape(again[1])).content.decode(), asked + 1
    assert 5 < asked < 10  # and then no more
    assert "It takes longer than usual." in page
    tasks.read(message.pk)
    assert "<iframe" in alice.get(f"/messages/{message.pk}/").content.decode()


def test_a_very_long_message_is_read_at_once_for_who_asks_for_it(alice: Person) -> None:
    alice.receive(letter("Lang", html="<p>" + "Ord. " * 100_000))
    message = alice.message("Lang")
    MessageBody.objects.filter(message=message).delete()
    page = alice.get(f"/messages/{message.pk}/").content.decode()
    now = re.search(r'href="([^"]*\bnow=1[^"]*)"', page)
    assert now
    assert "<iframe" in alice.get(unescape(now[1])).content.decode()
