"""Which messages belong together: base subjects (RFC 5256 §2.1) and threads by Message-ID and References (§3).

A *thread* is a connected component: two messages are in one if one names the other, or both name a third, whether or
not that one ever arrived. So the result does not depend on the order of arrival. Subjects never join messages, since
two strangers' "Invoice" are two conversations."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

MAX_REFERENCES = 101  # of one message: the first, which is the root, and the last 100
MAX_SUBJECT = 1000  # characters of a subject that are looked at

# Prefixes as clients write them, by language; RFC 5256 itself knows Re, Fw and Fwd only. "VS" forwards in Norwegian and
# Danish and replies in Finnish: it is taken for the former. "Ref", "Att" and "FS" begin too many honest subjects.
REPLY_WORDS = (
    "re", "sv", "aw", "antw", "antwort", "rif", "odp", "ynt", "yn", "vá", "res", "rép", "rsp", "bls", "atb", "r",
    "отв", "ответ", "回复", "回覆", "答复", "答覆", "返信", "답장", "απ", "σχετ", "תגובה", "השב", "رد",
)  # fmt: skip
FORWARD_WORDS = (
    "fw", "fwd", "vs", "vb", "wg", "weitergeleitet", "tr", "enc", "rv", "doorst", "i", "pd", "vl", "továbbítva",
    "ilt", "i̇lt", "yml", "videresendt", "пересл", "转发", "轉寄", "転送", "전달", "πρθ", "הועבר", "إعادة توجيه",
)  # fmt: skip


def _leader(words: tuple[str, ...]) -> re.Pattern[str]:
    """``Re:``, ``RE :``, ``Re[2]:``, ``Re(3):``, ``Re^4:``, and with the full-width colon of Chinese and Japanese."""
    any_word = "|".join(re.escape(word) for word in sorted(set(words), key=len, reverse=True))
    return re.compile(
        rf"\s*(?:{any_word})\s?(?:\[[^\[\]]{{0,60}}\]|\(\d{{1,3}}\)|\^?\d{{1,3}})?\s?[:：]\s*", re.IGNORECASE
    )


_REPLY = _leader(REPLY_WORDS)
_FORWARD = _leader(FORWARD_WORDS)
_ANY = _leader(REPLY_WORDS + FORWARD_WORDS)
_BLOB = re.compile(r"\s*\[[^\[\]]{0,100}\]\s*")
_TRAILER = re.compile(r"\s*\(fwd\)\s*$", re.IGNORECASE)
_WRAPPER = re.compile(r"\s*\[\s*(?:fwd|fw)\s*:(.*)\]\s*", re.IGNORECASE)


def base_subject(subject: str) -> str:
    """The subject without what replies, forwards and mailing lists put around it; its case is kept. Steps (1) to (6)
    of RFC 5256 §2.1, with the prefixes of more languages."""
    text = " ".join(subject[:MAX_SUBJECT].split())
    while True:
        text = _without_trailers(text)
        text = _without_leaders(text)
        wrapped = _WRAPPER.fullmatch(text)
        if wrapped is None:
            return text.strip()
        text = wrapped[1].strip()


def _without_trailers(text: str) -> str:
    while match := _TRAILER.search(text):
        text = text[: match.start()]
    return text


def _without_leaders(text: str) -> str:
    """(3) to (5): leaders, each with blobs before it; and blobs, as long as they leave something."""
    while True:
        if match := _leader_after_blobs(text, _ANY):
            text = text[match.end() :]
        elif (blob := _BLOB.match(text)) and text[blob.end() :].strip():
            text = text[blob.end() :]
        else:
            return text


def _leader_after_blobs(text: str, leader: re.Pattern[str]) -> re.Match[str] | None:
    return leader.match(text, _after_blobs(text))


def is_reply(subject: str) -> bool:
    """Does the subject say that it answers something, in any of the languages known?"""
    return _leader_after_blobs(subject[:MAX_SUBJECT], _REPLY) is not None


def plain_subject(subject: str) -> str:
    """Without the reply prefixes; forwards and [list] tags stay."""
    return _stripped(subject, _REPLY) if _leader_after_blobs(subject[:MAX_SUBJECT], _REPLY) else subject


def reply_subject(subject: str) -> str:
    """``Re: `` before what is being answered, in place of the reply prefixes there; forwards and [list] tags stay."""
    return "Re: " + _stripped(subject, _REPLY)


def forward_subject(subject: str) -> str:
    """``Fwd: `` before what is being forwarded, in place of the forward prefixes there."""
    return "Fwd: " + _stripped(subject, _FORWARD)


def _stripped(subject: str, leader: re.Pattern[str]) -> str:
    text = " ".join(subject[:MAX_SUBJECT].split())
    while match := _leader_after_blobs(text, leader):
        # The blobs before the prefix are the list's, and stay.
        start = _after_blobs(text)
        text = (text[:start].rstrip() + " " + text[match.end() :].lstrip()).strip()
    return text


def _after_blobs(text: str) -> int:
    """Where the blobs at the beginning end."""
    at = 0
    while blob := _BLOB.match(text, at):
        at = blob.end()
    return at


@dataclass(frozen=True, slots=True)
class ThreadInput:
    """One message to place. ``key`` is the caller's name for it; ``references`` are In-Reply-To and References, oldest
    first, ids without ``<>``. ``date`` only numbers new threads: the oldest gets -1. ``subject`` joins nothing."""

    key: Hashable
    message_id: str
    references: tuple[str, ...] = ()
    subject: str = ""
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to store. A thread is a positive number the caller knows, or -1, -2, ... for one to be made.

    ``assignments``: thread by message key. ``merges``: (from, into) known threads that turn out to be one; the smallest
    number stays. ``ids``: thread by message-id, for every id seen here that is new or has moved: it has to be
    remembered also for messages that have not arrived, or a later one cannot find its thread."""

    assignments: dict[Hashable, int] = field(default_factory=dict)
    merges: list[tuple[int, int]] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)


