"""What pages ask for: one action on messages of several accounts, an operation for each, joined as a batch."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator

from django.utils.translation import gettext as _

from accounts.models import Account, User
from webmail.models import Mailbox, Message
from webmail.operations.folders import mailbox_for_role
from webmail.operations.kinds import CannotDo, chunks
from webmail.operations.queue import submit


def by_account(user: User, ids: Iterable[int]) -> Iterator[tuple[Account, list[int]]]:
    """The person's own among these messages, by account."""
    groups: dict[int, list[int]] = defaultdict(list)
    for some in chunks(list(dict.fromkeys(ids))):
        for account_id, pk in Message.objects.for_user(user).filter(pk__in=some).values_list("account_id", "pk"):
            groups[account_id].append(pk)
    accounts = Account.objects.for_user(user).in_bulk(groups)
    for account_id, own in groups.items():
        yield accounts[account_id], own


def change_keywords(user: User, ids: Iterable[int], add: Iterable[str] = (), remove: Iterable[str] = ()) -> uuid.UUID:
    batch = uuid.uuid4()
    for account, own in by_account(user, ids):
        submit(account, "keywords", {"changes": [{"ids": own, "add": sorted(add), "remove": sorted(remove)}]}, batch)
    return batch


def move_to(user: User, ids: Iterable[int], target: Mailbox) -> uuid.UUID:
    """Raises CannotDo if a message belongs to another account."""
    batch = uuid.uuid4()
    groups = list(by_account(user, ids))
    if any(account.pk != target.account_id for account, own in groups):
        raise CannotDo(_("Messages can be moved within their own account only."))
    for account, own in groups:
        submit(account, "move", {"moves": [{"ids": own, "target": target.pk}]}, batch)
    return batch


def move_to_role(user: User, ids: Iterable[int], role: str) -> uuid.UUID:
    """To the archive, junk or trash of each message's own account, which is made if it has none."""
    batch = uuid.uuid4()
    for account, own in by_account(user, ids):
        target = mailbox_for_role(account, role)
        submit(account, "move", {"moves": [{"ids": own, "target": target.pk}]}, batch)
    return batch


def copy_to(user: User, ids: Iterable[int], target: Mailbox) -> uuid.UUID:
    """Raises CannotDo if a message belongs to another account."""
    batch = uuid.uuid4()
    groups = list(by_account(user, ids))
    if any(account.pk != target.account_id for account, own in groups):
        raise CannotDo(_("Messages can be copied within their own account only."))
    for account, own in groups:
        submit(account, "copy", {"ids": own, "target": target.pk}, batch)
    return batch


def destroy(user: User, ids: Iterable[int]) -> uuid.UUID:
    batch = uuid.uuid4()
    for account, own in by_account(user, ids):
        submit(account, "destroy", {"ids": own}, batch)
    return batch
