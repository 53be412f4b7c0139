"""Who a message may be meant for, while somebody types: over contacts and everybody their accounts have mail from or to.

An *addressee* is an address, once for each person, with the words it is found by; all of it can be made anew from contacts
and correspondents. Those carry a mark, ``suggested``, which whoever changes them takes off; ``catch_up`` makes anew what
has none, in bounded batches, so that sync pays nothing for it. What a person does themselves is ``refresh``ed at once.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.db import transaction
from django.db.models import BinaryField, Exists, F, OuterRef
from django.db.models.lookups import In

from accounts.models import Account
from webmail import mime
from webmail.models import Addressee, AddresseeWord, ContactAddress, ContactGroup, Correspondent
from webmail.prepared import Integer, Prepared

MOST = 8  # that are suggested
LOOKED_AT = 64  # words, of which several may be one addressee's
MAX_TYPED = 5  # words of what is typed that count
MAX_WORDS = 20  # of one addressee
MAX_WORD = 40  # characters of a word that count; 160 octets at most
MAX_GROUP = 100  # members that are filled in at once
BATCH = 500  # addresses that are made anew in one transaction
DOUBLED = 30 * 24  # hours of lateness that writing twice as often makes up for
HEARD, NEITHER = -1_000_000, -2_000_000  # ranks of those who only wrote, and of those of whom there is no mail

# What has no accent to be taken off, and is typed as another letter where a keyboard lacks it.
_PLAIN = str.maketrans(
    {"ø": "o", "æ": "ae", "œ": "oe", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ħ": "h", "ı": "i", "ŧ": "t", "ŋ": "n"}
)
_WORDS = re.compile(r"[^\W_]+")
_TYPED = re.compile(r"[\s,;<>()\"]+")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """``text`` is what a To field takes; ``contact`` is the id of one, or None."""

    name: str
    email: str
    text: str
    contact: int | None = None
    group: bool = False


def fold(text: str) -> str:
    """Without case and accents: ``Søren`` is ``soren``."""
    text = text.casefold()
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text).translate(_PLAIN)
    return "".join(char for char in apart if not unicodedata.combining(char)).casefold()


def name_words(name: str) -> set[str]:
    return set(_WORDS.findall(fold(name)))


def words_of(name: str, email: str) -> set[str]:
    """Each begins with what may be typed to find this address: words of the name, the address, pieces of its local part,
    its domain and the domains above that one, short of the topmost."""
    email = fold(email)
    local, _at, domain = email.rpartition("@")
    labels = domain.split(".")
    above = [".".join(labels[place:]) for place in range(max(1, len(labels) - 1))]
    found = dict.fromkeys([email, *_WORDS.findall(fold(name)), *above, *_WORDS.findall(local)])
    return {word[:MAX_WORD] for word in list(found)[:MAX_WORDS] if word}


def rank(times: int, written_at: datetime | None, heard_at: datetime | None, again: bool = False) -> int:
    """In hours, so that nothing has to grow old: the hour of the last message to them, later by DOUBLED for each time the
    number of these doubles."""
    if written_at is not None:
        return math.floor(written_at.timestamp() / 3600 + DOUBLED * math.log2(max(1, times)))
    if heard_at is not None:
        return math.floor(heard_at.timestamp() / 3600 + DOUBLED * again) + HEARD
    return NEITHER


# --- making ------------------------------------------------------------------------------------------------------------------


def refresh(user_id: int, emails: Iterable[str]) -> None:
    """Make the addressees of these addresses anew from what contacts and correspondents say now; in the caller's
    transaction if there is one."""
    asked = sorted({email.lower()[:320] for email in emails if email})
    for place in range(0, len(asked), BATCH):
        with transaction.atomic():
            _make(user_id, asked[place : place + BATCH])


def _make(user_id: int, emails: Sequence[str]) -> None:
    made = _addressees(user_id, emails)
    gone = [email for email in emails if email not in made]
    if gone:
        Addressee.objects.filter(user_id=user_id, email__in=gone).delete()
    if not made:
        return
    rows = Addressee.objects.bulk_create(
        made.values(),
        update_conflicts=True,
        unique_fields=["user", "email"],
        update_fields=["written", "name", "contact", "rank"],
    )
    AddresseeWord.objects.filter(addressee__in=[row.pk for row in rows]).delete()
    AddresseeWord.objects.bulk_create(
        (
            AddresseeWord(user_id=user_id, addressee_id=row.pk, word=word.encode(), rank=row.rank)
            for row in rows
            for word in sorted(words_of(row.name, row.email))
        ),
        batch_size=2000,
    )
    ContactAddress.objects.filter(user_id=user_id, email__in=emails, suggested=False).update(suggested=True)


def _addressees(user_id: int, emails: Sequence[str]) -> dict[str, Addressee]:
    found: dict[str, Addressee] = {}
    accounts = list(Account.objects.filter(user_id=user_id).values_list("pk", flat=True))
    for one in Correspondent.objects.filter(account__in=accounts, email__in=emails):
        if not mime.is_email(one.email):
            continue
        height = rank(one.times_written, one.written_at, one.heard_at, one.again)
        row = found.setdefault(
            one.email, Addressee(user_id=user_id, email=one.email, written=one.email, name="", rank=height)
        )
        row.name = row.name or mime.clean(one.name)
        row.rank = max(row.rank, height)
    for address in ContactAddress.objects.filter(user_id=user_id, email__in=emails).select_related("contact"):
        row = found.setdefault(address.email, Addressee(user_id=user_id, email=address.email, rank=NEITHER))
        row.written, row.contact = address.written, address.contact
        row.name = "" if address.contact.name.lower() == address.email else address.contact.name
    return dict(sorted(found.items()))  # one order, so that two writers never wait for each other


def catch_up(limit: int = BATCH) -> bool:
    """Make anew some of what is marked as changed; True if there may be more. A mark is set before the row is read: what
    changes meanwhile is marked again."""
    more = False
    with transaction.atomic():
        news = Correspondent.objects.filter(suggested=False).order_by("id").select_for_update(skip_locked=True)
        rows = list(news.values_list("pk", "account__user_id", "email")[:limit])
        Correspondent.objects.filter(pk__in=[pk for pk, _user, _email in rows]).update(suggested=True)
        more |= len(rows) == limit
        _refresh_each((user, email) for _pk, user, email in rows)
    with transaction.atomic():
        ours = ContactAddress.objects.filter(suggested=False).order_by("id").select_for_update(skip_locked=True)
        found = list(ours.values_list("user_id", "email")[:limit])
        _refresh_each(found)
    return more or len(found) == limit


def _refresh_each(found: Iterable[tuple[int, str]]) -> None:
    by_user: dict[int, list[str]] = {}
    for user, email in found:
        by_user.setdefault(user, []).append(email)
    for user in sorted(by_user):
        refresh(user, by_user[user])


def forget_orphans(user_id: int) -> None:
    """After an account is gone: those whom only its mail knew."""
    known = Correspondent.objects.filter(account__user_id=user_id, email=OuterRef("email"))
    Addressee.objects.filter(user_id=user_id, contact=None).exclude(Exists(known)).delete()


# --- finding -----------------------------------------------------------------------------------------------------------------

_Octets = BinaryField()


@cache
def _found(words: int) -> Prepared[tuple[int]]:
    """Ids of addressees that have a word in each of so many ranges, the highest first; some of them several times."""

    def build(user: Any, *bounds: Any) -> Any:
        ranges = [
            AddresseeWord.objects.filter(user_id=user, word__gte=bounds[place], word__lt=bounds[place + 1])
            for place in range(0, 2 * words, 2)
        ]
        rows = ranges[0]
        for other in ranges[1:]:
            rows = rows.filter(addressee_id__in=other.values("addressee_id"))
        return rows.order_by("-rank", "addressee_id").values_list("addressee_id")[:LOOKED_AT]

    return Prepared(build, Integer, *[_Octets] * (2 * words))


_read = Prepared(
    lambda user, *ids: Addressee.objects.filter(In(F("pk"), ids), user_id=user), Integer, *[Integer] * MOST
)
_groups = Prepared(
    lambda user: ContactGroup.objects.filter(user_id=user).order_by("sort").values_list("pk", "name"), Integer
)


def suggest(user_id: int, typed: str) -> list[Suggestion]:
    """At most MOST whose name or address has a word beginning with each that is typed."""
    words = typed_words(typed)
    if not words:
        return []
    groups = [(pk, name) for pk, name in _groups(user_id) if _fits(fold(name), words)][:2]
    found = [_of_group(pk, name) for pk, name in groups]
    return [one for one in found if one] + _people(user_id, words)[: MOST - len(found)]


def typed_words(typed: str) -> list[str]:
    """The longest first: it is the one that fewest have."""
    words = {fold(word)[:MAX_WORD] for word in _TYPED.split(typed[:200]) if word}
    return sorted(filter(None, words), key=lambda word: (-len(word), word))[:MAX_TYPED]


def _fits(text: str, words: Sequence[str]) -> bool:
    there = _WORDS.findall(text)
    return all(any(one.startswith(word) for one in there) for word in words)


def _people(user_id: int, words: Sequence[str]) -> list[Suggestion]:
    bounds = [bound for word in words for bound in (word.encode(), _after(word.encode()))]
    ids = list(dict.fromkeys(pk for (pk,) in _found(len(words))(user_id, *bounds)))[:MOST]
    if not ids:
        return []
    rows = {row.pk: row for row in _read(user_id, *ids, *[0] * (MOST - len(ids)))}
    return [_of(rows[pk]) for pk in ids if pk in rows]


def _after(octets: bytes) -> bytes:
    """The least that is above all that begin so; UTF-8 has no octet 0xFF."""
    return octets[:-1] + bytes([octets[-1] + 1])


def _of(row: Addressee) -> Suggestion:
    text = mime.format_address(mime.Address(row.name, row.written))
    return Suggestion(row.name, row.written, text, row.contact_id)


def _of_group(pk: int, name: str) -> Suggestion | None:
    text = ", ".join(members(pk)[:MAX_GROUP])
    return Suggestion(name, "", text, None, True) if text else None


def members(group_id: int) -> list[str]:
    """The first address of each contact in it, as a To field takes it."""
    rows = (
        ContactAddress.objects.filter(contact__groups=group_id)
        .order_by("contact__sort", "contact_id", "position", "id")
        .values_list("contact_id", "contact__name", "written")
    )
    first: dict[int, str] = {}
    for contact, name, written in rows:
        first.setdefault(contact, mime.format_address(mime.Address("" if name == written else name, written)))
    return list(first.values())
