"""What a list of messages shows: its scope, one page of it by keyset, and each row's values made ready in Python.

Fifty rows that compute in the template cost several times what they cost here, so the template only prints.
"""

from __future__ import annotations

import heapq
import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import Http404
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import get_language, gettext_lazy, ngettext, pgettext
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.requests import Request
from webmail import conversations, search, threads
from webmail.models import Cursor, Mailbox, Message
from webmail.operations import last_id
from webmail.prepared import Integer, Moment, Prepared
from webmail.selection import Selection


class Listed(NamedTuple):
    """What a list reads of a message: models cost three times as much."""

    id: int
    account_id: int
    mailbox_id: int
    thread_id: int | None
    subject: str
    from_name: str
    from_email: str
    received_at: datetime
    preview: str
    has_attachment: bool
    seen: bool
    flagged: bool
    answered: bool
    addresses: dict[str, list[list[str]]] = {}  # only where rows name whom a message is to

    @property
    def pk(self) -> int:
        return self.id


ROW_FIELDS = Listed._fields[:-1]
FILTERS: dict[str, dict[str, Any]] = {
    "unread": {"seen": False},
    "starred": {"flagged": True},
    "files": {"has_attachment": True},
}
BEST = "best"  # the order of a search that is not by time
# Roles of which there is a list over all accounts, at the address of the same name.
UNIFIED = {"inbox": gettext_lazy("Inbox"), "drafts": gettext_lazy("Drafts"), "sent": gettext_lazy("Sent")}


