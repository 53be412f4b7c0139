"""A message, or its conversation, as a page for paper: behind the same wall as its body."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_safe

from accounts.requests import Request
from accounts.troubles import explain
from webmail import bodies, html, mime
from webmail.models import Message, MessageBody
from webmail.protocols.errors import MailError
from webmail.views import listing
from webmail.views.body import BODY_POLICY
from webmail.views.conversation import conversation
from webmail.views.picture import pictures_allowed

MOST = 100  # messages on one paper, the newest
# A page of ours may open the dialogue of printing for it; it has no script that could.
PRINT_POLICY = BODY_POLICY.replace("sandbox ", "sandbox allow-modals ", 1)


@require_safe
@login_required
def show(request: Request, pk: int) -> HttpResponse:
    """``conversation=1``: all of it, oldest first. ``links=1``: the addresses of all links."""
    message = listing.own(request, pk)
    whole = request.GET.get("conversation") == "1"
    rows = [entry["m"] for entry in conversation(request, message).entries] if whole else [message]
    rows = sorted(rows, key=lambda row: (row.received_at, row.pk))[-MOST:]
    subject = message.subject.strip() or _("(no subject)")
    page = html.paper(
        subject,
        _letters(request, rows),
        _bar(request, message, whole),
        lang=translation.get_language() or "",
        links=request.GET.get("links") == "1",
    )
    response = HttpResponse(page)
    response["Content-Security-Policy"] = PRINT_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-cache"
    return response


def _bar(request: Request, message: Message, whole: bool) -> list[tuple[str, str]]:
    def here(**change: str) -> str:
        query = request.GET.copy()
        for name, value in change.items():
            query[name] = value
        return f"{reverse('print', args=[message.pk])}?{query.urlencode()}"

    links = request.GET.get("links") == "1"
    return [
        (_("Print with Ctrl+P, or with Print in the menu of the browser."), ""),
        (_("Back to the message"), reverse("message", args=[message.pk])),
        (_("Only this message"), here(conversation="0")) if whole else (_("The whole conversation"), here(conversation="1")),
        (_("Without addresses of links"), here(links="0")) if links else (_("With addresses of links"), here(links="1")),
    ]  # fmt: skip


def _letters(request: Request, rows: list[Message]) -> list[html.Letter]:
    """Once the server has not answered, it is not asked for the others."""
    letters: list[html.Letter] = []
    lost: MailError | None = None
    for row in rows:
        try:
            if lost and not bodies.is_ready(row):
                raise lost
            letters.append(_letter(request, row, bodies.body_of(row)))
        except MailError as error:
            lost = error if error.connection_lost else lost
            words = html.text_to_html(explain(error, row.account.label).what)
            letters.append(html.Letter(_head(row), words, plain=True))
    return letters


def _head(message: Message) -> list[tuple[str, str]]:
    head = [(title, _people(message, name)) for name, title in _fields() if message.addresses.get(name)]
    sent = timezone.localtime(message.sent_at or message.received_at)
    date = date_format(sent, pgettext("date", "l j F Y H:i")) + f" ({timezone.get_current_timezone_name()})"
    head.append((_("Date"), date))
    if message.subject:
        head.append((_("Subject"), message.subject))
    return head


def _letter(request: Request, message: Message, body: MessageBody) -> html.Letter:
    head = _head(message)
    root = message.body_part
    files = [
        (part.name or _("attachment")) + f" ({filesizeformat(part.size)})"
        for part in (mime.select_bodies(root).attachments if root else ())
        if not (part.cid and f"cid:{part.cid}" in body.source)
    ]
    if files:
        head.append((_("Files"), ", ".join(files)))
    if not body.source:
        return html.Letter(head, html.text_to_html(body.text), plain=True)
    shown = body.remote and pictures_allowed(request, message)
    return html.Letter(head, bodies.with_pictures(message, body) if shown else body.html, plain=False)


def _fields() -> list[tuple[str, str]]:
    return [("from", _("From")), ("to", _("To")), ("cc", _("Cc")), ("bcc", _("Bcc"))]


def _people(message: Message, name: str) -> str:
    return ", ".join(f"{one.name} <{one.email}>" if one.name else one.email for one in message.people(name))
