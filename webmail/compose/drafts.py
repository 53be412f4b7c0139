"""Saving what is written: over the revision one knows, never silently over another's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from django.core import signing
from django.core.files.base import File
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Identity, User, fold
from webmail import html, mime
from webmail.compose.attachments import ANSWER, await_parts
from webmail.compose.identities import sender_of, signature_block
from webmail.compose.letter import Unsendable
from webmail.models import Draft, DraftAttachment, Priority, UploadPiece, forget_file

PEOPLE = ("to", "cc", "bcc", "reply_to")
MAX_DRAFTS = 10_000  # of one person, being written
SENDER = "identity"  # the name of From in forms
FIELDS = (*PEOPLE, "subject", "text", "html")
CHOICES = ("priority", "wants_receipt", "wants_delivery_report")
WITH = ("account__user", "identity__account", "source__account")
SAVED = ("account", "identity", "written_as", *FIELDS, *CHOICES, "saved_at")


class TooMuch(Exception):
    """The rich text is over the bounds; the draft has all else that was typed, and its former text."""

    def __init__(self, draft: Draft) -> None:
        super().__init__("too much rich text")
        self.draft = draft


class TooMany(Unsendable):
    """The person has as many drafts as one may have; this one is not saved."""

    def __init__(self, draft: Draft) -> None:
        super().__init__({"drafts": _("There are %(n)s drafts already. Discard some first.") % {"n": MAX_DRAFTS}})
        self.draft = draft


class Conflict(Exception):
    """The draft was saved elsewhere since this page loaded it."""

    def __init__(self, draft: Draft) -> None:
        super().__init__("saved elsewhere")
        self.draft = draft


def change(draft: Draft, typed: Mapping[str, str], picture: Callable[[str], str | None] | None = None) -> None:
    """What somebody typed, unsaved. A field that is not named stays as it is; a choice that is not ticked is not sent, so
    those count only where ``choices`` is named. ``picture`` knows the Content-IDs behind addresses in the rich text. Raises
    TooMuch."""
    for field in FIELDS:
        if field in typed and field != "html":
            setattr(draft, field, _plain(field, typed[field]))
    if "choices" in typed:
        draft.wants_receipt = bool(typed.get("wants_receipt"))
        draft.wants_delivery_report = bool(typed.get("wants_delivery_report"))
    if typed.get("priority") in Priority.values:
        draft.priority = typed["priority"]
    if "html" in typed:
        _change_rich(draft, _plain("html", typed["html"]), picture)


def _change_rich(draft: Draft, source: str, picture: Callable[[str], str | None] | None) -> None:
    try:
        draft.html = html.written(source, picture, whole=True) if source else ""
    except html.TooMuch as error:
        raise TooMuch(draft) from error
    if source:
        draft.text = html.html_to_text(draft.html)


def _plain(field: str, value: str) -> str:
    value = value.replace("\x00", "")
    if field in ("text", "html"):
        return value.replace("\r\n", "\n")
    return " ".join(value.split()) if field == "subject" else value


def write_as(draft: Draft, identity: Identity, address: str) -> None:
    """Unsaved. The signature changes with the identity, where it stands as it was put there."""
    if identity != draft.identity:
        _change_signature(draft, identity)
        if not draft.reply_to or (draft.identity and draft.reply_to == draft.identity.reply_to):
            draft.reply_to = identity.reply_to
    set_sender(draft, identity, address)


def set_sender(draft: Draft, identity: Identity, address: str) -> None:
    """Unsaved; but for From everything stays."""
    draft.identity, draft.account = identity, identity.account
    another = address and address.lower() != identity.address.lower() and identity.answers_for(address)
    draft.written_as = address if another else ""


def _change_signature(draft: Draft, identity: Identity) -> None:
    old, fresh = signature_block(draft.identity), signature_block(identity)
    if old and old in draft.text:
        draft.text = draft.text.replace(old, fresh, 1)
    elif fresh and fresh not in draft.text and not old:
        draft.text += fresh
    if not draft.html:
        return
    old_html, fresh_html = (html.paragraphs(block.strip("\n")) if block else "" for block in (old, fresh))
    if old_html and old_html in draft.html:
        draft.html = draft.html.replace(old_html, fresh_html, 1)
    elif fresh_html and not old:
        draft.html += fresh_html


def make_rich(draft: Draft) -> None:
    """Unsaved: from now on it is rich text."""
    draft.html = draft.html or html.paragraphs(draft.text)


def make_plain(draft: Draft) -> None:
    if draft.html:
        draft.text, draft.html = html.html_to_text(draft.html), ""


@transaction.atomic
def save(draft: Draft, revision: int | None = None) -> Draft:
    """Save; with a ``revision``, only over that one, 0 being what an unsaved form knows. What is saved: where somebody was
    faster with the very same (a double click, an answer that was lost), theirs. Raises Conflict, TooMany, and
    Draft.DoesNotExist if it is gone."""
    draft.saved_at = timezone.now()
    if draft.pk is None:
        return _save_new(draft)
    current = Draft.objects.filter(pk=draft.pk)
    if revision is not None:
        current = current.filter(revision=revision)
    if not current.update(revision=F("revision") + 1):
        theirs = Draft.objects.select_related(*WITH).get(pk=draft.pk)
        if revision == 0 and theirs.revision == 1 and _goes_on(draft, theirs):  # the answer to its first save was lost
            return save(draft, theirs.revision)
        return _same(draft, theirs)
    draft.revision = (revision if revision is not None else draft.revision) + 1
    draft.save(update_fields=SAVED)
    return draft


def _save_new(draft: Draft) -> Draft:
    known = Draft.objects.for_user(draft.account.user_id).being_written()
    if draft.kind != ANSWER and known.count() >= MAX_DRAFTS:
        raise TooMany(draft)
    draft.message_id = draft.message_id or mime.new_message_id(_domain(draft))
    draft.revision = 1
    try:
        with transaction.atomic():
            draft.save()
            await_parts(draft)
    except IntegrityError as error:  # the same unsaved form came in twice at once
        draft.pk, draft._state.adding = None, True
        theirs = Draft.objects.select_related(*WITH).filter(account__user=draft.account.user_id)
        return _same(draft, theirs.get(message_id=draft.message_id), error)
    return draft


def _same(mine: Draft, theirs: Draft, error: Exception | None = None) -> Draft:
    """Theirs, if it says what mine says."""
    if differences(mine, theirs):
        raise Conflict(theirs) from error
    return theirs


def _domain(draft: Draft) -> str:
    return sender_of(draft).rpartition("@")[2]


def differences(mine: Draft, theirs: Draft) -> list[str]:
    """The fields in which two versions of a draft differ."""
    names = [SENDER] if (mine.identity_id, mine.written_as) != (theirs.identity_id, theirs.written_as) else []
    names += [name for name in PEOPLE if _people(getattr(mine, name)) != _people(getattr(theirs, name))]
    rest = (*FIELDS[len(PEOPLE) :], *CHOICES)
    names += [name for name in rest if getattr(mine, name) != getattr(theirs, name)]
    if mine.html and theirs.html and "text" in names:
        names.remove("text")  # it follows from the other
    return names


def _goes_on(mine: Draft, theirs: Draft) -> bool:
    """True if nothing more was done than to put something in at one place of each field: nothing of theirs gets lost."""
    changed = differences(mine, theirs)
    grew = all(_grew(getattr(theirs, name), getattr(mine, name)) for name in FIELDS if name in changed)
    return grew and not set(changed) & {SENDER, *CHOICES}


def _grew(before: str, now: str) -> bool:
    start = next(
        (at for at, (one, other) in enumerate(zip(before, now, strict=False)) if one != other),
        min(len(before), len(now)),
    )
    return now.endswith(before[start:]) and len(now) >= len(before)


def fingerprint(draft: Draft) -> str:
    """The same for two drafts that differ in nothing a form says but files."""
    said = [str(getattr(draft, name)) for name in (*FIELDS, *CHOICES)]
    if draft.html:
        said[FIELDS.index("text")] = ""  # it follows from the other
    said += [str(draft.identity_id), draft.written_as]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _people(written: str) -> list[str]:
    """Two that read the same reach the same."""
    good, bad = mime.parse_addresses(written)
    return [mime.format_address(replace(one, email=fold(one.email))) for one in good] + bad


def copy_of(draft: Draft) -> Draft:
    """A draft of its own with the same text and files."""
    original = draft.pk
    draft.pk, draft._state.adding, draft.message_id = None, True, ""
    kind, draft.kind = draft.kind, "copy"  # nothing is awaited anew
    save(draft)
    draft.kind = kind
    draft.awaits_attachments = False
    for attachment in DraftAttachment.objects.filter(draft_id=original):
        file = attachment.file
        attachment.pk, attachment._state.adding, attachment.draft = None, True, draft
        if not file:  # it has not come yet, and comes to the copy too
            attachment.save()
            draft.awaits_attachments = True
            continue
        with file.open("rb") as octets:
            attachment.file.save("copy", File(octets), save=True)
    draft.save(update_fields=["kind", "awaits_attachments"])
    return draft


def discard(draft: Draft) -> None:
    if draft.pk:
        discard_all([draft.pk])
        draft.pk = None


def discard_all(numbers: Sequence[int]) -> None:
    """Drafts by their numbers, with their files, which go when that is committed."""
    files = [
        *DraftAttachment.objects.filter(draft__in=numbers).values_list("file", flat=True),
        *UploadPiece.objects.filter(upload__draft__in=numbers).values_list("file", flat=True),
    ]
    Draft.objects.filter(pk__in=numbers).delete()
    for name in files:
        transaction.on_commit(partial(forget_file, name))


# --- the name of a form -----------------------------------------------------------------------------------------
# A form carries the Message-ID that its draft has, or will have. Sent twice (a double click, a lost answer), it is the same
# draft twice, and so the same message once; and it is known for whose it was when the draft is gone.

TOKEN_SALT = "webmail.compose"  # noqa: S105  (no secret, a purpose)
TOKEN_SECONDS = 7 * 24 * 3600


def form_token(user: User, draft: Draft) -> str:
    return signing.dumps([user.pk, draft.message_id or mime.new_message_id(_domain(draft))], salt=TOKEN_SALT)


def message_id_of(user: User, token: str) -> str:
    """ "" for a token that is not ours or not this person's. Nobody knows any more whether a form that is older than
    TOKEN_SECONDS was sent before: it is another message, and the same one however often it comes in."""
    try:
        owner, message_id = signing.loads(token, salt=TOKEN_SALT)
    except (signing.BadSignature, ValueError, TypeError):
        return ""
    if owner != user.pk:
        return ""
    local, _at, domain = message_id.rpartition("@")
    return message_id if _is_fresh(token) else f"{local}.late@{domain}"


def _is_fresh(token: str) -> bool:
    try:
        signing.loads(token, salt=TOKEN_SALT, max_age=TOKEN_SECONDS)
    except signing.SignatureExpired:
        return False
    return True
