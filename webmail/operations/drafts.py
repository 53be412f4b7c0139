"""What is written here, in the server's Drafts too: other programs find it there, and it is safe if we are lost.

One writer: the account's one runner. It puts a new copy there and then removes its own earlier ones, by their uids alone; a
copy that another program made or changed is never touched. What is about to be put there is written down first: after a
crash in between, it is known by the place where it must be, its Message-ID and its size."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from typing import BinaryIO, cast

from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from webmail import compose
from webmail.models import Draft, DraftCopy, Message, Operation, OperationQuerySet, OperationState
from webmail.operations.folders import mailbox_for_role
from webmail.operations.kinds import Kind, discard, kind, use
from webmail.operations.queue import submit
from webmail.protocols.base import Condition, MailStore
from webmail.protocols.errors import NotFound, StateLost

log = logging.getLogger(__name__)
MOST = 50  # messages that are looked at to find one of ours
PAUSE = timedelta(seconds=15)  # what is being typed is not put there at each save …
OCTETS_A_SECOND = 200_000  # … and what is large more rarely
LONGEST = timedelta(minutes=10)


def mirror(draft: Draft) -> None:
    """Have the server's Drafts follow: after a save, and when the draft is gone (its number tells which it was)."""
    if draft.account.downloads or not draft.pk or draft.kind == compose.ANSWER:
        return
    number = draft.pk
    if _mirrors(draft.account_id, number).filter(state=OperationState.PENDING).exists():
        return
    submit(draft.account, MirrorDraft.name, {"draft": number}, after=_pause(draft))


def _pause(draft: Draft) -> timedelta:
    return min(PAUSE + timedelta(seconds=compose.encoded_size(draft) / OCTETS_A_SECOND), LONGEST)


def unmirror(account: Account, *numbers: int) -> None:
    """Drafts of these numbers are sent or discarded: their copies go at once, and so does one that is being put there. What
    waits to put one there cannot begin before this is committed, and then sees that its draft is gone."""
    putting = _mirrors(account.pk, *numbers)
    putting.filter(state=OperationState.PENDING).update(not_before=timezone.now())
    copies = DraftCopy.objects.filter(account=account, draft_number__in=numbers)
    there = set(copies.values_list("draft_number", flat=True))
    there.update(op.payload["draft"] for op in putting.filter(state=OperationState.REPLAYING))
    for number in sorted(there):
        submit(account, MirrorDraft.name, {"draft": number})


def _mirrors(account: int, *numbers: int) -> OperationQuerySet:
    return Operation.objects.filter(account_id=account, kind=MirrorDraft.name, payload__draft__in=numbers)


def discard_draft(draft: Draft) -> None:
    """Here and on the server."""
    if draft.pk:
        discard_drafts(draft.account, [draft.pk])
        draft.pk = None


@transaction.atomic
def discard_drafts(account: Account, numbers: Sequence[int]) -> None:
    """As discard_draft, by their numbers."""
    compose.discard_all(numbers)
    unmirror(account, *numbers)


@kind
class MirrorDraft(Kind):
    name = "mirror_draft"
    quiet = True

    @staticmethod
    def apply(op: Operation) -> None:
        """Nothing: the draft is what the person sees."""

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        number = op.payload["draft"]
        copies = DraftCopy.objects.filter(account_id=op.account_id, draft_number=number).select_related("mailbox")
        for copy in copies.filter(uid=""):  # a crash came between
            _find(copy, store)
        written = Draft.objects.being_written().filter(pk=number, account_id=op.account_id)
        draft = written.first()
        if draft and not draft.awaits_attachments and not copies.filter(revision=draft.revision).exists():
            _put(op.account, draft, store)
            draft = written.first()  # discarded before it was written down that a copy comes: nobody else removes that
        newest = copies.exclude(uid="").order_by("revision").last() if draft else None
        for copy in copies.exclude(pk=newest.pk) if newest else copies:
            _remove(copy, store)

    @staticmethod
    def revert(op: Operation) -> None:
        """Nothing was changed here."""


def _put(account: Account, draft: Draft, store: MailStore) -> None:
    mailbox = mailbox_for_role(account, "drafts")
    name = use(store, mailbox)
    if not mailbox.state:
        raise StateLost("the folder has not been looked at yet")
    with tempfile.TemporaryFile() as file:
        copy = DraftCopy(account=account, draft_number=draft.pk, revision=draft.revision, mailbox=mailbox)
        copy.state, copy.message_id = mailbox.state, draft.message_id
        copy.put_at = timezone.now().replace(microsecond=0)  # INTERNALDATE has none (RFC 9051 §2.3.3)
        copy.size = compose.write_unfinished(draft, cast(BinaryIO, file))
        copy.save()
        uid = store.append(name, cast(BinaryIO, file), ["$draft", "$seen"], copy.put_at)
    ours = DraftCopy.objects.filter(account=account, draft_number=draft.pk)
    if uid and not ours.filter(uid=uid).exists():  # one of before, where a server without UIDPLUS does not tell
        ours.filter(pk=copy.pk).update(uid=uid)
    else:
        _find(copy, store)


def _find(copy: DraftCopy, store: MailStore) -> None:
    """One whose uid we were not told, by what is only its own: Message-ID, size and the second in which we put it there.
    Not there: it never came so far."""
    try:
        name = _use(copy, store)
        candidates = store.search(name, Condition(message_id=copy.message_id))[:MOST]
        found = [
            remote.uid
            for remote in store.messages(name, candidates)
            if remote.size == copy.size and remote.received_at == copy.put_at
        ]
    except (NotFound, StateLost):
        found = []
    if len(found) == 1:
        DraftCopy.objects.filter(pk=copy.pk).update(uid=found[0])
    else:
        copy.delete()


def _remove(copy: DraftCopy, store: MailStore) -> None:
    """Where the server has numbered the folder anew, nobody knows any more which one it is: then it stays."""
    try:
        store.destroy(_use(copy, store), [copy.uid])
    except (NotFound, StateLost) as error:
        log.info("copy %s of draft %s is not removed: %s", copy.uid, copy.draft_number, error)
    else:
        discard(Message.objects.filter(remote_mailbox=copy.mailbox, uid=copy.uid))
    copy.delete()


def _use(copy: DraftCopy, store: MailStore) -> str:
    """The folder's name there; from now on the store refuses the copy's uid if it would mean another message."""
    if copy.mailbox.remote_name is None:
        raise NotFound("the folder is not on the server")
    store.expect(copy.mailbox.remote_name, copy.state)
    return copy.mailbox.remote_name
