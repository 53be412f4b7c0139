"""What happens when an account has just been verified: its first page from one fetch, and a nudge for the rest."""

from __future__ import annotations

import logging

from accounts.models import Account
from webmail import connections, operations, suggestions, sync, tasks
from webmail.leases import lease
from webmail.models import Mailbox, Message, Operation, SubmissionState, forget_files_of
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError, StateLost

log = logging.getLogger(__name__)


def farewell(account_id: int, user_id: int) -> None:
    """The account's row is gone: so are its files, and who was only known from its mail."""
    connections.close_all(account_id)
    forget_files_of(account_id)
    suggestions.forget_orphans(user_id)
    tasks.nudge_count(user_id)


def holdings(account: Account) -> dict[str, int]:
    """What goes when the account goes: messages kept here, drafts, what is in the outbox, what its server has not heard."""
    outgoing = account.submissions.in_outbox().exclude(state=SubmissionState.SENT)
    return {
        "messages": sum(account.mailboxes.values_list("total", flat=True)),
        "drafts": account.drafts.being_written().count(),
        "outgoing": outgoing.count(),
        "waiting": Operation.objects.filter(account=account).open().count(),
    }


def forget_server(account: Account) -> None:
    """Nothing that was learned from, or meant for, the old server may meet the new one: its uids are other messages.
    Downloaded mail is ours and stays."""
    for op in Operation.objects.filter(account=account).open():
        operations.fail(op, StateLost("the account is on another server now"))
    if account.downloads:
        Message.objects.filter(account=account, mailbox=None).delete()
        Message.objects.filter(account=account).update(remote_mailbox=None, uid="")
        Mailbox.objects.filter(account=account).update(state="")
    else:
        Mailbox.objects.filter(account=account).delete()


def welcome(account: Account, store: MailStore | None, moved: bool) -> None:
    connections.close_all(account.pk)
    if moved:
        forget_server(account)
    if store is not None:
        account.learn(store)
        try:
            with lease(account) as held:
                if held is not None and not account.messages.exists():
                    sync.first_page(account, store)
        except MailError as error:
            log.info("first page of account %s: %s", account.pk, error)
            store.close()
        else:
            connections.adopt(account, store)
    tasks.nudge_sync(account.pk)
    if not account.outgoing_settled:
        tasks.nudge_settle_outgoing(account.pk)
