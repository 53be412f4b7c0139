"""What mail says of events: iCalendar (RFC 5545) in the methods of iTIP (RFC 5546), as iMIP sends it (RFC 6047).

Read line by line, for two reasons: mail holds much that a strict parser refuses as a whole, and time zones that a file
defines itself may hold rules of any cost. Here a zone is looked up by its name; only where it has none that is known is
its definition used, in the one form that zones have, once a year. Answers are written by icalendar."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import icalendar
from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

from webmail.mime.addresses import is_email
from webmail.mime.contentline import Line, content_lines, unescape
from webmail.mime.text import decode_text
from webmail.mime.words import clean

MAX_OCTETS = 1_000_000  # of a file that is read; invitations are below 50,000
MAX_LINES = 20_000
MAX_EVENTS = 50  # of one file that are kept
MAX_ATTENDEES = 300
MAX_TEXT = 20_000  # characters of a description
MAX_TITLE = 500
MAX_UID = 1_000
MAX_EXCEPTIONS = 100
MAX_DEPTH = 50  # of components in each other
MAX_OF_ONE = 2000  # lines of an event or a time zone
MAX_ZONES = 50
MAX_ONSETS = 50  # rules of one zone
METHODS = frozenset({"PUBLISH", "REQUEST", "REPLY", "ADD", "CANCEL", "REFRESH", "COUNTER", "DECLINECOUNTER"})
STATES = frozenset({"NEEDS-ACTION", "ACCEPTED", "DECLINED", "TENTATIVE", "DELEGATED"})
TYPES = frozenset({"text/calendar", "application/ics", "text/x-vcalendar"})


@dataclass(frozen=True, slots=True)
class Moment:
    """``wall`` is what the file says, as ISO 8601: a date, or a time of day somewhere. ``at`` is the same in UTC, "" for a
    date or a time that is meant wherever one is (RFC 5545 §3.3.5 form 1). ``zone`` is the name of the zone that is known;
    ``said`` the one the file gives, where it is not known."""

    wall: str = ""
    at: str = ""
    zone: str = ""
    said: str = ""

    @property
    def is_date(self) -> bool:
        return len(self.wall) == 10


@dataclass(frozen=True, slots=True)
class Guest:
    """An attendee or the organiser; ``state`` is PARTSTAT, ``kind`` CUTYPE, both in capitals."""

    name: str = ""
    email: str = ""
    state: str = ""
    role: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One VEVENT. ``occurrence`` is its RECURRENCE-ID: of a series, only that one is meant. ``rule`` is the RRULE as it
    stands."""

    uid: str = ""
    sequence: int = 0
    stamp: str = ""
    title: str = ""
    start: Moment = field(default_factory=Moment)
    end: Moment = field(default_factory=Moment)
    occurrence: Moment = field(default_factory=Moment)
    later: bool = False  # the occurrence and all after it (RANGE=THISANDFUTURE)
    where: str = ""
    url: str = ""
    text: str = ""
    comment: str = ""
    status: str = ""
    rule: str = ""
    extra: int = 0  # days beside the rule (RDATE)
    exceptions: tuple[Moment, ...] = ()
    organizer: Guest = field(default_factory=Guest)
    attendees: tuple[Guest, ...] = ()
    invited: int = 0  # attendees in all


@dataclass(frozen=True, slots=True)
class Calendar:
    """``method`` "" is a file that asks for nothing. Of many events only MAX_EVENTS are here."""

    method: str = ""
    events: tuple[Event, ...] = ()
    total: int = 0


def read_calendar(octets: bytes, charset: str = "") -> Calendar | None:
    """None if no event is in it, or more than MAX_OCTETS are. Raises nothing."""
    if len(octets) > MAX_OCTETS:
        return None
    method, events, zones = _sorted(content_lines(decode_text(octets, charset or "utf-8"), MAX_LINES))
    if not events:
        return None
    known = _Zones(zones)
    return Calendar(method, tuple(_event(lines, known) for lines in events[:MAX_EVENTS]), len(events))


def _sorted(lines: Iterable[Line]) -> tuple[str, list[list[Line]], list[list[Line]]]:
    """The method, and the lines of each event and of each time zone; what is inside of an event, as alarms, is not."""
    method = ""
    events: list[list[Line]] = []
    zones: list[list[Line]] = []
    path: list[str] = []
    current: list[Line] = []
    for line in lines:
        if line.name == "BEGIN":
            if len(path) >= MAX_DEPTH:
                break
            path.append(line.value.strip().upper())
            if path[-1] in ("VEVENT", "VTIMEZONE"):
                current = []
                (events if path[-1] == "VEVENT" else zones).append(current)
            elif path[-1] in ("STANDARD", "DAYLIGHT"):
                current.append(line)
        elif line.name == "END":
            name = line.value.strip().upper()
            if name in path:  # what is not ended is ended with what holds it
                del path[len(path) - 1 - path[::-1].index(name) :]
        elif line.name == "METHOD" and path == ["VCALENDAR"]:
            method = line.value.strip().upper()
        elif path and path[-1] in ("VEVENT", "VTIMEZONE", "STANDARD", "DAYLIGHT") and len(current) < MAX_OF_ONE:
            current.append(line)
    return method if method in METHODS else "", events, zones[:MAX_ZONES]


