"""What a search page says of mail servers: that not everything is here, what they are asked, what they found, and what was
not asked and why. Script begins by itself after a moment; without it there is a button, and a link to see what has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST

from accounts.models import User
from accounts.requests import Request
from webmail import search, server_search, tasks
from webmail.models import AskedFolder, AskedState, ServerSearch, ServerSearchState
from webmail.views import listing
from webmail.views.redirection import SeeOther

SHOWN = 100  # rows
LOOKED_AT = 2000  # messages of all folders, the newest of each
Rows = Callable[[Sequence[listing.Listed]], list[listing.Day]]
REASONS = {
    server_search.PAUSED: gettext_lazy("the account is paused"),
    server_search.SIGN_IN: gettext_lazy("the server does not accept the password"),
    server_search.AWAY: gettext_lazy("the server cannot be reached"),
    server_search.BUSY: gettext_lazy("the server is busy and asks to be tried later"),
    server_search.SLOW_SERVER: gettext_lazy("the server has not answered in time"),
    server_search.SPARED: gettext_lazy("the server is too slow today"),
    server_search.REFUSED: gettext_lazy("the server refused to search"),
    server_search.CANNOT: gettext_lazy("servers cannot be asked for this"),
    server_search.RENUMBERED: gettext_lazy("the server has numbered the messages anew, and they are read again first"),
    server_search.GONE: gettext_lazy("the folder is gone from the server"),
    server_search.INTERRUPTED: gettext_lazy("the search was interrupted"),
}


@dataclass(frozen=True, slots=True)
class Unasked:
    """Folders that were not asked for one reason; ``said`` are a server's own words."""

    names: str
    reason: str
    said: str


@dataclass(frozen=True, slots=True)
class Answers:
    """What servers found, or what is only ``similar`` to what was searched for: ``number`` messages, and maybe ``more``."""

    similar: bool
    days: list[listing.Day]
    number: int
    more: bool


@dataclass(slots=True)
class Part:
    """``state``: "" where all is here, ``offer`` while nothing was asked, else that of the search. ``at`` is the folder that
    is being asked, ``left`` are those that were not asked before it was stopped; in those of ``similar`` nothing was
    found that was searched for, but what is similar."""

    state: str = ""
    search: ServerSearch | None = None
    answers: list[Answers] = field(default_factory=list)
    similar: str = ""
    at: str = ""
    done: int = 0
    total: int = 0
    asked: list[str] = field(default_factory=list)
    unasked: list[Unasked] = field(default_factory=list)
    left: str = ""
    soon: bool = True  # it begins by itself

    @property
    def open(self) -> bool:
        """Not everything was looked at: nobody may say that there is nothing."""
        return bool(self.state) and (self.state != ServerSearchState.DONE or bool(self.unasked))

    @property
    def counted(self) -> str:
        words = ngettext("%(done)d of %(total)d folder", "%(done)d of %(total)d folders", self.total)
        return words % {"done": self.done, "total": self.total}


def part(request: Request, scope: listing.Scope, rows: Rows) -> Part:
    """Of the page of this search; ``rows`` makes them of messages."""
    if not server_search.is_needed(request.user, scope.asked.tree, listing.mailboxes_of(request.user)):
        return Part()
    found = server_search.latest(request.user, _text(scope))
    if found is None:
        return Part("offer", soon="wait" not in request.GET)
    folders = list(found.folders.select_related("mailbox__account"))
    part = Part(found.state, found)
    _tell(part, folders, request.user)
    most = max(1, LOOKED_AT // max(1, sum(1 for folder in folders if folder.ids)))
    ids = {pk: folder.similar for folder in folders for pk in folder.ids[:most]}
    kept = _still_found(search.Finder(request.user, scope.asked.tree), list(ids))
    messages = sorted(scope.rows_of(kept), key=lambda one: (one.received_at, one.pk), reverse=True)
    for similar in (False, True):
        some = [one for one in messages if ids[one.pk] == similar]
        cut = any(folder.more or len(folder.ids) > most for folder in folders if folder.similar == similar)
        if some:
            part.answers.append(Answers(similar, rows(some[:SHOWN]), len(some), cut or len(some) > SHOWN))
    return part


def _still_found(finder: search.Finder, ids: Sequence[int]) -> list[int]:
    """Those that are still there, and not found here meanwhile."""
    kept: set[int] = set()
    for at in range(0, len(ids), 200):
        some = finder.among(ids[at : at + 200], None)
        kept |= some - finder.among(some, finder.tree)
    return list(kept)


def _tell(part: Part, folders: Sequence[AskedFolder], user: User) -> None:
    by_state = {state: [one for one in folders if one.state == state] for state in AskedState}
    several = len(user.account_list) > 1
    ahead = by_state[AskedState.ASKING] + by_state[AskedState.WAITING]
    part.total, part.done = len(folders), len(folders) - len(ahead)
    part.at = _name(ahead[0], several) if ahead else ""
    part.asked = [_name(one, several) for one in by_state[AskedState.ASKED]]
    part.similar = _names((one for one in folders if one.similar), several)
    part.left = _names(ahead, several) if part.state == ServerSearchState.STOPPED else ""
    reasons: dict[tuple[str, str], list[AskedFolder]] = {}
    for one in by_state[AskedState.UNASKED]:
        reasons.setdefault((one.why, one.said), []).append(one)
    for (why, said), alike in reasons.items():
        part.unasked.append(Unasked(_names(alike, several), str(REASONS.get(why, why)), said))


def _name(folder: AskedFolder, several: bool) -> str:
    title = folder.mailbox.title
    return f"{title} ({folder.mailbox.account.label})" if several else title


def _names(folders: Iterable[AskedFolder], several: bool) -> str:
    return ", ".join(_name(folder, several) for folder in folders)


@require_POST
@login_required
def begin(request: Request) -> HttpResponse:
    scope = _scope(request, request.POST.get("q", ""))
    if not server_search.is_needed(request.user, scope.asked.tree, listing.mailboxes_of(request.user)):
        return SeeOther(scope.href())
    begun = server_search.begin(request.user, _text(scope))
    if begun is None:
        return SeeOther(scope.href(wait="1"))
    for account_id in server_search.accounts_of(begun):
        tasks.nudge_ask(begun.pk, account_id)
    return SeeOther(scope.href())


@require_POST
@login_required
def stop(request: Request, pk: int) -> HttpResponse:
    found = get_object_or_404(ServerSearch, pk=pk, user=request.user)
    server_search.stop(found)
    return SeeOther(_scope(request, found.text).href())


def _scope(request: Request, text: str) -> listing.Scope:
    """In the order that was chosen."""
    return listing.scope_of(request.user, "search", query=text, sort=request.POST.get("sort", ""))


def _text(scope: listing.Scope) -> str:
    """What is searched for, as it can be kept."""
    return scope.asked.text.strip()
