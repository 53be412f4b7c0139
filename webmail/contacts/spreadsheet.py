"""Contacts as a table of comma separated values: what Google, Outlook and Thunderbird write, and what people make by hand.

The header row decides what a column is. A table is written with Google's headings, since all of those read them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from webmail import mime

ALL = "myContacts"  # the group that Google has everybody in
MAX_COLUMNS = 300
MAX_CELL = 20_000  # characters
RISKY = "=+-@\t\r"  # a spreadsheet takes what begins so for a formula; an apostrophe before it makes it text

# What a column is, by its heading in lower case and without punctuation. Of several columns for one thing, all count.
_FIELDS: Mapping[str, tuple[str, ...]] = {
    "name": ("name", "display name", "full name", "navn", "fullt navn", "visningsnavn", "file as"),
    "given": ("given name", "first name", "fornavn"),
    "more": ("additional name", "middle name", "mellomnavn"),
    "family": ("family name", "last name", "surname", "etternavn"),
    "organisation": ("organization 1 name", "organization name", "company", "organization", "organisation", "firma",
                     "organisasjon"),
    "title": ("organization 1 title", "organization title", "job title", "title", "tittel", "stilling"),
    "note": ("notes", "note", "notat", "notater", "merknader"),
    "groups": ("group membership", "labels", "categories", "groups", "group", "grupper", "gruppe", "kategorier"),
    "address": ("address 1 formatted", "address", "postal address", "adresse"),
}  # fmt: skip
_OF = {heading: field for field, headings in _FIELDS.items() for heading in headings}
_EMAIL = re.compile(r"(?:e ?mail|e ?post|primary email|secondary email)(?: (\d+))?(?: (?:value|address|adresse))?|mail")
_PHONE = re.compile(r"phone (\d+) value|(.*?) ?(?:phone|telephone|number|telefon|mobil|fax|faks|pager)(?: \d)?")
_KIND_OF = re.compile(r"((?:e ?mail|phone) \d+) (?:type|label)")
_STREET = re.compile(
    r"(home|business|other|work) (street|city|state|postal ?code|zip ?code|country|address)(?: region| 2)?"
)
_KINDS = {
    "mobile": "cell", "cell": "cell", "mobil": "cell", "work": "work", "business": "work", "arbeid": "work", "jobb": "work",
    "home": "home", "privat": "home", "fax": "fax", "faks": "fax", "pager": "pager",
}  # fmt: skip
_PUNCTUATION = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True)
class Entry:
    """One contact of a file."""

    card: mime.Card
    groups: tuple[str, ...] = ()
    uid: str = ""


def read_table(text: str, most: int) -> Iterator[Entry]:
    """The first ``most`` rows below the header row; nothing if that names neither a name nor an address. Raises nothing."""
    text = re.sub(r"\Asep=(.)\n", "", text)  # Excel's
    head = text.partition("\n")[0]
    separator = max(",;\t", key=head.count)
    rows = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    columns = _columns(_next(rows) or [])
    if not {"name", "given", "family", "email"} & {field for field, _kind in columns}:
        return
    for _number in range(most):
        row = _next(rows)
        if row is None:
            return
        if any(cell.strip() for cell in row):
            yield _entry(columns, row)


def _next(rows: Iterator[list[str]]) -> list[str] | None:
    """The next row that can be read; the field limit of the module ends one without end."""
    for _try in range(1000):
        try:
            row = next(rows)
        except StopIteration:
            return None
        except csv.Error:
            continue
        return [cell[:MAX_CELL] for cell in row[:MAX_COLUMNS]]
    return None


def _columns(header: Sequence[str]) -> list[tuple[str, str]]:
    """For each column its field, and its kind or the heading its kind stands below."""
    found = []
    for heading in header:
        words = _PUNCTUATION.sub(" ", heading.replace("\ufeff", "")).strip().casefold()
        if words in _OF:
            found.append((_OF[words], ""))
        elif match := _KIND_OF.fullmatch(words):
            found.append(("kind", match[1]))
        elif match := _EMAIL.fullmatch(words):
            found.append(("email", f"e mail {match[1]}" if match[1] else ""))
        elif match := _STREET.fullmatch(words):
            found.append(("street", match[1]))
        elif match := _PHONE.fullmatch(words):
            found.append(("phone", f"phone {match[1]}" if match[1] else words))
        else:
            found.append(("", words))
    return found


def _entry(columns: Sequence[tuple[str, str]], row: Sequence[str]) -> Entry:
    values: dict[str, list[str]] = {}
    emails: list[tuple[str, str]] = []
    phones: list[tuple[str, str]] = []
    cells = [(field, kind, _plain(cell)) for (field, kind), cell in zip(columns, row, strict=False)]
    kinds = {kind: cell for field, kind, cell in cells if field == "kind"}
    for field, kind, cell in cells:
        if not cell.strip():
            continue
        if field == "email":
            emails += [(one, _kind(kinds.get(kind, ""))) for one in _several(cell)]
        elif field == "phone":
            phones += [(mime.clean(one)[:60], _kind(kinds.get(kind, kind))) for one in _several(cell)]
        elif field:
            values.setdefault(field, []).append(cell)
    groups = [mime.clean(one).removeprefix("* ") for cell in values.get("groups", ()) for one in _groups(cell)]
    return Entry(_card(values, emails, phones), tuple(dict.fromkeys(g for g in groups if g and g != ALL)))


def _groups(cell: str) -> list[str]:
    """Joined as Google does it, or by semicolons, or by commas: the first of these that is there."""
    joint = next((one for one in (":::", ";", ",") if one in cell), ",")
    return cell.split(joint)


def _card(
    values: Mapping[str, list[str]], emails: Sequence[tuple[str, str]], phones: Sequence[tuple[str, str]]
) -> mime.Card:
    """The same bounds and the same cleaning as a vCard has."""

    def first(field: str) -> str:
        return mime.clean(values.get(field, [""])[0])

    name = first("name") or " ".join(filter(None, map(first, ("given", "more", "family"))))
    good = {email.lower(): (email[:320], kind) for email, kind in reversed(emails) if mime.is_email(email)}
    odd = [email for email, _kind in emails if not mime.is_email(email)]
    note = "\n".join(filter(None, ["\n".join(map(mime.clean, (values.get("note") or [""])[0].splitlines())), *odd]))
    card = mime.Card(
        name=name[:255],
        emails=tuple(reversed(good.values())),
        phones=tuple(dict.fromkeys(phones)),
        organisation=first("organisation")[:255],
        title=first("title")[:255],
        address=", ".join(map(mime.clean, "\n".join(values.get("address", values.get("street", ()))).splitlines()))[
            :255
        ],
        note=note[:5000],
    )
    return mime.read_card(mime.write_card(card))


def _several(cell: str) -> list[str]:
    """Google joins several by `` ::: ``."""
    return [one for one in map(mime.clean, cell.split(":::")) if one]


def _kind(words: str) -> str:
    return next((kind for word, kind in _KINDS.items() if word in words.casefold()), "")


def _plain(cell: str) -> str:
    """Without the apostrophe that keeps a spreadsheet from calculating."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] and cell[1] in RISKY else cell


