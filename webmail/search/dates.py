"""Dates as people type them into a search, in English and Norwegian: a *period* is the days from one (with it) to another
(without it), a *span* is a time before today.

A day without a year, a weekday and a month mean the latest one that has begun: in November ``december`` is last year's.
The day comes before the month, as everywhere outside of the United States; weeks begin on Monday (ISO 8601).
"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo

from webmail.search.operators import Value, by_spelling, same

FIRST, LAST = date(1900, 1, 1), date(2999, 12, 31)  # no mail is older; arithmetic beyond may overflow
Period = tuple[date, date]

_MONTHS = (  # in English, in Norwegian, and short
    ("january", "januar", "jan"),
    ("february", "februar", "feb"),
    ("march", "mars", "mar"),
    ("april", "april", "apr"),
    ("may", "mai"),
    ("june", "juni", "jun"),
    ("july", "juli", "jul"),
    ("august", "august", "aug"),
    ("september", "september", "sept", "sep"),
    ("october", "oktober", "oct", "okt"),
    ("november", "november", "nov"),
    ("december", "desember", "dec", "des"),
)
_DAYS = (
    ("monday", "mandag", "mon", "man"),
    ("tuesday", "tirsdag", "tue", "tir"),
    ("wednesday", "onsdag", "wed", "ons"),
    ("thursday", "torsdag", "thu", "tor"),
    ("friday", "fredag", "fri", "fre"),
    ("saturday", "lørdag", "sat", "lør"),
    ("sunday", "søndag", "sun", "søn"),
)
_NAMED = {
    "today": ("today", "i dag", "idag"),
    "yesterday": ("yesterday", "i går", "igår"),
    "this week": ("this week", "denne uken", "denne uka"),
    "last week": ("last week", "forrige uke"),
    "this month": ("this month", "denne måneden"),
    "last month": ("last month", "forrige måned"),
    "this year": ("this year", "i år"),
    "last year": ("last year", "i fjor", "ifjor"),
}
_UNITS = {
    "d": ("d", "day", "days", "dag", "dager"),
    "w": ("w", "week", "weeks", "u", "uke", "uker"),
    "m": ("m", "mo", "month", "months", "mnd", "måned", "måneder"),
    "y": ("y", "year", "years", "å", "år"),
}


def _by_name(names: dict[Value, tuple[str, ...]]) -> dict[str, Value]:
    return by_spelling({name: value for value, several in names.items() for name in several})


MONTHS = _by_name(dict(enumerate(_MONTHS, 1)))
DAYS = _by_name(dict(enumerate(_DAYS)))
NAMED = _by_name(_NAMED)
UNITS = _by_name(_UNITS)

_ISO = re.compile(r"([0-9]{4})(?:[-./]([0-9]{1,2})(?:[-./]([0-9]{1,2}))?)?")  # 2026, 2026-11, 2026-11-24, 2026/11/24
_DAY_FIRST = re.compile(
    r"([0-9]{1,2})[./]([0-9]{1,2})(?:[./]([0-9]{4}|[0-9]{2})?)?"
)  # 24.11.2026, 24.11.26, 24/11, 24.11.
_MONTH_YEAR = re.compile(r"([0-9]{1,2})[./]([0-9]{4})")  # 11.2026
_IN_WORDS = re.compile(r"(?:([0-9]{1,2})(?:\.|st|nd|rd|th)? ?)?([a-z]{3,9})\.?(?: ?([0-9]{4}))?")  # 24. november 2026
_ENGLISH = re.compile(r"([a-z]{3,9})\.? ([0-9]{1,2})(?:st|nd|rd|th)?(?:,? ([0-9]{4}))?")  # November 24, 2026
_LATEST = re.compile(r"(?:last|past|siste) ([0-9]{1,4}) ?([a-zåø]{1,8})")
_SPAN = re.compile(r"([0-9]{1,4}) ?([a-zåø]{1,8})")
# The only values of two words that need no quotes: nobody writes them as one.
UNQUOTED = re.compile(r"i[ \u00a0]+(?:dag|g(?:å|aa?)r|(?:å|aa?)r|fjor)(?![^\s()|])", re.IGNORECASE)


def months(norwegian: bool) -> list[str]:
    """Their full names."""
    return [names[1 if norwegian else 0] for names in _MONTHS]


def weekdays(norwegian: bool) -> list[str]:
    return [names[1 if norwegian else 0] for names in _DAYS]


def period(text: str, today: date) -> Period | None:
    """The days that are meant; None for what is no date."""
    text = text.strip()
    try:
        found = _in_figures(text, today) or _by_word(same(text), today)
    except (ValueError, OverflowError):  # the 31st of June
        return None
    return found if found and FIRST <= found[0] < found[1] <= LAST else None


def beginning(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone)


def before_span(text: str, today: date) -> date | None:
    """The day that is such a time before today (``3d``, ``2 uker``); None for what is no time."""
    found = _SPAN.fullmatch(same(text))
    unit = UNITS.get(found[2]) if found else None
    return back(today, int(found[1]), unit) if found and unit else None


def back(today: date, count: int, unit: str) -> date:
    """So many days, weeks, months or years before; of a shorter month its last day."""
    if unit in "dw":
        return max(FIRST, date.fromordinal(max(1, today.toordinal() - count * (7 if unit == "w" else 1))))
    months = today.year * 12 + today.month - 1 - count * (12 if unit == "y" else 1)
    if months < FIRST.year * 12:
        return FIRST
    first = date(months // 12, months % 12 + 1, 1)
    return min(first + timedelta(today.day - 1), _after_month(first) - timedelta(1))


def _in_figures(text: str, today: date) -> Period | None:
    if found := _ISO.fullmatch(text):
        year, month, day = (int(part or 0) for part in found.groups())
        return _day(year, month, day) if found[3] else _month(year, month) if found[2] else _year(year)
    if found := _MONTH_YEAR.fullmatch(text):
        return _month(int(found[2]), int(found[1]))
    if found := _DAY_FIRST.fullmatch(text):
        return _day_of(int(found[1]), int(found[2]), found[3], today)
    return None


def _by_word(text: str, today: date) -> Period | None:
    if text in NAMED:
        return _named(NAMED[text], today)
    if text in DAYS:
        day = today - timedelta((today.weekday() - DAYS[text]) % 7)
        return day, day + timedelta(1)
    if found := _LATEST.fullmatch(text):
        unit = UNITS.get(found[2])
        return (back(today, int(found[1]), unit), today + timedelta(1)) if unit else None
    if (found := _IN_WORDS.fullmatch(text)) and found[2] in MONTHS:
        day_typed, month, year = found[1], MONTHS[found[2]], found[3]
    elif (found := _ENGLISH.fullmatch(text)) and found[1] in MONTHS:
        day_typed, month, year = found[2], MONTHS[found[1]], found[3]
    else:
        return None
    if day_typed:
        return _day_of(int(day_typed), month, year, today)
    return _month(int(year) if year else today.year - (month > today.month), month)


def _named(name: str, today: date) -> Period:
    one = timedelta(1)
    monday = today - timedelta(today.weekday())
    month = today.replace(day=1)
    before = (month - one).replace(day=1)
    return {
        "today": (today, today + one),
        "yesterday": (today - one, today),
        "this week": (monday, monday + 7 * one),
        "last week": (monday - 7 * one, monday),
        "this month": (month, _after_month(month)),
        "last month": (before, month),
        "this year": _year(today.year),
        "last year": _year(today.year - 1),
    }[name]


def _day_of(day: int, month: int, year: str | None, today: date) -> Period:
    """``year`` in four figures or two; without one it is the latest such day (29 February: of the latest leap year)."""
    if year:
        return _day(int(year) + (0 if len(year) == 4 else 1900 if int(year) > 69 else 2000), month, day)
    for earlier in range(9):  # 1896 and 1904 are the leap years furthest apart
        try:
            found = _day(today.year - earlier, month, day)
        except ValueError:
            continue
        if found[0] <= today:
            return found
    raise ValueError("no such day")


def _day(year: int, month: int, day: int) -> Period:
    first = date(year, month, day)
    return first, first + timedelta(1)


def _month(year: int, month: int) -> Period:
    first = date(year, month, 1)
    return first, _after_month(first)


def _year(year: int) -> Period:
    return date(year, 1, 1), date(year + 1, 1, 1)


def _after_month(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)
