"""Searching on mail servers, for what is not here: texts that an account does not keep or that were not fetched yet, mail
of folders that are still being fetched. In the background, folder by folder, each in a bounded time.

    searching ──> done            every folder was asked, or it is known why it could not be
        └───────> stopped         by the person, or as they searched for something else; may be taken up again

    waiting ──> asking ──> asked | unasked(why)       of each folder; claimed by one worker

What a server found and what is not here yet is fetched and stored as sync does, and so becomes a message like any other.
Where it finds nothing and can look for similar words (RFC 6203), it is asked for these, and the answer marked as such.
A message whose text is here is none of the server's business: the index knows better. ``remote`` says what is asked."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from accounts.models import Account, Keep, User
from webmail import connections, events, operations, search
from webmail.models import (
    AskedFolder,
    AskedState,
    Cursor,
    Mailbox,
    Message,
    ServerSearch,
    ServerSearchState,
)
from webmail.prepared import Integer, Moment, Parameter, Prepared
from webmail.protocols import errors
from webmail.protocols.base import Capability, Condition, MailStore
from webmail.search import documents, remote
from webmail.search.conditions import Conditions
from webmail.search.language import Node
from webmail.sync.ahead import oldest_kept
from webmail.sync.rows import by_uid, store_messages
from webmail.sync.run import ROLE_PRIORITY

log = logging.getLogger(__name__)
PATIENCE = 20.0  # seconds for a server to answer about one folder
LESS_PATIENCE = 5.0  # seconds for what is only similar: an index tells it at once, and nobody else can
SLOW = 2  # folders of an account without an answer, then the rest is not asked for
LOOKED_AT = 1000  # of what a server found in a folder, the newest
FETCHED = 200  # of these, if they are not here yet
KEPT = 100  # that are not found here
A_MINUTE = 15  # searches that a person may begin
LOST = timedelta(minutes=3)  # without a word of a worker
FRESH = timedelta(minutes=15)  # how long an answer counts
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)

# Why a folder was not asked.
PAUSED, SIGN_IN, AWAY, BUSY, SLOW_SERVER, SPARED = "paused", "sign-in", "away", "busy", "slow", "spared"
REFUSED, CANNOT, RENUMBERED, GONE, INTERRUPTED = "refused", "cannot", "renumbered", "gone", "interrupted"
_OF_ACCOUNT = (PAUSED, SIGN_IN, AWAY, BUSY, SPARED)  # the same for all of its folders


# --- what is not here -------------------------------------------------------------------------------------------------


def is_needed(user: User, tree: Node | None, mailboxes: Iterable[Mailbox]) -> bool:
    """Something that is searched for may not be found here; ``mailboxes`` are all of theirs, with their accounts."""
    return tree is not None and bool(_open(user, tree, mailboxes))


def _open(user: User, tree: Node, mailboxes: Iterable[Mailbox]) -> list[Mailbox]:
    """Folders that have what is not here, by one query, however many folders there are."""
    told = Conditions(user, tree)
    since, before = told.dates()
    remote_ones = (one for one in mailboxes if one.selectable and one.remote_name is not None)
    admitted = [one for one in remote_ones if not one.account.downloads and told.admits(one)]
    oldest = _oldest(user.pk, since or _EARLIEST) if remote.asks_for_text(tree) else {}

    def lacks_texts(mailbox: Mailbox) -> bool:
        return mailbox.pk in oldest and oldest[mailbox.pk] < _texts_until(mailbox, before)

    return [one for one in admitted if not one.complete or lacks_texts(one)]


def _texts_until(mailbox: Mailbox, before: datetime | None) -> Cursor:
    """The place down to which all texts are here, or on from which none is looked for."""
    account = mailbox.account
    here = Cursor(_LATEST, 0) if account.keep == Keep.HEADERS else Cursor.parse(mailbox.text_until)
    place, oldest = here or Cursor(_LATEST, 0), oldest_kept(account)
    if oldest and account.keep == Keep.RECENT:
        place = max(place, Cursor(oldest, 0))
    return min(place, Cursor(before, 0)) if before else place


def _oldest(user: int, since: datetime) -> dict[int, Cursor]:
    """Of each folder that has any, the place of the oldest message from then on: a look into an index for each."""
    return {mailbox: Cursor(at, pk) for mailbox, at, pk in _places(user, since) if at and pk}


def _with_oldest(user: Parameter, since: Parameter) -> QuerySet[Mailbox, tuple[int, datetime | None, int | None]]:
    inside = Message.objects.filter(mailbox=OuterRef("pk"), received_at__gte=since).order_by("received_at", "id")
    first = (Subquery(inside.values(column)[:1]) for column in ("received_at", "id"))
    return Mailbox.objects.filter(account__user_id=user).order_by().values_list("pk", *first)


_places = Prepared(_with_oldest, Integer, Moment)


# --- beginning and ending ---------------------------------------------------------------------------------------------


def latest(user: User, text: str) -> ServerSearch | None:
    """Their last search for this, unless it is too old: mail has come since to what was asked."""
    mine = ServerSearch.objects.filter(user=user, began_at__gt=timezone.now() - FRESH, text=text)
    found = mine.order_by("-began_at").first()
    if found is None or found.state == ServerSearchState.SEARCHING:
        return found
    folders = list(found.folders.values_list("mailbox_id", flat=True))
    since = (found.began_at, timezone.now())  # and not later, as where a server's clock is ahead
    come = Message.objects.filter(mailbox_id__in=folders, received_at__range=since)
    return None if come.exists() else found


@transaction.atomic
def begin(user: User, text: str) -> ServerSearch | None:
    """Search on for what was not asked yet, or begin; what else they search for ends. None: too often in a minute."""
    User.objects.select_for_update().get(pk=user.pk)  # one after the other
    now = timezone.now()
    if ServerSearch.objects.filter(user=user, began_at__gt=now - timedelta(minutes=1)).count() >= A_MINUTE:
        return None
    search_ = latest(user, text)
    others = ServerSearch.objects.filter(user=user, state=ServerSearchState.SEARCHING)
    others.exclude(pk=search_.pk if search_ else 0).update(state=ServerSearchState.STOPPED)
    if search_ is None:
        search_ = ServerSearch.objects.create(user=user, text=text)
        AskedFolder.objects.bulk_create(_plan(search_))
    elif search_.state != ServerSearchState.SEARCHING:
        search_.folders.exclude(state=AskedState.ASKED).update(state=AskedState.WAITING, why="", said="")
        search_.state, search_.began_at, search_.moved_at = ServerSearchState.SEARCHING, now, now
        search_.save()
    _end_if_over(search_)
    events.publish(user.pk, "search", id=search_.pk)
    return search_


def _plan(search_: ServerSearch) -> list[AskedFolder]:
    tree = _tree(search_)
    if tree is None:
        return []
    mailboxes = Mailbox.objects.for_user(search_.user).select_related("account")
    found = sorted(
        _open(search_.user, tree, mailboxes),
        key=lambda one: (ROLE_PRIORITY[one.role], one.account.position, -one.total, one.name),
    )
    return [AskedFolder(search=search_, mailbox=mailbox, position=at) for at, mailbox in enumerate(found)]


def stop(search_: ServerSearch) -> None:
    """What a server is being asked just now is answered still."""
    running = ServerSearch.objects.filter(pk=search_.pk, state=ServerSearchState.SEARCHING)
    if running.update(state=ServerSearchState.STOPPED):
        events.publish(search_.user_id, "search", id=search_.pk)


def accounts_of(search_: ServerSearch) -> list[int]:
    """Those with folders that wait."""
    waiting = search_.folders.filter(state=AskedState.WAITING).order_by()
    return list(waiting.values_list("mailbox__account_id", flat=True).distinct())


def left() -> list[tuple[int, int]]:
    """Searches and accounts that no worker sees to any more: for the sweep."""
    lost = ServerSearch.objects.filter(state=ServerSearchState.SEARCHING, moved_at__lt=timezone.now() - LOST)
    found = []
    for search_ in lost:
        search_.folders.filter(state=AskedState.ASKING).update(state=AskedState.UNASKED, why=INTERRUPTED)
        _end_if_over(search_)
        found += [(search_.pk, account_id) for account_id in accounts_of(search_)]
    return found


def forget_old() -> None:
    over = ServerSearch.objects.exclude(state=ServerSearchState.SEARCHING)
    over.filter(began_at__lt=timezone.now() - FRESH).delete()


def _end_if_over(search_: ServerSearch) -> None:
    if search_.folders.filter(state__in=(AskedState.WAITING, AskedState.ASKING)).exists():
        return
    ServerSearch.objects.filter(pk=search_.pk, state=ServerSearchState.SEARCHING).update(state=ServerSearchState.DONE)


def _tree(search_: ServerSearch) -> Node | None:
    return search.parse(search_.text, timezone.localdate(timezone=search_.user.zone)).tree


# --- asking -----------------------------------------------------------------------------------------------------------


def ask_next(search_id: int, account: Account) -> bool:
    """Ask about one folder of an account; False if there is nothing more to do, or it was stopped."""
    folder = _claim(search_id, account)
    if folder is None:
        return False
    try:
        if account.paused or account.needs_user:
            raise _Unasked(PAUSED if account.paused else SIGN_IN)
        _find(folder, account)
        folder.state = AskedState.ASKED
    except (_Unasked, errors.MailError) as error:
        folder.state, (folder.why, folder.said) = AskedState.UNASKED, _reason(error)
        log.info("search in folder %s: %s %s", folder.mailbox_id, folder.why, folder.said)
    except BaseException:
        folder.state, folder.why = AskedState.UNASKED, INTERRUPTED
        raise
    finally:
        answer = {name: getattr(folder, name) for name in ("state", "why", "said", "ids", "more", "similar")}
        AskedFolder.objects.filter(pk=folder.pk).update(**answer)
        _spare_the_rest(folder, account)
        _end_if_over(folder.search)
        events.publish(folder.search.user_id, "search", id=search_id)
    return True


class _Unasked(Exception):
    """Carries why."""


def _claim(search_id: int, account: Account) -> AskedFolder | None:
    running = ServerSearch.objects.filter(pk=search_id, state=ServerSearchState.SEARCHING)
    waiting = AskedFolder.objects.filter(search_id=search_id, mailbox__account=account, state=AskedState.WAITING)
    while folder := waiting.select_related("mailbox", "search__user").first():
        if not running.update(moved_at=timezone.now()):
            return None
        if AskedFolder.objects.filter(pk=folder.pk, state=AskedState.WAITING).update(state=AskedState.ASKING):
            return folder
    return None


def _spare_the_rest(folder: AskedFolder, account: Account) -> None:
    """Of an account that cannot be asked, or not in a reasonable time."""
    mine = folder.search.folders.filter(mailbox__account=account)
    why = folder.why if folder.why in _OF_ACCOUNT else ""
    if folder.why == SLOW_SERVER and mine.filter(why=SLOW_SERVER).count() >= SLOW:
        why = SPARED
    if why:
        mine.filter(state=AskedState.WAITING).update(state=AskedState.UNASKED, why=why, said=folder.said)


def _reason(error: Exception) -> tuple[str, str]:
    if isinstance(error, _Unasked):
        return str(error), ""
    said = str(getattr(error, "detail", ""))
    if isinstance(error, errors.Unreachable) and error.code == "TIMEOUT":
        return SLOW_SERVER, ""
    for kind, why in (
        (errors.AuthenticationFailed, SIGN_IN),
        ((errors.Unreachable, errors.InsecureConnection), AWAY),
        (errors.Unavailable, BUSY),
        (errors.StateLost, RENUMBERED),
        (errors.NotFound, GONE),
    ):
        if isinstance(error, kind):
            return why, said
    return REFUSED, said


def _find(folder: AskedFolder, account: Account) -> None:
    """Have the folder's answer in its row. Raises MailError."""
    mailbox, user, tree = folder.mailbox, folder.search.user, _tree(folder.search)
    if tree is None:
        return
    left_to_it = remote.left_to_texts(tree) if mailbox.complete else tree
    condition, plainest = remote.asked(left_to_it, user.zone), remote.plainest(left_to_it)
    if condition is None:
        raise _Unasked(CANNOT)
    uids = _uids(account, mailbox, [condition] if plainest in (None, condition) else [condition, plainest])
    similar = None if uids else remote.asked(left_to_it, user.zone, similar=True)
    if similar and similar != condition:
        uids = _similar_uids(account, mailbox, similar)
    looked_at = uids[:LOOKED_AT]
    if not mailbox.complete:
        _bring(account, mailbox, looked_at)
    ids = _unknown_here(user, tree, left_to_it, mailbox, looked_at)
    folder.ids, folder.more = ids[:KEPT], len(ids) > KEPT or len(uids) > LOOKED_AT
    folder.similar = bool(similar and ids)


