"""Contacts put together under a name."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts.models import User
from webmail import mime
from webmail.contacts import before
from webmail.contacts.book import touch
from webmail.models import Contact, ContactGroup

MAX_GROUPS = 200  # of one person
BATCH = 500


class BadGroup(Exception):
    """What is asked for cannot be; the words say why."""


def create_group(user: User, name: str) -> ContactGroup:
    """Raises BadGroup."""
    if ContactGroup.objects.for_user(user).count() >= MAX_GROUPS:
        raise BadGroup(_("At most %(n)d groups.") % {"n": MAX_GROUPS})
    return _named(ContactGroup(user=user), name)


def rename_group(group: ContactGroup, name: str) -> ContactGroup:
    """Raises BadGroup."""
    with transaction.atomic():
        renamed = _named(group, name)
        touch(list(group.contacts.values_list("pk", flat=True)))
    return renamed


def _named(group: ContactGroup, name: str) -> ContactGroup:
    group.name = mime.clean(name)[:100]
    if not group.name:
        raise BadGroup(_("Give the group a name."))
    try:
        with transaction.atomic():
            group.save()
    except IntegrityError as error:
        raise BadGroup(_("There is a group of this name already.")) from error
    return group


def gather(group: ContactGroup, ids: Iterable[int]) -> int:
    """Put contacts in; how many were not in it."""
    there = set(group.contacts.values_list("pk", flat=True))
    wanted = [pk for pk in _own(group, ids) if pk not in there]
    with transaction.atomic():
        for place in range(0, len(wanted), BATCH):
            group.contacts.add(*wanted[place : place + BATCH])
        touch(wanted)
    return len(wanted)


def scatter(group: ContactGroup, ids: Iterable[int]) -> int:
    """Take contacts out; how many were in it."""
    there = set(group.contacts.values_list("pk", flat=True))
    wanted = [pk for pk in _own(group, ids) if pk in there]
    with transaction.atomic():
        for place in range(0, len(wanted), BATCH):
            group.contacts.remove(*wanted[place : place + BATCH])
        touch(wanted)
    return len(wanted)


def _own(group: ContactGroup, ids: Iterable[int]) -> list[int]:
    asked = sorted(set(ids))
    found: list[int] = []
    for place in range(0, len(asked), BATCH):
        some = Contact.objects.filter(user=group.user_id, pk__in=asked[place : place + BATCH])
        found += some.order_by("pk").values_list("pk", flat=True)
    return found


def remove_group(group: ContactGroup) -> uuid.UUID:
    """Its contacts stay. What takes it back."""
    with transaction.atomic():
        key = before.remember(group.user_id, group.name, groups=[group])
        touch(list(group.contacts.values_list("pk", flat=True)))
        group.delete()
    return key