def _event(lines: list[Line], zones: _Zones) -> Event:
    by_name: dict[str, Line] = {}
    attendees: list[Line] = []
    exceptions: list[Moment] = []
    extra = 0
    for line in lines:
        by_name.setdefault(line.name, line)
        if line.name == "ATTENDEE":
            attendees.append(line)
        elif line.name == "EXDATE" and len(exceptions) < MAX_EXCEPTIONS:
            exceptions += [_moment(line, one, zones) for one in line.value.split(",")[:MAX_EXCEPTIONS]]
        elif line.name == "RDATE":
            extra += line.value.count(",") + 1
    nothing = Line("", "")
    start = _of(by_name, "DTSTART", zones)
    occurrence = by_name.get("RECURRENCE-ID", nothing)
    text = {name: _text(by_name.get(name, nothing).value) for name in ("DESCRIPTION", "COMMENT")}
    short = {
        name: clean(unescape(by_name.get(name, nothing).value))[:MAX_TITLE]
        for name in ("SUMMARY", "LOCATION", "STATUS")
    }
    return Event(
        uid=clean(unescape(by_name.get("UID", nothing).value))[: MAX_UID + 1],
        sequence=_number(by_name.get("SEQUENCE", nothing).value),
        stamp=_of(by_name, "DTSTAMP", zones).at,
        title=short["SUMMARY"],
        start=start,
        end=_end(by_name, start, zones),
        occurrence=_moment(occurrence, occurrence.value, zones),
        later=occurrence.param("RANGE").upper() == "THISANDFUTURE",
        where=short["LOCATION"],
        url=_web(by_name.get("URL", nothing).value),
        text=text["DESCRIPTION"],
        comment=text["COMMENT"],
        status=short["STATUS"].upper(),
        rule=clean(by_name.get("RRULE", nothing).value)[:500].upper(),
        extra=extra,
        exceptions=tuple(one for one in exceptions if one.wall)[:MAX_EXCEPTIONS],
        organizer=_guest(by_name["ORGANIZER"]) if "ORGANIZER" in by_name else Guest(),
        attendees=tuple(map(_guest, attendees[:MAX_ATTENDEES])),
        invited=len(attendees),
    )  # fmt: skip


def _text(value: str) -> str:
    return "\n".join(map(clean, unescape(value)[:MAX_TEXT].split("\n"))).strip()


def _number(value: str) -> int:
    value = value.strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0


def _web(value: str) -> str:
    value = value.strip()
    return value if re.fullmatch(r"https?://[^\s<>\"'\\]{1,2000}", value, re.IGNORECASE) else ""


def _guest(line: Line) -> Guest:
    address = line.value.strip()
    email = clean(address[7:] if address[:7].lower() == "mailto:" else address)
    if not is_email(email):  # Apple's accounts stand as paths, with the address beside them
        email = clean(line.param("EMAIL"))
    state = line.param("PARTSTAT").upper()
    return Guest(
        name=clean(line.param("CN"))[:255],
        email=email[:320] if is_email(email) else "",
        state=state if state in STATES else "NEEDS-ACTION",
        role=clean(line.param("ROLE")).upper()[:30],
        kind=clean(line.param("CUTYPE")).upper()[:30],
    )


# --- times ----------------------------------------------------------------------------------------------------------

_WHEN = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:T(\d\d):?(\d\d):?(\d\d)?(?:\.\d{1,9})?(Z)?)?")


def _of(by_name: Mapping[str, Line], name: str, zones: _Zones) -> Moment:
    return _moment(by_name[name], by_name[name].value, zones) if name in by_name else Moment()


def _moment(line: Line, value: str, zones: _Zones) -> Moment:
    found = _WHEN.fullmatch(value.strip().upper())
    if not found:
        return Moment()
    try:
        day = date(int(found[1]), int(found[2]), int(found[3]))
        if found[4] is None:
            return Moment(day.isoformat())
        second = min(int(found[6] or 0), 59)  # a leap second has no name here
        wall = datetime.combine(day, time(int(found[4]), int(found[5]), second))
        if found[7]:
            return Moment(wall.isoformat(), wall.replace(tzinfo=UTC).isoformat(), "UTC")
        return zones.moment(wall, line.param("TZID"))
    except (ValueError, OverflowError):
        return Moment()


