"""The composer: one form that saves, attaches, sends and discards, by buttons that work without script."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Account, Identity
from accounts.requests import Request
from accounts.troubles import Trouble, explain
from webmail import compose, outbox, tasks
from webmail.models import Draft, DraftAttachment, Message, Submission
from webmail.protocols.errors import MailError
from webmail.views import navigation
from webmail.views.listing import mailboxes_of, number
from webmail.views.redirection import SeeOther, notice, problem
from webmail.views.trouble import expired

KINDS = ("reply", "replyall", "forward", "edit")


def _signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """As login_required, but what somebody wrote before their sign-in ran out is shown to them, not thrown away."""

    @wraps(view)
    def wrapper(request: Request, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        if request.method == "POST":
            return expired(request)
        return redirect_to_login(request.get_full_path())

    return wrapper


@require_http_methods(["GET", "HEAD", "POST"])
@_signed_in
def new(request: Request) -> HttpResponse:
    """GET shows a draft that is not saved yet; POST saves it and does what the pressed button says."""
    if not Identity.objects.for_user(request.user).exists():
        return redirect("accounts:account-creation")
    if request.method == "POST" and (answer := _again(request)):
        return answer
    try:
        draft = _begin(request)
    except MailError as error:
        trouble = explain(error, _("The server"))
        draft = compose.new(request.user)
        return _page(request, draft, trouble=trouble, status=503)
    if request.method != "POST":
        return _page(request, draft)
    draft.message_id = compose.message_id_of(request.user, request.POST.get("token", ""))
    return _handle(request, draft, None)


def _again(request: Request) -> HttpResponse | None:
    """A form that came in before: its draft goes on being written, or is on its way already."""
    message_id = compose.message_id_of(request.user, request.POST.get("token", ""))
    if not message_id:
        return None
    if outbox.sent_before(request.user, message_id):
        return _on_its_way(request)
    known = Draft.objects.for_user(request.user).being_written().select_related("account", "identity", "source")
    draft = known.filter(message_id=message_id).first()
    return _handle(request, draft, None) if draft else None


def _on_its_way(request: Request) -> HttpResponse:
    notice(request, _("This message is on its way already; it was not sent again."))
    return SeeOther(reverse("outbox"))


def _begin(request: Request) -> Draft:
    """A new draft, or one that begins from a message: ``?reply=7``, ``?forward=7`` … Raises MailError."""
    query = request.GET
    for kind in KINDS:
        if query.get(kind):
            message = get_object_or_404(
                Message.objects.for_user(request.user).select_related("account", "mailbox", "remote_mailbox"),
                pk=number(query[kind]),
            )
            if kind == "forward":
                return compose.forward(request.user, message)
            if kind == "edit":
                return compose.edit(request.user, message)
            return compose.reply(request.user, message, everyone=kind == "replyall")
    fields = {name: query.get(name, "")[:10_000] for name in ("to", "cc", "bcc", "subject")}
    account = _account_at(request, query.get("in", ""))
    return compose.new(request.user, text=query.get("body", "")[:100_000], account=account, **fields)


def _account_at(request: Request, place: str) -> Account | None:
    """The account whose folder (``folder-7``) or page (``account-2``) somebody was at; None at a list of several."""
    kind, _dash, pk = place.partition("-")
    if kind == "folder":
        folder = next((m for m in mailboxes_of(request.user) if m.pk == number(pk)), None)
        return folder.account if folder else None
    if kind == "account":
        return next((account for account in request.user.account_list if account.pk == number(pk)), None)
    return None


@require_http_methods(["GET", "HEAD", "POST"])
@_signed_in
def edit(request: Request, pk: int) -> HttpResponse:
    if request.method == "POST" and Submission.objects.for_user(request.user).filter(draft=pk).exists():
        return _on_its_way(request)
    draft = _own(request, pk)
    if request.method != "POST":
        return _page(request, draft)
    revision = request.POST.get("revision", "")
    return _handle(request, draft, number(revision) if revision else None)


def _own(request: Request, pk: int) -> Draft:
    drafts = Draft.objects.for_user(request.user).being_written().select_related("account", "identity", "source")
    return get_object_or_404(drafts, pk=pk)


def _handle(request: Request, draft: Draft, revision: int | None) -> HttpResponse:
    """Save what was typed first, whatever comes next, so that no button can lose a word."""
    _fill(request, draft)
    do = request.POST.get("do", "save")
    if do == "discard":
        return _discard(request, draft)
    try:
        compose.save(draft, revision)
    except compose.Conflict:
        return _conflict(request, draft)
    if request.headers.get("Accept") == "application/json":
        return JsonResponse(_saved(draft))
    problems = _attachments(request, draft)
    try:
        compose.bring_attachments(draft)
    except MailError as error:  # the text is saved; sending waits until the files are there
        return _page(request, draft, trouble=explain(error, draft.account.label), status=503)
    if do == "send" and not problems:
        return _send(request, draft)
    if problems or do != "save":
        return _page(request, draft, problems=problems) if problems else SeeOther(reverse("draft", args=[draft.pk]))
    notice(request, _("Draft saved."))
    return SeeOther(reverse("draft", args=[draft.pk]))


def _fill(request: Request, draft: Draft) -> None:
    for field in compose.FIELDS:
        value = request.POST.get(field, getattr(draft, field))
        if field == "text":
            value = value.replace("\r\n", "\n")
        elif field == "subject":
            value = " ".join(value.split())
        setattr(draft, field, value.replace("\x00", ""))
    identity = request.POST.get("identity", "")
    chosen = Identity.objects.for_user(request.user).select_related("account").filter(pk=number(identity)).first()
    if chosen and chosen != draft.identity:
        old, fresh = compose.signature_block(draft.identity), compose.signature_block(chosen)
        if old and old in draft.text:
            draft.text = draft.text.replace(old, fresh, 1)
        elif fresh and fresh not in draft.text and not old:
            draft.text += fresh
        draft.identity, draft.account = chosen, chosen.account


def _attachments(request: Request, draft: Draft) -> dict[str, str]:
    gone = request.POST.get("do", "").partition("detach-")[2]
    if gone:
        attachment = DraftAttachment.objects.filter(draft=draft, pk=number(gone)).first()
        if attachment:
            compose.detach(attachment)
    problems: dict[str, str] = {}
    for upload in request.FILES.getlist("files"):
        try:
            compose.attach(draft, upload)
        except compose.Unsendable as error:
            problems |= error.problems
    return problems


def _saved(draft: Draft) -> dict[str, Any]:
    when = date_format(timezone.localtime(draft.saved_at), "H:i")
    return {
        "id": draft.pk,
        "revision": draft.revision,
        "url": reverse("draft", args=[draft.pk]),
        "saved": _("Saved %(time)s") % {"time": when},
    }


def _send(request: Request, draft: Draft) -> HttpResponse:
    try:
        submission = outbox.submit(request.user, draft)
    except compose.Unsendable as error:
        return _page(request, draft, problems=error.problems, status=422)
    except outbox.AlreadySubmitted:
        return _on_its_way(request)
    tasks.nudge_send(submission.pk, countdown=request.user.undo_send)
    people = ", ".join(submission.recipients[:3]) + (" …" if len(submission.recipients) > 3 else "")
    notice(
        request,
        _("Sending to %(people)s.") % {"people": people},
        cancel=submission.pk if request.user.undo_send else None,
    )
    after = request.POST.get("next", "")
    return SeeOther(after if after.startswith("/messages/") else reverse("inbox"))


def _discard(request: Request, draft: Draft) -> HttpResponse:
    if draft.pk:
        compose.discard(draft)
    notice(request, _("Draft discarded."))
    return SeeOther(reverse("inbox"))


def _conflict(request: Request, mine: Draft) -> HttpResponse:
    """Both versions are kept: what was typed here becomes a draft of its own."""
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"conflict": _("This draft was changed in another window.")}, status=409)
    if mine.pk is None:  # two of the same form at once: the other one has it
        return _again(request) or SeeOther(reverse("drafts"))
    copy = compose.copy_of(mine)
    problems = _attachments(request, copy)
    text = _("The draft was changed in another window meanwhile. What you wrote here was saved as a draft of its own.")
    problem(request, " ".join([text, *problems.values()]))
    return SeeOther(reverse("draft", args=[copy.pk]))


def _page(
    request: Request,
    draft: Draft,
    problems: dict[str, str] | None = None,
    trouble: Trouble | None = None,
    status: int = 200,
) -> HttpResponse:
    identities = list(Identity.objects.for_user(request.user).select_related("account"))
    titles = {"reply": _("Reply"), "forward": _("Forward")}
    context = {
        **navigation.context(request, "drafts" if draft.pk else "compose"),
        "draft": draft,
        "token": "" if draft.pk else request.POST.get("token") or compose.form_token(request.user, draft),
        "title": titles.get(draft.kind, _("New message"))
        if draft.kind in titles
        else draft.subject or _("New message"),
        "identities": identities,
        "attachments": list(draft.attachments.all()) if draft.pk else [],
        "problems": problems or {},
        "trouble": trouble,
        "action": reverse("draft", args=[draft.pk]) if draft.pk else request.get_full_path(),
        "limit": compose.size_limit(draft.account) // 1_000_000,
        "back": reverse("message", args=[draft.source_id]) if draft.source_id else reverse("inbox"),
        "show_cc": bool(draft.cc or draft.bcc or (problems or {}).keys() & {"cc", "bcc"}),
        "undo_send": request.user.undo_send,
        "coming": draft.awaits_attachments or (draft.pk is None and _brings(draft)),
    }
    return render(request, "webmail/compose.html", context, status=status)


def _brings(draft: Draft) -> bool:
    return draft.kind in ("forward", "draft") and bool(draft.source and draft.source.has_attachment)


@require_POST
@login_required
def send(request: Request, pk: int) -> HttpResponse:
    """Submit a saved draft as it is."""
    return _send(request, _own(request, pk))


@require_POST
@login_required
def discard(request: Request, pk: int) -> HttpResponse:
    return _discard(request, _own(request, pk))
