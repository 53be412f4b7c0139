"""The characters of a search as tokens: what is a word, a phrase or an operator, which parenthesis belongs to which, and
where or, and, not are more than words. The grammar is in ``language``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from webmail.search import dates
from webmail.search.operators import BY_NAME, Operator, same

MAX_DEPTH = 20  # parentheses in parentheses


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong from ``start`` to ``end``, and what to write instead."""

    start: int
    end: int
    message: str


@dataclass(slots=True)
class Token:
    """``kind``: word, phrase, open, close, or, and, not, minus, operator. A ``bound`` word follows an operator or a
    minus directly, so it is a word whatever it says."""

    kind: str
    start: int
    end: int
    text: str = ""
    operator: Operator | None = None
    bound: bool = False


_LEXEME = re.compile(
    r"""(?P<space>\s+) | (?P<open>\() | (?P<close>\)) | (?P<bar>\|+) | (?P<quote>["“”„«»])
    | (?P<minus>-(?=[^\s()|-]|\()) | (?P<operator>[^\W\d_][\w-]{0,20}:(?!//)) | (?P<word>[^\s()|]+)""",
    re.VERBOSE,
)
WORD = re.compile(r"[^\s()|]+")
_STRAIGHT, QUOTES = re.compile('"'), re.compile('["“”„«»]')
_OR, NOT, _AND = frozenset({"or", "eller"}), frozenset({"not", "ikke"}), frozenset({"AND", "OG"})
_OPERAND = frozenset({"word", "phrase", "open", "minus", "not", "operator"})
_OPERAND_END = frozenset({"word", "phrase", "close", "operator"})


def tokens_of(text: str, troubles: list[Trouble]) -> list[Token]:
    """All there is, ready to be built from, and what is wrong with it."""
    return _settled(_paired(list(lexemes(text, troubles)), len(text), troubles), troubles)


def lexemes(text: str, troubles: list[Trouble]) -> Iterator[Token]:
    """One after another, each character looked at a bounded number of times."""
    at, bound = 0, None
    while at < len(text):
        found = _value(text, at, bound) or _LEXEME.match(text, at)
        assert found is not None  # every character begins something
        kind = found.lastgroup or "word"
        token = Token(kind, at, found.end(), found[0], bound=bound is not None)
        if kind == "quote":
            _read_phrase(text, token, troubles)
        elif kind == "operator":
            token.operator = BY_NAME.get(same(found[0][:-1]))
            if token.operator is None:
                found = WORD.match(text, at)
                assert found is not None
                token.kind, token.end, token.text = "word", found.end(), found[0]
        elif kind == "bar":
            token.kind = "or"
        if token.kind == "word" and not token.bound:
            token.kind = _role_of(token.text)
        at = token.end
        bound = token if token.kind in ("operator", "minus") else None
        if kind != "space":
            yield token


def _value(text: str, at: int, bound: Token | None) -> re.Match[str] | None:
    """What stands directly behind an operator is its value, even if it looks like another operator."""
    if bound is None or bound.operator is None or QUOTES.match(text, at):
        return None
    if bound.operator.kind == "date" and (two := dates.UNQUOTED.match(text, at)):
        return two
    return WORD.match(text, at)


def _role_of(word: str) -> str:
    folded = word.casefold()
    if folded in _OR:
        return "or"
    return "not" if folded in NOT else "and" if word in _AND else "word"


def _read_phrase(text: str, token: Token, troubles: list[Trouble]) -> None:
    closing = (_STRAIGHT if token.text == '"' else QUOTES).search(text, token.end)
    if closing is None:
        troubles.append(
            Trouble(token.start, token.end, _("These quotes are never closed. Write another one at the end."))
        )
    token.kind = "phrase"
    token.text = text[token.end : closing.start() if closing else len(text)]
    token.end = closing.end() if closing else len(text)


def _paired(tokens: list[Token], end: int, troubles: list[Trouble]) -> list[Token]:
    """With each parenthesis in a pair and none too deep: one too many is left out, a missing one is added at the end."""
    kept: list[Token] = []
    opened: list[Token] = []
    for token in tokens:
        if token.kind == "open":
            opened.append(token)
            if len(opened) > MAX_DEPTH:
                if len(opened) == MAX_DEPTH + 1:
                    told = _("Parentheses are followed %(most)d deep; these are read as if they were not there.")
                    troubles.append(Trouble(token.start, token.end, told % {"most": MAX_DEPTH}))
                continue
        elif token.kind == "close":
            if not opened:
                told = _("This parenthesis closes nothing. Leave it out, or open one before it.")
                troubles.append(Trouble(token.start, token.end, told))
                continue
            opened.pop()
            if len(opened) >= MAX_DEPTH:
                continue
        kept.append(token)
    for token in reversed(opened):
        told = _("This parenthesis is never closed. Write another one at the end of what belongs inside.")
        troubles.append(Trouble(token.start, token.end, told))
    return kept + [Token("close", end, end) for _each in opened[:MAX_DEPTH]]


def _settled(tokens: list[Token], troubles: list[Trouble]) -> list[Token]:
    """With it decided which of or, and, not are words. Several "or" in a row are one; "and" is what a space is."""
    _settle_not(tokens)
    settled: list[Token] = []
    at = 0
    while at < len(tokens):
        run = at
        while run < len(tokens) and tokens[run].kind in ("or", "and"):
            run += 1
        if run == at:
            settled.append(tokens[at])
        elif settled and settled[-1].kind in _OPERAND_END and run < len(tokens) and tokens[run].kind in _OPERAND:
            settled.extend([token for token in tokens[at:run] if token.kind == "or"][:1])
        else:
            settled.extend(_alone(token, troubles) for token in tokens[at:run])
        at = max(run, at + 1)
    return settled


def _settle_not(tokens: list[Token]) -> None:
    """It excludes only in front of an operator or a parenthesis. From the end, for "not not (…)"."""
    follows, next_but_one = "", ""
    for token in reversed(tokens):
        if token.kind == "not" and (next_but_one if follows == "minus" else follows) not in ("open", "operator", "not"):
            token.kind = "word"
        follows, next_but_one = token.kind, follows


def _alone(token: Token, troubles: list[Trouble]) -> Token:
    """A small "or" with nothing on one side may well be a word; capitals and a bar were meant as more."""
    if token.text[0] == "|" or token.text.isupper():
        told = _("“%(or)s” belongs between two things of which one is enough. Write something on both sides of it.")
        troubles.append(Trouble(token.start, token.end, told % {"or": token.text}))
    token.kind = "word"
    return token
