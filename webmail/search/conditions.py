"""What an expression asks of the index, and what of the messages themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import NamedTuple

from django.db.models import F, Q, TextField
from django.db.models.functions import Cast
from django.db.models.lookups import IContains

from accounts.models import User
from webmail.models import KEYWORD_COLUMNS, ROLE_ORDER, Mailbox
from webmail.search.dates import beginning
from webmail.search.documents import FIELDS, account_mark, has_mark, size_marks
from webmail.search.index import index
from webmail.search.language import And, Has, In, Is, Keyword, Node, Not, OfAccount, OfThread, Or, Received, Size, Words
from webmail.search.words import begins_alone, wanted

LEAST_BEGINNING = 3  # letters of a word that others may begin with
FEW = 1000  # messages that are sooner asked for their words than words for their messages
ASIDE = ("junk", "trash")  # not searched unless they are named
ANYWHERE = "anywhere"
_ALL = Q(pk__gt=0)  # an empty Q is none: Django leaves it out of an OR
_COLUMNS = {"starred": "flagged", "answered": "answered", "forwarded": "forwarded", "draft": "draft", "read": "seen"}


class Expression(NamedTuple):
    """Of terms; None if they can say nothing. ``exact``: what matches is all that is meant, else there is more."""

    text: str | None
    exact: bool


NOTHING_SAID = Expression(None, False)


class Conditions:
    """Of one person, and for one expression, which says whether Junk and Trash are meant."""

    def __init__(self, user: User, tree: Node | None) -> None:
        self.user, self.tree = user, tree
        self._ids_of: dict[tuple[str, str], frozenset[int]] = {}

    # --- terms ----------------------------------------------------------------------------------------------------

    def expression(self, node: Node) -> Expression:
        """Whatever is meant matches it."""
        if isinstance(node, Words):
            return _of_words(node)
        if isinstance(node, Has):
            return Expression(index().term(has_mark(node.what)), True)
        if isinstance(node, OfAccount):
            return Expression(
                index().any_of([index().term(account_mark(pk)) for pk in self._accounts(node.text)]), True
            )
        if isinstance(node, Size):
            return Expression(index().any_of([index().term(mark) for mark in size_marks(node.over, node.under)]), False)
        if isinstance(node, Not):
            said = self.expression(node.child)
            return Expression(index().none_of(said.text), True) if said.exact and said.text else NOTHING_SAID
        if isinstance(node, And | Or):
            return self._of_several(node, [self.expression(child) for child in node.children])
        return NOTHING_SAID

    def _of_several(self, node: And | Or, said: Sequence[Expression]) -> Expression:
        texts = [one.text for one in said if one.text]
        exact = all(one.exact for one in said)
        if isinstance(node, And):
            return Expression(index().all_of(texts) if texts else None, exact)
        return Expression(index().any_of(texts), exact) if len(texts) == len(said) else NOTHING_SAID

    # --- messages -------------------------------------------------------------------------------------------------

    def condition(self, node: Node) -> Q | None:
        """What columns of a message tell by themselves; None for anything with words in it."""
        if isinstance(node, And | Or):
            parts = [self.condition(child) for child in node.children]
            joined = Q()
            for part in parts:
                if part is None:
                    return None
                joined = joined & part if isinstance(node, And) else joined | part
            return joined
        if isinstance(node, Not):
            inner = self.condition(node.child)
            return None if inner is None else ~inner
        if isinstance(node, In):
            return _ALL if node.folder == ANYWHERE else Q(mailbox_id__in=self._ids(node))
        if isinstance(node, Received):
            return _between(self._start(node.since), self._start(node.before))
        return _of_columns(node)

    @cached_property
    def visible(self) -> Q:
        """What a search shows: nothing of hidden folders, of Junk and Trash only if they are named."""
        named = {pk for node in each(self.tree) if isinstance(node, In) for pk in self._ids(node)}
        anywhere = any(isinstance(node, In) and node.folder == ANYWHERE for node in each(self.tree))
        aside = Mailbox.objects.filter(Q(hidden=True) | Q(role__in=() if anywhere else ASIDE), account__user=self.user)
        kept_out = [pk for pk in aside.values_list("pk", flat=True) if pk not in named]
        return Q(mailbox__isnull=False) & (~Q(mailbox_id__in=kept_out) if kept_out else Q())

    def admits(self, mailbox: Mailbox) -> bool:
        """Something in this folder may be meant, as far as folders and accounts tell."""
        named = [node for node in each(self.tree) if isinstance(node, In) and self._is_in(node, mailbox)]
        if mailbox.hidden or (mailbox.role in ASIDE and not named):
            return False
        return self.tree is not None and self._may_be(self.tree, mailbox) is not False

    def _is_in(self, node: In, mailbox: Mailbox) -> bool:
        return node.folder == ANYWHERE or mailbox.pk in self._ids(node)

    def _may_be(self, node: Node, mailbox: Mailbox) -> bool | None:
        """None where something else decides."""
        if isinstance(node, In):
            return self._is_in(node, mailbox)
        if isinstance(node, OfAccount):
            return mailbox.account_id in self._accounts(node.text)
        if isinstance(node, Not):
            inner = self._may_be(node.child, mailbox)
            return None if inner is None else not inner
        if isinstance(node, And | Or):
            parts = {self._may_be(child, mailbox) for child in node.children}
            decides = isinstance(node, Or)
            return decides if decides in parts else None if None in parts else not decides
        return None

    def is_quick(self, node: Node) -> bool:
        """The messages that fulfil it are found without looking at many others, and may be few."""
        if isinstance(node, In):
            return node.folder != ANYWHERE and sum(one.total for one in self._mailboxes(node)) <= FEW
        return isinstance(node, OfThread) or (isinstance(node, Is) and node.what in ("starred", "unread"))

    def dates(self) -> tuple[datetime | None, datetime | None]:
        """All that is found was received from the first on and before the second."""
        parts = self.tree.children if isinstance(self.tree, And) else (self.tree,)
        said = [part for part in parts if isinstance(part, Received)]
        since = [part.since for part in said if part.since]
        before = [part.before for part in said if part.before]
        return self._start(max(since, default=None)), self._start(min(before, default=None))

    def _start(self, day: date | None) -> datetime | None:
        """Where it begins for the person."""
        return beginning(day, self.user.zone) if day else None

    def _accounts(self, text: str) -> list[int]:
        return [account.pk for account in self.user.account_list if text.casefold() in account.address.casefold()]

    def _ids(self, node: In) -> frozenset[int]:
        key = (node.folder, node.name)
        if key not in self._ids_of:
            self._ids_of[key] = frozenset(one.pk for one in self._mailboxes(node))
        return self._ids_of[key]

    def _mailboxes(self, node: In) -> list[Mailbox]:
        """By role, and then those without one too that are called so; else by name, else by a part of it."""
        everywhere, name = self._all_mailboxes, (node.name or node.folder).casefold()
        if node.folder in ROLE_ORDER:
            return [one for one in everywhere if one.role == node.folder or (not one.role and _is_called(one, name))]
        called = [one for one in everywhere if _is_called(one, name)]
        return called or [one for one in everywhere if name in one.name.casefold()]

    @cached_property
    def _all_mailboxes(self) -> list[Mailbox]:
        return list(Mailbox.objects.for_user(self.user))


def each(tree: Node | None) -> Iterable[Node]:
    """All nodes."""
    waiting = [tree] if tree else []
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.children if isinstance(node, And | Or) else [node.child] if isinstance(node, Not) else []


def _is_called(mailbox: Mailbox, name: str) -> bool:
    return name in (mailbox.name.casefold(), mailbox.title.casefold())


def _of_words(node: Words) -> Expression:
    """One word is a term. That several follow one another is not told by terms, nor that a word is in the text itself."""
    terms = wanted(node.text)
    if not terms:
        return Expression(None, True)  # nothing but signs: it says nothing
    before = f"{FIELDS[node.field]}:" if node.field in FIELDS else ""
    last = len(terms) - 1
    parts = [index().term(before + term, at == last and is_beginning(node, term)) for at, term in enumerate(terms)]
    return Expression(index().all_of(parts) if last else parts[0], not last and node.field != "body")


def is_beginning(node: Words, last: str) -> bool:
    """What is searched for may go on after its last term."""
    return begins_alone(last) or (node.prefix and len(last) >= LEAST_BEGINNING)


def _of_columns(node: Node) -> Q | None:
    if isinstance(node, Is):
        return ~Q(seen=True) if node.what == "unread" else _is(node.what)
    if isinstance(node, Size):
        over = Q(size__gt=node.over) if node.over is not None else _ALL
        return over & (Q(size__lt=node.under) if node.under is not None else Q())
    if isinstance(node, OfThread):
        return Q(thread_id=node.pk)
    if isinstance(node, Keyword):
        column = KEYWORD_COLUMNS.get(f"${node.name.lstrip('$').casefold()}")
        labels = IContains(Cast(F("labels"), TextField()), f'"{node.name}"')
        return Q(**{column: True}) if column else Q(labels)
    return None


def _is(what: str) -> Q:
    return Q(thread__muted=True) if what == "muted" else Q(**{_COLUMNS[what]: True})


def _between(since: datetime | None, before: datetime | None) -> Q:
    later = Q(received_at__gte=since) if since else _ALL
    return later & Q(received_at__lt=before) if before else later
