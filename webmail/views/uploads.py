"""Files on their way into a draft, in pieces: a break costs one piece, and ``GET`` tells where to go on."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.requests import Request
from webmail import compose
from webmail.models import DraftAttachment, Upload
from webmail.views.composer import own
from webmail.views.inserted import SHOWN, source_of
from webmail.views.listing import number

KEY_LENGTH = 80


@require_http_methods(["GET", "POST"])
@login_required
def begin(request: Request, pk: int) -> HttpResponse:
    """POST ``key``, ``name`` and ``size``: how much has come of it already, or that it is there. GET: all that are under
    way."""
    draft = own(request, pk)
    if request.method == "GET":
        return JsonResponse({"uploads": [_told(upload) for upload in draft.uploads.all()]})
    key, size = request.POST.get("key", ""), number(request.POST.get("size", ""))
    if not key or len(key) > KEY_LENGTH:
        return JsonResponse({"error": _("This file has no name to go on by.")}, status=400)
    try:
        upload = compose.begin_upload(draft, key, request.POST.get("name", "")[:1000], size)
        if isinstance(upload, DraftAttachment):
            return JsonResponse({"key": key, "received": size} | _arrived(upload))
        attachment = compose.receive(upload, 0, b"") if not size else None
    except compose.Unsendable as error:
        return JsonResponse({"error": " ".join(error.problems.values())}, status=413)
    return JsonResponse(_told(upload) | (_arrived(attachment) if attachment else {}))


def _told(upload: Upload) -> dict[str, Any]:
    return {"key": upload.key, "name": upload.name, "size": upload.size, "received": upload.received}


def _arrived(attachment: DraftAttachment) -> dict[str, Any]:
    told = {"attachment": attachment.pk, "name": attachment.name, "size": attachment.size}
    if attachment.cid:
        told["picture"] = source_of(attachment.draft)(attachment.cid)
    return told


@require_POST
@login_required
def receive(request: Request, pk: int, key: str) -> HttpResponse:
    """The octets from ``?offset=`` on, as the body of the request. 409 says where to go on instead. With ``?inline=1`` a
    picture is for the text, and the answer says from where it is shown."""
    upload = get_object_or_404(Upload.objects.select_related("draft__account"), draft=own(request, pk), key=key)
    octets = request.read(compose.PIECE + 1)
    if len(octets) > compose.PIECE:
        return JsonResponse({"error": _("This piece is too large.")}, status=413)
    inline = request.GET.get("inline") == "1" and compose.type_of(upload.name) in SHOWN
    try:
        attachment = compose.receive(
            upload, number(request.GET.get("offset", "")), octets, f"{uuid.uuid4().hex}@inline" if inline else ""
        )
    except compose.Broken as broken:
        return JsonResponse({"received": broken.received}, status=409)
    return JsonResponse(_told(upload) | (_arrived(attachment) if attachment else {}))


@require_POST
@login_required
def cancel(request: Request, pk: int, key: str) -> HttpResponse:
    upload = Upload.objects.filter(draft=own(request, pk), key=key).first()
    if upload:
        compose.forget_upload(upload)
    return JsonResponse({})


@require_POST
@login_required
def remove(request: Request, pk: int, attachment: int) -> HttpResponse:
    """An attachment of the draft, without handing in the text."""
    found = DraftAttachment.objects.filter(draft=own(request, pk), pk=attachment).first()
    if found:
        compose.detach(found)
    return JsonResponse({})
