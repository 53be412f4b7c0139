"""One address book kept in step: local changes to the server first, then the server's to here.

A card that is to be written is fetched before, so that what it says beside what is known here (pictures, properties of
other programs) stays, and so that a change there that nobody here has seen is merged, not overwritten; If-Match guards the
moment between. ``RemoteCard.source`` is what both sides last agreed on. A row is marked ``changed`` until the server has
taken it, so a crash repeats work and loses none.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import secrets
from accounts.discovery import resolve_book
from accounts.troubles import explain
from webmail import contacts, events, mime
from webmail.books.merge import Face, Lost, face, face_of, merge
from webmail.contacts.exchange import card_of
from webmail.models import AddressBook, Contact, ContactAddress, ContactGroup, RemoteCard
from webmail.protocols.base import Credentials
from webmail.protocols.carddav import CardDAV, Conflict, Listing
from webmail.protocols.errors import AuthenticationFailed, MailError, NoPermission, NotFound, Refused

INTERVAL = timedelta(minutes=15)
LONGEST = timedelta(hours=6)  # between tries of a server that is away
LEASE = timedelta(minutes=10)
TRIES = 3  # of one card that changes while it is written
GIVEN_UP = 5  # syncs in which the server refused a card
MAX_SOURCE = 1_000_000  # characters of a card that is read; a larger one is left alone
MAX_NOTES = 50
BATCH = 100
log = logging.getLogger(__name__)


def due(limit: int = 100) -> list[int]:
    """Books whose time has come."""
    now = timezone.now()
    rows = AddressBook.objects.filter(Q(leased_until=None) | Q(leased_until__lt=now), due_at__lte=now, needs_user=False)
    return list(rows.order_by("due_at").values_list("pk", flat=True)[:limit])


def nudge_by(nudge: Callable[[int], None]) -> None:
    contacts.on_change(nudge)


def sync_due() -> int:
    """All that are due, one after another; how many they were."""
    found = due()
    for pk in found:
        sync_book(pk)
    return len(found)


def open_book(book: AddressBook) -> CardDAV:
    """Raises AuthenticationFailed if the stored password cannot be used there."""
    try:
        secret = secrets.unseal(book.credentials, settings.CREDENTIAL_KEYS)
    except secrets.Unreadable as error:
        raise AuthenticationFailed(_("The stored password cannot be read any more.")) from error
    if not secret.allowed_at(urlsplit(book.url).hostname or ""):
        raise AuthenticationFailed(_("The stored password belongs to another server."))
    return CardDAV(book.url, Credentials(book.username, secret.text), resolve_book)


def sync_book(pk: int) -> None:
    """Raises nothing that a server does: what went wrong is in the row."""
    now = timezone.now()
    free = AddressBook.objects.filter(Q(leased_until=None) | Q(leased_until__lt=now), pk=pk)
    if not free.update(leased_until=now + LEASE):
        return
    book = AddressBook.objects.select_related("user").get(pk=pk)
    try:
        with open_book(book) as server:
            _Sync(book, server).run()
    except MailError as error:
        _failed(book, error)
    else:
        AddressBook.objects.filter(pk=pk).update(
            synced_at=timezone.now(), failures=0, needs_user=False, trouble="", leased_until=None
        )
        # What was changed meanwhile has set it to now, and is done next.
        AddressBook.objects.filter(pk=pk, due_at__lte=now).update(due_at=timezone.now() + INTERVAL)
    finally:
        AddressBook.objects.filter(pk=pk).update(leased_until=None)
    events.mark(book.user_id)


def _failed(book: AddressBook, error: MailError) -> None:
    log.info("address book %s: %s: %s", book.pk, type(error).__name__, str(error)[:200])
    words = explain(error, urlsplit(book.url).hostname or "")
    wait = min(LONGEST, INTERVAL * 2 ** min(book.failures, 10))
    AddressBook.objects.filter(pk=book.pk).update(
        failures=min(book.failures + 1, 30), needs_user=error.needs_user, due_at=timezone.now() + wait,
        trouble=f"{words.what} {words.advice} {error.detail}".strip()[:1000],
    )  # fmt: skip


class _Sync:
    """One run over one book."""

    def __init__(self, book: AddressBook, server: CardDAV) -> None:
        self.book, self.server, self.user = book, server, book.user

    def run(self) -> None:
        for row in self.book.cards.filter(changed=True).select_related("contact").order_by("id"):
            self._hold()
            try:
                self._push(row)
            except NoPermission:
                self._note(_("%(book)s does not let you change %(name)s; your change is kept here.") % self._names(row))
                self.book.cards.filter(pk=row.pk).update(changed=False)
            except Refused as error:
                self._refused(row, error)
        self._pull()

    def _hold(self) -> None:
        """Still at work."""
        AddressBook.objects.filter(pk=self.book.pk).update(leased_until=timezone.now() + LEASE)

    def _names(self, row: RemoteCard) -> dict[str, str]:
        return {"book": self.book.name, "name": row.contact.name if row.contact else mime.read_card(row.source).name}

    def _note(self, words: str) -> None:
        """For the person to read; the newest are kept."""
        self.book.refresh_from_db(fields=["notes"])
        self.book.notes = [*self.book.notes, words][-MAX_NOTES:]
        self.book.save(update_fields=["notes"])

    def _refused(self, row: RemoteCard, error: Refused) -> None:
        """One card that the server does not take keeps none of the others from it."""
        log.info("card %s of book %s: %s", row.pk, self.book.pk, str(error)[:200])
        row.failures += 1
        self.book.cards.filter(pk=row.pk).update(failures=row.failures, changed=row.failures < GIVEN_UP)
        if row.failures == GIVEN_UP:
            words = _("%(book)s does not take your change of %(name)s: %(why)s. It is kept here.")
            self._note(words % {**self._names(row), "why": error.detail})

    # --- to the server -----------------------------------------------------------------------------------------------------

    def _push(self, row: RemoteCard) -> None:
        if row.contact is None:
            self._delete(row)
            return
        for _try in range(TRIES):
            try:
                self._put(row, row.contact)
                return
            except Conflict:
                row.contact.refresh_from_db()
        raise Refused(_("it changes there all the time"))

    def _delete(self, row: RemoteCard) -> None:
        try:
            self.server.delete(row.href, row.etag)
        except NotFound:
            pass  # there is nothing left to do
        except Conflict:  # changed there since: that wins, and comes back with what is read next
            words = _("%(name)s was changed in %(book)s after you deleted it here, so it is back.")
            self._note(words % self._names(row))
            self.book.cards.filter(pk=row.pk).update(changed=False, etag="")
            AddressBook.objects.filter(pk=self.book.pk).update(state="")
            self.book.state = ""
            return
        row.delete()

    def _put(self, row: RemoteCard, contact: Contact) -> None:
        """Raises Conflict if somebody was quicker."""
        seen = contact.changed_at
        etag, text = self._there(row, contact)
        base, ours, theirs = face_of(row.source), _here(contact, row.source), face_of(text)
        merged, lost = merge(base, ours, theirs) if text else (ours, [])
        written = mime.write_card(merged.card, sorted(merged.groups), str(contact.uid), "3.0", into=text)
        fresh = self.server.put(row.href, written, etag) if written != text else etag
        for one in lost:
            self._note(_lost(self.book, contact, one))
        with transaction.atomic():
            RemoteCard.objects.filter(pk=row.pk).update(etag=fresh, source=_kept(written), failures=0)
            now = Contact.objects.select_for_update().filter(pk=contact.pk).first()
            if now is None:
                return  # deleted meanwhile, and marked so
            if now.changed_at == seen:
                RemoteCard.objects.filter(pk=row.pk).update(changed=False)
            else:  # changed again meanwhile: that is put next, with what came from there
                merged, _none = merge(ours, _here(now, row.source), merged)
            if merged != ours:
                write_face(now, merged, written)

    def _there(self, row: RemoteCard, contact: Contact) -> tuple[str, str]:
        """(ETag, text) of the card that is written into; both "" where there is none."""
        if not row.href:
            base = urlsplit(self.book.url).path.rstrip("/")
            row.href = f"{base}/{contact.uid}.vcf"
            RemoteCard.objects.filter(pk=row.pk).update(href=row.href)  # known, should this break off after it was put
        try:
            etag, text = self.server.card(row.href)
        except NotFound:
            if row.etag:
                words = _("%(name)s was deleted from %(book)s while you changed it here, so it was put back.")
                self._note(words % self._names(row))
            return "", ""
        return etag, text

    # --- from the server ---------------------------------------------------------------------------------------------------

    def _pull(self) -> None:
        listing = self._listed()
        known = dict(self.book.cards.exclude(href="").values_list("href", "etag"))
        wanted = [href for href, etag in listing.cards.items() if not etag or known.get(href) != etag]
        for place in range(0, len(wanted), BATCH):
            self._hold()
            found = list(self.server.cards(self.book.url, wanted[place : place + BATCH]))
            with transaction.atomic():
                for href, etag, text in found:
                    self._take(href, etag, text)
        gone = set(known) - set(listing.cards) if listing.whole else set(listing.gone)
        self._let_go(gone & set(known))
        AddressBook.objects.filter(pk=self.book.pk).update(state=listing.state)

    def _listed(self) -> Listing:
        """A book that suddenly lists nothing is looked at twice."""
        listing = self.server.listing(self.book.url, self.book.state)
        if listing.whole and not listing.cards and self.book.cards.exclude(href="").exists():
            listing = self.server.listing(self.book.url, "")
        return listing

    def _take(self, href: str, etag: str, text: str) -> None:
        row = self.book.cards.select_related("contact").filter(href=href).first() or RemoteCard(
            book=self.book, href=href
        )
        if row.changed:
            return  # is merged when it is next written
        row.etag = etag
        if len(text) > MAX_SOURCE or mime.is_group(text):
            row.save()
            return
        theirs = face_of(text)
        contact = row.contact or self._match(theirs, text)
        if contact is None:
            contact = Contact(user=self.user, uid=contacts.exchange.free_uid(self.user, mime.uid_of(text)), name="")
        elif row.contact is None:  # was here before: nothing of either is lost
            theirs, _none = merge(Face(mime.Card()), _here(contact, ""), theirs)
            row.changed = theirs != face_of(text)
        row.source = _kept(text)
        write_face(contact, theirs, text)
        row.contact = contact
        row.save()

    def _match(self, theirs: Face, text: str) -> Contact | None:
        """A contact of no book that is this one: by uid, else by an address."""
        free = Contact.objects.filter(user=self.user, card=None)
        uid = contacts.exchange.uuid_of(mime.uid_of(text))
        emails = [email.lower()[:320] for email, _kind in theirs.card.emails]
        return (uid and free.filter(uid=uid).first()) or free.filter(addresses__email__in=emails).first()

    def _let_go(self, hrefs: Iterable[str]) -> None:
        """Deleted on the server: here too, and kept for a month as what the person deletes is."""
        rows = [
            row for row in self.book.cards.filter(changed=False).select_related("contact") if row.href in set(hrefs)
        ]
        people = [row.contact for row in rows if row.contact]
        with transaction.atomic():
            for row in rows:
                row.delete()
            if people:
                words = ngettext("%(n)d contact was deleted from %(book)s.", "%(n)d contacts were deleted from %(book)s.",
                                 len(people)) % {"n": len(people), "book": self.book.name}  # fmt: skip
                contacts.remove_all(self.user, people, words)
                self._note(words)


def _here(contact: Contact, source: str) -> Face:
    """As the person sees it, and the addresses of the card that another contact of theirs has here."""
    card = card_of(contact)
    shown = {email.lower() for email, _kind in card.emails}
    held = {
        email.lower()[:320]: (email, kind)
        for email, kind in mime.read_card(source).emails
        if email.lower() not in shown
    }
    others = ContactAddress.objects.filter(user=contact.user_id, email__in=held).exclude(contact=contact.pk)
    kept = tuple(held[email] for email in others.values_list("email", flat=True))
    whole = mime.Card(
        name=card.name, emails=(*card.emails, *kept), phones=card.phones, organisation=card.organisation,
        title=card.title, address=card.address, note=card.note,
    )  # fmt: skip
    return face(whole, list(contact.groups.values_list("name", flat=True)))


def write_face(contact: Contact, shown: Face, text: str) -> None:
    """The contact as the card says. An address that another contact has stays theirs."""
    card = shown.card
    contact.name = card.name or (card.emails[0][0] if card.emails else _("Without a name"))
    contact.organisation, contact.title, contact.postal, contact.note = (
        card.organisation, card.title, card.address, card.note,
    )  # fmt: skip
    contact.phones = [list(pair) for pair in card.phones]
    contact.vcard = mime.read_card(text).source
    contacts.put(contact, card.emails)
    groups = [group for name in sorted(shown.groups) if (group := _group(contact, name))]
    contact.groups.set(groups)


def _group(contact: Contact, name: str) -> ContactGroup | None:
    found = ContactGroup.objects.filter(user=contact.user, sort=name.casefold()[:100]).first()
    if found:
        return found
    try:
        return contacts.create_group(contact.user, name)
    except contacts.BadGroup:
        return None  # too many: the card keeps it


def _kept(text: str) -> str:
    """What is compared with later: without pictures, as they are large."""
    return mime.read_card(text).source


def _lost(book: AddressBook, contact: Contact, one: Lost) -> str:
    words = _("%(name)s was changed in %(book)s too: “%(there)s” stays, and your “%(here)s” was not kept.")
    values = {"name": contact.name, "book": book.name, "there": one.there[:500], "here": one.here[:500]}
    return words % values
