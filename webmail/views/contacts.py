"""The address book: its list, one contact, and adding one from wherever an address stands."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_required
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.requests import Request
from webmail import bodies, contacts, mime
from webmail.models import AddressBook, Contact, ContactGroup, Message
from webmail.protocols.errors import MailError
from webmail.views import listing, navigation
from webmail.views.redirection import SeeOther, back, notice, problem
from webmail.views.trouble import unreadable

PAGE = 100
MAX_PHONES = 20
MOST_PEOPLE = 50  # of a message that can be added
# What addresses and numbers are for.
KINDS = {
    "home": gettext_lazy("home"),
    "work": gettext_lazy("work"),
    "cell": gettext_lazy("mobile"),
    "fax": gettext_lazy("fax"),
    "pager": gettext_lazy("pager"),
}


@require_safe
@login_required
def show(request: Request) -> HttpResponse:
    return list_page(request)


def list_page(request: Request, group: ContactGroup | None = None, letter: str = "") -> HttpResponse:
    """By name; ``after`` is the last contact of the page before. ``letter`` is whom a message to the whole group goes to,
    where that is short enough for a link."""
    query = request.GET.get("q", "")[:200]
    found = contacts.found(request.user, query)
    found = found.filter(groups=group) if group else found
    if after := Contact.objects.for_user(request.user).filter(pk=listing.number(request.GET.get("after", ""))).first():
        found = found.filter(Q(sort__gt=after.sort) | Q(sort=after.sort, pk__gt=after.pk))
    page = list(found.prefetch_related("addresses")[: PAGE + 1])
    more = urlencode({"q": query, "after": str(page[PAGE - 1].pk)}) if len(page) > PAGE else ""
    context = {
        **navigation.context(request, "contacts"),
        "contacts": page[:PAGE],
        "asked": query,
        "more": more,
        "begun": bool(after),
        "group": group,
        "groups": ContactGroup.objects.for_user(request.user),
        "letter": letter,
        "place": "" if group else "all",
        "here": request.get_full_path(),
    }
    return render(request, "webmail/contacts.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def create(request: Request) -> HttpResponse:
    """The form; and what messages post: ``person``, as addresses are written."""
    if "person" in request.POST:
        return _add_person(request)
    contact = Contact(name=request.GET.get("name", "")[:255])
    if request.method != "POST":
        return _form(request, contact, {"emails": request.GET.get("email", "")[:320]})
    return _handle(request, contact)


def _add_person(request: Request) -> HttpResponse:
    people, bad = mime.parse_addresses(request.POST["person"][:1000])
    if len(people) != 1 or bad:
        problem(request, _("Not a mail address: %(pieces)s") % {"pieces": request.POST["person"][:200]})
        return back(request, reverse("contacts"))
    return _added(request, Contact(name=people[0].name), [(people[0].email, "")])


def _added(request: Request, contact: Contact, emails: list[tuple[str, str]], otherwise: str = "") -> HttpResponse:
    try:
        contact = contacts.add(request.user, contact, emails)
    except contacts.Known as error:
        notice(request, _("%(name)s is in your contacts already.") % {"name": error.contact.name})
    except contacts.Invalid as error:
        problem(request, str(error))
    else:
        notice(request, _("%(name)s is in your contacts now.") % {"name": contact.name})
    return back(request, otherwise or reverse("contacts"))


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def edit(request: Request, pk: int) -> HttpResponse:
    contact = _own(request, pk)
    if request.method != "POST":
        return _form(request, contact, {})
    return _handle(request, contact)


def _own(request: Request, pk: int) -> Contact:
    return get_object_or_404(Contact.objects.for_user(request.user), pk=pk)


def _handle(request: Request, contact: Contact) -> HttpResponse:
    fresh = contact.pk is None
    emails = _fill(request, contact)
    try:
        if fresh:
            contacts.add(request.user, contact, emails)
            if book := _books(request).filter(pk=listing.number(request.POST.get("book", ""))).first():
                contacts.new_in(contact, book)
        else:
            contacts.change(contact, emails)
    except contacts.Invalid as error:
        return _form(request, contact, {"problems": error.problems, "emails": request.POST.get("emails", "")}, 422)
    except contacts.Known as error:
        words = _("%(name)s has this address already.") % {"name": error.contact.name}
        extra = {"problems": {"emails": words}, "known": error.contact, "emails": request.POST.get("emails", "")}
        return _form(request, contact, extra, 422)
    told = _("%(name)s is in your contacts now.") if fresh else _("%(name)s was changed.")
    notice(request, told % {"name": contact.name})
    return SeeOther(reverse("contact", args=[contact.pk]))


def _books(request: Request) -> QuerySet[AddressBook]:
    """That a new contact may be kept in too."""
    return AddressBook.objects.for_user(request.user).filter(writable=True)


def _fill(request: Request, contact: Contact) -> list[tuple[str, str]]:
    """What the form says, onto the contact; the addresses it has."""
    for field in ("name", "organisation", "title", "postal"):
        if field in request.POST:
            setattr(contact, field, mime.clean(request.POST[field])[:255])
    if "note" in request.POST:
        contact.note = request.POST["note"].replace("\r\n", "\n").replace("\0", "")[:5000]
    kinds = dict(contact.phones)
    if "phones" in request.POST:
        numbers = [mime.clean(line)[:60] for line in request.POST["phones"].splitlines()]
        contact.phones = [[number, kinds.get(number, "")] for number in numbers if number][:MAX_PHONES]
    known = {one.email: one.kind for one in contact.addresses.all()} if contact.pk else {}
    emails = [mime.clean(line) for line in request.POST.get("emails", "").splitlines()]
    return [(email, known.get(email.lower(), "")) for email in emails if email]


def _form(request: Request, contact: Contact, extra: dict[str, Any], status: int = 200) -> HttpResponse:
    context: dict[str, Any] = {
        **navigation.context(request, "contacts"),
        "contact": contact,
        "emails": "\n".join(one.written for one in contact.addresses.all()) if contact.pk else "",
        "phones": "\n".join(number for number, _kind in contact.phones),
        "problems": {},
        "books": [] if contact.pk else _books(request),
    }
    return render(request, "webmail/contact_form.html", context | extra, status=status)


@require_safe
@login_required
def one(request: Request, pk: int) -> HttpResponse:
    contact = _own(request, pk)
    context = {
        **navigation.context(request, "contacts"),
        "contact": contact,
        "addresses": list(contact.addresses.all()),
        "groups": contact.groups.all(),
        "here": request.path,
        "phones": [(number, KINDS.get(kind, "")) for number, kind in contact.phones],
    }
    return render(request, "webmail/contact.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def destroy(request: Request, pk: int) -> HttpResponse:
    """Asks first, and there is a way back."""
    contact = _own(request, pk)
    if request.method == "POST":
        words = _("%(name)s was deleted from your contacts.") % {"name": contact.name}
        key = contacts.remove_all(request.user, [contact], words)
        notice(request, words, taken_back_at=reverse("contacts-undo", args=[key]))
        return SeeOther(reverse("contacts"))
    context = {
        **navigation.context(request, "contacts"),
        "question": _("Delete %(name)s from your contacts?") % {"name": contact.name},
        "verb": _("Delete"),
        "cancel": reverse("contact", args=[pk]),
    }
    return render(request, "webmail/ask.html", context)


# --- people and cards in mail --------------------------------------------------------------------------------------------------


def people_of(
    request: Request, message: Message, fields: list[tuple[str, str]]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Whom a message names in each of ``fields`` (name, title), and which of them are contacts; of a crowd nobody is."""
    named = [(title, message.people(field)) for field, title in fields if message.addresses.get(field)]
    emails = [one.email for _title, people in named for one in people if one.email][:MOST_PEOPLE]
    there = contacts.known(request.user, emails)
    offered = {email.lower() for email in emails if mime.is_email(email)}
    return [
        (
            title,
            [
                {
                    "name": one.name,
                    "email": one.email,
                    "contact": there.get(one.email.lower()),
                    "written": mime.format_address(one) if one.email.lower() in offered else "",
                }
                for one in people
            ],
        )
        for title, people in named
    ]


