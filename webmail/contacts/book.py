"""The person's address book: who is in it, adding somebody, changing and removing them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.lookups import In
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import User
from webmail import mime, suggestions
from webmail.models import AddressBook, Contact, ContactAddress, RemoteCard
from webmail.prepared import Address, Integer, Prepared

MAX_ADDRESSES = 20  # of one contact
BATCH = 500


@cache
def _of_addresses(number: int) -> Prepared[tuple[str, int]]:
    return Prepared(
        lambda user, *emails: ContactAddress.objects.filter(In(F("email"), emails), user_id=user).values_list(
            "email", "contact_id"
        ),
        Integer,
        *[Address] * number,
    )


class Invalid(Exception):
    """What is typed is no contact: a sentence for each field."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


class Known(Exception):
    """One of the addresses is in the book already."""

    def __init__(self, contact: Contact) -> None:
        super().__init__(contact.name)
        self.contact = contact


def known(user: User, emails: Iterable[str]) -> dict[str, int]:
    """Contacts by their addresses, in lower case."""
    asked = {email.lower()[:320] for email in emails}
    if not asked:
        return {}
    size = -(-len(asked) // 10) * 10  # few statements for all sizes
    return dict(_of_addresses(size)(user.pk, *asked, *[""] * (size - len(asked))))


def found(user: User, query: str) -> QuerySet[Contact]:
    """All whose name, organisation or an address has each of the words."""
    contacts = Contact.objects.for_user(user)
    for word in query.casefold().split()[:10]:
        addressed = Q(pk__in=ContactAddress.objects.filter(user=user, email__contains=word).values("contact_id"))
        contacts = contacts.filter(Q(sort__contains=word) | Q(organisation__icontains=word) | addressed)
    return contacts.order_by("sort", "id")


def add(user: User, contact: Contact, emails: Sequence[tuple[str, str]]) -> Contact:
    """``emails`` are (address, kind). Raises Known, and Invalid; nothing is changed then."""
    contact.user = user
    return _save(contact, emails)


def change(contact: Contact, emails: Sequence[tuple[str, str]]) -> Contact:
    """As ``add``: its columns as they are set, its addresses these and no others."""
    return _save(contact, emails)


def remove(contact: Contact) -> None:
    """For good; ``before.remember`` keeps what it was."""
    emails = list(contact.addresses.values_list("email", flat=True))
    with transaction.atomic():
        touch([contact.pk])
        RemoteCard.objects.filter(contact=contact, href="").delete()  # the server has never heard of it
        contact.delete()
        suggestions.refresh(contact.user_id, emails)


def new_in(contact: Contact, book: AddressBook) -> None:
    """Keep a contact in a book on a server too."""
    RemoteCard.objects.get_or_create(contact=contact, defaults={"book": book})
    touch([contact.pk])


def put(contact: Contact, emails: Sequence[tuple[str, str]]) -> None:
    """As a server has it: its columns as they are set, these addresses but for those of others and what is none. Nothing
    of it is for the server to hear."""
    with transaction.atomic():
        contact.save()
        before = list(contact.addresses.values_list("email", flat=True))
        contact.addresses.all().delete()
        wanted = {email.lower()[:320]: (email, kind) for email, kind in reversed(emails) if mime.is_email(email)}
        others = ContactAddress.objects.filter(user=contact.user, email__in=wanted)
        for email in others.values_list("email", flat=True):
            del wanted[email]
        ContactAddress.objects.bulk_create(
            ContactAddress(
                user=contact.user, contact=contact, email=email, written=written[:320], kind=kind[:20], position=place
            )
            for place, (email, (written, kind)) in enumerate(list(reversed(wanted.items()))[:MAX_ADDRESSES], 1)
        )
        suggestions.refresh(contact.user_id, [*before, *wanted])


_nudge: Callable[[int], None] | None = None


def on_change(nudge: Callable[[int], None]) -> None:
    """``nudge`` has an address book synced soon, by its id."""
    global _nudge
    _nudge = nudge


def touch(ids: Sequence[int]) -> None:
    """What was changed of contacts is for their servers to hear; in the caller's transaction."""
    books: set[int] = set()
    for place in range(0, len(ids), BATCH):
        cards = RemoteCard.objects.filter(contact__in=ids[place : place + BATCH])
        books |= set(cards.values_list("book_id", flat=True))
        cards.update(changed=True, failures=0)
        Contact.objects.filter(pk__in=ids[place : place + BATCH]).update(changed_at=timezone.now())
    for book in sorted(books):
        AddressBook.objects.filter(pk=book).update(due_at=timezone.now())
        if _nudge:
            transaction.on_commit(partial(_nudge, book))


def _save(contact: Contact, emails: Sequence[tuple[str, str]]) -> Contact:
    addresses = _addresses(contact, emails)
    contact.name = mime.clean(contact.name)[:255] or (addresses[0].written if addresses else "")
    if not contact.name:
        raise Invalid({"name": _("Give a name or an address.")})
    fresh = contact._state.adding
    taken = ContactAddress.objects.filter(user=contact.user, email__in=[one.email for one in addresses])
    try:
        with transaction.atomic():
            contact.save()
            before = list(contact.addresses.values_list("email", flat=True))
            contact.addresses.all().delete()
            ContactAddress.objects.bulk_create(addresses)
            touch([contact.pk])
            suggestions.refresh(contact.user_id, [*before, *(one.email for one in addresses)])
    except IntegrityError as error:
        other = taken.exclude(contact=contact.pk).select_related("contact").first()
        if other is None:
            raise
        if fresh:  # it was not saved after all
            contact.pk, contact._state.adding = None, True
        raise Known(other.contact) from error
    return contact


def _addresses(contact: Contact, emails: Sequence[tuple[str, str]]) -> list[ContactAddress]:
    made: dict[str, ContactAddress] = {}
    bad = [email for email, _kind in emails if not mime.is_email(email)]
    if bad:
        pieces = ", ".join(f"“{email}”" for email in bad)
        raise Invalid({"emails": _("Not a mail address: %(pieces)s") % {"pieces": pieces}})
    if len(emails) > MAX_ADDRESSES:
        raise Invalid({"emails": _("At most %(n)d addresses.") % {"n": MAX_ADDRESSES}})
    for email, kind in emails:
        key = email.lower()[:320]
        fresh = ContactAddress(user=contact.user, contact=contact, email=key, written=email[:320], kind=kind[:20])
        fresh.position = made.setdefault(key, fresh).position or len(made)
    return list(made.values())


def from_card(card: mime.Card) -> tuple[Contact, list[tuple[str, str]]]:
    """What ``add`` takes, from a vCard."""
    contact = Contact(
        name=card.name, organisation=card.organisation, title=card.title, phones=[list(one) for one in card.phones],
        postal=card.address, note=card.note, vcard=card.source,
    )  # fmt: skip
    return contact, list(card.emails)