def _end(by_name: Mapping[str, Line], start: Moment, zones: _Zones) -> Moment:
    """RFC 5545 §3.6.1: DTEND, else DURATION, else the day or the moment it starts."""
    if "DTEND" in by_name:
        return _of(by_name, "DTEND", zones)
    if not start.wall:
        return Moment()
    try:
        length = icalendar.vDuration.from_ical(by_name["DURATION"].value.strip()) if "DURATION" in by_name else None
        if length is None or length < timedelta(0):
            return Moment()
        if start.is_date:
            return Moment((date.fromisoformat(start.wall) + length).isoformat())
        wall = (datetime.fromisoformat(start.wall) + length).isoformat()
        at = (datetime.fromisoformat(start.at) + length).isoformat() if start.at else ""
    except (ValueError, OverflowError):
        return Moment()
    return Moment(wall, at, start.zone, start.said)


@cache
def _names() -> dict[str, str]:
    """The zones there are, by their names in lower case; Windows' own among them (CLDR)."""
    found = {name.lower(): name for name in available_timezones()}
    return {name.lower(): zone for name, zone in WINDOWS_TO_OLSON.items() if zone.lower() in found} | found


def _known_zone(said: str) -> str:
    """By its whole name, or, as some put a path before it, by what the name ends in (``/mozilla.org/2007/Europe/Oslo``)."""
    parts = said.strip().strip('"').lower().split("/")[-6:]
    tails = ("/".join(parts[at:]) for at in range(len(parts)))
    return next((_names()[tail] for tail in tails if tail in _names()), "")


@dataclass(frozen=True, slots=True)
class _Onset:
    """When a zone's clocks come to be ``offset`` ahead of UTC, by its own clocks: at ``start``, and each year after it on a
    ``weekday`` (its ``nth``, or from the end) of ``month``."""

    offset: timedelta
    start: datetime
    month: int = 0
    nth: int = 0
    weekday: int = 0
    until: datetime = datetime.max

    def last_before(self, wall: datetime) -> datetime | None:
        if not self.month:
            return self.start if self.start <= wall else None
        for year in (wall.year, wall.year - 1):
            onset = datetime.combine(_nth_weekday(year, self.month, self.nth, self.weekday), self.start.time())
            if self.start <= onset <= min(wall, self.until):
                return onset
        return self.start if self.start <= wall else None


