"""The files of a message, as its page lists them; several at once, as a zip or in a new message."""

from __future__ import annotations

import itertools
import mimetypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from accounts.requests import Request
from webmail import archive, compose, files, inspection, mime, tasks
from webmail.mime import kinds
from webmail.models import Draft, FileFinding, Message
from webmail.protocols.errors import MailError, NotFound
from webmail.views import navigation
from webmail.views.listing import number, own_alone
from webmail.views.parts import disposition, hardened
from webmail.views.redirection import SeeOther, back, problem
from webmail.views.trouble import unreadable

MOST_DRAFTS = 20  # that are offered for files to go into
MOST_AT_ONCE = 200  # files that leave in one zip, or go into one new message
ICONS = {
    "image": "image", "pdf": "file-text", "sheet": "file-sheet", "doc": "file-text", "slides": "file-slides",
    "archive": "file-zip", "audio": "file-audio", "video": "file-video", "calendar": "calendar", "contact": "account",
    "mail": "mail", "text": "file-text", "code": "file-code",
}  # fmt: skip


class Caution(NamedTuple):
    label: str  # a word or two, for lists
    reason: str  # a sentence


def cautions(dangers: Sequence[str], name: str) -> list[Caution]:
    """What is said of each of ``dangers``, the worst first."""
    extension = kinds.extension_of(name)
    said = {
        "disguised": (_("Not what it says"), _("Its content is not what its name says. It may want to be opened by mistake.")),
        "double": (_("Hidden ending"), _("Its name looks harmless, but what counts is the end: “.%(end)s”.") % {"end": extension}),
        "program": (_("Program"), _("It is a program. Once opened, it can do anything that you can do on your computer.")),
        "script": (_("Script"), _("It is a script. Once opened, it runs commands on your computer.")),
        "shortcut": (_("Shortcut"), _("It is a shortcut, which can start other programs or lead somewhere else.")),
        "disk": (_("Disk image"), _("It is a disk image. Files in it get past the checks that downloads go through.")),
        "page": (_("Web page"), _("It is a web page. Opened from your computer, it can run script and imitate a sign-in.")),
        "opener": (_("Starts programs"), _("Files of this kind can make other programs run commands.")),
        "macros": (_("Macros"), _("It has macros, programs within a document. Do not allow them unless you expected them.")),
        "encrypted": (_("Locked"), _("It is locked with a password, so nothing can look for viruses in it.")),
        "other": (_("Other content"), _("Its content is of another type than its name says.")),
    }  # fmt: skip
    return [Caution(*said[danger]) for danger in dangers if danger in said]


@dataclass(frozen=True, slots=True)
class Listed:
    """The files of one message, each as what the template prints; ``total`` octets in all."""

    rows: list[dict[str, Any]]
    total: int

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self.rows)


def listing(message: Message, parts: Sequence[mime.BodyPart]) -> Listed:
    """What nobody has looked at yet, and thumbnails that are not made yet, are asked for: the page has them when it is next
    made."""
    known = inspection.found(message) if parts else {}
    rows = [listed(message, part, known.get(part.part_id)) for part in parts]
    unseen = any(part.part_id not in known for part in parts[: inspection.LOOKED_AT])
    if unseen or any(row["awaited"] for row in rows):
        tasks.nudge_thumbnails(message.pk)
    return Listed(rows, sum(row["size"] for row in rows))


def listed(message: Message, part: mime.BodyPart, known: FileFinding | None = None) -> dict[str, Any]:
    name = named(part)
    kind = kinds.kind_of(name, part.type)
    dangers = known.dangers if known else kinds.dangers_of_name(name, part.type)
    asks = bool(set(dangers) & set(kinds.DANGERS))
    shows = kinds.shown_as(known.type, part.type, name) if known else kinds.may_be_shown(name, part.type)
    at = [message.pk, part.part_id]
    drawn = known is not None and known.width > 0 and not asks
    return {
        "name": name,
        "id": part.part_id,
        "kind": {"image": "img", "calendar": "cal"}.get(kind, kind),
        "icon": "warning" if asks else ICONS.get(kind, "file"),
        "size": size_of(part, known),
        "url": reverse("part", args=at),
        "preview": reverse("preview", args=at) if shows or asks else "",
        "asks": asks,
        "cautions": cautions(dangers, name),
        "thumbnail": reverse("thumbnail", args=at) if drawn else "",
        "width": known.width if known else 0,
        "height": known.height if known else 0,
        "awaited": not asks and inspection.awaits_thumbnail(kind, part, known),
    }


def size_of(part: mime.BodyPart, known: FileFinding | None = None) -> int:
    """Decoded; by its lines (RFC 2045 §6.8: 76 characters each) where nobody has looked."""
    if known and known.size is not None:
        return known.size
    return part.size * 57 // 78 if part.encoding == "base64" else part.size


