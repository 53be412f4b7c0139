"""Finding messages in the cache: every word must occur in the subject, a name, an address or the preview."""

from __future__ import annotations

from django.db.models import Q

from accounts.models import Account, User
from webmail.models import Mailbox, Message

MAX_WORDS = 8


def condition(query: str) -> Q:
    """What a message must fulfil to be found."""
    wanted = Q()
    for word in query.split()[:MAX_WORDS]:
        wanted &= (
            Q(subject__icontains=word)
            | Q(from_name__icontains=word)
            | Q(from_email__icontains=word)
            | Q(addresses__icontains=word)
            | Q(preview__icontains=word)
        )
    return wanted


def find(user: User, query: str, limit: int) -> list[Message]:
    """Newest first; mail in Trash and Junk is left out."""
    hidden = Mailbox.objects.filter(account__user=user, role__in=("junk", "trash"))
    accounts = Account.objects.for_user(user).values_list("pk", flat=True)
    found = Message.objects.filter(condition(query), account_id__in=list(accounts), mailbox__isnull=False).exclude(
        mailbox__in=hidden
    )
    return list(found.newest_first().defer("structure", "fields", "references")[:limit])
