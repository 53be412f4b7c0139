"""Addresses: RFC 5322 §3.4 and §4.4 as servers send them, and what people type; one linear scanner for both."""

from __future__ import annotations

import functools
import re
import unicodedata
from dataclasses import dataclass, field

from webmail.mime.words import clean, decode_words

MAX_ADDRESSES = 2000  # of one field
MAX_FIELD = 256 * 1024  # characters of an address field that are read
MAX_DISPLAY = 200  # characters of a display name
MAX_EMAIL = 320  # RFC 3696 erratum 1690 says 254; a longer one is no address
MAX_COMMENT_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox (RFC 5322 §3.4). ``email`` is "" where a header names somebody without an address."""

    name: str
    email: str


# Order matters: an encoded word may hold any special, a missing ">" ends at the next separator, and a route
# (RFC 5322 §4.4, "<@a,@b:c@d>") holds commas.
_TOKEN = re.compile(
    r"""(?P<word>=\?[^?\s]+\?[bBqQ]\?[^?\s]*\?=)
      | (?P<space>\s+)
      | (?P<quoted>"(?:[^"\\]|\\.)*")
      | (?P<angle><(?:\s*@[^<>:]*:)?(?:"(?:[^"\\<>]|\\.)*")?[^<>,;]*>?)
      | (?P<end>[,;])
      | (?P<group>:)
      | (?P<comment>\()
      | (?P<literal>\[[^\[\]\s]*\])
      | (?P<pair>\\.)
      | (?P<atom>[^\s"(),:;<>\\\[\]]+)
      | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_PAIR = re.compile(r"\\(.)", re.DOTALL)


@dataclass(slots=True)
class _Piece:
    """What stands between two separators. ``glued`` texts touch: white space starts a new one."""

    texts: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    angle: str | None = None
    quoted: bool = False
    gap: bool = True
    end: str = ""
    at: int = 0
    until: int = 0

    def add(self, text: str, quoted: bool = False) -> None:
        if self.gap or not self.texts:
            self.texts.append(text)
        else:
            self.texts[-1] += text
        self.gap = False
        self.quoted = self.quoted or quoted


def _pieces(value: str) -> list[_Piece]:
    """Cut at separators outside of quotes, comments and angle brackets; a group's name is dropped (RFC 5322 §3.4)."""
    pieces: list[_Piece] = []
    piece = _Piece()
    at, unclosed = 0, False
    while at < len(value) and len(pieces) < MAX_ADDRESSES:
        match = _TOKEN.match(value, at)
        assert match is not None
        kind, text, at = match.lastgroup, match[0], match.end()
        if kind == "space":
            piece.gap = True
        elif kind == "quoted":
            # A quoted local part keeps its quotes; a quoted name does not.
            quoted_local = value[at : at + 1] == "@"
            piece.add(text if quoted_local else _PAIR.sub(r"\1", text[1:-1]), quoted=not quoted_local)
        elif kind == "angle":
            piece.angle = text.strip("<>") if piece.angle is None else piece.angle
            piece.gap = True
        elif kind == "end":
            piece.end, piece.until = text, match.start()
            pieces.append(piece)
            piece = _Piece(at=at)
        elif kind == "group" and piece.angle is None and "@" not in "".join(piece.texts):
            piece = _Piece(at=at)
        elif kind == "comment" and not unclosed and (comment := _comment(value, at)) is not None:
            piece.comments.append(comment[0])
            at = comment[1]
        else:
            # One "(" that never closes makes all later ones plain characters: looking again would be quadratic.
            unclosed = unclosed or kind == "comment"
            piece.add(text[1:] if kind == "pair" else text)
    piece.until = len(value)
    pieces.append(piece)
    return pieces


_COMMENT = re.compile(r"[()]|\\.", re.DOTALL)


def _comment(value: str, at: int) -> tuple[str, int] | None:
    """The comment whose "(" ends at ``at``: its text and where it ends; None if it does not."""
    depth = 1
    for match in _COMMENT.finditer(value, at):
        depth += {"(": 1, ")": -1}.get(match[0], 0)
        if depth == 0:
            return _PAIR.sub(r"\1", value[at : match.start()]), match.end()
        if depth > MAX_COMMENT_DEPTH:
            break
    return None


def _display(text: str) -> str:
    text = clean(decode_words(text))
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip()
    return text[:MAX_DISPLAY]


def _email(text: str) -> str:
    """The addr-spec out of what stood in angle brackets or bare: route, comments and obsolete white space gone."""
    if text.lstrip().startswith("@") and ":" in text:
        text = text.rpartition(":")[2]
    text = text[7:] if text[:7].lower() == "mailto:" else text
    if "=?" in text:
        text = decode_words(text)
    if '"' not in text:
        text = "".join(text.split())
    text = clean(text)
    return text if len(text) <= MAX_EMAIL else ""


def _addresses(piece: _Piece) -> list[Address]:
    """What one piece means: none, one, or several bare addresses with only white space between them."""
    comment = _display(" ".join(piece.comments)) if piece.comments else ""
    if piece.angle is not None:
        email = _email(piece.angle)
        name = _display(" ".join(piece.texts)) or comment
        return [Address("" if name == email else name, email)] if name or email else []
    if not piece.texts:
        return []
    spec = [text for text in piece.texts if "@" in text[1:-1]]
    if len(spec) == len(piece.texts):
        return [Address(comment, _email(text)) for text in spec]
    if len(spec) == 1:
        name = _display(" ".join(text for text in piece.texts if text is not spec[0])) or comment
        return [Address(name, _email(spec[0]))]
    joined = "".join(piece.texts)
    if "@" in joined[1:-1] and not piece.quoted:  # RFC 5322 §4.4: "john . doe @ example . org"
        return [Address(comment, _email(joined))]
    name = _display(" ".join(piece.texts))
    return [Address(name, "")] if name else []


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """``Doe, John <a@b>``: a piece without any address before one in angle brackets is the start of its name."""
    out: list[_Piece] = []
    for piece in pieces:
        last = out[-1] if out else None
        if (
            last is not None and last.end == "," and last.angle is None and last.texts and not last.quoted
            and piece.angle is not None and piece.texts and not piece.quoted and "@" not in "".join(last.texts)
        ):  # fmt: skip
            last.texts[-1] += ","
            piece.texts, piece.at = last.texts + piece.texts, last.at
            out.pop()
        out.append(piece)
    return out


def parse_address_field(value: str) -> tuple[Address, ...]:
    """An address-list of a header, encoded words not yet decoded. Never raises; at most MAX_ADDRESSES."""
    found: list[Address] = []
    for piece in _joined(_pieces(value[:MAX_FIELD])):
        found.extend(_addresses(piece))
        if len(found) >= MAX_ADDRESSES:
            break
    return tuple(found[:MAX_ADDRESSES])


REMEMBERED = 300  # characters of a field that is worth remembering
_WORD = r"[!#-'*+./0-9=?A-Z^_`a-z{|}~-]+"
_SPEC = r"[A-Za-z0-9._+=-]{1,64}@[A-Za-z0-9.-]{1,200}"
# One address as programs write it: ``Name <a@b>``, ``=?utf-8?Q?Name?= <a@b>``, ``"Name" <a@b>``, ``<a@b>`` or ``a@b``.
_PLAIN = re.compile(rf'(?:"([^"\\]+)" |({_WORD}(?: {_WORD})*) |)<({_SPEC})>|({_SPEC})')


def address_field(value: str) -> tuple[Address, ...]:
    """parse_address_field, remembering: mail repeats who writes to whom."""
    return _remembered(value) if len(value) <= REMEMBERED else parse_address_field(value)


@functools.lru_cache(4096)
def _remembered(value: str) -> tuple[Address, ...]:
    match = _PLAIN.fullmatch(value)
    if match is None:
        several = value.split(", ") if '"' not in value else []
        if len(several) > 1 and all(map(_PLAIN.fullmatch, several)):
            return tuple(address for one in several for address in _remembered(one))
        return parse_address_field(value)
    quoted, words, email, bare = match.groups()
    name = _display(quoted or words or "")
    return (Address("" if name == email else name, email or bare),)


_LOCAL = re.compile(r'[^\s"(),:;<>@\[\]\\\x00-\x20\x7f]+|"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"')
_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")
_LITERAL = re.compile(r"\[[0-9A-Za-z:.]+\]")
_LINES = re.compile(r"[\t\r\n]+(?!\s*<)")


def is_email(email: str) -> bool:
    """Could mail be sent there? RFC 5321 §4.1.2 and RFC 6531 §3.3, without quibbling about dots in the local part."""
    local, at, domain = email.rpartition("@")
    if not at or len(email.encode("utf-8", "replace")) > MAX_EMAIL or not _LOCAL.fullmatch(local):
        return False
    if _LITERAL.fullmatch(domain):
        return True
    labels = domain.split(".")
    return len(domain) <= 253 and all(map(_label, labels))


def _label(label: str) -> bool:
    plain = unicodedata.normalize("NFC", label)
    return len(plain) <= 63 and not any(
        unicodedata.category(char)[0] not in "LMN" and char != "-" for char in plain
    ) and not (plain.startswith("-") or plain.endswith("-")) and bool(plain)  # fmt: skip


def parse_addresses(text: str) -> tuple[list[Address], list[str]]:
    """What a person typed or pasted -> (addresses that can be sent to, pieces that cannot be understood).

    Commas, semicolons, tabs and line ends separate. ``Doe, John <a@b>`` is one address only where semicolons
    separate the addresses (as Outlook copies them): elsewhere "Doe" may be somebody the person meant to reach."""
    text = text.strip()
    value = _LINES.sub(";", text[:MAX_FIELD])
    pieces = _pieces(value)
    if ";" in text:
        pieces = _joined(pieces)
    good: list[Address] = []
    bad: list[str] = []
    for piece in pieces:
        found = _addresses(piece)
        sound = [address for address in found if is_email(address.email)]
        good.extend(sound)
        if len(found) > 1:
            bad.extend(format_address(address) for address in found if address not in sound)
        elif not sound and (rest := clean(value[piece.at : piece.until])):
            bad.append(rest)
    if len(text) > MAX_FIELD:
        bad.append(clean(text[MAX_FIELD : MAX_FIELD + MAX_DISPLAY]) + "…")
    return good, bad


def format_address(address: Address) -> str:
    """``Name <a@b>`` for people: Unicode, quotes only where the name would be misread; not for a header."""
    email = unicode_email(address.email)
    if not address.name:
        return email
    if not email:
        return address.name
    name = address.name
    if re.search(r'[",;:<>()@\[\]\\]', name):
        name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return f"{name} <{email}>"


def unicode_email(email: str) -> str:
    """The domain with its A-labels (RFC 5890) as Unicode, except where a label mixes scripts: that stays ``xn--``."""
    local, at, domain = email.rpartition("@")
    if "xn--" not in domain.lower():
        return email
    return local + at + ".".join(map(_unicode_label, domain.split(".")))


def _unicode_label(label: str) -> str:
    if not label.lower().startswith("xn--") or len(label) > 63:
        return label
    try:
        text = label.encode("ascii").decode("idna")
    except UnicodeError:
        return label
    scripts = {unicodedata.name(char, "?").partition(" ")[0] for char in text if char.isalpha()}
    together = ({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA"}, {"CJK", "HANGUL"})
    single = len(scripts) <= 1 or any(scripts <= group for group in together)
    return text if single and clean(text) == text else label


def ascii_domain(domain: str) -> str:
    """A-labels for the wire (RFC 5891). Raises ValueError if the domain has none."""
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise ValueError(f"not a domain: {domain!r}") from error
