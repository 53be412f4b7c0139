"""What is asked of mail servers where the text of messages is not here, and what is told here of their answers.

A server is asked for at least all that is meant: words by their letters, wherever they stand and one by one. What the columns
of a message tell is looked at here (``told_here``); what only its text could tell is taken from the server, so that a phrase
may come with its words apart. A word that is excluded is excluded by its letters too.

Letters are asked for as they were typed, and without their accents: what is written with other accents is not found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import tzinfo

from webmail.protocols.base import Condition
from webmail.search.dates import beginning
from webmail.search.language import And, Has, Is, Node, Not, Or, Received, Size, Words
from webmail.search.words import MAX_TERM, begins_alone, spans

LEAST = 3  # letters; what is shorter is in nearly every message
_FLAGS = {"read": "$seen", "starred": "$flagged", "answered": "$answered", "draft": "$draft"}
_FIELDS: dict[str, Callable[[str], tuple[Condition, ...]]] = {
    "": lambda word: (Condition(text=word),),
    "body": lambda word: (Condition(body=word),),
    "subject": lambda word: (Condition(subject=word),),
    "from": lambda word: (Condition(from_=word),),
    "to": lambda word: (Condition(to=word),),
    "cc": lambda word: (Condition(cc=word), Condition(bcc=word)),
}


def needs_text(node: Node) -> bool:
    """Only the text of a message can tell whether it is this one."""
    return (isinstance(node, Words) and node.field in ("", "body")) or node == Has("link")


def asks_for_text(node: Node, negated: bool = False) -> bool:
    """There may be messages that are not found without their text. What is excluded excludes nothing then."""
    if isinstance(node, Not):
        return asks_for_text(node.child, not negated)
    if isinstance(node, And | Or):
        return any(asks_for_text(child, negated) for child in node.children)
    return needs_text(node) and not negated


def left_to_texts(tree: Node) -> Node:
    """What is left to be found where all messages are here, but not their texts."""
    if not isinstance(tree, Or):
        return tree
    some = tuple(child for child in tree.children if asks_for_text(child))
    return Or(some) if len(some) > 1 else some[0] if some else tree


def asked(node: Node, zone: tzinfo, similar: bool = False, negated: bool = False) -> Condition | None:
    """What a server is asked for by somebody in this zone; None where that would be everything. ``similar``: for words of
    texts that are only like those which are meant, too, but for no more to be excluded."""
    if isinstance(node, Not):
        return asked(node.child, zone, similar, not negated)
    if isinstance(node, And | Or):
        parts = [asked(child, zone, similar, negated) for child in node.children]
        return _all(parts) if isinstance(node, And) is not negated else _any(parts)
    if isinstance(node, Words):
        return _excluded(node) if negated else _of_words(node, similar and needs_text(node))
    if node == Has("link"):
        return Condition(none_of=(Condition(body="http"),)) if negated else Condition(body="http")
    found = _of_columns(node, zone)
    return Condition(none_of=(found,)) if found and negated else found


def plainest(tree: Node) -> Condition | None:
    """The same for a server that refused to answer: words that must all be there, and nothing else."""
    parts = tree.children if isinstance(tree, And) else (tree,)
    texts = [word for part in parts if isinstance(part, Words) and needs_text(part) for word in _words(part.text)]
    return _all([Condition(text=word) for word in texts])


def told_here(node: Node, negated: bool = False) -> Node | None:
    """What a message without its text has to fulfil; None if that is nothing."""
    if isinstance(node, Not):
        return told_here(node.child, not negated)
    if isinstance(node, And | Or):
        parts = [told_here(child, negated) for child in node.children]
        said = tuple(part for part in parts if part)
        if isinstance(node, And) is not negated:
            return And(said) if len(said) > 1 else said[0] if said else None
        return Or(said) if len(said) == len(parts) else None
    if needs_text(node) and not negated:
        return None
    return Not(node) if negated else node


def _words(text: str) -> list[str]:
    """As they were typed, cut where the index cuts them."""
    found = (text[start:end].strip() for start, end, _folded in spans(text))
    return [word[:MAX_TERM] for word in found if len(word) >= LEAST or not word.isascii()]


def _variants(word: str) -> list[str]:
    folded = "".join(term for _start, _end, term in spans(word))
    return [word] if word.casefold() == folded or begins_alone(folded) else [word, folded]


def _of_words(node: Words, similar: bool) -> Condition | None:
    field = _FIELDS.get(node.field)
    if field is None:
        return None
    words = [[found for one in _variants(word) for found in field(one)] for word in _words(node.text)]
    return _all([_any(replace(one, similar=similar) for one in variants) for variants in words])


def _excluded(node: Words) -> Condition | None:
    """By letters in the text alone: in the header of a message are words that nobody sees, and what people see of it is
    told here. Of several words it is the order that counts, which no server tells."""
    words = _words(node.text)
    if not needs_text(node) or len(list(spans(node.text))) != 1 or not words:
        return None
    return Condition(none_of=tuple(Condition(body=word) for word in words))


def _of_columns(node: Node, zone: tzinfo) -> Condition | None:
    if isinstance(node, Is) and node.what == "unread":
        return Condition(not_keyword="$seen")
    if isinstance(node, Is):
        return Condition(has_keyword=_FLAGS[node.what]) if node.what in _FLAGS else None
    if isinstance(node, Size):
        return Condition(larger=node.over, smaller=node.under)
    if isinstance(node, Received):
        after, before = (beginning(day, zone) if day else None for day in (node.since, node.before))
        return Condition(after=after, before=before) if after or before else None
    return None


def _all(parts: Iterable[Condition | None]) -> Condition | None:
    said = tuple(part for part in parts if part)
    return Condition(all_of=said) if len(said) > 1 else said[0] if said else None


def _any(parts: Iterable[Condition | None]) -> Condition | None:
    """If one of them would be everything, so are they together."""
    one_of = tuple(parts)
    said = tuple(part for part in one_of if part)
    if len(said) < len(one_of):
        return None
    return Condition(one_of=said) if len(said) > 1 else said[0] if said else None
