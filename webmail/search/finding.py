"""Finding messages, the newest first, one after another, in a time that does not grow with the mailbox.

An expression is split in two. What terms can say is asked of the index, which answers month by month, so that no more of it
is looked at than a page needs; the rest (keywords, folders, sizes, the order of words) is asked of the messages that it
names. Where the rest is rarer than the words (a small folder, what is starred), it is the other way round. A month of which
the index names too many to be sorted is looked through message by message, as they were received. So each step is bounded,
whatever a mailbox is like."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Collection, Iterator, Sequence
from datetime import date, datetime
from functools import cached_property
from itertools import groupby
from typing import NamedTuple

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL

from accounts.models import User
from webmail.models import Cursor, Document, Mailbox, Message, MessageQuerySet
from webmail.search.conditions import FEW, Conditions
from webmail.search.documents import account_mark
from webmail.search.index import EARLIEST, beginning_of, bounds, end_of, index, place_of, start_of
from webmail.search.language import And, In, Is, Node, Not, OfThread, Or, Words, parse
from webmail.search.sequences import holding

FIRST_LOOK = 400  # documents; four times as many at each further look
LARGE = 5_000  # documents: no more are looked at together
CHUNK = 200  # messages looked at in one question
MEMBERS = 2_000  # of the conversations of one chunk, looked at in one question


class Candidate(NamedTuple):
    """A message that may be it. ``number``: 0 while the index does not have it."""

    number: int
    pk: int
    received_at: datetime

    @property
    def place(self) -> Cursor:
        return Cursor(self.received_at, self.pk)


class Finder:
    """What one person looks for, newest first. ``accounts``: only in these, if there are any; ``also``: what columns must say
    beside it. ``threaded``: one message of each conversation, the newest that is found, and none of those of which one of the
    ``earlier`` finders has a message."""

    def __init__(
        self, user: User, tree: Node | None, accounts: Sequence[int] = (), also: Q | None = None,
        threaded: bool = False, earlier: Sequence[Finder] = (),
    ) -> None:  # fmt: skip
        self.user, self.tree, self.accounts = user, tree, accounts
        self.also = also or Q()
        self.threaded, self.earlier = threaded, earlier
        self.told = Conditions(user, tree)
        self.parts = tree.children if isinstance(tree, And) else (tree,) if tree else ()

    def each(self, after: Cursor | None = None, patience: float = math.inf) -> Iterator[Candidate]:
        """All of it, or what is found in so many seconds."""
        ends = time.monotonic() + patience
        for kept, _reached in self.steps(after):
            yield from kept
            if time.monotonic() > ends:
                return

    def steps(self, after: Cursor | None = None) -> Iterator[tuple[list[Candidate], Cursor]]:
        """The same, as it comes, each time with how far was looked for it."""
        met: set[int] = set()
        for kept, reached in self._looks(after):
            yield self._firsts(kept, met, after) if self.threaded else kept, reached

    def among(self, ids: Collection[int], node: Node | None) -> set[int]:
        """Those of these messages, some hundred, that are shown and fulfil an expression; None is fulfilled by all."""
        rows = Message.objects.filter(self.told.visible, self.also, account_id__in=self._accounts, pk__in=ids)
        some = _candidates_of(rows)
        return self._members(node, some) if node else {one.pk for one in some}

    def which(self, ids: Collection[int]) -> set[int]:
        """Those of these messages that are found."""
        return self.among(ids, self.tree) if self.tree else set()

    # --- where it is looked for -----------------------------------------------------------------------------------

    def _looks(self, after: Cursor | None) -> Iterator[tuple[list[Candidate], Cursor]]:
        """Where nothing is asked for, nothing is found: an action on all of it must not reach everything."""
        if self.tree is None:
            return
        if self._few is None:
            yield from self._months(after)
            return
        rest = [one for one in self._few if after is None or one.place < after]
        for some in (rest[at : at + CHUNK] for at in range(0, len(rest), CHUNK)):
            yield self._fulfilling(self._shown(some), from_index=False), some[-1].place

    @cached_property
    def _few(self) -> list[Candidate] | None:
        """All messages that fulfil what is rare and quickly told; None if nothing is."""
        rare = [part for part in self.parts if isinstance(part, In | Is | OfThread)]
        if not any(map(self.told.is_quick, rare)):
            return None
        rows = Message.objects.filter(self.told.visible, account_id__in=self._accounts)
        for part in rare:
            rows = rows.filter(self.told.condition(part) or Q())
        if rows.order_by().values("pk")[FEW : FEW + 1]:
            return None
        return _candidates_of(rows.newest_first()[: FEW + 1])

    @property
    def _accounts(self) -> list[int]:
        return list(self.accounts) or [account.pk for account in self.user.account_list]

    def _months(self, after: Cursor | None) -> Iterator[tuple[list[Candidate], Cursor]]:
        """Documents that match as far as terms can tell, each time all of some months, or what is in a large month."""
        low, high = bounds(self.user.pk)
        since, before = self.told.dates()
        low = max(low, place_of(self.user.pk, since)) if since else low
        if before:
            high = min(high, end_of(place_of(self.user.pk, before)))
        if after:  # the month of a place at its beginning was looked through
            month = place_of(self.user.pk, after.received_at)
            high = min(high, month if after == Cursor(beginning_of(month), 0) else end_of(month))
        size = FIRST_LOOK
        while low < high:
            numbers, month, large = index().match(self._expression, low, high, size), low, False
            if len(numbers) == size:  # the last month may go on
                month = start_of(numbers[-1])
                rest = index().match(self._expression, max(month, low), min(end_of(month), high), LARGE + 1)
                large = len(rest) > LARGE
                numbers = [number for number in numbers if number >= end_of(month)] + ([] if large else rest)
            for some in _whole_months(numbers):
                yield from self._among_documents(some, after)
            if large:
                yield from self._through(month, after)
            high, size = month, min(size * 4, LARGE)

    @cached_property
    def _expression(self) -> str:
        marks = index().any_of([index().term(account_mark(pk)) for pk in self.accounts]) if self.accounts else None
        said = self.told.expression(self.tree).text if self.tree else None
        return index().all_of([part for part in (marks, said) if part])

    def _among_documents(
        self, numbers: Sequence[int], after: Cursor | None
    ) -> Iterator[tuple[list[Candidate], Cursor]]:
        """Their messages that are it. The last of these numbers is of the earliest month. Where columns leave nothing out,
        only those are looked at that are next, of thousands perhaps in one month."""
        narrow = bool(self.also) or any(self.told.condition(part) is not None for part in self.parts)
        while True:
            if narrow:
                rows = self._rows.filter(document__number__in=_each(numbers)).newest_first()
                some = shown = _candidates_of((rows.filter(after.older()) if after else rows)[:CHUNK])
            else:
                some = _of_documents(numbers, after)
                shown = self._shown(some)
            if len(some) < CHUNK:
                yield self._fulfilling(shown), Cursor(beginning_of(numbers[-1]), 0)
                return
            after = some[-1].place
            yield self._fulfilling(shown), after

    def _through(self, month: int, after: Cursor | None) -> Iterator[tuple[list[Candidate], Cursor]]:
        """What is found in a large month: of each folder so many messages at a time, and more the next time."""
        since, before = self.told.dates()
        first, behind = max(beginning_of(month), since or EARLIEST), beginning_of(end_of(month))
        end, place = Cursor(first, 0), Cursor(min(behind, before or behind), 0)
        place = min(place, after or place)
        folders = list(Mailbox.objects.filter(account_id__in=self._accounts).values_list("pk", flat=True))
        size = FIRST_LOOK
        while place > end:
            rows = Message.objects.filter(place.older(), received_at__gte=first).newest_first()
            far = [rows.filter(mailbox_id=pk).values_list("received_at", "pk")[size : size + 1] for pk in folders]
            until = max([end, *(Cursor(*key) for keys in far for key in keys)])
            rows = self._rows.filter(place.older(), until.newer(inclusive=True), mailbox_id__in=folders).newest_first()
            some = _candidates_of(rows)
            numbers = index().among(self._expression, [one.number for one in some if one.number])
            some = [one for one in some if one.number in numbers]
            for at in range(0, len(some), CHUNK):
                chunk = some[at : at + CHUNK]
                yield self._fulfilling(chunk), chunk[-1].place
            yield [], until
            place, size = until, 4 * FIRST_LOOK

    # --- what is it -----------------------------------------------------------------------------------------------

    @cached_property
    def _rows(self) -> MessageQuerySet:
        """What is shown to the person and fulfils what columns tell."""
        rows = Message.objects.filter(self.told.visible, self.also)
        for part in self.parts:
            rows = rows.filter(self.told.condition(part) or Q())
        return rows

    def _shown(self, some: list[Candidate]) -> list[Candidate]:
        """Those of ``_rows``."""
        shown = set(self._rows.filter(pk__in=[one.pk for one in some]).order_by().values_list("pk", flat=True))
        return [one for one in some if one.pk in shown]

    def _fulfilling(self, some: list[Candidate], from_index: bool = True) -> list[Candidate]:
        """Those that fulfil the rest: what the index has not told of those that are from it, or all that words tell."""
        for part in self.parts:
            if self.told.condition(part) is not None or (from_index and self.told.expression(part).exact):
                continue
            if from_index and isinstance(part, Words):  # noqa: SIM108 - one line is too long to be read
                kept = holding(part, [one.pk for one in some])
            else:
                kept = self._members(part, some)
            some = [one for one in some if one.pk in kept]
        return some

    def _firsts(self, kept: list[Candidate], met: set[int], after: Cursor | None) -> list[Candidate]:
        """Those of conversations that were not ``met``; they are from now on."""
        rows = Message.objects.filter(pk__in=[one.pk for one in kept], thread__isnull=False).order_by()
        threads = dict(rows.values_list("pk", "thread_id"))
        new = {thread for thread in threads.values() if thread} - met
        met |= self._met_before(new, after)
        firsts = []
        for one in kept:
            thread = threads.get(one.pk)
            if thread not in met:
                firsts.append(one)
            if thread:
                met.add(thread)
        return firsts

    def _met_before(self, threads: set[int], after: Cursor | None) -> set[int]:
        """Conversations with a message on an earlier page. One with many is soon known to be one."""
        found: set[int] = set()
        for finder in (*self.earlier, *([self] if after else [])):
            rows = Message.objects.newest_first()
            if finder is self and after:
                rows = rows.exclude(after.older())
            while left := threads - found:
                some = list(rows.filter(thread_id__in=left).values_list("pk", "thread_id", "received_at")[:MEMBERS])
                thread_of = {pk: thread or 0 for pk, thread, _at in some}
                found |= {thread_of[pk] for pk in finder.which(thread_of)}
                if len(some) < MEMBERS:
                    break
                rows = rows.filter(Cursor(some[-1][2], some[-1][0]).older())
        return found

    def _members(self, node: Node, some: list[Candidate]) -> set[int]:
        """The ids of those of these that fulfil any expression."""
        if not some:
            return set()
        condition = self.told.condition(node)
        if condition is not None:
            rows = Message.objects.filter(condition, pk__in=[one.pk for one in some])
            return set(rows.order_by().values_list("pk", flat=True))
        if isinstance(node, Not):
            return {one.pk for one in some} - self._members(node.child, some)
        if isinstance(node, And):
            return set.intersection(*(self._members(child, some) for child in node.children))
        if isinstance(node, Or):
            return set.union(*(self._members(child, some) for child in node.children))
        expression = self.told.expression(node)
        numbers = index().among(expression.text or index().all_of([]), [one.number for one in some if one.number])
        ids = {one.pk for one in some if one.number in numbers}
        return holding(node, ids) if isinstance(node, Words) and not expression.exact else ids


def _whole_months(numbers: Sequence[int]) -> Iterator[list[int]]:
    """Each time as many as are looked at in one question, or somewhat more; twice as many the next time."""
    together: list[int] = []
    least = CHUNK
    for _month, some in groupby(numbers, start_of):
        together += some
        if len(together) >= least:
            yield together
            together, least = [], 2 * least
    if together:
        yield together


def _candidates_of(rows: MessageQuerySet) -> list[Candidate]:
    found = rows.values_list("document__number", "pk", "received_at")
    return [Candidate(number or 0, pk, at) for number, pk, at in found]


def _of_documents(numbers: Sequence[int], after: Cursor | None) -> list[Candidate]:
    """The next messages of these that are still there, CHUNK at most."""
    rows = Document.objects.filter(number__in=_each(numbers), message__isnull=False)
    rows = rows.filter(after.older(key="message_id")) if after else rows
    found = rows.order_by("-received_at", "-message_id").values_list("number", "message_id", "received_at")
    return [Candidate(number, pk or 0, at) for number, pk, at in found[:CHUNK]]


def finder(user: User, query: str, today: date, accounts: Sequence[int] = (), **where: bool) -> Finder:
    """Of what a person typed on that day; ``where`` columns have these values."""
    return Finder(user, parse(query, today).tree, accounts, Q(**where))


def _each(numbers: Sequence[int]) -> RawSQL:
    """Thousands of numbers as one value."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", [list(numbers)])
    return RawSQL("SELECT value FROM json_each(%s)", [json.dumps(list(numbers))])
