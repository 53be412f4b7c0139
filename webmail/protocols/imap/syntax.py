"""IMAP's grammar as pure functions (RFC 9051 §9): tokens, sets of uids, mailbox names, flags, dates."""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice

from webmail.protocols.errors import ProtocolError, Refused
from webmail.protocols.network import clean_argument

SET_LIMIT = 7000  # octets of one set of uids: with the rest a command stays below 8000 (RFC 7162 §4 asks for 8192)
NESTING_LIMIT = 200  # parentheses; what is deeper is dropped, so that one hostile message does not stop a mailbox
VALUES_LIMIT = 200_000  # values in one response: three times what the largest structure that we look at has
ITEMS_LIMIT = 1_000_000  # uids that one response may make of a set, and ranges of a set
UID_LIMIT = 2**32 - 1  # RFC 9051 §2.3.1.1
NUMBER_LIMIT = 2**63 - 1

_TOKEN = re.compile(rb'([()])|"((?:[^"\\]|\\.)*)"|((?:[^\s()"\[]|\[[^\]]*\]|\[)+)|(\S)', re.S)
_LITERAL = re.compile(rb"\{(\d{1,19})\+?\}")
_NIL = (b"NIL", b"nil", b"Nil")
_ESCAPED = re.compile(rb"\\(.)", re.S)


def literal_size(line: bytes) -> int | None:
    """How many octets follow the line, if it announces a literal."""  # RFC 9051 §4.3
    if not line.endswith(b"}"):
        return None
    match = _LITERAL.fullmatch(line, line.rfind(b"{"))  # not a search: the line may be long
    return int(match.group(1)) if match else None


def parse(pieces: Sequence[bytes]) -> list:
    """Values of a response: ``pieces`` are its lines and literals in turn. Strings and atoms are bytes, NIL is None.

    Flat and without a call per token, because this loop is most of what fetching a list costs."""
    current: list = []
    stack: list[list] = []
    skipped = count = 0  # parentheses open below NESTING_LIMIT; values so far
    for position, piece in enumerate(pieces):
        if position % 2:
            if not skipped:
                current.append(piece)
            continue
        if position + 1 < len(pieces):
            piece = piece[: piece.rfind(b"{")].removesuffix(b"~")  # RFC 3516 §4.4.2, literal8
        tokens = _TOKEN.findall(piece) if len(piece) < VALUES_LIMIT else _beginning(piece)
        count += len(tokens)
        if count > VALUES_LIMIT:
            raise ProtocolError("too many values in one response")
        for parenthesis, string, atom, junk in tokens:
            if parenthesis == b"(":
                if skipped or len(stack) == NESTING_LIMIT:
                    skipped += 1
                    continue
                stack.append(current)
                current = []
                stack[-1].append(current)
            elif parenthesis:
                if skipped:
                    skipped -= 1
                elif stack:
                    current = stack.pop()
                else:
                    raise ProtocolError("a parenthesis too many")
            elif junk:
                raise ProtocolError(f"unexpected {junk!r} in a response")
            elif not skipped:  # an empty string is what leaves all four empty
                current.append((None if atom in _NIL else atom) if atom else _unquoted(string))
    if stack or skipped:
        raise ProtocolError("a parenthesis is not closed")
    return current


def _beginning(piece: bytes) -> list[tuple[bytes, ...]]:
    """As findall, of a line so long that its tokens could be too many to be held."""
    return [match.groups(b"") for match in islice(_TOKEN.finditer(piece), VALUES_LIMIT + 1)]


def _unquoted(inner: bytes) -> bytes:
    return _ESCAPED.sub(rb"\1", inner) if b"\\" in inner else inner


def quoted(octets: bytes) -> bytes:
    """A quoted string. Raises Refused for what none can hold."""  # RFC 9051 §4.3
    if any(octet in octets for octet in (b"\r", b"\n", b"\0")):
        raise Refused("line breaks and NUL are not allowed here")
    return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def number(value: object) -> int:
    """RFC 9051 §9, number64. Raises ProtocolError for anything else."""
    if not isinstance(value, bytes) or not value.isdigit() or len(value) > 20 or int(value) > NUMBER_LIMIT:
        raise ProtocolError(f"a number was expected, not {value!r:.80}")
    return int(value)


def text(value: object) -> str:
    """A string of the server's as text; what is neither UTF-8 nor ASCII was Latin-1 often enough."""
    if not isinstance(value, bytes):
        return ""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


# --- sets of uids ---------------------------------------------------------------------------------------------------


