"""Cards of people as text: written into a card of another program, of which all else stays as it is, or from nothing.

Only lines whose meaning differs from what is wanted are written anew, so that properties nobody here knows, their order
and their folding survive being changed here and there (RFC 6350 §6, RFC 2426 §3)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from webmail.mime.contentline import Line, content_lines, split
from webmail.mime.vcard import Card, card_of
from webmail.mime.words import clean

FOLD = 75  # octets of a line (RFC 6350 §3.2)
MAX_LINES = 20_000  # of one card
MAX_CATEGORIES = 50
MAX_CATEGORY = 100
VERSIONS = ("3.0", "4.0")


@dataclass(slots=True)
class _Piece:
    """A line with what it is folded into; ``line`` is None where it is none."""

    raw: str
    line: Line | None

    def named(self, name: str) -> bool:
        return self.line is not None and self.line.name == name


def read_card(text: str) -> Card:
    """The first card of a text; an empty one if there is none."""
    return card_of([piece.line for piece in _inner(text) if piece.line])


def categories_of(text: str) -> tuple[str, ...]:
    """RFC 6350 §6.7.1; each once."""
    found: dict[str, None] = {}
    for piece in _inner(text):
        if piece.line and piece.line.name == "CATEGORIES":
            found |= dict.fromkeys(clean(one)[:MAX_CATEGORY] for one in split(piece.line.value, ","))
    return tuple(filter(None, found))[:MAX_CATEGORIES]


def uid_of(text: str) -> str:
    """RFC 6350 §6.7.6, without its scheme."""
    for piece in _inner(text):
        if piece.line and piece.line.name == "UID":
            return clean(piece.line.value).removeprefix("urn:uuid:")[:255]
    return ""


def is_group(text: str) -> bool:
    """A card of many (RFC 6350 §6.1.4), as Apple's address book writes it too."""
    kinds = {"KIND", "X-ADDRESSBOOKSERVER-KIND"}
    return any(p.line and p.line.name in kinds and p.line.value.strip().lower() == "group" for p in _inner(text))


def write_card(
    card: Card, categories: Sequence[str] = (), uid: str = "", version: str = "4.0", into: str = "", said: str = ""
) -> str:
    """``card`` and ``categories`` as they are to be, written ``into`` another card where one is given. Its ``version`` is
    kept then unless ``said`` names one. Lines end in CRLF."""
    pieces = list(_inner(into))
    version = said or next((p.line.value.strip() for p in pieces if p.named("VERSION") and p.line), version)
    pieces = [piece for piece in pieces if not piece.named("VERSION")]
    now = card_of([piece.line for piece in pieces if piece.line])
    if now.name != card.name or not any(piece.named("FN") for piece in pieces):
        _put(pieces, "FN", escape(card.name))
        _put(pieces, "N", _name_parts(card.name))
    for name, before, after in (
        ("ORG", now.organisation, escape(card.organisation)),
        ("TITLE", now.title, escape(card.title)),
        ("NOTE", now.note, escape(card.note)),
    ):
        if escape(before) != after:
            _put(pieces, name, after)
    if now.address != card.address:
        _put(pieces, "ADR", f";;{escape(card.address)};;;;" if card.address else "")
    _set(pieces, "EMAIL", [e.lower() for e, _kind in now.emails], card.emails, version)
    _set(pieces, "TEL", [number for number, _kind in now.phones], card.phones, version)
    if set(categories_of(into)) != set(categories):
        _put(pieces, "CATEGORIES", ",".join(map(escape, categories)))
    if uid and not any(piece.named("UID") for piece in pieces):
        _put(pieces, "UID", f"urn:uuid:{uid}" if version == "4.0" else uid)
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *(piece.raw for piece in pieces), "END:VCARD", ""])


def escape(value: str) -> str:
    """RFC 6350 §3.4."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace(",", "\\,").replace(";", "\\;").replace("\r", "")


_PHYSICAL = re.compile("\r\n|\r|\n")


def _inner(text: str) -> Iterator[_Piece]:
    """What stands between the first BEGIN and its END."""
    held: list[str] = []
    inside = False
    for number, physical in enumerate([*_PHYSICAL.split(text), ""]):
        if number > MAX_LINES:
            return
        if held and physical[:1] in (" ", "\t"):
            held.append(physical)
            continue
        word = held[0].strip().upper() if held else ""
        if word == "END:VCARD":
            return
        if held and inside and word:
            yield _piece(held)
        inside = inside or word == "BEGIN:VCARD"
        held = [physical]


def _piece(held: list[str]) -> _Piece:
    return _Piece("\r\n".join(held), next(content_lines("\n".join(held), len(held)), None))


def _put(pieces: list[_Piece], name: str, value: str) -> None:
    """The first of this name gets the value, its parameters are kept but for how it was encoded; none of it with none."""
    place = next((at for at, piece in enumerate(pieces) if piece.named(name)), None)
    if not value:
        pieces[:] = [piece for at, piece in enumerate(pieces) if at != place]
    elif place is None:
        pieces.append(_Piece(fold_line(f"{name}:{value}"), Line(name, value)))
    else:
        group = pieces[place].line.group if pieces[place].line else ""  # type: ignore[union-attr]
        prefix = f"{group}." if group else ""
        pieces[place] = _Piece(fold_line(f"{prefix}{name}:{value}"), Line(name, value, group))


def _set(
    pieces: list[_Piece], name: str, before: Sequence[str], after: Sequence[tuple[str, str]], version: str
) -> None:
    """Of what is many: what is not wanted goes with the labels of its group, what is new comes last."""
    wanted = {_key(name, value) for value, _kind in after}
    gone = {_key(name, value) for value in before} - wanted
    groups = set()
    for piece in [piece for piece in pieces if piece.line and piece.line.name == name]:
        assert piece.line is not None
        read = card_of([piece.line])
        values = [value for value, _kind in (read.emails if name == "EMAIL" else read.phones)]
        if values and _key(name, values[0]) in gone:
            groups.add(piece.line.group)
            pieces.remove(piece)
    left = {piece.line.group for piece in pieces if piece.line and not piece.line.name.startswith("X-")}
    orphans = groups - left - {""}
    pieces[:] = [piece for piece in pieces if not (piece.line and piece.line.group in orphans)]
    there = {_key(name, value) for value in before}
    for value, kind in after:
        if _key(name, value) not in there:
            written = f"{name};TYPE={_type(kind, version)}" if kind else name
            pieces.append(_Piece(fold_line(f"{written}:{escape(value)}"), Line(name, escape(value))))


def _key(name: str, value: str) -> str:
    return value.lower() if name == "EMAIL" else value


def _type(kind: str, version: str) -> str:
    """RFC 6350 §5.6; RFC 2426 §3.3.1 writes them in capitals."""
    return kind if version == "4.0" else kind.upper()


def _name_parts(name: str) -> str:
    """RFC 6350 §6.2.2. The last word is taken for the family's name."""
    given, _space, family = name.rpartition(" ")
    return f"{escape(family)};{escape(given)};;;" if given else f";{escape(name)};;;"


def fold_line(line: str) -> str:
    """RFC 6350 §3.2: at most FOLD octets, never within a character."""
    pieces: list[str] = []
    held: list[str] = []
    size = 0
    for char in line:
        octets = len(char.encode("utf-8", "replace"))
        if size + octets > FOLD:
            pieces.append("".join(held))
            held, size = [" "], 1
        held.append(char)
        size += octets
    return "\r\n".join([*pieces, "".join(held)])
