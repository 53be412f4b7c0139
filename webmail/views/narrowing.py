"""What a search can be narrowed by, with how many messages that would be: some of it beside the results, all on a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain, islice, zip_longest
from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import search
from webmail.search.facets import Facets, facets
from webmail.search.language import quoted
from webmail.search.operators import spelt
from webmail.views import listing, navigation
from webmail.views.search import count_text

BESIDE, ON_A_PAGE = 6, 20  # of all, and of each kind


class Added(NamedTuple):
    """What can be added to a search, how many messages are left then, and what it is called if not by itself."""

    operand: str
    number: int
    label: str = ""


class Way(NamedTuple):
    """The same as it is shown, with the address of what is left."""

    operator: str
    value: str
    url: str
    number: int


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    """Asked for the row beside the results alone, only that is made."""
    scope = listing.scope_of(request.user, "search", query=request.GET.get("q", ""), sort=request.GET.get("sort", ""))
    found = facets(search.Finder(request.user, scope.asked.tree))
    groups = [(title, list(_ways(scope, found, added))) for title, added in _groups(scope, found)]
    groups = [(title, ways) for title, ways in groups if ways]
    number = found.conversations if scope.threaded else found.number
    context = {
        "scope": scope, "query": scope.query, "groups": groups, "back": scope.href(),
        "count": count_text(number, scope.threaded, found.more) if scope.asked.tree else "",
    }  # fmt: skip
    if request.htmx and request.htmx.target == "narrow":
        some = chain.from_iterable(zip_longest(*(ways for _title, ways in groups)))
        context["ways"] = list(islice((way for way in some if way), BESIDE))
        return render(request, "webmail/narrow.html", context)
    return render(request, "webmail/narrowing.html", {**navigation.context(request, "search"), **context})


def _groups(scope: listing.Scope, found: Facets) -> Iterator[tuple[str, Iterable[Added]]]:
    """What can be added, the most frequent first, by kind."""
    boxes = {mailbox.pk: mailbox for mailbox in listing.mailboxes_of(scope.user)}
    folders: Counter[str] = Counter()
    for pk, number in found.mailboxes.items():
        if pk in boxes:
            folders[spelt("in", boxes[pk].role or quoted(boxes[pk].name))] += number
    addresses = {account.pk: account.address for account in scope.user.account_list}
    most = ON_A_PAGE
    yield _("What"), [Added(spelt("is", "unread"), found.unread), Added(spelt("has", "attachment"), found.attachments)]
    yield _("Folders"), [Added(folder, number) for folder, number in folders.most_common(most)]
    yield (
        _("People"),
        [
            Added(spelt("from", quoted(address)), number, spelt("from", found.names[address] or address))
            for address, number in found.people.most_common(most)
            if address
        ],
    )
    yield (
        _("Years"),
        [Added(spelt("on", str(year)), number) for year, number in sorted(found.years.items())[: -most - 1 : -1]],
    )
    yield _("Accounts"), [Added(spelt("account", addresses[pk]), n) for pk, n in found.accounts.most_common(most)]


def _ways(scope: listing.Scope, found: Facets, added: Iterable[Added]) -> Iterator[Way]:
    """Those that leave something out. What is added stands in front: the last word goes on being a beginning."""
    for one in added:
        if 0 < one.number < found.number:
            operator, _colon, value = (one.label or one.operand).partition(":")
            yield Way(f"{operator}:", value.strip('"'), scope.href(q=f"{one.operand} {scope.query}"), one.number)
