"""What is found, in the order in which it is shown and page by page: messages or conversations, the newest or the best first.

The *best* are in tiers, each a search of its own and newest first in itself: all words in the subject or among the senders;
some of them; none, they are in the text or elsewhere. So every order is read from the index a page at a time, and to its
end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice, takewhile
from typing import NamedTuple

from django.db.models import Q

from accounts.models import User
from webmail.models import Cursor
from webmail.search.finding import Candidate, Finder
from webmail.search.language import And, Node, Not, Or, Words, all_of, any_of, words_of
from webmail.search.words import wanted

NEAR = ("subject", "from")  # where a word tells what a message is about
PATIENCE = 2.0  # seconds for one page; then the rest is another page
BESIDE = 1.0  # seconds for what stands beside a message
FAR_DOWN = 1000  # nobody opens what is further down without its list


class Place(NamedTuple):
    """Where a page begins: in which tier, and behind what of it; None is the tier's beginning."""

    tier: int = 0
    after: Cursor | None = None

    def __str__(self) -> str:
        return (f"{self.tier}." if self.tier else "") + str(self.after or "")

    @classmethod
    def parse(cls, text: str) -> Place:
        tier, _point, rest = text.rpartition(".")
        return cls(int(tier) if tier in ("1", "2") else 0, Cursor.parse(rest))


BEGINNING = Place()


class Found(NamedTuple):
    """``ids`` of messages. ``place``: where the next page begins, None at the end. ``looked_until``: the time ran out there,
    before the page was full."""

    ids: list[int]
    place: Place | None = None
    looked_until: datetime | None = None


class Results:
    """Of one person's search. ``threaded``: one message of each conversation, the first in this order."""

    def __init__(
        self, user: User, tree: Node | None, best: bool = False, threaded: bool = False, also: Q | None = None
    ) -> None:
        self.tiers: list[Finder] = []
        for part in tiers(tree) if best and tree else [tree]:
            self.tiers.append(Finder(user, part, (), also, threaded, tuple(self.tiers)))

    def page(self, place: Place, limit: int) -> Found:
        """The next ``limit``."""
        found: list[tuple[int, Candidate]] = []
        ends = time.monotonic() + PATIENCE
        for tier, kept, reached in self._steps(place):
            found += [(tier, one) for one in kept]
            ids = [one.pk for _tier, one in found[:limit]]
            if len(found) > limit:
                last_tier, last = found[limit - 1]
                return Found(ids, Place(last_tier, last.place))
            if time.monotonic() > ends:
                return Found(ids, Place(tier, reached), reached.received_at)
        return Found([one.pk for _tier, one in found])

    def each(self, place: Place = BEGINNING, patience: float = BESIDE) -> Iterator[tuple[int, Candidate]]:
        """With its tier; all of it, or what is found in so many seconds."""
        ends = time.monotonic() + patience
        for tier, kept, _reached in self._steps(place):
            yield from ((tier, one) for one in kept)
            if time.monotonic() > ends:
                return

    def place_of(self, message: Cursor) -> Place:
        """Where a message stands that is found."""
        if len(self.tiers) == 1:
            return Place(0, message)
        return Place(next((at for at, finder in enumerate(self.tiers) if finder.which([message.pk])), 0), message)

    def beside(self, message: Cursor) -> tuple[int | None, int | None]:
        """What stands before it and behind it. Of what is far down and was opened by its address, none before it is known."""
        here = self.place_of(message)
        behind = next((one.pk for _tier, one in self.each(here)), None)
        until = takewhile(
            lambda found: found[0] < here.tier or (found[0] == here.tier and found[1].place > message),
            islice(self.each(), FAR_DOWN),
        )
        before = deque(until, 1)
        return (before[0][1].pk if before else None), behind

    def _steps(self, place: Place) -> Iterator[tuple[int, list[Candidate], Cursor]]:
        for tier in range(place.tier, len(self.tiers)):
            for kept, reached in self.tiers[tier].steps(place.after if tier == place.tier else None):
                yield tier, kept, reached


def tiers(tree: Node) -> list[Node]:
    """The best first; together they are what is asked for, and no message is in two of them."""
    parts = tree.children if isinstance(tree, And) else (tree,)
    near = all_of([_near(part) for part in parts if _free(part)])
    some = [place for word in _free(tree) for place in _places(word)]
    if near is None or not some:
        return [tree]
    nowhere = Not(any_of(some))
    if near == any_of(some):
        return [_both(tree, near), _both(tree, nowhere)]
    return [_both(tree, near), _both(tree, any_of(some), Not(near)), _both(tree, nowhere, Not(near))]


def _both(*nodes: Node) -> Node:
    joined = all_of(nodes)
    assert joined
    return joined


def _free(node: Node) -> list[Words]:
    """Words that may be anywhere."""
    return [word for word in words_of(node) if not word.field and wanted(word.text)]


def _near(node: Node) -> Node:
    """The same with each of these near."""
    if isinstance(node, Words) and _free(node):
        return _both(*[any_of(places) for places in _by_term(node)])
    if isinstance(node, And | Or):
        children = [_near(child) for child in node.children]
        return _both(*children) if isinstance(node, And) else any_of(children)
    return node


def _places(word: Words) -> list[Node]:
    return [place for places in _by_term(word) for place in places]


def _by_term(word: Words) -> Iterator[list[Node]]:
    """Each of its terms in each place. That they follow one another is not asked here: the index tells these alone."""
    terms: Sequence[str] = wanted(word.text)
    for at, term in enumerate(terms):
        yield [Words(term, place, prefix=word.prefix and at == len(terms) - 1) for place in NEAR]
