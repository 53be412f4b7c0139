"""The body of a message as a tree of parts in the words of RFC 8621 §4.1.4, and which of them to show."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from webmail.mime.transfer import transfer_encoding
from webmail.mime.words import clean, decode_param, decode_words, safe_name

if TYPE_CHECKING:
    from webmail.protocols.base import Structure

MAX_DEPTH = 50  # levels of multipart and message/rfc822; mail in the wild stays below 10
MAX_PARTS = 1000  # parts of one message; Exchange stops at 250

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")
_TOKEN = re.compile(r"[a-z0-9_.:+-]{1,60}")


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One node. ``part_id`` is the section number of RFC 9051 §6.4.5: a multipart root has "", the only part of a plain
    message "1". ``size`` is in transfer-encoded octets. ``name`` is safe as a file name, "" if none was given.
    ``start`` is the Content-ID of the root of a multipart/related (RFC 2387 §3.2). ``purpose`` is what the type itself
    says of what it is for, lower case: ``protocol`` of multipart/signed and encrypted, ``smime-type``, ``report-type``.

    What is found inside of a part that MIME does not divide (contents.py) is below it, with ids like ``2~1``."""

    part_id: str = ""
    type: str = "text/plain"
    charset: str = ""
    encoding: str = "7bit"
    size: int = 0
    disposition: str = ""
    name: str = ""
    cid: str = ""
    format_flowed: bool = False
    delsp: bool = False
    start: str = ""
    purpose: str = ""
    children: tuple[BodyPart, ...] = ()

    def walk(self) -> Iterator[BodyPart]:
        """This node and all below it, in the order of the message."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))

    def own(self) -> Iterator[BodyPart]:
        """The same without what is in messages within the message."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            if not part.type.startswith("message/"):
                waiting.extend(reversed(part.children))

    def text_charset(self) -> str:
        """What its first text declares, or "": raw octets in its header are likely in the same."""
        return next((part.charset for part in self.walk() if part.charset and part.type.startswith("text/")), "")

    def to_json(self) -> dict[str, Any]:
        """A plain dict, with what is at its default left out."""
        out: dict[str, Any] = {}
        for name, key, default in _KEYS:
            if (value := getattr(self, name)) != default:
                out[key] = value
        if self.children:
            out["parts"] = [child.to_json() for child in self.children]
        return out

    def with_contents(self, part_id: str, contents: tuple[BodyPart, ...]) -> BodyPart:
        """The tree with ``contents`` below the part of this id."""
        if self.part_id == part_id and not self.divided:
            return replace(self, children=contents)
        return replace(self, children=tuple(child.with_contents(part_id, contents) for child in self.children))

    @property
    def divided(self) -> bool:
        """Whether it is only a frame around others and has nothing of its own."""
        return self.type.startswith("multipart/")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BodyPart:
        """The inverse of ``to_json``; keys it does not know are ignored."""
        values = {name: data[key] for name, key, _ in _KEYS if key in data}
        return cls(**values, children=tuple(cls.from_json(child) for child in data.get("parts", ())))


_KEYS = (
    ("part_id", "id", ""), ("type", "type", "text/plain"), ("charset", "charset", ""), ("encoding", "enc", "7bit"),
    ("size", "size", 0), ("disposition", "disp", ""), ("name", "name", ""), ("cid", "cid", ""),
    ("format_flowed", "flowed", False), ("delsp", "delsp", False), ("start", "start", ""), ("purpose", "for", ""),
)  # fmt: skip