@dataclass
class Scope:
    """Which messages a list is about: some mailboxes, or all of the person's under a condition.

    ``key`` names it in URLs ("inbox", "sent", "unread", "search", "folder-7"); ``query`` is what is searched for, ``best`` says
    that the best comes first, not the newest."""

    user: User
    key: str
    title: str
    url: str
    mailboxes: list[Mailbox] = field(default_factory=list)
    everywhere: dict[str, Any] | None = None
    filter: str = ""
    query: str = ""
    best: bool = False

    @property
    def can_thread(self) -> bool:
        """What went out is looked for message by message."""
        return not self.outgoing

    @property
    def threaded(self) -> bool:
        """One row for each conversation."""
        return self.user.conversations and self.can_thread

    @property
    def mailbox(self) -> Mailbox | None:
        return self.mailboxes[0] if self.key.startswith("folder-") else None

    @property
    def outgoing(self) -> bool:
        """Rows name whom the message is to, not whom it is from."""
        role = self.mailbox.role if self.mailbox else self.key
        return role in ("sent", "drafts")

    @property
    def fields(self) -> tuple[str, ...]:
        """What its rows are made of."""
        return (*ROW_FIELDS, "addresses") if self.outgoing else ROW_FIELDS

    @property
    def total(self) -> int:
        return sum(m.total for m in self.mailboxes)

    @property
    def unread(self) -> int:
        """What the person wrote is never news to them, whatever another program marked."""
        return 0 if self.outgoing else sum(m.unread for m in self.mailboxes)

    def sources(self) -> list[QuerySet[Message]]:
        """One query per mailbox, each answered by one index from its top; they are merged, never sorted as a whole."""
        narrow = {**(self.everywhere or {}), **FILTERS.get(self.filter, {})}
        if self.everywhere is not None:
            hidden = [m.pk for m in _every_mailbox(self.user) if m.hidden or m.role in ("junk", "trash")]
            accounts = [account.pk for account in self.user.account_list]
            sources = [
                Message.objects.filter(account_id=pk, mailbox__isnull=False, **narrow).exclude(mailbox_id__in=hidden)
                for pk in accounts
            ]
        else:
            sources = [Message.objects.filter(mailbox_id=m.pk, **narrow) for m in self.mailboxes]
        return [conversations.newest_of_each(source, source) for source in sources] if self.threaded else [*sources]

    def page(self, after: Cursor | None, size: int, inclusive: bool = False) -> list[Listed]:
        """Up to ``size`` + 1 messages, newest first; the one too many tells that there is more."""
        if self.key == "search":
            return self._found(after, size, inclusive)
        if len(self.mailboxes) == 1:
            return list(itertools.starmap(Listed, self._rows(self.mailboxes[0], self.fields, after, size, inclusive)))
        if self.everywhere is not None:
            keys = [list(query.values_list(*KEY)) for query in self.queries(after, size, inclusive)]
        else:
            keys = [self._rows(mailbox, KEY, after, size, inclusive) for mailbox in self.mailboxes]
        # Most rows of several lists are not shown: their keys are merged, and only the page is read.
        wanted = [pk for _at, pk in itertools.islice(heapq.merge(*keys, reverse=True), size + 1)]
        return self.rows_of(wanted)

    @cached_property
    def asked(self) -> search.Query:
        """What is searched for."""
        return search.parse(self.query, timezone.localdate())

    @cached_property
    def results(self) -> search.Results:
        also = Q(**FILTERS.get(self.filter, {}))
        return search.Results(self.user, self.asked.tree, self.best, self.threaded, also)

    def _found(self, after: Cursor | None, size: int, inclusive: bool) -> list[Listed]:
        place = self.results.place_of(after) if after else search.Place()
        if after and inclusive:
            place = place._replace(after=Cursor(after.received_at, after.pk + 1))
        return self.rows_of(self.results.page(place, size + 1).ids)

    def rows_of(self, ids: Sequence[int]) -> list[Listed]:
        """What is listed of these messages, in their order."""
        if not ids:
            return []
        rows = {row[0]: Listed(*row) for row in Message.objects.filter(pk__in=ids).values_list(*self.fields)}
        return [rows[pk] for pk in ids if pk in rows]

    def _rows(
        self, mailbox: Mailbox, fields: tuple[str, ...], after: Cursor | None, size: int, inclusive: bool
    ) -> list[tuple[Any, ...]]:
        ask = _asked_each_click(self.filter, self.threaded, fields, size, after is not None, inclusive)
        return ask(mailbox.pk, after.received_at, after.pk) if after else ask(mailbox.pk)

    def queries(self, after: Cursor | None, size: int, inclusive: bool = False) -> list[QuerySet[Message]]:
        return [_newest(source, after, size, inclusive).only(*self.fields) for source in self.sources()]

    def place_of(self, message: Message) -> Cursor:
        """Where its row is: the message's own place, or that of the newest of its conversation in this list."""
        if self.threaded and message.thread_id and self.key != "search":
            if self.everywhere is None:
                found = _newest_in_folder(message.thread_id, message.mailbox_id)
            else:
                hidden = [m.pk for m in _every_mailbox(self.user) if m.hidden or m.role in ("junk", "trash")]
                inside = Message.objects.filter(thread_id=message.thread_id, mailbox__isnull=False, **self.everywhere)
                inside = inside.exclude(mailbox_id__in=hidden).order_by("-received_at", "-id")
                found = list(inside.values_list("received_at", "pk")[:1])
            if found:
                return Cursor(*found[0])
        return Cursor(message.received_at, message.pk)

    def neighbours(self, here: Cursor) -> tuple[int | None, int | None]:
        """The next newer and the next older row."""
        if self.key == "search":
            return self.results.beside(here)
        newer, older = self._beside(here, newer=True), self._beside(here, newer=False)
        return (min(newer)[1] if newer else None), (max(older)[1] if older else None)

    def _beside(self, here: Cursor, newer: bool) -> list[tuple[datetime, int]]:
        if self.everywhere is not None:
            beside = [_next(source, here, newer).values_list("received_at", "pk") for source in self.sources()]
            return [key for query in beside for key in query]
        ask = _asked_each_opening(self.filter, self.threaded, newer)
        return [key for mailbox in self.mailboxes for key in ask(mailbox.pk, here.received_at, here.pk)]

    def selection(self, until: str) -> Selection:
        """Everything in it, for an action on all; ``until`` is the cursor of the newest message that was shown."""
        where = {**(self.everywhere or {}), **FILTERS.get(self.filter, {})}
        mailboxes = tuple(mailbox.pk for mailbox in self.mailboxes)
        if self.everywhere is None and not mailboxes:
            raise Http404
        return Selection(mailboxes, where, self.query, last_id(), until, f"{timezone.localdate():%Y-%m-%d}")

    @cached_property
    def source(self) -> str:
        """How a message's address says from which list it was opened."""
        return urlencode({"in": self.key, **self._search})

    @property
    def _search(self) -> dict[str, str]:
        """How addresses say what is searched for."""
        return {**({"q": self.query} if self.query else {}), **({"sort": BEST} if self.best else {})}

    @property
    def narrow(self) -> str:
        """Where it is told by what a search can be narrowed."""
        return f"{reverse('narrowing')}?{urlencode(self._search)}"

    def href(self, **query: str) -> str:
        query = {k: v for k, v in {**self._search, "f": self.filter, **query}.items() if v}
        return self.url + (f"?{urlencode(query)}" if query else "")


