"""One message: the page with its conversation, the body document behind the wall, its parts and its source."""

from __future__ import annotations

import mimetypes
from typing import Any, cast

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_POST, require_safe

from accounts.models import Identity
from accounts.requests import Request
from accounts.troubles import explain
from webmail import bodies, html, mime, trust
from webmail.models import Message, MessageBody, RemotePermission
from webmail.prepared import Address, Integer, Prepared
from webmail.protocols.errors import MailError, NotFound
from webmail.views import listing, navigation
from webmail.views.findings import findings
from webmail.views.mailbox import list_context
from webmail.views.redirection import back
from webmail.views.standing import sign_of
from webmail.views.unchanged import while_unchanged
from webmail.views.unsubscription import way_of

# The wall: no script, nothing from outside, no forms, framed by us only; a browser that opens it directly is as safe.
BODY_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-same-origin; default-src 'none'; img-src 'self' data:; "
    "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
THREAD_SHOWN = 100


_conversation = Prepared(
    lambda thread: (
        Message.objects.filter(thread_id=thread, mailbox__hidden=False)
        .exclude(mailbox__role__in=("trash", "junk"))
        .order_by("-received_at", "-id")[:THREAD_SHOWN]
    ),
    Integer,
)
_addresses_of = Prepared(
    lambda user: Identity.objects.filter(account__user_id=user).order_by().values_list("address"), Integer
)


_shown = Prepared(
    lambda pk, user: Message.objects.filter(pk=pk, account__user_id=user, mailbox__hidden=False), Integer, Integer
)


def own_alone(request: Request, pk: int) -> Message:
    """The same for what needs no folders beside it."""
    found = _shown(pk, request.user.pk)
    if not found:
        raise Http404
    return found[0]


@require_safe
@login_required
@while_unchanged
def show(request: Request, pk: int) -> HttpResponse:
    """The three panes. Asked for the reading pane alone, only that is made."""
    message = listing.own(request, pk)
    scope = listing.scope_for(request.user, message, request.GET.get("in", ""), request.GET.get("q", "")[:500])
    context = read_context(request, message, scope)
    if request.htmx and request.htmx.target == "read":
        parts = ("webmail/message.html#read", "webmail/message.html#dock")
        return _lasting(context, HttpResponse("".join(render_to_string(part, context, request) for part in parts)))
    cursor = listing.Cursor(message.received_at, message.pk)
    size = request.user.page_size
    first = scope.page(None, size)
    if not first or cursor in [listing.Cursor(m.received_at, m.pk) for m in first]:
        context |= list_context(request, scope, first, None, message)
    else:
        context |= list_context(request, scope, scope.page(cursor, size, inclusive=True), cursor, message)
    return _lasting(context, render(request, "webmail/message.html", context))


def _lasting(context: dict[str, Any], response: HttpResponse) -> HttpResponse:
    """What could not be fetched is tried again when the page is asked for again."""
    if any(entry.get("trouble") for entry in context["thread"]):
        response["Cache-Control"] = "private, no-store"
    return response


def read_context(request: Request, message: Message, scope: listing.Scope) -> dict[str, Any]:
    newer, older = scope.neighbours(message)
    suffix = f"?{scope.source}" if not scope.mailbox else ""
    return {
        "message": message,
        "subject": message.subject.strip() or _("(no subject)"),
        "scope": scope,
        "thread": thread(request, message),
        "newer": reverse("message", args=[newer]) + suffix if newer else "",
        "older_message": reverse("message", args=[older]) + suffix if older else "",
        "after_removal": reverse("message", args=[older or newer]) + suffix if older or newer else scope.href(),
        "here": request.get_full_path(),
        "list_url": scope.href(),
        "in_trash": message.mailbox is not None and message.mailbox.role in ("trash", "junk"),
        "targets": navigation.targets([message.account], listing.mailboxes_of(request.user)),
        "charsets": charset_names(),
    }


def thread(request: Request, message: Message) -> list[dict[str, Any]]:
    """The conversation, oldest first; the opened and the unread ones unfolded. A copy in two folders shows once."""
    rows = listing.place(_conversation(message.thread_id), request.user) if message.thread_id else []
    seen_ids, shown = set(), []
    for row in [message, *rows]:
        key = row.message_id or row.pk
        if key not in seen_ids:
            seen_ids.add(key)
            shown.append(row)
    mine = {address.lower() for (address,) in _addresses_of(request.user.pk)}
    shown.sort(key=lambda row: (row.received_at, row.pk))
    unread = [row.pk for row in shown if not row.seen and row.pk != message.pk]
    read = MessageBody.objects.filter(pk__in=unread, facts__reading=bodies.READING_VERSION)
    ready = set(read.values_list("pk", flat=True)) if unread else set()
    # Only the opened one may have to be fetched: another unread one that is not here yet stays folded.
    return [present(request, row, mine, open_=row.pk == message.pk or row.pk in ready) for row in shown]


