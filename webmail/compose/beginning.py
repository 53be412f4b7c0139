"""What a draft starts from: nothing, a message that is answered, forwarded or written anew, a template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import unquote

from django.db import transaction
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.models import Account, Identity, User
from webmail import bodies, html, mime, threads
from webmail.compose.attachments import FILES, with_files
from webmail.compose.drafts import save
from webmail.compose.identities import default_identity, identity_for, signature_block
from webmail.models import Draft, DraftCopy, Message, Template


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of what is written, both ways."""

    text: str
    html: str


NOTHING = Piece("", "")


def new(
    user: User,
    to: str = "",
    subject: str = "",
    text: str = "",
    cc: str = "",
    bcc: str = "",
    account: Account | None = None,
    rich: bool = False,
) -> Draft:
    """An unsaved draft, from the account given or else from the first."""
    identity = default_identity(user, account)
    draft = Draft(account=identity.account, identity=identity, to=to, cc=cc, bcc=bcc, subject=subject)
    draft.reply_to = identity.reply_to
    begun = Piece(text + "\n", html.paragraphs(text)) if text else NOTHING
    _fill(draft, [begun, _signature(identity)], rich)
    return draft


def reply(user: User, message: Message, everyone: bool, rich: bool = False) -> Draft:
    """RFC 5322 §3.6.4 for the threading fields; the recipients are those a person expects, never oneself. Raises MailError."""
    identity, written_as = identity_for(user, message)
    mine = {i.address.lower() for i in user.identities()}
    mine |= {message.account.address.lower(), written_as.lower()}
    sent_by_me = message.from_email.lower() in mine
    to = message.people("to") if sent_by_me else message.people("reply_to") or [message.sender]
    cc: list[mime.Address] = []
    if everyone:
        rest = message.people("cc") if sent_by_me else [*message.people("to"), *message.people("cc")]
        taken = {person.email.lower() for person in to} | mine
        cc = [one for one in rest if not {one.email.lower(), _without_detail(one.email.lower())} & taken]
    draft = Draft(
        account=identity.account, identity=identity, written_as=written_as, kind="reply", source=message,
        subject=threads.reply_subject(message.subject), to=_people(to), cc=_people(cc), reply_to=identity.reply_to,
        in_reply_to=message.message_id, references=_references(message),
    )  # fmt: skip
    quoted = _quoted(message, rich)
    signature = _signature(identity)
    blank = Piece("\n\n", "<div><br></div>")
    order = [blank, quoted, signature] if identity.signature_below else [blank, signature, Piece("\n", ""), quoted]
    _fill(draft, order, rich)
    return draft


def forward(user: User, message: Message, rich: bool = False) -> Draft:
    """Inline, with the original's head; its attachments come along (bring_attachments). Raises MailError."""
    draft = _forwarding(user, message)
    identity = draft.identity
    signature = _signature(identity)
    blank = Piece("\n\n", "<div><br></div>")
    _fill(draft, [blank, signature, Piece("\n", ""), _forwarded(message, rich)], rich)
    return draft


def forward_as_file(user: User, message: Message, rich: bool = False) -> Draft:
    """The message goes along whole, as a file (RFC 2046 §5.2.1)."""
    draft = _forwarding(user, message)
    draft.kind = "attached"
    _fill(draft, [Piece("\n", ""), _signature(draft.identity)], rich)
    return draft


def _forwarding(user: User, message: Message) -> Draft:
    identity, written_as = identity_for(user, message)
    return Draft(
        account=identity.account, identity=identity, written_as=written_as, kind="forward", source=message,
        references=_references(message), subject=threads.forward_subject(message.subject), reply_to=identity.reply_to,
    )  # fmt: skip


def edit(user: User, message: Message) -> Draft:
    """A draft from the server's Drafts folder (ours or another program's) or any message, as a draft of our own. Raises
    MailError."""
    identity, written_as = identity_for(user, message, written_by=True)
    body = bodies.body_of(message)
    return Draft(
        account=identity.account, identity=identity, written_as=written_as, kind="draft", source=message,
        subject=message.subject, to=_people(message.people("to")), cc=_people(message.people("cc")),
        bcc=_people(message.people("bcc")), reply_to=_people(message.people("reply_to")),
        references=message.references, in_reply_to=message.references[-1] if message.references else "",
        text=body.text, html=html.written(body.source) if body.source else "",
    )  # fmt: skip