def _uids(account: Account, mailbox: Mailbox, conditions: Sequence[Condition | None]) -> list[str]:
    """Newest first, by the first of these questions that the server answers: some refuse one that they do not like, or
    say that they do not understand it."""
    *before, last = [condition for condition in conditions if condition]
    for condition in before:
        try:
            return _search(account, mailbox, condition, PATIENCE)
        except (errors.NotFound, errors.NoPermission):
            raise
        except (errors.Refused, errors.ProtocolError) as error:
            log.info("folder %s is asked more plainly: %s", mailbox.pk, error)
    return _search(account, mailbox, last, PATIENCE)


def _similar_uids(account: Account, mailbox: Mailbox, condition: Condition) -> list[str]:
    """Of messages with words like those that the server has just found nowhere: that stays its answer, whatever becomes
    of this question."""
    try:
        with connections.store_of(account) as store:
            can = Capability.SIMILAR in store.capabilities
        return _search(account, mailbox, condition, LESS_PATIENCE) if can else []
    except errors.MailError as error:
        log.info("folder %s is not searched for what is similar: %s", mailbox.pk, error)
        return []


def _search(account: Account, mailbox: Mailbox, condition: Condition, patience: float) -> list[str]:
    with connections.store_of(account) as store, _expecting(store, mailbox):
        return store.search(mailbox.remote_name or "", condition, patience)