def present(request: Request, row: Message, mine: set[str], open_: bool) -> dict[str, Any]:
    """What the template prints of one message. A body not fetched yet is fetched now; without the server the page says so."""
    sender = row.sender
    entry: dict[str, Any] = {
        "m": row,
        "open": open_,
        "name": _("You") if sender.email.lower() in mine else sender.name or sender.email or _("(no sender)"),
        "email": sender.email,
        "domain": _own_domain(sender.email),
        "face": (sender.name or sender.email or "?").strip("\"' ")[:1].upper() or "?",
        "to": _to_line(row, mine),
        "time": listing.time_text(timezone.localtime(row.received_at), timezone.localdate()),
        "stamp": row.received_at.isoformat(timespec="minutes"),
        "sent": date_format(timezone.localtime(row.sent_at or row.received_at), pgettext("date", "j F Y H:i")),
        "people": [(title, row.people(field)) for field, title in _people_fields() if row.addresses.get(field)],
    }
    if open_:
        entry |= _readable(request, row)
        entry["leave"] = way_of(row, entry["body"].facts) if "body" in entry else None
        entry["findings"] = findings(request.user, row, entry["body"].facts) if "body" in entry else []
    if "body" in entry and not (row.mailbox and row.mailbox.role in ("sent", "drafts")):
        facts = entry["body"].facts
        found = trust.Authentication.from_json(facts.get("authentication", {}))
        sign = sign_of(request.user, row, found, facts.get("deceptive", []))
        if sender.email.lower() in mine:  # anybody can write one's own address there
            sign.stranger = False
            entry["name"] = sender.name or sender.email if sign.grade == "bad" else entry["name"]
        entry["sign"] = sign
    return entry


