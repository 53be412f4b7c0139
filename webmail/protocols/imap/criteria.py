"""base.Condition -> the arguments of SEARCH (RFC 9051 §6.4.4) and of SORT (RFC 5256 §3).

Criteria are those of RFC 3501, which every server has, and three others where they are offered. Gmail's own X-GM-RAW takes
the place of TEXT and BODY, as only that asks the index which its own pages search by. FUZZY (RFC 6203) stands before these
two where what is similar counts. YOUNGER and OLDER (WITHIN, RFC 5032) say a time in seconds, which SINCE and BEFORE say in
days, that begin and end wherever the server likes to think that it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from webmail.protocols.base import Condition
from webmail.protocols.imap.client import Literal, literal
from webmail.protocols.imap.syntax import flag_of, format_date, quoted
from webmail.protocols.network import clean_argument

Key = list[bytes | Literal]  # one search key, parenthesised where it is several
CLOCKS = timedelta(hours=1)  # by which a server's clock may be before or behind ours
ZONES = timedelta(hours=14)  # by which its day may begin earlier or later than one in UTC
LONGEST = 2**31 - 1  # seconds; what is longer ago is told in days


@dataclass(frozen=True, slots=True)
class Able:
    """What a server understands besides RFC 3501; ``now`` if it counts seconds from it (WITHIN)."""

    gmail: bool = False
    similar: bool = False
    now: datetime | None = None


def search_arguments(condition: Condition, able: Able) -> Key:
    """With CHARSET where a string needs it. Raises Refused for CR, LF, NUL and what is no keyword."""
    arguments = _criteria(condition, able)
    charset = [b"CHARSET UTF-8"] if any(isinstance(part, Literal) for part in arguments) else []
    return [*charset, *arguments]


def sort_arguments(condition: Condition, able: Able) -> Key:
    """So that what arrived last comes last, and of what arrived together the highest uid: REVERSE would say it for the
    time alone (RFC 5256 §3)."""
    return [b"(ARRIVAL) UTF-8", *_criteria(condition, able)]


def _criteria(condition: Condition, able: Able) -> Key:
    return [part for key in _keys(condition, able) for part in key] or [b"ALL"]


def _keys(condition: Condition, able: Able, negated: bool = False) -> list[Key]:
    """All of them must hold."""
    texts = ((b"TEXT", condition.text), (b"BODY", condition.body))
    keys = [
        *(_text(name, words, condition.similar, able) for name, words in texts if words),
        *(_string(name, words) for name, words in _fields(condition) if words),
    ]
    if condition.has_keyword:
        keys.append([_keyword(condition.has_keyword, b"")])
    if condition.not_keyword:
        keys.append([_keyword(condition.not_keyword, b"UN")])
    if condition.after:
        keys.append([_time(b"YOUNGER", b"SINCE", condition.after, able, later=negated)])
    if condition.before:
        keys.append([_time(b"OLDER", b"BEFORE", condition.before, able, later=not negated)])
    if condition.larger is not None:
        keys.append([b"LARGER %d" % condition.larger])
    if condition.smaller is not None:
        keys.append([b"SMALLER %d" % condition.smaller])
    for child in condition.all_of:
        keys += _keys(child, able, negated)
    if condition.one_of:
        keys.append(_one_of([_together(_keys(child, able, negated)) for child in condition.one_of]))
    keys += [[b"NOT", *_together(_keys(child, able, not negated))] for child in condition.none_of]
    return keys


def _fields(condition: Condition) -> tuple[tuple[bytes, str], ...]:
    return (
        (b"SUBJECT", condition.subject),
        (b"FROM", condition.from_),
        (b"TO", condition.to),
        (b"CC", condition.cc),
        (b"BCC", condition.bcc),
        (b"HEADER Message-ID", condition.message_id),
    )


def _together(keys: list[Key]) -> Key:
    """One key of several; nothing stands between a parenthesis and what is in it (RFC 9051 §9)."""
    if len(keys) == 1:
        return keys[0]
    parts = [part for key in keys for part in key] or [b"ALL"]
    assert isinstance(parts[0], bytes)  # the name of a key
    parts[0] = b"(" + parts[0]
    last = parts[-1]
    if isinstance(last, Literal):
        last.closing += b")"
    else:
        parts[-1] = last + b")"
    return parts


def _one_of(keys: list[Key]) -> Key:
    """OR takes two (RFC 9051 §6.4.4)."""
    *before, last = keys
    for key in reversed(before):
        last = [b"OR", *key, *last]
    return last


def _text(name: bytes, words: str, similar: bool, able: Able) -> Key:
    if able.gmail:
        return _string(b"X-GM-RAW", '"' + words.replace('"', " ") + '"')
    return _string(b"FUZZY " + name if similar and able.similar else name, words)  # RFC 6203 §3


def _string(name: bytes, words: str) -> Key:
    octets = clean_argument(words).encode()
    return [name, quoted(octets) if octets.isascii() else literal(octets)]


def _keyword(keyword: str, negated: bytes) -> bytes:
    flag = flag_of(keyword)
    if flag.startswith(b"\\"):
        return negated + flag[1:].upper()  # SEEN, UNSEEN ...
    return negated + b"KEYWORD " + flag


def _time(in_seconds: bytes, in_days: bytes, bound: datetime, able: Able, later: bool) -> bytes:
    """The key for a bound, which may be some hours further on (``later``) or back, but not on the other side of it."""
    way = 1 if later else -1
    seconds = int((able.now - bound - way * CLOCKS).total_seconds()) if able.now else 0
    if 0 < seconds <= LONGEST:  # RFC 5032 §3: a number, not 0
        return b"%s %d" % (in_seconds, seconds)
    day = bound.astimezone(UTC) + way * ZONES + timedelta(days=later)  # wherever it is, it begins on that side of it
    return in_days + b" " + format_date(day)
