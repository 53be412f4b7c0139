"""Writing: a new message, a reply, a forward or an opened draft becomes a Draft; a Draft becomes an RFC 5322 message."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import BinaryIO, cast

from django.conf import settings
from django.core import signing
from django.core.files.base import File
from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.models import Account, Identity, User
from webmail import bodies, mime, threads
from webmail.models import Draft, DraftAttachment, Message, forget_file
from webmail.protocols.errors import NotFound

FIELDS = ("to", "cc", "bcc", "subject", "text")
ANSWER = "answer"  # the kind of a draft that answers an invitation: its calendar is an alternative of the text
FILES = "files"  # the kind of a draft that begins with files of a message; their rows are there before their octets
BASE64_GROWTH = 78 / 57  # encoded octets a line over plain ones (RFC 2045 §6.8)


class Unsendable(Exception):
    """What has to be put right before this can be sent: a sentence for each field."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


class Conflict(Exception):
    """The draft was saved elsewhere since this page loaded it."""

    def __init__(self, draft: Draft) -> None:
        super().__init__("saved elsewhere")
        self.draft = draft


# --- beginning --------------------------------------------------------------------------------------------------


def new(
    user: User,
    to: str = "",
    subject: str = "",
    text: str = "",
    cc: str = "",
    bcc: str = "",
    account: Account | None = None,
) -> Draft:
    """An unsaved draft, from the account given or else from the first."""
    identity = default_identity(user, account)
    body = (text + "\n" if text else "") + signature_block(identity)
    return Draft(account=identity.account, identity=identity, to=to, cc=cc, bcc=bcc, subject=subject, text=body)


def reply(user: User, message: Message, everyone: bool) -> Draft:
    """RFC 5322 §3.6.4 for the threading fields; the recipients are those a person expects, never oneself. Raises MailError."""
    identity = identity_for(user, message)
    mine = {i.address.lower() for i in Identity.objects.for_user(user)} | {message.account.address.lower()}
    sent_by_me = message.from_email.lower() in mine
    to = message.people("to") if sent_by_me else message.people("reply_to") or [message.sender]
    cc: list[mime.Address] = []
    if everyone:
        rest = message.people("cc") if sent_by_me else [*message.people("to"), *message.people("cc")]
        taken = {person.email.lower() for person in to} | mine
        cc = [person for person in rest if person.email.lower() not in taken]
    draft = Draft(
        account=identity.account, identity=identity, kind="reply", source=message, subject=threads.reply_subject(message.subject),
        to=_people(to), cc=_people(cc), in_reply_to=message.message_id, references=_references(message),
    )  # fmt: skip
    draft.text = f"\n\n{signature_block(identity)}\n{_attribution(message)}\n{quote(bodies.body_of(message).text)}"
    return draft


def forward(user: User, message: Message) -> Draft:
    """Inline, with the original's head; its attachments come along (bring_attachments). Raises MailError."""
    identity = identity_for(user, message)
    head = [
        f"---------- {_('Forwarded message')} ----------",
        f"{_('From')}: {mime.format_address(message.sender)}",
        f"{_('Date')}: {_when(message)}",
        f"{_('Subject')}: {message.subject}",
        f"{_('To')}: {_people(message.people('to'))}",
    ]
    text = f"\n\n{signature_block(identity)}\n" + "\n".join(head) + "\n\n" + bodies.body_of(message).text
    return Draft(
        account=identity.account, identity=identity, kind="forward", source=message, references=_references(message),
        subject=threads.forward_subject(message.subject), text=text,
    )  # fmt: skip


def edit(user: User, message: Message) -> Draft:
    """A draft from the server's Drafts folder (ours or another program's) or any message, as a draft of our own."""
    identity = identity_for(user, message)
    return Draft(
        account=identity.account, identity=identity, kind="draft", source=message, subject=message.subject,
        to=_people(message.people("to")), cc=_people(message.people("cc")), bcc=_people(message.people("bcc")),
        references=message.references, in_reply_to=message.references[-1] if message.references else "",
        text=bodies.body_of(message).text,
    )  # fmt: skip


