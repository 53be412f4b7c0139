"""The files of a draft: in one piece, in many, or from other messages."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from webmail import bodies, html, mime
from webmail.compose.letter import Unsendable
from webmail.models import Draft, DraftAttachment, Message, Upload, UploadPiece, forget_file
from webmail.protocols.errors import NotFound

ANSWER = "answer"  # the kind of a draft that answers an invitation: its calendar is an alternative of the text
FILES = "files"  # the kind of a draft that begins with files of a message; their rows are there before their octets
WHOLE = "*"  # the ``source_part`` of a message that goes along as a file
BASE64_GROWTH = 78 / 57  # encoded octets a line over plain ones (RFC 2045 §6.8)
PIECE = 1_000_000  # octets at most of one piece of an upload
UPLOAD_KEPT = timedelta(days=7)
MAX_UPLOADS = 100  # of one draft, under way at once
READ = 256 * 1024
MAX_HEADER = 4_000_000  # octets of a message in which its Bcc field is looked for
_END = re.compile(rb"\r?\n\r?\n")
_BCC = re.compile(rb"^(?:resent-)?bcc[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*", re.IGNORECASE | re.MULTILINE)


class Broken(Exception):
    """A piece does not follow on what has come; the upload goes on at ``received``."""

    def __init__(self, received: int) -> None:
        super().__init__(f"goes on at {received}")
        self.received = received


# --- how much ---------------------------------------------------------------------------------------------------


def size_limit(account: Account) -> int:
    """Octets of a whole message, after encoding: the operator's limit, or what the account's server takes (RFC 1870)."""
    return min(settings.ATTACHMENT_LIMIT, account.message_limit or settings.ATTACHMENT_LIMIT)


def encoded_size(draft: Draft) -> float:
    """Octets of the message that the draft would be now, about; uploads under way count as if they had come."""
    files = sum(one.size for one in draft.attachments.all()) + sum(one.size for one in draft.uploads.all())
    return files * BASE64_GROWTH + len(draft.text.encode()) * 1.2 + len(draft.html.encode()) * 1.2


def too_large(name: str, limit: int) -> str:
    return _("“%(name)s” makes the message larger than the limit of %(limit)d MB.") % {
        "name": name,
        "limit": limit // 1_000_000,
    }


def _must_fit(draft: Draft, name: str, size: int) -> None:
    limit = size_limit(draft.account)
    if encoded_size(draft) + size * BASE64_GROWTH > limit:
        raise Unsendable({"files": too_large(name, limit)})


# --- from the browser -------------------------------------------------------------------------------------------


def attach(draft: Draft, upload: UploadedFile, cid: str = "") -> DraftAttachment:
    """Raises Unsendable if the message would outgrow the limit; nothing is stored then."""
    name, size = _name(upload.name or ""), upload.size or 0
    _must_fit(draft, name, size)
    attachment = DraftAttachment(draft=draft, name=name, type=type_of(name), size=size, cid=cid)
    attachment.file.save("upload", upload, save=False)
    attachment.save()
    return attachment


def _name(name: str) -> str:
    return mime.safe_name(name)[:255] or _("attachment")


def type_of(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def begin_upload(draft: Draft, key: str, name: str, size: int) -> Upload | DraftAttachment:
    """The one of this key, which may have begun before, or what has become of it, where that was not heard. Raises Unsendable
    if it would not fit."""
    known = draft.uploads.filter(key=key).first()
    if known and known.size == size:
        return known
    arrived = draft.attachments.filter(key=key, size=size).first()  # asked second: it comes as the upload goes
    if arrived:
        return arrived
    if known:
        forget_upload(known)
    name = _name(name)
    if draft.uploads.count() >= MAX_UPLOADS:
        raise Unsendable({"files": _("Too many files at once. Wait until some are there.")})
    _must_fit(draft, name, size)
    return Upload.objects.create(draft=draft, key=key, name=name, size=size)


def receive(upload: Upload, offset: int, octets: bytes, cid: str = "") -> DraftAttachment | None:
    """Take the next piece; the attachment, once all have come. Raises Broken if it is not the next. An empty one is the
    next only when all came before and a crash kept them from becoming a file."""
    if offset != upload.received or offset + len(octets) > upload.size or (not octets and offset < upload.size):
        raise Broken(upload.received)
    if octets:
        piece = UploadPiece(upload=upload, offset=offset)
        piece.file.save("piece", ContentFile(octets), save=False)
        try:
            _count(upload, piece, len(octets))
        except Broken:
            forget_file(piece.file.name)
            raise
    return _complete(upload, cid) if upload.received == upload.size else None


@transaction.atomic
def _count(upload: Upload, piece: UploadPiece, length: int) -> None:
    """Of the same piece sent twice at once, one counts."""
    here = Upload.objects.filter(pk=upload.pk, received=piece.offset)
    if not here.update(received=piece.offset + length):
        raise Broken(Upload.objects.filter(pk=upload.pk).values_list("received", flat=True).first() or 0)
    piece.save()
    upload.received = piece.offset + length


def _complete(upload: Upload, cid: str) -> DraftAttachment:
    pieces = list(upload.pieces.all())
    attachment = DraftAttachment(
        draft=upload.draft, name=upload.name, type=type_of(upload.name), size=upload.size, cid=cid, key=upload.key
    )
    attachment.file.save("upload", _ChunkFile(_octets_of(pieces)), save=False)
    with transaction.atomic():
        first = Upload.objects.filter(pk=upload.pk).delete()[0]
        if first:
            attachment.save()
    if not first:
        forget_file(attachment.file.name)
        raise Broken(upload.size)
    for piece in pieces:
        forget_file(piece.file.name)
    return attachment


def _octets_of(pieces: Iterable[UploadPiece]) -> Iterator[bytes]:
    for piece in pieces:
        with piece.file.open("rb") as file:
            while octets := file.read(READ):
                yield octets


def forget_upload(upload: Upload) -> None:
    names = [piece.file.name for piece in upload.pieces.all()]
    upload.delete()
    for name in names:
        forget_file(name)


def forget_old_uploads() -> None:
    """Those that nobody has gone on with for long."""
    for upload in Upload.objects.filter(created_at__lt=timezone.now() - UPLOAD_KEPT)[:100]:
        forget_upload(upload)


def detach(attachment: DraftAttachment) -> None:
    name = attachment.file.name
    attachment.delete()
    forget_file(name)


# --- from messages ----------------------------------------------------------------------------------------------


def with_files(draft: Draft, message: Message, chosen: Sequence[tuple[str, mime.BodyPart, int]]) -> Draft:
    """Files of a message into a saved draft: of each its name, the part and its size. Their octets come by
    ``bring_attachments``. Raises Unsendable if they are over the limit."""
    largest = max(chosen, key=lambda one: one[2])[0]
    _must_fit(draft, largest, sum(size for _name, _part, size in chosen))
    DraftAttachment.objects.bulk_create(
        DraftAttachment(
            draft=draft, name=name[:255], type=part.type[:120], source_part=part.part_id, size=size, source_message=message
        )
        for name, part, size in chosen
    )  # fmt: skip
    Draft.objects.filter(pk=draft.pk).update(awaits_attachments=True)
    draft.awaits_attachments = True
    return draft


def await_parts(draft: Draft) -> None:
    """Rows for what comes along from the message that a new draft begins with."""
    rows = list(_coming(draft))
    DraftAttachment.objects.bulk_create(rows)
    draft.awaits_attachments = bool(rows)
    draft.save(update_fields=["awaits_attachments"])


def brings(draft: Draft) -> bool:
    """True if files will come along with an unsaved draft."""
    return any(True for _row in _coming(draft))


def _coming(draft: Draft) -> Iterator[DraftAttachment]:
    message = draft.source
    if message is None:
        return
    if draft.kind == "attached":
        name = (mime.safe_name(message.subject) or _("message"))[:80] + ".eml"
        yield DraftAttachment(
            draft=draft, name=name, type="message/rfc822", source_part=WHOLE, size=message.size, source_message=message
        )
    root = message.body_part
    if root is None or draft.kind not in ("forward", "draft", "reply"):
        return
    shown = set(html.cids(draft.html))
    for part in mime.select_bodies(root).attachments:
        cid = html.content_id(part.cid)
        if draft.kind == "reply" and cid not in shown:
            continue
        yield DraftAttachment(
            draft=draft, name=(part.name or _("attachment"))[:255], type=part.type[:120], source_part=part.part_id,
            size=0, source_message=message, cid=cid,
        )  # fmt: skip


def bring_attachments(draft: Draft) -> None:
    """Fetch what comes along from messages, once. Raises MailError; the draft is saved before and stays, and the next call
    goes on with the files that are missing."""
    if not draft.awaits_attachments:
        return
    for attachment in (
        draft.attachments.filter(file="").exclude(source_part="").select_related("source_message__account")
    ):
        message = attachment.source_message or draft.source
        if message is None:
            raise NotFound(
                _("The message that “%(name)s” is from is gone. Remove the file.") % {"name": attachment.name}
            )
        attachment.file.save("part", _ChunkFile(_octets(message, attachment.source_part)), save=False)
        attachment.size = attachment.file.size
        if not _has_come(attachment):
            forget_file(attachment.file.name)
    draft.awaits_attachments = False
    draft.save(update_fields=["awaits_attachments"])


def _octets(message: Message, part_id: str) -> Iterable[bytes]:
    return without_bcc(bodies.open_whole(message)) if part_id == WHOLE else bodies.open_part(message, part_id).chunks


def without_bcc(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A message as others may have it: whom it went to blindly is for its author alone (RFC 5322 §3.6.3)."""
    header, rest, end = bytearray(), iter(chunks), None
    for octets in rest:
        sought = max(len(header) - 3, 0)
        header += octets
        end = _END.search(header, sought)
        if end or len(header) > MAX_HEADER:
            break
    until = end.end() if end else len(header)
    yield _BCC.sub(b"", header[:until]) + header[until:]
    yield from rest


def _has_come(attachment: DraftAttachment) -> bool:
    """False if it was removed meanwhile, or another one has brought it."""
    waiting = DraftAttachment.objects.filter(pk=attachment.pk, file="")
    return waiting.update(file=attachment.file.name, size=attachment.size) == 1


class _ChunkFile(File):
    """What Django's storages take in chunks, from an iterator: flat memory whatever the size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__(None, name="part")
        self._chunks = chunks

    def chunks(self, chunk_size: int | None = None) -> Iterable[bytes]:  # type: ignore[override]
        return self._chunks
