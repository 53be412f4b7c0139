"""What a person searched for: searches they saved, each with how many unread messages it finds, and the last few.

Nothing is counted while somebody waits. Whatever changes mail marks the saved searches of its person (``outdated``), a task
counts those that are marked, each for a moment only, and announces what became of it. A mark is taken away before its search
is counted: what changes meanwhile marks it again. A removed search stays for a day, so that Undo can bring it back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.models import User
from webmail import events, search
from webmail.models import Search
from webmail.prepared import Integer, Prepared
from webmail.search.language import And, Is

MOST_SAVED = 50  # of one person
MOST_RECENT = 10
MOST_COUNTED = 99  # messages
PATIENCE = 0.5  # seconds for each count
REFINING = timedelta(minutes=10)  # what is searched for within it and goes on from what was before takes its place
COUNTED_ANEW = timedelta(hours=6)  # by itself: days pass for "today"
ACTIVE = timedelta(days=7)  # people who were not here for so long see what is counted when they come back
KEPT_REMOVED = timedelta(days=1)


class TooMany(Exception):
    """There are MOST_SAVED."""


def saved(user_id: int) -> QuerySet[Search]:
    return Search.objects.filter(user_id=user_id, removed_at=None).exclude(name="")


_saved = Prepared(saved, Integer)
_undue = Prepared(lambda user: saved(user).filter(count_due=False).values_list("pk"), Integer)


def saved_of(user: User) -> list[Search]:
    """By name; of most people without a look at the database."""
    return sorted(_saved(user.pk), key=lambda one: (one.name.casefold(), one.pk)) if user.saved_searches else []


def saved_as(user: User, text: str) -> Search | None:
    """The one that searches for just this."""
    return next((one for one in saved_of(user) if one.text == text.strip()), None)


# --- saving ---------------------------------------------------------------------------------------------------------


def named(text: str) -> str:
    """What a search may be called, of what was typed as its name or of itself; "" for nothing at all."""
    return " ".join(search.parse(text, timezone.localdate()).text.split())[:100]


def save(user: User, text: str, name: str = "") -> Search | None:
    """Again under another name if it is saved already; None where nothing is searched for. Raises TooMany."""
    asked = search.parse(text, timezone.localdate())
    text = asked.text[: search.MAX_LENGTH].strip()
    if asked.tree is None:
        return None
    with _kept_count(user):
        found = saved(user.pk).filter(text=text).first()
        if found is None and saved(user.pk).count() >= MOST_SAVED:
            raise TooMany
        kept = found or Search(user=user, text=text, count_due=True)
        kept.name = named(name) or named(text)
        kept.save()
    return kept


def rename(one: Search, name: str) -> None:
    one.name = named(name) or one.name
    one.save(update_fields=["name"])
    events.publish(one.user_id, "searches")


def remove(one: Search) -> None:
    with _kept_count(one.user):
        Search.objects.filter(pk=one.pk, removed_at=None).update(removed_at=timezone.now())


def bring_back(one: Search) -> None:
    """Unless it was saved anew meanwhile. Raises TooMany."""
    with _kept_count(one.user):
        others = saved(one.user_id).exclude(pk=one.pk)
        if others.filter(text=one.text).exists():
            return
        if others.count() >= MOST_SAVED:
            raise TooMany
        Search.objects.filter(pk=one.pk).update(removed_at=None, count_due=True)


@contextmanager
def _kept_count(user: User) -> Iterator[None]:
    """One at a time for each person; after it their row says how many they have, and open pages hear of it."""
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        yield
        user.saved_searches = saved(user.pk).count()
        user.save(update_fields=["saved_searches"])
        events.publish(user.pk, "searches")


def forget_old() -> None:
    Search.objects.filter(removed_at__lt=timezone.now() - KEPT_REMOVED).delete()


# --- recent ---------------------------------------------------------------------------------------------------------


def recent_of(user_id: int) -> QuerySet[Search]:
    return Search.objects.filter(user_id=user_id, name="").order_by("-used_at", "-pk")


def remember(user: User, text: str) -> None:
    """Somebody used this search. What it goes on from, or was cut down from, a moment ago is not kept beside it."""
    asked = search.parse(text, timezone.localdate())
    text = asked.text[: search.MAX_LENGTH].strip()
    if asked.tree is None:
        return
    with transaction.atomic():
        latest = recent_of(user.pk).filter(used_at__gt=timezone.now() - REFINING).first()
        if latest and (text.startswith(latest.text) or latest.text.startswith(text)):
            latest.delete()
        recent_of(user.pk).filter(text=text).delete()
        Search.objects.create(user=user, text=text)
        kept = recent_of(user.pk).values_list("pk", flat=True)[:MOST_RECENT]
        recent_of(user.pk).exclude(pk__in=list(kept)).delete()


# --- counting -------------------------------------------------------------------------------------------------------


def outdated(user_id: int) -> bool:
    """Their mail changed: what they saved is to be counted. True if nobody was told that yet."""
    found = [pk for (pk,) in _undue(user_id)]
    return bool(found and Search.objects.filter(pk__in=found).update(count_due=True))


def is_due(user_id: int) -> bool:
    return saved(user_id).filter(count_due=True).exists()


def due(most: int = 100) -> list[int]:
    """People of whom something is to be counted, by ids; also because of the time that passed."""
    now = timezone.now()
    old = Q(counted_at__lt=now - COUNTED_ANEW) | Q(counted_at=None)
    uncounted = Search.objects.exclude(name="").filter(old, removed_at=None, count_due=False)
    uncounted.filter(user__active_at__gt=now - ACTIVE).update(count_due=True)
    marked = Search.objects.filter(count_due=True, removed_at=None).order_by("user_id")
    return list(marked.values_list("user_id", flat=True).distinct()[:most])


def count(user: User) -> None:
    """Count what is marked, and tell open pages if that changed anything."""
    changed = False
    for one in saved(user.pk).filter(count_due=True):
        Search.objects.filter(pk=one.pk).update(count_due=False)
        unread, more = number_unread(user, one.text)
        Search.objects.filter(pk=one.pk).update(unread=unread, more=more, counted_at=timezone.now())
        changed |= (unread, more) != (one.unread, one.more)
    if changed:
        events.publish(user.pk, "searches")


def number_unread(user: User, text: str, patience: float = PATIENCE) -> tuple[int, bool]:
    """How many unread messages are found, and whether there may be more than that: there are over MOST_COUNTED, or the time
    ran out."""
    tree = search.parse(text, timezone.localdate(timezone=user.zone)).tree
    if tree is None:
        return 0, False
    parts = tree.children if isinstance(tree, And) else (tree,)
    ends = time.monotonic() + patience
    finder = search.Finder(user, And((*parts, Is("unread"))))  # part of what is asked: it may be what is rarest
    number = sum(1 for _one in islice(finder.each(patience=patience), MOST_COUNTED + 1))
    return min(number, MOST_COUNTED), number > MOST_COUNTED or time.monotonic() > ends