KEY = ("received_at", "id")


def _newest(source: QuerySet[Message], after: Cursor | None, size: int, inclusive: bool) -> QuerySet[Message]:
    if after is not None:
        source = source.filter(after.older(inclusive))
    return source.order_by("-received_at", "-id")[: size + 1]


def _rows_of(mailbox: Any, filter: str, threaded: bool) -> QuerySet[Message]:
    source = Message.objects.filter(mailbox_id=mailbox, **FILTERS.get(filter, {}))
    return conversations.newest_of_each(source, source) if threaded else source


@cache
def _asked_each_click(
    filter: str, threaded: bool, fields: tuple[str, ...], size: int, further: bool, inclusive: bool
) -> Prepared[tuple[Any, ...]]:
    """A page of one mailbox; of a cursor's mailbox, received_at and id where it is a ``further`` one."""

    def build(mailbox: Any, *place: Any) -> QuerySet[Message, tuple[Any, ...]]:
        source = _rows_of(mailbox, filter, threaded)
        return _newest(source, Cursor(*place) if further else None, size, inclusive).values_list(*fields)

    return Prepared(build, Integer, *((Moment, Integer) if further else ()))


_newest_in_folder = Prepared(
    lambda thread, mailbox: (
        Message.objects.filter(thread_id=thread, mailbox_id=mailbox)
        .order_by("-received_at", "-id")
        .values_list("received_at", "id")[:1]
    ),
    Integer,
    Integer,
)


def _next(source: QuerySet[Message], here: Cursor, newer: bool) -> QuerySet[Message]:
    if newer:
        return source.filter(here.newer()).order_by("received_at", "id")[:1]
    return source.filter(here.older()).order_by("-received_at", "-id")[:1]


@cache
def _asked_each_opening(filter: str, threaded: bool, newer: bool) -> Prepared[tuple[datetime, int]]:
    """What stands beside a place in one mailbox."""

    def build(mailbox: Any, *place: Any) -> QuerySet[Message, tuple[datetime, int]]:
        source = _rows_of(mailbox, filter, threaded)
        return _next(source, Cursor(*place), newer).values_list("received_at", "id")

    return Prepared(build, Integer, Moment, Integer)


def number(text: str) -> int:
    """An id from a form or URL; 0, which is no row's, for anything else."""
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else 0


_mailboxes_of = Prepared(lambda user: Mailbox.objects.filter(account__user_id=user).defer("state"), Integer)


def _every_mailbox(user: User) -> list[Mailbox]:
    found: list[Mailbox] | None = user.__dict__.get("_mailboxes")
    if found is None:
        accounts = {account.pk: account for account in user.account_list}
        found = _mailboxes_of(user.pk)
        for mailbox in found:
            mailbox.account = accounts[mailbox.account_id]
        found.sort(key=lambda mailbox: mailbox.account.position)
        user.__dict__["_mailboxes"] = found
    return found


def mailboxes_of(user: User) -> list[Mailbox]:
    """All their folders in the order of their accounts, read once a request."""
    return [mailbox for mailbox in _every_mailbox(user) if not mailbox.hidden]


def place(messages: Iterable[Message], user: User) -> list[Message]:
    """Those in folders that the person sees, with account and folders at hand without asking the database again."""
    accounts = {account.pk: account for account in user.account_list}
    mailboxes = {mailbox.pk: mailbox for mailbox in _every_mailbox(user)}
    found = []
    for message in messages:
        mailbox = mailboxes.get(message.mailbox_id or 0)
        if mailbox is None or mailbox.hidden:
            continue
        message.account, message.mailbox = accounts[message.account_id], mailbox
        if message.remote_mailbox_id in mailboxes:
            message.remote_mailbox = mailboxes[message.remote_mailbox_id]
        found.append(message)
    return found


