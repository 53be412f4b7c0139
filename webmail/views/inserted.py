"""Pictures in the text of a draft: by Content-ID where the draft is kept, from addresses of ours where it is edited."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qs, quote, unquote, urlsplit

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import html, mime
from webmail.models import Draft, DraftAttachment
from webmail.views.parts import hardened

SHOWN = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp"})
_IN_DRAFT = re.compile(r"/drafts/[0-9]+/pictures/(.+)/")


def source_of(draft: Draft) -> Callable[[str], str | None]:
    """Where the editor finds the picture with a Content-ID: in the draft, or still in the message it begins from."""
    if draft.pk:
        return lambda cid: reverse("draft-picture", args=[draft.pk, cid])
    root = draft.source.body_part if draft.source else None
    found = mime.select_bodies(root).attachments if root else ()
    parts = {html.content_id(part.cid): part.part_id for part in found if part.cid}

    def there(cid: str) -> str | None:
        if cid not in parts or draft.source is None:
            return None
        return f"{reverse('part', args=[draft.source.pk, parts[cid]])}?cid={quote(cid)}"

    return there


def cid_of(url: str) -> str | None:
    """The reverse, for what the editor gives back."""
    try:
        split = urlsplit(url)
    except ValueError:  # no address at all
        return None
    if split.scheme or split.netloc:
        return None
    in_draft = _IN_DRAFT.fullmatch(split.path)
    if in_draft:
        return unquote(in_draft[1])
    return next(iter(parse_qs(split.query).get("cid", ())), None) if split.path.startswith("/messages/") else None


@require_safe
@login_required
def show(request: Request, pk: int, cid: str) -> HttpResponseBase:
    draft = get_object_or_404(Draft.objects.for_user(request.user), pk=pk)
    wanted = DraftAttachment.objects.filter(draft=draft, cid=cid)
    attachment = wanted.select_related("source_message").first()
    if attachment is None or attachment.type not in SHOWN:
        raise Http404
    if attachment.file:
        return hardened(FileResponse(attachment.file.open("rb"), content_type=attachment.type))
    if attachment.source_message is None:
        raise Http404
    return redirect("part", attachment.source_message.pk, attachment.source_part)