# Of people who have nothing to do with each other: what is allowed for one is not for all.
SHARED = {"gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "yahoo.com", "icloud.com", "me.com"}
SHARED |= {
    "aol.com",
    "gmx.de",
    "gmx.net",
    "web.de",
    "proton.me",
    "protonmail.com",
    "online.no",
    "fastmail.com",
    "mail.ru",
}


def _own_domain(email: str) -> str:
    domain = email.rpartition("@")[2].lower()
    return "" if domain in SHARED else domain


def _people_fields() -> list[tuple[str, str]]:
    return [("from", _("From")), ("reply_to", _("Reply to")), ("to", _("To")), ("cc", _("Cc")), ("bcc", _("Bcc"))]


def _to_line(row: Message, mine: set[str]) -> str:
    people = [*row.people("to"), *row.people("cc")]
    names = [_("you") if p.email.lower() in mine else p.name or p.email for p in people]
    shown = ", ".join(dict.fromkeys(names[:4])) + (f" +{len(names) - 4}" if len(names) > 4 else "")
    return _("to %(people)s") % {"people": shown} if names else ""


def _readable(request: Request, row: Message) -> dict[str, Any]:
    try:
        body = bodies.body_of(row)
    except MailError as error:
        return {"trouble": explain(error, row.account.label), "files": []}
    always = bool(body.remote) and pictures_always(request, row)
    shown = bool(body.remote) and (always or request.GET.get("pictures") == "1")
    root = row.body_part
    files = mime.select_bodies(root).attachments if root else ()
    referred = body.source
    return {
        "body": body,
        "markup": "" if body.source else html.text_markup(body.text),
        "blocked": len(body.remote) if body.source and not shown else 0,
        "pictures": shown,
        "always": always,
        "trackers": body.facts.get("trackers", 0),
        "deceptive": body.facts.get("deceptive", []),
        # Only where the colours are not the sender's anyway is there something to choose.
        "adapted": request.user.theme != "light" and "light-dark(" in body.html,
        "original": request.GET.get("colours") == "original",
        "files": [_file(row, part) for part in files if not (part.cid and f"cid:{part.cid}" in referred)],
    }


def _file(row: Message, part: mime.BodyPart) -> dict[str, Any]:
    main, _slash, sub = part.type.partition("/")
    kind = (
        "img"
        if main == "image"
        else "pdf"
        if sub == "pdf"
        else "cal"
        if sub == "calendar"
        else "sheet"
        if sub in SHEETS
        else ""
    )
    icon = {"img": "image", "pdf": "file-text", "cal": "calendar", "sheet": "file-sheet"}.get(kind, "file")
    size = part.size * 3 // 4 if part.encoding == "base64" else part.size
    name = part.name or _named_by_type(part.type)
    return {"name": name, "kind": kind, "icon": icon, "size": size, "url": reverse("part", args=[row.pk, part.part_id])}


def _named_by_type(kind: str) -> str:
    """For a part that its sender gave no name."""
    if kind == "message/rfc822":
        return _("message") + ".eml"
    if kind == "text/calendar":
        return _("invitation") + ".ics"
    if kind == "message/delivery-status":
        return _("delivery report") + ".txt"
    return _("attachment") + (mimetypes.guess_extension(kind) or "")


SHEETS = {
    "csv",
    "vnd.ms-excel",
    "vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "vnd.oasis.opendocument.spreadsheet",
}


# --- remote pictures --------------------------------------------------------------------------------------------


_permission = Prepared(
    lambda user, sender, domain: RemotePermission.objects.filter(user_id=user, sender__in=[sender, domain]),
    Integer,
    Address,
    Address,
)


def pictures_always(request: Request, message: Message) -> bool:
    """The person allowed them for this sender or for all at its domain; looked up when shown, never kept with it."""
    sender = message.from_email.lower()
    return bool(_permission(request.user.pk, sender, _at_domain(sender)))


def pictures_allowed(request: Request, message: Message) -> bool:
    return request.GET.get("pictures") == "1" or pictures_always(request, message)


def _at_domain(sender: str) -> str:
    """How a permission for a whole domain is written down."""
    return "@" + sender.rpartition("@")[2]


@require_POST
@login_required
def pictures(request: Request, pk: int) -> HttpResponse:
    """Always show (or no longer show) pictures from this sender, or from all at its domain."""
    sender = listing.own(request, pk).from_email.lower()
    allow = request.POST.get("allow", "sender")
    if allow == "0":
        RemotePermission.objects.filter(user=request.user, sender__in=[sender, _at_domain(sender)]).delete()
    elif "@" in sender:
        whom = _at_domain(sender) if allow == "domain" else sender
        RemotePermission.objects.get_or_create(user=request.user, sender=whom)
    return back(request, reverse("message", args=[pk]))


@require_POST
@login_required
def charset(request: Request, pk: int) -> HttpResponse:
    """Read it in the charset that the reader chose; with none, as it says itself."""
    message = listing.own(request, pk)
    chosen = request.POST.get("charset", "")
    if chosen not in dict(charset_names()) and chosen:
        raise Http404
    try:
        bodies.fetch(message, None, chosen)
    except MailError as error:
        return trouble(request, message, error)
    return back(request, reverse("message", args=[pk]))


def charset_names() -> list[tuple[str, str]]:
    return [(label, _(name)) for label, name in mime.CHARSETS]


# --- behind the wall --------------------------------------------------------------------------------------------


@require_safe
@login_required
def body(request: Request, pk: int) -> HttpResponse:
    """The body as a document of its own: sandboxed, script-less, with its own policy."""
    message = own_alone(request, pk)
    try:
        kept = bodies.body_of(message)
    except MailError as error:
        return trouble(request, message, error)
    return _walled(_document(request, message, kept))


def _document(request: Request, message: Message, kept: MessageBody) -> str:
    theme = cast(html.Theme, request.user.theme)
    if not kept.source or request.GET.get("as") == "text":
        return html.document(
            html.text_to_html(kept.text), lang=translation.get_language() or "", plain=True, theme=theme
        )
    fragment = bodies.with_pictures(message, kept) if kept.remote and pictures_allowed(request, message) else kept.html
    original = request.GET.get("colours") == "original"
    return html.document(fragment, plain=False, theme=theme, original=original)


def _walled(document: str) -> HttpResponse:
    response = HttpResponse(document)
    response["Content-Security-Policy"] = BODY_POLICY
    response["X-Content-Type-Options"] = "nosniff"
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, no-cache"
    return response


def trouble(request: Request, message: Message, error: MailError) -> HttpResponse:
    told = explain(error, message.account.label)
    status = 404 if isinstance(error, NotFound) else 503
    return render(request, "webmail/trouble.html", {"trouble": told, "bare": True}, status=status)
