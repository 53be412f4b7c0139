"""Create, rename, destroy, subscribe: operations on folders, and the verbs that submit them."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models import CharField, Q
from django.utils.translation import gettext as _

from accounts.models import Account
from webmail.models import Mailbox, Message, Operation, OperationState
from webmail.operations.kinds import UNDO_WINDOW, CannotDo, Kind, kind, mailbox_of
from webmail.operations.messages import forget
from webmail.operations.queue import submit
from webmail.prepared import Integer, Prepared
from webmail.protocols.base import MailStore
from webmail.protocols.errors import AlreadyExists, NotFound, Refused

log = logging.getLogger(__name__)
DEFAULT_NAMES = {"archive": "Archive", "junk": "Junk", "trash": "Trash", "sent": "Sent", "drafts": "Drafts"}


@kind
class CreateMailbox(Kind):
    """payload ``{"mailbox"}``: the row was made by the verb below."""

    name = "create_mailbox"

    @staticmethod
    def apply(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(hidden=False)

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        mailbox = mailbox_of(op.payload["mailbox"])
        if mailbox.remote_name is not None:
            return
        try:
            store.create_mailbox(mailbox.name)
        except AlreadyExists:
            if op.attempts <= 1 and not mailbox.role:  # a repeat after a crash meets its own work
                raise
        store.subscribe(mailbox.name, True)
        _merge_listed(mailbox)

    @staticmethod
    def revert(op: Operation) -> None:
        mailbox = Mailbox.objects.filter(pk=op.payload["mailbox"]).first()
        if mailbox and not mailbox.messages.exists():
            mailbox.delete()

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        mailbox = Mailbox.objects.filter(pk=op.payload["mailbox"]).first()
        return ("destroy_mailbox", {"mailbox": mailbox.pk}) if mailbox and not mailbox.total else None


@transaction.atomic
def _merge_listed(mailbox: Mailbox) -> None:
    """Sync may have listed the new folder meanwhile: what it put there is ours to show under the row the person made."""
    listed = Mailbox.objects.filter(account=mailbox.account, remote_name=mailbox.name).first()
    if listed:
        Message.objects.filter(mailbox=listed).update(mailbox=mailbox)
        Message.objects.filter(remote_mailbox=listed).update(remote_mailbox=mailbox)
        listed.delete()
        mailbox.recount()
    Mailbox.objects.filter(pk=mailbox.pk).update(remote_name=mailbox.name)


@kind
class RenameMailbox(Kind):
    """payload ``{"mailbox", "name"}``; before ``{"name"}``. Folders below follow, here and on the server (RFC 9051 §6.3.6)."""

    name = "rename_mailbox"

    @staticmethod
    def apply(op: Operation) -> None:
        mailbox = mailbox_of(op.payload["mailbox"])
        op.before = {"name": mailbox.name}
        _rename_rows(mailbox, op.payload["name"], "name")

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        mailbox = mailbox_of(op.payload["mailbox"])
        old, new = mailbox.remote_name, op.payload["name"]
        if old is None or old == new:
            return
        try:
            store.rename_mailbox(old, new)
        except NotFound:
            if op.attempts <= 1 or not any(box.name == new for box in store.mailboxes()):
                raise
        store.subscribe(old, False)
        store.subscribe(new, True)
        _rename_rows(mailbox, new, "remote_name")

    @staticmethod
    def revert(op: Operation) -> None:
        mailbox = Mailbox.objects.filter(pk=op.payload["mailbox"]).first()
        if mailbox:
            _rename_rows(mailbox, op.before["name"], "name")

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return "rename_mailbox", {"mailbox": op.payload["mailbox"], "name": op.before["name"]}


def _rename_rows(mailbox: Mailbox, new: str, column: str) -> None:
    old = getattr(mailbox, column)
    below = old + mailbox.delimiter if mailbox.delimiter else None
    for row in Mailbox.objects.filter(account_id=mailbox.account_id):
        name = getattr(row, column)
        if row.pk == mailbox.pk or (below and name and name.startswith(below)):
            setattr(row, column, new + name[len(old) :])
            row.save(update_fields=[column])


@kind
class DestroyMailbox(Kind):
    """payload ``{"mailbox"}``: the folder and what is in it, held back for UNDO_WINDOW."""

    name = "destroy_mailbox"
    delay = UNDO_WINDOW

    @staticmethod
    def apply(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(hidden=True)

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        mailbox = Mailbox.objects.filter(pk=op.payload["mailbox"]).first()
        if mailbox is None:
            return
        if mailbox.remote_name is not None:
            _refuse_unseen(store, mailbox)
            try:
                store.destroy_mailbox(mailbox.remote_name)
                store.subscribe(mailbox.remote_name, False)
            except NotFound:
                log.info("mailbox %s was gone already", mailbox.pk)
        mailbox.delete()

    @staticmethod
    def settle_here(op: Operation) -> None:
        inside = Message.objects.filter(account_id=op.account_id, mailbox_id=op.payload["mailbox"])
        rows = list(inside)
        inside.update(mailbox=None)
        forget(rows)
        Mailbox.objects.filter(pk=op.payload["mailbox"]).delete()

    @staticmethod
    def revert(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(hidden=False)


def _refuse_unseen(store: MailStore, mailbox: Mailbox) -> None:
    """A folder takes with it only what the person saw in it. Raises Refused if there is more by now, or if something
    they moved out of it is in there still."""
    rows = Message.objects.filter(remote_mailbox=mailbox)
    if rows.exclude(mailbox=mailbox).exclude(mailbox=None).exists():
        raise Refused(_("Something that was moved out of the folder is still in it."))
    brought_back = Operation.objects.filter(
        account_id=mailbox.account_id, kind="move", state=OperationState.FAILED, before__has_key=str(mailbox.pk)
    )
    if brought_back.filter(told=False).exists():
        raise Refused(_("Something that was to be moved out of the folder is still in it."))
    known = {
        row.uid: frozenset(row.synced_keywords.split()) for row in rows.exclude(uid="").only("uid", "synced_keywords")
    }
    try:
        created = store.changes(mailbox.remote_name or "", mailbox.state or None, known).created
    except NotFound:
        return
    if created and mailbox.complete:
        raise Refused(_("New mail has come into the folder since you looked."))


@kind
class Subscribe(Kind):
    """payload ``{"mailbox", "subscribed"}``."""

    name = "subscribe"

    @staticmethod
    def apply(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(subscribed=op.payload["subscribed"])

    @staticmethod
    def replay(op: Operation, store: MailStore) -> None:
        mailbox = mailbox_of(op.payload["mailbox"])
        if mailbox.remote_name is not None:
            store.subscribe(mailbox.remote_name, op.payload["subscribed"])

    @staticmethod
    def revert(op: Operation) -> None:
        Mailbox.objects.filter(pk=op.payload["mailbox"]).update(subscribed=not op.payload["subscribed"])

    @staticmethod
    def inverse(op: Operation) -> tuple[str, dict[str, Any]] | None:
        return "subscribe", {**op.payload, "subscribed": not op.payload["subscribed"]}


# --- verbs of the pages ---


_of_role = Prepared(
    lambda account, role: Mailbox.objects.filter(account_id=account, role=role, hidden=False).order_by("pk")[:1],
    Integer,
    CharField(max_length=10),
)


def mailbox_for_role(account: Account, role: str) -> Mailbox:
    """The account's folder of this role; made, here and on the server, if there is none."""
    found = _of_role(account.pk, role)
    if found:
        return found[0]
    if role not in DEFAULT_NAMES:
        raise CannotDo(_("This account has no such folder."))
    sibling = (
        Mailbox.objects.filter(account=account, role__in=("sent", "drafts", "trash")).exclude(remote_name=None).first()
    )
    prefix = sibling.name[: -len(sibling.path[-1])] if sibling and len(sibling.path) > 1 else ""
    name = prefix + DEFAULT_NAMES[role]
    existing = Mailbox.objects.filter(account=account, name=name, hidden=False).first()
    if existing:
        Mailbox.objects.filter(pk=existing.pk).update(role=role)
        return existing
    return create_mailbox(account, name, role=role)