# --- writing -----------------------------------------------------------------------------------------------------------------


class _Line:
    """What csv writes to: keeps the last line."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def write_table(entries: Iterable[Entry], emails: int, phones: int) -> Iterator[str]:
    """Lines, the header first, with columns for so many ``emails`` and ``phones`` of each. What a spreadsheet would take
    for a formula gets an apostrophe before it."""
    line = _Line()
    writer = csv.writer(line)
    header = ["Name", "Organization Name", "Organization Title", "Notes", "Labels", "Address 1 - Formatted"]
    for word, number in (("E-mail", emails), ("Phone", phones)):
        header += [f"{word} {n} - {part}" for n in range(1, number + 1) for part in ("Label", "Value")]
    writer.writerow(header)
    yield "\ufeff" + line.text  # so that Excel takes it for UTF-8
    for entry in entries:
        card = entry.card
        row = [
            card.name,
            card.organisation,
            card.title,
            card.note,
            " ::: ".join([*entry.groups, f"* {ALL}"]),
            card.address,
        ]
        for pairs, number in ((card.emails, emails), (card.phones, phones)):
            filled = [*pairs[:number], *[("", "")] * (number - len(pairs))]
            row += [cell for value, kind in filled for cell in (kind, value)]
        writer.writerow([_safe(cell) for cell in row])
        yield line.text


def _safe(cell: str) -> str:
    return "'" + cell if cell[:1] and cell[0] in RISKY else cell
