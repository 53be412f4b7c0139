"""Two versions of what is written, each from another window: both are kept, and what counts is chosen."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.requests import Request
from webmail import compose, html, operations
from webmail.models import Draft
from webmail.views import navigation
from webmail.views.composer import attachments, drafts, mirror, own, sender, signed_in, whole
from webmail.views.inserted import cid_of
from webmail.views.listing import number
from webmail.views.redirection import SeeOther, notice, problem


def conflict(request: Request, mine: Draft, theirs: Draft) -> HttpResponse:
    """The draft was saved in another window meanwhile: both versions are shown, and what counts is chosen."""
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"conflict": _("This draft was changed in another window.")}, status=409)
    problems = attachments(request, mine)  # files add up; nothing about them can clash
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
        compose.SENDER: _("From"), "to": _("To"), "cc": _("Cc"), "bcc": _("Bcc"), "reply_to": _("Reply to"), "subject": _("Subject"),
        "text": _("Message"), "html": _("Message"), "priority": _("Priority"), "wants_receipt": _("Read receipt"),
        "wants_delivery_report": _("Delivery report"),
    }  # fmt: skip
    context = {
        **navigation.context(request, "drafts"),
        "draft": theirs,
        "copy": mine,
        "theirs": theirs,
        "differences": [(name, titles[name], _shown(mine, name), _shown(theirs, name)) for name in names],
        "typed": [(name, _typed(mine, name)) for name in (compose.SENDER, *compose.FIELDS, *compose.CHOICES)],
        "both": [name for name in names if name in ("text", "html")],
    }
    return render(request, "webmail/conflict.html", context, status=409)


def _typed(draft: Draft, name: str) -> str:
    """As a form has it."""
    if name == compose.SENDER:
        return ":".join(filter(None, (str(draft.identity_id or ""), draft.written_as)))
    value = getattr(draft, name)
    return ("1" if value else "") if isinstance(value, bool) else str(value)


def _shown(draft: Draft, name: str) -> str:
    if name == compose.SENDER:
        return compose.sender_of(draft)
    value = getattr(draft, name)
    if name == "html":
        return html.html_to_text(value)
    return (_("Yes") if value else _("No")) if isinstance(value, bool) else str(value)


@require_POST
@signed_in
@whole
def merge(request: Request, pk: int) -> HttpResponse:
    """What was chosen of two versions becomes the draft; if it has changed once more meanwhile, one chooses once more."""
    draft, typed = own(request, pk), request.POST.dict()
    account = draft.account
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
    identity, address = sender(request)
    if identity and typed.get(f"take-{compose.SENDER}") == "mine":
        compose.set_sender(draft, identity, address)
    draft.text = html.html_to_text(draft.html) if draft.html else draft.text
    try:
        compose.save(draft, number(typed.get("revision", "")))
    except compose.Conflict as other:
        return conflict(request, draft, other.draft)
    copy = drafts(request).filter(pk=number(typed.get("copy", ""))).exclude(pk=draft.pk).first()
    mirror(draft, account)
    if copy:
        operations.discard_draft(copy)
    notice(request, _("Draft saved."))
    return SeeOther(reverse("draft", args=[draft.pk]))
