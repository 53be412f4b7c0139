"""What the page says of a message that is more than text, and how a reader mends a wrong charset."""

from __future__ import annotations

from tests.letters import letter
from tests.views.conftest import Person
from webmail.models import Message, MessageBody

DATE = b"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\n"
BOUNCE = b"""\
From: MAILER-DAEMON@mx.example.net\r
To: alice@imap.test\r
Subject: Undelivered Mail Returned to Sender\r
Message-ID: <bounce@mx.example.net>\r
Date: Mon, 23 Nov 2026 10:00:00 +0000\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status; boundary=b\r
\r
--b\r
Content-Type: text/plain\r
\r
I'm sorry to have to inform you.\r
--b\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example.net\r
\r
Final-Recipient: rfc822; ada@there.example\r
Action: %s\r
Status: %s\r
Remote-MTA: dns; mx.there.example\r
Diagnostic-Code: smtp; 550 5.2.2 <b>Over quota</b>\r
\r
--b\r
Content-Type: message/rfc822\r
\r
From: alice@imap.test\r
To: ada@there.example\r
Subject: Lunch?\r
Message-ID: <%s>\r
\r
Shall we?\r
--b--\r
"""


def opened(person: Person, subject: str) -> str:
    return person.get(f"/messages/{person.message(subject).pk}/").content.decode()


def test_a_bounce_says_in_plain_words_who_did_not_get_what_and_why(alice: Person) -> None:
    alice.receive(BOUNCE % (b"failed", b"5.2.2", b"lunch@imap.test"))
    page = opened(alice, "Undelivered Mail Returned to Sender")
    assert "“Lunch?” did not reach its recipient" in page
    assert "ada@there.example: The mailbox is full." in page
    assert "mx.there.example: 550 5.2.2 &lt;b&gt;Over quota&lt;/b&gt;" in page
    assert "Show the message" not in page


def test_a_bounce_leads_to_the_message_that_came_back(alice: Person) -> None:
    sent = (
        DATE
        + b"From: alice@imap.test\r\nTo: ada@there.example\r\nSubject: Lunch?\r\nMessage-ID: <lunch@imap.test>\r\n\r\nShall we?\r\n"
    )
    alice.receive(sent, folder="Sent")
    alice.receive(BOUNCE % (b"failed", b"5.1.1", b"lunch@imap.test"))
    page = opened(alice, "Undelivered Mail Returned to Sender")
    assert f'href="/messages/{alice.message("Lunch?").pk}/">Show the message' in page


def test_a_delay_is_no_failure(alice: Person) -> None:
    alice.receive(BOUNCE % (b"delayed", b"4.4.1", b"x@imap.test"))
    page = opened(alice, "Undelivered Mail Returned to Sender")
    assert "“Lunch?” is still on its way" in page
    assert "The receiving server does not answer." in page


def test_encrypted_mail_says_that_it_cannot_be_opened_here(alice: Person) -> None:
    head = b'Subject: Secret\r\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\r\n\r\n'
    control = b"--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
    sealed = b"--b\r\nContent-Type: application/octet-stream\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--b--\r\n"
    alice.receive(DATE + head + control + sealed)
    assert "This message is encrypted with OpenPGP" in opened(alice, "Secret")


def test_a_reader_chooses_the_charset_and_goes_back(alice: Person) -> None:
    raw = (
        DATE + b"Subject: Odd\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n" + "Привет, мир".encode("koi8-r")
    )
    alice.receive(raw)
    pk = alice.message("Odd").pk
    assert "Привет" not in opened(alice, "Odd")
    assert alice.post(f"/messages/{pk}/charset/", {"charset": "koi8-r", "next": "/"}).status_code == 303
    page = opened(alice, "Odd")
    assert "Привет, мир" in page
    assert '<option value="koi8-r" selected>' in page
    alice.post(f"/messages/{pk}/charset/", {"charset": ""})
    assert "Привет" not in opened(alice, "Odd")
    assert alice.post(f"/messages/{pk}/charset/", {"charset": "no-such"}).status_code == 404


def test_a_body_that_was_read_in_an_older_way_is_read_anew(alice: Person) -> None:
    alice.receive(letter("Old", "The text as it is."))
    opened(alice, "Old")
    MessageBody.objects.update(text="The text as it was.", facts={})
    assert "The text as it is." in opened(alice, "Old")


def test_an_older_reading_is_shown_while_the_server_is_away(alice: Person) -> None:
    alice.receive(letter("Old", "The text as it is."))
    opened(alice, "Old")
    MessageBody.objects.update(text="The text as it was.", facts={})
    Message.objects.update(uid="")
    assert "The text as it was." in opened(alice, "Old")
