"""What leaves is what was written, to whom it was addressed, and nothing can be smuggled into it."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from tests.letters import letter
from tests.servers import SMTPServer
from tests.views.conftest import Person, work_off
from webmail import compose, outbox
from webmail.models import Draft, Submission, SubmissionState


def send(person: Person, path: str = "/compose/", **fields: str) -> None:
    response = person.post(path, {"to": "ola@example.org", "subject": "Hi", "text": "Hello", "do": "send", **fields})
    assert response.status_code == 303, response.content.decode()
    work_off(person.account)


def parsed(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_message_goes_out_once_and_is_filed(alice: Person, smtp: SMTPServer) -> None:
    send(alice, subject="Én gang", text="Hei\n")
    work_off(alice.account)
    (received,) = smtp.received
    assert received.recipients == ["ola@example.org"]
    assert received.sender == alice.address
    message = parsed(received.raw)
    assert message["Subject"] == "Én gang"
    assert message["From"] == alice.address
    assert message.get_content().strip() == "Hei"
    assert "Nothing waits to be sent" in alice.get("/outbox/").content.decode()
    assert Submission.objects.get().raw == ""
    assert not Draft.objects.exists()
    with alice.on_server() as server:
        assert server.subjects("Sent") == ["Én gang"]


def test_blind_copies_reach_everybody_and_show_in_our_own_copy_only(alice: Person, smtp: SMTPServer) -> None:
    send(alice, to="a@example.org", cc="b@example.org", bcc="c@example.org, D <d@example.org>")
    (received,) = smtp.received
    assert received.recipients == ["a@example.org", "b@example.org", "c@example.org", "d@example.org"]
    assert b"c@example.org" not in received.raw
    assert b"d@example.org" not in received.raw
    assert parsed(received.raw)["Bcc"] is None
    with alice.on_server() as server:
        (filed,) = server.messages("Sent")
    assert "c@example.org" in filed["Bcc"]


@pytest.mark.parametrize("ends", ["\r\n", "\n", "\r", "\u2028", "\x85", "\x0b"])
@pytest.mark.parametrize("field", ["subject", "to", "cc"])
def test_no_field_can_begin_another(alice: Person, smtp: SMTPServer, field: str, ends: str) -> None:
    value = {"subject": "Hi", "to": "ola@example.org", "cc": "Kari <kari@example.org>"}[field]
    injected = f"{value}{ends}Bcc: victim@example.org{ends}X-Evil: yes{ends}{ends}Body"
    response = alice.post("/compose/", {"to": "ola@example.org", "text": "x", "do": "send", field: injected})
    assert response.status_code in (303, 422)
    work_off(alice.account)
    for received in smtp.received:
        message = parsed(received.raw)
        assert message["Bcc"] is None
        assert message["X-Evil"] is None
        assert "victim@example.org" not in received.recipients
        assert message.get_content().strip() == "x"
    assert bool(smtp.received) == (response.status_code == 303)


def test_the_name_of_an_identity_cannot_begin_a_field(alice: Person, smtp: SMTPServer) -> None:
    identity = alice.account.identities.get()
    data = {"name": "Alice\r\nBcc: victim@example.org", "address": alice.address, "signature": ""}
    alice.post(f"/settings/identities/{identity.pk}/", data)
    send(alice)
    (received,) = smtp.received
    message = parsed(received.raw)
    assert message["Bcc"] is None
    assert message["From"].addresses[0].addr_spec == alice.address


def test_the_name_of_a_file_cannot_begin_a_field(alice: Person, smtp: SMTPServer) -> None:
    draft = compose.save(compose.new(alice.user, to="ola@example.org", subject="File"))
    upload = SimpleUploadedFile("x.txt", b"octets")
    upload._name = 'a"\r\nX-Evil: yes\r\n.txt'  # what Django would not let through, a careless change might
    compose.attach(draft, upload)
    outbox.submit(alice.user, draft)
    work_off(alice.account)
    (received,) = smtp.received
    (attachment,) = parsed(received.raw).iter_attachments()
    assert attachment["X-Evil"] is None
    assert attachment.get_content().strip() == "octets"


def test_a_reply_continues_the_thread_and_a_reply_to_all_leaves_oneself_out(alice: Person, smtp: SMTPServer) -> None:
    headers = {"Message-ID": "<p@x>", "References": "<g@x>", "Cc": "kari@example.org", "Reply-To": "list@example.org"}
    alice.receive(letter("Topic", to=f"{alice.address}, per@example.org", headers=headers))
    page = alice.get(f"/compose/?replyall={alice.message('Topic').pk}")
    draft = page.context["draft"]
    assert draft.to == "list@example.org"
    assert draft.cc == "per@example.org, kari@example.org"
    send(alice, f"/compose/?replyall={alice.message('Topic').pk}", to=draft.to, cc=draft.cc, subject=draft.subject)
    message = parsed(smtp.received[0].raw)
    assert message["In-Reply-To"] == "<p@x>"
    assert message["References"] == "<g@x> <p@x>"
    assert message["Subject"] == "Re: Topic"
    work_off(alice.account)
    with alice.on_server() as server:
        assert "\\Answered" in server.flags("Topic")


def test_a_forward_brings_the_files_along(alice: Person, smtp: SMTPServer) -> None:
    octets = bytes(range(256)) * 100
    alice.receive(letter("Papers", "See enclosed", files={"papers.bin": ("application/x-papers", octets)}))
    send(alice, f"/compose/?forward={alice.message('Papers').pk}", subject="Fwd: Papers", text="Look")
    (attachment,) = parsed(smtp.received[0].raw).iter_attachments()
    assert attachment.get_filename() == "papers.bin"
    assert attachment.get_content() == octets


def test_refused_recipients_are_kept_with_the_servers_words(alice: Person, smtp: SMTPServer) -> None:
    smtp.refuse["no@example.org"] = "550 5.1.1 No such person"
    send(alice, to="no@example.org, yes@example.org")
    submission = Submission.objects.get()
    assert submission.state == SubmissionState.SENT
    assert submission.refused == {"no@example.org": "550 5.1.1 No such person"}
    assert [received.recipients for received in smtp.received] == [["yes@example.org"]]
    page = alice.get("/outbox/").content.decode()
    assert "no@example.org: 550 5.1.1 No such person" in page
    assert "Delivered, but some recipients were refused" in page
    alice.post(f"/submissions/{submission.pk}/dismissal/")
    assert "Nothing waits to be sent" in alice.get("/outbox/").content.decode()


def test_what_waits_can_be_taken_back_and_what_went_out_cannot(alice: Person, smtp: SMTPServer) -> None:
    alice.post("/compose/", {"to": "ola@example.org", "subject": "Hi", "text": "Hello", "do": "send"})
    submission = Submission.objects.get()
    response = alice.post(f"/submissions/{submission.pk}/cancellation/")
    draft = Draft.objects.get()
    assert response["Location"] == f"/drafts/{draft.pk}/"
    assert draft.text == "Hello"
    alice.post(f"/drafts/{draft.pk}/submission/")
    submission = Submission.objects.get()
    Submission.objects.filter(pk=submission.pk).update(state=SubmissionState.SENDING)
    page = alice.client.post(f"/submissions/{submission.pk}/cancellation/", follow=True).content.decode()
    assert "It is too late" in page
    assert Submission.objects.get().state == SubmissionState.SENDING


def test_pressing_send_twice_sends_once(alice: Person, smtp: SMTPServer) -> None:
    draft_page = alice.post("/compose/", {"to": "ola@example.org", "text": "Hello", "do": "save"})
    path = draft_page["Location"]
    data = {"to": "ola@example.org", "subject": "Hello", "text": "Hello", "do": "send", "revision": "1"}
    alice.post(path, data)
    assert alice.post(path, data).status_code in (303, 404)
    work_off(alice.account)
    assert len(smtp.received) == 1


def test_an_uncertain_message_is_never_sent_by_itself(alice: Person, smtp: SMTPServer) -> None:
    smtp.drop_after_dot = True
    send(alice)
    assert Submission.objects.get().state == SubmissionState.UNCERTAIN
    smtp.drop_after_dot = False
    for _again in range(3):
        work_off(alice.account)
    assert len(smtp.received) == 1
    page = alice.get("/outbox/").content.decode()
    assert "It may have been sent" in page
    alice.post(f"/submissions/{Submission.objects.get().pk}/retry/")
    work_off(alice.account)
    assert len(smtp.received) == 2
