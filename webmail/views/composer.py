"""The form that a message is written in: which draft it is of, what it says, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.models import Account, Identity
from accounts.requests import Request
from accounts.troubles import Trouble
from webmail import compose, html, operations
from webmail.models import Draft, Priority, Template
from webmail.views import navigation
from webmail.views.inserted import cid_of, source_of
from webmail.views.listing import number
from webmail.views.trouble import expired


def signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """As login_required, but what somebody wrote before their sign-in ran out is shown to them, not thrown away. (That of
    whom we know is kept, see webmail/views/resumption.py.)"""

    @wraps(view)
    def wrapper(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.method == "POST":
            return expired(request)
        return redirect_to_login(request.get_full_path())

    return wrapper


def whole(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """What is too much to be kept whole is not kept in part: the form comes back as it was handed in."""

    @wraps(view)
    def wrapper(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except compose.TooMuch as error:
            return _too_much(request, error.draft)
        except compose.TooMany as error:
            return _refused(request, error.draft, error.problems)

    return wrapper


def _too_much(request: Request, draft: Draft) -> HttpResponse:
    said = _("This rich text is too long or too intricate to be kept whole. Take out some of what is quoted or pasted.")
    draft.revision = number(request.POST.get("revision", ""))
    draft.html = draft.html or html.paragraphs(draft.text)
    return _refused(request, draft, {"html": said})


def _refused(request: Request, draft: Draft, problems: dict[str, str]) -> HttpResponse:
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"error": " ".join(problems.values())}, status=422)
    return page(request, draft, problems=problems, status=422)


def drafts(request: Request) -> Any:
    drafts = Draft.objects.for_user(request.user).being_written()
    return drafts.select_related("account__user", "identity__account", "source__account")


def own(request: Request, pk: int) -> Draft:
    return get_object_or_404(drafts(request), pk=pk)


def blank(request: Request) -> Draft:
    """Unsaved, for a form whose draft is gone."""
    chosen, _address = sender(request)
    return Draft(account=chosen.account, identity=chosen) if chosen else compose.new(request.user)


def sender(request: Request) -> tuple[Identity | None, str]:
    """Whom the form writes as, and the address if it is another than the identity's."""
    pk, _colon, address = request.POST.get("identity", "").partition(":")
    return Identity.objects.for_user(request.user).select_related("account").filter(pk=number(pk)).first(), address


def fill(request: Request, draft: Draft) -> None:
    try:
        compose.change(draft, request.POST.dict(), cid_of)
    finally:
        chosen, address = sender(request)
        if chosen:
            compose.write_as(draft, chosen, address)


def attachments(request: Request, draft: Draft) -> dict[str, str]:
    """Take off what a button says, put on what the form brings; what is wrong with that."""
    what, _dash, gone = request.POST.get("do", "").partition("-")
    attachment = draft.attachments.filter(pk=number(gone)).first() if what == "detach" else None
    if attachment:
        compose.detach(attachment)
    begun = draft.uploads.filter(pk=number(gone)).first() if what == "forget" else None
    if begun:
        compose.forget_upload(begun)
    problems: dict[str, str] = {}
    for upload in request.FILES.getlist("files"):
        try:
            compose.attach(draft, upload)
        except compose.Unsendable as error:
            problems |= error.problems
    return problems


def mirror(draft: Draft, before: Account) -> None:
    operations.mirror(draft)
    if before.pk != draft.account_id:
        operations.unmirror(before, draft.pk)


def saved(draft: Draft) -> dict[str, Any]:
    when = date_format(timezone.localtime(draft.saved_at), "H:i")
    return {
        "id": draft.pk,
        "revision": draft.revision,
        "url": reverse("draft", args=[draft.pk]),
        "uploads": reverse("uploads", args=[draft.pk]),
        "saved": _("Saved %(time)s") % {"time": when},
    }


def is_alone(request: Request) -> bool:
    return bool(request.GET.get("alone") or request.POST.get("alone"))


