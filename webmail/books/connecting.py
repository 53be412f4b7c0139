"""Finding a person's address books from an address or a URL, and taking them up."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import secrets
from accounts.discovery import book_servers, resolve_book
from accounts.models import User
from accounts.troubles import explain
from webmail import mime
from webmail.models import AddressBook, RemoteCard
from webmail.protocols.base import Credentials
from webmail.protocols.carddav import Book, CardDAV
from webmail.protocols.errors import AuthenticationFailed, MailError

MOST = 20  # books of one person


class NoBooks(Exception):
    """None could be taken up; the words say why."""


def connect(user: User, place: str, username: str, password: str) -> list[AddressBook]:
    """All that the server has for this person; ``place`` is a mail address, a host or a URL. Those taken up before get the
    password. Raises NoBooks."""
    failure: MailError | None = None
    for url in _urls(place.strip()):
        try:
            with CardDAV(url, Credentials(username, password), resolve_book) as server:
                found = server.books()
        except MailError as error:
            if failure is None or isinstance(error, AuthenticationFailed):
                failure = error
            continue
        if found:
            return _keep(user, found, username, password)
    if failure is not None:
        words = explain(failure, _host(place))
        raise NoBooks(f"{words.what} {words.advice} {failure.detail}".strip()) from failure
    raise NoBooks(_("There are no address books at %(place)s.") % {"place": place})


def _urls(place: str) -> Iterator[str]:
    if "://" in place:
        yield place
    elif mime.is_email(place):
        yield from book_servers(place)
    elif place:
        yield f"https://{place}"


def _host(place: str) -> str:
    return urlsplit(place).hostname or place.rpartition("@")[2]


def _keep(user: User, found: list[Book], username: str, password: str) -> list[AddressBook]:
    kept = []
    with transaction.atomic():
        for one in found:
            secret = secrets.Secret(password, (urlsplit(one.url).hostname or "",))
            values = {
                "username": username, "credentials": secrets.seal(secret, settings.CREDENTIAL_KEYS), "needs_user": False,
                "trouble": "", "failures": 0, "writable": one.writable,
            }  # fmt: skip
            book = AddressBook.objects.filter(user=user, url=one.url[:500]).first()
            if book is None and AddressBook.objects.for_user(user).count() >= MOST:
                break
            book = book or AddressBook(user=user, url=one.url[:500], name=one.name)
            for name, value in values.items():
                setattr(book, name, value)
            book.save()
            kept.append(book)
    if not kept:
        raise NoBooks(_("At most %(n)d address books.") % {"n": MOST})
    return kept


def leave(book: AddressBook) -> None:
    """Its contacts stay here, and on the server. What the server has not heard yet it will not hear."""
    with transaction.atomic():
        RemoteCard.objects.filter(book=book).delete()
        book.delete()
