"""What the page of a message prints of each message of a conversation."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from accounts.requests import Request
from accounts.troubles import explain
from webmail import bodies, html, mime, tasks, trust
from webmail.models import Message
from webmail.protocols.errors import MailError
from webmail.views import listing
from webmail.views.contacts import cards_of, people_of
from webmail.views.files import listing as files_listing
from webmail.views.findings import findings
from webmail.views.headers import list_of
from webmail.views.invitation import invitation_of
from webmail.views.picture import pictures_always
from webmail.views.standing import sign_of
from webmail.views.unsubscription import way_of

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


ASKED_AGAIN = (1, 1, 2, 3, 5, 8, 13)  # seconds between


def present(request: Request, row: Message, mine: set[str], open_: bool) -> dict[str, Any]:
    """What the template prints of one message. A body not fetched yet is fetched now; without the server the page says so."""
    sender = row.sender
    entry: dict[str, Any] = {
        "trouble": None,
        "awaited": None,
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
    }
    if open_:
        entry |= _readable(request, row)
        entry["leave"] = way_of(row, entry["body"].facts) if "body" in entry else None
        entry["findings"] = findings(request.user, row, entry["body"].facts) if "body" in entry else []
        if "body" in entry:
            entry["invitation"] = invitation_of(request, row, entry["body"].facts)
            entry["cards"] = cards_of(request, row, entry["body"].facts)
            entry["list"] = list_of(row, entry["body"].facts)
        entry["people"] = people_of(request, row, _people_fields())
    if "body" in entry and not (row.mailbox and row.mailbox.role in ("sent", "drafts")):
        facts = entry["body"].facts
        found = trust.Authentication.from_json(facts.get("authentication", {}))
        sign = sign_of(request.user, row, found, facts.get("deceptive", []))
        if sender.email.lower() in mine:  # anybody can write one's own address there
            sign.stranger = False
            entry["name"] = sender.name or sender.email if sign.grade == "bad" else entry["name"]
        people = (person for _title, named in entry["people"] for person in named)
        if any(person["contact"] for person in people if person["email"] == sender.email):
            sign.stranger = False
        entry["sign"] = sign
    return entry


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


def _awaited(request: Request, row: Message) -> dict[str, Any]:
    """Of a heavy message that a worker is to read first: where the page asks ``again`` for it after so many ``seconds``,
    "" if it has asked often enough, and where it is read ``now``, in the page itself."""
    asked = listing.number(request.GET.get("try", ""))
    if not asked:
        tasks.nudge_read(row.pk)
    query = request.GET.copy()
    query["try"] = str(asked + 1)
    again = f"{request.path}?{query.urlencode()}" if asked < len(ASKED_AGAIN) else ""
    query["now"] = "1"
    seconds = ASKED_AGAIN[asked] if again else 0
    return {"again": again, "seconds": seconds, "now": f"{request.path}?{query.urlencode()}"}


def _readable(request: Request, row: Message) -> dict[str, Any]:
    if bodies.is_heavy(row) and request.GET.get("now") != "1" and not bodies.is_ready(row):
        return {"awaited": _awaited(request, row), "files": []}
    root = row.body_part
    chosen = mime.select_bodies(root) if root else mime.Bodies()
    try:
        body = bodies.facts_of(row) if any(part.type == "text/html" for part in chosen.html) else bodies.body_of(row)
    except MailError as error:
        return {"trouble": explain(error, row.account.label), "files": []}
    always = bool(body.remote) and pictures_always(request, row)
    shown = bool(body.remote) and (always or request.GET.get("pictures") == "1")
    marked_up = body.facts["marked_up"]
    return {
        "body": body,
        "markup": "" if marked_up else html.text_markup(body.text),
        "blocked": len(body.remote) if marked_up and not shown else 0,
        "pictures": shown,
        "always": always,
        "trackers": body.facts.get("trackers", 0),
        "tracked_by": ", ".join(body.facts.get("tracked_by", ())),
        "deceptive": body.facts.get("deceptive", []),
        # Only where the colours are not the sender's anyway is there something to choose.
        "adapted": request.user.theme != "light" and body.facts["adapted"],
        "original": request.GET.get("colours") == "original",
        "charset": body.facts.get("charset", ""),
        "files": files_listing(row, [p for p in chosen.attachments if not (p.cid and f"cid:{p.cid}" in body.source)]),
    }
