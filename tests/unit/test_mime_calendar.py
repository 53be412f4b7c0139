"""Invitations as the calendars of this world write them."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail import mime
from webmail.mime.calendar import MAX_ATTENDEES, MAX_EVENTS, MAX_OCTETS

GOOGLE = """BEGIN:VCALENDAR
PRODID:-//Google Inc//Google Calendar 70.9054//EN
VERSION:2.0
CALSCALE:GREGORIAN
METHOD:REQUEST
BEGIN:VEVENT
DTSTART:20261203T130000Z
DTEND:20261203T140000Z
DTSTAMP:20261124T080000Z
ORGANIZER;CN=Kari Nordmann:mailto:kari@example.org
UID:abc123@google.com
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=ACCEPTED;RSVP=TRUE
 ;CN=Kari Nordmann;X-NUM-GUESTS=0:mailto:kari@example.org
ATTENDEE;CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=
 TRUE;CN=ola@imap.test;X-NUM-GUESTS=0:mailto:ola@imap.test
DESCRIPTION:Agenda:\\n1. Tall\\, og mer\\n2. Annet
LOCATION:Storgata 1\\, Oslo
SEQUENCE:2
STATUS:CONFIRMED
SUMMARY:Møte om våren
BEGIN:VALARM
ACTION:DISPLAY
DESCRIPTION:Not this one
TRIGGER:-P0DT0H10M0S
END:VALARM
END:VEVENT
END:VCALENDAR
"""

OUTLOOK = """BEGIN:VCALENDAR
METHOD:REQUEST
PRODID:Microsoft Exchange Server 2010
VERSION:2.0
BEGIN:VTIMEZONE
TZID:W. Europe Standard Time
BEGIN:STANDARD
DTSTART:16010101T030000
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:16010101T020000
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3
END:DAYLIGHT
END:VTIMEZONE
BEGIN:VEVENT
ORGANIZER;CN="Nordmann, Kari":MAILTO:kari@example.org
ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE;CN="Ola; the one":MAILTO:ola@imap.test
DESCRIPTION;LANGUAGE=nb-NO:\\n
RRULE:FREQ=WEEKLY;UNTIL=20261231T090000Z;INTERVAL=1;BYDAY=TU;WKST=MO
EXDATE;TZID=W. Europe Standard Time:20261208T100000,20261215T100000
SUMMARY;LANGUAGE=nb-NO:Ukemøte
DTSTART;TZID=W. Europe Standard Time:20261201T100000
DTEND;TZID=W. Europe Standard Time:20261201T110000
UID:040000008200E00074C5B7101A82E008
DTSTAMP:20261124T080000Z
SEQUENCE:0
END:VEVENT
END:VCALENDAR
"""


def one(text: str) -> mime.Event:
    found = mime.read_calendar(text.encode())
    assert found
    return found.events[0]


def event(*lines: str, before: str = "") -> mime.Event:
    body = "\n".join(lines)
    return one(f"BEGIN:VCALENDAR\nMETHOD:REQUEST\n{before}BEGIN:VEVENT\nUID:u\n{body}\nEND:VEVENT\nEND:VCALENDAR\n")


def zone(name: str, *rules: str) -> str:
    return "\n".join(["BEGIN:VTIMEZONE", f"TZID:{name}", *rules, "END:VTIMEZONE", ""])


def test_googles_invitation_is_read_with_folded_lines_and_without_its_alarm() -> None:
    found = mime.read_calendar(GOOGLE.replace("\n", "\r\n").encode())
    assert found
    assert found.method == "REQUEST"
    assert found.total == 1
    read = found.events[0]
    assert (read.title, read.where, read.sequence) == ("Møte om våren", "Storgata 1, Oslo", 2)
    assert read.text == "Agenda:\n1. Tall, og mer\n2. Annet"
    assert read.start == mime.Moment("2026-12-03T13:00:00", "2026-12-03T13:00:00+00:00", "UTC")
    assert read.organizer.email == "kari@example.org"
    assert [(guest.email, guest.state) for guest in read.attendees] == [
        ("kari@example.org", "ACCEPTED"),
        ("ola@imap.test", "NEEDS-ACTION"),
    ]


def test_outlooks_own_names_of_zones_are_known_and_quoted_names_read() -> None:
    read = one(OUTLOOK)
    assert read.start == mime.Moment("2026-12-01T10:00:00", "2026-12-01T09:00:00+00:00", "Europe/Berlin")
    assert (read.organizer.name, read.attendees[0].name) == ("Nordmann, Kari", "Ola; the one")
    assert [one.at for one in read.exceptions] == ["2026-12-08T09:00:00+00:00", "2026-12-15T09:00:00+00:00"]
    assert read.text == ""


RULES = (
    *("BEGIN:DAYLIGHT", "DTSTART:19810329T020000", "TZOFFSETFROM:+0100", "TZOFFSETTO:+0200"),
    *("RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "END:DAYLIGHT"),
    *("BEGIN:STANDARD", "DTSTART:19961027T030000", "TZOFFSETFROM:+0200", "TZOFFSETTO:+0100"),
    *("RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU", "END:STANDARD"),
)


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("20260701T120000", "2026-07-01T10:00:00+00:00"),
        ("20261201T120000", "2026-12-01T11:00:00+00:00"),
        ("20260101T000000", "2025-12-31T23:00:00+00:00"),
        ("20260329T040000", "2026-03-29T02:00:00+00:00"),
        ("20261025T120000", "2026-10-25T11:00:00+00:00"),
    ],
)
def test_a_zone_that_only_the_file_knows_is_read_by_its_own_rules(wall: str, utc: str) -> None:
    read = event(f"DTSTART;TZID=My own:{wall}", before=zone("My own", *RULES))
    assert (read.start.at, read.start.zone, read.start.said) == (utc, "", "My own")


def test_a_zone_with_a_path_before_its_name_is_known() -> None:
    assert (
        event("DTSTART;TZID=/freeassociation.sourceforge.net/Europe/Oslo:20261201T100000").start.zone == "Europe/Oslo"
    )
    assert (
        event("DTSTART;TZID=X:20261201T100000", before=zone("X", "X-LIC-LOCATION:Europe/Oslo")).start.zone
        == "Europe/Oslo"
    )


def test_a_zone_that_nobody_knows_leaves_the_time_as_it_stands() -> None:
    assert event("DTSTART;TZID=Nowhere:20261201T100000").start == mime.Moment("2026-12-01T10:00:00", "", "", "Nowhere")


def test_rules_of_a_zone_that_would_never_end_cost_nothing() -> None:
    odd = zone(
        "Bomb", "BEGIN:STANDARD", "DTSTART:16010101T000000", "TZOFFSETTO:+0100", "RRULE:FREQ=SECONDLY", "END:STANDARD"
    )
    assert event("DTSTART;TZID=Bomb:20261201T100000", before=odd).start.at == "2026-12-01T09:00:00+00:00"


def test_days_times_anywhere_and_durations() -> None:
    whole = event("DTSTART;VALUE=DATE:20261224", "DTEND;VALUE=DATE:20261227")
    assert (whole.start.wall, whole.end.wall, whole.start.is_date) == ("2026-12-24", "2026-12-27", True)
    floating = event("DTSTART:20261224T180000", "DURATION:PT1H30M")
    assert (floating.start.at, floating.end.wall) == ("", "2026-12-24T19:30:00")
    assert event("DTSTART:20261224T180000Z", "DURATION:-PT1H").end == mime.Moment()


@pytest.mark.parametrize("odd", ["20261301T000000Z", "tomorrow", "", "00000101", "99991231T235959Z", "20261224T18"])
def test_a_time_that_is_none_is_left_out(odd: str) -> None:
    read = event(f"DTSTART:{odd}", "DURATION:P999999999W")
    assert read.end == mime.Moment()


def test_apples_accounts_as_paths_have_their_address_beside_them() -> None:
    read = event("ATTENDEE;CN=Ola;EMAIL=ola@imap.test;PARTSTAT=NEEDS-ACTION:/aMTA1NTA/principal/")
    assert read.attendees[0].email == "ola@imap.test"
    assert event("ATTENDEE;CN=Nobody:mailto:not an address").attendees[0].email == ""


def test_an_address_can_carry_no_line_into_an_answer() -> None:
    read = event('ORGANIZER;CN="Kari^nBEGIN:VEVENT":mailto:kari@example.org', "SUMMARY:One\\nATTENDEE:x")
    assert "\n" not in read.organizer.name
    assert "\n" not in read.title
    reply = mime.write_reply([read], mime.Guest('O"la\r\nX:y', "ola@imap.test"), "ACCEPTED", "", datetime.now(UTC))
    names = [line.partition(b":")[0].partition(b";")[0] for line in reply.replace(b"\r\n ", b"").splitlines()]
    assert names.count(b"ATTENDEE") == 1
    assert names.count(b"BEGIN") == 2
    assert b"X" not in names


def test_only_links_to_the_web_are_links() -> None:
    assert event("URL:https://example.org/a").url == "https://example.org/a"
    assert [event(f"URL:{url}").url for url in ("javascript:alert(1)", "data:text/html,x", 'https://a"onx=')] == [
        ""
    ] * 3


def test_what_is_odd_around_an_event_does_not_keep_it_from_being_read() -> None:
    broken = GOOGLE.replace("END:VALARM", "GARBAGE;;;\n\n@@@:x\nX;=:y\nEND:VALARM").replace(
        "METHOD:REQUEST", "METHOD:request "
    )
    assert one(broken).title == "Møte om våren"
    assert one("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Cut off").title == "Cut off"
    assert mime.read_calendar(b"BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VTODO\nEND:VCALENDAR") is None
    assert mime.read_calendar(GOOGLE.encode("latin-1"), "iso-8859-1").events[0].title == "Møte om våren"  # type: ignore[union-attr]


def test_a_file_has_its_bounds() -> None:
    many = "BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n" * (MAX_EVENTS + 5)
    found = mime.read_calendar(f"BEGIN:VCALENDAR\n{many}END:VCALENDAR".encode())
    assert found
    assert (len(found.events), found.total) == (MAX_EVENTS, MAX_EVENTS + 5)
    read = event(*[f"ATTENDEE:mailto:a{n}@example.org" for n in range(MAX_ATTENDEES + 9)])
    assert (len(read.attendees), read.invited) == (MAX_ATTENDEES, MAX_ATTENDEES + 9)
    assert mime.read_calendar(b"x" * (MAX_OCTETS + 1)) is None


def test_what_is_kept_as_json_comes_back_as_it_was() -> None:
    found = mime.read_calendar(OUTLOOK.encode())
    assert found
    assert mime.calendar_from_json(asdict(found)) == found


def test_an_answer_says_what_rfc_5546_wants_and_no_more() -> None:
    reply = mime.write_reply(
        [one(OUTLOOK)],
        mime.Guest("Ola", "ola@imap.test"),
        "TENTATIVE",
        "Kanskje,\nvi får se",
        datetime(2026, 11, 24, 9, tzinfo=UTC),
    )
    calendar = icalendar.Calendar.from_ical(reply)
    assert calendar["METHOD"] == "REPLY"
    (answer,) = calendar.walk("VEVENT")
    assert answer["UID"] == "040000008200E00074C5B7101A82E008"
    assert answer["SEQUENCE"] == 0
    assert answer["ORGANIZER"] == "mailto:kari@example.org"
    assert answer["ATTENDEE"] == "mailto:ola@imap.test"
    assert answer["ATTENDEE"].params["PARTSTAT"] == "TENTATIVE"
    assert answer["COMMENT"] == "Kanskje,\nvi får se"
    assert answer.decoded("dtstamp") == datetime(2026, 11, 24, 9, tzinfo=UTC)
    assert "RRULE" not in answer
    assert "RECURRENCE-ID" not in answer


def test_an_answer_to_one_day_of_a_series_names_it() -> None:
    read = event(
        "RECURRENCE-ID;TZID=Europe/Oslo:20261201T100000", "DTSTART:20261202T090000Z", "ORGANIZER:mailto:k@example.org"
    )
    reply = mime.write_reply([read], mime.Guest("", "ola@imap.test"), "DECLINED", "", datetime.now(UTC))
    assert b"RECURRENCE-ID:20261201T090000Z" in reply


LINES = st.lists(
    st.one_of(st.sampled_from([*GOOGLE.splitlines(), *OUTLOOK.splitlines()]), st.text(max_size=60)), max_size=60
)


@given(LINES)
def test_nothing_that_comes_makes_the_reading_fail(lines: list[str]) -> None:
    found = mime.read_calendar("\n".join(lines).encode("utf-8", "replace"))
    if found:
        assert mime.calendar_from_json(asdict(found)) == found
        for read in found.events[:2]:
            mime.write_reply([read], mime.Guest("Ola", "ola@imap.test"), "ACCEPTED", "x", datetime.now(UTC))