_own = Prepared(lambda pk, user: Message.objects.filter(pk=pk, account__user_id=user), Integer, Integer)


def own(request: Request, pk: int) -> Message:
    """Raises Http404 for a message that is not theirs or in no folder that they see."""
    found = place(_own(pk, request.user.pk), request.user)
    if not found:
        raise Http404
    return found[0]


_shown = Prepared(
    lambda pk, user: Message.objects.filter(pk=pk, account__user_id=user, mailbox__hidden=False), Integer, Integer
)


def own_alone(request: Request, pk: int) -> Message:
    """The same for what needs no folders beside it."""
    found = _shown(pk, request.user.pk)
    if not found:
        raise Http404
    return found[0]


def scope_of(user: User, key: str, filter: str = "", query: str = "", sort: str = "") -> Scope:
    """Raises Http404 for a key that names nothing of this person's."""
    filter = filter if filter in FILTERS else ""
    query = query.strip("\0")[: 2 * search.MAX_LENGTH]  # what is cut off here is not read either, and told of
    if key in UNIFIED:
        boxes = [mailbox for mailbox in mailboxes_of(user) if mailbox.role == key and mailbox.selectable]
        return Scope(user, key, str(UNIFIED[key]), reverse(key), boxes, filter=filter)
    if key == "unread":
        return Scope(user, key, _("Unread"), reverse("unread"), everywhere={"seen": False}, filter=filter)
    if key == "starred":
        return Scope(user, key, _("Starred"), reverse("starred"), everywhere={"flagged": True}, filter=filter)
    if key == "search":
        return Scope(
            user, key, _("Search"), reverse("search"), everywhere={}, filter=filter, query=query, best=sort == BEST
        )
    name, _dash, pk = key.partition("-")
    if name == "folder":
        wanted = number(pk)
        mailbox = next((m for m in mailboxes_of(user) if m.pk == wanted and m.selectable), None)
        if mailbox:
            return Scope(user, key, mailbox.title, reverse("folder", args=[mailbox.pk]), [mailbox], filter=filter)
    raise Http404


def scope_for(user: User, message: Message, key: str, query: str = "", sort: str = "") -> Scope:
    """The list a message was opened from, if it says so and is one, else its own folder."""
    if key and (key != "search" or query):
        try:
            return scope_of(user, key, query=query, sort=sort)
        except Http404:
            key = ""
    return scope_of(user, f"folder-{message.mailbox_id}")


# --- rows -------------------------------------------------------------------------------------------------------


class Look(NamedTuple):
    """Rows of equal look differ in nothing but their texts (``{% remembered %}``)."""

    colour: int
    seen: bool
    flagged: bool
    answered: bool
    clip: bool
    preview: bool  # there is one
    current: bool
    several: bool  # messages, of one conversation


class Row(NamedTuple):
    """All that a list prints of a message."""

    look: Look
    pk: int
    url: str
    who: str
    subject: str
    preview: str
    time: str
    stamp: str
    number: str = ""  # of messages, where there are several
    number_said: str = ""
    place: str = ""  # the folder, where the list has several


@dataclass(slots=True)
class Day:
    title: str
    dates: str
    rows: list[Row]


def days(scope: Scope, messages: Sequence[Message | Listed], current: int | None = None) -> list[Day]:
    """Rows under a heading per day, then per week and month, as the eye looks for them."""
    today = timezone.localdate()
    colours = {account.pk: account.colour for account in scope.user.account_list}
    mine = {account.address.lower() for account in scope.user.account_list}
    before, _zero, after = reverse("message", args=[0]).partition("0")
    after += "" if scope.mailbox else f"?{scope.source}"
    zone, language = timezone.get_current_timezone(), get_language() or ""
    found: list[Day] = []
    told = _summaries(scope, messages) if scope.threaded else {}
    for message in messages:
        when = message.received_at.astimezone(zone)
        title, dates = ("", "") if scope.best else _day_heading(when.date(), today, language)
        if not found or found[-1].title != title:
            found.append(Day(title, dates, []))
        look = Look(
            colours[message.account_id], message.seen, message.flagged, message.answered, message.has_attachment,
            bool(message.preview), message.pk == current, several=False,
        )  # fmt: skip
        row = Row(
            look, message.pk, f"{before}{message.pk}{after}", _who(message, mine, scope.outgoing),
            message.subject.strip() or _("(no subject)"), message.preview, _time_text(when, today, language),
            when.isoformat(timespec="minutes"),
        )  # fmt: skip
        summary = told.get(message.thread_id or 0)
        found[-1].rows.append(_of_conversation(row, summary, mine) if summary and summary.number > 1 else row)
    return found


