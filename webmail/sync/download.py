"""POP3: whole messages into a store of our own, and what becomes of the server's copies.

RETR streams each message into a blob; a batch of them then becomes rows in one transaction, so a row is only ever there
with its message. What was read before a line broke is kept. The server's copy is deleted (RFC 1939 §5, DELE) only when
the account says so and the message is on the disk for good, and only QUIT makes that true: until the server has been
seen without it, the row remembers the uid, so that a deletion that came to nothing is neither downloaded again nor
forgotten. What disappears from the server's list stays here, and is known again should it come back.
"""

from __future__ import annotations

import io
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import islice
from secrets import token_hex
from typing import BinaryIO, cast

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account, AfterDownload
from webmail import bodies, correspondents, mime, operations
from webmail.models import Mailbox, Message, MessageQuerySet, forget_file
from webmail.operations import chunks
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError
from webmail.sync.rows import Stored, assign_threads, by_uid, row_of_header

log = logging.getLogger(__name__)
MAX_DOWNLOAD = 200_000_000  # octets of one message
SYNCERS = 8  # threads that wait for the disk
BATCH = 100  # messages whose rows are written in one transaction, after their blobs are on the disk
IN_MEMORY = 1_000_000  # octets; a larger message passes through a file
MAX_HEADER = 256 * 1024


def download(account: Account, mailbox: Mailbox, store: MailStore, uids: Sequence[str]) -> Iterator[Stored]:
    """Keep these messages, BATCH by BATCH out of one stream, so that the line never falls silent; what each batch came
    to. Raises MailError, after what had come whole by then was kept."""
    back = _come_back(account, mailbox, store, uids)
    coming = store.bodies(mailbox.remote_name or "", [uid for uid in uids if uid not in back])
    more = True
    while more:
        rows, broken = _receive_some(account, mailbox, coming)
        kept = _keep_all(account, mailbox, rows)
        more = len(rows) == BATCH
        yield Stored(len(kept), sum(not row.seen for row in kept))
        if broken:
            raise broken


def _receive_some(
    account: Account, mailbox: Mailbox, coming: Iterator[tuple[str, Iterator[bytes]]]
) -> tuple[list[Message], MailError | None]:
    """Up to BATCH rows, not saved, whose blobs are written; and what ended the stream before its time."""
    rows: list[Message] = []
    folder = token_hex(1)
    try:
        for uid, octets in islice(coming, BATCH):
            with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
                if _receive(octets, cast(BinaryIO, file)):
                    row = _prepared(account, mailbox, cast(BinaryIO, file), folder)
                else:
                    row = _too_large(account, mailbox)
            row.remote_mailbox, row.uid = mailbox, uid
            rows.append(row)
    except MailError as error:
        return rows, error
    return rows, None


def _come_back(account: Account, mailbox: Mailbox, store: MailStore, uids: Sequence[str]) -> set[str]:
    """Of these, what we have from before: a server that did not list it for a while. A uid alone is not believed, since
    some servers use them again; size and Message-ID must be the same too."""
    found: set[str] = set()
    for some in chunks(uids):
        ours = Message.objects.filter(account=account, remote_mailbox=None, uid__in=some).exclude(uid="")
        rows = {row.uid: row for row in ours.only("uid", "size", "message_id")}
        for remote in store.messages(mailbox.remote_name or "", list(rows)) if rows else ():
            row = rows[remote.uid]
            if (row.size, row.message_id) == (remote.size, mime.parse_header(remote.header).message_id[:255]):
                Message.objects.filter(pk=row.pk).update(remote_mailbox=mailbox)
                found.add(remote.uid)
    return found


def _receive(octets: Iterator[bytes], file: BinaryIO) -> bool:
    """Read to the end, whatever the size; False if that was more than we keep."""
    size = 0
    for chunk in octets:
        size += len(chunk)
        if size <= MAX_DOWNLOAD:
            file.write(chunk)
    return size <= MAX_DOWNLOAD


