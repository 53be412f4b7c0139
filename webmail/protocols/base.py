"""The protocol seam: what the rest of Postkasse may know of a mail server.

Values cross it, never library types: ``str``, ``bytes``, ``int``, ``datetime`` and the frozen dataclasses below.

Vocabulary (RFC 8621, RFC 9051): a *mailbox* holds messages and is named by its full decoded name, hierarchy delimiter
included; a *uid* is an opaque string, unique in its mailbox as long as the *state* token stays valid; a *keyword* is in
the JMAP form (``$seen $flagged $answered $draft $forwarded``, others as the server spells them, lower case); a *role* is
one of ROLES; a *part* is a section number of RFC 9051 §6.4.5 (``"1.2"``), and ``None`` means the whole message.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import BinaryIO, Protocol, Self

ROLES = ("inbox", "drafts", "sent", "archive", "junk", "trash")


class Capability(enum.Enum):
    """What the *user* may do with this store; optimisations never leave the adapter."""

    MAILBOXES = "mailboxes"
    KEYWORDS = "keywords"
    CUSTOM_KEYWORDS = "custom keywords"
    APPEND = "append"
    SEARCH = "search"
    SIMILAR = "similar"  # words are found that are not quite those which were asked for
    WATCH = "watch"
    QUOTA = "quota"


class Security(enum.StrEnum):
    """How the connection is protected: TLS from the first byte, STARTTLS/STLS demanded, or none."""

    TLS = "tls"
    STARTTLS = "starttls"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect. ``addresses``, when given, are the only IP addresses that may be used (already checked by the
    caller); ``host`` is then only the name for TLS and SASL. ``timeout`` in seconds, for every single read and write;
    ``patience`` for the answer to a whole message handed over, which a server may think about (RFC 5321 §4.5.3.2.6).
    ``without`` are words, in upper case, that are ignored where the server offers them, because what it makes of them is
    broken: capabilities of IMAP and POP3, keywords of EHLO."""

    protocol: str  # "imap", "pop3" or "smtp"
    host: str
    port: int
    security: Security
    addresses: tuple[str, ...] = ()
    ca_file: str | None = None
    timeout: float = 30.0
    patience: float = 600.0
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who signs in. ``oauth`` means ``secret`` is an access token, used by OAUTHBEARER (RFC 7628) or XOAUTH2."""

    user: str
    secret: str = field(repr=False)
    oauth: bool = False


@dataclass(frozen=True, slots=True)
class RemoteMailbox:
    """One mailbox as the server lists it. Counts are None where the server did not say."""

    name: str
    delimiter: str | None = None
    role: str | None = None
    selectable: bool = True
    subscribed: bool = True
    total: int | None = None
    unread: int | None = None


@dataclass(frozen=True, slots=True)
class Structure:
    """One node of BODYSTRUCTURE (RFC 9051 §7.5.2), values as sent (encoded words and RFC 2231 not yet decoded).

    ``part`` is the section number to fetch this node by; a multipart root has ``""``. A message/rfc822 node has the
    structure of the inner message as its only child. ``size`` is in transfer-encoded octets. The ``params`` of a
    multipart have no boundary, which means nothing away from the octets that it divides."""

    part: str
    type: str  # "text/plain", lower case
    params: Mapping[str, str] = field(default_factory=dict)  # names lower case
    content_id: str | None = None
    encoding: str = "7bit"  # lower case
    size: int = 0
    disposition: str | None = None  # lower case
    disposition_params: Mapping[str, str] = field(default_factory=dict)
    children: tuple[Structure, ...] = ()

    @property
    def divided(self) -> bool:
        """Whether it is a multipart, and so has no octets of its own to be counted."""
        return bool(self.children) and self.type.startswith("multipart/")


@dataclass(frozen=True, eq=False, slots=True)
class Outline:
    """All of a structure but the sizes. The same object may come again with each message of that form, so that what
    follows from it can be remembered."""

    structure: Structure  # its sizes are 0

    @classmethod
    def of(cls, structure: Structure) -> tuple[Outline, tuple[int, ...]]:
        """The outline, and the sizes of all nodes but multiparts, in order."""
        sizes: list[int] = []

        def without(node: Structure) -> Structure:
            if not node.divided:
                sizes.append(node.size)
            return replace(node, size=0, children=tuple(map(without, node.children)))

        return cls(without(structure)), tuple(sizes)

    def sized(self, sizes: Iterable[int]) -> Structure:
        left = iter(sizes)

        def sized(node: Structure) -> Structure:
            size = 0 if node.divided else next(left)
            return replace(node, size=size, children=tuple(map(sized, node.children)))

        return sized(self.structure)


@dataclass(frozen=True, slots=True)
class RemoteMessage:
    """What a list needs of one message. ``header`` is the raw header (or the fields of it that HEADER_FIELDS names),
    up to and including the blank line; ``outline`` is None where only reading the whole message would tell (POP3), and
    ``sizes`` are what it leaves out; ``received_at`` is aware, or None (POP3); ``preview`` only where the server
    computes it (RFC 8970)."""

    uid: str
    size: int
    keywords: frozenset[str]
    header: bytes
    received_at: datetime | None = None
    outline: Outline | None = field(default=None, compare=False)
    sizes: tuple[int, ...] = ()
    preview: str | None = None

    @property
    def structure(self) -> Structure | None:
        return self.outline.sized(self.sizes) if self.outline else None


# What is kept of a header or shown of it; each name comes back with each message, so nothing is asked that nobody reads.
HEADER_FIELDS = (
    "date", "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "message-id", "in-reply-to", "references",
    "list-id", "list-unsubscribe", "list-unsubscribe-post", "list-post", "delivered-to", "x-original-to",
    "auto-submitted",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between a mailbox and what the caller knows of it.

    ``created`` newest first; ``updated`` maps uid to the full new keyword set; ``state`` is saved by the caller only
    after everything in here was stored, so that a crash repeats work and loses none."""

    state: str
    created: tuple[str, ...] = ()
    updated: Mapping[str, frozenset[str]] = field(default_factory=dict)
    destroyed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Condition:
    """A search as plain criteria, all of which must hold; empty means everything. ``text`` is anywhere in the message, its
    header included, ``body`` in its text; letters are found inside of words too, but a server with an index of words may
    find whole words only. ``similar``: of these two, what is like them counts too, as the server sees it; where it has
    no Capability.SIMILAR this says nothing. ``after`` takes its bound in, ``before`` does not; at least what was received
    between them is found, and more where a server knows nothing but days. Sizes are in octets and do not take their bound
    in.

    A tree is made by the last three: all of ``all_of``, one at least of ``one_of`` if there are any, none of ``none_of``."""

    text: str = ""
    body: str = ""
    similar: bool = False
    subject: str = ""
    from_: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    message_id: str = ""
    has_keyword: str = ""
    not_keyword: str = ""
    after: datetime | None = None
    before: datetime | None = None
    larger: int | None = None
    smaller: int | None = None
    all_of: tuple[Condition, ...] = ()
    one_of: tuple[Condition, ...] = ()
    none_of: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """Storage, in octets (RFC 9208)."""

    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """The SMTP envelope (RFC 5321 §2.3.1), apart from the message's header. ``notify`` asks that servers tell of
    delivery, where they do such a thing (RFC 3461)."""

    sender: str
    recipients: tuple[str, ...]
    message_id: str = ""  # for DSN ENVID and error reports only
    notify: bool = False


