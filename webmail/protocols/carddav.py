"""CardDAV (RFC 6352): the address books of a person on a server, and the cards in one. WebDAV (RFC 4918) over HTTP/1.1.

A card is text with an ETag; nothing of what it says is understood here. Every answer is bounded in octets and in time, and
its XML may have no document type. The password goes to the host it was typed for, over TLS unless the caller's server
says otherwise, and with a redirect only to a host of the same domain.
"""

from __future__ import annotations

import base64
import http.client
import re
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit
from xml.sax.saxutils import escape

from webmail.protocols.base import Credentials, Server
from webmail.protocols.errors import (
    AuthenticationFailed,
    InsecureConnection,
    MailError,
    NoPermission,
    NotFound,
    OverQuota,
    ProtocolError,
    Refused,
    StateLost,
    TooLarge,
    Unavailable,
    Unreachable,
)
from webmail.protocols.network import clean_argument, clean_detail, connect, network_error

MAX_OCTETS = 32_000_000  # of one answer
MAX_SECONDS = 120.0  # for one answer
MAX_REDIRECTS = 5
MAX_NODES = 500_000  # elements of one answer
MAX_CARDS = 20_000  # of one book
MAX_PAGES = 100  # of one listing (RFC 6578 §3.6)
MAX_BOOKS = 20
AT_ONCE = 50  # cards that are fetched with one question

DAV, CARD, CS = "{DAV:}", "{urn:ietf:params:xml:ns:carddav}", "{http://calendarserver.org/ns/}"
_NAMESPACES = 'xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:carddav" xmlns:s="http://calendarserver.org/ns/"'
_WRITES = {DAV + name for name in ("all", "write", "write-content", "bind")}

Resolve = Callable[
    [str, int, bool], Server
]  # host, port and whether with TLS; raises MailError for where nobody may go


class Conflict(Refused):
    """The card is not, or no longer, what it was thought to be (RFC 9110 §15.5.13)."""


@dataclass(frozen=True, slots=True)
class Book:
    url: str
    name: str
    writable: bool


@dataclass(frozen=True, slots=True)
class Listing:
    """``cards`` are ETags by href, of all cards if ``whole``, else of those that changed; ``gone`` are hrefs."""

    cards: dict[str, str]
    gone: tuple[str, ...]
    state: str
    whole: bool


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: http.client.HTTPMessage
    octets: bytes
    url: str

    def header(self, name: str) -> str:
        return clean_detail(self.headers.get(name, ""))


@dataclass(frozen=True, slots=True)
class _Resource:
    """One response of a multistatus (RFC 4918 §14.24): properties found, by name."""

    href: str
    status: int
    props: dict[str, ElementTree.Element]