def uid_number(uid: str) -> int:
    if not (uid.isascii() and uid.isdigit() and 0 < int(uid[:11]) <= UID_LIMIT):
        raise Refused(f"{clean_argument(uid)[:40]!r} is not a uid")
    return int(uid)


def uid_sets(uids: Iterable[int], most: int = UID_LIMIT) -> Iterator[bytes]:
    """Sets like ``1:5,7`` of at most SET_LIMIT octets and ``most`` uids each, in rising order."""  # RFC 9051 §9
    pieces: list[bytes] = []
    length = count = 0
    for first, last in _ranges(uids, most):
        piece = b"%d" % first if first == last else b"%d:%d" % (first, last)
        size = last - first + 1
        if pieces and (length + len(piece) + 1 > SET_LIMIT or count + size > most):
            yield b",".join(pieces)
            pieces, length, count = [], 0, 0
        pieces.append(piece)
        length += len(piece) + 1
        count += size
    if pieces:
        yield b",".join(pieces)


def _ranges(uids: Iterable[int], most: int) -> Iterator[tuple[int, int]]:
    first = last = 0
    for uid in sorted(set(uids)):
        if first and uid == last + 1 and uid - first < most:
            last = uid
            continue
        if first:
            yield first, last
        first = last = uid
    if first:
        yield first, last


class UidSet:
    """A set of uids as the server wrote it, never expanded: ``1:4294967295`` is a legal answer."""

    def __init__(self, octets: bytes = b"") -> None:
        self._merged: list[tuple[int, int]] = []
        self._added: list[tuple[int, int]] = []  # since then
        if octets:
            self.add(octets)

    def add(self, octets: bytes) -> None:
        """Raises ProtocolError if it comes to more than ITEMS_LIMIT ranges."""
        self._added += set_ranges(octets)
        if len(self._added) > max(1000, len(self._merged)):  # seldom enough for a set that comes in many pieces
            self._merge()

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """In rising order, with gaps between them."""
        if self._added:
            self._merge()
        return self._merged

    def _merge(self) -> None:
        merged: list[tuple[int, int]] = []
        for low, high in sorted(self._merged + self._added):
            if merged and low <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        if len(merged) > ITEMS_LIMIT:
            raise ProtocolError("too many uids in one response")
        self._merged, self._added = merged, []

    def __contains__(self, uid: int) -> bool:
        ranges = self.ranges
        at = bisect_right(ranges, (uid, UID_LIMIT)) - 1
        return at >= 0 and ranges[at][1] >= uid


def set_ranges(octets: bytes) -> list[tuple[int, int]]:
    if octets.count(b",") >= ITEMS_LIMIT:
        raise ProtocolError("too many uids in one response")
    ranges = []
    for piece in octets.split(b","):
        first, _, last = piece.partition(b":")
        low, high = number(first), number(last or first)
        ranges.append((min(low, high), max(low, high)))
    return ranges


def set_members(octets: object) -> list[int]:
    """Every uid of a set, in the order written. Raises ProtocolError for more than ITEMS_LIMIT."""
    if not isinstance(octets, bytes):
        raise ProtocolError(f"a set was expected, not {octets!r:.80}")
    ranges = set_ranges(octets)
    if sum(high - low + 1 for low, high in ranges) > ITEMS_LIMIT:
        raise ProtocolError("too many uids in one response")
    return [uid for low, high in ranges for uid in range(low, high + 1)]


# --- mailbox names --------------------------------------------------------------------------------------------------

_RAW = 0x10FF00  # private use, plane 16: an octet that is not modified UTF-7 is shown as U+10FF00 plus its value
_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_PLAIN_RUN = re.compile(r"[\x20-\x7e]+|[^\x20-\x7e]+")


def encode_mailbox(name: str) -> bytes:
    """The name in modified UTF-7 (RFC 3501 §5.1.3). Undoes decode_mailbox for whatever a server sends."""
    clean_argument(name)
    if not name:
        raise Refused("a mailbox needs a name")
    out = bytearray()
    for run in _PLAIN_RUN.findall(name):
        if run[0] <= "\x7e" and run[0] >= "\x20":
            out += run.replace("&", "&-").encode("ascii")
        else:
            out += _encode_run(run)
    return bytes(out)


def _encode_run(run: str) -> bytes:
    out, pending = bytearray(), ""
    for character in run:
        if _RAW <= ord(character) <= _RAW + 0xFF:
            out += _shift(pending)
            out.append(ord(character) - _RAW)
            pending = ""
        else:
            pending += character
    raw = bytes(out + _shift(pending))
    if any(octet in raw for octet in (b"\r", b"\n", b"\0")):
        raise Refused("line breaks and NUL are not allowed here")
    return raw