def _nth_weekday(year: int, month: int, nth: int, weekday: int) -> date:
    if nth > 0:
        first = date(year, month, 1)
        return first + timedelta((weekday - first.weekday()) % 7 + 7 * (nth - 1))
    last = date(year + month // 12, month % 12 + 1, 1) - timedelta(1)
    return last - timedelta((last.weekday() - weekday) % 7 + 7 * (-nth - 1))


class _Zones:
    """The time zones that a file defines, by the names it gives them."""

    def __init__(self, zones: list[list[Line]]) -> None:
        self._lines = {next((line.value for line in lines if line.name == "TZID"), ""): lines for lines in zones}
        self._onsets: dict[str, list[_Onset]] = {}

    def moment(self, wall: datetime, said: str) -> Moment:
        """Raises ValueError or OverflowError for a time that is none."""
        if not said:
            return Moment(wall.isoformat())
        zone = _known_zone(said) or next(
            (_known_zone(one.value) for one in self._lines.get(said, ()) if one.name == "X-LIC-LOCATION"), ""
        )
        if zone:
            at = wall.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
            return Moment(wall.isoformat(), at.isoformat(), zone)
        if said not in self._onsets:
            self._onsets[said] = _onsets(self._lines.get(said, []))
        offset = _offset(self._onsets[said], wall)
        at_text = "" if offset is None else (wall - offset).replace(tzinfo=UTC).isoformat()
        return Moment(wall.isoformat(), at_text, "", clean(said)[:100])


def _offset(onsets: list[_Onset], wall: datetime) -> timedelta | None:
    begun = [(when, one.offset) for one in onsets if (when := one.last_before(wall))]
    if begun:
        return max(begun)[1]
    return min(onsets, key=lambda one: one.start).offset if onsets else None


def _onsets(lines: list[Line]) -> list[_Onset]:
    found: list[_Onset] = []
    current: dict[str, str] = {}
    for line in [*lines, Line("BEGIN", "")]:
        if line.name != "BEGIN":
            current[line.name] = line.value.strip().upper()
            continue
        if (onset := _onset(current)) and len(found) < MAX_ONSETS:
            found.append(onset)
        current = {}
    return found


_SHIFT = re.compile(r"([+-])(\d\d):?(\d\d)(\d\d)?")
_BYDAY = re.compile(r"([+-]?[1-5])(MO|TU|WE|TH|FR|SA|SU)")
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def _onset(said: Mapping[str, str]) -> _Onset | None:
    shift, start = _SHIFT.fullmatch(said.get("TZOFFSETTO", "")), _WHEN.fullmatch(said.get("DTSTART", ""))
    if not shift or not start or start[4] is None:
        return None
    try:
        offset = timedelta(hours=int(shift[2]), minutes=int(shift[3])) * (-1 if shift[1] == "-" else 1)
        year = max(int(start[1]), 1)
        begin = datetime(year, int(start[2]), int(start[3]), int(start[4]), int(start[5]))
        rule = parse_rule(said.get("RRULE", ""))
        day, month = _BYDAY.fullmatch(rule.get("BYDAY", "")), _number(rule.get("BYMONTH", ""))
        if rule.get("FREQ") != "YEARLY" or not day or not 1 <= month <= 12:
            return _Onset(offset, begin)
        until = _WHEN.fullmatch(rule.get("UNTIL", ""))
        last = datetime(int(until[1]), int(until[2]), int(until[3]), 23, 59) if until else datetime.max
        # The fifth of a month that has four is a mistake for the last.
        nth = int(day[1]) if abs(int(day[1])) < 5 else -1
        return _Onset(offset, begin, month, nth, DAYS.index(day[2]), last)
    except (ValueError, OverflowError):
        return None


def parse_rule(rule: str) -> dict[str, str]:
    """A recurrence rule (RFC 5545 §3.3.10) by the names of its parts."""
    return {name: value for name, equals, value in (part.partition("=") for part in rule.split(";")) if equals}


# --- from and to plain values ---------------------------------------------------------------------------------------


def calendar_from_json(data: Mapping[str, Any]) -> Calendar:
    """The inverse of ``dataclasses.asdict``."""
    return Calendar(data["method"], tuple(map(_event_from, data["events"])), data["total"])


def _event_from(data: Mapping[str, Any]) -> Event:
    moments = {name: Moment(**data[name]) for name in ("start", "end", "occurrence")}
    rest = {
        "exceptions": tuple(Moment(**one) for one in data["exceptions"]),
        "organizer": Guest(**data["organizer"]),
        "attendees": tuple(Guest(**one) for one in data["attendees"]),
    }
    return Event(**{**data, **moments, **rest})


# --- answers --------------------------------------------------------------------------------------------------------


def write_reply(events: Sequence[Event], attendee: Guest, state: str, comment: str, stamp: datetime) -> bytes:
    """The answer of one attendee to an invitation (RFC 5546 §3.2.3): who invited, the event, and of those invited the one
    who answers alone. ``state`` is a PARTSTAT."""
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Postkasse//Postkasse//EN")
    calendar.add("version", "2.0")
    calendar.add("method", "REPLY")
    for event in events:
        calendar.add_component(_answered(event, attendee, state, comment, stamp))
    return calendar.to_ical()


def _answered(event: Event, attendee: Guest, state: str, comment: str, stamp: datetime) -> icalendar.Event:
    answer = icalendar.Event()
    answer.add("uid", event.uid)
    answer.add("dtstamp", stamp.astimezone(UTC).replace(microsecond=0))
    answer.add("sequence", event.sequence)
    if event.occurrence.wall:
        parameters = {"RANGE": "THISANDFUTURE"} if event.later else {}
        answer.add("recurrence-id", _written(event.occurrence), parameters=parameters)
    answer.add("organizer", _address(event.organizer))
    answer.add("attendee", _address(attendee, partstat=state))
    if event.title:
        answer.add("summary", event.title)
    if event.start.wall:
        answer.add("dtstart", _written(event.start))
    if event.end.wall:
        answer.add("dtend", _written(event.end))
    if comment:
        answer.add("comment", comment)
    return answer


def _address(guest: Guest, **parameters: str) -> icalendar.vCalAddress:
    address = icalendar.vCalAddress(f"mailto:{guest.email}")
    if name := guest.name.replace('"', "'"):  # RFC 5545 §3.1 knows no way to write one in a parameter
        parameters["cn"] = name
    for key, value in parameters.items():
        address.params[key] = value
    return address


def _written(moment: Moment) -> date | datetime:
    """In UTC, so that no time zone has to be sent along; the same moment and the same occurrence (RFC 5545 §3.8.4.4)."""
    if moment.is_date:
        return date.fromisoformat(moment.wall)
    return datetime.fromisoformat(moment.at) if moment.at else datetime.fromisoformat(moment.wall)