@dataclass(frozen=True, slots=True)
class Submitted:
    """Accepted for delivery; ``refused`` names recipients that were not (reply text by address, as it was given), ``later``
    those for whom the server wants to be asked again (4yz), ``reply`` the final words; ``notified`` says that the server
    promised to tell of delivery."""

    refused: Mapping[str, str] = field(default_factory=dict)
    reply: str = ""
    notified: bool = False
    later: Mapping[str, str] = field(default_factory=dict)


class Watch(Protocol):
    """A connection waiting for the server to speak (IDLE, RFC 2177; NOTIFY, RFC 5465), for use in a selector loop.
    Only close() may wait for the server."""

    @property
    def how(self) -> str:
        """``idle``: the one mailbox is heard; ``notify``: all are."""

    @property
    def settled(self) -> bool:
        """False while the server owes the answer to renew(). How long is too long is for the caller to say."""

    def fileno(self) -> int: ...

    def changed(self) -> bool:
        """Read what has come; True if a mailbox changed. Raises MailError if the connection or the watch ended."""

    def renew(self) -> None:
        """Begin to leave and re-enter IDLE, so that neither server (29 min, RFC 2177) nor NAT gives up on us; the
        answers are read by changed(). Nothing while one is under way."""

    def close(self) -> None:
        """Leave politely; the store can be used again. Never raises."""

    def abandon(self) -> None:
        """Close the connection at once and without a word."""


