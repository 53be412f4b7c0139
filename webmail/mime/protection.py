"""Signed and encrypted mail told apart: S/MIME (RFC 8551) and PGP (RFC 9580), in MIME (RFC 1847, RFC 3156) and in a text.

Only recognised, never checked: that somebody signed says nothing here of who it was."""

from __future__ import annotations

import re
from dataclasses import dataclass

from webmail.mime.parts import OPAQUE, SIGNATURES, BodyPart

MAX_PROTECTIONS = 10  # of one message: mail that was signed, encrypted and signed again has three


@dataclass(frozen=True, slots=True)
class Protection:
    """``kind`` is "smime" or "pgp". ``part_id`` is the part that is signed (readable) or encrypted (not so);
    ``signature_id`` that of a signature beside it, or ""."""

    kind: str
    signed: bool
    encrypted: bool
    part_id: str
    signature_id: str = ""


def protections(root: BodyPart) -> tuple[Protection, ...]:
    """The outermost first. What opaque S/MIME is can be told only by its ``smime-type``, or once its content was looked
    for; until then it counts as encrypted. At most MAX_PROTECTIONS."""
    found: list[Protection] = []
    for part in root.own():
        if (one := _protection(part)) and len(found) < MAX_PROTECTIONS:
            found.append(one)
    return tuple(found)


def _protection(part: BodyPart) -> Protection | None:
    if part.type == "multipart/signed":
        return _signed(part)
    if part.type in OPAQUE:
        return _opaque(part)
    if part.divided and any(child.type == "application/pgp-encrypted" for child in part.children):
        # RFC 3156 §4. Some servers make a multipart/mixed of it.
        data = [child for child in part.children if child.type == "application/octet-stream"]
        return Protection("pgp", False, True, data[0].part_id) if data else None
    return None


def _signed(part: BodyPart) -> Protection | None:
    signature = next((child for child in part.children[1:] if child.type in SIGNATURES), None)
    what = part.purpose or (signature.type if signature else "")
    if what not in SIGNATURES:
        return None
    content = part.children[0].part_id if part.children else part.part_id
    kind = "pgp" if "pgp" in what else "smime"
    return Protection(kind, True, False, content, signature.part_id if signature else "")


def _opaque(part: BodyPart) -> Protection | None:
    if part.purpose == "certs-only" or part.purpose == "compressed-data":
        return None
    signed = part.purpose == "signed-data" or bool(part.children)
    return Protection("smime", signed, not signed, part.children[0].part_id if part.children else part.part_id)


_ARMOUR = re.compile(r"^-----BEGIN PGP (SIGNED MESSAGE|MESSAGE(?:, PART \d+(?:/\d+)?)?)-----[ \t]*$", re.MULTILINE)
_SIGNATURE_END = "-----END PGP SIGNATURE-----"


def armour(text: str, part_id: str = "1") -> Protection | None:
    """PGP in the text itself (RFC 9580 §6.2, §7), the text being that of part ``part_id``."""
    match = _ARMOUR.search(text)
    if match is None:
        return None
    signed = match[1].startswith("SIGNED")
    return Protection("pgp", signed, not signed, part_id)


def without_armour(text: str) -> str:
    """A text signed by PGP as it was before (RFC 9580 §7): without the frame, the hash and the signature, and with the
    dashes that it adds taken away. Others as they are."""
    out: list[str] = []
    state = "outside"
    if "-----BEGIN PGP SIGNED MESSAGE-----" not in text:
        return text
    for line in text.split("\n"):
        bare = line.rstrip()
        if state == "outside" and bare == "-----BEGIN PGP SIGNED MESSAGE-----":
            state = "header"
        elif state == "header":
            state = "header" if bare else "text"
        elif state == "text" and bare == "-----BEGIN PGP SIGNATURE-----":
            state = "signature"
        elif state == "signature":
            state = "outside" if bare == _SIGNATURE_END else state
        else:
            out.append(line[2:] if state == "text" and line.startswith("- ") else line)
    return "\n".join(out)
