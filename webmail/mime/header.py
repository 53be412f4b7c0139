"""A raw header (RFC 5322 §2.2) -> what lists and conversations need of it. Never raises, whatever the octets."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from types import MappingProxyType
from typing import NamedTuple

from webmail.mime.addresses import MAX_FIELD, Address, address_field
from webmail.mime.charsets import decode_octets
from webmail.mime.words import clean, decode_words

MAX_HEADER = 512 * 1024  # octets that are looked at; RFC 5322 knows no limit, Gmail stops at 500 kB
MAX_FIELDS = 1000  # lines of a header that are taken for fields
MAX_VALUES = 50  # values kept under one name
MAX_VALUE = 8 * 1024  # characters kept of one value in ``fields``
MAX_SUBJECT = 1000
MAX_ID = 500  # characters of a message-id
MAX_REFERENCES = 101  # the first, which is the thread's root, and the last 100


class Header(NamedTuple):
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
    fields: Mapping[str, list[str]] = MappingProxyType({})


class _Fields(Mapping[str, list[str]]):
    """Values as they stand, decoded when somebody asks: few ask for more than a few."""

    def __init__(self, raw: dict[str, list[str]]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> list[str]:
        return [_decoded(value[:MAX_VALUE]) for value in self._raw[name][:MAX_VALUES]]

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)

    def __contains__(self, name: object) -> bool:
        return name in self._raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self))


@functools.lru_cache(512)  # of one mailbox, fields like List-Id and Delivered-To say the same again and again
def _decoded(value: str) -> str:
    return clean(decode_words(value))


_FIELD = re.compile(rb"([!-9;-~]{1,100})[ \t]*:[ \t]*(.*)", re.DOTALL)
# The same over a whole header in text, unfolded, its lines ended by LF.
_ADDRESSES = ("from", "to", "cc", "bcc", "reply-to", "sender")
_PLAIN_FIELD = re.compile(r"^([!-9;-~]{1,100})[ \t]*:[ \t]*(.*)$", re.MULTILINE)


def raw_fields(raw: bytes, charset: str = "") -> list[tuple[str, str]]:
    """(lower-case name, unfolded value as text with encoded words intact), in order; garbage lines are skipped. At most
    MAX_FIELDS of the first MAX_HEADER octets. ``charset`` is what 8-bit octets may be in that are not UTF-8."""
    raw = raw[:MAX_HEADER]
    if raw.isascii() and (fields := _plain_fields(raw.decode("ascii"))) is not None:
        return fields
    return _odd_fields(raw, charset)


def _plain_fields(text: str) -> list[tuple[str, str]] | None:
    """The fields of a header in ASCII with CRLF, which is nearly all of them; else None."""
    lines = text.count("\r\n")
    if not lines or text.count("\n") != lines or text.count("\r") != lines or text[0] in " \t\r":
        return None
    end = text.find("\r\n\r\n")
    text = (text if end < 0 else text[:end]).replace("\r\n", "\n")
    if "\n " in text or "\n\t" in text:  # RFC 5322 §2.2.3
        text = text.replace("\n ", " ").replace("\n\t", "\t")
    return [(name.lower(), value[:MAX_FIELD]) for name, value in _PLAIN_FIELD.findall(text)[:MAX_FIELDS]]


_BODY_CHARSET = re.compile(rb"^content-type[ \t]*:.{0,300}?charset\*?=\"?([a-z0-9_:.-]{2,40})", re.I | re.M | re.S)


def _odd_fields(raw: bytes, charset: str = "") -> list[tuple[str, str]]:
    """Who writes a subject in raw octets writes it as the text below: that one's charset is the best guess."""
    if not charset and not raw.isascii() and (match := _BODY_CHARSET.search(raw)):
        charset = match[1].decode("ascii")
    fields: list[tuple[str, str]] = []
    for line in _unfolded(raw):
        if len(fields) >= MAX_FIELDS:
            break
        if match := _FIELD.fullmatch(line):
            value = match[2][:MAX_FIELD]
            text = value.decode("ascii") if value.isascii() else decode_octets(value, hint=charset)
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