class CardDAV:
    """One server, one person; a connection is kept between questions. All methods raise MailError."""

    def __init__(self, url: str, credentials: Credentials, resolve: Resolve) -> None:
        self._credentials, self._resolve = credentials, resolve
        self.url = url
        self._connection: http.client.HTTPConnection | None = None
        self._place: tuple[str, int, bool] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._place = None

    # --- finding books ---------------------------------------------------------------------------------------------------

    def books(self) -> list[Book]:
        """From any address of the server (RFC 6764 §6): that of a book, of a person, of their books, or of nothing."""
        found = self._look(self.url)
        if found is None or not found.props:
            found = self._look(urljoin(self.url, "/.well-known/carddav"))
        if found is None:
            raise NotFound("no address books")
        if _is_book(found):
            return [_book(self.url, found)]
        home = _href(found, CARD + "addressbook-home-set")
        if not home:
            principal = _href(found, DAV + "current-user-principal")
            person = self._look(urljoin(self.url, principal)) if principal else None
            home = _href(person, CARD + "addressbook-home-set") if person else ""
        listed = self._propfind(urljoin(self.url, home) if home else self.url, _ABOUT, 1)
        return [_book(self.url, one) for one in listed if _is_book(one)][:MAX_BOOKS]

    def _look(self, url: str) -> _Resource | None:
        """What is said of this one place; where it leads to is where to go on from. None if nothing is there."""
        try:
            return next(iter(self._propfind(url, _ABOUT, 0)), None)
        except (NotFound, Conflict):
            return None
        except Refused as error:
            if error.code in ("405", "501", "400"):  # no WebDAV here, as at the root of a web site
                return None
            raise

    # --- cards -----------------------------------------------------------------------------------------------------------

    def listing(self, book: str, state: str) -> Listing:
        """What changed since ``state``, or all. Raises NotFound if the book is not there."""
        try:
            return self._changes(book, state)
        except StateLost:
            return self._changes(book, "")  # RFC 6578 §3.8: from the beginning
        except Refused as error:
            if isinstance(error, NotFound | NoPermission) and not error.code:
                raise
            return self._all(book)

    def _changes(self, book: str, state: str) -> Listing:
        """RFC 6578 §3.2. Raises Refused where the server does not know that."""
        cards: dict[str, str] = {}
        gone: dict[str, None] = {}
        token = state
        for _page in range(MAX_PAGES):
            body = (
                f"<d:sync-collection {_NAMESPACES}><d:sync-token>{escape(token)}</d:sync-token>"
                "<d:sync-level>1</d:sync-level><d:prop><d:getetag/></d:prop></d:sync-collection>"
            )
            answer = self._ask("REPORT", book, body, {"Depth": "0"})
            if answer.status in (403, 409) and token and b"valid-sync-token" in answer.octets:
                raise StateLost("the server has forgotten what it told")
            tree = self._multistatus(answer)
            more = False
            for one in _resources(tree):
                href = _path(one.href)
                if _is_same(href, book):
                    more = more or one.status == 507  # RFC 6578 §3.6: there is more to tell
                elif one.status == 404:
                    gone[href] = None
                    cards.pop(href, None)
                elif one.props.get(DAV + "getetag") is not None:
                    cards[href] = _text(one.props[DAV + "getetag"])
                    gone.pop(href, None)
            _bounded(cards)
            before, token = token, (tree.findtext(DAV + "sync-token") or "").strip()[:1000]
            if not token:
                raise Refused("no sync-token", "NO-TOKEN")
            if not more or token == before:
                break
        return Listing(cards, tuple(gone), token, not state)

    def _all(self, book: str) -> Listing:
        listed = self._propfind(book, "<d:getetag/><d:resourcetype/>", 1)
        cards = {
            _path(one.href): _text(one.props[DAV + "getetag"])
            for one in listed
            if DAV + "getetag" in one.props and not _is_same(one.href, book) and not _kinds(one)
        }
        _bounded(cards)
        return Listing(cards, (), "", True)

    def cards(self, book: str, hrefs: Sequence[str]) -> Iterator[tuple[str, str, str]]:
        """(href, ETag, text) of those that are there (RFC 6352 §8.7)."""
        for place in range(0, len(hrefs), AT_ONCE):
            wanted = "".join(f"<d:href>{escape(href)}</d:href>" for href in hrefs[place : place + AT_ONCE])
            body = (
                f"<c:addressbook-multiget {_NAMESPACES}><d:prop><d:getetag/><c:address-data/></d:prop>"
                f"{wanted}</c:addressbook-multiget>"
            )
            for one in _resources(self._multistatus(self._ask("REPORT", book, body, {"Depth": "0"}))):
                data, etag = one.props.get(CARD + "address-data"), one.props.get(DAV + "getetag")
                if data is not None and etag is not None:
                    yield _path(one.href), _text(etag), "".join(data.itertext())

    def card(self, href: str) -> tuple[str, str]:
        """(ETag, text). Raises NotFound."""
        answer = self._checked(self._ask("GET", urljoin(self.url, href), "", {"Accept": "text/vcard"}))
        return answer.header("ETag"), answer.octets.decode("utf-8", "replace")

    def put(self, href: str, text: str, etag: str) -> str:
        """In the place of the card of this ETag, or as a new one where it is "". Its new ETag, if the server tells. Raises
        Conflict."""
        condition = {"If-Match": etag} if etag else {"If-None-Match": "*"}  # RFC 6352 §6.3.2
        headers = {"Content-Type": "text/vcard; charset=utf-8", **condition}
        return self._checked(self._ask("PUT", urljoin(self.url, href), text, headers)).header("ETag")

    def delete(self, href: str, etag: str) -> None:
        """Raises Conflict, NotFound."""
        self._checked(self._ask("DELETE", urljoin(self.url, href), "", {"If-Match": etag} if etag else {}))

    # --- HTTP ------------------------------------------------------------------------------------------------------------

    def _propfind(self, url: str, props: str, depth: int) -> list[_Resource]:
        body = f"<d:propfind {_NAMESPACES}><d:prop>{props}</d:prop></d:propfind>"
        answer = self._ask("PROPFIND", url, body, {"Depth": str(depth)})
        self.url = answer.url if depth == 0 and answer.status == 207 else self.url
        return list(_resources(self._multistatus(answer)))

    def _multistatus(self, answer: _Answer) -> ElementTree.Element:
        self._checked(answer)
        if answer.status != 207:
            raise Refused(f"no multistatus but {answer.status}", str(answer.status))
        return _parsed(answer.octets)

    def _checked(self, answer: _Answer) -> _Answer:
        if 200 <= answer.status < 300:
            return answer
        self.close() if answer.status >= 500 else None
        raise _error(answer)

    def _ask(self, method: str, url: str, body: str, headers: dict[str, str]) -> _Answer:
        """Redirects are followed (RFC 6764 §5), within the same domain."""
        first = urlsplit(url).hostname or ""
        for _hop in range(MAX_REDIRECTS + 1):
            answer = self._once(method, url, body, headers)
            if answer.status not in (301, 302, 307, 308):
                return answer
            url = urljoin(url, answer.header("Location"))
            if not _same_domain(first, urlsplit(url).hostname or ""):
                raise InsecureConnection(f"the server points to {urlsplit(url).hostname}", "REDIRECT")
        raise ProtocolError("too many redirects")

    def _once(self, method: str, url: str, body: str, headers: dict[str, str]) -> _Answer:
        parts = urlsplit(url)
        target = clean_argument(
            quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (f"?{parts.query}" if parts.query else "")
        )
        sent = {**self._headers(), **headers}
        octets = body.encode()
        if octets and "Content-Type" not in sent:
            sent["Content-Type"] = "application/xml; charset=utf-8"
        again = self._connection is not None  # a connection that idled may be gone: once more on a new one
        while True:
            connection = self._connected(url)
            deadline = time.monotonic() + MAX_SECONDS
            try:
                connection.request(method, target, octets or None, sent)
                response = connection.getresponse()
                answer = _Answer(response.status, response.headers, _read(response, deadline), url)
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if again and isinstance(error, http.client.RemoteDisconnected | ConnectionError):
                    again = False
                    continue
                raise _trouble(error) from error
            if response.will_close:
                self.close()
            return answer

    def _connected(self, url: str) -> http.client.HTTPConnection:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ProtocolError("not an address of the web")
        place = (parts.hostname, parts.port or (443 if secure else 80), secure)
        if self._connection is not None and self._place == place:
            return self._connection
        self.close()
        server = self._resolve(*place)
        connection = http.client.HTTPConnection(place[0], place[1], timeout=server.timeout)
        connection.sock = connect(server)
        self._connection, self._place = connection, place
        return connection

    def _headers(self) -> dict[str, str]:
        """RFC 7617."""
        pair = f"{clean_argument(self._credentials.user)}:{clean_argument(self._credentials.secret)}"
        return {
            "Authorization": "Basic " + base64.b64encode(pair.encode()).decode(),
            "User-Agent": "Postkasse",
            "Accept-Encoding": "identity",
        }