def named(part: mime.BodyPart) -> str:
    """A part that its sender gave no name is called by its type."""
    if part.name:
        return part.name
    if part.type == "message/rfc822":
        return _("message") + ".eml"
    if part.type == "text/calendar":
        return _("invitation") + ".ics"
    if part.type == "message/delivery-status":
        return _("delivery report") + ".txt"
    return _("attachment") + (mimetypes.guess_extension(part.type) or "")


# --- several of them ------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def several(request: Request, pk: int) -> HttpResponseBase:
    """All files of a message, or those of ``part``: as a zip, or (POST, ``do=draft``) in a new message, or (``do=into``) in
    one that is being written. Where some are dangerous, a page says so first, and POST with ``anyway`` is the answer to it."""
    message = own_alone(request, pk)
    try:
        chosen = _chosen(message, [*request.GET.getlist("part"), *request.POST.getlist("part")])
        if request.method == "POST" and request.POST.get("do") == "draft":
            return _draft(request, message, chosen)
        if request.method == "POST" and "into" in (request.POST.get("do"), request.GET.get("do")):
            return _into(request, message, chosen)
        found = inspection.inspect_each(message, chosen)
        if request.POST.get("anyway") != "1" and (asking := _asking(request, message, found)):
            return asking
        names = archive.names([named(file.part) for file in chosen])
        entries = [archive.Entry(name, file, finding) for name, (file, finding) in zip(names, found, strict=True)]
        return _zip(request, message, entries)
    except MailError as error:
        return unreadable(request, message, error)


def _chosen(message: Message, ids: list[str]) -> list[files.File]:
    root = message.body_part
    parts = mime.select_bodies(root).attachments if root else ()
    chosen = [files.File(message, part) for part in parts if not ids or part.part_id in ids]
    if not chosen:
        raise NotFound(_("This message has no such files."))
    if len(chosen) > MOST_AT_ONCE:
        raise NotFound(_("Choose at most %(n)d files at once.") % {"n": MOST_AT_ONCE})
    return chosen


def _asking(request: Request, message: Message, found: list[tuple[files.File, FileFinding]]) -> HttpResponse | None:
    """The page that says what is dangerous among them; None if nothing is."""
    rows = [listed(message, file.part, finding) for file, finding in found]
    if not any(row["asks"] for row in rows):
        return None
    context = {
        **navigation.context(request),
        "back": reverse("message", args=[message.pk]),
        "dangerous": [row for row in rows if row["asks"]],
        "rest": [row for row in rows if not row["asks"]],
        "here_zip": reverse("files", args=[message.pk]),
        "all": [row["id"] for row in rows],
    }
    return render(request, "webmail/files_ask.html", context)


def _zip(request: Request, message: Message, entries: list[archive.Entry]) -> HttpResponseBase:
    name = (mime.safe_name(message.subject) or _("attachments"))[:80] + ".zip"
    response: HttpResponseBase = HttpResponse()
    if request.method != "HEAD":
        chunks = archive.zipped(entries)
        response = StreamingHttpResponse(itertools.chain([next(chunks)], chunks))
    response["Content-Type"] = "application/zip"
    response["Content-Disposition"] = disposition(name)
    return hardened(response)


def _draft(request: Request, message: Message, chosen: list[files.File]) -> HttpResponse:
    try:
        draft = compose.begin_with_files(request.user, message, _wanted(chosen))
    except compose.Unsendable as error:
        problem(request, " ".join(error.problems.values()))
        return back(request, reverse("message", args=[message.pk]))
    tasks.nudge_files(draft.pk)
    return SeeOther(reverse("draft", args=[draft.pk]))


def _wanted(chosen: list[files.File]) -> list[tuple[str, mime.BodyPart, int]]:
    return [(named(file.part), file.part, size_of(file.part)) for file in chosen]


def _into(request: Request, message: Message, chosen: list[files.File]) -> HttpResponse:
    """Into the draft ``draft``; which one is asked first."""
    drafts = Draft.objects.for_user(request.user).being_written().select_related("account")
    if not request.POST.get("draft"):
        context = {
            **navigation.context(request),
            "back": reverse("message", args=[message.pk]),
            "place": reverse("files", args=[message.pk]),
            "drafts": drafts[:MOST_DRAFTS],
            "files": [(file.part.part_id, named(file.part)) for file in chosen],
        }
        return render(request, "webmail/files_into.html", context)
    draft = get_object_or_404(drafts, pk=number(request.POST["draft"]))
    try:
        compose.with_files(draft, message, _wanted(chosen))
    except compose.Unsendable as error:
        problem(request, " ".join(error.problems.values()))
        return back(request, reverse("message", args=[message.pk]))
    tasks.nudge_files(draft.pk)
    return SeeOther(reverse("draft", args=[draft.pk]))
