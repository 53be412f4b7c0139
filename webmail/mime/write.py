"""Outgoing messages: values -> RFC 5322 octets with CRLF, streamed, 7-bit clean but for non-ASCII local parts.

The shape is the one every client reads: text; alternative(text, html); alternative(text, related(html, images)); and
mixed(that, attachments). A message/rfc822 attachment must not be encoded (RFC 2046 §5.2.1); if it is not 7-bit clean it
is sent as application/octet-stream named ``*.eml`` in base64 instead: that arrives whole through any server, with its
signatures valid, and every client opens it."""

from __future__ import annotations

import binascii
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import BinaryIO
from urllib.parse import quote

from webmail.mime.addresses import Address, ascii_domain
from webmail.mime.words import clean, safe_name

LINE = 76  # characters a header line is folded at (RFC 5322 §2.1.1 wants 78 at most)
FLOWED = 72  # characters a text/plain line is broken at (RFC 3676 §4.2)
HARD = 998  # RFC 5322 §2.1.1
WORD = 75  # RFC 2047 §2: characters of one encoded word
_LINES = 57 * 1024  # octets of an attachment encoded at once: whole base64 lines


@dataclass
class Attachment:
    """A file that goes along. ``open`` gives a fresh stream at its start, and is called when it is written (twice for a
    message/rfc822). With ``cid`` and ``inline`` the HTML part can show it as ``cid:...``."""

    name: str
    type: str
    size: int
    open: Callable[[], BinaryIO]
    cid: str = ""
    inline: bool = False
    charset: str = ""  # of a text, where it is known


@dataclass(frozen=True, slots=True)
class Invite:
    """What a calendar program is told beside the text (RFC 6047 §2.4): ``text`` is an iCalendar of this ``method``."""

    method: str
    text: str


@dataclass
class Outgoing:
    """A message to write. Ids without ``<>``; ``text`` with ``\\n`` line ends, where lines that begin with ``>`` are
    quotes; ``html`` "" for none; ``headers`` are extra fields, texts or tuples of addresses."""

    from_: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    subject: str = ""
    text: str = ""
    html: str = ""
    message_id: str = ""
    date: datetime | None = None
    sender: Address | None = None
    reply_to: tuple[Address, ...] = ()
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    calendar: Invite | None = None
    headers: Mapping[str, str | tuple[Address, ...]] = field(default_factory=dict)


def new_message_id(domain: str) -> str:
    """A message-id without ``<>``: 120 random bits, and nothing about the machine or the time (RFC 5322 §3.6.4)."""
    try:
        domain = ascii_domain(domain.strip().strip("[]"))
    except ValueError:
        domain = ""
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", domain):
        domain = "localhost"
    return f"{secrets.token_hex(15)}@{domain.lower()}"


def write_message(outgoing: Outgoing, out: BinaryIO, include_bcc: bool) -> int:
    """Write it, and return how many octets it has. Raises ValueError, before anything is written, if a header value
    contains CR, LF or NUL, an address is missing, or the date is naive."""
    # All that can be refused is in the headers: they are made before the first octet goes out.
    head = b"".join(_header(outgoing, include_bcc))
    body = _body(outgoing)
    size = out.write(head) or 0
    for octets in body:
        out.write(octets)
        size += len(octets)
    return size


# --- header ---------------------------------------------------------------------------------------------------------

_FORBIDDEN = re.compile("[\r\n\0]")
_NAME = re.compile(r"[!-9;-~]{1,70}")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_OURS = frozenset({
    "from", "sender", "reply-to", "to", "cc", "bcc", "subject", "message-id", "in-reply-to", "references", "date",
    "mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id", "return-path",
    "received",
})  # fmt: skip


def _check(name: str, value: str) -> str:
    if _FORBIDDEN.search(value):
        raise ValueError(f"line break or NUL in {name}")
    return value


