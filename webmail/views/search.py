"""Search over all mail of a person, newest first, while they type and page by page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models.functions import Substr
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import search
from webmail.html import marked
from webmail.models import Message, MessageBody
from webmail.search import Hits
from webmail.search.operators import EXAMPLES, OPERATORS, in_norwegian
from webmail.views import listing, navigation, server_search
from webmail.views.mailbox import targets

MAX_WAITING = 1000  # messages that are not findable yet are counted no further


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    query = request.GET.get("q", "").strip("\0")[: search.MAX_LENGTH * 2]
    scope = listing.scope_of(request.user, "search", query=query)
    after = listing.Cursor.parse(request.GET.get("after", ""))
    size = request.user.page_size
    found = scope.finder.page(after, size)
    messages = scope.rows_of(found.ids)
    context = {
        "query": query, "asked": scope.asked, "scope": scope, "here": request.get_full_path(), "solo": True,
        "days": _listed(scope, messages),
        "summary": _summary(len(messages), found) if scope.asked.tree and not after else "",
        "more": found.place is not None, "looked_until": found.looked_until,
        "older": scope.href(after=str(found.place)) if found.place else "", "first": scope.href() if after else "",
        "until": str(listing.Cursor(messages[0].received_at, messages[0].pk)) if messages and not after else "",
        "targets": targets(request, scope), **_coverage(request),
        "servers": server_search.Part() if after else server_search.part(request, scope, partial(_listed, scope)),
    }  # fmt: skip
    if request.htmx and request.htmx.target == "found":
        return render(request, "webmail/found.html", context)
    return render(request, "webmail/search.html", {**navigation.context(request, "search"), **context})


def _summary(number: int, found: search.Found) -> str:
    if found.place and not found.looked_until:
        return ngettext("more than %(n)d message", "more than %(n)d messages", number) % {"n": number}
    return ngettext("%(n)d message", "%(n)d messages", number) % {"n": number}


def _coverage(request: Request) -> dict[str, Any]:
    """What cannot be found yet."""
    accounts = [account.pk for account in request.user.account_list]
    waiting = Message.objects.filter(account_id__in=accounts, index_due__gt=0).order_by().values("pk")[:MAX_WAITING]
    mailboxes = listing.mailboxes_of(request.user)
    return {
        "waiting": len(waiting),
        "waiting_more": len(waiting) == MAX_WAITING,
        "incomplete": any(not one.complete and one.selectable and one.remote_name for one in mailboxes),
    }


def _listed(scope: listing.Scope, messages: Sequence[listing.Listed]) -> list[listing.Day]:
    return _marked(listing.days(scope, messages), messages, scope) if messages else []


def _marked(days: Iterable[listing.Day], messages: Sequence[listing.Listed], scope: listing.Scope) -> list[listing.Day]:
    """Its rows say where they are, and what was searched for is marked in them."""
    words = search.words_of(scope.asked)
    subject, people, text = Hits(words, "subject"), Hits(words, "from"), Hits(words, "body")
    boxes = {mailbox.pk: mailbox.title for mailbox in listing.mailboxes_of(scope.user)}
    places = {message.pk: boxes.get(message.mailbox_id or 0, "") for message in messages}
    texts = _texts(messages, text)

    def row(one: listing.Row) -> listing.Row:
        preview = text.excerpt(texts[one.pk]) if one.pk in texts else ""
        shown = marked(text.pieces(preview or one.preview))
        return one._replace(
            look=one.look._replace(preview=bool(shown)), who=marked(people.pieces(one.who)), place=places[one.pk],
            subject=marked(subject.pieces(one.subject)), preview=shown,
        )  # fmt: skip

    return [listing.Day(day.title, day.dates, [row(one) for one in day.rows]) for day in days]


def _texts(messages: Sequence[listing.Listed], hits: Hits) -> dict[int, str]:
    """The beginnings of the texts of those whose preview does not show what was searched for."""
    wanted = [message.pk for message in messages if hits and not hits.are_in(message.preview)]
    rows = MessageBody.objects.filter(message_id__in=wanted).annotate(beginning=Substr("text", 1, search.LOOKED_AT))
    return dict(rows.values_list("message_id", "beginning"))


@require_safe
@login_required
def explain(request: Request) -> HttpResponse:
    """What can be asked, with examples to try."""
    norwegian = in_norwegian()
    context = {
        "examples": [(one.shown(norwegian), one.meaning) for one in EXAMPLES],
        "operators": [(one.examples[norwegian], one.meaning, one.takes) for one in OPERATORS],
    }
    return render(request, "webmail/search_help.html", {**navigation.context(request, "search"), **context})