def with_files(user: User, message: Message, chosen: Sequence[tuple[str, mime.BodyPart, int]]) -> Draft:
    """A saved draft of a new message with files of another one: of each its name, the part and its size. Their octets come
    by ``bring_attachments``. Raises Unsendable if they are over the limit."""
    draft = new(user, account=message.account)
    draft.kind, draft.source = FILES, message
    limit = size_limit(draft.account)
    if sum(size for _name, _part, size in chosen) * BASE64_GROWTH > limit:
        raise Unsendable({"files": too_large(max(chosen, key=lambda one: one[2])[0], limit)})
    with transaction.atomic():
        save(draft)
        DraftAttachment.objects.bulk_create(
            DraftAttachment(draft=draft, name=name[:255], type=part.type[:120], source_part=part.part_id, size=size)
            for name, part, size in chosen
        )
    return draft


def default_identity(user: User, account: Account | None = None) -> Identity:
    """The default one of the account, else the first there is. Raises Identity.DoesNotExist if the person has none."""
    mine = Identity.objects.for_user(user).select_related("account")
    identity = (mine.filter(account=account).first() if account else None) or mine.first()
    if identity is None:
        raise Identity.DoesNotExist
    return identity


def identity_for(user: User, message: Message) -> Identity:
    """The one the message was written to, else the default of its account."""
    own = list(Identity.objects.for_user(user).filter(account_id=message.account_id).select_related("account"))
    if not own:
        return default_identity(user)
    written_to = [person.email.lower() for person in (*message.people("to"), *message.people("cc"))]
    written_to += [
        value.strip("<> ").lower()
        for name in ("delivered-to", "x-original-to")
        for value in message.fields.get(name, [])
    ]
    written_to.append(message.from_email.lower())
    for address in written_to:
        for identity in own:
            if identity.address.lower() == address:
                return identity
    return own[0]


def signature_block(identity: Identity | None) -> str:
    """ "-- " on its own line announces a signature (RFC 3676 §4.3)."""
    return f"\n-- \n{identity.signature.rstrip()}\n" if identity and identity.signature.strip() else ""


def quote(text: str) -> str:
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}" for line in text.strip("\n").split("\n"))


def _people(people: Iterable[mime.Address]) -> str:
    return ", ".join(mime.format_address(person) for person in people)


def _references(message: Message) -> list[str]:
    """RFC 5322 §3.6.4: the parent's references and its id; long ones lose their middle."""
    chain = [*message.references, *([message.message_id] if message.message_id else [])]
    return chain if len(chain) <= 50 else [chain[0], *chain[-49:]]


def _when(message: Message) -> str:
    return date_format(timezone.localtime(message.sent_at or message.received_at), pgettext("date", "j F Y H:i"))


def _attribution(message: Message) -> str:
    who = message.from_name or message.from_email
    return _("On %(when)s, %(who)s wrote:") % {"when": _when(message), "who": who}


# --- saving -----------------------------------------------------------------------------------------------------


@transaction.atomic
def save(draft: Draft, revision: int | None = None) -> Draft:
    """Save; with a ``revision``, only over that one. Raises Conflict."""
    draft.saved_at = timezone.now()
    if draft.pk is None:
        return _save_new(draft)
    current = Draft.objects.filter(pk=draft.pk)
    if revision is not None:
        current = current.filter(revision=revision)
    if not current.update(revision=F("revision") + 1):
        raise Conflict(Draft.objects.get(pk=draft.pk))
    draft.revision = (revision if revision is not None else draft.revision) + 1
    draft.save(update_fields=["account", "identity", *FIELDS, "saved_at"])
    return draft


def _save_new(draft: Draft) -> Draft:
    draft.message_id = draft.message_id or mime.new_message_id(_domain(draft))
    draft.revision = 1
    comes_along = draft.kind in ("forward", "draft") and bool(draft.source and draft.source.has_attachment)
    draft.awaits_attachments = comes_along or draft.kind == FILES
    try:
        with transaction.atomic():
            draft.save()
    except IntegrityError as error:  # the same unsaved form came in twice at once
        raise Conflict(Draft.objects.get(message_id=draft.message_id)) from error
    return draft


