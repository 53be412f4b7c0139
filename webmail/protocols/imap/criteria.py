"""base.Condition -> the arguments of SEARCH (RFC 9051 §6.4.4).

Criteria are only those of RFC 3501, which every server has. WITHIN (RFC 5032) would say in seconds what days say as well,
SORT (RFC 5256) what the order of uids says; FUZZY (RFC 6203) finds what was not asked for, and nobody here could tell.
Gmail's own X-GM-RAW takes the place of TEXT and BODY, as only that asks the index which its own pages search by."""

from __future__ import annotations

from webmail.protocols.base import Condition
from webmail.protocols.imap.client import Literal, literal
from webmail.protocols.imap.syntax import flag_of, format_date, quoted
from webmail.protocols.network import clean_argument

Key = list[bytes | Literal]  # one search key, parenthesised where it is several


def search_criteria(condition: Condition, gmail: bool) -> Key:
    """With CHARSET where a string needs it. Raises Refused for CR, LF, NUL and what is no keyword."""
    keys = _keys(condition, gmail)
    arguments = [part for key in keys for part in key] or [b"ALL"]
    charset = [b"CHARSET UTF-8"] if any(isinstance(part, Literal) for part in arguments) else []
    return [*charset, *arguments]


def _keys(condition: Condition, gmail: bool) -> list[Key]:
    """All of them must hold."""
    keys = [
        *(_text(name, words, gmail) for name, words in ((b"TEXT", condition.text), (b"BODY", condition.body)) if words),
        *(_string(name, words) for name, words in _fields(condition) if words),
    ]
    if condition.has_keyword:
        keys.append([_keyword(condition.has_keyword, b"")])
    if condition.not_keyword:
        keys.append([_keyword(condition.not_keyword, b"UN")])
    if condition.after:
        keys.append([b"SINCE " + format_date(condition.after)])
    if condition.before:
        keys.append([b"BEFORE " + format_date(condition.before)])
    if condition.larger is not None:
        keys.append([b"LARGER %d" % condition.larger])
    if condition.smaller is not None:
        keys.append([b"SMALLER %d" % condition.smaller])
    for child in condition.all_of:
        keys += _keys(child, gmail)
    if condition.one_of:
        keys.append(_one_of([_together(_keys(child, gmail)) for child in condition.one_of]))
    keys += [[b"NOT", *_together(_keys(child, gmail))] for child in condition.none_of]
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


def _text(name: bytes, words: str, gmail: bool) -> Key:
    return _string(b"X-GM-RAW", '"' + words.replace('"', " ") + '"') if gmail else _string(name, words)


def _string(name: bytes, words: str) -> Key:
    octets = clean_argument(words).encode()
    return [name, quoted(octets) if octets.isascii() else literal(octets)]


def _keyword(keyword: str, negated: bytes) -> bytes:
    flag = flag_of(keyword)
    if flag.startswith(b"\\"):
        return negated + flag[1:].upper()  # SEEN, UNSEEN ...
    return negated + b"KEYWORD " + flag
