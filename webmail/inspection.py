"""What is known of the files of a message from having looked at them: kept, so that the list of files tells it too, and
so that a place in a file is found without asking the server for its beginning and its end each time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta

from django.utils import timezone

from webmail import connections, events, files, mime
from webmail.mime import kinds, pdf
from webmail.models import FileFinding, Message
from webmail.prepared import Integer, Prepared
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError

log = logging.getLogger(__name__)
LOOKED_AT = 20  # files of one message that are looked at before somebody asks for them
MOST_DRAWN = 25 * 1024 * 1024  # octets of a picture that a thumbnail is made of
KEPT = timedelta(days=180)
FORGOTTEN = 500  # at once
OLE_DIRECTORY = 16 * 1024  # octets of the directory of a compound file that are looked at


_found = Prepared(lambda message: FileFinding.objects.filter(message_id=message).defer("thumbnail"), Integer)


def found(message: Message) -> Mapping[str, FileFinding]:
    """What is known already, by part; without the thumbnails themselves."""
    return {row.part_id: row for row in _found(message.pk)}


def inspect(file: files.File) -> FileFinding:
    """What is known of this file, looking at it now if nobody has. Places in it are found from then on. Raises MailError."""
    rows = FileFinding.objects.filter(message=file.message, part_id=file.part.part_id).defer("thumbnail")
    row = rows.first()
    if row is not None:
        file.size, file.lines = row.size, files.Lines.from_json(row.lines)
        return row
    files.measure(file)
    verdict = judge(file)
    layout = file.lines.to_json() if file.lines else None
    values = {"type": verdict.type, "dangers": list(verdict.dangers), "size": file.size, "lines": layout}
    row, made = rows.get_or_create(message=file.message, part_id=file.part.part_id, defaults=values)
    if made:
        events.mark(file.message.account.user_id)  # the list of files tells more now
    return row


def inspect_each(message: Message, chosen: list[files.File]) -> list[tuple[files.File, FileFinding]]:
    """Over one connection, where any is needed. Raises MailError."""
    known = found(message)
    if message.blob or all(file.part.part_id in known for file in chosen):
        return [(file, inspect(file)) for file in chosen]
    with connections.store_of(message.account) as store:
        for file in chosen:
            file.store = store
        looked = [(file, inspect(file)) for file in chosen]
    for file in chosen:
        file.store = None
    return looked


def judge(file: files.File) -> kinds.Verdict:
    """Raises MailError."""
    head, end = file.head(), b""
    found_type = kinds.type_of(head)
    if found_type == "application/zip":
        end = file.end(kinds.LOOK_END)
    elif found_type == "application/x-ole-storage" and (at := kinds.ole_directory(head)) is not None:
        end = b"".join(file.octets(at, at + OLE_DIRECTORY))
    return kinds.judge(file.name, file.part.type, head, end)


def is_still(file: files.File, row: FileFinding) -> bool:
    """Whether this PDF shows pages and does nothing else; all of it is looked at, once. Raises MailError."""
    if row.still is None:
        row.still = file.part.size <= pdf.MAX_OCTETS * 2 and pdf.is_still(file.head(pdf.MAX_OCTETS + 1))
        FileFinding.objects.filter(pk=row.pk).update(still=row.still)
    return row.still


def irregular(file: files.File) -> None:
    """It is read from its beginning from now on."""
    file.size, file.lines = None, None
    FileFinding.objects.filter(message=file.message, part_id=file.part.part_id).update(size=None, lines=None)


def awaits_thumbnail(kind: str, part: mime.BodyPart, row: FileFinding | None) -> bool:
    """Whether one is to be made still, as far as is known."""
    if kind != "image" or part.size > MOST_DRAWN * 4 // 3 or part.type == "image/svg+xml":
        return False
    return row is None or (row.type in kinds.DRAWN and not row.refused and not row.width)


def forget_old() -> None:
    """A few at a time: what nobody has looked at for long is found out again when somebody does."""
    old = FileFinding.objects.filter(found_at__lt=timezone.now() - KEPT).order_by("found_at")
    FileFinding.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:FORGOTTEN])).delete()


def look_at_all(
    message: Message, store: MailStore | None, cheaply: bool = False
) -> list[tuple[files.File, FileFinding]]:
    """Its files that could be looked at; ``cheaply``: without those that are inside of a part, which is read as a whole
    for each. Raises MailError if the connection is lost."""
    root = message.body_part
    looked: list[tuple[files.File, FileFinding]] = []
    for part in mime.select_bodies(root).attachments[:LOOKED_AT] if root else ():
        if cheaply and "~" in part.part_id:
            continue
        file = files.File(message, part, store)
        try:
            looked.append((file, inspect(file)))
        except MailError as error:
            if error.connection_lost and not isinstance(error, files.Irregular):
                raise
            log.info("file %s of message %s: %s", part.part_id, message.pk, error)
    return looked