def _domain(draft: Draft) -> str:
    return (draft.identity.address if draft.identity else draft.account.address).rpartition("@")[2]


def bring_attachments(draft: Draft) -> None:
    """Fetch what the source of a forwarded or reopened message has attached, once. Raises MailError; the draft is saved
    before and stays, and the next call goes on with the files that are missing."""
    if not draft.awaits_attachments:
        return
    for attachment in _awaited(draft):
        if draft.source is None:
            raise NotFound(
                _("The message that “%(name)s” is from is gone. Remove the file.") % {"name": attachment.name}
            )
        opened = bodies.open_part(draft.source, attachment.source_part)
        attachment.file.save("part", _ChunkFile(opened.chunks), save=False)
        attachment.size = attachment.file.size
        if not _has_come(attachment):
            forget_file(attachment.file.name)
    draft.awaits_attachments = False
    draft.save(update_fields=["awaits_attachments"])


def _awaited(draft: Draft) -> list[DraftAttachment]:
    """Rows that wait for their octets."""
    if draft.kind == FILES:
        return list(draft.attachments.filter(file=""))
    root = draft.source.body_part if draft.source else None
    with transaction.atomic():
        Draft.objects.select_for_update().get(pk=draft.pk)  # whoever else brings them waits here, and finds the rows
        have = set(draft.attachments.values_list("source_part", flat=True))
        DraftAttachment.objects.bulk_create(_still_to_be(draft, root, have))
    return list(draft.attachments.filter(file="").exclude(source_part=""))


def _still_to_be(draft: Draft, root: mime.BodyPart | None, have: set[str]) -> list[DraftAttachment]:
    return [
        DraftAttachment(
            draft=draft, name=(part.name or _("attachment"))[:255], type=part.type[:120], source_part=part.part_id, size=0
        )
        for part in (mime.select_bodies(root).attachments if root else ())
        if part.part_id not in have
    ]  # fmt: skip


def _has_come(attachment: DraftAttachment) -> bool:
    """False if it was removed meanwhile, or another one has brought it."""
    waiting = DraftAttachment.objects.filter(pk=attachment.pk, file="")
    return waiting.update(file=attachment.file.name, size=attachment.size) == 1


def copy_of(draft: Draft) -> Draft:
    """A draft of its own with the same text and files: what was written in the window that came too late."""
    original = draft.pk
    draft.pk, draft._state.adding, draft.message_id = None, True, ""
    save(draft)
    for attachment in DraftAttachment.objects.filter(draft_id=original):
        if not attachment.file:  # it has not come yet, and comes to the copy too
            attachment.pk, attachment._state.adding, attachment.draft = None, True, draft
            attachment.save()
            continue
        with attachment.file.open("rb") as file:
            attachment.pk, attachment._state.adding, attachment.draft = None, True, draft
            attachment.file.save("copy", File(file), save=True)
    return draft


# --- the name of a form -----------------------------------------------------------------------------------------
# A form that is not saved yet carries the Message-ID its draft will have. Sent twice (a double click, a lost answer), it
# is the same draft twice, and so the same message once.

TOKEN_SALT = "webmail.compose"  # noqa: S105  (no secret, a purpose)
TOKEN_SECONDS = 7 * 24 * 3600


def form_token(user: User, draft: Draft) -> str:
    return signing.dumps([user.pk, mime.new_message_id(_domain(draft))], salt=TOKEN_SALT)


