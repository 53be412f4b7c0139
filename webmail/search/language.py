"""What people type into the search box, as a tree that the index can answer.

::

    query    = group*                      next to each other: all of them
    group    = operand (or operand)*       one of them; binds tighter than standing next to each other
    operand  = [no] [operator] (word | phrase | "(" query ")")
    no       = "-" directly in front, or "not" / "ikke" in front of an operator or a parenthesis
    or       = "or" / "eller" / "|" between two operands

* ``a b or c`` is a, and b or c, as in the search engines people know. ``AND`` and ``OG`` in capitals mean nothing more
  than a space. ``or`` at either end of a query or a parenthesis is a word.
* ``not`` and ``ikke`` are words, and are searched for, wherever no operator and no parenthesis follows: "do not reply".
* An operator's value may stand behind a space. In front of a parenthesis it means everything inside: ``from:(ola kari)``.
  What looks like an operator but is none (``12:30``, ``https://…``, ``re:``) is a word.
* ``"``, ``“ ”``, ``„ “``, ``» «`` and ``« »`` are quotes where they open a word; within a word they are part of it.
* The last word is a beginning (``prefix``) while nothing follows it; a space finishes it. ``word*`` always is. A word
  that is excluded is one only with ``*``: half of a word would exclude far too much.
* ``after:`` takes the day in, as does ``on:``; ``before:`` does not. ``older_than:3d`` and ``newer_than:3d`` divide time:
  what one does not find, the other does.

What is wrong is told as a *trouble* at its place and searched for as words. Any text at all gives an answer, in time
that grows with its length, of which ``MAX_LENGTH`` counts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

from django.utils.translation import gettext as _

from webmail.search import dates
from webmail.search.operators import CHOICES, Operator, choices_of, in_norwegian, same
from webmail.search.tokens import NOT, QUOTES, WORD, Token, Trouble, tokens_of
from webmail.search.words import wanted

MAX_LENGTH = 2000  # characters that are read
MAX_TERMS = 50  # words, phrases and values
MAX_TROUBLES = 10  # that are told
MAX_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Words:
    """``field`` is where: subject, from, to, cc, body, filename or list; "" is anywhere. ``exact`` was in quotes,
    ``prefix`` says that the last word may be a beginning."""

    text: str
    field: str = ""
    exact: bool = False
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Is:
    """unread, read, starred, answered, forwarded, draft or muted."""

    what: str


@dataclass(frozen=True, slots=True)
class Has:
    """attachment, picture, pdf, invitation or link."""

    what: str


@dataclass(frozen=True, slots=True)
class In:
    """A role (inbox, drafts, sent, archive, junk, trash), ``anywhere``, or a folder's name as typed. ``name`` is what was
    typed in any case: a folder without a role may be called as one is."""

    folder: str
    name: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class OfAccount:
    """An address or a part of one."""

    text: str


@dataclass(frozen=True, slots=True)
class Received:
    """From one day (with it) to another (without it), in the person's time zone."""

    since: date | None
    before: date | None


@dataclass(frozen=True, slots=True)
class Size:
    """In octets; neither takes its bound in."""

    over: int | None
    under: int | None


@dataclass(frozen=True, slots=True)
class Keyword:
    name: str


@dataclass(frozen=True, slots=True)
class OfThread:
    pk: int


