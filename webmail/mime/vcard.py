"""Cards of people: vCard 4.0 (RFC 6350), 3.0 (RFC 2426) and 2.1, read and written.

Our own and small, because the libraries there are refuse a file for one odd line or do not know 4.0. Nothing in a card is
ever fetched: photos and keys are passed over."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from webmail.mime.addresses import is_email
from webmail.mime.contentline import Line, content_lines, split, unescape
from webmail.mime.text import decode_text
from webmail.mime.words import clean

MAX_OCTETS = 2_000_000  # of a file that is read; photos are within
MAX_LINES = 50_000
MAX_CARDS = 50  # that are kept
MAX_OF_EACH = 20  # addresses, numbers
MAX_SOURCE = 20_000  # characters of the original that are kept, without what is large
MAX_NOTE = 5_000
MAX_VALUE = 255
TYPES = frozenset({"text/vcard", "text/x-vcard", "text/directory", "application/vcard"})
LARGE = frozenset({"PHOTO", "LOGO", "SOUND", "KEY"})


@dataclass(frozen=True, slots=True)
class Card:
    """``emails`` and ``phones`` are (value, kind): home, work, cell … or "". ``source`` is the card as it was but for what
    is LARGE, so that nothing of it is lost when it is kept."""

    name: str = ""
    emails: tuple[tuple[str, str], ...] = ()
    phones: tuple[tuple[str, str], ...] = ()
    organisation: str = ""
    title: str = ""
    address: str = ""
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Cards:
    """The first MAX_CARDS of ``total``."""

    cards: tuple[Card, ...]
    total: int


def read_cards(octets: bytes, charset: str = "") -> Cards | None:
    """None if no card is in it, or more than MAX_OCTETS are. Raises nothing."""
    if len(octets) > MAX_OCTETS:
        return None
    cards: list[Card] = []
    total = 0
    for lines in _each(content_lines(decode_text(octets, charset or "utf-8"), MAX_LINES)):
        total += 1
        if len(cards) < MAX_CARDS:
            cards.append(card_of(lines))
    return Cards(tuple(cards), total) if cards else None


def each_card(text: str, most: int, most_lines: int) -> Iterator[Card]:
    """The first ``most`` cards of a file of them, one after another."""
    for number, lines in enumerate(_each(content_lines(text, most_lines))):
        if number >= most:
            return
        yield card_of(lines)


def _each(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """The lines of each card; one within another (2.1: AGENT) belongs to nobody."""
    depth, held = 0, list[Line]()
    for line in lines:
        kind = line.value.strip().upper() if line.name in ("BEGIN", "END") else ""
        if line.name == "BEGIN" and kind == "VCARD":
            depth += 1
            held = [] if depth == 1 else held
        elif line.name == "END" and kind == "VCARD":
            depth = max(0, depth - 1)
            if depth == 0 and held:
                yield held
                held = []
        elif depth == 1:
            held.append(line)
    if depth and held:  # cut off before its end
        yield held


def card_of(lines: list[Line]) -> Card:
    first: dict[str, str] = {}
    emails: dict[str, tuple[str, str]] = {}  # by address in lower case
    phones: list[tuple[str, str]] = []
    for line in lines:
        value = _value(line)
        if line.name == "EMAIL":
            email = clean(unescape(value)).removeprefix("mailto:")
            if len(emails) < MAX_OF_EACH and is_email(email):
                emails.setdefault(email.lower(), (email[:320], _kind(line)))
        elif line.name == "TEL":
            if len(phones) < MAX_OF_EACH and (phone := clean(unescape(value).removeprefix("tel:"))[:60]):
                phones.append((phone, _kind(line)))
        else:
            first.setdefault(line.name, value)
    organisation = ", ".join(filter(None, map(clean, split(first.get("ORG", ""), ";"))))
    name = (
        clean(unescape(first.get("FN", ""))) or _name(first.get("N", "")) or clean(unescape(first.get("NICKNAME", "")))
    )
    return Card(
        name=(name or organisation or next(iter(emails.values()), ("", ""))[0])[:MAX_VALUE],
        emails=tuple(emails.values()),
        phones=tuple(phones),
        organisation=organisation[:MAX_VALUE],
        title=clean(unescape(first.get("TITLE", "")))[:MAX_VALUE],
        address=", ".join(filter(None, map(clean, split(first.get("ADR", ""), ";"))))[:MAX_VALUE],
        note="\n".join(map(clean, unescape(first.get("NOTE", ""))[:MAX_NOTE].split("\n"))).strip(),
        source=_source(lines),
    )


def _value(line: Line) -> str:
    """As RFC 6350 has it; 2.1 encodes what is not ASCII in quoted-printable and a charset of its own."""
    if line.param("ENCODING").upper() != "QUOTED-PRINTABLE" and "QUOTED-PRINTABLE" not in map(
        str.upper, line.params.get("TYPE", ())
    ):
        return line.value
    octets = binascii.a2b_qp(line.value.encode("utf-8", "replace"))
    return decode_text(octets, line.param("CHARSET") or "utf-8")


_KINDS = ("CELL", "WORK", "HOME", "FAX", "PAGER")


def _kind(line: Line) -> str:
    said = {kind.upper() for value in line.params.get("TYPE", ()) for kind in value.split(",")}
    return next((kind.lower() for kind in _KINDS if kind in said), "")


def _name(value: str) -> str:
    """RFC 6350 §6.2.2: family; given; more; before; after."""
    family, given, more, before, after = (*split(value, ";"), "", "", "", "", "")[:5]
    return " ".join(filter(None, map(clean, (before, given, more, family, after))))


def _source(lines: list[Line]) -> str:
    written = []
    for line in lines:
        if line.name not in LARGE:
            parameters = "".join(
                f";{name}={_quoted(value)}" for name, values in line.params.items() for value in values
            )
            group = f"{line.group}." if line.group else ""
            written.append(f"{group}{line.name}{parameters}:{line.value}")
    return "\n".join(["BEGIN:VCARD", *written, "END:VCARD"])[:MAX_SOURCE]


def _quoted(value: str) -> str:
    value = value.replace('"', "^'").replace("\n", "^n")
    return f'"{value}"' if set(value) & set(":;,") else value


def cards_from_json(data: Mapping[str, Any]) -> Cards:
    """The inverse of ``dataclasses.asdict``."""
    pairs = ("emails", "phones")
    cards = (Card(**{**one, **{name: tuple((v, k) for v, k in one[name]) for name in pairs}}) for one in data["cards"])
    return Cards(tuple(cards), data["total"])