def _free(account: Account, name: str, but: Mailbox | None = None) -> None:
    taken = Mailbox.objects.filter(account=account, name=name, hidden=False)
    if (taken.exclude(pk=but.pk) if but else taken).exists():
        raise CannotDo(_("There is a folder “%(name)s” already.") % {"name": name})


def delimiter_of(account: Account) -> str:
    inbox = Mailbox.objects.filter(account=account, role="inbox").first()
    return inbox.delimiter if inbox else "/"


def mailbox_name(account: Account, title: str, parent: Mailbox | None) -> str:
    """The full name of a folder called ``title`` under ``parent``. Raises CannotDo."""
    delimiter = delimiter_of(account)
    title = title.strip()
    if not title:
        raise CannotDo(_("A folder needs a name."))
    if delimiter and delimiter in title:
        raise CannotDo(_("A folder's name cannot contain “%(sign)s” here.") % {"sign": delimiter})
    if any(ord(c) < 32 or ord(c) == 127 for c in title) or len(title) > 200:
        raise CannotDo(_("That name is too long, or has characters that no folder can have."))
    if parent is None:
        siblings = Mailbox.objects.filter(account=account).exclude(role="inbox").exclude(remote_name=None)
        names = list(siblings.values_list("name", flat=True)[:50])
        prefix = f"INBOX{delimiter}"
        inside = bool(names) and bool(delimiter) and all(name.startswith(prefix) for name in names)
        return (prefix if inside else "") + title  # a server whose every folder lies below INBOX takes no others
    return f"{parent.name}{delimiter}{title}"