@dataclass(frozen=True, slots=True)
class And:
    """Two or more, none of them an And."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more, none of them an Or."""

    children: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Its child is no Not."""

    child: Node


Node = Words | Is | Has | In | OfAccount | Received | Size | Keyword | OfThread | And | Or | Not


@dataclass(frozen=True, slots=True)
class Chip:
    """One of the things that must all be so: where it stands, what it says, and the query ``without`` it."""

    start: int
    end: int
    label: str
    without: str


@dataclass(frozen=True, slots=True)
class Query:
    """``tree`` is None where nothing is asked; ``text`` is what was typed, fit to be shown and kept."""

    tree: Node | None
    troubles: tuple[Trouble, ...]
    chips: tuple[Chip, ...]
    text: str


# Controls, what turns the direction of text, and what cannot be encoded.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
_SIZE = re.compile(r"([0-9]{1,12}(?:[.,][0-9]{1,3})?) ?([kmg]?)b?", re.IGNORECASE)
_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_TEXT_FIELDS = frozenset({"from", "to", "cc", "subject", "body", "filename", "list"})


def parse(text: str, today: date) -> Query:
    """What is asked. Never raises; ``today`` is the day where the person is."""
    text = fit(text)
    read, cut = text[:MAX_LENGTH], len(text) > MAX_LENGTH
    troubles: list[Trouble] = []
    today = min(max(today, dates.FIRST), dates.LAST)  # whatever the clock says, the arithmetic holds
    builder = _Builder(today, troubles, open_end=-1 if cut else len(text))
    root = builder.build(tokens_of(read, troubles))
    troubles = sorted(troubles, key=lambda trouble: (trouble.start, trouble.end))[:MAX_TROUBLES]
    if cut:
        told = _("Only the first %(most)d characters are searched for. Leave something out.") % {"most": MAX_LENGTH}
        troubles.append(Trouble(MAX_LENGTH, len(text), told))
    return Query(root.node(), tuple(troubles), tuple(_chips(read, root, builder.open_end)), text)


def words_of(tree: Node | None) -> tuple[Words, ...]:
    """The words and phrases that are looked for, not those that are excluded: what to mark in what was found."""
    found: list[Words] = []
    left = [tree] if tree else []
    while left:
        node = left.pop()
        if isinstance(node, Words):
            found.append(node)
        elif isinstance(node, And | Or):
            left.extend(reversed(node.children))
    return tuple(dict.fromkeys(found))


def fit(text: str) -> str:
    """The same without what can be neither shown nor kept, each character at its place."""
    return _UNFIT.sub(" ", text)


def quoted(value: str) -> str:
    """A value (a name, a folder) as it is to stand behind an operator."""
    plain = WORD.fullmatch(value) and not QUOTES.match(value) and not value.endswith("*")
    return value if plain else '"' + value.replace('"', " ") + '"'


@dataclass(slots=True)
class _Group:
    """Operands of which one is enough, and the tokens they begin and end with."""

    nodes: list[Node] = field(default_factory=list)
    first: Token | None = None
    last: Token | None = None


@dataclass(slots=True)
class _Operand:
    """What has been read of the next operand: where it begins, whether it is excluded, whose value it is."""

    first: Token | None = None
    negated: bool = False
    operator: Token | None = None


@dataclass(slots=True)
class _Frame:
    """What stands in one pair of parentheses; ``outer`` is the operand they are."""

    operator: Operator | None = None
    excluded: bool = False
    outer: _Operand = field(default_factory=_Operand)
    groups: list[_Group] = field(default_factory=list)
    joins: bool = False

    def add(self, node: Node | None, first: Token, last: Token) -> None:
        if not self.joins:
            self.groups.append(_Group())
        self.joins = False
        if node is None:
            return
        group = self.groups[-1]
        group.nodes.append(node)
        group.first, group.last = group.first or first, last

    def node(self) -> Node | None:
        return all_of([any_of(group.nodes) for group in self.groups if group.nodes])


class _Builder:
    """Tokens into a tree, without recursion. A word that ends at ``open_end`` is one that is still being typed."""

    def __init__(self, today: date, troubles: list[Trouble], open_end: int) -> None:
        self.today = today
        self.troubles = troubles
        self.open_end = open_end
        self.terms = 0
        self.frames = [_Frame()]
        self.operand = _Operand()

    def build(self, tokens: list[Token]) -> _Frame:
        for at, token in enumerate(tokens):
            frame = self.frames[-1]
            if token.kind == "or":
                frame.joins = True
                continue
            if token.kind != "close":
                self.operand.first = self.operand.first or token
            if token.kind in ("minus", "not"):
                self.operand.negated = not self.operand.negated
            elif token.kind == "operator":
                self.operand.operator = token
                if at + 1 == len(tokens) or tokens[at + 1].kind not in ("word", "phrase", "open"):
                    self._empty(self.operand)
                    self._add(None, token)
            elif token.kind == "open":
                operator = self.operand.operator.operator if self.operand.operator else frame.operator
                self.frames.append(_Frame(operator, frame.excluded ^ self.operand.negated, self.operand))
                self.operand = _Operand()
            elif token.kind == "close":
                self._close(token)
            else:
                self._add(self._term(token, frame), token)
        return self.frames[0]

    def _close(self, token: Token) -> None:
        frame = self.frames.pop()
        node = frame.node()
        self.operand = frame.outer
        if node is None and frame.outer.operator:
            self._empty(frame.outer)
        self._add(node, token)

    def _add(self, node: Node | None, last: Token) -> None:
        if node is not None and self.operand.negated:
            node = node.child if isinstance(node, Not) else Not(node)
        self.frames[-1].add(node, self.operand.first or last, last)
        self.operand = _Operand()

    def _term(self, token: Token, frame: _Frame) -> Node | None:
        text = " ".join(token.text.split())
        own = self.operand.operator
        if not wanted(text):  # signs alone are in no index
            if own:
                self._empty(self.operand)
            return None
        self.terms += 1
        if self.terms > MAX_TERMS:
            if self.terms == MAX_TERMS + 1:
                told = _("No more than %(most)d words are searched for; this one and those behind it are left out.")
                self._trouble(token, told % {"most": MAX_TERMS})
            return None
        operator = own.operator if own else frame.operator
        if operator is None or operator.name in _TEXT_FIELDS:
            return self._words(token, text, operator.name if operator else "", frame)
        node = self._value(operator, text)
        if node is None:
            self._trouble(token, _wrong(operator, text[:40]))
            return self._words(token, text, "", frame)
        return node

    def _words(self, token: Token, text: str, where: str, frame: _Frame) -> Node:
        if token.kind == "phrase":
            return Words(text, where, exact=True)
        bare = text.strip("*")
        if "*" in text.rstrip("*"):
            self._trouble(token, _("A * stands at the end of a word. Write the beginning of the word and then the *."))
        typing = token.end == self.open_end and text[-1].isalnum() and not frame.excluded ^ self.operand.negated
        return Words(bare, where, prefix=text.endswith("*") or typing)

    def _value(self, operator: Operator, text: str) -> Node | None:
        """None for what is no value of this operator."""
        name = operator.name
        if name in ("is", "has"):
            what = CHOICES[name].get(same(text))
            return (Is(what) if name == "is" else Has(what)) if what else None
        if name == "in":
            return In(CHOICES[name].get(same(text), text), text)
        if name == "account":
            return OfAccount(text)
        if name == "keyword":
            return Keyword(text)
        if name == "thread":
            number = int(text) if re.fullmatch("[0-9]{1,19}", text) else 0
            return OfThread(number) if 0 < number <= MAX_ID else None
        if operator.kind == "size":
            octets = octets_of(text)
            return None if octets is None else Size(octets, None) if name == "larger" else Size(None, octets)
        return self._received(operator, text)

    def _received(self, operator: Operator, text: str) -> Node | None:
        if operator.kind == "span":
            day = dates.before_span(text, self.today)
            if day is None:
                return None
            return Received(None, day) if operator.name == "older_than" else Received(day, None)
        period = dates.period(text, self.today)
        if period is None:
            return None
        return {
            "before": Received(None, period[0]),
            "after": Received(period[0], None),
            "on": Received(*period),
        }[operator.name]

    def _empty(self, operand: _Operand) -> None:
        token = operand.operator
        if token and token.operator:
            told = _("Nothing stands behind “%(name)s”. It takes %(takes)s.")
            self._trouble(token, told % {"name": token.text, "takes": token.operator.takes})

    def _trouble(self, token: Token, message: str) -> None:
        self.troubles.append(Trouble(token.start, token.end, message))


def octets_of(text: str) -> int | None:
    """A size such as 500k, 1,5 MB or 2G, in thousands; None for what is none."""
    found = _SIZE.fullmatch(text)
    if not found:
        return None
    whole, _point, part = found[1].replace(",", ".").partition(".")
    return int(whole + part.ljust(3, "0")) * _FACTORS[found[2].lower()] // 1000


def all_of(nodes: Sequence[Node]) -> Node | None:
    """None of no nodes."""
    flat = [part for node in nodes for part in (node.children if isinstance(node, And) else (node,))]
    return And(tuple(flat)) if len(flat) > 1 else flat[0] if flat else None


def any_of(nodes: Sequence[Node]) -> Node:
    flat = [part for node in nodes for part in (node.children if isinstance(node, Or) else (node,))]
    return Or(tuple(flat)) if len(flat) > 1 else flat[0]


def _wrong(operator: Operator, value: str) -> str:
    """What is told of a value it does not take."""
    if operator.choices:
        told = _("“%(value)s” is none of what can be asked for here. Write one of these: %(names)s.")
        return told % {"value": value, "names": ", ".join(choices_of(operator, in_norwegian()))}
    told = {
        "date": _("“%(value)s” is no date. Write one like 2026-11-24, 24.11.2026, yesterday or november."),
        "span": _("“%(value)s” is no time. Write one like 3d, 2w, 6m or 1y."),
        "size": _("“%(value)s” is no size. Write one like 500k, 5M or 2GB."),
        "thread": _("“%(value)s” is no number of a conversation. Write the number alone."),
    }[operator.kind]
    return told % {"value": value}


def _chips(text: str, root: _Frame, open_end: int) -> Iterator[Chip]:
    """What is left without one is put together from the other chips, so it is tidy; a space at its end says that its last
    word is finished where it was before."""
    spans = [(group.first, group.last) for group in root.groups if group.first and group.last]
    for at, (first, last) in enumerate(spans):
        others = spans[:at] + spans[at + 1 :]
        kept: list[str] = []
        follows = ""
        for begin, end in reversed(others):
            kept.append(_apart(text[begin.start : end.end], end, follows))
            follows = "open" if kept[-1][0] == "(" else begin.kind
        typing = bool(others) and others[-1][1].end == open_end
        without = " ".join(reversed(kept)) + ("" if typing or not kept else " ")
        yield Chip(first.start, last.end, " ".join(text[first.start : last.end].split()), without)


def _apart(piece: str, last: Token, follows: str) -> str:
    """A "not" that was a word stays one, whatever it comes to stand in front of."""
    if follows not in ("open", "operator", "minus", "not"):
        return piece
    if last.kind != "word" or last.bound or last.text.casefold() not in NOT:
        return piece
    return f"{piece[: -len(last.text)]}({last.text})"
