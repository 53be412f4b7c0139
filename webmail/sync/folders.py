"""Folders: the server's list -> rows. One that the server no longer lists goes at the second look."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from webmail import operations
from webmail.models import Mailbox, Message, Operation
from webmail.protocols.base import Capability, MailStore, RemoteMailbox
from webmail.protocols.errors import ProtocolError

SECOND_LOOK = timedelta(minutes=1)
FOLDER_KINDS = ("create_mailbox", "rename_mailbox", "destroy_mailbox", "subscribe")


def list_mailboxes(account: Account, store: MailStore) -> None:
    """Bring the folders in line with the server's list."""
    if Capability.MAILBOXES not in store.capabilities:
        _local_mailboxes(account)
        return
    listed = {remote.name: remote for remote in store.mailboxes()}
    if not any(remote.role == "inbox" for remote in listed.values()):
        raise ProtocolError("the server lists no INBOX")
    _merge_mailboxes(account, listed)


@transaction.atomic
def _merge_mailboxes(account: Account, listed: Mapping[str, RemoteMailbox]) -> None:
    rows = {row.remote_name: row for row in Mailbox.objects.filter(account=account).exclude(remote_name=None)}
    folder_operations = Operation.objects.filter(account=account, kind__in=FOLDER_KINDS).open()
    pending = set(folder_operations.values_list("payload__mailbox", flat=True))
    waiting = {row.name: row for row in Mailbox.objects.filter(account=account, remote_name=None)}
    for name, remote in listed.items():
        row = rows.get(name)
        if row is None:
            made_here = waiting.get(name)
            if made_here and made_here.pk not in pending:  # it could not be made there, because there was one
                Mailbox.objects.filter(pk=made_here.pk).update(remote_name=name, complete=False)
            elif made_here is None:
                Mailbox.objects.create(
                    account=account, name=name, remote_name=name, delimiter=remote.delimiter or "", role=remote.role or "",
                    selectable=remote.selectable, subscribed=remote.subscribed, total=remote.total or 0, unread=remote.unread or 0,
                )  # fmt: skip
            continue
        subscribed = row.subscribed if row.pk in pending else remote.subscribed
        role = remote.role or row.role
        said = (remote.delimiter or "", role, remote.selectable, subscribed)
        if said != (row.delimiter, row.role, row.selectable, row.subscribed) or row.missing_since:
            row.delimiter, row.role, row.selectable, row.subscribed = said
            row.missing_since = None
            row.save(update_fields=["delimiter", "role", "selectable", "subscribed", "missing_since"])
    for row in rows.values():
        if row.remote_name not in listed and row.pk not in pending:
            _missing(row)


def _missing(row: Mailbox) -> None:
    """A folder that the server no longer lists goes at the second look; not before what the person moved out of it was
    tried there, so that they hear that it came to nothing."""
    if row.missing_since is None:
        Mailbox.objects.filter(pk=row.pk).update(missing_since=timezone.now())
        return
    moved_out = Message.objects.filter(remote_mailbox=row, mailbox__isnull=False).exclude(mailbox=row)
    is_waiting = moved_out.exists() and Operation.objects.filter(account_id=row.account_id).open().exists()
    if timezone.now() - row.missing_since >= SECOND_LOOK and not is_waiting:
        row.delete()


def _local_mailboxes(account: Account) -> None:
    """The folders of a downloading account: one that mirrors the server, the others ours alone."""
    present = set(Mailbox.objects.filter(account=account).values_list("role", flat=True))
    if "inbox" not in present:
        Mailbox.objects.create(account=account, name="INBOX", remote_name="INBOX", role="inbox")
    for role, name in operations.DEFAULT_NAMES.items():
        if role not in present:
            Mailbox.objects.create(account=account, name=name, role=role, complete=True)
