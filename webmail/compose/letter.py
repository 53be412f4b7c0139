"""A draft as an RFC 5322 message: to be sent, or to lie in the server's Drafts."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import fold
from webmail import html, mime, threads
from webmail.compose.identities import sender_of, signature_block, written_to_another
from webmail.models import Draft, DraftAttachment, Priority

READ = 256 * 1024
_PRIORITIES = {Priority.HIGH: ("1 (Highest)", "high"), Priority.LOW: ("5 (Lowest)", "low")}
# What people say of files, in the languages that our users are likely to write; a word that begins so is enough.
_OF_FILES = re.compile(
    r"\b(attach(?!é)|enclos|vedl(egg|agt)|(legge|legg|legger|lagt|la|ligger|sender) ved\b|bifog|vedhæft|liite|anhang"
    r"|angehängt|anbei"
    r"|pièces? jointes?|ci-joint|adjunt|allegat|bijlage|załącz|příloh|anexo|em anexo)",
    re.IGNORECASE,
)


class Unsendable(Exception):
    """What has to be put right before this can be sent: a sentence for each field."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__("; ".join(problems.values()))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Recipients:
    to: tuple[mime.Address, ...]
    cc: tuple[mime.Address, ...]
    bcc: tuple[mime.Address, ...]
    reply_to: tuple[mime.Address, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Each once, for the envelope, as it was first written: by its case alone no server tells people apart."""
        once: dict[str, str] = {}
        for person in (*self.to, *self.cc, *self.bcc):
            once.setdefault(fold(person.email), person.email)
        return tuple(once.values())


def recipients(draft: Draft) -> Recipients:
    """Raises Unsendable naming each piece that is no address."""
    found, problems = _parsed(draft)
    if not problems and not found.addresses:
        problems["to"] = _("Add at least one recipient.")
    if problems:
        raise Unsendable(problems)
    return found


def _parsed(draft: Draft) -> tuple[Recipients, dict[str, str]]:
    problems, found = {}, {}
    for field in ("to", "cc", "bcc", "reply_to"):
        good, bad = mime.parse_addresses(getattr(draft, field))
        found[field] = tuple(good)
        if bad:
            problems[field] = _("Not a mail address: %(pieces)s") % {"pieces": ", ".join(f"“{piece}”" for piece in bad)}
    return Recipients(**found), problems


def warnings(draft: Draft) -> list[str]:
    """What a person may have forgotten; none of it keeps a message from being sent."""
    said = []
    if not draft.subject.strip():
        said.append(_("There is no subject."))
    if not _has_files(draft) and _OF_FILES.search(_own_words(draft)):
        said.append(_("The text speaks of an attachment, but there is none."))
    expected = written_to_another(draft)
    if expected:
        said.append(
            _("This answers a message that was written to %(expected)s, but is sent as %(sender)s.")
            % {"expected": expected, "sender": sender_of(draft)}
        )
    return said


def _has_files(draft: Draft) -> bool:
    """Beside the pictures that what is quoted shows."""
    return draft.attachments.exclude(~Q(cid="") & ~Q(source_part="")).exists()


def _own_words(draft: Draft) -> str:
    """Subject and text without what is quoted or forwarded, and without the signature. An answer's subject is another's."""
    text = draft.text.replace(signature_block(draft.identity).strip("\n"), "", 1)
    lines = text.partition("\n---------- ")[0].split("\n")
    return "\n".join(
        [
            "" if threads.is_reply(draft.subject) else draft.subject,
            *(line for line in lines if not line.startswith(">")),
        ]
    )


def write(draft: Draft, out: BinaryIO) -> int:
    """The message as it is filed in Sent, Bcc included; its size in octets. Raises Unsendable."""
    people = recipients(draft)
    if draft.identity is None:
        raise Unsendable({"identity": _("Choose whom to write as.")})
    if draft.awaits_attachments:
        raise Unsendable(
            {"files": _("The attachments of the forwarded message are not here yet. Save it, then send it.")}
        )
    if draft.uploads.exists():
        raise Unsendable({"files": _("A file is still on its way. Wait until it is there, or remove it.")})
    return _write(draft, people, out)


def write_unfinished(draft: Draft, out: BinaryIO) -> int:
    """The message as far as it is written, for the server's Drafts: what is no address yet is left out."""
    people, _problems = _parsed(draft)
    return _write(draft, people, out)


def _write(draft: Draft, people: Recipients, out: BinaryIO) -> int:
    files = [one for one in draft.attachments.all() if one.file]
    answer = next((one for one in files if is_answer(one)), None)
    outgoing = mime.Outgoing(
        from_=mime.Address(draft.identity.name if draft.identity else "", sender_of(draft)),
        reply_to=people.reply_to, to=people.to, cc=people.cc, bcc=people.bcc, subject=draft.subject, text=draft.text,
        html=_page(draft.html), message_id=draft.message_id, date=timezone.localtime(),
        in_reply_to=(draft.in_reply_to,) if draft.in_reply_to else (), references=tuple(draft.references),
        attachments=tuple(_as_mime(one, shown) for one, shown in _going(draft, files) if one is not answer),
        calendar=_as_invite(answer) if answer else None, headers=_headers(draft),
    )  # fmt: skip
    try:
        return mime.write_message(outgoing, out, include_bcc=True)
    except ValueError as error:
        raise Unsendable(
            {"subject": _("This message cannot be written: check the subject and the addresses.")}
        ) from error


def _page(fragment: str) -> str:
    return (
        f'<!DOCTYPE html>\n<html><head><meta charset="utf-8"></head><body>{fragment}</body></html>\n'
        if fragment
        else ""
    )


def _headers(draft: Draft) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if draft.priority in _PRIORITIES:
        headers["X-Priority"], headers["Importance"] = _PRIORITIES[Priority(draft.priority)]  # RFC 2156 §5.3.6
    if draft.wants_receipt:
        headers["Disposition-Notification-To"] = (mime.Address("", sender_of(draft)),)  # RFC 8098 §2.1
    return headers


def _going(draft: Draft, files: list[DraftAttachment]) -> list[tuple[DraftAttachment, bool]]:
    """What goes along, and whether the text shows it. A picture that only what was quoted showed goes with the quote."""
    shown = set(html.cids(draft.html))
    return [
        (one, bool(one.cid) and one.cid in shown)
        for one in files
        if not one.cid or one.cid in shown or not (draft.kind == "reply" or _is_pasted(one))
    ]


def _is_pasted(attachment: DraftAttachment) -> bool:
    """Put into the text of this draft, and nowhere else."""
    return bool(attachment.cid) and not attachment.source_part


def is_answer(attachment: DraftAttachment) -> bool:
    return attachment.draft.kind == "answer" and attachment.type == "text/calendar"


def _as_invite(attachment: DraftAttachment) -> mime.Invite:
    with attachment.file.open("rb") as file:
        return mime.Invite("REPLY", file.read().decode())


def _as_mime(attachment: DraftAttachment, shown: bool) -> mime.Attachment:
    storage, name = attachment.file.storage, attachment.file.name or ""
    return mime.Attachment(
        attachment.name, attachment.type, attachment.size, lambda: cast(BinaryIO, storage.open(name, "rb")),
        cid=attachment.cid if shown else "", inline=shown, charset=_charset(attachment),
    )  # fmt: skip


def _charset(attachment: DraftAttachment) -> str:
    """Of a text file that says by itself in what it is written: without a charset, readers would take it for ASCII
    (RFC 2046 §4.1.2)."""
    if not attachment.type.startswith("text/"):
        return ""
    decoder = codecs.getincrementaldecoder("utf-8")()
    ascii_only = True
    with attachment.file.open("rb") as file:
        try:
            while octets := file.read(READ):
                ascii_only = ascii_only and octets.isascii()
                decoder.decode(octets)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return ""
    return "us-ascii" if ascii_only else "utf-8"
