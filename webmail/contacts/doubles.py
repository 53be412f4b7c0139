"""Contacts that are likely one person: of the same name, in whatever order and with whatever accents it is written, or with
the same telephone. Nobody has an address of somebody else, so that is no sign."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import User
from webmail import suggestions
from webmail.contacts import before
from webmail.contacts.book import MAX_ADDRESSES, remove, touch
from webmail.contacts.exchange import add_to, card_of
from webmail.models import Contact, ContactAddress, DistinctContacts, RemoteCard

MOST = 50  # pairs that are shown
CROWD = 4  # contacts with one number: more is a switchboard
DIGITS = 8  # the last of a number; what is before them is written or not


class TooMany(Exception):
    """One contact cannot have all the addresses of both."""


def doubles(user: User) -> list[tuple[Contact, Contact]]:
    """Pairs, by name; not those that the person said are two."""
    apart = set(DistinctContacts.objects.filter(first__user=user).values_list("first_id", "second_id"))
    rows = Contact.objects.for_user(user).order_by("sort", "id").values_list("pk", "name", "phones")
    pairs = (pair for pair in _pairs(list(rows)) if pair not in apart)
    found = list(itertools.islice(dict.fromkeys(pairs), MOST))
    contacts = Contact.objects.for_user(user).prefetch_related("addresses", "groups")
    people = contacts.in_bulk({pk for pair in found for pk in pair})
    return [(people[one], people[other]) for one, other in found if one in people and other in people]


def _pairs(rows: Sequence[tuple[int, str, list[list[str]]]]) -> Iterator[tuple[int, int]]:
    """Ids, the lower first."""
    named: dict[tuple[str, ...], list[int]] = {}
    called: dict[str, list[int]] = {}
    for pk, name, phones in rows:
        if words := tuple(sorted(suggestions.name_words(name))):
            named.setdefault(words, []).append(pk)
        digits = {"".join(filter(str.isdigit, number))[-DIGITS:] for number, _kind in phones}
        for number in digits:
            if len(number) == DIGITS:
                called.setdefault(number, []).append(pk)
    for together in itertools.chain(named.values(), (some for some in called.values() if len(some) <= CROWD)):
        for one, other in itertools.pairwise(together):
            yield (min(one, other), max(one, other))


def merge(one: Contact, other: Contact) -> tuple[Contact, uuid.UUID]:
    """All that both have is one contact's, and what takes it back. It is the one that stands on a server, else ``one``.
    Raises TooMany."""
    if not RemoteCard.objects.filter(contact=one).exists() and RemoteCard.objects.filter(contact=other).exists():
        one, other = other, one
    emails = set(ContactAddress.objects.filter(contact__in=[one, other]).values_list("email", flat=True))
    if len(emails) > MAX_ADDRESSES:
        raise TooMany(_("Together they have more than %(n)d addresses.") % {"n": MAX_ADDRESSES})
    with transaction.atomic():
        key = before.remember(one.user_id, _("%(name)s: two made one") % {"name": one.name}, [one, other])
        card, groups, source = card_of(other), list(other.groups.all()), other.vcard
        remove(other)
        add_to(one, card, {})
        one.vcard = one.vcard or source
        one.save()
        one.groups.add(*groups)
        touch([one.pk])
        suggestions.refresh(one.user_id, emails)
    return one, key


def keep_apart(one: Contact, other: Contact) -> None:
    first, second = sorted((one.pk, other.pk))
    DistinctContacts.objects.get_or_create(first_id=first, second_id=second)
