"""What FETCH answers about messages (RFC 9051 §7.5.2) -> base.RemoteMessage: the hot path of a first sync.

Every response is tried with one regular expression that knows the items we ask for, in whatever order a server sends
them. BODYSTRUCTURE is parsed once for each form that mail has, since most of it comes in a few. What has another shape
(literals in odd places, escapes) goes through the general parser; both give the same values.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from webmail.protocols.base import HEADER_FIELDS, Outline, RemoteMessage
from webmail.protocols.errors import ProtocolError
from webmail.protocols.imap.responses import Response
from webmail.protocols.imap.structure import structure_of
from webmail.protocols.imap.syntax import date_time, keywords_of, number, parse, text

HEADER_LIMIT = 64 * 1024  # octets of header fields of one message
FIELDS = " ".join(HEADER_FIELDS).upper().encode()

_Items = dict[bytes, object]


def items(preview: bool, structure: bool = True) -> bytes:
    """What is asked about a message. A portion of the header only: one of 20 MB would otherwise stop the mailbox for
    ever (RFC 9051 §6.4.5, partial)."""
    header = b"BODY.PEEK[HEADER.FIELDS (%s)]<0.%d>" % (FIELDS, HEADER_LIMIT)
    more = b"BODYSTRUCTURE " * structure + header + b" PREVIEW (LAZY)" * preview
    return b"(UID FLAGS RFC822.SIZE INTERNALDATE %s)" % more


def messages(responses: Iterable[Response]) -> dict[int, RemoteMessage]:
    """By uid, in the order they came. A message may be told of in several responses, one of them perhaps for a flag
    that somebody else just changed; then all are read the long way and laid over each other."""
    responses = [response for response in responses if response.kind == b"FETCH"]
    found: dict[int, RemoteMessage] = {}
    told: set[int] = set()
    for response in responses:
        message = _short(response.pieces)
        if message is None:
            values = fetched(response)
            if not isinstance(values.get(b"UID"), bytes):
                continue
            uid = number(values[b"UID"])
            message = _message(uid, values) if b"RFC822.SIZE" in values else None
        else:
            uid = int(message.uid)
        if uid in told:
            return _merged(responses)
        told.add(uid)
        if message is not None:
            found[uid] = message
    return found


def sorted_out(responses: Iterable[Response]) -> tuple[list[Response], set[int]]:
    """Responses that can be read, and the uids of those that cannot. Raises ProtocolError where not even that can."""
    readable: list[Response] = []
    others: set[int] = set()
    for response in responses:
        try:
            if response.kind == b"FETCH":
                fetched(response)
            readable.append(response)
        except ProtocolError:
            beginning = _BEGINNING.match(response.pieces[0])
            if not beginning or not beginning["uid"]:
                raise
            others.add(int(beginning["uid"]))
    return readable, others


# --- the short way ----------------------------------------------------------------------------------------------------


def _nested(depth: int) -> bytes:
    """What may stand in parentheses, these included: atoms, strings without escapes, and more parentheses."""
    inner = rb'(?:[A-Za-z0-9 ]++|"[^"\\]*+")*+'
    for _ in range(depth):
        inner = rb'(?:[A-Za-z0-9 ]++|"[^"\\]*+"|\(' + inner + rb"\))*+"
    return rb"\(" + inner + rb"\)"


_ITEM = (
    rb"UID (?P<uid>\d{1,10})|FLAGS \((?P<flags>[!#-'*-Z\\^-z|~ ]{0,500}+)\)|RFC822\.SIZE (?P<size>\d{1,18})|"
    rb'INTERNALDATE "(?P<date>[0-9A-Za-z :+-]*+)"|PREVIEW NIL|MODSEQ \(\d++\)|BODYSTRUCTURE (?P<structure>' + _nested(8) + rb")"
)  # fmt: skip
_BEFORE = re.compile(rb"\((?:(?:" + _ITEM + rb") )*+BODY\[HEADER\.FIELDS [^\]]*+\](?:<0>)? \{\d++\}")
_BEGINNING = re.compile(rb"\((?:(?:" + _ITEM + rb") )++")  # as far as it can be understood
_AFTER = re.compile(rb"(?: (?:" + _ITEM + rb"))*+\)")


def _short(pieces: list[bytes]) -> RemoteMessage | None:
    """The message, if the response has the usual shape and all that was asked for."""
    if len(pieces) != 3 or not (before := _BEFORE.fullmatch(pieces[0])):
        return None
    uid, flags, size, date, structure = before.groups()
    if pieces[2] != b")":
        if not (after := _AFTER.fullmatch(pieces[2])):
            return None
        later = after.groups()
        uid, flags, size = later[0] or uid, flags if later[1] is None else later[1], later[2] or size
        date, structure = date if later[3] is None else later[3], later[4] or structure
    if uid is None or flags is None or size is None or date is None or structure is None:
        return None
    outline, sizes = _form(structure)
    return RemoteMessage(
        str(int(uid)), int(size), _keywords(flags), _whole_lines(pieces[1]), date_time(date), outline, sizes
    )


@functools.lru_cache(1024)  # a mailbox has few different sets of flags
def _keywords(flags: bytes) -> frozenset[str]:
    return keywords_of(parse([flags]))


# What differs between messages of one form: the size of a part, perhaps with its lines, and what divides the parts.
_VARIES = re.compile(rb'"(?: (\d{1,18}) \d{1,18}(?=[ )])| (\d{1,18})(?=[ )])|(?:boundary|BOUNDARY)" "[^"\\]*+")')
FORM_LIMIT = 4096  # octets of a BODYSTRUCTURE whose form is remembered
_STAND_IN = 10**17  # for the first size, the next for the second: numbers that nothing else in mail is likely to be


def _form(structure: bytes) -> tuple[Outline | None, tuple[int, ...]]:
    """The outline and the sizes of a BODYSTRUCTURE, parsed only where its form is new."""
    if len(structure) <= FORM_LIMIT:
        pieces = _VARIES.split(structure)
        gaps = list(zip(pieces[1::3], pieces[2::3], strict=True))
        outline = _outline(tuple(pieces[::3]), tuple([1 if a else 2 if b else 0 for a, b in gaps]))
        if outline is not None:
            return outline, tuple([int(a or b) for a, b in gaps if a or b])
    whole = structure_of(parse([structure])[0])
    return Outline.of(whole) if whole else (None, ())


@functools.lru_cache(1024)
def _outline(pieces: tuple[bytes, ...], gaps: tuple[int, ...]) -> Outline | None:
    """The outline of the form, None if its gaps turn out not to be the sizes of all parts, each once and in order."""
    octets = pieces[0]
    sizes: list[int] = []
    for gap, piece in zip(gaps, pieces[1:], strict=True):
        if gap:
            sizes.append(_STAND_IN + len(sizes))
            octets += b'" %d%s' % (sizes[-1], b" 0" if gap == 1 else b"")
        else:
            octets += b'"boundary" "%d"' % _STAND_IN
        octets += piece
    structure = structure_of(parse([octets])[0])
    if structure is None:
        return None
    outline, found = Outline.of(structure)
    return outline if list(found) == sizes and str(_STAND_IN)[:-4] not in repr(outline.structure) else None


# --- the long way -----------------------------------------------------------------------------------------------------


def fetched(response: Response) -> _Items:
    """The items of a FETCH response, their names in upper case."""  # RFC 9051 §7.5.2
    values = response.values()
    if len(values) != 1 or not isinstance(values[0], list) or len(values[0]) % 2:
        raise ProtocolError("FETCH cannot be understood")
    return {_item(name): value for name, value in zip(values[0][::2], values[0][1::2], strict=True)}


def all_fetched(responses: Iterable[Response]) -> Iterator[_Items]:
    return (fetched(response) for response in responses if response.kind == b"FETCH")


def _item(name: object) -> bytes:
    if not isinstance(name, bytes):
        raise ProtocolError("FETCH cannot be understood")
    return name.upper()


def _merged(responses: Iterable[Response]) -> dict[int, RemoteMessage]:
    merged: dict[int, _Items] = {}
    for values in all_fetched(responses):
        if isinstance(values.get(b"UID"), bytes):
            merged.setdefault(number(values[b"UID"]), {}).update(values)
    return {uid: _message(uid, values) for uid, values in merged.items() if b"RFC822.SIZE" in values}


def _message(uid: int, values: _Items) -> RemoteMessage:
    header = next((v for k, v in values.items() if k.startswith(b"BODY[HEADER") and isinstance(v, bytes)), b"")
    flags, preview = values.get(b"FLAGS"), values.get(b"PREVIEW")
    structure = structure_of(values.get(b"BODYSTRUCTURE"))
    outline, sizes = Outline.of(structure) if structure else (None, ())
    return RemoteMessage(
        uid=str(uid),
        size=number(values[b"RFC822.SIZE"]),
        keywords=keywords_of(flags if isinstance(flags, list) else ()),
        header=_whole_lines(header),
        received_at=date_time(values.get(b"INTERNALDATE")),
        outline=outline,
        sizes=sizes,
        preview=text(preview) if isinstance(preview, bytes) else None,
    )


def _whole_lines(header: bytes) -> bytes:
    """The header with its blank line, also where the portion ended before it."""
    if header.endswith(b"\r\n\r\n") or header == b"\r\n":
        return header
    if len(header) < HEADER_LIMIT:
        return header.rstrip(b"\r\n") + b"\r\n\r\n" if header.strip() else b"\r\n"
    return header[: header.rfind(b"\r\n")] + b"\r\n\r\n"
