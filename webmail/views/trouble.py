"""Pages for what went wrong: not found, our own failure, an expired form."""

from __future__ import annotations

import logging

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from accounts.requests import Request
from accounts.troubles import Trouble, explain
from webmail.models import Message
from webmail.protocols.errors import MailError, NotFound

log = logging.getLogger(__name__)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    trouble = Trouble(_("There is nothing here."), _("It may have been moved or deleted since the page was made."))
    return render(request, "webmail/trouble.html", {"trouble": trouble, "bare": True}, status=404)


def unreadable(request: Request, message: Message, error: MailError) -> HttpResponse:
    """A message, or a part of one, that its server does not give."""
    told = explain(error, message.account.label)
    status = 404 if isinstance(error, NotFound) else 503
    return render(request, "webmail/trouble.html", {"trouble": told, "bare": True}, status=status)


def server_error(request: HttpRequest) -> HttpResponse:
    trouble = Trouble(
        _("Something went wrong on our side."),
        _("Nothing you wrote was sent. Go back and try again; the operator finds the cause in the log."),
    )
    return render(request, "webmail/trouble.html", {"trouble": trouble, "bare": True}, status=500)


def expired(request: HttpRequest) -> HttpResponse:
    """The sign-in ran out while somebody wrote: the text is given back with a way to sign in."""
    trouble = Trouble(
        _("You have been signed out, and nothing was sent."),
        _("What you wrote is below: sign in in another tab, then go back here and press the button again."),
    )
    context = {"trouble": trouble, "typed": _typed(request), "bare": True, "sign_in": True}
    return render(request, "webmail/trouble.html", context, status=403)


def _typed(request: HttpRequest) -> dict[str, str]:
    titles = {"to": _("To"), "cc": _("Cc"), "bcc": _("Bcc"), "subject": _("Subject"), "text": _("Message")}
    return {titles[name]: request.POST[name] for name in titles if request.POST.get(name)}


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The text of a form that came too late is shown to be copied, never thrown away."""
    trouble = Trouble(
        _("This form is too old to be accepted."), _("Go back, reload the page and send it again."), reason
    )
    return render(
        request, "webmail/trouble.html", {"trouble": trouble, "typed": _typed(request), "bare": True}, status=403
    )
