"""Search over all mail of a person, while they type and page by page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models.functions import Substr
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import search, searches
from webmail.html import marked
from webmail.models import Message, MessageBody
from webmail.prepared import Integer, Prepared
from webmail.search import Hits
from webmail.search.conditions import ANYWHERE, ASIDE, each
from webmail.search.language import In
from webmail.search.operators import EXAMPLES, OPERATORS, in_norwegian, spelt
from webmail.search.tokens import Trouble
from webmail.views import listing, navigation, server_search
from webmail.views.mailbox import targets

AROUND = 30  # letters of a search on either side of what is wrong in it
MAX_WAITING = 1000  # messages that are not findable yet are counted no further
_waiting = Prepared(
    lambda account: (
        Message.objects.filter(account_id=account, index_due__gt=0).order_by().values_list("pk")[:MAX_WAITING]
    ),
    Integer,
)


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    asked = request.GET
    scope = listing.scope_of(request.user, "search", query=asked.get("q", ""), sort=asked.get("sort", ""))
    place = search.Place.parse(asked.get("after", ""))
    further = place != search.Place() and scope.asked.tree is not None
    found = scope.results.page(place, request.user.page_size)
    messages = scope.rows_of(found.ids)
    context = {
        "query": scope.query, "asked": scope.asked, "scope": scope, "here": request.get_full_path(), "solo": True,
        "days": _listed(scope, messages),
        "count": count_text(len(messages), scope.threaded, found.place is not None) if messages and not further else "",
        "more": found.place is not None, "looked_until": None if scope.best else found.looked_until,
        "cut_short": found.looked_until is not None,
        "older": scope.href(after=str(found.place)) if found.place else "", "first": scope.href() if further else "",
        "until": _until(scope, messages) if messages and not further else "",
        "chips": [(chip.label, scope.href(q=chip.without)) for chip in scope.asked.chips],
        "troubles": [_at_its_place(scope.asked.text, trouble) for trouble in scope.asked.troubles],
        "orders": _orders(scope), "narrow": scope.narrow if scope.asked.tree else "",
        "aside": _aside(scope) if not found.place else "",
        "targets": targets(request, scope), "saved": searches.saved_as(request.user, scope.query), **_coverage(request),
        "servers": server_search.Part() if further else server_search.part(request, scope, partial(_listed, scope)),
    }  # fmt: skip
    if request.htmx and request.htmx.target == "found":
        return render(request, "webmail/found.html", context)
    return render(request, "webmail/search.html", {**navigation.context(request, "search"), **context})


def _at_its_place(text: str, trouble: Trouble) -> tuple[str, str, str, str]:
    """What stands before, what is wrong, what stands behind, and what to do about it."""
    before, behind = text[: trouble.start], text[trouble.end :]
    wrong = text[trouble.start : trouble.end] or "\u2423"  # nothing is there: a sign for an open place
    return (
        ("…" if len(before) > AROUND else "") + before[-AROUND:],
        wrong[: 2 * AROUND],
        behind[:AROUND] + ("…" if len(behind) > AROUND else ""),
        trouble.message,
    )


def count_text(number: int, threaded: bool, more: bool) -> str:
    """How many were found, or that there are more."""
    if threaded and more:
        said = ngettext("More than %(n)s conversation", "More than %(n)s conversations", number)
    elif threaded:
        said = ngettext("%(n)s conversation", "%(n)s conversations", number)
    elif more:
        said = ngettext("More than %(n)s message", "More than %(n)s messages", number)
    else:
        said = ngettext("%(n)s message", "%(n)s messages", number)
    return said % {"n": f"{number:,}".replace(",", "\u202f")}


def _orders(scope: listing.Scope) -> list[tuple[str, str, bool]]:
    """Title, address, whether it is this one; none where all orders are the same."""
    if not scope.asked.tree or len(search.tiers(scope.asked.tree)) == 1:
        return []
    orders = ((_("Newest"), replace(scope, best=False)), (_("Best match"), replace(scope, best=True)))
    return [(title, other.href(), other.best == scope.best) for title, other in orders]


def _until(scope: listing.Scope, messages: Sequence[listing.Listed]) -> str:
    """The newest that an action on everything means: what came after the page was made is not meant."""
    newest = max(listing.Cursor(one.received_at, one.pk) for one in messages)
    return str(max(newest, listing.Cursor(timezone.now(), 0)) if scope.best else newest)


def _aside(scope: listing.Scope) -> str:
    """The address of the same search in Junk and Trash too, if it named no folder."""
    if scope.asked.tree is None or any(isinstance(node, In) for node in each(scope.asked.tree)):
        return ""
    if not any(box.role in ASIDE and box.total for box in listing.mailboxes_of(scope.user)):
        return ""
    return scope.href(q=f"{spelt('in', ANYWHERE)} {scope.query}")


def _coverage(request: Request) -> dict[str, Any]:
    """What cannot be found yet."""
    waiting = sum(len(_waiting(account.pk)) for account in request.user.account_list)
    mailboxes = listing.mailboxes_of(request.user)
    return {
        "waiting": min(waiting, MAX_WAITING),
        "waiting_more": waiting >= MAX_WAITING,
        "incomplete": any(not one.complete and one.selectable and one.remote_name for one in mailboxes),
    }


def _listed(scope: listing.Scope, messages: Sequence[listing.Listed]) -> list[listing.Day]:
    return _marked(listing.days(scope, messages), messages, scope) if messages else []


def _marked(days: Iterable[listing.Day], messages: Sequence[listing.Listed], scope: listing.Scope) -> list[listing.Day]:
    """Its rows say where they are, and what was searched for is marked in them."""
    words = search.words_of(scope.asked.tree)
    subject, people, text = Hits(words, "subject"), Hits(words, "from"), Hits(words, "body")
    boxes = {mailbox.pk: mailbox.title for mailbox in listing.mailboxes_of(scope.user)}
    places = {message.pk: boxes.get(message.mailbox_id or 0, "") for message in messages}
    texts = _texts(messages, text)

    def row(one: listing.Row) -> listing.Row:
        preview = text.excerpt(texts.get(one.pk, one.preview)) or one.preview
        shown = marked(text.pieces(preview))
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
