"""POP3: whole messages, one after another, into a store of our own; the blob first, then its row."""

from __future__ import annotations

import io
import logging
import tempfile
from collections.abc import Iterable
from datetime import datetime
from typing import BinaryIO, cast

from django.core.files import File
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from webmail import bodies, mime
from webmail.models import Mailbox, Message, forget_file
from webmail.protocols.base import MailStore
from webmail.protocols.errors import NotFound, ProtocolError
from webmail.sync.rows import assign_threads, row_of_header

log = logging.getLogger(__name__)
MAX_DOWNLOAD = 200_000_000  # octets of one message


def download(account: Account, mailbox: Mailbox, store: MailStore, uid: str) -> list[Message]:
    """RETR one message into the blob store; its row is written only once the blob is durable."""
    with tempfile.TemporaryFile() as file:
        size = 0
        try:
            for chunk in store.body(mailbox.remote_name or "", uid):
                size += len(chunk)
                if size > MAX_DOWNLOAD:
                    _too_large(account, mailbox, uid)
                    raise ProtocolError(f"message {uid} is larger than {MAX_DOWNLOAD} octets")
                file.write(chunk)
        except NotFound:
            return []
        return [keep(account, mailbox, cast(BinaryIO, file), uid=uid, remote=mailbox)]


def _too_large(account: Account, mailbox: Mailbox, uid: str) -> None:
    """A row instead of the message, so that the person learns of it and the next sync goes on without it."""
    subject = _("A message of more than %(size)d MB was left on the server") % {"size": MAX_DOWNLOAD // 1_000_000}
    Message.objects.create(
        account=account, mailbox=mailbox, remote_mailbox=mailbox, uid=uid, subject=subject, received_at=timezone.now()
    )


def keep(
    account: Account,
    mailbox: Mailbox,
    file: BinaryIO,
    keywords: Iterable[str] = (),
    uid: str = "",
    remote: Mailbox | None = None,
) -> Message:
    """Store a whole message of ours in a local folder: blob first, then its row, thread and text."""
    file.seek(0)
    header_octets = read_header(file)
    file.seek(0)
    structure = mime.parse_structure(file)
    header = mime.parse_header(header_octets)
    row = row_of_header(account, mailbox, header, structure, _arrival(header))
    row.remote_mailbox, row.uid = remote, uid
    file.seek(0, io.SEEK_END)
    row.size = file.tell()
    row.show_keywords(keywords)
    file.seek(0)
    row.blob.save("message", File(file), save=False)
    try:
        with transaction.atomic():
            assign_threads(account, [row])
            row.save()
            mailbox.count(1, 0 if row.seen else 1)
    except BaseException:
        forget_file(row.blob.name)
        raise
    try:
        bodies.fetch(row, None)
    except Exception:  # the message is safe; its text is tried again when it is opened
        log.exception("text of message %s", row.pk)
    return row


MAX_HEADER = 256 * 1024


def read_header(file: BinaryIO) -> bytes:
    """The header with its blank line, at most MAX_HEADER octets (RFC 5322 §2.1)."""
    octets = file.read(MAX_HEADER)
    ends = [end + len(mark) for mark in (b"\r\n\r\n", b"\n\n") if (end := octets.find(mark)) >= 0]
    return octets[: min(ends)] if ends else octets


def _arrival(header: mime.Header) -> datetime:
    """POP3 tells no time of arrival: the Date field, unless it lies in the future."""
    now = timezone.now()
    return min(header.date, now) if header.date else now