class MailStore(Protocol):
    """One authenticated connection to where mail is kept. Not thread-safe. Every method may raise MailError."""

    capabilities: frozenset[Capability]

    @property
    def offered(self) -> frozenset[str]:
        """The server's own words for what it can, in upper case, those left out of account (Server.without) included;
        empty where it has none."""

    def mailboxes(self) -> list[RemoteMailbox]:
        """All mailboxes, subscribed or not, with roles (RFC 6154, else by name) and counts where cheap."""

    def changes(self, mailbox: str, state: str | None, known: Mapping[str, frozenset[str]]) -> Changes:
        """What differs from ``known`` (uid -> keywords, as last synced). ``state`` None compares everything.
        Raises StateLost when uids of the past mean nothing any more, NotFound when the mailbox is gone."""

    def expect(self, mailbox: str, state: str | None) -> None:
        """From now on everything that names uids of ``mailbox`` raises StateLost, before it does anything, if that is
        no longer the mailbox which ``state`` describes: the same uids would be other messages. None expects nothing, and
        changes() ends it: the state given there is what counts from then on."""

    def messages(self, mailbox: str, uids: Sequence[str]) -> Iterator[RemoteMessage]:
        """Streams in the order the server answers; uids that are gone are left out silently."""

    def newest(self, mailbox: str, count: int) -> list[RemoteMessage]:
        """The ``count`` newest messages, newest first, by one bounded fetch: a first page before any sync."""

    def body(
        self, mailbox: str, uid: str, part: str | None = None, range: tuple[int, int] | None = None
    ) -> Iterator[bytes]:
        """The transfer-encoded octets of a part, or of the whole message, in chunks of at most CHUNK; a range is
        (offset, length). Never sets ``$seen``. Raises NotFound before the first chunk."""

    def bodies(self, mailbox: str, uids: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Whole messages one after another, asked for ahead where the protocol allows it. Each is to be read to its end
        before the next is asked for; uids that are gone are left out silently."""

    def search(self, mailbox: str, condition: Condition, patience: float | None = None) -> list[str]:
        """Uids, the newest first: by the time of their arrival where the server can tell, else the highest first, which are
        those that came into this mailbox last. With ``patience``, in seconds, a server that has not answered by then, whatever signs of
        life it gave, is Unreachable with code TIMEOUT, and the connection is lost."""

    def append(
        self, mailbox: str, raw: BinaryIO, keywords: Iterable[str] = (), received_at: datetime | None = None
    ) -> str | None:
        """Store a message; the new uid, or None if the server does not say and it could not be found."""

    def set_keywords(
        self, mailbox: str, uids: Collection[str], add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> None:
        """Idempotent; uids that are gone are ignored."""

    def copy(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        """uid -> uid in ``target`` (COPYUID, RFC 4315), empty where the server does not say."""

    def move(self, mailbox: str, uids: Collection[str], target: str) -> dict[str, str]:
        """As copy; the originals are gone. Uids already gone are ignored, so that a repeat is harmless."""

    def destroy(self, mailbox: str, uids: Collection[str]) -> None:
        """Gone for good, these and no others (UID EXPUNGE, or its emulation)."""

    def create_mailbox(self, name: str) -> None: ...

    def rename_mailbox(self, name: str, new_name: str) -> None: ...

    def destroy_mailbox(self, name: str) -> None: ...

    def subscribe(self, name: str, subscribed: bool) -> None: ...

    def quota(self) -> Quota | None: ...

    def watch(self, mailbox: str) -> Watch: ...

    def alive(self) -> bool:
        """One cheap round trip (NOOP); False instead of raising. For a connection taken from the pool."""

    def close(self) -> None:
        """Sign off politely (LOGOUT, QUIT); never raises."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Transport(Protocol):
    """Hands a message over for delivery. One authenticated submission connection (RFC 6409)."""

    max_size: int | None  # octets, from SIZE (RFC 1870)

    @property
    def usable(self) -> bool:
        """False once the connection is known to be of no use: another message needs another one."""

    def submit(
        self,
        envelope: Envelope,
        raw: BinaryIO,
        before_data: Callable[[], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
        at_last: Callable[[], None] | None = None,
    ) -> Submitted:
        """Calls ``before_data`` when recipients were accepted and before the server can have all of the message; what it
        raises ends the attempt with nothing handed over. ``meanwhile`` is work for the time in which the server thinks
        about the envelope, ``at_last`` for that in which it takes the message in; they are not called if it never comes
        to that, and raise nothing.

        Streams ``raw`` (CRLF lines). Raises RecipientsRefused if nobody was accepted, TooLarge, Unavailable (4yz),
        Refused (5yz), and DeliveryUncertain once the final dot may have been read but no reply came."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


CHUNK = 256 * 1024
