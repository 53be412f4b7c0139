"""Invitations on the page of a message, and the answers that leave through the outbox."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage
from typing import Any

import icalendar
import pytest

from accounts.models import Identity
from tests.letters import letter
from tests.servers import SMTPServer
from tests.views.conftest import Person, work_off
from webmail.models import Answer, Draft, Notice, Submission, SubmissionState

ZONE = """BEGIN:VTIMEZONE
TZID:Eastern Standard Time
BEGIN:STANDARD
DTSTART:16010101T020000
TZOFFSETFROM:-0400
TZOFFSETTO:-0500
RRULE:FREQ=YEARLY;BYDAY=1SU;BYMONTH=11
END:STANDARD
END:VTIMEZONE
"""


def calendar(
    attendee: str, *more: str, method: str = "REQUEST", sequence: int = 0, start: str = "20261203T130000Z"
) -> str:
    lines = [
        *("BEGIN:VEVENT", "UID:møte@example.org", "SUMMARY:Møte <b>om</b> våren", f"DTSTART:{start}", "LOCATION:Storgata 1"),
        *(f"SEQUENCE:{sequence}", f"DTSTAMP:20261124T08000{sequence}Z", "ORGANIZER;CN=Kari Nordmann:mailto:kari@example.org"),
        *(f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{attendee}", "ATTENDEE;PARTSTAT=ACCEPTED;CN=Ola:mailto:ola@example.org"),
        *(*more, "END:VEVENT", "END:VCALENDAR", ""),
    ]  # fmt: skip
    return f"BEGIN:VCALENDAR\nVERSION:2.0\nMETHOD:{method}\n{ZONE}" + "\n".join(lines)


def invite(subject: str, text: str, sender: str = "Kari Nordmann <kari@example.org>", minutes_ago: int = 0) -> bytes:
    message: EmailMessage = email.message_from_bytes(  # type: ignore[assignment]
        letter(subject, "See the invitation.\n", sender=sender, minutes_ago=minutes_ago), policy=email.policy.default
    )
    message.add_alternative(text, subtype="calendar", params={"method": "REQUEST"})
    return message.as_bytes()


def page(person: Person, subject: str) -> str:
    return person.get(f"/messages/{person.message(subject).pk}/").content.decode()


def answer(person: Person, subject: str, state: str, **more: str) -> Any:
    return person.post(
        f"/messages/{person.message(subject).pk}/answer/", {"state": state, "after": "0", **more}, follow=True
    )


def sent(person: Person, smtp: SMTPServer) -> EmailMessage:
    work_off(person.account)
    (delivered,) = smtp.received
    return email.message_from_bytes(delivered.raw, policy=email.policy.default)  # type: ignore[return-value]


def test_an_invitation_says_what_when_where_and_who(alice: Person) -> None:
    alice.user.time_zone = "Europe/Oslo"
    alice.user.save()
    alice.receive(invite("Inv", calendar(alice.address, "DESCRIPTION:See https://example.org/a")))
    text = page(alice, "Inv")
    assert "Møte &lt;b&gt;om&lt;/b&gt; våren" in text
    assert "Thursday 3 December 2026 14:00" in text
    assert "Storgata 1" in text
    assert "kari@example.org" in text
    assert 'href="https://example.org/a"' in text
    assert "2 guests" in text
    assert 'value="ACCEPTED"' in text


def test_a_time_of_another_zone_is_told_in_both(alice: Person) -> None:
    alice.user.time_zone = "Europe/Oslo"
    alice.user.save()
    raw = calendar(alice.address).replace(
        "DTSTART:20261203T130000Z", "DTSTART;TZID=Eastern Standard Time:20261203T080000"
    )
    alice.receive(invite("Inv", raw))
    text = page(alice, "Inv")
    assert "Thursday 3 December 2026 14:00" in text
    assert "Thursday 3 December 2026 08:00 in America/New York" in text


def test_an_answer_goes_to_the_organiser_alone_and_is_what_calendars_read(alice: Person, smtp: SMTPServer) -> None:
    alice.receive(invite("Inv", calendar(alice.address, sequence=3)))
    shown = answer(alice, "Inv", "ACCEPTED", comment="Gleder meg").content.decode()
    assert "You have accepted." in shown
    message = sent(alice, smtp)
    assert message["To"].addresses[0].addr_spec == "kari@example.org"
    assert message["Cc"] is None
    assert message["From"].addresses[0].addr_spec == alice.address
    assert message["Subject"] == "Accepted: Møte <b>om</b> våren"
    assert smtp.received[0].recipients == ["kari@example.org"]
    assert message.get_content_type() == "multipart/alternative"
    text, reply = message.iter_parts()
    assert "Gleder meg" in text.get_content()
    assert reply.get_content_type() == "text/calendar"
    assert (reply.get_param("method"), reply.get_param("component")) == ("REPLY", "VEVENT")
    (event,) = icalendar.Calendar.from_ical(reply.get_content()).walk("VEVENT")
    assert (event["UID"], event["SEQUENCE"]) == ("møte@example.org", 3)
    assert event["ATTENDEE"] == f"mailto:{alice.address}"
    assert event["ATTENDEE"].params["PARTSTAT"] == "ACCEPTED"
    assert event["COMMENT"] == "Gleder meg"
    assert not Draft.objects.exists()


def test_a_form_that_comes_in_twice_is_sent_once(alice: Person, smtp: SMTPServer) -> None:
    alice.receive(invite("Inv", calendar(alice.address)))
    answer(alice, "Inv", "ACCEPTED")
    assert "answered this already" in answer(alice, "Inv", "ACCEPTED").content.decode()
    sent(alice, smtp)
    assert Answer.objects.count() == 1


def test_an_answer_can_be_changed_and_the_last_one_counts(alice: Person, smtp: SMTPServer) -> None:
    alice.receive(invite("Inv", calendar(alice.address)))
    answer(alice, "Inv", "ACCEPTED")
    work_off(alice.account)
    assert "You have declined." in answer(alice, "Inv", "DECLINED", after="1").content.decode()
    work_off(alice.account)
    assert len(smtp.received) == 2
    assert b"PARTSTAT=DECLINED" in smtp.received[1].raw.replace(b"=3D", b"=").replace(b"=\r\n", b"")


def test_an_answer_taken_back_was_never_given(alice: Person, smtp: SMTPServer) -> None:
    alice.receive(invite("Inv", calendar(alice.address)))
    answer(alice, "Inv", "ACCEPTED")
    undone = alice.post(f"/submissions/{Submission.objects.get().pk}/cancellation/", follow=True).content.decode()
    assert "The answer was not sent." in undone
    assert "You have accepted." not in undone
    work_off(alice.account)
    assert smtp.received == []
    assert not Draft.objects.exists()
    assert "You may come." in answer(alice, "Inv", "TENTATIVE").content.decode()


def test_the_address_that_was_invited_answers(alice: Person, smtp: SMTPServer) -> None:
    Identity.objects.create(account=alice.account, name="Alias", address="alias@imap.test")
    alice.receive(invite("Inv", calendar("ALIAS@imap.test")))
    answer(alice, "Inv", "ACCEPTED")
    assert sent(alice, smtp)["From"].addresses[0].addr_spec == "alias@imap.test"


def test_somebody_who_is_not_invited_is_told_and_chooses_whom_to_answer_as(alice: Person, smtp: SMTPServer) -> None:
    alias = Identity.objects.create(account=alice.account, name="Alias", address="alias@imap.test")
    alice.receive(invite("Inv", calendar("list@example.org")))
    assert "None of your addresses is invited" in page(alice, "Inv")
    answer(alice, "Inv", "ACCEPTED", identity=str(alias.pk))
    assert b"mailto:alias@imap.test" in sent(alice, smtp).as_bytes()


def test_a_later_message_outdates_an_earlier_one_and_says_that_it_moved(alice: Person) -> None:
    alice.receive(invite("First", calendar(alice.address), minutes_ago=9))
    alice.receive(invite("Second", calendar(alice.address, sequence=1, start="20261204T130000Z"), minutes_ago=5))
    page(alice, "First")
    later = page(alice, "Second")
    assert "Moved. Before, it was Thursday 3 December 2026" in later
    earlier = page(alice, "First")
    assert "This is out of date" in earlier
    assert f'href="/messages/{alice.message("Second").pk}/"' in earlier
    assert answer(alice, "First", "ACCEPTED").status_code == 200
    assert not Submission.objects.exists()


def test_an_answer_to_what_has_changed_since_is_asked_for_again(alice: Person) -> None:
    alice.receive(invite("First", calendar(alice.address), minutes_ago=9))
    answer(alice, "First", "ACCEPTED")
    alice.receive(invite("Second", calendar(alice.address, sequence=1), minutes_ago=5))
    assert "You accepted before it was changed." in page(alice, "Second")


def test_a_cancellation_calls_off_the_invitation(alice: Person) -> None:
    alice.receive(invite("First", calendar(alice.address), minutes_ago=9))
    page(alice, "First")
    alice.receive(invite("Off", calendar(alice.address, "STATUS:CANCELLED", method="CANCEL", sequence=1)))
    assert "This event is called off." in page(alice, "Off")
    assert "called off by a later message" in page(alice, "First")
    assert 'value="ACCEPTED"' not in page(alice, "First")


def test_nobody_but_the_organiser_calls_an_event_off(alice: Person) -> None:
    alice.receive(invite("First", calendar(alice.address), minutes_ago=9))
    off = invite("Off", calendar(alice.address, method="CANCEL", sequence=1), sender="Mallory <m@evil.example>")
    alice.receive(off)
    assert "The organiser it names is kari@example.org; the message is from m@evil.example." in page(alice, "Off")
    assert "called off" not in page(alice, "First")


def test_an_answer_of_a_guest_is_told_in_words(alice: Person) -> None:
    reply = calendar(alice.address, method="REPLY").replace(
        f"ATTENDEE;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:{alice.address}\n", ""
    )
    alice.receive(invite("Re", reply, sender="Ola <ola@example.org>"))
    text = page(alice, "Re")
    assert "Ola has accepted." in text
    assert 'value="ACCEPTED"' not in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("METHOD:REQUEST", "METHOD:PUBLISH"), ""),
        (("METHOD:REQUEST\n", ""), ""),
        (("ORGANIZER;CN=Kari Nordmann:mailto:kari@example.org\n", ""), "It names nobody to answer to."),
        (("mailto:kari@example.org", "mailto:{me}"), "You are the organiser."),
    ],
)
def test_where_no_answer_is_possible_none_is_offered_and_none_sent(
    alice: Person, change: tuple[str, str], words: str
) -> None:
    alice.receive(invite("Inv", calendar(alice.address).replace(change[0], change[1].format(me=alice.address))))
    text = page(alice, "Inv")
    assert 'value="ACCEPTED"' not in text
    assert words in text
    answer(alice, "Inv", "ACCEPTED")
    assert not Submission.objects.exists()


def test_looking_answers_nothing(alice: Person) -> None:
    alice.receive(invite("Inv", calendar(alice.address)))
    page(alice, "Inv")
    alice.get(f"/messages/{alice.message('Inv').pk}/answer/?state=ACCEPTED")
    assert not Submission.objects.exists()
    assert Notice.objects.count() == 1


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("FREQ=WEEKLY;BYDAY=TU;UNTIL=20261231T090000Z", "every week on Tuesday, until Thursday 31 December 2026"),
        ("FREQ=DAILY;COUNT=5", "every day, 5 times"),
        ("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "every working day, Monday to Friday"),
        ("FREQ=MONTHLY;INTERVAL=2;BYDAY=-1FR", "every 2 months on the last Friday"),
        ("FREQ=MONTHLY;BYDAY=TU;BYSETPOS=2", "every month on the second Tuesday"),
        ("FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=17", "every year on day 17 in May"),
        ("FREQ=HOURLY;BYHOUR=3", "by a rule of its own: FREQ=HOURLY;BYHOUR=3"),
    ],
)
def test_a_rule_is_told_in_words(alice: Person, rule: str, words: str) -> None:
    alice.receive(invite("Inv", calendar(alice.address, f"RRULE:{rule}", "EXDATE:20261210T130000Z")))
    text = re.sub(r"\s+", " ", page(alice, "Inv"))
    assert words in text
    assert "not on Thursday 10 December 2026" in text


@pytest.mark.parametrize(
    ("times", "words"),
    [
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261225", "Thursday 24 December 2026, all day"),
        ("DTSTART;VALUE=DATE:20261224\nDTEND;VALUE=DATE:20261227", "24 December 2026 – Saturday 26 December 2026"),
        ("DTSTART:20261224T180000\nDURATION:PT1H", "24 December 2026 18:00–19:00"),
        ("DTSTART;TZID=Nowhere:20261224T180000", "in the time zone “Nowhere”, which is not known here"),
    ],
)
def test_days_and_times_anywhere_are_told_as_they_are_meant(alice: Person, times: str, words: str) -> None:
    alice.receive(invite("Inv", calendar(alice.address).replace("DTSTART:20261203T130000Z", times)))
    assert words in page(alice, "Inv")


def test_an_answer_whose_way_is_uncertain_counts_no_more_once_it_is_taken_back(alice: Person) -> None:
    alice.receive(invite("Inn", calendar(alice.address)))
    answer(alice, "Inn", "ACCEPTED")
    Submission.objects.update(state=SubmissionState.UNCERTAIN, handed_over=True)
    submission = Submission.objects.get()
    said = alice.client.post(f"/submissions/{submission.pk}/cancellation/", follow=True).content.decode()
    assert "The answer may have been sent." in said
    assert not Answer.objects.exists()
    assert "You have accepted" not in page(alice, "Inn")
