"""Files of contacts: read, looked at before anything is written, then written in batches; and written for others.

An address is one contact's. What a file says of somebody whose address is in the book already is added to them, never
set in the place of what is there; so a file can be read twice, and one that broke off can be read again.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from webmail import mime
from webmail.contacts import before
from webmail.contacts.book import MAX_ADDRESSES, new_in, touch
from webmail.contacts.groups import MAX_GROUPS
from webmail.contacts.spreadsheet import Entry, read_table, write_table
from webmail.models import AddressBook, Contact, ContactAddress, ContactGroup, ContactQuerySet

MAX_OCTETS = 20_000_000
MAX_CARDS = 20_000
MAX_LINES = 2_000_000
BATCH = 200
SHOWN = 20  # in a preview
FOLDER, KEPT = "imports", timedelta(days=1)


class NoContacts(Exception):
    """There are none in the file, or it is too large; the words say which."""


@dataclass(slots=True)
class Preview:
    """What a file would do. ``doubtful`` have a name that is in the book with other addresses; ``unusable`` have neither a
    name nor an address."""

    new: int = 0
    known: int = 0
    doubtful: int = 0
    unusable: int = 0
    more: bool = False
    groups: dict[str, None] = field(default_factory=dict)
    sample: list[tuple[str, Entry]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.new + self.known + self.doubtful


@dataclass(frozen=True, slots=True)
class Imported:
    new: int
    added_to: int
    unchanged: int
    left_out: int
    key: uuid.UUID


def read(octets: bytes) -> Iterator[Entry]:
    """At most MAX_CARDS and one: whoever asks sees that there are more. Raises NoContacts."""
    if len(octets) > MAX_OCTETS:
        raise NoContacts(_("The file is larger than %(n)d MB.") % {"n": MAX_OCTETS // 1_000_000})
    text = mime.decode_text(octets, "")
    cards = "BEGIN:VCARD" in text[:10_000].upper()
    entries = _cards(text) if cards else read_table(text, MAX_CARDS + 1)
    first = next(entries, None)
    if first is None:
        raise NoContacts(_("No contacts were found in the file. vCard and CSV are understood."))
    return itertools.chain([first], entries)


def _cards(text: str) -> Iterator[Entry]:
    for card in mime.each_card(text, MAX_CARDS + 1, MAX_LINES):
        if not mime.is_group(card.source):
            yield Entry(card, mime.categories_of(card.source), mime.uid_of(card.source))


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    left = itertools.islice(entries, MAX_CARDS)
    while batch := list(itertools.islice(left, BATCH)):
        yield batch


# --- files between being sent and being taken in -------------------------------------------------------------------------


def put_by(user: User, file: File[bytes]) -> uuid.UUID:
    """Keep a file for a day, so that it can be looked at first. Raises NoContacts if it is too large."""
    if (file.size or 0) > MAX_OCTETS:
        raise NoContacts(_("The file is larger than %(n)d MB.") % {"n": MAX_OCTETS // 1_000_000})
    key = uuid.uuid4()
    default_storage.save(_place(user.pk, key), file)
    return key


def fetch(user: User, key: uuid.UUID) -> bytes | None:
    """None if there is no such file of theirs, or not any more."""
    try:
        with default_storage.open(_place(user.pk, key)) as file:
            return file.read(MAX_OCTETS + 1)
    except FileNotFoundError:
        return None


def forget(user_id: int, key: uuid.UUID) -> None:
    default_storage.delete(_place(user_id, key))


def _place(user_id: int, key: uuid.UUID) -> str:
    return f"{FOLDER}/{user_id}/{key.hex}"


def forget_old_files() -> None:
    if not default_storage.exists(FOLDER):
        return
    for user in default_storage.listdir(FOLDER)[0]:
        for name in default_storage.listdir(f"{FOLDER}/{user}")[1]:
            place = f"{FOLDER}/{user}/{name}"
            if default_storage.get_modified_time(place) < timezone.now() - KEPT:
                default_storage.delete(place)


# --- looking -----------------------------------------------------------------------------------------------------------------


def look_at(user: User, octets: bytes) -> Preview:
    """Changes nothing. Raises NoContacts."""
    entries = read(octets)
    found = Preview()
    seen: set[str] = set()  # addresses of the file
    for batch in _batches(entries):
        there = _Book(user, batch)
        for entry in batch:
            standing = there.standing(entry, seen)
            seen |= {email.lower() for email, _kind in entry.card.emails}
            setattr(found, standing, getattr(found, standing) + 1)
            found.groups |= dict.fromkeys(entry.groups[:MAX_GROUPS])
            if len(found.sample) < SHOWN:
                found.sample.append((standing, entry))
    found.more = next(iter(entries), None) is not None
    return found


class _Book:
    """What the book holds of the people in a batch: one question to the database for each kind."""

    def __init__(self, user: User, batch: Sequence[Entry]) -> None:
        emails = {email.lower()[:320] for entry in batch for email, _kind in entry.card.emails}
        uids = {uid for entry in batch if (uid := _uid(entry))}
        names = {entry.card.name.casefold()[:255] for entry in batch if entry.card.name}
        mine = Contact.objects.for_user(user)
        addresses = ContactAddress.objects.filter(user=user, email__in=emails)
        self.by_email = dict(addresses.values_list("email", "contact_id"))
        self.by_uid = dict(mine.filter(uid__in=uids).values_list("uid", "pk"))
        self.by_name: dict[str, int] = {}
        for sort, pk in mine.filter(sort__in=names).order_by("-pk").values_list("sort", "pk"):
            self.by_name[sort] = pk

    def match(self, entry: Entry) -> int | None:
        """Who it is: by an address, by its name for programs, or by the same name where it says nothing else."""
        for email, _kind in entry.card.emails:
            if pk := self.by_email.get(email.lower()[:320]):
                return pk
        if (uid := _uid(entry)) and uid in self.by_uid:
            return self.by_uid[uid]
        return None if entry.card.emails or entry.card.phones else self.by_name.get(entry.card.name.casefold()[:255])

    def standing(self, entry: Entry, seen: set[str]) -> str:
        if not entry.card.name and not entry.card.emails:
            return "unusable"
        if self.match(entry) or any(email.lower() in seen for email, _kind in entry.card.emails):
            return "known"
        return "doubtful" if entry.card.name.casefold()[:255] in self.by_name else "new"


def _uid(entry: Entry) -> uuid.UUID | None:
    return uuid_of(entry.uid)


def uuid_of(uid: str) -> uuid.UUID | None:
    """None for what other programs have for one."""
    try:
        return uuid.UUID(uid)
    except ValueError:
        return None


def free_uid(user: User, uid: str) -> uuid.UUID:
    """This, if it is one and nobody of theirs has it; else a new one."""
    found = uuid_of(uid)
    return found if found and not Contact.objects.filter(user=user, uid=found).exists() else uuid.uuid4()


# --- writing down ------------------------------------------------------------------------------------------------------------


def take_in(user: User, octets: bytes, doubtful: bool = True, book: AddressBook | None = None) -> Imported:
    """Each batch in a transaction of its own. Without ``doubtful`` those are left out. Raises NoContacts."""
    taking = _Taking(user, doubtful, book)
    for batch in _batches(read(octets)):
        with transaction.atomic():
            taking.take(batch)
    return Imported(taking.new, taking.added_to, taking.unchanged, taking.left_out, taking.key)


class _Taking:
    """One import under way."""

    def __init__(self, user: User, doubtful: bool, book: AddressBook | None) -> None:
        self.user, self.doubtful, self.book = user, doubtful, book
        self.key = uuid.uuid4()
        self.new = self.added_to = self.unchanged = self.left_out = 0
        self.groups = {group.sort: group for group in ContactGroup.objects.for_user(user)}

    def take(self, batch: Sequence[Entry]) -> None:
        """First who is new, at once; then what is said of those who are there, which some of these may be by now."""
        there = _Book(self.user, batch)
        fresh, others = self._sorted(batch, there)
        made = self._make(fresh, there)
        members = [(contact.pk, entry.groups) for contact, entry in zip(made, fresh, strict=True)]
        changed: dict[int, before.State] = {}
        found = self._found({there.match(entry) or 0 for entry in others})
        for entry in others:
            contact = found.get(there.match(entry) or 0)
            if contact is None:  # deleted in this moment
                self.left_out += 1
                continue
            was = before.state_of(contact)
            different = add_to(contact, entry.card, there.by_email)
            if different:
                changed.setdefault(contact.pk, was)
            self.added_to += different
            self.unchanged += not different
            members.append((contact.pk, entry.groups))
        new = {contact.pk for contact in made}
        states = [state for pk, state in changed.items() if pk not in new]
        before.remember(self.user.pk, _("The import"), states=states, made=sorted(new), key=self.key)
        self._group(members)
        touch([*changed, *new])

    def _found(self, ids: set[int]) -> dict[int, Contact]:
        rows = Contact.objects.for_user(self.user).filter(pk__in=ids).select_related("card")
        return {row.pk: row for row in rows.prefetch_related("addresses", "groups")}

    def _sorted(self, batch: Sequence[Entry], there: _Book) -> tuple[list[Entry], list[Entry]]:
        """Of two of the batch that share an address or a uid, the second is not new."""
        fresh: list[Entry] = []
        others: list[Entry] = []
        seen: set[str | uuid.UUID] = set()
        for entry in batch:
            standing = there.standing(entry, set())
            if standing == "unusable" or (standing == "doubtful" and not self.doubtful):
                self.left_out += 1
                continue
            signs: set[str | uuid.UUID] = {email.lower()[:320] for email, _kind in entry.card.emails}
            signs |= {uid} if (uid := _uid(entry)) else set()
            (others if standing == "known" or signs & seen else fresh).append(entry)
            seen |= signs
        return fresh, others

    def _make(self, fresh: Sequence[Entry], there: _Book) -> list[Contact]:
        rows = [_contact(self.user, entry) for entry in fresh]
        made = Contact.objects.bulk_create(rows)
        addresses: list[ContactAddress] = []
        for contact, entry in zip(made, fresh, strict=True):
            there.by_uid[contact.uid] = contact.pk
            addresses += _new_addresses(contact, entry.card.emails, there.by_email, 0)
            if self.book:
                new_in(contact, self.book)
        ContactAddress.objects.bulk_create(addresses)
        self.new += len(made)
        return made

    def _group(self, members: Sequence[tuple[int, Sequence[str]]]) -> None:
        into: dict[str, list[int]] = {}
        for pk, names in members:
            for name in names:
                sort = name[:100].casefold()[:100]
                if sort not in self.groups and len(self.groups) < MAX_GROUPS:
                    self.groups[sort] = ContactGroup.objects.create(user=self.user, name=name[:100])
                if sort in self.groups:
                    into.setdefault(sort, []).append(pk)
        for sort, pks in into.items():
            self.groups[sort].contacts.add(*pks)


def _contact(user: User, entry: Entry) -> Contact:
    card = entry.card
    name = (card.name or card.emails[0][0])[:255]
    return Contact(
        user=user, uid=_uid(entry) or uuid.uuid4(), name=name, sort=name.casefold()[:255],
        organisation=card.organisation, title=card.title, phones=[list(one) for one in card.phones],
        postal=card.address, note=card.note, vcard=card.source,
    )  # fmt: skip


def add_to(contact: Contact, card: mime.Card, taken: dict[str, int]) -> bool:
    """What the card says and the contact does not; True if that is anything. ``taken`` are contacts by address."""
    was = [getattr(contact, name) for name in before.COLUMNS]
    added = _add_addresses(contact, card.emails, taken)
    numbers = {"".join(filter(str.isdigit, number)) for number, _kind in contact.phones}
    fresh = [[n, kind] for n, kind in card.phones if "".join(filter(str.isdigit, n)) not in numbers]
    contact.phones = [*contact.phones, *fresh]
    for column, value in (("organisation", card.organisation), ("title", card.title), ("postal", card.address)):
        here = getattr(contact, column)
        if not here:
            setattr(contact, column, value)
        elif value and value.casefold() not in here.casefold():
            contact.note = _noted(contact.note, value)
    if card.note and card.note not in contact.note:
        contact.note = _noted(contact.note, card.note)
    if card.name and not mime.is_email(card.name) and card.name.casefold() != contact.name.casefold():
        if mime.is_email(contact.name):
            contact.name = card.name
        elif card.name not in contact.note:
            contact.note = _noted(contact.note, card.name)
    contact.vcard = contact.vcard or card.source
    changed = [getattr(contact, name) for name in before.COLUMNS] != was
    if changed:
        contact.save()
        ContactAddress.objects.filter(contact=contact).update(suggested=False)
    return changed or added


def _noted(note: str, more: str) -> str:
    return f"{note}\n{more}".strip()


def _add_addresses(contact: Contact, emails: Sequence[tuple[str, str]], taken: dict[str, int]) -> bool:
    rows = _new_addresses(contact, emails, taken, contact.addresses.count())
    ContactAddress.objects.bulk_create(rows)
    return bool(rows)


def _new_addresses(
    contact: Contact, emails: Sequence[tuple[str, str]], taken: dict[str, int], place: int
) -> list[ContactAddress]:
    """Those that nobody has yet. They are not marked as suggested, so that suggestions.catch_up takes them up."""
    rows: list[ContactAddress] = []
    for email, kind in emails:
        key = email.lower()[:320]
        if key in taken or place + len(rows) >= MAX_ADDRESSES:
            continue
        taken[key] = contact.pk
        position = place + len(rows) + 1
        rows.append(
            ContactAddress(
                user_id=contact.user_id, contact=contact, email=key, written=email[:320], kind=kind, position=position
            )
        )
    return rows


# --- for others --------------------------------------------------------------------------------------------------------------


def card_of(contact: Contact) -> mime.Card:
    """As its columns and addresses say; the rest of it is in ``contact.vcard``."""
    return mime.Card(
        name=contact.name, emails=tuple((one.written, one.kind) for one in contact.addresses.all()),
        phones=tuple((number, kind) for number, kind in contact.phones), organisation=contact.organisation,
        title=contact.title, address=contact.postal, note=contact.note,
    )  # fmt: skip


def write(contacts: ContactQuerySet, form: str) -> Iterator[str]:
    """A file in pieces: ``form`` is vcard4, vcard3 or csv."""
    rows = contacts.order_by("sort", "id").prefetch_related("addresses", "groups")
    entries = (Entry(card_of(one), tuple(group.name for group in one.groups.all())) for one in rows.iterator(BATCH))
    if form == "csv":
        emails = contacts.annotate(n=Count("addresses")).order_by("-n").values_list("n", flat=True).first() or 1
        phones = max(map(len, contacts.values_list("phones", flat=True).iterator()), default=1)
        yield from write_table(entries, max(1, emails), max(1, phones))
        return
    version = "3.0" if form == "vcard3" else "4.0"
    for contact in rows.iterator(BATCH):
        groups = [group.name for group in contact.groups.all()]
        yield mime.write_card(card_of(contact), groups, str(contact.uid), into=contact.vcard, said=version)
