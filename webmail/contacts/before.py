"""How contacts and groups were before something was done to them, kept for a month, and taking that back."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from webmail import suggestions
from webmail.contacts.book import remove, touch
from webmail.models import AddressBook, Contact, ContactAddress, ContactGroup, ContactsBefore, RemoteCard

KEPT = timedelta(days=30)
BATCH = 500
State = dict[str, Any]  # of a contact, in JSON
COLUMNS = ("name", "organisation", "title", "phones", "postal", "note", "vcard")


@dataclass(frozen=True, slots=True)
class Undone:
    """``taken`` are addresses that could not be given back, since another contact has them now."""

    what: str
    taken: tuple[str, ...]


def remember(
    user_id: int,
    what: str,
    contacts: Sequence[Contact] = (),
    groups: Iterable[ContactGroup] = (),
    made: Sequence[int] = (),
    states: Sequence[State] = (),
    key: uuid.UUID | None = None,
) -> uuid.UUID:
    """To be called before anything is changed, or with what ``state_of`` said before; ``made`` are ids of contacts that
    came into being. ``what`` is what the page calls it. An action in several steps gives each the same ``key``."""
    state = {
        "contacts": [*states, *map(state_of, contacts)],
        "groups": [_group(one) for one in groups],
        "made": list(made),
    }
    row = ContactsBefore.objects.create(user_id=user_id, what=what[:255], before=state, key=key or uuid.uuid4())
    return row.key


def remove_all(user: User, contacts: Sequence[Contact], what: str) -> uuid.UUID:
    """Contacts of theirs, together. What takes it back."""
    with transaction.atomic():
        key = remember(user.pk, what, contacts)
        for contact in contacts:
            remove(contact)
    return key


def state_of(contact: Contact) -> State:
    card: RemoteCard | None = getattr(contact, "card", None)
    return {
        "id": contact.pk,
        "uid": str(contact.uid),
        "created_at": contact.created_at.isoformat(),
        "addresses": [[one.written, one.kind] for one in contact.addresses.all()],
        "groups": [group.pk for group in contact.groups.all()],
        "card": [card.pk, card.book_id] if card else None,
        **{name: getattr(contact, name) for name in COLUMNS},
    }


def _group(group: ContactGroup) -> dict[str, Any]:
    return {"id": group.pk, "name": group.name, "contacts": list(group.contacts.values_list("pk", flat=True))}


@transaction.atomic
def undo(user_id: int, key: uuid.UUID) -> Undone | None:
    """Contacts are as they were; what came into being is gone. None if that is not possible any more, or was done."""
    rows = list(ContactsBefore.objects.select_for_update().filter(user_id=user_id, key=key).order_by("-id"))
    if not rows:
        return None
    emails: set[str] = set()
    taken: list[str] = []
    for row in rows:
        row.delete()
        taken += _undo(user_id, row.before, emails)
    suggestions.refresh(user_id, emails)
    return Undone(rows[0].what, tuple(taken))


def _undo(user_id: int, state: dict[str, Any], emails: set[str]) -> list[str]:
    """The addresses that were taken; all that are concerned come into ``emails``."""
    emails |= set(_take_away(user_id, state["made"]))
    taken: list[str] = []
    # First all that these have now: what went from one to another can then go back.
    ids = [one["id"] for one in state["contacts"]]
    emails |= set(_addresses(user_id, ids).values_list("email", flat=True))
    _addresses(user_id, ids).delete()
    for one in state["contacts"]:
        taken += _give_back(user_id, one, emails)
    for one in state["groups"]:
        _regroup(user_id, one)
    return taken


def _addresses(user_id: int, ids: Sequence[int]) -> Any:
    return ContactAddress.objects.filter(user_id=user_id, contact__in=ids)


def _take_away(user_id: int, made: Sequence[int]) -> list[str]:
    emails: list[str] = []
    for place in range(0, len(made), BATCH):
        some = made[place : place + BATCH]
        emails += _addresses(user_id, some).values_list("email", flat=True)
        touch(some)
        Contact.objects.filter(user_id=user_id, pk__in=some).delete()
    RemoteCard.objects.filter(book__user=user_id, contact=None, href="").delete()  # was never put there
    return emails


def _give_back(user_id: int, state: dict[str, Any], emails: set[str]) -> list[str]:
    contact = Contact.objects.filter(user_id=user_id, pk=state["id"]).first()
    contact = contact or Contact(
        pk=state["id"],
        user_id=user_id,
        uid=uuid.UUID(state["uid"]),
        created_at=datetime.fromisoformat(state["created_at"]),
    )
    for name in COLUMNS:
        setattr(contact, name, state[name])
    contact.save()
    wanted = {written.lower()[:320]: (written, kind) for written, kind in state["addresses"]}
    others = ContactAddress.objects.filter(user_id=user_id, email__in=wanted).values_list("email", flat=True)
    taken = set(others)
    ContactAddress.objects.bulk_create(
        ContactAddress(user_id=user_id, contact=contact, email=email, written=written, kind=kind, position=place)
        for place, (email, (written, kind)) in enumerate(wanted.items(), 1)
        if email not in taken
    )
    emails |= set(wanted)
    contact.groups.set(ContactGroup.objects.filter(user_id=user_id, pk__in=state["groups"]))
    _rejoin(user_id, contact, state["card"])
    return [wanted[email][0] for email in sorted(taken)]


def _rejoin(user_id: int, contact: Contact, card: list[int] | None) -> None:
    """On the server too; under a new name where it is deleted there already."""
    if card is None:
        return
    pk, book_id = card
    row = RemoteCard.objects.filter(pk=pk, book__user=user_id).first()
    if row is None and AddressBook.objects.filter(pk=book_id, user=user_id).exists():
        row = RemoteCard(book_id=book_id)
    if row is not None:
        row.contact = contact
        row.save()
    touch([contact.pk])


def _regroup(user_id: int, state: dict[str, Any]) -> None:
    sort = state["name"].casefold()[:100]
    group = ContactGroup.objects.filter(user_id=user_id, sort=sort).first()  # made again meanwhile
    if group is None:
        group = ContactGroup(pk=state["id"], user_id=user_id, name=state["name"])
        group.save()
    group.contacts.add(*Contact.objects.filter(user_id=user_id, pk__in=state["contacts"]))
    touch(state["contacts"])


def forget_old() -> None:
    ContactsBefore.objects.filter(created_at__lt=timezone.now() - KEPT).delete()
