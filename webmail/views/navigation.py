"""The sidebar, the same on every page: unified folders, then each account's own tree, and how syncing goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import ngettext

from accounts.models import Account, User
from accounts.requests import Request
from webmail import events, outbox, searches
from webmail.models import ROLE_ORDER, Draft, Mailbox, Operation
from webmail.models import OperationState as State
from webmail.prepared import Integer, Prepared
from webmail.views import progress
from webmail.views.listing import UNIFIED, mailboxes_of

ICONS = {"inbox": "inbox", "drafts": "drafts", "sent": "sent", "archive": "archive", "junk": "junk", "trash": "trash"}
Targets = tuple[tuple[str, tuple[tuple[int, str], ...]], ...]


MANY = 1000  # drafts are counted no further
_drafts_of = Prepared(
    lambda user: Draft.objects.filter(account__user_id=user).being_written().not_in_folder().values_list("pk")[:MANY],
    Integer,
)
_untold = Prepared(
    lambda user: (
        Operation.objects.filter(account__user_id=user, state=State.FAILED, told=False)
        .order_by("id")
        .only("trouble", "detail")[:5]
    ),
    Integer,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One folder in the tree; ``url`` is empty for one that only holds others. Equal ones are rendered once."""

    title: str
    url: str
    icon: str
    unread: int = 0
    current: bool = False
    strong: bool = False
    children: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class SavedEntry:
    """A saved search; ``unread`` and the same in words are "" where there is none."""

    name: str
    text: str
    url: str
    unread: str
    said: str
    current: bool


@dataclass(slots=True)
class AccountEntry:
    account: Account
    entries: tuple[Entry, ...]


def context(request: Request, current: str = "") -> dict[str, Any]:
    """``current`` is a scope's key or the name of a page."""
    user = request.user
    heard = getattr(request, "heard", None) or events.last_id(user.pk)  # what changes from here on is announced
    accounts = user.account_list
    boxes: dict[int, list[Mailbox]] = {account.pk: [] for account in accounts}
    for mailbox in mailboxes_of(user):
        boxes[mailbox.account_id].append(mailbox)
    every = [mailbox for some in boxes.values() for mailbox in some]
    waiting, needy = outbox.attention(user)
    single = len(accounts) == 1
    here = _place(every, current)
    trees = [AccountEntry(account, tree(boxes[account.pk], current, single)) for account in accounts]
    fetching = progress.of(accounts)
    saved = _saved(user, request.GET.get("q", "").strip() if current == "search" else "")
    return {
        "nav": {
            "current": here.role if single and here and here.role in UNIFIED else current,
            "heard": heard,
            "inbox_unread": sum(m.unread for m in every if m.role == "inbox"),
            "drafts": len(_drafts_of(user.pk)),
            "compose": _compose_url(accounts, here, current),
            "searches": saved,
            "search": next((one.name for one in saved if one.current), ""),
            "outbox": waiting,
            "needy": needy,
            "accounts": trees,
            "troubles": [account for account in accounts if account.trouble and not account.paused],
            "paused": [
                account for account in accounts if account.paused and (here is None or here.account_id == account.pk)
            ],
            "synced_at": min((a.synced_at for a in accounts if a.synced_at), default=None),
            "progress": fetching,
            "together": progress.together(fetching),
            "failed": _untold(user.pk),
            "today": timezone.localdate(),
        }
    }


def _place(mailboxes: list[Mailbox], current: str) -> Mailbox | None:
    """The folder that is shown, if one is."""
    return next((m for m in mailboxes if current == f"folder-{m.pk}"), None)


def _saved(user: User, query: str) -> tuple[SavedEntry, ...]:
    url = reverse("search")
    return tuple(
        SavedEntry(
            one.name, one.text, f"{url}?{urlencode({'q': one.text})}", f"{one.unread}{'+' if one.more else ''}" if one.unread else "",
            _unread_in_words(one.unread, one.more) if one.unread else "", one.text == query,
        )
        for one in searches.saved_of(user)
    )  # fmt: skip


def _unread_in_words(number: int, more: bool) -> str:
    if more:
        return ngettext("%(n)d unread message or more", "%(n)d unread messages or more", number) % {"n": number}
    return ngettext("%(n)d unread message", "%(n)d unread messages", number) % {"n": number}


def _compose_url(accounts: list[Account], here: Mailbox | None, current: str) -> str:
    """Writing from the account whose folder or page this is; from the first one elsewhere."""
    url = reverse("compose")
    if not accounts or (here is None and not current.startswith("account-")):
        return url
    of_first = here.account_id == accounts[0].pk if here else current == f"account-{accounts[0].pk}"
    return url if of_first else f"{url}?in={current}"


def tree(mailboxes: list[Mailbox], current: str = "", single: bool = False) -> tuple[Entry, ...]:
    """Roles first in their usual order, then by name, children below their parents. The only account's Inbox, Drafts and
    Sent stand at the top of the sidebar already, and here only if something is below them."""
    named: dict[str, int] = {}
    below: dict[int, list[Mailbox]] = {0: []}
    for mailbox in sorted(mailboxes, key=_order):
        if not mailbox.subscribed and not mailbox.role:
            continue
        alone = mailbox.role or not mailbox.delimiter or len(mailbox.path) == 1 or _is_inbox(mailbox)
        parent = 0 if alone else named.get(mailbox.parent_name, 0)
        below[parent].append(mailbox)
        below[mailbox.pk] = []
        named[mailbox.name] = mailbox.pk
    if single:
        below[0] = [m for m in below[0] if m.role not in UNIFIED or below[m.pk]]
    return _entries(0, below, current)


def _entries(parent: int, below: dict[int, list[Mailbox]], current: str) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            mailbox.title, reverse("folder", args=[mailbox.pk]) if mailbox.selectable else "", ICONS.get(mailbox.role, "folder"),
            mailbox.unread, current == f"folder-{mailbox.pk}", mailbox.role == "inbox" and bool(mailbox.unread),
            _entries(mailbox.pk, below, current),
        )
        for mailbox in below[parent]
    )  # fmt: skip


def targets(accounts: list[Account], mailboxes: list[Mailbox]) -> Targets:
    """Where messages can be moved to: each account's label with the ids and titles of its folders."""
    found: dict[int, list[tuple[int, str]]] = {account.pk: [] for account in accounts}
    for mailbox in sorted(mailboxes, key=_order):
        if mailbox.selectable and mailbox.account_id in found:
            found[mailbox.account_id].append((mailbox.pk, mailbox.title if mailbox.role else mailbox.name))
    return tuple((account.label, tuple(found[account.pk])) for account in accounts)


def _is_inbox(mailbox: Mailbox) -> bool:
    """Folders that a server keeps below INBOX for technical reasons are shown beside it."""
    return len(mailbox.path) == 2 and mailbox.path[0].upper() == "INBOX"


def _order(mailbox: Mailbox) -> tuple[int, str]:
    role = ROLE_ORDER.index(mailbox.role) if mailbox.role else -1
    place = {"inbox": 0, "drafts": 1, "sent": 2, "archive": 3, "junk": 8, "trash": 9}
    return (place[mailbox.role] if role >= 0 else 5, mailbox.name.casefold())
