"""The readable text of a message and its parts: fetched once, sanitised once, kept.

Only text parts are fetched to read a message; attachments stream through on demand. Whether remote pictures show is
decided when a message is shown and never kept with it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.discovery import ServerURL
from webmail import connections, html, mime, notices, pictures, search, trust
from webmail.mime.header import raw_fields
from webmail.models import Message, MessageBody
from webmail.prepared import Integer, Prepared, Several
from webmail.protocols.base import MailStore
from webmail.protocols.errors import MailError, NotFound, ProtocolError

log = logging.getLogger(__name__)
# Raise it when the sanitiser gets better: bodies cleaned by an older one are cleaned again when next opened.
SANITISER_VERSION = 3
# Raise it when messages are read better: a body read in an older way is read anew when next opened, if its server answers.
READING_VERSION = 2
MAX_HEADER = 256 * 1024  # octets of a header that are read for the page of a message
MAX_NAMED = 5  # trackers
HEAVY = 400_000  # octets of texts as they are sent
PREVIEW_OCTETS = 16 * 1024  # of the text are looked at to find its beginning
LARGEST = 2**31  # octets of a part; no message is larger


_body_of = Prepared(lambda pk: MessageBody.objects.filter(pk=pk), Integer)
_without_texts = Prepared(lambda pk: MessageBody.objects.filter(pk=pk).defer("text", "source", "html"), Integer)
_with_html = Prepared(lambda pk: MessageBody.objects.filter(pk=pk).defer("text", "source"), Integer)
_read = Prepared(
    lambda ids: Message.objects.filter(pk__in=ids, body__facts__reading=READING_VERSION).values_list("pk"),
    Several(Integer),
)


def read_of(ids: Sequence[int]) -> set[int]:
    """Those of them that can be shown without asking a server."""
    return {pk for (pk,) in _read(ids)}


def is_heavy(message: Message) -> bool:
    """Its texts are so long that reading and cleaning them would hold up a page for others: a worker does it."""
    root = message.body_part
    if root is None:
        return False
    chosen = mime.select_bodies(root)
    return sum(part.size for part in {*chosen.text, *chosen.html}) > HEAVY


def is_ready(message: Message) -> bool:
    """It can be shown without reading or cleaning anything."""
    kept = MessageBody.objects.filter(message=message, version=SANITISER_VERSION)
    return kept.filter(facts__reading=READING_VERSION).exists()


def body_of(message: Message) -> MessageBody:
    """From the cache, else from the server now. Raises MailError."""
    return _up_to_date(message, _body_of(message.pk))


def facts_of(message: Message) -> MessageBody:
    """The same for who needs no long text: of a message that is HTML, that is three times what its sender wrote. The texts
    are read when they are asked for."""
    return _up_to_date(message, _without_texts(message.pk))


def html_of(message: Message) -> MessageBody:
    """The same with what was cleaned, for the body document."""
    return _up_to_date(message, _with_html(message.pk))


def _up_to_date(message: Message, kept: Sequence[MessageBody]) -> MessageBody:
    if not kept:
        return fetch(message, None)
    body = kept[0]
    if body.facts.get("reading") != READING_VERSION and not message.account.failures:
        try:
            return fetch(message, None, body.facts.get("charset", ""))
        except MailError as error:
            log.info("message %s is shown as it was read before: %s", message.pk, error)
    if body.version != SANITISER_VERSION:
        _clean(message, body)
        body.save()
    if "marked_up" not in body.facts:  # kept before that was noted
        body.facts = body.facts | _facts_of_texts(body)
        body.save(update_fields=["facts"])
    return body


def fetch(message: Message, store: MailStore | None, charset: str = "") -> MessageBody:
    """Read the texts, clean and keep them; through ``store`` if one is at hand, and in ``charset`` if the reader chose
    one. Raises MailError, and ValueError if that is no charset."""
    root = message.body_part or mime.BodyPart(part_id="1")
    reading = mime.read_message(root, lambda part, most: octets_of(message, part or None, store, most), charset)
    if reading.root != root:  # files were found inside of parts
        message.structure, message.has_attachment = reading.root.to_json(), True
        Message.objects.filter(pk=message.pk).update(structure=message.structure, has_attachment=True)
    body = MessageBody(message=message, text=_plain(reading.text), source=_marked_up(reading.html))
    body.facts = mime.facts(reading) | _said_of_sender(message, store)
    body.facts |= {"reading": READING_VERSION} | ({"charset": charset} if charset else {})
    _clean(message, body)
    body.kept_at = timezone.now()
    kept = ("text", "source", "html", "remote", "version", "kept_at", "facts")
    MessageBody.objects.update_or_create(message=message, defaults={name: getattr(body, name) for name in kept})
    notices.record(message, body.facts)
    message.preview = message.preview or mime.preview(body.text)[:255]
    Message.objects.filter(pk=message.pk).update(preview=message.preview, index_due=search.TEXT)
    return body


def _plain(texts: Sequence[mime.ReadText]) -> str:
    """All of them as plain text, in order."""
    return "\n".join(
        (html.html_to_text(read.text) if read.part.type == "text/html" else read.text) + _goes_on(read)
        for read in texts
    )


def _marked_up(texts: Sequence[mime.ReadText]) -> str:
    """All of them as HTML, in order; "" if none is: then the plain text is what is shown."""
    if all(read.part.type != "text/html" for read in texts):
        return ""
    return "\n<hr>\n".join(read.text if read.part.type == "text/html" else _as_html(read) for read in texts)


def _as_html(read: mime.ReadText) -> str:
    return f'<div style="white-space: pre-wrap">{html.text_to_html(read.text + _goes_on(read))}</div>'


def _goes_on(read: mime.ReadText) -> str:
    return "\n\n" + _("[The message goes on. Download it to read the rest.]") if read.cut else ""


ONE_CLICK = frozenset({"list-unsubscribe", "list-unsubscribe-post"})
LIST_WAYS = frozenset({"list-archive", "list-help"})  # beside those that are kept of every message (RFC 2369)


def _said_of_sender(message: Message, store: MailStore | None) -> dict[str, Any]:
    """What the servers that the account believes found out: ``authentication``, and ``one_click`` if the way to
    unsubscribe is the sender's own (RFC 8058 §4: both fields are signed); and the LIST_WAYS. Raises MailError."""
    account = message.account
    believed = (
        *trust.checkers_of(ServerURL.parse(account.incoming).host),
        *account.believed.split(),
        *settings.BELIEVED,
    )
    fields = raw_fields(header_octets(message, store))
    found = trust.authentication(fields, believed)
    ways = {name: value[:2000] for name, value in reversed(fields) if name in LIST_WAYS}
    return {
        "authentication": found.to_json(),
        "one_click": trust.signed_fields(fields, found) >= ONE_CLICK,
        **({"list": ways} if ways else {}),
    }