def make_part(
    part_id: str, type: str, params: Mapping[str, str], *, encoding: str = "", size: int = 0, disposition: str = "",
    disposition_params: Mapping[str, str] | None = None, cid: str = "", children: tuple[BodyPart, ...] = (),
) -> BodyPart:  # fmt: skip
    """A BodyPart from values as they stand in the message: decoded, bounded, made safe. Parameter names lower case."""
    type = _type(type)
    name = decode_param(disposition_params, "filename") if disposition_params else ""
    name = name or (decode_param(params, "name") if params else "")
    if type == "application/octet-stream" and name:
        type = _BY_NAME.get(name.lower(), type)
    plain = type == "text/plain"
    charset = params.get("charset", "")
    if "charset*" in params:
        charset = decode_param(params, "charset")
    return BodyPart(
        part_id=part_id,
        type=type,
        charset=_token(charset.strip(" '\"").partition(" ")[0]) if charset else "",
        encoding=transfer_encoding(encoding) if encoding else "7bit",
        size=size,
        disposition=_token(disposition) if disposition else "",
        name=safe_name(name) if name else "",
        cid=_content_id(cid) if cid else "",
        format_flowed=plain and params.get("format", "").strip().lower() == "flowed",
        delsp=plain and params.get("delsp", "").strip().lower() == "yes",
        start=_content_id(params["start"]) if type == "multipart/related" and "start" in params else "",
        purpose=clean(params.get(_PURPOSE[type], "")).lower()[:80] if type in _PURPOSE else "",
        children=children,
    )


# What gateways call by no type, and is known by its name.
_BY_NAME = {
    "winmail.dat": "application/ms-tnef", "win.dat": "application/ms-tnef", "smime.p7m": "application/pkcs7-mime",
    "smime.p7s": "application/pkcs7-signature",
}  # fmt: skip


def _content_id(text: str) -> str:
    return clean(decode_words(text)).strip("<> ")[:255]


_PURPOSE = {
    "multipart/signed": "protocol", "multipart/encrypted": "protocol", "multipart/report": "report-type",
    "application/pkcs7-mime": "smime-type", "application/x-pkcs7-mime": "smime-type",
}  # fmt: skip


def _type(type: str) -> str:
    type = type.strip().lower()
    if _is_type(type[:200]):  # longer than any that is one
        return type
    # RFC 2045 §5.2 takes a broken Content-Type for text/plain; a type that is merely odd is not for showing.
    return "application/octet-stream" if "/" in type else "text/plain"


@functools.lru_cache(1024)  # these few, for each part of all mail
def _is_type(type: str) -> bool:
    return _TYPE.fullmatch(type) is not None


def _token(text: str) -> str:
    text = text.strip().lower()
    return text if _is_token(text[:100]) else ""


@functools.lru_cache(1024)
def _is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def from_structure(structure: Structure) -> BodyPart:
    """BODYSTRUCTURE (RFC 9051 §7.5.2) -> BodyPart, not deeper than MAX_DEPTH and with at most MAX_PARTS nodes."""
    budget = [MAX_PARTS]

    def convert(node: Structure, depth: int) -> BodyPart:
        children = []
        for child in node.children if depth < MAX_DEPTH else ():
            if budget[0] <= 0:
                break
            budget[0] -= 1
            children.append(convert(child, depth + 1))
        return make_part(
            node.part,
            node.type,
            node.params,
            encoding=node.encoding,
            size=node.size,
            disposition=node.disposition or "",
            disposition_params=node.disposition_params,
            cid=node.content_id or "",
            children=tuple(children),
        )

    return convert(structure, 0)


@dataclass(frozen=True, slots=True)
class Bodies:
    """What to show. ``text`` and ``html`` are alternatives of each other: to show one of them is to show the message.
    Both may hold text/plain and text/html parts (RFC 8621 §4.1.4: one that has no alternative is in both), in order.
    Everything else is in ``attachments``; ``inline_images`` are those of them that HTML can refer to, by Content-ID."""

    text: tuple[BodyPart, ...] = ()
    html: tuple[BodyPart, ...] = ()
    attachments: tuple[BodyPart, ...] = ()
    inline_images: Mapping[str, BodyPart] = field(default_factory=dict)


def select_bodies(root: BodyPart) -> Bodies:
    """The algorithm of RFC 8621 §4.1.4, with these changes: images, audio and video are always attachments and never
    body parts, since they are shown from there; of alternatives of one type only the last counts, and those that are
    for other devices are no attachments; a signature that is checked by programs is none either; what is inside of a
    winmail.dat, of an opaque signature or of a text stands for itself. At most MAX_PARTS in all."""
    found = _Found([], [], [], [])
    found.sort((root,), "mixed", False, True, True)
    if found.rich:
        found.choose_rich()
    images = {part.cid: part for part in reversed(found.attachments) if part.cid and _is_media(part)}
    return Bodies(tuple(found.text), tuple(found.html), tuple(found.attachments), images)


