"""Celery shells: an id in, one verb called. All are idempotent; losing one loses nothing, the sweep nudges again."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from celery import shared_task
from celery.exceptions import CeleryError
from django.conf import settings
from django.db import DatabaseError
from django.db.models import Q
from django.utils import timezone, translation
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from accounts.models import Account, User
from webmail import (
    bodies,
    books,
    compose,
    contacts,
    events,
    inspection,
    operations,
    outbox,
    pictures,
    search,
    searches,
    server_search,
    suggestions,
    sync,
    thumbnails,
)
from webmail.afterwards import afterwards
from webmail.leases import Lost
from webmail.models import AddressBook, Draft, Message, Operation, forget_files_of
from webmail.protocols.errors import MailError
from webmail.views import resumption

log = logging.getLogger(__name__)
RETRY_SECONDS = 1.0
SPREAD_SECONDS = 10.0
INDEX_SECONDS = 15.0
COUNT_SECONDS = 1.0  # that mail may go on changing before what is saved is counted
COUNT_REST = 60  # seconds before what took longer than one to count is counted again
QUEUED_SECONDS = 60  # that a sync is believed to be in the queue
TIDYING = 24 * 3600  # seconds between two times that all of the index is gone through
AT_MOST = 300  # seconds of what reads one message of a stranger; then its process is ended, and another goes on


def _language_of(account: Account) -> AbstractContextManager[None]:
    """What is written down for the person to read is in their language."""
    return translation.override(account.user.language or account.user.browser_language or settings.LANGUAGE_CODE)


@shared_task(name="webmail.sync", ignore_result=True)
def sync_account(account_id: int) -> None:
    events.release(_queued(account_id))  # who asks from here on asks for another
    account = Account.objects.select_related("user").filter(pk=account_id, paused=False).first()
    if account is None:
        return
    try:
        with _language_of(account):
            sync.sync_account(account)
    except (MailError, Lost) as error:
        log.info("sync of account %s: %s: %s", account_id, type(error).__name__, str(error)[:200])
    except Exception:
        if Account.objects.filter(pk=account_id).update(sync_due_at=timezone.now() + sync.MAX_INTERVAL):
            raise
    if Account.objects.filter(pk=account_id).exists():
        _again_if_due(account)
        if account_id in pictures.wanting():
            _nudge(fetch_pictures, account_id)
        if search.is_due(account):
            _nudge(index_mail, account_id)
    else:
        forget_files_of(account_id)  # removed meanwhile: what was still downloaded for it goes too


@shared_task(name="webmail.replay", ignore_result=True)
def replay(account_id: int) -> None:
    account = Account.objects.select_related("user").filter(_reachable(), pk=account_id).first()
    if account is None:
        return
    try:
        with _language_of(account):
            sync.replay_account(account)
    except (MailError, Lost) as error:
        log.info("replay of account %s: %s: %s", account_id, type(error).__name__, str(error)[:200])
        return
    _again_if_due(account)


def _again_if_due(account: Account) -> None:
    """What was submitted while another runner was finishing would wait for the sweep; look once more instead."""
    if not Account.objects.filter(pk=account.pk, needs_user=False, failures=0).exists():
        return
    if Account.objects.filter(pk=account.pk, sync_wanted=True).exists():
        sync_account.delay(account.pk)
    elif operations.due(account):
        replay.apply_async([account.pk], countdown=RETRY_SECONDS)
    else:
        waiting = Operation.objects.filter(account=account, attempts=0).open().order_by("not_before").first()
        if waiting:
            replay.apply_async([account.pk], countdown=max(0.2, (waiting.not_before - timezone.now()).total_seconds()))


@shared_task(name="webmail.spread", ignore_result=True)
def spread(account_id: int) -> None:
    """Actions on everything in a list, for a while; then to the end of the queue, so that others get their turn."""
    account = Account.objects.select_related("user").filter(pk=account_id).first()
    if account is None:
        return
    until = time.monotonic() + SPREAD_SECONDS
    with _language_of(account):
        while operations.spread(account_id):
            if time.monotonic() > until:
                nudge_spread(account_id)
                return


@shared_task(name="webmail.send", ignore_result=True)
def send(submission_id: int) -> None:
    account = Account.objects.select_related("user").filter(submissions=submission_id).first()
    if account:
        with _language_of(account):
            more = outbox.drain(account)
        suggestions.catch_up()  # whom they just wrote to
        if more:  # to the end of the queue, so that others get their turn
            nudge_send(submission_id)


@shared_task(name="webmail.settle_outgoing", ignore_result=True, time_limit=AT_MOST)
def settle_outgoing(account_id: int) -> None:
    """Which way mail leaves an account whose server for it was guessed; the next sign-in or message asks again if none does."""
    account = Account.objects.filter(pk=account_id, outgoing_settled=False, paused=False).first()
    if account is None:
        return
    try:
        account.settle_outgoing()
    except MailError as error:  # said with the first message, and by the connection check
        log.info("way out of account %s: %s: %s", account_id, type(error).__name__, str(error)[:200])


@shared_task(name="webmail.read", ignore_result=True, time_limit=AT_MOST)
def read(message_id: int) -> None:
    """A heavy message that somebody wants to see."""
    message = Message.objects.select_related("account__user", "remote_mailbox").filter(pk=message_id).first()
    if message is None or bodies.is_ready(message):
        return
    try:
        with _language_of(message.account):
            bodies.body_of(message)
    except MailError as error:  # the page that waits for it says so when it reads the message itself
        log.info("message %s: %s: %s", message_id, type(error).__name__, str(error)[:200])
    events.mark(message.account.user_id)


@shared_task(name="webmail.thumbnails", ignore_result=True, time_limit=AT_MOST)
def make_thumbnails(message_id: int) -> None:
    message = Message.objects.select_related("account__user").filter(pk=message_id).first()
    if message is None:
        return
    try:
        thumbnails.make_all(message)
    except MailError as error:  # asked for again when the message is next opened
        log.info("thumbnails of message %s: %s: %s", message_id, type(error).__name__, str(error)[:200])


@shared_task(name="webmail.files", ignore_result=True)
def bring_files(draft_id: int) -> None:
    draft = Draft.objects.being_written().select_related("account__user", "source__account").filter(pk=draft_id).first()
    if draft is None:
        return
    try:
        with _language_of(draft.account):
            compose.bring_attachments(draft)
    except MailError as error:  # the composer says it when somebody saves or sends
        log.info("files of draft %s: %s: %s", draft_id, type(error).__name__, str(error)[:200])


@shared_task(name="webmail.pictures", ignore_result=True, time_limit=AT_MOST)
def fetch_pictures(account_id: int) -> None:
    if pictures.fetch_wanted(account_id):
        _nudge(fetch_pictures, account_id)


@shared_task(name="webmail.book", ignore_result=True)
def sync_book(book_id: int) -> None:
    book = AddressBook.objects.select_related("user").filter(pk=book_id, needs_user=False).first()
    if book is None:
        return
    with translation.override(book.user.language or book.user.browser_language or settings.LANGUAGE_CODE):
        books.sync_book(book_id)


@shared_task(name="webmail.suggestions", ignore_result=True)
def make_suggestions() -> None:
    """Of mail that was synced, for a while; then to the end of the queue."""
    until = time.monotonic() + SPREAD_SECONDS
    while suggestions.catch_up():
        if time.monotonic() > until:
            return  # the next sweep goes on


@shared_task(name="webmail.index", ignore_result=True)
def index_mail(account_id: int) -> None:
    """Make what has come findable, for a while; the next sweep goes on."""
    account = Account.objects.filter(pk=account_id).first()
    work = f"index:{account_id}"
    if account is None or not events.claim(work, 4 * int(INDEX_SECONDS)):
        return
    until = time.monotonic() + INDEX_SECONDS
    try:
        while search.catch_up(account) and time.monotonic() < until:
            pass
    finally:
        events.release(work)
        nudge_count(account.user_id)


@shared_task(name="webmail.searches", ignore_result=True)
def count_searches(user_id: int) -> None:
    """Of one person once at a time; what took long has a rest, the sweep goes on."""
    user, work = User.objects.filter(pk=user_id).first(), f"searches:{user_id}"
    if user is None or not events.claim(work, COUNT_REST):
        return
    began = time.monotonic()
    searches.count(user)
    if time.monotonic() - began < 1:
        events.release(work)
        if searches.is_due(user_id):  # marked again meanwhile
            _nudge(count_searches, user_id, countdown=COUNT_SECONDS)


@shared_task(name="webmail.ask", ignore_result=True)
def ask_server(search_id: int, account_id: int) -> None:
    """About the folders of one account, for a while; then to the end of the queue, so that others get their turn."""
    until = time.monotonic() + SPREAD_SECONDS
    account = Account.objects.select_related("user").filter(pk=account_id).first()
    while account and server_search.ask_next(search_id, account):
        if time.monotonic() > until:
            _nudge(ask_server, search_id, account_id)
            return


@shared_task(name="webmail.index_anew", ignore_result=True)
def index_anew() -> None:
    """There is no index any more; what follows is the work of ``index_mail``."""
    if events.claim("index-anew", TIDYING):
        search.index_anew()


@shared_task(name="webmail.unindex", ignore_result=True)
def tidy_index() -> None:
    """Of what is gone nothing stays in the index: its documents are let go at once; what is left of them in its pages once
    a day, as all of the index is written anew for it."""
    while search.forget():
        pass
    if search.is_untidy() and events.claim("tidy-index", TIDYING):
        while search.tidy():
            pass


@shared_task(name="webmail.sweep", ignore_result=True)
def sweep() -> None:
    """The row is the truth: nudge again whatever waits, and look after what a dead worker left."""
    events.mark_alive("worker", 90)
    outbox.recover()
    outbox.forget_old()
    operations.forget_old()
    inspection.forget_old()
    pictures.forget_old()
    resumption.forget_old()
    compose.forget_old_uploads()
    server_search.forget_old()
    contacts.forget_old()
    contacts.exchange.forget_old_files()
    searches.forget_old()
    make_suggestions.delay()
    if search.is_lost():
        index_anew.delay()
    for account_id in search.due():
        index_mail.delay(account_id)
    if search.has_gone() or search.is_untidy():
        tidy_index.delay()
    for user_id in searches.due():
        count_searches.delay(user_id)
    for search_id, account_id in server_search.left():
        nudge_ask(search_id, account_id)
    for book_id in books.due():
        sync_book.delay(book_id)
    for account_id in pictures.wanting():
        fetch_pictures.delay(account_id)
    for submission_id in outbox.due():
        send.delay(submission_id)
    for submission_id, seconds in outbox.soon():
        send.apply_async([submission_id], countdown=seconds)
    for account_id in operations.unspread():
        spread.delay(account_id)
    waiting = Operation.objects.filter(_reachable("account__"), not_before__lte=timezone.now()).open()
    for account_id in waiting.order_by().values_list("account_id", flat=True).distinct():
        replay.delay(account_id)


def _reachable(prefix: str = "") -> Q:
    """Accounts whose server may be asked now: one that was away is left alone until its time has come again."""
    now = timezone.now()
    return Q(
        Q(**{f"{prefix}failures": 0}) | Q(**{f"{prefix}sync_due_at__lte": now}),
        **{f"{prefix}needs_user": False, f"{prefix}paused": False},
    )


@shared_task(name="webmail.pulse", ignore_result=True)
def pulse() -> None:
    """Goes through the queue of the syncs, so that /healthz knows that somebody serves it."""
    events.mark_alive("sync", 90)


@shared_task(name="webmail.sync_due", ignore_result=True)
def sync_due() -> None:
    for account_id in sync.due_accounts(limit=200):
        sync_account.apply_async([account_id], expires=sync.INTERVAL.total_seconds())


def nudge_sync(account_id: int) -> None:
    """One that waits in the queue has not looked yet: it is what somebody else who asks for one gets, too."""

    def queue() -> None:
        if not _queue(sync_account, account_id):
            events.release(_queued(account_id))

    if events.claim(_queued(account_id), QUEUED_SECONDS):
        afterwards(queue)


def _queued(account_id: int) -> str:
    return f"sync:{account_id}"


def nudge_replay(account_id: int) -> None:
    _nudge(replay, account_id)


def nudge_spread(account_id: int) -> None:
    _nudge(spread, account_id)


def nudge_send(submission_id: int, countdown: float = 0) -> None:
    _nudge(send, submission_id, countdown=countdown)


def nudge_settle_outgoing(account_id: int) -> None:
    _nudge(settle_outgoing, account_id)


def nudge_read(message_id: int) -> None:
    _nudge(read, message_id)


def nudge_thumbnails(message_id: int) -> None:
    _nudge(make_thumbnails, message_id)


def nudge_files(draft_id: int) -> None:
    _nudge(bring_files, draft_id)


def nudge_book(book_id: int) -> None:
    _nudge(sync_book, book_id)


def nudge_count(user_id: int) -> None:
    """Their mail changed; for people who saved no search that is one short look. What changed it has been done, whatever
    comes of this."""
    try:
        if searches.outdated(user_id):
            _nudge(count_searches, user_id, countdown=COUNT_SECONDS)
    except DatabaseError as error:
        log.warning("searches of person %s not marked: %s", user_id, error)


def nudge_first_count(user_id: int) -> None:
    _nudge(count_searches, user_id)


def nudge_ask(search_id: int, account_id: int) -> None:
    _nudge(ask_server, search_id, account_id)


def _nudge(task: Any, *ids: int, countdown: float = 0) -> None:
    afterwards(partial(_queue, task, *ids, countdown=countdown))


def _queue(task: Any, *ids: int, countdown: float = 0) -> bool:
    """Without a broker the row waits for the sweep of one that comes back."""
    try:
        task.apply_async(ids, countdown=countdown or None)
    except (KombuError, CeleryError, RedisError, OSError) as error:
        log.warning("%s of %s not nudged: %s", task.name, ids, error)
        return False
    return True


operations.on_submit(nudge_replay, nudge_spread)
events.on_mail_changed(nudge_count)
books.nudge_by(nudge_book)