_ABOUT = (
    "<d:resourcetype/><d:displayname/><d:current-user-principal/><c:addressbook-home-set/>"
    "<d:current-user-privilege-set/>"
)


def _same_domain(one: str, other: str) -> bool:
    return one == other or (one.count(".") > 0 and one.split(".")[-2:] == other.split(".")[-2:])


def _read(response: http.client.HTTPResponse, deadline: float) -> bytes:
    octets = bytearray()
    while chunk := response.read1(65536):
        octets += chunk
        if len(octets) > MAX_OCTETS:
            raise http.client.HTTPException("the answer is over a bound")
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(octets)


def _trouble(error: OSError | http.client.HTTPException) -> MailError:
    if isinstance(error, http.client.RemoteDisconnected):
        return Unreachable("the server hung up")
    return network_error(error) if isinstance(error, OSError) else ProtocolError(clean_detail(error))


def _error(answer: _Answer) -> MailError:
    words = f"{answer.status} {http.client.responses.get(answer.status, '')}".strip()
    code = str(answer.status)
    kinds: dict[int, type[MailError]] = {
        401: AuthenticationFailed, 403: NoPermission, 413: TooLarge, 412: Conflict, 429: Unavailable, 507: OverQuota,
    }  # fmt: skip
    if answer.status in (404, 410):
        return NotFound(words)
    if answer.status >= 500 and answer.status not in (501, 507):
        return Unavailable(words, code)
    return kinds.get(answer.status, Refused)(
        words, "" if answer.status == 403 and b"error" not in answer.octets else code
    )


