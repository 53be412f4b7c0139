"""Leaving a mailing list: at one click where the sender signed how (RFC 8058), else by a message or a page (RFC 2369)."""

from __future__ import annotations

import http.client
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.requests import Request
from webmail import bodies, outside
from webmail.models import Message
from webmail.protocols.errors import MailError
from webmail.views import listing
from webmail.views.redirection import back, notice, problem


@dataclass(frozen=True, slots=True)
class Way:
    """``click`` is a URL of ours to post to; ``url`` one to open: our composer, or the sender's page."""

    click: str = ""
    url: str = ""
    outside: bool = False


def way_of(message: Message, facts: dict[str, Any]) -> Way | None:
    """How to leave the list that a message came by, if it says so."""
    said = _said(message)
    web = _web(said)
    if web and _one_click(message, facts):
        return Way(click=reverse("unsubscription", args=[message.pk]))
    if address := next((url for url in said if url.lower().startswith("mailto:")), ""):
        return Way(url=_compose(address))
    return Way(url=web, outside=True) if web else None


def _said(message: Message) -> list[str]:
    return re.findall(r"<\s*([^<>\s]{1,2000})\s*>", " ".join(message.fields.get("list-unsubscribe", [])))


def _web(said: list[str]) -> str:
    return next((url for url in said if url.lower().startswith("https://")), "")


def _one_click(message: Message, facts: dict[str, Any]) -> bool:
    asked = " ".join(message.fields.get("list-unsubscribe-post", []))
    return bool(facts.get("one_click")) and asked.replace(" ", "").lower() == "list-unsubscribe=one-click"


def _compose(mailto: str) -> str:
    """RFC 6068: recipient, subject and text; whatever else it asks for is left out."""
    address, _question, rest = mailto[len("mailto:") :].partition("?")
    asked = {name.lower(): values[0] for name, values in parse_qs(rest).items()}
    query = {"to": unquote(address), "subject": asked.get("subject", "unsubscribe"), "body": asked.get("body", "")}
    return f"{reverse('compose')}?{urlencode(query)}"


@require_POST
@login_required
def unsubscribe(request: Request, pk: int) -> HttpResponse:
    message = listing.own(request, pk)
    try:
        facts = bodies.body_of(message).facts
    except MailError:
        facts = {}
    web = _web(_said(message))
    if not web or not _one_click(message, facts):
        problem(request, _("This message says no way to leave its list that its sender has signed."))
        return back(request, reverse("message", args=[pk]))
    try:
        status = outside.post(web, b"List-Unsubscribe=One-Click")
    except (OSError, http.client.HTTPException, MailError, ValueError) as error:
        problem(request, _("The list could not be reached. Try again later."), str(error)[:200])
        return back(request, reverse("message", args=[pk]))
    if status // 100 == 2:
        notice(request, _("You have asked to get no more mail from this list."))
    else:
        problem(request, _("The list did not take it (%(status)d). Its own page may help.") % {"status": status})
    return back(request, reverse("message", args=[pk]))
