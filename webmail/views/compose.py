"""The composer: one form that saves, attaches, sends and discards, by buttons that work without script."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.models import Account, Identity
from accounts.requests import Request
from accounts.troubles import Trouble, explain
from webmail import compose, html, operations, outbox, tasks
from webmail.models import Draft, DraftAttachment, Message, Priority, Submission, Template
from webmail.protocols.errors import MailError
from webmail.views import navigation
from webmail.views.inserted import cid_of, source_of
from webmail.views.listing import mailboxes_of, number
from webmail.views.redirection import SeeOther, notice, problem
from webmail.views.trouble import expired

BEGINNINGS: dict[str, Callable[..., Draft]] = {
    "reply": lambda user, message, rich: compose.reply(user, message, everyone=False, rich=rich),
    "replyall": lambda user, message, rich: compose.reply(user, message, everyone=True, rich=rich),
    "forward": lambda user, message, rich: compose.forward(user, message, rich=rich),
    "attach": lambda user, message, rich: compose.forward_as_file(user, message, rich=rich),
    "edit": lambda user, message, _rich: compose.edit(user, message),
}
LATEST = timedelta(days=366)  # that a message can be scheduled ahead


def _signed_in(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
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


# --- opening ----------------------------------------------------------------------------------------------------


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
        if request.method == "POST":
            _fill(request, draft)  # what was typed is in the page, to be handed in once more
        return _page(request, draft, trouble=trouble, status=503)
    if request.method != "POST":
        return redirect("draft", draft.pk) if draft.pk else _page(request, draft)
    draft.message_id = compose.message_id_of(request.user, request.POST.get("token", ""))
    gone = draft.pk is None and draft.source is None and any(request.GET.get(kind) for kind in BEGINNINGS)
    if gone and request.POST.get("do") != "discard":
        notice(request, _("The message that this began with is gone. What you wrote is kept; it was not sent."))
        return _handle(request, draft, None, "keep")
    return _handle(request, draft, None)


def _again(request: Request) -> HttpResponse | None:
    """A form that came in before: its draft goes on being written, or is on its way already."""
    message_id = compose.message_id_of(request.user, request.POST.get("token", ""))
    if not message_id:
        return None
    if outbox.sent_before(request.user, message_id):
        return _on_its_way(request)
    draft = _drafts(request).filter(message_id=message_id).first()
    return _handle(request, draft, None) if draft else None


def _on_its_way(request: Request) -> HttpResponse:
    notice(request, _("This message is on its way already; it was not sent again."))
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
    known = Message.objects.for_user(request.user).select_related("account__user", "mailbox", "remote_mailbox")
    if request.method == "POST" and request.headers.get("Accept") != "application/json":
        return known.filter(pk=number(pk)).first()
    return get_object_or_404(known, pk=number(pk))


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
@_signed_in
def edit(request: Request, pk: int) -> HttpResponse:
    if request.method == "POST" and Submission.objects.for_user(request.user).filter(draft=pk).exists():
        return _on_its_way(request)
    draft = own(request, pk)
    if request.method != "POST":
        return _page(request, draft)
    revision = request.POST.get("revision", "")
    return _handle(request, draft, number(revision) if revision else None)


def _drafts(request: Request) -> Any:
    drafts = Draft.objects.for_user(request.user).being_written()
    return drafts.select_related("account__user", "identity__account", "source__account")


def own(request: Request, pk: int) -> Draft:
    return get_object_or_404(_drafts(request), pk=pk)


# --- what a button does -----------------------------------------------------------------------------------------


def _handle(request: Request, draft: Draft, revision: int | None, do: str = "") -> HttpResponse:
    """Save what was typed first, whatever comes next, so that no button can lose a word. ``do`` if not as was pressed."""
    account = draft.account
    _fill(request, draft)
    do = do or request.POST.get("do", "save")
    if do == "discard":
        return _discard(request, draft)
    _change(request, draft, do)
    try:
        compose.save(draft, revision)
    except compose.Conflict as conflict:
        return _conflict(request, draft, conflict.draft)
    _mirror(draft, account)
    if request.headers.get("Accept") == "application/json":
        return JsonResponse(saved(draft))
    problems = _attachments(request, draft)
    try:
        compose.bring_attachments(draft)
    except MailError as error:  # the text is saved; sending waits until the files are there
        return _page(request, draft, trouble=explain(error, draft.account.label), status=503)
    if do.partition(":")[0] in ("send", "later") and not problems:
        return _send(request, draft, do)
    if problems or do != "save":
        return _page(request, draft, problems=problems) if problems else SeeOther(_place(request, draft))
    notice(request, _("Draft saved."))
    return SeeOther(_place(request, draft))


def _mirror(draft: Draft, before: Account) -> None:
    operations.mirror(draft)
    if before.pk != draft.account_id:
        operations.unmirror(before, draft.pk)


def _place(request: Request, draft: Draft) -> str:
    """Where it goes on being written: as before, in a window of its own or among the rest."""
    return reverse("draft", args=[draft.pk]) + ("?alone=1" if _alone(request) else "")


def _alone(request: Request) -> bool:
    return bool(request.GET.get("alone") or request.POST.get("alone"))


def _fill(request: Request, draft: Draft) -> None:
    compose.change(draft, request.POST.dict(), cid_of)
    pk, _colon, address = request.POST.get("identity", "").partition(":")
    chosen = Identity.objects.for_user(request.user).select_related("account").filter(pk=number(pk)).first()
    if chosen:
        compose.write_as(draft, chosen, address)


def _change(request: Request, draft: Draft, do: str) -> None:
    if do == "rich":
        compose.make_rich(draft)
    elif do == "plain":
        compose.make_plain(draft)
    elif do.startswith("template-"):
        template = Template.objects.filter(user=request.user, pk=number(do.partition("-")[2])).first()
        if template:
            compose.put_in(draft, template)


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


def saved(draft: Draft) -> dict[str, Any]:
    when = date_format(timezone.localtime(draft.saved_at), "H:i")
    return {
        "id": draft.pk,
        "revision": draft.revision,
        "url": reverse("draft", args=[draft.pk]),
        "uploads": reverse("uploads", args=[draft.pk]),
        "saved": _("Saved %(time)s") % {"time": when},
    }


def _send(request: Request, draft: Draft, do: str) -> HttpResponse:
    at = None
    if do.startswith("later"):
        at, wrong = _moment(do.partition(":")[2] or request.POST.get("send_at", ""))
        if wrong:
            return _page(request, draft, problems={"send_at": wrong}, status=422)
    forgotten = [] if request.POST.get("sure") else compose.warnings(draft)
    if forgotten:
        return _page(request, draft, forgotten=forgotten, do=do, status=422)
    try:
        submission = outbox.submit(request.user, draft, at) if at else outbox.submit(request.user, draft)
    except compose.Unsendable as error:
        return _page(request, draft, problems=error.problems, status=422)
    except outbox.AlreadySubmitted:
        return _on_its_way(request)
    tasks.nudge_send(submission.pk, countdown=0 if at else request.user.undo_send)
    _say_sending(request, submission, at)
    after = request.POST.get("next", "")
    if _alone(request):
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
    except ValueError:
        return None, _("Choose a day and a time to send it.")
    if not timezone.now() < at < timezone.now() + LATEST:
        return None, _("Choose a time to come, within a year.")
    return at, ""


def _discard(request: Request, draft: Draft) -> HttpResponse:
    if draft.pk:
        operations.discard_draft(draft)
    notice(request, _("Draft discarded."))
    return SeeOther(reverse("inbox"))


# --- two windows ------------------------------------------------------------------------------------------------


def _conflict(request: Request, mine: Draft, theirs: Draft) -> HttpResponse:
    """The draft was saved in another window meanwhile: both versions are shown, and what counts is chosen."""
    if mine.pk is None:  # two of the same form at once: the other one has it
        return _again(request) or SeeOther(reverse("drafts"))
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"conflict": _("This draft was changed in another window.")}, status=409)
    problems = _attachments(request, mine)  # files add up; nothing about them can clash
    if mine.html or theirs.html:  # compared in one form, else what is taken of one would stand beside the other
        compose.make_rich(mine)
        compose.make_rich(theirs)
    names = compose.differences(mine, theirs)
    if problems:
        problem(request, " ".join(problems.values()))
    if not names:
        return SeeOther(reverse("draft", args=[theirs.pk]))
    mine = compose.copy_of(mine)  # whoever turns away from the choice has both
    titles = {
        "to": _("To"), "cc": _("Cc"), "bcc": _("Bcc"), "reply_to": _("Reply to"), "subject": _("Subject"),
        "text": _("Message"), "html": _("Message"), "priority": _("Priority"), "wants_receipt": _("Read receipt"),
        "wants_delivery_report": _("Delivery report"),
    }  # fmt: skip
    context = {
        **navigation.context(request, "drafts"),
        "draft": theirs,
        "copy": mine,
        "theirs": theirs,
        "differences": [(name, titles[name], _shown(mine, name), _shown(theirs, name)) for name in names],
        "typed": [(name, _typed(mine, name)) for name in (*compose.FIELDS, *compose.CHOICES)],
        "both": [name for name in names if name in ("text", "html")],
    }
    return render(request, "webmail/conflict.html", context, status=409)


def _typed(draft: Draft, name: str) -> str:
    """As a form has it."""
    value = getattr(draft, name)
    return ("1" if value else "") if isinstance(value, bool) else str(value)


def _shown(draft: Draft, name: str) -> str:
    value = getattr(draft, name)
    if name == "html":
        return html.html_to_text(value)
    return (_("Yes") if value else _("No")) if isinstance(value, bool) else str(value)


@require_POST
@_signed_in
def merge(request: Request, pk: int) -> HttpResponse:
    """What was chosen of two versions becomes the draft; if it has changed once more meanwhile, one chooses once more."""
    draft, typed = own(request, pk), request.POST.dict()
    if typed.get("html"):
        compose.make_rich(draft)  # as the page compared them
    theirs = {name: getattr(draft, name) for name in (*compose.FIELDS, *compose.CHOICES)}
    compose.change(draft, typed, cid_of)
    for name in (*compose.FIELDS, *compose.CHOICES):
        chosen = typed.get(f"take-{name}", "mine")
        if chosen == "theirs" or (name in compose.CHOICES and chosen != "mine"):
            setattr(draft, name, theirs[name])
        elif chosen == "both":
            line = "<hr>" if name == "html" else "\n\n" + "-" * 20 + "\n\n"
            setattr(draft, name, f"{getattr(draft, name)}{line}{theirs[name]}")
    draft.text = html.html_to_text(draft.html) if draft.html else draft.text
    try:
        compose.save(draft, number(typed.get("revision", "")))
    except compose.Conflict as conflict:
        return _conflict(request, draft, conflict.draft)
    copy = _drafts(request).filter(pk=number(typed.get("copy", ""))).exclude(pk=draft.pk).first()
    operations.mirror(draft)
    if copy:
        operations.discard_draft(copy)
    notice(request, _("Draft saved."))
    return SeeOther(reverse("draft", args=[draft.pk]))


# --- the page ---------------------------------------------------------------------------------------------------


def _page(
    request: Request,
    draft: Draft,
    problems: dict[str, str] | None = None,
    trouble: Trouble | None = None,
    forgotten: list[str] | None = None,
    do: str = "",
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
        "token": "" if draft.pk else request.POST.get("token") or compose.form_token(request.user, draft),
        "title": titles[draft.kind] if draft.kind in titles else draft.subject or _("New message"),
        "senders": _senders(request, draft),
        "attachments": list(draft.attachments.filter(cid="")) if draft.pk else [],
        "pictures": list(draft.attachments.exclude(cid="")) if draft.pk else [],
        "problems": problems,
        "answers": request.method == "POST",  # the page has what was handed in
        "trouble": trouble,
        "forgotten": forgotten or [],
        "again": do,
        "send_at": request.POST.get("send_at", ""),
        "written": html.with_sources(draft.html, source_of(draft)),
        "action": reverse("draft", args=[draft.pk]) if draft.pk else request.get_full_path(),
        "alone": _alone(request),
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
    for identity in Identity.objects.for_user(request.user).select_related("account"):
        chosen = identity.pk == draft.identity_id
        colour = identity.account.colour
        senders.append((str(identity.pk), str(identity), chosen and not draft.written_as, colour))
        if chosen and draft.written_as:
            shown = f"{identity.name} <{draft.written_as}>" if identity.name else draft.written_as
            senders.append((f"{identity.pk}:{draft.written_as}", shown, True, colour))
    return senders


@require_POST
@login_required
def send(request: Request, pk: int) -> HttpResponse:
    """Submit a saved draft as it is."""
    return _send(request, own(request, pk), "send")


@require_POST
@login_required
def discard(request: Request, pk: int) -> HttpResponse:
    return _discard(request, own(request, pk))