def header_octets(message: Message, store: MailStore | None = None) -> bytes:
    """The raw header, at most MAX_HEADER octets of it; what follows it may come along. Raises MailError."""
    octets = bytearray()
    for chunk in octets_of(message, None if message.blob else "HEADER", store, limit=MAX_HEADER):
        octets += chunk
        if message.blob and (len(octets) >= MAX_HEADER or b"\r\n\r\n" in octets):
            break  # of a server no more was asked for; to leave off would cost the connection
    return bytes(octets[:MAX_HEADER])


def preview_of(file: BinaryIO, structure: mime.BodyPart) -> str:
    """The beginning of the text of a whole message, for lists; cheap, unlike all of its text."""
    chosen = mime.select_bodies(structure)
    part = next((part for part in (*chosen.text, *chosen.html) if part.type in ("text/plain", "text/html")), None)
    if part is None:
        return ""
    file.seek(0)
    octets = bytearray()
    for chunk in mime.decode_transfer(mime.part_octets(file, part.part_id), part.encoding):
        octets += chunk
        if len(octets) > PREVIEW_OCTETS:
            break
    text = mime.without_files(mime.decode_text(bytes(octets[:PREVIEW_OCTETS]), part.charset, part.type))
    return mime.preview(html.html_to_text(text) if part.type == "text/html" else text)[:255]