# --- XML --------------------------------------------------------------------------------------------------------------------

_ETAG = re.compile(r"[\x20-\x7e\x80-\xff]{1,300}")


def _parsed(octets: bytes) -> ElementTree.Element:
    """UTF-8 without a document type, whatever the document says of itself: no multistatus needs one."""
    if b"<!DOCTYPE" in octets or b"<!ENTITY" in octets or b"\0" in octets:  # UTF-16 has NUL
        raise ProtocolError("the answer has a document type")
    try:
        tree = ElementTree.fromstring(octets, ElementTree.XMLParser(encoding="utf-8"))  # noqa: S314  (see above)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ProtocolError(clean_detail(error)) from error
    if sum(1 for _node in tree.iter()) > MAX_NODES:
        raise ProtocolError("the answer is over a bound")
    return tree


def _resources(tree: ElementTree.Element) -> Iterator[_Resource]:
    for node in tree.iterfind(DAV + "response"):
        props: dict[str, ElementTree.Element] = {}
        for stat in node.iterfind(DAV + "propstat"):
            if _status(stat) == 200:
                for prop in stat.iterfind(DAV + "prop"):
                    props |= {one.tag: one for one in prop}
        yield _Resource((node.findtext(DAV + "href") or "").strip()[:2000], _status(node), props)


def _status(node: ElementTree.Element) -> int:
    words = (node.findtext(DAV + "status") or "").split()  # "HTTP/1.1 200 OK"
    return int(words[1]) if len(words) > 1 and words[1].isdigit() and len(words[1]) == 3 else 200


def _text(node: ElementTree.Element) -> str:
    text = (node.text or "").strip()
    return text if _ETAG.fullmatch(text) else ""


def _kinds(one: _Resource) -> set[str]:
    node = one.props.get(DAV + "resourcetype")
    return {kind.tag for kind in node} if node is not None else set()


def _is_book(one: _Resource) -> bool:
    return CARD + "addressbook" in _kinds(one)


def _book(base: str, one: _Resource) -> Book:
    name = one.props.get(DAV + "displayname")
    url = urljoin(base, one.href)
    said = clean_detail(name.text or "")[:100] if name is not None else ""
    rights = one.props.get(DAV + "current-user-privilege-set")
    writable = rights is None or any(node.tag in _WRITES for node in rights.iter())
    return Book(url, said or unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])[:100] or url[:100], writable)


def _href(one: _Resource, name: str) -> str:
    node = one.props.get(name)
    return (node.findtext(DAV + "href") or "").strip()[:2000] if node is not None else ""


def _path(href: str) -> str:
    """Without the host, and quoted as the server has it: it is asked for by the same letters."""
    return urlsplit(href).path


def _is_same(one: str, other: str) -> bool:
    return unquote(_path(one)).rstrip("/") == unquote(_path(other)).rstrip("/")


def _bounded(cards: dict[str, str]) -> None:
    if len(cards) > MAX_CARDS:
        raise ProtocolError(f"more than {MAX_CARDS} cards in one book")
