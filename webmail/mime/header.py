"""A raw header (RFC 5322 §2.2) -> what lists and conversations need of it. Never raises, whatever the octets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz

from webmail.mime.addresses import MAX_FIELD, Address, parse_address_field
from webmail.mime.words import clean, decode_octets, decode_words

MAX_HEADER = 512 * 1024  # octets that are looked at; RFC 5322 knows no limit, Gmail stops at 500 kB
MAX_FIELDS = 1000  # lines of a header that are taken for fields
MAX_VALUES = 50  # values kept under one name
MAX_VALUE = 8 * 1024  # characters kept of one value in ``fields``
MAX_SUBJECT = 1000
MAX_ID = 500  # characters of a message-id
MAX_REFERENCES = 101  # the first, which is the thread's root, and the last 100


@dataclass(frozen=True, slots=True)
class Header:
    """Decoded header. Ids without ``<>``; ``fields`` maps lower-case names to decoded, unfolded, bounded values."""

    subject: str = ""
    from_: tuple[Address, ...] = ()
    sender: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    message_id: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    date: datetime | None = None
    list_id: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)


_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:[ \t]*(.*)", re.DOTALL)
_ADDRESSES = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc"})


def raw_fields(raw: bytes) -> list[tuple[str, str]]:
    """(lower-case name, unfolded value as text with encoded words intact), in order; garbage lines are skipped."""
    fields: list[tuple[str, str]] = []
    for line in _unfolded(raw[:MAX_HEADER]):
        if len(fields) >= MAX_FIELDS:
            break
        if match := _FIELD.fullmatch(line):
            value = match[2][:MAX_FIELD]
            text = value.decode("ascii") if value.isascii() else decode_octets(value)
            fields.append((match[1].decode("ascii").lower(), text))
    return fields


def _unfolded(raw: bytes) -> list[bytes]:
    """RFC 5322 §2.2.3. Ends at the blank line."""
    groups: list[list[bytes]] = []
    for line in raw.split(b"\n"):
        line = line.rstrip(b"\r")
        if not line:
            break
        if line[:1] in (b" ", b"\t") and groups:
            groups[-1].append(line)
        else:
            groups.append([line])
    return [b"".join(lines) for lines in groups]


def parse_header(raw: bytes) -> Header:
    """Decode a header of at most MAX_HEADER octets (the rest is ignored). About 50 µs for a list's fields."""
    decoded: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    people: dict[str, list[str]] = {}
    for name, value in raw_fields(raw):
        first.setdefault(name, value)
        if name in _ADDRESSES:
            people.setdefault(name, []).append(value)
        values = decoded.setdefault(name, [])
        if len(values) < MAX_VALUES:
            values.append(clean(decode_words(value[:MAX_VALUE])))

    def addresses(name: str) -> tuple[Address, ...]:
        # More than one To field is against RFC 5322 §3.6, and happens; nobody in them may be lost from a reply.
        return parse_address_field(", ".join(people[name][:MAX_VALUES])) if name in people else ()

    ids = message_ids(first.get("message-id", ""))
    return Header(
        subject=decoded.get("subject", [""])[0][:MAX_SUBJECT],
        from_=addresses("from"),
        sender=addresses("sender"),
        reply_to=addresses("reply-to"),
        to=addresses("to"),
        cc=addresses("cc"),
        bcc=addresses("bcc"),
        message_id=ids[0] if ids else "",
        in_reply_to=message_ids(first.get("in-reply-to", "")),
        references=message_ids(first.get("references", "")),
        date=parse_date(first.get("date", "")),
        list_id=_list_id(decoded.get("list-id", [""])[0]),
        fields=decoded,
    )


_ID = re.compile(r"<([^<>]+)>")
_COMMENT = re.compile(r"\([^()]*\)")


def message_ids(value: str) -> tuple[str, ...]:
    """The msg-ids in a field (RFC 5322 §3.6.4), in order, each once, without ``<>``; without brackets, the words with
    an ``@``. At most MAX_REFERENCES: the first and the last ones."""
    if not value:
        return ()
    found = ["".join(match.split()) for match in _ID.findall(value)]
    if not found:
        found = [word.strip("<>,;\"'") for word in _COMMENT.sub(" ", value).split() if "@" in word]
    ids = [clean(word)[:MAX_ID] for word in found]
    unique = list(dict.fromkeys(word for word in ids if word))
    if len(unique) > MAX_REFERENCES:
        unique = [unique[0], *unique[1 - MAX_REFERENCES :]]
    return tuple(unique)


def parse_date(value: str) -> datetime | None:
    """RFC 5322 §3.3 and its obsolete forms, or ISO 8601; aware, or None. Years 1900 to 9998, so that any time zone
    can be applied to it."""
    value = clean(value[:200])
    if not value:
        return None
    try:
        date = _rfc_date(value) or datetime.fromisoformat(value)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return date if 1900 <= date.year <= 9998 else None


def _rfc_date(value: str) -> datetime | None:
    parts = parsedate_tz(value)
    if parts is None:
        return None
    year, month, day, hour, minute, second = parts[:6]
    offset = parts[9] or 0
    if abs(offset) > 14 * 3600:  # no place on earth; the clock time is the better half of the truth
        offset = 0
    # A leap second (60) is allowed by RFC 5322 §3.3 and unknown to datetime.
    zone = UTC if offset == 0 else timezone(timedelta(seconds=offset))
    return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)


def _list_id(value: str) -> str:
    """RFC 2919: what is in the angle brackets, lower case."""
    match = _ID.search(value)
    return clean(match[1] if match else value.partition(" ")[0]).lower()[:255]