def _clean(message: Message, body: MessageBody) -> None:
    body.html, body.remote = "", []
    if body.source:
        slots = html.Slots()
        cleaned = html.clean(body.source, cid=_cid_urls(message), remote=slots)
        body.html, places = slots.take_out(cleaned.html)
        body.remote = [*slots.urls, *cleaned.remote]
        found = {"trackers": cleaned.trackers, "tracked_by": cleaned.tracked_by[:MAX_NAMED], "pictures": places}
        body.facts = body.facts | found | {"deceptive": cleaned.deceptive}
        if not body.text.strip():
            body.text = cleaned.text
    body.facts = body.facts | _facts_of_texts(body)
    body.version = SANITISER_VERSION


def _facts_of_texts(body: MessageBody) -> dict[str, bool]:
    """What pages ask of long texts, so that they need not be read for it: whether the HTML is shown, and not the plain text;
    whether in the dark its colours are not the sender's."""
    return {"marked_up": bool(body.source), "adapted": "light-dark(" in body.html}


def with_pictures(message: Message, body: MessageBody) -> str:
    """The HTML again, with remote pictures through our own proxy."""
    proxied = [pictures.proxy_url(message.account_id, url) for url in body.remote]
    return html.put_in(body.html, ((offset, proxied[number]) for offset, number in body.facts["pictures"]))


def want_pictures(message: Message, body: MessageBody) -> None:
    """Have its remote pictures fetched now, if the person always wants those of its sender."""
    if body.remote and pictures.always_from(message.account.user_id, message.from_email):
        shown = dict.fromkeys(number for _offset, number in body.facts["pictures"])
        pictures.want(message.account_id, [body.remote[number] for number in shown])


def _cid_urls(message: Message) -> Callable[[str], str | None]:
    root = message.body_part
    images = mime.select_bodies(root).inline_images if root else {}

    def url_of(cid: str) -> str | None:
        part = images.get(cid)
        return reverse("part", args=[message.pk, part.part_id]) + "?inline=1" if part else None

    return url_of


def octets_of(
    message: Message, part_id: str | None, store: MailStore | None = None, limit: int | None = None, start: int = 0
) -> Iterator[bytes]:
    """The still encoded octets of a part, or of the whole message, from our blob or from the server: from ``start`` on,
    and no more than ``limit`` (of a whole message of our own, all of them). Raises MailError."""
    if message.blob:
        with message.blob.open("rb") as blob:
            file = cast(BinaryIO, blob)
            yield from mime.part_octets(file, part_id, start, limit) if part_id else iter(lambda: blob.read(65536), b"")
        return
    if store is None:
        with connections.store_of(message.account) as opened:
            yield from octets_of(message, part_id, opened, limit, start)
        return
    if not message.uid or message.remote_mailbox is None or message.remote_mailbox.remote_name is None:
        raise NotFound(_("The message is being moved on the server. Try again in a moment."))
    window = (start, limit or LARGEST) if limit or start else None
    store.expect(message.remote_mailbox.remote_name, message.remote_mailbox.state or None)
    yield from store.body(message.remote_mailbox.remote_name, message.uid, part_id, window)


@dataclass(frozen=True, slots=True)
class Part:
    """An attachment ready to be read; the first chunk has been, so that an error comes before any answer does."""

    part: mime.BodyPart
    chunks: Iterator[bytes]


def open_part(message: Message, part_id: str) -> Part:
    """The decoded octets of one part, streamed. Raises NotFound if there is no such part, and other MailErrors."""
    root = message.body_part
    part = next((p for p in root.walk() if p.part_id == part_id and not p.divided), None) if root else None
    if part is None or root is None:
        raise NotFound(_("There is no such part."))
    try:
        if "~" in part_id:
            encoded = mime.octets_within(root, part_id, lambda part, most: octets_of(message, part or None, None, most))
        else:
            encoded = octets_of(message, part_id)
        return Part(part, _started(mime.decode_transfer(encoded, part.encoding)))
    except LookupError as error:
        raise NotFound(_("There is no such part.")) from error


def open_whole(message: Message) -> Iterator[bytes]:
    """The raw message, streamed. Raises MailError before the first chunk."""
    return _started(octets_of(message, None))


def _started(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from chunks

    return rest()


def header_of(message: Message) -> str:
    """The raw header as text, for the source page. Raises MailError."""
    octets = b""
    for chunk in octets_of(message, None, limit=256 * 1024):
        octets += chunk
        if len(octets) >= 256 * 1024:
            break
    if not octets:
        raise ProtocolError("an empty message")
    return mime.decode_text(octets, "utf-8")