def message_id_of(user: User, token: str) -> str:
    """ "" for a token that is not ours, not this person's, or too old."""
    try:
        owner, message_id = signing.loads(token, salt=TOKEN_SALT, max_age=TOKEN_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    return message_id if owner == user.pk else ""


class _ChunkFile(File):
    """What Django's storages take in chunks, from an iterator: flat memory whatever the size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__(None, name="part")
        self._chunks = chunks

    def chunks(self, chunk_size: int | None = None) -> Iterable[bytes]:  # type: ignore[override]
        return self._chunks


def attach(draft: Draft, upload: UploadedFile) -> DraftAttachment:
    """Raises Unsendable if the message would outgrow the limit; nothing is stored then."""
    size = upload.size or 0
    limit = size_limit(draft.account)
    if encoded_size(draft) + size * BASE64_GROWTH > limit:
        name = mime.safe_name(upload.name or "")
        raise Unsendable({"files": too_large(name, limit)})
    kind = mimetypes.guess_type(upload.name or "")[0] or "application/octet-stream"
    attachment = DraftAttachment(
        draft=draft, name=mime.safe_name(upload.name or "") or _("attachment"), type=kind, size=size
    )
    attachment.file.save("upload", upload, save=False)
    attachment.save()
    return attachment


def too_large(name: str, limit: int) -> str:
    return _("“%(name)s” makes the message larger than the limit of %(limit)d MB.") % {
        "name": name,
        "limit": limit // 1_000_000,
    }


def detach(attachment: DraftAttachment) -> None:
    name = attachment.file.name
    attachment.delete()
    forget_file(name)


def discard(draft: Draft) -> None:
    for attachment in draft.attachments.all():
        detach(attachment)
    draft.delete()


def size_limit(account: Account) -> int:
    """Octets of a whole message, after encoding."""
    return settings.ATTACHMENT_LIMIT


def encoded_size(draft: Draft) -> float:
    return sum(a.size for a in draft.attachments.all()) * BASE64_GROWTH + len(draft.text.encode()) * 1.2


# --- becoming a message -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recipients:
    to: tuple[mime.Address, ...]
    cc: tuple[mime.Address, ...]
    bcc: tuple[mime.Address, ...]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Each once, for the envelope."""
        return tuple(dict.fromkeys(person.email for person in (*self.to, *self.cc, *self.bcc)))


def recipients(draft: Draft) -> Recipients:
    """Raises Unsendable naming each piece that is no address."""
    problems, found = {}, {}
    for field in ("to", "cc", "bcc"):
        good, bad = mime.parse_addresses(getattr(draft, field))
        found[field] = tuple(good)
        if bad:
            problems[field] = _("Not a mail address: %(pieces)s") % {"pieces": ", ".join(f"“{piece}”" for piece in bad)}
    if not problems and not any(found.values()):
        problems["to"] = _("Add at least one recipient.")
    if problems:
        raise Unsendable(problems)
    return Recipients(found["to"], found["cc"], found["bcc"])


def write(draft: Draft, out: BinaryIO) -> int:
    """The message as it is filed in Sent, Bcc included; its size in octets. Raises Unsendable."""
    people = recipients(draft)
    identity = draft.identity
    if identity is None:
        raise Unsendable({"identity": _("Choose whom to write as.")})
    if draft.awaits_attachments:
        raise Unsendable(
            {"files": _("The attachments of the forwarded message are not here yet. Save it, then send it.")}
        )
    outgoing = mime.Outgoing(
        from_=mime.Address(identity.name, identity.address), reply_to=(), to=people.to, cc=people.cc, bcc=people.bcc,
        subject=draft.subject, text=draft.text, message_id=draft.message_id, date=timezone.localtime(),
        in_reply_to=(draft.in_reply_to,) if draft.in_reply_to else (), references=tuple(draft.references),
        attachments=tuple(_as_mime(attachment) for attachment in draft.attachments.all() if not _is_answer(attachment)),
        calendar=next((_as_invite(attachment) for attachment in draft.attachments.all() if _is_answer(attachment)), None),
    )  # fmt: skip
    try:
        return mime.write_message(outgoing, out, include_bcc=True)
    except ValueError as error:
        raise Unsendable(
            {"subject": _("This message cannot be written: check the subject and the addresses.")}
        ) from error


def _is_answer(attachment: DraftAttachment) -> bool:
    return attachment.draft.kind == ANSWER and attachment.type == "text/calendar"


def _as_invite(attachment: DraftAttachment) -> mime.Invite:
    with attachment.file.open("rb") as file:
        return mime.Invite("REPLY", file.read().decode())


def _as_mime(attachment: DraftAttachment) -> mime.Attachment:
    storage, name = attachment.file.storage, attachment.file.name or ""
    return mime.Attachment(
        attachment.name, attachment.type, attachment.size, lambda: cast(BinaryIO, storage.open(name, "rb"))
    )
