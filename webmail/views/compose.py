"""The composer: one form that saves, attaches, sends and discards, by buttons that work without script."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Account
from accounts.requests import Request
from accounts.troubles import explain
from webmail import compose, operations, outbox, tasks
from webmail.models import Draft, Message, Submission, Template
from webmail.protocols.errors import MailError
from webmail.views import listing
from webmail.views.composer import (
    attachments,
    blank,
    drafts,
    fill,
    is_alone,
    mirror,
    own,
    page,
    saved,
    signed_in,
    whole,
)
from webmail.views.listing import mailboxes_of, number
from webmail.views.redirection import SeeOther, notice
from webmail.views.versions import conflict

BEGINNINGS: dict[str, Callable[..., Draft]] = {
    "reply": lambda user, message, rich: compose.reply(user, message, everyone=False, rich=rich),
    "replyall": lambda user, message, rich: compose.reply(user, message, everyone=True, rich=rich),
    "forward": lambda user, message, rich: compose.forward(user, message, rich=rich),
    "attach": lambda user, message, rich: compose.forward_as_file(user, message, rich=rich),
    "edit": lambda user, message, _rich: compose.edit(user, message),
}
LATEST = timedelta(days=366)  # that a message can be scheduled ahead


# --- opening ----------------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
@signed_in
@whole
def new(request: Request) -> HttpResponse:
    """GET shows a draft that is not saved yet; POST saves it and does what the pressed button says."""
    if not request.user.identities():
        return redirect("accounts:account-creation")
    if request.method == "POST" and (answer := _again(request)):
        return answer
    try:
        draft = _begin(request)
    except MailError as error:
        trouble = explain(error, _("The server"))
        draft = compose.new(request.user)
        if request.method == "POST":
            fill(request, draft)  # what was typed is in the page, to be handed in once more
        return page(request, draft, trouble=trouble, status=503)
    if request.method != "POST":
        return redirect("draft", draft.pk) if draft.pk else page(request, draft)
    draft.message_id = compose.message_id_of(request.user, request.POST.get("token", ""))
    gone = draft.pk is None and draft.source is None and any(request.GET.get(kind) for kind in BEGINNINGS)
    if gone and request.POST.get("do") != "discard":
        notice(request, _("The message that this began with is gone. What you wrote is kept; it was not sent."))
        return _handle(request, draft, None, "keep")
    return _handle(request, draft, None)


def _again(request: Request) -> HttpResponse | None:
    """A form that came in before: its draft goes on being written, if nobody else did that, or is on its way already."""
    message_id = compose.message_id_of(request.user, request.POST.get("token", ""))
    if not message_id:
        return None
    left = outbox.submission_of(request.user, message_id)
    if left:
        return _left(request, left)
    draft = drafts(request).filter(message_id=message_id).first()
    return _handle(request, draft, number(request.POST.get("revision", ""))) if draft else None


def _left(request: Request, left: Submission | None, spare: Draft | None = None) -> HttpResponse:
    """The message of this form is on its way, or its draft is gone: if the form says anything else, it is a new draft.
    ``spare`` was saved of this form when all was over, and goes."""
    original = spare or (Draft.objects.filter(submission=left).first() if left else None)
    mine = original or blank(request)
    fill(request, mine)
    typed = spare or (not request.POST.keys().isdisjoint(("text", "html")) and request.POST.get("do") != "discard")
    if not typed or (left and left.fingerprint == compose.fingerprint(mine) and not request.FILES):
        _forget(spare)
        return _on_its_way(request) if left else _discard(request, Draft())
    mine = compose.copy_of(copy(mine)) if original else compose.save(mine)
    _forget(spare)
    operations.mirror(mine)
    said = (
        _("The message has left already. What is written here since is a new draft; it was not sent.")
        if left
        else _("This draft was sent or discarded in another window. What is written here is kept as a new one.")
    )
    if request.headers.get("Accept") == "application/json":
        return JsonResponse(saved(mine) | {"note": said})
    return page(request, mine, problems=attachments(request, mine), note=said)


def _forget(spare: Draft | None) -> None:
    if spare:
        operations.discard_draft(spare)


def _on_its_way(request: Request) -> HttpResponse:
    said = _("This message is on its way already; it was not sent again.")
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"ended": said}, status=409)
    notice(request, said)
    return SeeOther(reverse("outbox"))


def _begin(request: Request) -> Draft:
    """A new draft, or one that begins from a message: ``?reply=7``, ``?forward=7`` … Raises MailError."""
    query, rich = request.GET, _wants_rich(request)
    for kind, begin in BEGINNINGS.items():
        if query.get(kind):
            message = _message(request, query[kind])
            if message is None:
                return compose.new(request.user)
            known = compose.draft_of(message) if kind == "edit" else None
            return known or begin(request.user, message, rich)
    fields = {name: query.get(name, "")[:10_000] for name in ("to", "cc", "bcc", "subject")}
    text = query.get("body", "")[:100_000]
    if query.get("mailto"):
        fields, text = compose.from_mailto(query["mailto"][:100_000])
    account = _account_at(request, query.get("in", ""))
    draft = compose.new(request.user, text=text, account=account, rich=rich, **fields)
    chosen = number(query.get("template", ""))
    template = Template.objects.filter(user=request.user, pk=chosen).first() if chosen else None
    if template:
        compose.put_in(draft, template)
    return draft


def _message(request: Request, pk: str) -> Message | None:
    """None if it is gone and somebody has written to it meanwhile. Raises Http404 for whoever has written nothing yet, and
    for script, which has the text and would not tell what happened."""
    try:
        return listing.own(request, number(pk))
    except Http404:
        if request.method == "POST" and request.headers.get("Accept") != "application/json":
            return None
        raise


def _wants_rich(request: Request) -> bool:
    return settings.EDITOR_INSTALLED and request.GET.get("rich", "1" if request.user.rich_text else "") == "1"


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
@signed_in
@whole
def edit(request: Request, pk: int) -> HttpResponse:
    left = Submission.objects.for_user(request.user).filter(draft=pk).first()
    if request.method != "POST":
        return redirect("outbox") if left else page(request, own(request, pk))
    draft = None if left else drafts(request).filter(pk=pk).first()
    if draft is None:
        return _left(request, left or _departed(request))
    revision = request.POST.get("revision", "")
    return _handle(request, draft, number(revision) if revision else None)


def _departed(request: Request) -> Submission | None:
    """By which the message of this form left; None if its draft was discarded. Raises Http404 if there never was one."""
    message_id = compose.message_id_of(request.user, request.POST.get("token", ""))
    if not message_id:
        raise Http404
    return outbox.submission_of(request.user, message_id)


# --- what a button does -----------------------------------------------------------------------------------------


def _handle(request: Request, draft: Draft, revision: int | None, do: str = "") -> HttpResponse:
    """Save what was typed first, whatever comes next, so that no button can lose a word. ``do`` if not as was pressed."""
    account = draft.account
    do = do or request.POST.get("do", "save")
    if do == "discard":
        return _changed_elsewhere(request, draft, revision) or _discard(request, draft)
    fill(request, draft)
    _change(request, draft, do)
    try:
        draft = compose.save(draft, revision)
    except compose.Conflict as other:
        if draft.pk is None:  # two of the same form at once: the other one has it
            return _again(request) or SeeOther(reverse("drafts"))
        return conflict(request, draft, other.draft)
    except Draft.DoesNotExist:  # discarded, or sent and filed, a moment ago
        return _left(request, outbox.submission_of(request.user, draft.message_id))
    mirror(draft, account)
    if request.headers.get("Accept") == "application/json":
        return JsonResponse(saved(draft))
    problems = attachments(request, draft)
    try:
        compose.bring_attachments(draft)
    except MailError as error:  # the text is saved; sending waits until the files are there
        return page(request, draft, trouble=explain(error, draft.account.label), status=503)
    if do.partition(":")[0] in ("send", "later") and not problems:
        return _send(request, draft, do)
    if problems or do != "save":
        return page(request, draft, problems=problems) if problems else SeeOther(_place(request, draft))
    notice(request, _("Draft saved."))
    return SeeOther(_place(request, draft))


def _place(request: Request, draft: Draft) -> str:
    """Where it goes on being written: as before, in a window of its own or among the rest."""
    return reverse("draft", args=[draft.pk]) + ("?alone=1" if is_alone(request) else "")


def _change(request: Request, draft: Draft, do: str) -> None:
    if do == "rich":
        compose.make_rich(draft)
    elif do == "plain":
        compose.make_plain(draft)
    elif do.startswith("template-"):
        template = Template.objects.filter(user=request.user, pk=number(do.partition("-")[2])).first()
        if template:
            compose.put_in(draft, template)


def _send(request: Request, draft: Draft, do: str) -> HttpResponse:
    at = None
    if do.startswith("later"):
        at, wrong = _moment(do.partition(":")[2] or request.POST.get("send_at", ""))
        if wrong:
            return page(request, draft, problems={"send_at": wrong}, status=422)
    forgotten = [] if request.POST.get("sure") else compose.warnings(draft)
    if forgotten:
        return page(request, draft, forgotten=forgotten, do=do, status=422)
    try:
        submission = outbox.submit(request.user, draft, at) if at else outbox.submit(request.user, draft)
    except compose.Unsendable as error:
        return page(request, draft, problems=error.problems, status=422)
    except (outbox.AlreadySubmitted, Draft.DoesNotExist):
        spare = drafts(request).filter(pk=draft.pk).first()
        return _left(request, outbox.submission_of(request.user, draft.message_id), spare)
    tasks.nudge_send(submission.pk, countdown=0 if at else request.user.undo_send)
    _say_sending(request, submission, at)
    after = request.POST.get("next", "")
    if is_alone(request):
        return render(request, "webmail/sent.html", {"submission": submission, "bare": True})
    return SeeOther(after if after.startswith("/messages/") else reverse("inbox"))


def _say_sending(request: Request, submission: Submission, at: datetime | None) -> None:
    people = ", ".join(submission.recipients[:3]) + (" …" if len(submission.recipients) > 3 else "")
    said = _("Sending to %(people)s.") % {"people": people}
    if at:
        when = date_format(timezone.localtime(at), pgettext("date", "j F Y H:i"))
        said = _("To be sent to %(people)s on %(when)s.") % {"people": people, "when": when}
    notice(request, said, cancel=submission.pk if request.user.undo_send or at else None)


def _moment(written: str) -> tuple[datetime | None, str]:
    """When it is to be sent, in the person's time zone, and what is wrong with that."""
    try:
        at = timezone.make_aware(datetime.fromisoformat(written))
        in_time = timezone.now() < at < timezone.now() + LATEST
    except (ValueError, OverflowError):  # the first and the last day there are, as seen from elsewhere
        return None, _("Choose a day and a time to send it.")
    if not in_time:
        return None, _("Choose a time to come, within a year.")
    return at, ""


def _changed_elsewhere(request: Request, draft: Draft, revision: int | None) -> HttpResponse | None:
    """Nobody throws away what they have not seen."""
    if draft.pk is None or revision in (None, draft.revision):
        return None
    seen = copy(draft)
    fill(request, seen)
    if not compose.differences(seen, draft):
        return None
    notice(request, _("It was not discarded: it was changed in another window meanwhile, to what is here now."))
    return SeeOther(_place(request, draft))


def _discard(request: Request, draft: Draft) -> HttpResponse:
    if draft.pk:
        operations.discard_draft(draft)
    notice(request, _("Draft discarded."))
    return SeeOther(reverse("inbox"))


@require_POST
@login_required
def send(request: Request, pk: int) -> HttpResponse:
    """Submit a saved draft as it is."""
    return _send(request, own(request, pk), "send")


@require_POST
@login_required
def discard(request: Request, pk: int) -> HttpResponse:
    return _discard(request, own(request, pk))