def _header(outgoing: Outgoing, include_bcc: bool) -> Iterator[bytes]:
    if outgoing.date is None or outgoing.date.tzinfo is None:
        raise ValueError("the date needs a time zone")
    yield f"Date: {format_datetime(outgoing.date)}\r\n".encode()
    yield _addresses("From", (outgoing.from_,))
    if outgoing.sender is not None:
        yield _addresses("Sender", (outgoing.sender,))
    bcc = outgoing.bcc if include_bcc else ()
    for name, people in (("Reply-To", outgoing.reply_to), ("To", outgoing.to), ("Cc", outgoing.cc), ("Bcc", bcc)):
        if people:
            yield _addresses(name, people)
    if outgoing.subject:
        yield _unstructured("Subject", outgoing.subject)
    for name, ids in (
        ("Message-ID", (outgoing.message_id,)),
        ("In-Reply-To", outgoing.in_reply_to),
        ("References", outgoing.references),
    ):
        yield _ids(name, ids)
    for name, value in outgoing.headers.items():
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"not a field to add: {name!r}")
        yield _addresses(name, value) if isinstance(value, tuple) else _unstructured(name, value)
    yield b"MIME-Version: 1.0\r\n"


def _unstructured(name: str, value: str) -> bytes:
    """RFC 5322 §2.2.1. Encoded words where it is not ASCII, or would be taken for one, or cannot be folded."""
    value = clean(_check(name, value))
    if value.isascii() and "=?" not in value and all(len(word) < HARD - 80 for word in value.split(" ")):
        return _fold(name, value.split(" "))
    return _fold(name, _encoded_words(value, len(name) + 2))


def _fold(name: str, words: list[str]) -> bytes:
    """``Name: word word``, broken before a word that would not fit; never an empty line (RFC 5322 §2.2.3)."""
    lines = [name + ":"]
    for index, word in enumerate(words):
        if index and len(lines[-1]) + 1 + len(word) > LINE:
            lines.append("")
        lines[-1] += " " + word
    return "\r\n".join(lines).encode("utf-8") + b"\r\n"


def _encoded_words(text: str, used: int) -> list[str]:
    """RFC 2047 §5: UTF-8, whole characters in each word, in the shorter of B and Q."""
    octets = text.encode("utf-8", "replace")
    plain = sum(1 for octet in octets if _Q[octet] == chr(octet) or octet == 32)
    in_b = len(octets) * 4 / 3 < plain + 3 * (len(octets) - plain)
    start, end = ("=?utf-8?b?" if in_b else "=?utf-8?q?"), "?="
    room = WORD - len(start) - len(end)
    words: list[str] = []
    held, cost, limit = b"", 0, max(room - used, 20)
    for char in text:
        more = char.encode("utf-8", "replace")
        price = len(more) if in_b else sum(len(_Q[octet]) for octet in more)
        fits = (cost + price + 2) // 3 * 4 <= limit if in_b else cost + price <= limit
        if held and not fits:
            words.append(start + _encode_word(held, in_b) + end)
            held, cost, limit = b"", 0, room
        held, cost = held + more, cost + price
    return [*words, start + _encode_word(held, in_b) + end]


_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")  # RFC 2047 §5 (3)
_Q = [chr(octet) if octet in _SAFE else "_" if octet == 32 else f"={octet:02X}" for octet in range(256)]


def _encode_word(octets: bytes, in_b: bool) -> str:
    if in_b:
        return binascii.b2a_base64(octets, newline=False).decode("ascii")
    return "".join(_Q[octet] for octet in octets)


def _addresses(name: str, people: tuple[Address, ...]) -> bytes:
    """An address-list; a comma stays with the address before it."""
    words: list[str] = []
    for index, person in enumerate(people):
        parts = _mailbox(name, person, len(name) + 2)
        if index < len(people) - 1:
            parts[-1] += ","
        words.extend(parts)
    return _fold(name, words)


def _mailbox(field_name: str, person: Address, used: int) -> list[str]:
    name, email = _check(field_name, person.name), _check(field_name, person.email)
    local, at, domain = email.rpartition("@")
    if not at or not local or re.search(r"[\s<>]", domain) or (re.search(r"[\s<>]", local) and local[0] != '"'):
        raise ValueError(f"not an address in {field_name}: {email!r}")
    # A local part beyond ASCII makes it an internationalised message (RFC 6532); the domain need not be the reason.
    spec = f"{local}@{ascii_domain(domain)}"
    name = clean(name)
    if not name:
        return [spec]
    if not name.isascii() or "=?" in name:
        phrase = _encoded_words(name, used)
    elif _ATOMS.fullmatch(name):
        phrase = name.split(" ")
    else:
        phrase = ('"' + re.sub(r'(["\\])', r"\\\1", name) + '"').split(" ")
    return [*phrase, f"<{spec}>"]