class _expecting:
    """For the length of the block uids are those that we know; others that use the connection have their own idea."""

    def __init__(self, store: MailStore, mailbox: Mailbox) -> None:
        self.store, self.mailbox = store, mailbox

    def __enter__(self) -> None:
        self.store.expect(self.mailbox.remote_name or "", self.mailbox.state or None)

    def __exit__(self, *_error: object) -> None:
        self.store.expect(self.mailbox.remote_name or "", None)


def _bring(account: Account, mailbox: Mailbox, uids: Sequence[str]) -> None:
    """Make those that are not here yet messages like any other, the newest of them, and findable."""
    there = {uid for some in operations.chunks(uids) for uid in by_uid(mailbox, some).values_list("uid", flat=True)}
    missing = [uid for uid in uids if uid not in there][:FETCHED]
    for some in operations.chunks(missing, documents.AT_ONCE):
        with connections.store_of(account) as store, _expecting(store, mailbox):
            coming = list(store.messages(mailbox.remote_name or "", some))
        store_messages(account, mailbox, coming)
        new = by_uid(mailbox, some).values_list("pk", flat=True)
        documents.write(list(documents.rows_of(list(new))))


def _unknown_here(user: User, tree: Node, left_to_it: Node, mailbox: Mailbox, uids: Sequence[str]) -> list[int]:
    """Of these, the messages whose text is not here, that are what is meant as far as it can be told, and that are not
    found here anyway."""
    finder = search.Finder(user, tree)
    here = remote.told_here(left_to_it)
    found: dict[int, datetime] = {}
    for some in operations.chunks(uids):
        rows = dict(by_uid(mailbox, some).filter(body__isnull=True).values_list("pk", "received_at"))
        kept = finder.among(rows, here)
        found |= {pk: rows[pk] for pk in kept - finder.among(kept, tree)}
    return sorted(found, key=lambda pk: (found[pk], pk), reverse=True)
