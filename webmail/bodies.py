"""The readable text of a message and its parts: fetched once, sanitised once, kept.

Only text parts are fetched to read a message; attachments stream through on demand. Whether remote pictures show is
decided when a message is shown and never kept with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from django.conf import settings
from django.core import signing
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.discovery import ServerURL
from webmail import connections, html, mime, trust
from webmail.mime.header import raw_fields
from webmail.models import Message, MessageBody
from webmail.prepared import Integer, Prepared
from webmail.protocols.base import MailStore
from webmail.protocols.errors import NotFound, ProtocolError

# Raise it when the sanitiser gets better: bodies cleaned by an older one are cleaned again when next opened.
SANITISER_VERSION = 2
MAX_PARTS = 20  # text parts of a message that are shown
MAX_TEXT = 2_000_000  # octets of one text part that are shown; the rest is a download away
MAX_HEADER = 256 * 1024  # octets of a header that are read for the page of a message
PREVIEW_OCTETS = 16 * 1024  # of the text are looked at to find its beginning
PROXY_SALT = "webmail.picture"
PROXY_SECONDS = 7 * 24 * 3600


_body_of = Prepared(lambda pk: MessageBody.objects.filter(pk=pk), Integer)


def body_of(message: Message) -> MessageBody:
    """From the cache, else from the server now. Raises MailError."""
    kept = _body_of(message.pk)
    if not kept:
        return fetch(message, None)
    body = kept[0]
    if body.version != SANITISER_VERSION:
        _clean(message, body)
        body.save()
    return body


def fetch(message: Message, store: MailStore | None) -> MessageBody:
    """Read the text parts, clean and keep them; through ``store`` if one is at hand. Raises MailError."""
    root = message.body_part or mime.BodyPart(part_id="1")
    chosen = mime.select_bodies(root)
    plain = [part for part in chosen.text if part.type == "text/plain"][:MAX_PARTS]
    marked_up = [part for part in chosen.html if part.type == "text/html"][:MAX_PARTS]
    texts = _read_all(message, plain, store)
    sources = _read_all(message, marked_up, store)
    body = MessageBody(message=message, text="\n".join(texts), source="\n<hr>\n".join(sources))
    body.facts = {"authentication": _authentication(message, store).to_json()}
    _clean(message, body)
    body.kept_at = timezone.now()
    MessageBody.objects.update_or_create(
        message=message,
        defaults={
            name: getattr(body, name) for name in ("text", "source", "html", "remote", "facts", "version", "kept_at")
        },
    )
    if not message.preview:
        readable = body.text if body.text.strip() else html.html_to_text(body.source) if body.source else ""
        message.preview = mime.preview(readable)[:255]
        Message.objects.filter(pk=message.pk).update(preview=message.preview)
    return body


def _authentication(message: Message, store: MailStore | None) -> trust.Authentication:
    """What the servers that the account believes found out about its sender. Raises MailError."""
    account = message.account
    host = ServerURL.parse(account.incoming).host
    believed = (*trust.checkers_of(host), *account.believed.split(), *settings.BELIEVED)
    return trust.authentication(raw_fields(header_octets(message, store)), believed)


def header_octets(message: Message, store: MailStore | None = None) -> bytes:
    """The raw header, at most MAX_HEADER octets of it; what follows it may come along. Raises MailError."""
    octets = bytearray()
    for chunk in octets_of(message, None if message.blob else "HEADER", store, limit=MAX_HEADER):
        octets += chunk
        if len(octets) >= MAX_HEADER or b"\r\n\r\n" in octets:
            break
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
    text = mime.decode_text(bytes(octets[:PREVIEW_OCTETS]), part.charset)
    return mime.preview(html.html_to_text(text) if part.type == "text/html" else text)[:255]


def _clean(message: Message, body: MessageBody) -> None:
    body.html, body.remote = "", []
    if body.source:
        cleaned = html.clean(body.source, cid=_cid_urls(message))
        body.html, body.remote = cleaned.html, list(cleaned.remote)
        body.facts = body.facts | {"trackers": cleaned.trackers, "deceptive": cleaned.deceptive}
        if not body.text.strip():
            body.text = cleaned.text
    body.version = SANITISER_VERSION


def with_pictures(message: Message, body: MessageBody) -> str:
    """The HTML again, with remote pictures through our own proxy."""
    return html.clean(body.source, cid=_cid_urls(message), remote=proxy_url).html


def proxy_url(url: str) -> str | None:
    return reverse("picture", args=[signing.dumps(url, salt=PROXY_SALT, compress=True)])


def _cid_urls(message: Message) -> Callable[[str], str | None]:
    root = message.body_part
    images = mime.select_bodies(root).inline_images if root else {}

    def url_of(cid: str) -> str | None:
        part = images.get(cid)
        return reverse("part", args=[message.pk, part.part_id]) + "?inline=1" if part else None

    return url_of


def _read_all(message: Message, parts: Sequence[mime.BodyPart], store: MailStore | None) -> list[str]:
    """At most MAX_TEXT in all, however many parts there are."""
    texts: list[str] = []
    for part in parts:
        if sum(map(len, texts)) < MAX_TEXT:
            texts.append(_read(message, part, store))
    return texts


def _read(message: Message, part: mime.BodyPart, store: MailStore | None) -> str:
    octets = bytearray()
    for chunk in mime.decode_transfer(octets_of(message, part.part_id, store, limit=MAX_TEXT * 2), part.encoding):
        octets += chunk
        if len(octets) > MAX_TEXT:
            break
    text = mime.decode_text(bytes(octets[:MAX_TEXT]), part.charset)
    if part.format_flowed and part.type == "text/plain":
        text = mime.unflow(text, part.delsp)
    if len(octets) > MAX_TEXT:
        text += "\n\n" + _("[The message goes on. Download it to read the rest.]")
    return text


def octets_of(
    message: Message, part_id: str | None, store: MailStore | None = None, limit: int | None = None
) -> Iterator[bytes]:
    """The still encoded octets of a part, or of the whole message, from our blob or from the server. Raises MailError."""
    if message.blob:
        with message.blob.open("rb") as blob:
            yield from (
                mime.part_octets(cast(BinaryIO, blob), part_id) if part_id else iter(lambda: blob.read(65536), b"")
            )
        return
    if store is None:
        with connections.store_of(message.account) as opened:
            yield from octets_of(message, part_id, opened, limit)
        return
    if not message.uid or message.remote_mailbox is None or message.remote_mailbox.remote_name is None:
        raise NotFound(_("The message is being moved on the server. Try again in a moment."))
    window = (0, limit) if limit else None
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
    part = next((p for p in root.walk() if p.part_id == part_id and not p.children), None) if root else None
    if part is None and root:
        part = next((p for p in root.walk() if p.part_id == part_id and p.type == "message/rfc822"), None)
    if part is None:
        raise NotFound(_("There is no such part."))
    encoded = octets_of(message, part_id)
    return Part(part, _started(mime.decode_transfer(encoded, part.encoding)))


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
