"""Attacks on a webmail, as data: ``CLASS-what.txt``, one vector a line, ``where it sits | what it tries | what is sent``.

␀ ␉ ␤ ␍ ␛ stand for those controls, ⟦9f a0⟧ for octets, {canary} for a web server on this machine that
nobody may ask.
``*5000`` behind the place repeats what is sent. Places:

    html, text [in CHARSET]     the only part, as text/html or text/plain
    as TYPE; PARAMETER=X …      the only part, of this type
    subject, from, to, cc, reply-to, file-name      decoded text: written as encoded words (RFC 2047, RFC 2231)
    field NAME                  the raw value of a header field
    file TYPE NAME              an attachment, its octets
    message                     all of it, header and body
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_from_bytes

HERE = Path(__file__).parent
CONTROLS = str.maketrans({"␀": "\0", "␉": "\t", "␤": "\n", "␍": "\r", "␛": "\x1b"})
_OCTETS = re.compile("⟦([0-9a-f ]+)⟧")
_PLACE = re.compile(r"(?P<where>[^*]+?)(?:\*(?P<times>\d+))?")
PEOPLE = {"from": "From", "to": "To", "cc": "Cc", "reply-to": "Reply-To"}


@dataclass(frozen=True, slots=True)
class Vector:
    """``name`` is its file and line."""

    name: str
    group: str
    place: str
    tries: str
    data: bytes

    @property
    def kind(self) -> str:
        """html, text, as, message, file (for file-name, too), field, subject, from …"""
        return self.place.split()[0].removesuffix("-name")

    @property
    def field(self) -> str:
        """The header field that it is in, "" if none."""
        if self.kind == "field":
            return self.place.split()[1]
        return "Subject" if self.kind == "subject" else PEOPLE.get(self.kind, "")


def vectors() -> list[Vector]:
    """All of them, in the order of the files; those of tests/unit/hostile_html.txt at the end."""
    return [*(vector for path in sorted(HERE.glob("*.txt")) for vector in _of(path)), *_hostile_html()]


def _of(path: Path) -> Iterator[Vector]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line and not line.startswith("# "):
            place, tries, data = line.split(" | ", 2)
            match = _PLACE.fullmatch(place)
            assert match, f"{path.name}:{number}"
            sent = _octets(data) * int(match["times"] or 1)
            yield Vector(f"{path.stem}:{number}", path.stem[0].upper(), match["where"], tries, sent)


def _octets(text: str) -> bytes:
    out = b""
    for number, piece in enumerate(_OCTETS.split(text)):
        out += bytes.fromhex(piece) if number % 2 else piece.translate(CONTROLS).encode()
    return out


def _hostile_html() -> Iterator[Vector]:
    """One sample a line, by the classes of attack; what each tries is plain from it."""
    path, group = HERE.parent / "unit" / "hostile_html.txt", "B"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("# "):
            group = line[2] if line[3:4] in (":", ",") else group
        elif line:
            yield Vector(f"hostile_html:{number}", group, "html", "", line.translate(CONTROLS).encode())


# --- as messages ----------------------------------------------------------------------------------------------------

TOGETHER = {"html": 20, "text": 20, "file": 12}  # vectors of one place that one message takes; more texts are not shown
LONG = 5000  # octets: too much to be shown beside others
ORDINARY = [b"Content-Type: text/plain; charset=utf-8\r\n\r\nNothing to see here.\r\n"]


def alone(known: list[Vector]) -> list[list[Vector]]:
    """Those that are the body or the whole of it, each in a message of its own."""
    return [[vector] for vector in known if vector.kind in ("html", "text", "as", "message")]


def together(known: list[Vector]) -> list[list[Vector]]:
    """The others, and those bodies that can be parts of one message, in as few messages as can be: pages that show the
    header, or bodies as text, need not be opened once for each vector."""
    slots: dict[str, list[Vector]] = {}
    for vector in known:
        if vector.kind in TOGETHER and len(vector.data) < LONG:
            slots.setdefault(vector.kind, []).append(vector)
        elif vector.field:
            slots.setdefault(vector.field.lower(), []).append(vector)
    groups = []
    for kind, most in TOGETHER.items():
        bodies = slots.pop(kind, [])
        groups += [bodies[at : at + most] for at in range(0, len(bodies), most)]
    # The nth of each field stand in one header.
    return groups + [[*filter(None, row)] for row in itertools.zip_longest(*slots.values())]


def message(group: list[Vector], to: str, canary: str = "") -> bytes:
    """The vectors in one message to somebody; everything but them is ordinary."""
    fields, parts = (
        _fields(f"{len(group)} from {group[0].name}" if len(group) > 1 else f"vector {group[0].name}", to),
        [],
    )
    for vector in group:
        data = vector.data.replace(b"{canary}", canary.encode())
        if vector.kind == "message":
            return data.replace(b"\n", b"\r\n")
        if vector.field:
            fields[vector.field] = _value(vector, data)
        else:
            parts.append(_part(vector, data))
    if not parts or group[0].kind == "file":
        parts = ORDINARY + parts
    lines = [name.encode() + b": " + value + b"\r\n" for name, value in fields.items()]
    if len(parts) == 1:
        return b"".join([*lines, parts[0]])
    mixed = [b"--cut\r\n" + part + b"\r\n" for part in parts]
    return b"".join([*lines, b"Content-Type: multipart/mixed; boundary=cut\r\n\r\n", *mixed, b"--cut--\r\n"])


def _value(vector: Vector, data: bytes) -> bytes:
    if vector.kind == "field":
        return data
    return _words(data) + (b" <mallory@attack.test>" if vector.kind in PEOPLE else b"")


def _part(vector: Vector, data: bytes) -> bytes:
    """A part with its header."""
    _where, _space, rest = vector.place.partition(" ")
    if vector.kind in ("html", "text"):
        kind = "text/html" if vector.kind == "html" else "text/plain"
        rest = f"{kind}; charset={rest.removeprefix('in ') or 'utf-8'}"
    if vector.kind != "file":
        return f"Content-Type: {rest}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n".encode() + data
    kind, _space, name = rest.partition(" ")
    head = f'Content-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"'.encode()
    if vector.place == "file-name":
        head = b"Content-Type: application/x-thing\r\nContent-Disposition: attachment; filename*=UTF-8''"
        head, data = head + quote_from_bytes(data, safe="").encode(), b"octets"
    return head + b"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.encodebytes(data).replace(b"\n", b"\r\n")


def _fields(subject: str, to: str) -> dict[str, bytes]:
    return {
        "From": b"Mallory <mallory@attack.test>",
        "To": to.encode(),
        "Subject": subject.encode(),
        "Date": b"Mon, 02 Nov 2026 10:00:00 +0000",
        "Message-ID": f"<{subject.replace(' ', '-').replace(':', '-')}@attack.test>".encode(),
        "MIME-Version": b"1.0",
    }


def _words(text: bytes) -> bytes:
    """As encoded words of at most 75 characters (RFC 2047 §2)."""
    pieces = [text[at : at + 42] for at in range(0, len(text), 42)] or [b""]
    return b"\r\n ".join(b"=?utf-8?B?" + base64.b64encode(piece) + b"?=" for piece in pieces)
