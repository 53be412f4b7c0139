"""One person's card from three: as it was when both sides agreed, as it is here, as it is on the server.

What only one side changed is as that side has it. Where both changed one thing, the server's stays, and what was here is
told. Addresses, numbers and groups are sets: what either took out is out, what either put in is in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from webmail import mime

SINGLE = ("name", "organisation", "title", "address", "note")


@dataclass(frozen=True, slots=True)
class Face:
    """All of a card that has a place here."""

    card: mime.Card
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lost:
    """``here`` was not kept as ``field``, since the server has another value."""

    field: str
    here: str
    there: str


def face_of(text: str) -> Face:
    """What a card says, written as ours are, so that faces can be compared."""
    return face(mime.read_card(text), mime.categories_of(text)) if text else Face(mime.Card())


def face(card: mime.Card, groups: Sequence[str]) -> Face:
    """As it will be read again once it has been written."""
    same = mime.read_card(mime.write_card(card))
    return Face(replace(same, source=""), frozenset(groups))


def merge(base: Face, here: Face, there: Face) -> tuple[Face, list[Lost]]:
    lost: list[Lost] = []
    values: dict[str, str] = {}
    for name in SINGLE:
        before, ours, theirs = (getattr(one.card, name) for one in (base, here, there))
        if before and not theirs and ours == before:
            values[name] = ""
        elif theirs in (before, ours):
            values[name] = ours
        else:
            values[name] = theirs
            if ours not in (before, ""):
                lost.append(Lost(name, ours, theirs))
    card = mime.Card(
        **values,
        emails=_pairs(base.card.emails, here.card.emails, there.card.emails, fold=True),
        phones=_pairs(base.card.phones, here.card.phones, there.card.phones),
    )
    groups = (there.groups - (base.groups - here.groups)) | (here.groups - base.groups)
    return Face(card, groups), lost


Pairs = tuple[tuple[str, str], ...]


def _pairs(base: Pairs, here: Pairs, there: Pairs, fold: bool = False) -> Pairs:
    """In the server's order, what is new here last."""

    def keys(pairs: Pairs) -> dict[str, tuple[str, str]]:
        return {(value.lower() if fold else value): (value, kind) for value, kind in pairs}

    before, ours, theirs = keys(base), keys(here), keys(there)
    kept = {key: pair for key, pair in theirs.items() if key not in before or key in ours}
    return tuple((kept | {key: pair for key, pair in ours.items() if key not in before and key not in kept}).values())