@transaction.atomic
def create_mailbox(account: Account, name: str, role: str = "") -> Mailbox:
    """Raises CannotDo if the name is taken."""
    _free(account, name)
    mailbox = Mailbox.objects.create(
        account=account, name=name, role=role, delimiter=delimiter_of(account), complete=True
    )
    submit(account, "create_mailbox", {"mailbox": mailbox.pk})
    return mailbox


@transaction.atomic
def rename_mailbox(mailbox: Mailbox, name: str) -> Operation | None:
    """Raises CannotDo for a protected folder, a taken name, or a folder to be put inside itself."""
    if mailbox.protected:
        raise CannotDo(_("“%(name)s” has a role and keeps its name.") % {"name": mailbox.title})
    if name == mailbox.name:
        return None
    if mailbox.delimiter and name.startswith(mailbox.name + mailbox.delimiter):
        raise CannotDo(_("A folder cannot be moved into itself."))
    _free(mailbox.account, name, but=mailbox)
    return submit(mailbox.account, "rename_mailbox", {"mailbox": mailbox.pk, "name": name})


@transaction.atomic
def destroy_mailbox(mailbox: Mailbox) -> Operation:
    """Raises CannotDo for a protected folder or one that has folders below it."""
    if mailbox.protected:
        raise CannotDo(_("“%(name)s” has a role and cannot be deleted.") % {"name": mailbox.title})
    below = Q(name__startswith=mailbox.name + mailbox.delimiter) if mailbox.delimiter else Q(pk=None)
    if Mailbox.objects.filter(below, account=mailbox.account, hidden=False).exists():
        raise CannotDo(_("There are folders below it. Delete or move those first."))
    return submit(mailbox.account, "destroy_mailbox", {"mailbox": mailbox.pk})


def subscribe(mailbox: Mailbox, subscribed: bool) -> Operation:
    return submit(mailbox.account, "subscribe", {"mailbox": mailbox.pk, "subscribed": subscribed})