class _Sets:
    """Disjoint sets, with path halving. Nodes are message-ids, and the numbers of known threads."""

    def __init__(self) -> None:
        self.parent: dict[str | int, str | int] = {}

    def find(self, node: str | int) -> str | int:
        parent = self.parent
        above = parent.setdefault(node, node)
        while above != node:
            parent[node] = above = parent[above]
            node, above = above, parent[above]
        return node

    def join(self, one: str | int, other: str | int) -> None:
        self.parent[self.find(one)] = self.find(other)


def assign(messages: Sequence[ThreadInput], known: Mapping[str, int], apart: frozenset[str] = frozenset()) -> Plan:
    """Place a batch of messages among the threads there are. ``known`` maps message-ids to threads, at least for the
    ids in this batch; ``apart`` are those that a person split off from what they answer. Linear in the number of ids.
    Splitting or reordering batches changes no grouping, only the numbers of new threads. A message without any id is a
    thread of its own."""
    sets = _Sets()
    named: dict[str, None] = {}
    firsts: list[str] = []  # of each message, the id that stands for it
    for message in messages:
        ids = _ids(message, apart)
        firsts.append(ids[0] if ids else "")
        for name in ids:
            if name not in named:
                named[name] = None
                if name in known:
                    sets.join(name, known[name])
            if name is not ids[0]:
                sets.join(name, ids[0])
    chosen: dict[str | int, int] = {}
    for thread in dict.fromkeys(known[name] for name in named if name in known):
        root = sets.find(thread)
        chosen[root] = min(thread, chosen.get(root, thread))
    plan = Plan()
    for name in named:
        if name in known and known[name] != (thread := chosen[sets.find(name)]):
            plan.merges.append((known[name], thread))
    plan.merges[:] = sorted(set(plan.merges))
    made = 0
    for at in sorted(range(len(messages)), key=lambda at: _age(messages[at])):
        root = sets.find(firsts[at]) if firsts[at] else ""
        if root == "" or root not in chosen:
            made -= 1
            plan.assignments[messages[at].key] = made
            if root != "":
                chosen[root] = made
            continue
        plan.assignments[messages[at].key] = chosen[root]
    for name in named:
        thread = chosen[sets.find(name)]
        if known.get(name) != thread:
            plan.ids[name] = thread
    return plan


def _ids(message: ThreadInput, apart: frozenset[str]) -> list[str]:
    """What names its thread: itself, and what it answers back to the first of its conversation."""
    references = message.references
    if apart and references:
        references = _since(message, apart)
    if not references:
        return [message.message_id] if message.message_id else []
    if len(references) > MAX_REFERENCES:
        references = (references[0], *references[1 - MAX_REFERENCES :])
    return [name for name in dict.fromkeys((message.message_id, *references)) if name]


def _since(message: ThreadInput, apart: frozenset[str]) -> tuple[str, ...]:
    if message.message_id in apart:
        return ()
    ends = [place for place, name in enumerate(message.references) if name in apart]
    return message.references[ends[-1] :] if ends else message.references


_LATEST = datetime.max.replace(tzinfo=UTC)


def _age(message: ThreadInput) -> tuple[datetime, str, str]:
    return message.date or _LATEST, message.message_id, str(message.key)