def page(
    request: Request,
    draft: Draft,
    problems: dict[str, str] | None = None,
    trouble: Trouble | None = None,
    forgotten: list[str] | None = None,
    do: str = "",
    note: str = "",
    status: int = 200,
) -> HttpResponse:
    problems = problems or {}
    titles = {"reply": _("Reply"), "forward": _("Forward"), "attached": _("Forward")}
    limit = compose.size_limit(draft.account)
    place = _place_of_form(request)
    around = {} if place else navigation.context(request, "drafts" if draft.pk else "compose")
    context = {
        **around,
        "id": place.id if place else "",
        "draft": draft,
        "token": ("" if draft.pk else request.POST.get("token")) or compose.form_token(request.user, draft),
        "title": titles[draft.kind] if draft.kind in titles else draft.subject or _("New message"),
        "senders": _senders(request, draft),
        "attachments": list(draft.attachments.filter(cid="")) if draft.pk else [],
        "begun": list(draft.uploads.all()) if draft.pk else [],
        "pictures": list(draft.attachments.exclude(cid="")) if draft.pk else [],
        "problems": problems,
        "answers": request.method == "POST",  # the page has what was handed in
        "trouble": trouble,
        "note": note,
        "forgotten": forgotten or [],
        "again": do,
        "send_at": request.POST.get("send_at", ""),
        "written": request.POST["html"] if "html" in problems else html.with_sources(draft.html, source_of(draft)),
        "action": reverse("draft", args=[draft.pk]) if draft.pk else request.get_full_path(),
        "alone": is_alone(request),
        "limit": limit // 1_000_000,
        "room": max(0, int((limit - (compose.encoded_size(draft) if draft.pk else 0)) / compose.BASE64_GROWTH)),
        "piece": compose.PIECE,
        "back": reverse("message", args=[draft.source_id]) if draft.source_id else reverse("inbox"),
        "show_cc": bool(draft.cc or draft.bcc or problems.keys() & {"cc", "bcc"}),
        "show_more": bool(draft.reply_to or draft.wants_receipt or draft.wants_delivery_report)
        or draft.priority != Priority.NORMAL
        or "reply_to" in problems,
        "priorities": Priority.choices,
        "templates": Template.objects.filter(user=request.user).only("name"),
        "presets": _presets(),
        "zone": timezone.get_current_timezone_name().replace("_", " "),
        "can_be_rich": settings.EDITOR_INSTALLED,
        "expected": compose.written_to_another(draft),
        "undo_send": request.user.undo_send,
        "coming": draft.awaits_attachments or (draft.pk is None and compose.brings(draft)),
    }
    return render(request, "webmail/composer.html" if place else "webmail/compose.html", context, status=status)


@dataclass(frozen=True, slots=True)
class Place:
    """Where script puts the form, which it asks for alone: ``X-Composer: 0`` is the page, others are windows in a page. As
    a page can have several, the ids in a form begin with ``id``."""

    id: str


def _place_of_form(request: Request) -> Place | None:
    asked = request.headers.get("X-Composer", "")
    if not asked.isdecimal():
        return None
    return Place(f"d{int(asked[:6])}-" if int(asked[:6]) else "")


def _presets() -> list[tuple[str, str, str]]:
    """Moments to send at that people often want: as the form has it, in words, and when that is."""
    now = timezone.localtime()
    afternoon = now.replace(hour=16, minute=0, second=0, microsecond=0)
    morning = (now + timedelta(days=1)).replace(hour=8, minute=0, second=0, microsecond=0)
    monday = morning + timedelta(days=-morning.weekday() % 7)
    chosen = [(morning, _("Tomorrow morning")), (monday, _("Monday morning"))]
    if now < afternoon - timedelta(minutes=30):
        chosen.insert(0, (afternoon, _("This afternoon")))
    if monday == morning:
        chosen.pop()
    return [(f"{at:%Y-%m-%dT%H:%M}", title, date_format(at, "D H:i")) for at, title in chosen]


def _senders(request: Request, draft: Draft) -> list[tuple[str, str, bool, int]]:
    """Value, text, whether chosen, and the account's colour: each identity, and the address that this one is written as."""
    senders: list[tuple[str, str, bool, int]] = []
    for identity in request.user.identities():
        chosen = identity.pk == draft.identity_id
        colour = identity.account.colour
        senders.append((str(identity.pk), str(identity), chosen and not draft.written_as, colour))
        if chosen and draft.written_as:
            shown = f"{identity.name} <{draft.written_as}>" if identity.name else draft.written_as
            senders.append((f"{identity.pk}:{draft.written_as}", shown, True, colour))
    return senders
