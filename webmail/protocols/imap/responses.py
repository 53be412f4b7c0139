"""What a server answers: responses (RFC 9051 §7), and what a refusal means to the caller."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from webmail.protocols.errors import (
    AlreadyExists,
    AuthenticationFailed,
    InsecureConnection,
    MailError,
    NoPermission,
    NotFound,
    OverQuota,
    ProtocolError,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from webmail.protocols.imap.syntax import parse
from webmail.protocols.network import clean_detail

_CODE = re.compile(rb"\[([A-Za-z0-9-]+)(?: ([^\]]*))?\] ?(.*)", re.S)
STATUS = (b"OK", b"NO", b"BAD", b"BYE", b"PREAUTH")


@dataclass(slots=True)
class Response:
    """One response line with its literals. ``text`` and ``code`` are set for OK, NO, BAD, BYE (RFC 9051 §7.1)."""

    kind: bytes  # upper case: FETCH, EXISTS, OK ...
    number: int = 0
    pieces: list[bytes] = field(default_factory=list)
    code: bytes = b""
    code_data: bytes = b""
    text: bytes = b""

    def values(self) -> list:
        return parse(self.pieces)


@dataclass(slots=True)
class Done:
    """What a command was answered: the untagged responses in order, and the tagged OK."""

    untagged: list[Response]
    tagged: Response

    def of(self, kind: bytes) -> Iterator[Response]:
        return (response for response in self.untagged if response.kind == kind)

    def code(self, code: bytes) -> Response | None:
        """The response carrying a response code, wherever it came."""
        return next((r for r in (self.tagged, *self.untagged) if r.code == code), None)


def status(kind: bytes, rest: bytes) -> Response:
    """One of STATUS, or a tagged answer, with its code (RFC 9051 §7.1)."""
    match = _CODE.match(rest)
    if not match:
        return Response(kind, pieces=[rest], text=rest)
    code, data, words = match.groups()
    return Response(kind, pieces=[rest], code=code.upper(), code_data=data or b"", text=words)


# --- errors -----------------------------------------------------------------------------------------------------------

_BY_CODE: dict[bytes, type[MailError]] = {  # RFC 5530 §3, RFC 9051 §7.1
    b"UNAVAILABLE": Unavailable,
    b"INUSE": Unavailable,
    b"LIMIT": Unavailable,
    b"SERVERBUG": Unavailable,
    b"EXPUNGEISSUED": Unavailable,
    b"AUTHENTICATIONFAILED": AuthenticationFailed,
    b"AUTHORIZATIONFAILED": AuthenticationFailed,
    b"EXPIRED": AuthenticationFailed,
    b"WEBALERT": AuthenticationFailed,
    b"PRIVACYREQUIRED": InsecureConnection,
    b"NOPERM": NoPermission,
    b"NONEXISTENT": NotFound,
    b"TRYCREATE": NotFound,
    b"ALREADYEXISTS": AlreadyExists,
    b"OVERQUOTA": OverQuota,
    b"TOOBIG": TooLarge,
    b"BADCHARSET": Refused,  # whatever else its words seem to say
}

# Servers older than RFC 5530 have only words.
_BY_WORDS: tuple[tuple[re.Pattern[bytes], type[MailError]], ...] = (
    (re.compile(rb"(?i)already exists|mailbox exists|duplicate (folder|mailbox)"), AlreadyExists),
    (
        re.compile(rb"(?i)(does|do)(n't| not) exist|nonexist|non-exist|no such|unknown (mailbox|folder)|not found"),
        NotFound,
    ),
    (re.compile(rb"(?i)over ?quota|quota exceeded|exceeds? .*quota"), OverQuota),
    (re.compile(rb"(?i)permission denied|access denied|not permitted"), NoPermission),
    (re.compile(rb"(?i)too (large|big)"), TooLarge),
)


def command_error(response: Response) -> MailError:
    """What a tagged NO or BAD means."""
    code = response.code.decode("ascii", "replace")
    detail = clean_detail(response.text)
    if response.kind == b"BYE":
        return Unreachable(detail, code)
    if response.code in _BY_CODE:
        return _BY_CODE[response.code](detail, code)
    if response.kind != b"NO":
        return ProtocolError(detail, code or "BAD")  # one of us does not speak the language
    for words, kind in _BY_WORDS:
        if words.search(response.text):
            return kind(detail, code)
    return Refused(detail, code)


def sign_in_error(response: Response) -> MailError:
    if response.code in _BY_CODE or response.kind == b"BYE":
        return command_error(response)
    return AuthenticationFailed(clean_detail(response.text), response.code.decode("ascii", "replace"))
