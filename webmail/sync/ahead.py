"""Text fetched ahead, so that opening a message needs no server: the newest of each folder at once, then, as the account
says, that of the recent or of all messages, newest first, a while at a time. What is past its time is let go again.

``Mailbox.text_until`` is the cursor down to which a folder has been worked through.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.utils import timezone

from accounts.models import Account, Keep
from webmail import bodies, thumbnails
from webmail.models import Cursor, Mailbox, Message, MessageBody, MessageQuerySet
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError

log = logging.getLogger(__name__)
NEWEST = {"inbox": 60, "sent": 20}  # messages whose text is there whatever the account says, per role
NEWEST_OTHERS = 10
STEP = 50
OPENED_KEPT = timedelta(days=7)  # text outside of what is kept, after somebody opened the message
PRUNED = 500  # texts let go at once


def fetch_newest(account: Account, mailbox: Mailbox, store: MailStore | None, between: Callable[[], None]) -> bool:
    """The texts that an opening is likeliest to want; True if there were any to fetch."""
    if account.keep == Keep.HEADERS:
        return False
    count = NEWEST.get(mailbox.role, NEWEST_OTHERS)
    return _fetch(list(_readable(account, mailbox).newest_first()[:count]), store, between, True) > 0


def fetch_down(account: Account, mailbox: Mailbox, store: MailStore | None, between: Callable[[], None]) -> bool:
    """The next STEP below where the last call ended; False if this folder is through."""
    oldest = oldest_kept(account)
    if account.keep == Keep.HEADERS:
        return False
    rows = _readable(account, mailbox)
    if oldest:
        rows = rows.filter(received_at__gte=oldest)
    place = Cursor.parse(mailbox.text_until)
    if place:
        rows = rows.filter(place.older())
    found = list(rows.newest_first()[:STEP])
    if not found:
        return False
    _fetch(found, store, between)
    mailbox.text_until = str(Cursor(found[-1].received_at, found[-1].pk))
    Mailbox.objects.filter(pk=mailbox.pk).update(text_until=mailbox.text_until)
    return len(found) == STEP


def oldest_kept(account: Account) -> datetime | None:
    """Texts of messages received before this are not kept; None: all are."""
    if account.keep == Keep.EVERYTHING:
        return None
    return timezone.now() - timedelta(days=account.keep_days if account.keep == Keep.RECENT else 0)


def let_go(account: Account) -> int:
    """Forget texts that are past their time, PRUNED at most. A message that we alone hold has its blob still."""
    oldest = oldest_kept(account)
    if oldest is None:
        return 0
    opened = timezone.now() - OPENED_KEPT
    stale = MessageBody.objects.filter(message__account=account, message__received_at__lt=oldest, kept_at__lt=opened)
    ids = list(stale.values_list("pk", flat=True)[:PRUNED])
    MessageBody.objects.filter(pk__in=ids).delete()
    return len(ids)


def _readable(account: Account, mailbox: Mailbox) -> MessageQuerySet:
    rows = Message.objects.filter(mailbox=mailbox, structure__isnull=False).select_related("body")
    if account.downloads:
        return rows.exclude(blob="")
    return rows.filter(remote_mailbox=mailbox).exclude(uid="")


def _fetch(rows: Sequence[Message], store: MailStore | None, between: Callable[[], None], looking: bool = False) -> int:
    """How many there were to fetch; ``looking``: at their files too."""
    missing = [row for row in rows if not hasattr(row, "body")]
    for row in missing:
        try:
            body = bodies.fetch(row, store)
            if looking:
                bodies.want_pictures(row, body)
            if looking and row.has_attachment:
                thumbnails.make_all(row, store, ahead=True)
        except MailError as error:
            if error.connection_lost:
                raise
            log.info("text of message %s: %s", row.pk, error)  # it will be said when somebody opens it
        except Exception:  # one message that we cannot read must not stop all others
            log.exception("text of message %s", row.pk)
        between()
    return len(missing)
