"""What the cursor stands in while somebody types a search: an operator's name, or the value of which operator.

Choices that are the same for everybody are here (operators, ``is:``, ``has:``, folders with a role, dates, times, sizes);
people, folders, accounts and keywords are filled in by who knows them, by ``kind`` and ``typed``, through
``language.quoted``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from webmail.search import dates
from webmail.search.language import MAX_LENGTH, fit, quoted
from webmail.search.operators import OPERATORS, Operator, in_norwegian, same, spellings
from webmail.search.tokens import Token, lexemes

MOST = 12  # choices

_NAMED = {
    False: (
        "today",
        "yesterday",
        "this week",
        "last week",
        "last 7 days",
        "this month",
        "last month",
        "this year",
        "last year",
    ),
    True: (
        *("idag", "igår", "denne uken", "forrige uke", "siste 7 dager", "denne måneden", "forrige måned"),
        *("i år", "i fjor"),
    ),
}
_UNITS = {False: ("d", "w", "m", "y"), True: ("d", "u", "mnd", "år")}
_SPANS = {False: ("1d", "7d", "2w", "1m", "6m", "1y"), True: ("1d", "7d", "2u", "1mnd", "6mnd", "1år")}
_SIZES = ("100k", "1M", "5M", "10M", "25M")


@dataclass(frozen=True, slots=True)
class Completion:
    """``start`` to ``end`` is what a choice takes the place of, ``typed`` is the part of it before the cursor. ``kind`` is
    ``word`` (what may become an operator, or be a person's name), ``none`` where there is nothing to complete, or the kind of
    the operator whose value it is. Each choice is text as it is to stand there."""

    start: int
    end: int
    kind: str
    typed: str
    choices: tuple[str, ...] = ()


def completions(text: str, cursor: int, today: date, language: str | None = None) -> Completion:
    """For any text and any cursor; ``language`` is that of the names that are offered, by default the page's."""
    text = fit(text[:MAX_LENGTH])
    cursor = min(max(cursor, 0), len(text))
    token, operator = _under(text, cursor)
    if token is None:
        start, end, typed = cursor, cursor, ""
    elif token.kind == "phrase":
        if token.end == cursor and len(token.text) + 2 == token.end - token.start:  # behind the closing quote
            return Completion(cursor, cursor, "none", "")
        start, end, typed = token.start, token.end, text[token.start + 1 : cursor]
    else:
        start, end, typed = token.start, token.end, text[token.start : cursor]
    kind = operator.kind if operator else "none" if token and token.kind == "phrase" else "word"
    offered = dict.fromkeys(_choices(kind, operator, typed, today, in_norwegian(language)))
    return Completion(start, end, kind, typed, tuple(offered)[:MOST])


def _under(text: str, cursor: int) -> tuple[Token | None, Operator | None]:
    """The word or phrase that the cursor is in or at the end of, and the operator whose value stands there."""
    around: list[Operator | None] = [None]  # of each parenthesis that is open
    behind: Operator | None = None  # that was named last
    for token in lexemes(text, []):
        if token.start >= cursor:
            break
        if cursor < token.end or (cursor == token.end and token.kind not in ("operator", "minus", "open", "close")):
            return token, None if token.kind == "operator" else behind or around[-1]
        if token.kind == "operator":
            behind = token.operator
            continue
        if token.kind == "open":
            around.append(behind or around[-1])
        elif token.kind == "close" and len(around) > 1:
            around.pop()
        behind = None
    return None, behind or around[-1]


def _choices(kind: str, operator: Operator | None, typed: str, today: date, norwegian: bool) -> Iterator[str]:
    if kind == "word":
        yield from _operators(typed, norwegian)
    elif operator and operator.choices:
        for choice in operator.choices:
            names = (*choice.norwegian, *choice.english) if norwegian else (*choice.english, *choice.norwegian)
            yield from (quoted(name) for name in _beginning(typed, names)[:1])
    elif kind == "date":
        yield from (quoted(name) for name in _dates(typed, today, norwegian))
    elif kind == "span":
        yield from ([typed + unit for unit in _UNITS[norwegian]] if _is_number(typed) else ())
        yield from _beginning(typed, _SPANS[norwegian])
    elif kind == "size":
        yield from ([typed + unit for unit in ("k", "M", "G")] if _is_number(typed) else ())
        yield from _beginning(typed, _SIZES)


def _operators(typed: str, norwegian: bool) -> Iterator[str]:
    """Names in the language that is wanted, or in the other one if that is what is being typed."""
    if not typed:
        return
    for wanted in (norwegian, not norwegian):
        for operator in OPERATORS:
            names = operator.norwegian if wanted else operator.english
            yield from (f"{name}:" for name in _beginning(typed, names)[:1])


def _dates(typed: str, today: date, norwegian: bool) -> Iterator[str]:
    if typed[:1].isdigit():
        return _in_figures(typed, today)
    months, days = (names(norwegian) for names in (dates.months, dates.weekdays))
    return iter(_beginning(typed, (*_NAMED[norwegian], *months, *days)))


def _in_figures(typed: str, today: date) -> Iterator[str]:
    """The latest days, months and years that are written like that."""
    day = re.match("[0-9]{1,2}", typed)
    months = [dates.back(today.replace(day=1), count, "m") for count in range(24)]
    if day:
        written = (f"{day[0]}.{month.month}.{month.year}" for month in months if _falls(int(day[0]), month, today))
        yield from [text for text in written if text.startswith(typed)][:3]
    yield from (str(year) for year in range(today.year, today.year - 10, -1) if str(year).startswith(typed))
    if len(typed) >= 4:
        yield from (f"{month:%Y-%m}" for month in months if f"{month:%Y-%m}".startswith(typed))


def _falls(day: int, month: date, today: date) -> bool:
    """Whether there is such a day in the month and it has come."""
    found = dates.period(f"{day}.{month.month}.{month.year}", today)
    return found is not None and found[0] <= today


def _beginning(typed: str, names: Iterable[str]) -> list[str]:
    begun = same(typed)
    return [name for name in names if any(spelling.startswith(begun) for spelling in spellings(name))]


def _is_number(typed: str) -> bool:
    return re.fullmatch("[0-9]{1,4}", typed) is not None
