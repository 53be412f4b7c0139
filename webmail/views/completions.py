"""What may be meant, while somebody types into the search box; in an empty box, what they searched for lately."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import NamedTuple

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.requests import Request
from webmail import searches, suggestions
from webmail.models import Message
from webmail.search import MAX_LENGTH
from webmail.search.completion import MOST, Completion, completions
from webmail.search.language import quoted
from webmail.search.operators import BY_NAME, in_norwegian, same, spellings
from webmail.views import listing

LEAST_NAME = 2  # letters of a word that may be somebody's name
MOST_PEOPLE = 5  # beside operators
LOOKED_AT = 200  # of the newest messages of each inbox, and of those with a star, for the keywords they bear


class Choice(NamedTuple):
    """``text`` is what is to stand in the box, ``shown`` what is offered, ``beside`` says more of it."""

    text: str
    shown: str
    beside: str = ""


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    """JSON: for ``q`` with the cursor behind so many characters, what ``choices`` there are to take the place of those from
    ``start`` to ``end``; for an empty one what is ``recent``."""
    text = request.GET.get("q", "")[: MAX_LENGTH * 2]
    if not text.strip():
        return JsonResponse({"recent": list(searches.recent_of(request.user.pk).values("pk", "text"))})
    found = completions(text, listing.number(request.GET.get("at", "")), timezone.localdate())
    there = text[found.start : found.end]
    choices: dict[str, Choice] = {}
    for choice in _choices(request, found):
        if choice.text != there and len(choices) < MOST:
            choices.setdefault(choice.text, choice)
    answer = [choice._asdict() for choice in choices.values()]
    return JsonResponse({"start": found.start, "end": found.end, "choices": answer})


def _choices(request: Request, found: Completion) -> Iterable[Choice]:
    own = [_of_everybody(text, found.kind) for text in found.choices]
    if found.kind == "word":
        return chain(own, _senders(request, found.typed))
    if found.kind == "person":
        return [Choice(quoted(who), who, email) for who, email in _people(request, found.typed)]
    if found.kind == "folder":
        return chain(own, _folders(request, found.typed))
    if found.kind == "account":
        return _accounts(request, found.typed)
    if found.kind == "keyword":
        return _keywords(request, found.typed)
    return own


def _of_everybody(text: str, kind: str) -> Choice:
    """Of an operator, with what it means."""
    operator = BY_NAME.get(same(text[:-1])) if kind == "word" else None
    return Choice(text, text.strip('"'), str(operator.meaning) if operator else "")


def _people(request: Request, typed: str) -> Iterator[tuple[str, str]]:
    """What they are searched for by (a name, else the address), each once, and the address beside a name."""
    known = set()
    for one in suggestions.suggest(request.user.pk, typed):
        who = one.name or one.email
        if not one.group and who not in known:
            known.add(who)
            yield who, one.email if one.name else ""


def _senders(request: Request, typed: str) -> Iterator[Choice]:
    if len(typed) < LEAST_NAME:
        return
    name = BY_NAME["from"].shown(in_norwegian())
    for who, email in islice(_people(request, typed), MOST_PEOPLE):
        yield Choice(f"{name}:{quoted(who)}", f"{name}:{who}", email)


def _folders(request: Request, typed: str) -> Iterator[Choice]:
    """Those with a role have names of their own in the language of searches."""
    labels = {account.pk: account.label for account in request.user.account_list}
    for mailbox in listing.mailboxes_of(request.user):
        if mailbox.role or not mailbox.selectable:
            continue
        if _begins(mailbox.title, typed) or _begins(mailbox.name, typed):
            of = labels[mailbox.account_id] if len(labels) > 1 else ""
            yield Choice(quoted(mailbox.title), mailbox.title, of)


def _accounts(request: Request, typed: str) -> Iterator[Choice]:
    for account in request.user.account_list:
        if typed.casefold() in account.address.casefold() or _begins(account.name, typed):
            yield Choice(quoted(account.address), account.address, account.name)


def _keywords(request: Request, typed: str) -> Iterator[Choice]:
    """Of mail that came lately or has a star: nobody keeps a list of them, and all mail is too much to look through."""
    accounts = [account.pk for account in request.user.account_list]
    inboxes = [mailbox.pk for mailbox in listing.mailboxes_of(request.user) if mailbox.role == "inbox"]
    rows = [Message.objects.filter(mailbox_id=pk) for pk in inboxes]
    rows += [Message.objects.filter(account_id=pk, flagged=True) for pk in accounts]
    borne = chain.from_iterable(some.newest_first().values_list("labels", flat=True)[:LOOKED_AT] for some in rows)
    found = set(chain.from_iterable(borne))
    for name in sorted(found, key=str.casefold):
        if _begins(name, typed) and (typed or not name.startswith("$")):
            yield Choice(quoted(name), name)


def _begins(name: str, typed: str) -> bool:
    """The name, or one of its words."""
    begun = same(typed)
    words = name.replace("/", " ").replace(".", " ").split()
    return any(spelling.startswith(begun) for one in (name, *words) for spelling in spellings(one))
