"""Muting conversations and splitting them: known here only, since no server keeps conversations as we do."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Account, User
from webmail.models import Mailbox, Message, Operation, Thread, ThreadId
from webmail.operations.folders import mailbox_for_role
from webmail.operations.kinds import KINDS, CannotDo, Kind, chunks, kind
from webmail.operations.queue import submit

MOST = 10_000  # messages of a conversation that are looked at to split it
PASSES = 20  # to find what answers what; each message names most of those before it, so one or two do


@kind
class Mute(Kind):
    """payload ``{"threads", "muted"}``; before ``{"threads"}``: those that it changed."""

    name = "mute"
    here_only = True

    @staticmethod
    def apply(op: Operation) -> None:
        changed = Thread.objects.filter(
            account_id=op.account_id, pk__in=op.payload["threads"], muted=not op.payload["muted"]
        )
        op.before = {"threads": list(changed.values_list("pk", flat=True))}
        Thread.objects.filter(pk__in=op.before["threads"]).update(muted=op.payload["muted"])

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return "mute", {"threads": op.before["threads"], "muted": not op.payload["muted"]}


@kind
class Place(Kind):
    """payload ``{"messages", "message_ids", "into", "apart", "from"}``: those messages are of the conversation ``into`` (0: one
    that is made for them), ``apart`` from what they answer; or, where it is taken back, all that is left of the one they were
    ``from``, with what came into it since. before ``{"from", "into"}``."""

    name = "place"
    here_only = True

    @staticmethod
    def apply(op: Operation) -> None:
        own = Message.objects.filter(account_id=op.account_id)
        ids = ThreadId.objects.filter(account_id=op.account_id)
        into = Thread.objects.filter(pk=op.payload["into"], account_id=op.account_id).first()
        into = into or Thread.objects.create(account_id=op.account_id)
        if op.payload["apart"]:
            messages = own.filter(pk__in=op.payload["messages"])
            source = messages.values_list("thread_id", flat=True).first() or 0
            ids.filter(message_id__in=op.payload["message_ids"]).update(thread=into, apart=True)
        else:
            source = op.payload["from"]
            messages = own.filter(thread_id=source)
            ids.filter(thread_id=source, message_id__in=op.payload["message_ids"]).update(apart=False)
            ids.filter(thread_id=source).update(thread=into)
        messages.update(thread=into)
        op.before = {"from": source, "into": into.pk}

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        back = {"from": op.before["into"], "into": op.before["from"], "apart": not op.payload["apart"]}
        return "place", {**op.payload, **back}


def mute(user: User, ids: Iterable[int], muted: bool) -> tuple[uuid.UUID, int]:
    """The conversations of these messages; how many. What of a muted one is in the inbox is archived."""
    batch, number = uuid.uuid4(), 0
    own = Message.objects.for_user(user).filter(pk__in=list(ids), thread__isnull=False)
    threads: dict[int, list[int]] = defaultdict(list)
    for account_id, thread in own.order_by().values_list("account_id", "thread_id").distinct():
        threads[account_id].append(thread)
    for account in user.account_list:
        if mine := threads.get(account.pk):
            submit(account, "mute", {"threads": sorted(mine), "muted": muted}, batch)
            number += len(mine)
            inside = Message.objects.filter(account=account, thread_id__in=mine, mailbox__role="inbox")
            if muted:
                _put_away(account, list(inside.values_list("pk", flat=True)), batch)
    return batch, number


def silence(account: Account, inbox: Mailbox, uids: Iterable[str], threads: Iterable[int]) -> int:
    """For sync, in the transaction that stored them: what came into muted conversations is read and archived. How many of
    it were unread, which are no news to anybody."""
    muted = set(Thread.objects.filter(pk__in=set(threads), muted=True).values_list("pk", flat=True))
    if not muted:
        return 0
    rows: list[tuple[int, bool]] = []
    for some in chunks(list(uids)):
        there = Message.objects.filter(remote_mailbox=inbox, uid__in=some, thread_id__in=muted).exclude(uid="")
        rows += there.values_list("pk", "seen")
    batch, unread = uuid.uuid4(), [pk for pk, seen in rows if not seen]
    if unread:
        change = KINDS["keywords"].payload(unread, add=["$seen"], remove=[])
        submit(account, "keywords", change, batch)
    _put_away(account, [pk for pk, _seen in rows], batch)
    return len(unread)


def _put_away(account: Account, ids: list[int], batch: uuid.UUID) -> None:
    if ids:
        submit(account, "move", KINDS["move"].payload(ids, target=mailbox_for_role(account, "archive").pk), batch)


def split(message: Message) -> tuple[uuid.UUID, int]:
    """This message and what answers it become a conversation of their own; how many they are. Raises CannotDo if there is
    nothing to split it off from."""
    if message.thread_id is None:
        raise CannotDo(_("This message is a conversation of its own."))
    rows = Message.objects.filter(thread_id=message.thread_id).order_by("received_at", "id")
    members = list(rows.values_list("pk", "message_id", "references")[:MOST])
    moved = _answers(message, members)
    if len(moved) == len(members):
        raise CannotDo(_("The conversation begins with this message."))
    names = sorted({name for pk, name, _references in members if pk in moved and name})
    payload = {"messages": sorted(moved), "message_ids": names, "into": 0, "apart": True, "from": message.thread_id}
    batch = uuid.uuid4()
    submit(message.account, "place", payload, batch)
    return batch, len(moved)


def _answers(message: Message, members: list[tuple[int, str, list[str]]]) -> set[int]:
    moved = {message.pk}
    names = {message.message_id} - {""}
    for _pass in range(PASSES):
        before = len(moved)
        for pk, name, references in members:
            if name in names or not names.isdisjoint(references):
                moved.add(pk)
                names |= {name} - {""}
        if len(moved) == before:
            break
    return moved