def parse_header(raw: bytes, charset: str = "") -> Header:
    """Decode a header of at most MAX_HEADER octets (the rest is ignored). About 25 µs for a list's fields. ``charset`` is
    that of the text, if known: raw 8-bit octets are likely in it where they are not UTF-8."""
    fields: dict[str, list[str]] = {}
    for name, value in raw_fields(raw, charset):
        if name in fields:
            fields[name].append(value)
        else:
            fields[name] = [value]
    # More than one To field is against RFC 5322 §3.6, and happens; nobody in them may be lost from a reply.
    people = {name: address_field(", ".join(fields[name][:MAX_VALUES])) for name in _ADDRESSES if name in fields}

    def first(name: str) -> str:
        return fields[name][0] if name in fields else ""

    ids = message_ids(first("message-id"))
    return Header(
        subject=clean(decode_words(first("subject")[:MAX_VALUE]))[:MAX_SUBJECT],
        from_=people.get("from", ()),
        sender=people.get("sender", ()),
        reply_to=people.get("reply-to", ()),
        to=people.get("to", ()),
        cc=people.get("cc", ()),
        bcc=people.get("bcc", ()),
        message_id=ids[0] if ids else "",
        in_reply_to=message_ids(first("in-reply-to")),
        references=message_ids(first("references")),
        date=parse_date(first("date")),
        list_id=_list_id(clean(decode_words(first("list-id")[:MAX_VALUE]))) if "list-id" in fields else "",
        fields=_Fields(fields),
    )


_ID = re.compile(r"<([^<>]+)>")
_ONE_ID = re.compile(rf"<[!-;=?-~]{{1,{MAX_ID}}}>")
_PLAIN_IDS = re.compile(rf"(?: *<[!-;=?-~]{{1,{MAX_ID}}}>)+ *")
_COMMENT = re.compile(r"\([^()]*\)")


def message_ids(value: str) -> tuple[str, ...]:
    """The msg-ids in a field (RFC 5322 §3.6.4), in order, each once, without ``<>``; without brackets, the words with
    an ``@``. At most MAX_REFERENCES: the first and the last ones."""
    if not value:
        return ()
    if _ONE_ID.fullmatch(value):
        return (value[1:-1],)
    unique = list(dict.fromkeys(_ID.findall(value) if _PLAIN_IDS.fullmatch(value) else _odd_ids(value)))
    if len(unique) > MAX_REFERENCES:
        unique = [unique[0], *unique[1 - MAX_REFERENCES :]]
    return tuple(unique)


def _odd_ids(value: str) -> Iterator[str]:
    found = ["".join(match.split()) for match in _ID.findall(value)]
    if not found:
        found = [word.strip("<>,;\"'") for word in _COMMENT.sub(" ", value).split() if "@" in word]
    return (word for word in (clean(word)[:MAX_ID] for word in found) if word)


def parse_date(value: str) -> datetime | None:
    """RFC 5322 §3.3 and its obsolete forms, or ISO 8601; aware, or None. Years 1900 to 9998, so that any time zone
    can be applied to it."""
    if not value:
        return None
    try:
        date = _plain_date(value)
    except ValueError:
        return None
    return date or _odd_date(value)


_MONTHS = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11,
    "Dec": 12,
}  # fmt: skip
_PLAIN_DATE = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?(\d{1,2}) (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" ((?:19|20)\d\d) (\d\d):(\d\d):(\d\d) ([+-]\d{4})(?: \([A-Z]{1,5}\))?",
    re.ASCII,
)


def _plain_date(value: str) -> datetime | None:
    """As nearly everybody writes it; else None. Raises ValueError for a day or an hour that does not exist."""
    match = _PLAIN_DATE.fullmatch(value)
    if match is None:
        return None
    day, month, year, hour, minute, second, zone = match.groups()
    return datetime(
        int(year), _MONTHS[month], int(day), int(hour), int(minute), min(int(second), 59), tzinfo=_zone(zone)
    )


@functools.lru_cache(256)
def _zone(zone: str) -> timezone:
    offset = int(zone[1:3]) * 3600 + int(zone[3:]) * 60
    return _zone_of(-offset if zone[0] == "-" else offset)


def _zone_of(offset: int) -> timezone:
    if abs(offset) > 14 * 3600:  # no place on earth; the clock time is the better half of the truth
        offset = 0
    return UTC if offset == 0 else timezone(timedelta(seconds=offset))


def _odd_date(value: str) -> datetime | None:
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
    # A leap second (60) is allowed by RFC 5322 §3.3 and unknown to datetime.
    return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=_zone_of(parts[9] or 0))


def _list_id(value: str) -> str:
    """RFC 2919: what is in the angle brackets, lower case."""
    match = _ID.search(value)
    return clean(match[1] if match else value.partition(" ")[0]).lower()[:255]
