"""What was handed in after the sign-in had run out is kept, and handed in once more as it was when its author is back.

Only of whom we know, by a signed cookie from an earlier sign-in, and only what passed the check of forged forms: this comes
after Django's in settings.MIDDLEWARE, and both look when the view is known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.core import signing
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.models import User
from accounts.requests import Request
from webmail.models import HeldFile, HeldForm, forget_file

WHO = "who"  # the cookie
WHO_SECONDS = 400 * 24 * 3600  # as long as browsers keep one
SALT = "webmail.resumption"
KEPT = timedelta(days=2)
MAX_FORMS = 20  # of one person
FIELD = "held"  # of the form that is handed in again
MAX_PATH = 2000
SECRETS = frozenset({"password"})  # fields that are kept nowhere but encrypted, and so no form that has one
NOT_KEPT = frozenset({"csrfmiddlewaretoken", FIELD})
OPEN = ("/sign-in/", "/sign-out/", "/admin/")


class Resumption:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        user = request.user
        brought = getattr(request, "brought", None)
        if brought:
            _close(request)
            if response.status_code < 400:
                _forget([brought])
        if user.is_authenticated and not request.COOKIES.get(WHO, "").startswith(f"{user.pk}:"):
            response.set_cookie(
                WHO, signing.Signer(salt=SALT).sign(str(user.pk)), max_age=WHO_SECONDS, httponly=True, samesite="Lax",
                secure=settings.SESSION_COOKIE_SECURE,
            )  # fmt: skip
        return response

    def process_view(self, request: HttpRequest, _view: Any, _args: Any, _kwargs: Any) -> HttpResponse | None:
        if request.method != "POST" or request.path.startswith(OPEN):
            return None
        if request.user.is_authenticated:
            _bring_files(request)
            return None
        author = _author(request)
        if author is None:
            return None
        resume = reverse("accounts:sign-in") + "?" + urlencode({"next": _keep(request, author)})
        return _sent_away(request, resume)


def _author(request: HttpRequest) -> User | None:
    """Who signed in with this browser last."""
    try:
        pk = signing.Signer(salt=SALT).unsign(request.COOKIES.get(WHO, ""))
    except signing.BadSignature:
        return None
    return User.objects.filter(pk=pk, is_active=True).first()


def _sent_away(request: HttpRequest, resume: str) -> HttpResponse:
    if request.headers.get("Accept") == "application/json":
        said = _("You have been signed out. What you wrote is kept; sign in and it goes on.")
        return JsonResponse({"signed_out": said, "sign_in": resume}, status=403)
    if request.headers.get("HX-Request"):
        return HttpResponse(status=200, headers={"HX-Redirect": resume})
    return HttpResponse(status=303, headers={"Location": resume})


@transaction.atomic
def _keep(request: HttpRequest, author: User) -> str:
    """Where it goes on."""
    path = request.get_full_path()
    if request.headers.get("Accept") == "application/json":  # by script, which has the text and hands it in again
        return path if request.path.startswith(("/drafts/", "/compose/")) else "/"
    if any(map(request.POST.get, SECRETS)):
        return path if request.path.startswith("/settings/accounts/") else "/"
    older = HeldForm.objects.filter(user=author).order_by("-created_at").values_list("pk", flat=True)
    _forget(list(older[MAX_FORMS - 1 :]))
    fields = [[name, value] for name, values in request.POST.lists() if name not in NOT_KEPT for value in values]
    held = HeldForm.objects.create(user=author, path=path[:MAX_PATH], fields=fields)
    room = settings.ATTACHMENT_LIMIT
    for field, uploads in request.FILES.lists():
        for upload in uploads:
            room -= upload.size or 0
            if room >= 0:  # what is larger could not be sent either
                _keep_file(held, field, upload)
    return reverse("resumption", args=[held.key])


def _keep_file(held: HeldForm, field: str, upload: UploadedFile) -> None:
    kind = (upload.content_type or "")[:120]
    file = HeldFile(form=held, field=field[:100], name=(upload.name or "")[:255], type=kind, size=upload.size or 0)
    file.file.save("file", upload, save=False)
    file.save()


@require_safe
@login_required
def show(request: Request, key: str) -> HttpResponse:
    """The form as it was, with one button; script presses it."""
    held = get_object_or_404(HeldForm, key=key, user=request.user)
    context = {"held": held, "fields": held.fields, "files": list(held.files.all()), "bare": True}
    return render(request, "webmail/resumption.html", context)


def _bring_files(request: HttpRequest) -> None:
    """The files of a form that is handed in again, as if they had come with it."""
    key = request.POST.get(FIELD) if request.content_type != "application/octet-stream" else None
    held = _held(request, key) if key else None
    if held is None:
        return
    for file in held.files.all():
        opened = file.file.open("rb")
        request.FILES.appendlist(file.field, UploadedFile(opened, file.name, file.type, file.size))
    request.brought = held.pk  # type: ignore[attr-defined]


def _close(request: HttpRequest) -> None:
    for _field, uploads in request.FILES.lists():
        for upload in uploads:
            upload.close()


def _held(request: HttpRequest, key: str) -> HeldForm | None:
    try:
        return HeldForm.objects.filter(key=key, user=request.user.pk).first()
    except ValueError:  # no key
        return None


def forget_old() -> None:
    _forget(list(HeldForm.objects.filter(created_at__lt=timezone.now() - KEPT).values_list("pk", flat=True)[:1000]))


def _forget(pks: list[int]) -> None:
    names = list(HeldFile.objects.filter(form__in=pks).values_list("file", flat=True))
    HeldForm.objects.filter(pk__in=pks).delete()
    for name in names:
        transaction.on_commit(lambda name=name: forget_file(name))  # type: ignore[misc]
