"""What pages ask for: one action on messages of several accounts, an operation for each, joined as a batch.

``what`` is ids, or a Selection: everything in a list."""

from __future__ import annotations

import math
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.utils.translation import gettext as _

from accounts.models import Account, User
from webmail import selection
from webmail.models import Mailbox, Message
from webmail.operations.folders import mailbox_for_role
from webmail.operations.kinds import BATCH, KINDS, CannotDo, chunks
from webmail.operations.many import submit_many
from webmail.operations.queue import submit
from webmail.prepared import Integer, Prepared, Several
from webmail.selection import Selection, Some

What = Sequence[int] | Selection


_shown = Prepared(
    lambda user, ids: Message.objects.filter(pk__in=ids, account__user_id=user, mailbox__hidden=False).values_list(
        "account_id", "pk"
    ),
    Integer,
    Several(Integer),
)


def _by_account(user: User, what: What) -> Iterator[tuple[Account, Some]]:
    """The person's own among these messages, by account. A small selection becomes its ids, which is done at once and
    whole."""
    if isinstance(what, Selection):
        ends = time.monotonic() + selection.PATIENCE  # of all together: somebody waits
        for account in user.account_list:
            some = what.some(account, None, BATCH, max(0.0, ends - time.monotonic()))
            if some.ids or some.rest:
                yield account, some
        return
    accounts = {account.pk: account for account in user.account_list}
    groups: dict[int, list[int]] = defaultdict(list)
    for ids in chunks(list(dict.fromkeys(what))):
        for account_id, pk in _shown(user.pk, list(ids)):
            groups[account_id].append(pk)
    for account_id, own in groups.items():
        yield accounts[account_id], Some(own)


def _act(user: User, what: What, name: str, arguments: Callable[[Account], dict[str, Any]]) -> tuple[uuid.UUID, int]:
    """The batch, and how many messages it is about: those that are known by now (see ``is_spread``)."""
    batch, number = uuid.uuid4(), 0
    for account, some in list(_by_account(user, what)):
        number += len(some.ids)
        if isinstance(what, Selection) and some.rest:
            submit_many(account, name, arguments(account), what, some, batch)
        else:
            submit(account, name, KINDS[name].payload(some.ids, **arguments(account)), batch)
    return batch, number


def change_keywords(
    user: User, what: What, add: Iterable[str] = (), remove: Iterable[str] = ()
) -> tuple[uuid.UUID, int]:
    change = {"add": sorted(add), "remove": sorted(remove)}
    return _act(user, what, "keywords", lambda account: change)


def move_to(user: User, what: What, target: Mailbox) -> tuple[uuid.UUID, int]:
    """Raises CannotDo if a message belongs to another account, before anything is moved."""
    _all_of(user, what, target, _("Messages can be moved within their own account only."))
    return _act(user, what, "move", lambda account: {"target": target.pk})


def move_to_role(user: User, what: What, role: str) -> tuple[uuid.UUID, int]:
    """To the archive, junk or trash of each message's own account, which is made if it has none."""
    return _act(user, what, "move", lambda account: {"target": mailbox_for_role(account, role).pk})


def copy_to(user: User, what: What, target: Mailbox) -> tuple[uuid.UUID, int]:
    """Raises CannotDo if a message belongs to another account, before anything is copied."""
    _all_of(user, what, target, _("Messages can be copied within their own account only."))
    return _act(user, what, "copy", lambda account: {"target": target.pk})


def destroy(user: User, what: What) -> tuple[uuid.UUID, int]:
    return _act(user, what, "destroy", lambda account: {})


def _all_of(user: User, what: What, target: Mailbox, otherwise: str) -> None:
    if isinstance(what, Selection):
        others = [account for account in user.account_list if account.pk != target.account_id]
        elsewhere = any(what.some(account, None, 1, math.inf).ids for account in others)
    else:
        elsewhere = any(account.pk != target.account_id for account, _some in _by_account(user, what))
    if elsewhere:
        raise CannotDo(otherwise)
