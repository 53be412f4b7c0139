"""Pull: server -> cache.

``changes()`` says what differs; what is new is read newest first, in batches of one transaction each, and the new state
is saved last, so that a crash only repeats work. The remote half of the rows is what gets compared; what the person did
meanwhile is laid over it again (operations.rebase). A mailbox that suddenly lists nothing is not emptied at once.

run        one sync of one account under its lease, from replaying what waits to fetching text ahead
folders    the server's list of mailboxes
rows       a message as the server tells it -> a row, in its conversation
download   POP3: whole messages into a store of our own
"""

from __future__ import annotations

from webmail.sync.download import keep
from webmail.sync.folders import list_mailboxes
from webmail.sync.run import (
    INTERVAL,
    MAX_INTERVAL,
    Progress,
    Report,
    due_accounts,
    first_page,
    replay_account,
    sync_account,
)

__all__ = [
    "INTERVAL",
    "MAX_INTERVAL",
    "Progress",
    "Report",
    "due_accounts",
    "first_page",
    "keep",
    "list_mailboxes",
    "replay_account",
    "sync_account",
]
