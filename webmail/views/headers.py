"""All header fields of a message: as a table, the way it came, and what trusted servers found of its sender."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import bodies, mime, trust
from webmail.models import Message
from webmail.protocols.errors import MailError
from webmail.views.listing import own_alone
from webmail.views.trouble import unreadable

MOST_HOPS = 50
RESULTS = {
    "pass": gettext_lazy("passed"),
    "fail": gettext_lazy("failed"),
    "softfail": gettext_lazy("failed, but not for certain"),
    "neutral": gettext_lazy("says nothing"),
    "none": gettext_lazy("there is none"),
    "temperror": gettext_lazy("could not be checked then"),
    "permerror": gettext_lazy("could not be checked"),
    "policy": gettext_lazy("not accepted"),
}
METHODS = {
    "spf": gettext_lazy("Sending server (SPF)"),
    "dkim": gettext_lazy("Signature (DKIM)"),
    "dmarc": gettext_lazy("Domain of the sender (DMARC)"),
    "arc": gettext_lazy("Chain of forwarders (ARC)"),
}


@dataclass(frozen=True, slots=True)
class Hop:
    """One Received field (RFC 5321 §4.4). ``delay`` is in words, since the hop before; anybody on the way can write one."""

    by: str
    from_: str
    when: str
    delay: str
    slow: bool


@require_safe
@login_required
def show(request: Request, pk: int) -> HttpResponse:
    """``raw=1``: as they came, encoded words and all."""
    message = own_alone(request, pk)
    try:
        octets = bodies.header_octets(message)
        facts = bodies.body_of(message).facts
    except MailError as error:
        return unreadable(request, message, error)
    fields = mime.raw_fields(octets)
    raw = request.GET.get("raw") == "1"
    context = {
        "message": message,
        "subject": message.subject.strip() or _("(no subject)"),
        "fields": [(name, value if raw else mime.decode_words(value)) for name, value in _named(fields)],
        "raw": raw,
        "hops": hops([value for name, value in fields if name == "received"]),
        **_checked(facts),
    }
    return render(request, "webmail/headers.html", context)


def _named(fields: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """With their names as they are usually written."""
    odd = {"mime": "MIME", "id": "ID", "dkim": "DKIM", "spf": "SPF", "arc": "ARC", "ms": "MS", "bimi": "BIMI"}
    return [
        ("-".join(odd.get(word, word.capitalize()) for word in name.split("-")), mime.clean(value))
        for name, value in fields
    ]


def hops(received: list[str]) -> list[Hop]:
    """In the order of the way: each server writes its own above the others."""
    found: list[Hop] = []
    before: datetime | None = None
    for value in reversed(received[:MOST_HOPS]):
        text, _semicolon, date = value.rpartition(";")
        at = mime.parse_date(date)
        seconds = int((at - before).total_seconds()) if at and before else None
        when = date_format(timezone.localtime(at), pgettext("date", "j F Y H:i:s")) if at else ""
        found.append(
            Hop(_said("by", text), _said("from", text), when, _delay(seconds), bool(seconds and seconds > 300))
        )
        before = at or before
    return found


def _said(word: str, text: str) -> str:
    match = re.search(rf"(?:^|\s){word}\s+([^\s;()]{{1,255}})", text, re.IGNORECASE)
    return mime.clean(match[1]) if match else ""


def _delay(seconds: int | None) -> str:
    if seconds is None:
        return ""
    if seconds < 0:
        return _("before the one above (a clock is wrong)")
    if seconds < 120:
        return ngettext("%(n)d second", "%(n)d seconds", seconds) % {"n": seconds}
    if seconds < 7200:
        return ngettext("%(n)d minute", "%(n)d minutes", seconds // 60) % {"n": seconds // 60}
    return ngettext("%(n)d hour", "%(n)d hours", seconds // 3600) % {"n": seconds // 3600}


def _checked(facts: dict[str, Any]) -> dict[str, Any]:
    found = trust.Authentication.from_json(facts.get("authentication", {}))
    results = [
        (METHODS.get(one.method, one.method), RESULTS.get(one.result, one.result), one.domain) for one in found.results
    ]
    return {"checked_by": found.by, "results": results}


# --- lists (RFC 2369, RFC 2919) -------------------------------------------------------------------------------------


def list_of(message: Message, facts: dict[str, Any]) -> dict[str, Any] | None:
    """What the page says of the list that a message came by: its name, and links to it that are safe to follow."""
    said = next(iter(message.fields.get("list-id", [])), "")
    if not said:
        return None
    match = re.search(r"<?([^<>\s]{1,255})>?\s*$", said)
    name = mime.clean(mime.decode_words(said[: match.start()] if match else said)).strip("\"' ")[:200]
    fields = {"list-post": " ".join(message.fields.get("list-post", [])), **facts.get("list", {})}
    titles = {"list-post": _("Write to the list"), "list-archive": _("Archive"), "list-help": _("Help")}
    links = [(title, url) for field, title in titles.items() if (url := _link(fields.get(field, "")))]
    return {"name": name, "id": mime.clean(match[1]) if match else "", "links": links}


def _link(value: str) -> str:
    """The first address that is one of the web or of mail; of the latter only whom it goes to."""
    for url in re.findall(r"<\s*([^<>\s\"']{1,2000})\s*>", value):
        if url.lower().startswith("https://"):
            return str(url)
        address = url[7:].partition("?")[0]
        if url.lower().startswith("mailto:") and mime.is_email(address):
            return f"mailto:{address}"
    return ""