def cards_of(request: Request, message: Message, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """What the page of a message prints of the cards that hang on it."""
    shown = []
    for number, kept in enumerate(facts.get("cards", ())):
        found = mime.cards_from_json({name: kept[name] for name in ("cards", "total")})
        there = contacts.known(request.user, [email for card in found.cards for email, _kind in card.emails])
        entries = [
            {
                "card": card,
                "number": f"{number}-{at}",
                "emails": [(email, KINDS.get(kind, "")) for email, kind in card.emails],
                "phones": [(phone, KINDS.get(kind, "")) for phone, kind in card.phones],
                "known": next((there[email.lower()] for email, _kind in card.emails if email.lower() in there), None),
            }
            for at, card in enumerate(found.cards)
        ]
        url = reverse("part", args=[message.pk, kept["part"]])
        left = found.total - len(found.cards)
        more = (
            ngettext("And %(n)d more, in the file.", "And %(n)d more, in the file.", left) % {"n": left} if left else ""
        )
        shown.append({"entries": entries, "more": more, "url": url})
    return shown


@require_POST
@login_required
def add_card(request: Request, pk: int) -> HttpResponse:
    """One card of a message, named by its file and its place in it."""
    message = listing.own_alone(request, pk)
    here = reverse("message", args=[pk])
    try:
        facts = bodies.body_of(message).facts
    except MailError as error:
        return unreadable(request, message, error)
    file, _dash, at = request.POST.get("card", "").partition("-")
    for card in _cards(facts, listing.number(file), listing.number(at)) if file and at else ():
        return _added(request, *contacts.from_card(card), here)
    problem(request, _("There is no such card in this message."))
    return back(request, here)


def _cards(facts: dict[str, Any], file: int, at: int) -> tuple[mime.Card, ...]:
    """The one at this place, or none."""
    kept = facts.get("cards", [])[file : file + 1]
    return mime.cards_from_json({name: kept[0][name] for name in ("cards", "total")}).cards[at : at + 1] if kept else ()
