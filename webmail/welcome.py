"""What happens when an account has just been verified: its first page from one fetch, and a nudge for the rest."""

from __future__ import annotations

import logging

from accounts.models import Account
from webmail import connections, sync, tasks
from webmail.leases import lease
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError

log = logging.getLogger(__name__)


def welcome(account: Account, store: MailStore | None) -> None:
    connections.close_all(account.pk)
    if store is not None:
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