def begin_with_files(user: User, message: Message, chosen: Sequence[tuple[str, mime.BodyPart, int]]) -> Draft:
    """A saved draft of a new message with files of another one. Raises Unsendable if they are over the limit."""
    with transaction.atomic():
        draft = new(user, account=message.account)
        draft.kind, draft.source = FILES, message
        return with_files(save(draft), message, chosen)


def draft_of(message: Message) -> Draft | None:
    """The draft that we keep a copy of on the server, if the message is that copy."""
    if not message.uid or message.remote_mailbox_id is None:
        return None
    copies = DraftCopy.objects.filter(account_id=message.account_id, mailbox_id=message.remote_mailbox_id)
    numbers = copies.filter(uid=message.uid).values("draft_number")
    return Draft.objects.being_written().filter(account_id=message.account_id, pk__in=numbers).first()


def from_mailto(url: str) -> tuple[dict[str, str], str]:
    """The fields and the text that a ``mailto:`` link asks for (RFC 6068 §2); others it names are not heard, as any page
    can hold such a link (§7)."""
    scheme, _colon, rest = url.partition(":")
    if scheme.lower() != "mailto":
        return {}, ""
    to, _mark, query = rest.partition("?")
    fields = {"to": [unquote(to)] if to else []}
    for pair in query.split("&")[:100]:
        name, _equals, value = pair.partition("=")
        fields.setdefault(name.lower(), []).append(unquote(value))  # "+" is a plus there (§5)
    said = {name: ", ".join(fields.get(name, []))[:10_000] for name in ("to", "cc", "bcc")}
    said["subject"] = " ".join(" ".join(fields.get("subject", [])).split())[:2000]
    return said, "\n".join(fields.get("body", [])).replace("\r\n", "\n")


def put_in(draft: Draft, template: Template) -> None:
    """Unsaved: a template's text above what there is already; its subject where there is none."""
    draft.subject = draft.subject or template.subject
    if draft.html or template.html:
        rest = draft.html or html.paragraphs(draft.text)
        draft.html = (template.html or html.paragraphs(template.text)) + rest
        draft.text = html.html_to_text(draft.html)
    else:
        draft.text = template.text.rstrip("\n") + "\n" + draft.text


def _fill(draft: Draft, pieces: Iterable[Piece], rich: bool) -> None:
    pieces = list(pieces)
    draft.text = "".join(piece.text for piece in pieces)
    if rich:
        draft.html = "".join(piece.html for piece in pieces) or "<div><br></div>"


def _signature(identity: Identity | None) -> Piece:
    block = signature_block(identity)
    return Piece(block, html.paragraphs(block.strip("\n"))) if block else NOTHING


def _quoted(message: Message, rich: bool) -> Piece:
    said, body = _attribution(message), bodies.body_of(message)
    text = f"{said}\n{quote(body.text)}"
    if not rich:
        return Piece(text, "")
    quoted = html.quoted(html.written(body.source)) if body.source else html.quoted_text(body.text)
    return Piece(text, f"<div>{escape(said)}</div>{quoted}<div><br></div>")


def _forwarded(message: Message, rich: bool) -> Piece:
    body = bodies.body_of(message)
    title, cc = _("Forwarded message"), _people(message.people("cc"))
    said = {
        _("From"): mime.format_address(message.sender),
        _("Date"): _when(message),
        _("Subject"): message.subject,
        _("To"): _people(message.people("to")),
        **({_("Cc"): cc} if cc else {}),
    }
    head = [f"---------- {title} ----------", *(f"{name}: {value}" for name, value in said.items())]
    text = "\n".join(head) + "\n\n" + body.text
    if not rich:
        return Piece(text, "")
    rest = html.written(body.source) if body.source else html.paragraphs(body.text)
    return Piece(text, html.paragraphs("\n".join(head)) + f"<div><br></div>{rest}")


def quote(text: str) -> str:
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}" for line in text.strip("\n").split("\n"))


def _without_detail(address: str) -> str:  # RFC 5233 §1
    local, _at, domain = address.rpartition("@")
    return f"{local.partition('+')[0]}@{domain}"


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
