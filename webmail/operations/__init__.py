"""Push: what the person did, shown at once and replayed on the server in order.

An operation is a row. Its kind has ``apply`` (the cache, in the transaction that makes the row), ``replay`` (the
server; idempotent, because a crash repeats it), ``revert`` (the cache, as it was) and ``inverse`` (what undoes it
afterwards). ``pending → replaying → done``; ``canceled`` if undone before it began; ``failed`` (and reverted) if the
server refused. One runner per account replays first in, first out; see leases.py.

kinds      what an operation can be
messages   keywords, move, copy, destroy
folders    create, rename, destroy, subscribe
conversations  mute, split: here only
drafts     what is written here, in the server's Drafts
queue      submitting, undoing, replaying, failing
shown      what the person sees: the server's word, with what it has not heard laid over it
many       one action on everything in a list, in batches
verbs      what pages ask for
"""

from __future__ import annotations

from webmail.operations.conversations import mute, silence, split
from webmail.operations.drafts import discard_draft, discard_drafts, mirror, unmirror
from webmail.operations.folders import (
    DEFAULT_NAMES,
    create_mailbox,
    destroy_mailbox,
    mailbox_for_role,
    mailbox_name,
    rename_mailbox,
    subscribe,
)
from webmail.operations.kinds import KINDS, MANY, MANY_KINDS, UNDO_MANY, CannotDo, chunks, discard, join_keywords
from webmail.operations.many import is_spread, last_id, spread, undo, unspread
from webmail.operations.queue import due, fail, forget_old, on_submit, replay_due
from webmail.operations.shown import rebase
from webmail.operations.verbs import What, change_keywords, copy_to, destroy, move_to, move_to_role

QUIET = tuple(name for name, what in KINDS.items() if what.quiet)

__all__ = [
    "DEFAULT_NAMES",
    "KINDS",
    "MANY",
    "MANY_KINDS",
    "QUIET",
    "UNDO_MANY",
    "CannotDo",
    "What",
    "change_keywords",
    "chunks",
    "copy_to",
    "create_mailbox",
    "destroy",
    "destroy_mailbox",
    "discard",
    "discard_draft",
    "discard_drafts",
    "due",
    "fail",
    "forget_old",
    "is_spread",
    "join_keywords",
    "last_id",
    "mailbox_for_role",
    "mailbox_name",
    "mirror",
    "move_to",
    "move_to_role",
    "mute",
    "on_submit",
    "rebase",
    "rename_mailbox",
    "replay_due",
    "silence",
    "split",
    "spread",
    "subscribe",
    "undo",
    "unmirror",
    "unspread",
]