def _too_large(account: Account, mailbox: Mailbox) -> Message:
    """Instead of the message, so that the person learns of it and the next sync goes on without it."""
    subject = _("A message of more than %(size)d MB was left on the server") % {"size": MAX_DOWNLOAD // 1_000_000}
    return Message(account=account, mailbox=mailbox, subject=subject, received_at=timezone.now())


def _prepared(account: Account, mailbox: Mailbox, file: BinaryIO, folder: str) -> Message:
    """A row, not saved, for a message that is in the blob store already."""
    file.seek(0)
    header = mime.parse_header(read_header(file))
    file.seek(0)
    structure = mime.parse_structure(file)
    row = row_of_header(account, mailbox, header, structure, _arrival(header))
    row.preview = bodies.preview_of(file, structure)
    row.size = file.seek(0, io.SEEK_END)
    file.seek(0)
    row.blob.save(folder, File(file), save=False)
    return row


def _keep_all(account: Account, mailbox: Mailbox, rows: Sequence[Message]) -> list[Message]:
    """Rows for messages whose blobs are written: all of them, or none and no blob."""
    if not rows:
        return []
    try:
        make_durable(row.blob.name or "" for row in rows)
        with transaction.atomic():
            there = set(by_uid(mailbox, [row.uid for row in rows]).values_list("uid", flat=True))
            new = [row for row in rows if row.uid not in there]
            now = timezone.now()
            for row in new:
                row.downloaded_at = now if row.blob else None
            new.sort(key=lambda row: row.received_at)
            assign_threads(account, new)
            Message.objects.bulk_create(new, batch_size=100)
            correspondents.heard_from(account, ((row.from_email, row.from_name, row.received_at) for row in new))
            mailbox.count(len(new), sum(1 for row in new if not row.seen))
            if mailbox.role == "inbox":
                operations.silence(account, mailbox, [r.uid for r in new], [r.thread_id or 0 for r in new])
    except BaseException:
        for row in rows:
            forget_file(row.blob.name)
        raise
    for row in rows:
        if row.uid in there:
            forget_file(row.blob.name)
    return new


def make_durable(names: Iterable[str]) -> None:
    """Have blobs survive a power cut, where the storage leaves that to us: files of the local disk and their folders."""
    folders = set()
    paths = []
    for name in filter(None, names):
        try:
            paths.append(default_storage.path(name))
        except NotImplementedError:
            return  # storage elsewhere answers only when it is safe
        folders.add(os.path.dirname(paths[-1]))
    with ThreadPoolExecutor(SYNCERS) as pool:  # one after another each waits for the disk by itself
        list(pool.map(_fsync, paths))
        list(pool.map(_fsync, folders))


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep(account: Account, mailbox: Mailbox, file: BinaryIO, keywords: Iterable[str] = ()) -> Message:
    """Store a whole message of ours in a local folder: blob first, then its row, thread and text."""
    row = _prepared(account, mailbox, file, token_hex(1))
    row.show_keywords(keywords)
    kept = _keep_all(account, mailbox, [row])[0]
    try:
        bodies.fetch(kept, None)
    except Exception:  # the message is safe; its text is tried again when it is opened
        log.exception("text of message %s", kept.pk)
    return kept


def read_header(file: BinaryIO) -> bytes:
    """The header with its blank line, at most MAX_HEADER octets (RFC 5322 §2.1)."""
    octets = file.read(MAX_HEADER)
    ends = [end + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (end := octets.find(mark)) >= 0]
    return octets[: min(ends)] if ends else octets


def _arrival(header: mime.Header) -> datetime:
    """POP3 tells no time of arrival: the Date field, unless it lies in the future."""
    now = timezone.now()
    return min(header.date, now) if header.date else now


# --- the server's copies ----------------------------------------------------------------------------------------


def delete_downloaded(account: Account, mailbox: Mailbox, store: MailStore) -> int:
    """Delete on the server what the account's policy gives up there; how many. Raises MailError: then nothing is known,
    and the next listing tells."""
    uids = _given_up(account, mailbox)
    if uids:
        _settle_database(mailbox)
        store.destroy(mailbox.remote_name or "", uids)
        for some in chunks(uids):
            forget_tombstones(by_uid(mailbox, some))
            by_uid(mailbox, some).update(remote_mailbox=None, uid="")
    return len(uids)


def forget_tombstones(rows: MessageQuerySet) -> None:
    """Rows that only remembered the uid of what was deleted here for good. One that has its blob still can come back:
    its Undo is not over."""
    rows.filter(mailbox=None, blob="").delete()


def _given_up(account: Account, mailbox: Mailbox) -> list[str]:
    if account.after_download == AfterDownload.LEAVE:
        return []
    until = timezone.now()
    if account.after_download == AfterDownload.DAYS:
        until -= timedelta(days=account.leave_days)
    ours = Message.objects.filter(remote_mailbox=mailbox, downloaded_at__lte=until).exclude(uid="")
    return [uid for uid, name in ours.order_by("id").values_list("uid", "blob") if not name or _is_whole(name)]


def _is_whole(name: str) -> bool:
    """Only what can still be read here is given up there. A row without a blob is one that the person deleted."""
    if default_storage.exists(name):
        return True
    log.error("blob %s is missing; its message stays on the server", name)
    return False


def _settle_database(mailbox: Mailbox) -> None:
    """SQLite commits into its write-ahead log without waiting for the disk. One commit that waits takes all before it
    along; inside a transaction there is nothing to take along yet."""
    waits = connection.vendor == "sqlite" and not connection.in_atomic_block
    with connection.cursor() as cursor:
        if waits:
            cursor.execute("PRAGMA synchronous=FULL")
        try:
            Mailbox.objects.filter(pk=mailbox.pk).update(synced_at=timezone.now())
        finally:
            if waits:
                cursor.execute("PRAGMA synchronous=NORMAL")