def _ids(name: str, ids: tuple[str, ...]) -> bytes:
    """Ids that came with hostile mail and could not stand in a field are left out; a line break is still an error."""
    words = [f"<{_check(name, word)}>" for word in ids if word]
    words = [word for word in words if re.fullmatch(r"<[!-;=?-~]+>", word) and len(word) < HARD - 80]
    return _fold(name, words) if words else b""


# --- body -----------------------------------------------------------------------------------------------------------


def _body(outgoing: Outgoing) -> Iterator[bytes]:
    """Everything from Content-Type on. The part headers are made now, so that what is wrong with them shows now."""
    related = [item for item in outgoing.attachments if outgoing.html and item.cid and item.inline]
    attached = [item for item in outgoing.attachments if item not in related]
    body = _text(outgoing.text)
    if outgoing.html:
        html = _encoded_text("text/html; charset=utf-8", outgoing.html.replace("\r\n", "\n"))
        if related:
            html = _multipart('related; type="text/html"', [html, *map(_attachment, related)])
        body = _multipart("alternative", [body, html])
    if outgoing.calendar:
        body = _multipart("alternative", [body, _calendar(outgoing.calendar)])
    if attached:
        body = _multipart("mixed", [body, *map(_attachment, attached)])
    return body


def _calendar(invite: Invite) -> Iterator[bytes]:
    if not re.fullmatch("[A-Z]{3,20}", invite.method):
        raise ValueError(f"not a method: {invite.method!r}")
    kind = f"text/calendar; charset=utf-8; method={invite.method}; component=VEVENT"
    return _encoded_text(kind, invite.text.replace("\r\n", "\n"))


def _multipart(kind: str, parts: list[Iterator[bytes]]) -> Iterator[bytes]:
    """RFC 2046 §5.1. "=_" occurs in neither base64 nor quoted-printable; the rest is random."""
    boundary = "=_" + secrets.token_hex(16)
    head = f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n\r\n'.encode()

    def write() -> Iterator[bytes]:
        yield head
        for part in parts:
            yield f"--{boundary}\r\n".encode()
            yield from part
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return write()


def _text(text: str) -> Iterator[bytes]:
    return _encoded_text("text/plain; charset=utf-8; format=flowed", flow(text))


