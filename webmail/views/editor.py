"""The document that rich text is written in: a frame of its own, in which the quotes of a letter can do nothing.

Quoted mail is cleaned on the server when the draft begins and each time it is saved. In the browser it stands in this frame,
so that it can neither draw over our pages nor be changed by their style; the policy runs no script but files of ours and
asks no other host for anything, whatever is pasted.
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.requests import Request

# Not sandboxed from script, as the editor is one; style attributes are what rich text is made of.
EDITOR_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    if not settings.EDITOR_INSTALLED:
        raise Http404
    response = render(request, "webmail/editor.html")
    response["Content-Security-Policy"] = EDITOR_POLICY
    response["Referrer-Policy"] = "no-referrer"
    return response