def _shift(run: str) -> bytes:
    if not run:
        return b""
    try:
        utf16 = run.encode("utf-16-be")
    except UnicodeEncodeError as error:
        raise Refused("half a character (a lone surrogate) cannot be in a name") from error
    return b"&" + base64.b64encode(utf16).rstrip(b"=").replace(b"/", b",") + b"-"


def decode_mailbox(octets: bytes) -> str:
    """The name that encode_mailbox turns back into these very octets, also where they are not modified UTF-7."""
    try:
        name = _SHIFTED.sub(_unshift, octets).decode("utf-8")
        # Strictness in one line: superfluous shifts, stray bits, bare "&" and 8-bit all re-encode to something else.
        if encode_mailbox(name) == octets:
            return name
    except (ValueError, Refused):
        pass
    return "".join(chr(octet) if 0x20 <= octet < 0x7F and octet != 0x26 else chr(_RAW + octet) for octet in octets)


def _unshift(match: re.Match[bytes]) -> bytes:
    inner = match.group(1)
    if not inner:
        return b"&"
    try:
        utf16 = base64.b64decode(inner.replace(b",", b"/") + b"=" * (-len(inner) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    return utf16.decode("utf-16-be").encode("utf-8")


# --- flags and keywords ---------------------------------------------------------------------------------------------

_SYSTEM = {"\\seen": "$seen", "\\flagged": "$flagged", "\\answered": "$answered", "\\draft": "$draft"}
_FLAGS = {
    "$seen": b"\\Seen",
    "$flagged": b"\\Flagged",
    "$answered": b"\\Answered",
    "$draft": b"\\Draft",
    "$forwarded": b"$Forwarded",
    "$mdnsent": b"$MDNSent",
    "$junk": b"$Junk",
    "$notjunk": b"$NotJunk",
}
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|~]{1,100}")


def keywords_of(flags: Iterable[object]) -> frozenset[str]:
    """Keywords in the JMAP form; \\Recent and \\Deleted are the session's and the protocol's own (RFC 8621 §4.1.1)."""
    found = set()
    for flag in flags:
        name = text(flag).lower()
        if name.startswith("\\"):
            name = _SYSTEM.get(name, "")
        if name:
            found.add(name)
    return frozenset(found)


def flag_of(keyword: str) -> bytes:
    flag = _FLAGS.get(keyword.lower())
    if flag:
        return flag
    if not _KEYWORD.fullmatch(clean_argument(keyword)):  # an atom without resp-specials, RFC 9051 §9
        raise Refused(f"{keyword[:100]!r} cannot be a keyword")
    return keyword.encode("ascii")


# --- dates ----------------------------------------------------------------------------------------------------------

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {month.encode(): number for number, month in enumerate(_MONTHS, 1)}
_DATE_TIME = re.compile(rb"\s*(\d{1,2})-([A-Za-z]{3})-(\d{4}) (\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)")


def date_time(value: object) -> datetime | None:
    """INTERNALDATE as an aware datetime in UTC; None if it makes no sense."""  # RFC 9051 §9, date-time
    match = _DATE_TIME.match(value) if isinstance(value, bytes) else None
    if not match:
        return None
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = match.groups()
    try:
        # A leap second is legal here and not in datetime.
        at = datetime(
            int(year), _MONTH_NUMBERS.get(month) or _MONTH_NUMBERS[month.title()], int(day), int(hour), int(minute),
            min(int(second), 59), tzinfo=UTC,
        )  # fmt: skip
        if zone_hours == zone_minutes == b"00":
            return at
        offset = timedelta(hours=int(zone_hours), minutes=int(zone_minutes))
        return at.replace(tzinfo=timezone(-offset if sign == b"-" else offset)).astimezone(UTC)
    except (ValueError, KeyError, OverflowError):
        return None


def format_date_time(at: datetime) -> bytes:
    at = at.astimezone(UTC)
    stamp = f'"{at.day:02}-{_MONTHS[at.month - 1]}-{at.year:04} {at:%H:%M:%S} +0000"'
    return stamp.encode("ascii")


def format_date(at: datetime) -> bytes:
    at = at.astimezone(UTC) if at.tzinfo else at
    return f"{at.day}-{_MONTHS[at.month - 1]}-{at.year:04}".encode("ascii")