TNEF = frozenset({"application/ms-tnef", "application/vnd.ms-tnef"})
OPAQUE = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_OTHER_DEVICES = frozenset({"text/x-amp-html", "text/watch-html", "text/enriched", "text/richtext"})


@dataclass(slots=True)
class _Found:
    text: list[BodyPart]
    html: list[BodyPart]
    attachments: list[BodyPart]
    rich: list[BodyPart]  # texts in winmail.dat

    def sort(
        self,
        parts: tuple[BodyPart, ...],
        kind: str,
        in_alternative: bool,
        to_text: bool,
        to_html: bool,
        first: str = "",
    ) -> None:
        """``to_text`` or ``to_html`` False: this branch belongs to the other alternative only. ``first`` is the
        Content-ID of the part that comes first in a multipart/related. Depth is bounded by MAX_DEPTH."""
        had_text, had_html = len(self.text), len(self.html)
        root = next((index for index, part in enumerate(parts) if part.cid == first), 0) if first else 0
        for index, part in enumerate(parts):
            if part.children and (part.divided or part.type in OPAQUE):
                sub = part.type[10:] if part.divided else "mixed"
                below = _without_signature(part) if sub in ("signed", "encrypted") else part.children
                alternative = in_alternative or sub == "alternative"
                self.sort(below, sub, alternative, to_text, to_html, part.start)
            elif part.children and part.type in TNEF:
                for child in part.children:
                    (self.attachments if child.disposition == "attachment" else self.rich).append(child)
            elif kind == "alternative" and part.type in _OTHER_DEVICES and any(map(_is_readable, parts)):
                pass
            elif not _is_inline(part, index == root, kind):
                self.attachments.append(part)
            elif kind == "alternative":
                self._choose(parts, index, to_text, to_html)
            elif _is_media(part):
                self.attachments.append(part)
            else:
                to_html = to_html and not (in_alternative and part.type == "text/plain")
                to_text = to_text and not (in_alternative and part.type == "text/html")
                self._add(part, to_text, to_html)
        if kind == "alternative" and to_text and to_html:
            # Only one of the two was there: then it stands for both.
            if len(self.text) == had_text:
                self.text.extend(self.html[had_html:])
            elif len(self.html) == had_html:
                self.html.extend(self.text[had_text:])

    def _choose(self, parts: tuple[BodyPart, ...], index: int, to_text: bool, to_html: bool) -> None:
        """One of several alternatives: RFC 2046 §5.1.4, the last is the best."""
        part = parts[index]
        if part.type not in ("text/plain", "text/html"):
            self.attachments.append(part)
        elif not any(
            later.type == part.type and _is_inline(later, False, "alternative") for later in parts[index + 1 :]
        ):
            self._add(part, to_text and part.type == "text/plain", to_html and part.type == "text/html")

    def _add(self, part: BodyPart, to_text: bool, to_html: bool) -> None:
        if to_text:
            self.text.append(part)
        if to_html:
            self.html.append(part)
        self.attachments.extend(part.children)  # the files that stand in the text

    def choose_rich(self) -> None:
        """Outlook's own text beside the plain one it sends for others: it is the better alternative, unless there is
        HTML."""
        best = self.rich[0]
        if any(part.type == "text/html" for part in self.html) or (best.type != "text/html" and self.text):
            return
        self.html[:] = [best]
        self.text[:] = self.text or [best]


def _without_signature(part: BodyPart) -> tuple[BodyPart, ...]:
    """RFC 1847 §2: what is left for people to see."""
    return tuple(
        child
        for index, child in enumerate(part.children)
        if not (index and child.type in SIGNATURES) and child.type != "application/pgp-encrypted"
    )


def _is_media(part: BodyPart) -> bool:
    return part.type.startswith(("image/", "audio/", "video/"))


def _is_readable(part: BodyPart) -> bool:
    return part.type in ("text/plain", "text/html") or part.divided


def _is_inline(part: BodyPart, first: bool, kind: str) -> bool:
    if part.disposition == "attachment":
        return False
    if part.type not in ("text/plain", "text/html") and not _is_media(part):
        return False
    return first or (kind != "related" and (_is_media(part) or not part.name))
