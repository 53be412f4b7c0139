"""Find the parts of a whole message that we store ourselves (RFC 2046 §5.1), by one pass over its lines.

Memory is flat and time linear: neither a part's content nor more than MAX_PART_HEADER of a header is held. The standard
library's parser keeps everything, recurses per level and is quadratic on some inputs."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from webmail.mime.header import raw_fields
from webmail.mime.parts import MAX_DEPTH, MAX_PARTS, BodyPart, make_part
from webmail.mime.words import decode_param, parse_params

MAX_PART_HEADER = 64 * 1024  # octets of one part's header that are looked at
MAX_LINE = 64 * 1024  # octets read as one line; what follows is more of the same line
MAX_DASHES = 100_000  # lines that begin with "--" which are looked at; what follows divides nothing any more
MAX_BOUNDARY = 200  # RFC 2046 §5.1.1 says 70
CHUNK = 256 * 1024
FIRST_BLOCK = (
    1024  # octets that are read to find the next boundary; twice as many each time, or all would be read again
)
GUESS_READS = 64 * 1024  # octets of a multipart that its boundary is looked for in, where none is declared
MAX_GUESSES = 10  # multiparts of one message whose boundary is guessed, and lines that it may be
_CONTENT = frozenset({"content-type", "content-transfer-encoding", "content-disposition", "content-id"})


@dataclass(slots=True)
class _Entity:
    """A header and a body between two offsets. ``end`` leaves out the line end that belongs to the boundary."""

    parent: _Entity | None = None
    default: str = "text/plain"
    type: str = "text/plain"
    params: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    boundary: bytes = b""
    start: int = 0
    end: int = 0
    children: list[_Entity] = field(default_factory=list)

    @property
    def is_message(self) -> bool:
        encoded = self.fields.get("content-transfer-encoding", "").strip().lower()
        return self.type in ("message/rfc822", "message/global") and encoded not in ("base64", "quoted-printable")

    def describe(self, header: bytes, guessed: bytes) -> bool:
        """Take over what the header says, once it is read; ``guessed`` is the boundary, if not the one that it says.
        Whether it says anything, or is empty as it may be."""
        fields = raw_fields(header)
        for name, value in fields:
            if name in _CONTENT:
                self.fields.setdefault(name, value)
        self.type, self.params = parse_params(self.fields.get("content-type", self.default))
        if self.type.startswith("multipart/"):
            declared = self.params.get("boundary") or decode_param(self.params, "boundary")
            boundary = guessed or declared.encode("utf-8", "replace").rstrip()
            self.boundary = boundary if len(boundary) <= MAX_BOUNDARY else b""
        return bool(fields) or not header.strip()


class _Scanner:
    """Feed it lines. ``open`` are the multiparts whose boundary may come, outermost first; ``entity`` is where we are;
    ``header`` collects while inside a header and is None inside a body."""

    def __init__(self, guessed: Mapping[int, bytes] | None = None) -> None:
        self.guessed = guessed or {}  # boundaries by where the body of their multipart begins
        self.root = self.entity = _Entity()
        self.open: list[_Entity] = []
        self.multiparts: list[_Entity] = []
        self.header: bytearray | None = bytearray()
        self.count = 1
        self.full = False  # another part would be one too many
        self.line_end = 0  # octets of the line end before the current line

    def line(self, line: bytes, at: int, whole: bool) -> None:
        """``at`` is the offset of ``line``; ``whole`` False: it goes on from the one before."""
        if whole and self.open and line.startswith(b"--") and self._boundary(line, at):
            self.line_end = 0
            return
        if self.header is not None:
            self._header_line(line, at, whole)
        else:
            self.line_end = _line_end(line)

    def _header_line(self, line: bytes, at: int, whole: bool) -> None:
        header = self.header
        assert header is not None
        if whole and not line.rstrip(b"\r\n"):
            self._end_header(at + len(line))
        elif not header and self.entity.parent is not None and b":" not in line:
            self._end_header(at)  # a part that forgot the blank line: this is content already
            self.line(line, at, whole)
        elif len(header) < MAX_PART_HEADER:
            header += line

    def finish(self, at: int) -> None:
        while self.header is not None:
            self._end_header(at)
        self._close(self.root, at)

    def _end_header(self, at: int) -> None:
        """The body begins: that of a leaf, the preamble of a multipart, or the header of a message in the message."""
        entity = self.entity
        if not entity.describe(bytes(self.header or b""), self.guessed.get(at, b"")) and entity is self.root:
            at = 0  # a message without any header is all text
        entity.start = entity.end = at
        self.header = None
        self.line_end = 0
        if entity.type.startswith("multipart/"):
            self.multiparts.append(entity)
        if _depth(entity) >= MAX_DEPTH:
            return
        if entity.boundary:
            self.open.append(entity)
        elif entity.is_message and self.count < MAX_PARTS:
            self._begin(entity, "text/plain", at)

    def _begin(self, parent: _Entity, default: str, at: int) -> None:
        self.count += 1
        self.entity = _Entity(parent=parent, default=default, start=at, end=at)
        parent.children.append(self.entity)
        self.header = bytearray()

    def _boundary(self, line: bytes, at: int) -> bool:
        """RFC 2046 §5.1.2: a boundary of an outer multipart also ends the inner ones."""
        text = line.rstrip(b" \t\r\n")
        for index in range(len(self.open) - 1, -1, -1):
            multipart = self.open[index]
            delimiter = b"--" + multipart.boundary
            closing = text == delimiter + b"--"
            if not closing and text != delimiter:
                continue
            while self.header is not None:
                self._end_header(at)
            self._close(multipart, max(at - self.line_end, 0), keep=True)
            del self.open[index + (not closing) :]
            self.entity, self.header = multipart, None
            self.full = not closing and self.count >= MAX_PARTS
            if not closing and not self.full:
                digest = multipart.type == "multipart/digest"  # RFC 2046 §5.1.5
                self._begin(multipart, "message/rfc822" if digest else "text/plain", at + len(line))
            return True
        return False

    def _close(self, outer: _Entity, at: int, keep: bool = False) -> None:
        """Everything from the current entity up to ``outer`` ends at ``at``; ``keep`` leaves ``outer`` itself open."""
        entity: _Entity | None = self.entity
        while entity is not None:
            if entity is outer and keep:
                return
            entity.end = max(at, entity.start)
            if entity is outer:
                return
            entity = entity.parent


def _line_end(line: bytes) -> int:
    return 2 if line.endswith(b"\r\n") else 1 if line.endswith(b"\n") else 0


def _depth(entity: _Entity) -> int:
    depth, node = 1, entity.parent
    while node is not None:
        depth, node = depth + 1, node.parent
    return depth


def _scan(raw: BinaryIO) -> _Entity:
    """Where each part is. A multipart whose boundary is missing or never comes gets the one it seems to have."""
    scanner = _scan_once(raw)
    undivided = [entity for entity in scanner.multiparts if not entity.children]
    guessed = {entity.start: boundary for entity in undivided[:MAX_GUESSES] if (boundary := _seeming(raw, entity))}
    return _scan_once(raw, guessed).root if guessed else scanner.root


_SEEMING = re.compile(
    rb"(?:^|\n)--([^\s-]|[^\s][^\r\n]{0,68}[^\s-])[ \t]*\r?\n(?:(content-[a-z-]{2,30}[ \t]*:)|\r?\n)", re.IGNORECASE
)


def _seeming(raw: BinaryIO, entity: _Entity) -> bytes:
    """The first line with two dashes that a header comes after, or an empty one if the same line ends it all later."""
    raw.seek(entity.start)
    window = raw.read(min(GUESS_READS, entity.end - entity.start))
    for match in itertools.islice(_SEEMING.finditer(window), MAX_GUESSES):
        if match[2] or window.find(b"\n--" + match[1] + b"--", match.end(1)) >= 0:
            return match[1]
    return b""


def _scan_once(raw: BinaryIO, guessed: Mapping[int, bytes] | None = None) -> _Scanner:
    """Line by line through headers; in bodies, which are most of a message, only from one "--" to the next."""
    scanner = _Scanner(guessed)
    at, whole, dashes = 0, True, 0
    raw.seek(0)
    while not scanner.full:
        if whole and scanner.header is None:
            dashes += 1
            if not scanner.open or dashes > MAX_DASHES:  # no boundary can come any more
                at = raw.seek(0, io.SEEK_END)
                break
            start, line_end = _next_dashes(raw, at)
            scanner.line_end = line_end if start > at else scanner.line_end
            at = raw.seek(start)
        line = raw.readline(MAX_LINE)
        if not line:
            break
        scanner.line(line, at, whole)
        at += len(line)
        whole = line.endswith(b"\n")
    scanner.finish(at)
    return scanner


def _next_dashes(raw: BinaryIO, at: int) -> tuple[int, int]:
    """Where the next line that begins with "--" is, ``at`` being the beginning of a line, or the end of all; and the
    octets of the line end before it."""
    raw.seek(at)
    window, base, size = b"\n", at - 1, FIRST_BLOCK  # as if a line had just ended
    while block := raw.read(min(size, CHUNK)):
        size *= 2
        window += block
        found = window.find(b"\n--")
        if found >= 0:
            return base + found + 1, 2 if window[found - 1 : found] == b"\r" else 1
        base += len(window) - 3 if len(window) > 3 else 0
        window = window[-3:]  # what may be the beginning of it, with the line end before
    return base + len(window), _line_end(window)


def _numbered(root: _Entity) -> Iterator[tuple[str, _Entity]]:
    """Section numbers of RFC 9051 §6.4.5, depth first. The multipart that is the body of an inner message has no number
    of its own there: it is called ``2.TEXT`` here, which is what IMAP would fetch its content by."""
    waiting = [("" if root.children and root.boundary else "1", "", root)]
    while waiting:
        part_id, prefix, entity = waiting.pop()
        yield part_id, entity
        if not entity.children:
            continue
        if entity.boundary:
            below = [(f"{prefix}{number}", child) for number, child in enumerate(entity.children, 1)]
        else:
            child = entity.children[0]
            multipart = child.boundary and child.children
            below = [(f"{part_id}.TEXT" if multipart else f"{part_id}.1", child)]
        for child_id, child in reversed(below):
            inner = f"{part_id}." if child_id.endswith(".TEXT") else f"{child_id}."
            waiting.append((child_id, inner, child))


def parse_structure(raw: BinaryIO) -> BodyPart:
    """The parts of a whole message in a seekable stream, numbered as an IMAP server would. At most MAX_PARTS parts and
    MAX_DEPTH levels: what lies beyond is left out. Never raises but for errors of reading."""
    root = _scan(raw)
    built: dict[int, BodyPart] = {}
    for part_id, entity in reversed(list(_numbered(root))):
        children = tuple(built.pop(id(child)) for child in entity.children)
        kind = entity.type
        if kind.startswith("multipart/") and not children:
            kind = "text/plain"  # no boundary, or never found: what is there can still be read
        disposition, disposition_params = parse_params(entity.fields.get("content-disposition", ""))
        built[id(entity)] = make_part(
            part_id,
            kind,
            entity.params,
            encoding=entity.fields.get("content-transfer-encoding", ""),
            size=entity.end - entity.start,
            disposition=disposition,
            disposition_params=disposition_params,
            cid=entity.fields.get("content-id", ""),
            children=children,
        )
    return built[id(root)]


def part_octets(raw: BinaryIO, part_id: str, start: int = 0, limit: int | None = None) -> Iterator[bytes]:
    """The still transfer-encoded octets of a part, in chunks of at most CHUNK; from ``start`` on, and no more than
    ``limit``. Raises LookupError, before the first chunk, if there is no such part."""
    for found, entity in _numbered(_scan(raw)):
        if found == part_id:
            begin = entity.start + start
            return _octets(raw, begin, entity.end if limit is None else min(entity.end, begin + limit))
    raise LookupError(f"the message has no part {part_id!r}")


def _octets(raw: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        raw.seek(start)
        chunk = raw.read(min(CHUNK, end - start))
        if not chunk:
            return
        start += len(chunk)
        yield chunk