def _summaries(scope: Scope, messages: Sequence[Message | Listed]) -> dict[int, conversations.Summary]:
    aside = {mailbox.pk for mailbox in mailboxes_of(scope.user) if mailbox.role in conversations.ASIDE}
    return conversations.summaries([(message.thread_id, message.mailbox_id or 0) for message in messages], aside)


def _of_conversation(row: Row, summary: conversations.Summary, mine: set[str]) -> Row:
    number, said = _number_texts(summary.number, get_language())
    return row._replace(
        look=row.look._replace(
            seen=not summary.unread, flagged=summary.flagged, clip=summary.has_attachment, several=True
        ),
        who=_names(summary.people, mine),
        subject=threads.plain_subject(row.subject) or row.subject,
        number=number,
        number_said=said,
    )


@lru_cache(maxsize=1000)
def _number_texts(number: int, _language: str) -> tuple[str, str]:
    """As it is printed, and as it is said."""
    return f"{number:,}".replace(",", "\u202f"), ngettext("%(n)d message", "%(n)d messages", number) % {"n": number}


def _names(people: dict[str, str], mine: set[str]) -> str:
    """Who takes part, first names where they are many; of very many the first and the last two."""
    names = [(_("me") if email in mine else name or email) for email, name in people.items()]
    names = list(dict.fromkeys(name or _("(no sender)") for name in names))
    if len(names) > 2:
        names = [name if "@" in name or "," in name else name.split()[0] for name in names]
    return ", ".join(names if len(names) <= 4 else [names[0], "…", *names[-2:]])


def _who(message: Message | Listed, mine: set[str], outgoing: bool) -> str:
    if outgoing:
        people = [name or email for name, email in message.addresses.get("to", [])]
        return ", ".join(people[:3]) or _("(no recipient)")
    if message.from_email.lower() in mine:
        return _("Me")
    return message.from_name or message.from_email or _("(no sender)")


def time_text(when: datetime, today: date) -> str:
    """As short as it can be and still be clear: 14:05, Mon 14:05, 3 Feb, 3 Feb 2024."""
    return _time_text(when, today, get_language() or "")


def _time_text(when: datetime, today: date, language: str) -> str:
    day = when.date()
    if day == today:
        return f"{when:%H:%M}"
    text = _day_text(day, today, language)
    return f"{text} {when:%H:%M}" if 0 < (today - day).days < 7 else text


@lru_cache(maxsize=1000)
def _day_text(day: date, today: date, _language: str) -> str:
    if 0 < (today - day).days < 7:
        return date_format(day, "D")
    return date_format(day, pgettext("date", "j M") if day.year == today.year else pgettext("date", "j M Y"))


@lru_cache(maxsize=1000)
def _day_heading(day: date, today: date, _language: str) -> tuple[str, str]:
    age = (today - day).days
    if age < 0:
        return _("Later"), ""
    if age == 0:
        return _("Today"), date_format(day, pgettext("date", "j F"))
    if age == 1:
        return _("Yesterday"), date_format(day, pgettext("date", "j F"))
    monday = today - timedelta(days=today.weekday())
    if day >= monday:
        return _("This week"), ""
    if day >= monday - timedelta(days=7):
        first = date_format(monday - timedelta(days=7), pgettext("date", "j"))
        last = date_format(monday - timedelta(days=1), pgettext("date", "j F"))
        return _("Last week"), f"{first}–{last}"
    return capfirst(date_format(day, "F Y" if day.year != today.year else "F")), ""


def summary(scope: Scope) -> str:
    """Beside the title: what there is of it."""
    if scope.everywhere is not None:
        return ""
    if scope.unread:
        return ngettext("%(n)s unread", "%(n)s unread", scope.unread) % {
            "n": f"{scope.unread:,}".replace(",", "\u202f")
        }
    return (
        ngettext("%(n)s message", "%(n)s messages", scope.total) % {"n": f"{scope.total:,}".replace(",", "\u202f")}
        if scope.total
        else ""
    )
