"""When an event is, in words, and for whoever reads it: in their own time zone, with the one it was planned in beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from django.utils import timezone
from django.utils.dates import MONTHS, WEEKDAYS
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from webmail import mime

SHOWN_EXCEPTIONS = 6
DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
NTH = {
    1: gettext_lazy("first"), 2: gettext_lazy("second"), 3: gettext_lazy("third"), 4: gettext_lazy("fourth"),
    5: gettext_lazy("fifth"), -1: gettext_lazy("last"), -2: gettext_lazy("last but one"),
}  # fmt: skip


def local(moment: mime.Moment) -> date | datetime | None:
    """Where the reader is: a date stays one, and a time that is meant anywhere is theirs as it stands."""
    if not moment.wall:
        return None
    if moment.is_date:
        return date.fromisoformat(moment.wall)
    if not moment.at:
        return datetime.fromisoformat(moment.wall)
    try:
        return timezone.localtime(datetime.fromisoformat(moment.at))
    except OverflowError:  # the first or last hours that there are
        return datetime.fromisoformat(moment.wall)


def lines(event: mime.Event) -> list[str]:
    """The time, and where it reads otherwise elsewhere, that time too. Empty for an event without a beginning."""
    start, end = local(event.start), local(event.end)
    if start is None:
        return []
    said = [_span(start, end)]
    zone = event.start.zone
    if isinstance(start, datetime) and zone and zone != "UTC":
        there = datetime.fromisoformat(event.start.wall)
        if there != start.replace(tzinfo=None):
            said.append(_there(there, event.end, zone))
    if isinstance(start, datetime) and not event.start.at:
        if event.start.said:
            words = _("in the time zone “%(zone)s”, which is not known here")
            said.append(words % {"zone": event.start.said})
        else:
            said.append(_("at this time wherever you are"))
    return said


def _there(start: datetime, end: mime.Moment, zone: str) -> str:
    closing = datetime.fromisoformat(end.wall) if end.zone == zone and not end.is_date else None
    if closing and closing.date() == start.date():
        when = f"{_day(start)} {_clock(start)}–{_clock(closing)}"
    else:
        when = f"{_day(start)} {_clock(start)}"
    return _("%(when)s in %(zone)s") % {"when": when, "zone": zone.replace("_", " ")}


def _span(start: date | datetime, end: date | datetime | None) -> str:
    if not isinstance(start, datetime):
        last = end - timedelta(1) if end and not isinstance(end, datetime) and end > start else start
        if last > start:
            return _("%(first)s – %(last)s") % {"first": _day(start), "last": _day(last)}
        return _("%(day)s, all day") % {"day": _day(start)}
    if not isinstance(end, datetime) or _plain(end) <= _plain(start):
        return f"{_day(start)} {_clock(start)}"
    if end.date() == start.date():
        return f"{_day(start)} {_clock(start)}–{_clock(end)}"
    return f"{_day(start)} {_clock(start)} – {_day(end)} {_clock(end)}"


def _plain(moment: datetime) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def told(when: str) -> str:
    """A beginning as Notice.start keeps it."""
    if not when:
        return ""
    if len(when) == 10:
        return _day(date.fromisoformat(when))
    moment = datetime.fromisoformat(when)
    moment = timezone.localtime(moment) if moment.tzinfo else moment
    return f"{_day(moment)} {_clock(moment)}"


def _day(day: date) -> str:
    return date_format(day, pgettext("date", "l j F Y"))


def _clock(moment: datetime) -> str:
    return date_format(moment, "H:i")


# --- recurrence (RFC 5545 §3.3.10) ----------------------------------------------------------------------------------


def repeats(event: mime.Event) -> str:
    """Its rule in words, "" for an event that happens once. A rule that has no words is shown as it stands."""
    if not event.rule:
        more = ngettext("and on %(n)d more day", "and on %(n)d more days", event.extra)
        return more % {"n": event.extra} if event.extra else ""
    rule = mime.parse_rule(event.rule)
    said = _rule(rule)
    if not said:
        return _("by a rule of its own: %(rule)s") % {"rule": event.rule[:200]}
    if rule.get("COUNT", "").isascii() and rule.get("COUNT", "").isdigit():
        n = int(rule["COUNT"][:6])
        said += ", " + ngettext("%(n)d time", "%(n)d times", n) % {"n": n}
    elif until := _until(rule.get("UNTIL", "")):
        said += ", " + _("until %(day)s") % {"day": _day(until)}
    return said


def _until(said: str) -> date | None:
    found = re.match(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\dZ)?", said)
    if not found:
        return None
    try:
        if found[4]:
            moment = datetime(int(found[1]), int(found[2]), int(found[3]), int(found[4]), int(found[5]), tzinfo=UTC)
            return timezone.localtime(moment).date()
        return date(int(found[1]), int(found[2]), int(found[3]))
    except (ValueError, OverflowError):
        return None


def _rule(rule: dict[str, str]) -> str:
    known = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"}
    interval = rule.get("INTERVAL", "1")
    if set(rule) - known or not (interval.isascii() and interval.isdigit() and len(interval) < 4):
        return ""
    n = int(interval)
    frequency = rule.get("FREQ", "")
    if frequency == "DAILY" and not rule.keys() & {"BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS"}:
        return ngettext("every day", "every %(n)d days", n) % {"n": n}
    if frequency == "WEEKLY" and not rule.keys() & {"BYMONTHDAY", "BYMONTH", "BYSETPOS"}:
        return _weekly(n, rule.get("BYDAY", ""))
    if frequency == "MONTHLY" and "BYMONTH" not in rule:
        day = _day_of_month(rule)
        every = ngettext("every month", "every %(n)d months", n) % {"n": n}
        return f"{every} {day}".strip() if day is not None else ""
    if frequency == "YEARLY":
        day = _day_of_month(rule)
        every = ngettext("every year", "every %(n)d years", n) % {"n": n}
        month = _month(rule.get("BYMONTH", ""))
        return " ".join(filter(None, (every, day, month))) if day is not None and month is not None else ""
    return ""


def _weekly(n: int, said: str) -> str:
    every = ngettext("every week", "every %(n)d weeks", n) % {"n": n}
    days = [DAYS.index(day) for day in said.split(",") if day in DAYS]
    if not said:
        return every
    if len(days) != len(said.split(",")) or len(days) > 7:
        return ""
    if n == 1 and sorted(days) == [0, 1, 2, 3, 4]:
        return _("every working day, Monday to Friday")
    return _("%(every)s on %(days)s") % {"every": every, "days": _listed(str(WEEKDAYS[day]) for day in days)}


def _day_of_month(rule: dict[str, str]) -> str | None:
    """ "" if the rule names none, None if what it names has no words."""
    by_day, place, numbers = rule.get("BYDAY", ""), rule.get("BYSETPOS", ""), rule.get("BYMONTHDAY", "")
    if by_day and not numbers:
        found = re.fullmatch(r"([+-]?\d)?(MO|TU|WE|TH|FR|SA|SU)", by_day)
        which = (found[1] or place) if found else ""
        if not found or (found[1] and place) or not re.fullmatch(r"[+-]?\d", which) or int(which) not in NTH:
            return None
        return _("on the %(nth)s %(weekday)s") % {"nth": NTH[int(which)], "weekday": WEEKDAYS[DAYS.index(found[2])]}
    if by_day or place:
        return None
    if not numbers:
        return ""
    if numbers == "-1":
        return _("on its last day")
    return _("on day %(number)s") % {"number": numbers} if re.fullmatch(r"[1-9]\d?", numbers) else None


def _month(said: str) -> str | None:
    if not said:
        return ""
    ok = said.isascii() and said.isdigit() and 1 <= int(said[:3]) <= 12
    return _("in %(month)s") % {"month": MONTHS[int(said)]} if ok else None


def exceptions(event: mime.Event) -> str:
    """The days on which a series does not happen."""
    days = [when for when in map(local, event.exceptions) if when]
    named = _listed(_day(when) for when in days[:SHOWN_EXCEPTIONS])
    if len(days) > SHOWN_EXCEPTIONS:
        more = len(days) - SHOWN_EXCEPTIONS
        named += " " + ngettext("and %(n)d more", "and %(n)d more", more) % {"n": more}
    return named


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
