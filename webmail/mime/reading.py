"""A message as it is read: its texts in order, what hangs on it, and what it is besides. For mail that IMAP gives in parts
and mail that is stored whole alike: all it asks for is the octets of parts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from webmail.mime.calendar import MAX_OCTETS as MAX_CALENDAR
from webmail.mime.calendar import TYPES as CALENDARS
from webmail.mime.calendar import Calendar, read_calendar
from webmail.mime.contents import OctetsOf, divided_by_us, look_inside, octets_within
from webmail.mime.embedded import may_hold_files, without_files
from webmail.mime.parts import BodyPart, select_bodies
from webmail.mime.protection import Protection, armour, protections, without_armour
from webmail.mime.reports import Bounce, Report, bounce_in_text, read_report
from webmail.mime.text import decode_text, unflow
from webmail.mime.transfer import decode_transfer
from webmail.mime.vcard import MAX_OCTETS as MAX_CARD
from webmail.mime.vcard import TYPES as CARDS
from webmail.mime.vcard import Cards, read_cards

MAX_TEXTS = 20  # parts that are shown
MAX_TEXT = 2_000_000  # octets of one text; the rest is a download away
MAX_CARD_FILES = 10  # that are shown


@dataclass(frozen=True, slots=True)
class ReadText:
    """The text of one part, plain or HTML as ``part.type`` says; ``cut`` if it goes on."""

    part: BodyPart
    text: str
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """``root`` is the tree with what was found inside of parts: keep it, so that ids of attachments are known.
    ``text`` and ``html`` are alternatives of each other, as in Bodies: each may hold parts of either type."""

    root: BodyPart
    text: tuple[ReadText, ...] = ()
    html: tuple[ReadText, ...] = ()
    attachments: tuple[BodyPart, ...] = ()
    inline_images: Mapping[str, BodyPart] = field(default_factory=dict)
    protections: tuple[Protection, ...] = ()
    report: Report | None = None
    calendar: tuple[BodyPart, Calendar] | None = None
    cards: tuple[tuple[BodyPart, Cards], ...] = ()


def read_message(root: BodyPart, octets_of: OctetsOf, charset: str = "") -> Reading:
    """Read the texts, at most MAX_TEXTS of at most MAX_TEXT octets each and in all, and look into what holds more;
    ``charset`` is what the reader chose, if so. Raises what ``octets_of`` does, and ValueError if ``charset`` is none."""
    root = look_inside(divided_by_us(root, octets_of), octets_of)
    chosen = select_bodies(root)
    raw = _texts(root, (*chosen.text, *chosen.html), octets_of, charset)
    if holders := [part_id for part_id, read in raw.items() if _may_hold_files(read)]:
        root = look_inside(root, octets_of, holders)
        chosen = select_bodies(root)
    protected = protections(root)
    armoured = (armour(read.text, part_id) for part_id, read in raw.items() if read.part.type == "text/plain")
    read = {part_id: _as_shown(read) for part_id, read in raw.items()}
    text, html = _ordered(chosen.text, read), _ordered(chosen.html, read)
    return Reading(
        root=root,
        text=text,
        html=html,
        attachments=chosen.attachments,
        inline_images=chosen.inline_images,
        protections=protected or tuple(found for found in armoured if found),
        report=read_report(root, _also_within(root, octets_of)) or _plain_bounce(text),
        calendar=_calendar(chosen.attachments, _also_within(root, octets_of)),
        cards=_cards(chosen.attachments, _also_within(root, octets_of)),
    )


def _calendar(attachments: Iterable[BodyPart], octets_of: OctetsOf) -> tuple[BodyPart, Calendar] | None:
    """The first that says what is wanted (Google sends the same twice), else the first that can be read."""
    found: list[tuple[BodyPart, Calendar]] = []
    for part in _of_kind(attachments, CALENDARS, ".ics")[:2]:
        calendar = read_calendar(_octets(part, octets_of, MAX_CALENDAR), part.charset)
        if calendar and calendar.method:
            return part, calendar
        found += [(part, calendar)] if calendar else []
    return next(iter(found), None)


def _cards(attachments: Iterable[BodyPart], octets_of: OctetsOf) -> tuple[tuple[BodyPart, Cards], ...]:
    parts = _of_kind(attachments, CARDS, ".vcf")[:MAX_CARD_FILES]
    read = ((part, read_cards(_octets(part, octets_of, MAX_CARD), part.charset)) for part in parts)
    return tuple((part, cards) for part, cards in read if cards)


def _of_kind(attachments: Iterable[BodyPart], types: Collection[str], ending: str) -> list[BodyPart]:
    """By type, or, where that says nothing, by name."""
    vague = ("application/octet-stream", "text/plain")
    return [
        part
        for part in attachments
        if part.type in types or (part.type in vague and part.name.lower().endswith(ending))
    ]


def _octets(part: BodyPart, octets_of: OctetsOf, most: int) -> bytes:
    """Decoded; one octet more than ``most`` if there are more."""
    octets = bytearray()
    if part.size > most * 2:
        return b""
    for chunk in decode_transfer(octets_of(part.part_id, most * 2), part.encoding):
        octets += chunk
        if len(octets) > most:
            break
    return bytes(octets[: most + 1])


def _texts(root: BodyPart, parts: Iterable[BodyPart], octets_of: OctetsOf, charset: str) -> dict[str, ReadText]:
    """By id; each is read once though it may stand in both alternatives."""
    read: dict[str, ReadText] = {}
    left = MAX_TEXT
    for part in parts:
        if part.part_id in read or len(read) >= MAX_TEXTS or left <= 0:
            continue
        octets = bytearray()
        for chunk in decode_transfer(_also_within(root, octets_of)(part.part_id, MAX_TEXT * 2), part.encoding):
            octets += chunk
            if len(octets) > left:
                break
        text = decode_text(bytes(octets[:left]), part.charset, part.type, charset)
        read[part.part_id] = ReadText(part, text, len(octets) > left)
        left -= len(octets)
    return read


def _also_within(root: BodyPart, octets_of: OctetsOf) -> OctetsOf:
    def octets(part_id: str, most: int | None) -> Iterable[bytes]:
        return octets_within(root, part_id, octets_of) if "~" in part_id else octets_of(part_id, most)

    return octets


def _may_hold_files(read: ReadText) -> bool:
    return read.part.type == "text/plain" and "~" not in read.part.part_id and may_hold_files(read.text)


def _as_shown(read: ReadText) -> ReadText:
    if read.part.type != "text/plain":
        return read
    text = without_armour(without_files(read.text))
    return replace(read, text=unflow(text, read.part.delsp) if read.part.format_flowed else text)


def _ordered(parts: Iterable[BodyPart], read: Mapping[str, ReadText]) -> tuple[ReadText, ...]:
    return tuple(read[part.part_id] for part in parts if part.part_id in read)


def _plain_bounce(text: tuple[ReadText, ...]) -> Bounce | None:
    return bounce_in_text(text[0].text) if text and text[0].part.type == "text/plain" else None


def facts(reading: Reading) -> dict[str, Any]:
    """What a page tells besides the texts, as plain JSON, times as ISO 8601: ``protection`` (the outermost) and
    ``report`` (its ``is`` is "bounce", "receipt" or "complaint"), ``calendar`` and a list of ``cards`` (each with the id of
    its ``part``), each only where there is one."""
    out: dict[str, Any] = {}
    if reading.protections:
        first = reading.protections[0]
        out["protection"] = {"kind": first.kind, "signed": first.signed, "encrypted": first.encrypted}
    if reading.report:
        out["report"] = {"is": type(reading.report).__name__.lower(), **_plain(asdict(reading.report))}
    if reading.calendar:
        out["calendar"] = {"part": reading.calendar[0].part_id, **_plain(asdict(reading.calendar[1]))}
    if reading.cards:
        out["cards"] = [{"part": part.part_id, **_plain(asdict(cards))} for part, cards in reading.cards]
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value