def _encoded_text(content_type: str, text: str) -> Iterator[bytes]:
    """Text with ``\\n`` -> header and body, as it is if 7-bit with short lines, else quoted-printable."""
    text = text.replace("\r", "\n").replace("\0", "")
    octets = text.encode("utf-8", "replace").replace(b"\n", b"\r\n")
    if not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    lines = octets.split(b"\r\n")
    if octets.isascii() and max(map(len, lines)) <= HARD:
        encoding = b"7bit"
    else:
        encoding = b"quoted-printable"
        octets = b"\r\n".join(map(_quoted_line, lines))
    return iter(
        (f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: ".encode(), encoding, b"\r\n\r\n", octets)
    )


def _quoted_line(line: bytes) -> bytes:
    """RFC 2045 §6.7, with the "From " and "." that gateways tamper with (§6.7, end) encoded too."""
    quoted = binascii.b2a_qp(line, quotetabs=False, istext=True, header=False).replace(b"=\n", b"=\r\n")
    if quoted.startswith(b"From "):
        quoted = b"=46rom " + quoted[5:] if len(quoted.split(b"\r\n", 1)[0]) < 75 else quoted
    return quoted


def flow(text: str) -> str:
    """RFC 3676 §4.2: break paragraphs softly, stuff with spaces. ``unflow`` gives the text back, without the spaces at
    line ends, which would mean a soft break."""
    return "\n".join(_flow_line(line) for line in text.replace("\r\n", "\n").split("\n"))


def _flow_line(line: str) -> str:
    if line == "-- ":
        return line
    depth = len(line) - len(line.lstrip(">"))
    prefix, rest = ">" * depth, line[depth:]
    if depth:
        rest = rest.removeprefix(" ")
    rest = rest.rstrip(" ")
    words = rest.split(" ")
    room = max(FLOWED - depth, 20)
    lines, held, width = [], [words[0]], len(words[0])
    for word in words[1:]:
        # A line must not end in two spaces or begin with one because of the break, so empty words stay with the last.
        if word and held[-1] and width + 1 + len(word) > room:
            lines.append(" ".join(held))
            held, width = [word], len(word)
        else:
            held.append(word)
            width += 1 + len(word)
    lines.append(" ".join(held))
    last = len(lines) - 1
    return "\n".join(prefix + _stuffed(part, depth) + (" " if at < last else "") for at, part in enumerate(lines))


def _stuffed(line: str, depth: int) -> str:
    """§4.4: after quote marks always, else where the line begins with a space, ">" or "From "."""
    return " " + line if (depth and line) or line.startswith((" ", ">", "From ")) else line


# --- attachments ----------------------------------------------------------------------------------------------------

_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,80}/[A-Za-z0-9!#$&^_.+-]{1,80}")


def _attachment(item: Attachment) -> Iterator[bytes]:
    kind = item.type.lower() if _TYPE.fullmatch(item.type) else "application/octet-stream"
    name = safe_name(_check("a file name", item.name))
    cid = _check("a Content-ID", item.cid)
    if cid and not re.fullmatch(r"[!-;=?-~]{1,255}", cid):
        raise ValueError(f"not a Content-ID: {cid!r}")
    as_message = kind == "message/rfc822" and _is_7bit(item)
    if kind.startswith(("multipart/", "message/")) and not as_message:
        kind = "application/octet-stream"
        name = name if name.lower().endswith(".eml") else f"{name or 'message'}.eml"
    charset = f"; charset={item.charset}" if kind.startswith("text/") and _NAME.fullmatch(item.charset) else ""
    head = [f"Content-Type: {kind}{charset}", f"Content-Transfer-Encoding: {'7bit' if as_message else 'base64'}"]
    head.append("Content-Disposition: " + ("inline" if item.inline else "attachment") + _file_name(name))
    if cid:
        head.append(f"Content-ID: <{cid}>")
    start = ("\r\n".join(head) + "\r\n\r\n").encode("ascii")
    return _streamed(start, item, _crlf if as_message else _base64)


def _file_name(name: str) -> str:
    """RFC 2183 §2.3; beyond ASCII or a line, RFC 2231 §3-4, which all clients of this century read."""
    if not name:
        return ""
    if name.isascii() and len(name) < 60:
        return f'; filename="{name}"'
    pieces, held = [], ""
    for char in name:
        more = quote(char, safe="", errors="replace")
        if len(held) + len(more) > 54:
            pieces.append(held)
            held = ""
        held += more
    pieces.append(held)
    if len(pieces) == 1:
        return f";\r\n filename*=utf-8''{held}"
    pieces[0] = "utf-8''" + pieces[0]
    return "".join(f";\r\n filename*{at}*={piece}" for at, piece in enumerate(pieces))


def _streamed(start: bytes, item: Attachment, encode: Callable[[BinaryIO], Iterator[bytes]]) -> Iterator[bytes]:
    yield start
    with item.open() as stream:
        yield from encode(stream)


def _base64(stream: BinaryIO) -> Iterator[bytes]:
    held = b""
    while octets := stream.read(_LINES):
        held += octets
        whole = len(held) - len(held) % 57
        if whole:
            yield _base64_lines(held[:whole])
            held = held[whole:]
    if held:
        yield _base64_lines(held)


def _base64_lines(octets: bytes) -> bytes:
    text = binascii.b2a_base64(octets, newline=False)
    return b"\r\n".join([text[at : at + 76] for at in range(0, len(text), 76)]) + b"\r\n"


def _is_7bit(item: Attachment) -> bool:
    with item.open() as stream:
        while line := stream.readline(HARD + 3):
            bare = line.rstrip(b"\r\n")
            if len(bare) > HARD or not bare.isascii() or b"\0" in bare or b"\r" in bare:
                return False
    return True


def _crlf(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline():
        yield line.rstrip(b"\r\n") + b"\r\n"
