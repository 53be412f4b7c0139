"""The body of a message as a tree of parts in the words of RFC 8621 §4.1.4, and which of them to show."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

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
    message "1". ``size`` is in transfer-encoded octets. ``name`` is safe as a file name, "" if none was given."""

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
    children: tuple[BodyPart, ...] = ()

    def walk(self) -> Iterator[BodyPart]:
        """This node and all below it, in the order of the message."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))

    def to_json(self) -> dict[str, Any]:
        """A plain dict, with what is at its default left out."""
        out: dict[str, Any] = {}
        for name, key, default in _KEYS:
            if (value := getattr(self, name)) != default:
                out[key] = value
        if self.children:
            out["parts"] = [child.to_json() for child in self.children]
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> BodyPart:
        """The inverse of ``to_json``; keys it does not know are ignored."""
        values = {name: data[key] for name, key, _ in _KEYS if key in data}
        return cls(**values, children=tuple(cls.from_json(child) for child in data.get("parts", ())))


_KEYS = (
    ("part_id", "id", ""), ("type", "type", "text/plain"), ("charset", "charset", ""), ("encoding", "enc", "7bit"),
    ("size", "size", 0), ("disposition", "disp", ""), ("name", "name", ""), ("cid", "cid", ""),
    ("format_flowed", "flowed", False), ("delsp", "delsp", False),
)  # fmt: skip


def make_part(
    part_id: str, type: str, params: Mapping[str, str], *, encoding: str = "", size: int = 0, disposition: str = "",
    disposition_params: Mapping[str, str] | None = None, cid: str = "", children: tuple[BodyPart, ...] = (),
) -> BodyPart:  # fmt: skip
    """A BodyPart from values as they stand in the message: decoded, bounded, made safe. Parameter names lower case."""
    type = _type(type)
    name = decode_param(disposition_params, "filename") if disposition_params else ""
    name = name or (decode_param(params, "name") if params else "")
    plain = type == "text/plain"
    return BodyPart(
        part_id=part_id,
        type=type,
        charset=_token(params["charset"].strip(" '\"")) if "charset" in params else "",
        encoding=_token(encoding) or "7bit",
        size=size,
        disposition=_token(disposition) if disposition else "",
        name=safe_name(name) if name else "",
        cid=clean(decode_words(cid)).strip("<> ")[:255] if cid else "",
        format_flowed=plain and params.get("format", "").strip().lower() == "flowed",
        delsp=plain and params.get("delsp", "").strip().lower() == "yes",
        children=children,
    )


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
    """The algorithm of RFC 8621 §4.1.4, with one change: images, audio and video are always attachments and never
    body parts, since they are shown from there."""
    text: list[BodyPart] = []
    html: list[BodyPart] = []
    attachments: list[BodyPart] = []
    _sort((root,), "mixed", False, html, text, attachments)
    images = {part.cid: part for part in reversed(attachments) if part.cid and _is_media(part)}
    return Bodies(tuple(text), tuple(html), tuple(attachments), images)


def _sort(
    parts: tuple[BodyPart, ...], kind: str, in_alternative: bool,
    html: list[BodyPart] | None, text: list[BodyPart] | None, attachments: list[BodyPart],
) -> None:  # fmt: skip
    """``html`` or ``text`` None: this branch belongs to the other alternative only. Depth is bounded by MAX_DEPTH."""
    had_text, had_html = len(text or ()), len(html or ())
    for index, part in enumerate(parts):
        if part.type.startswith("multipart/"):
            sub = part.type[10:]
            _sort(part.children, sub, in_alternative or sub == "alternative", html, text, attachments)
        elif not _is_inline(part, index, kind):
            attachments.append(part)
        elif kind == "alternative":
            target = {"text/plain": text, "text/html": html}.get(part.type, attachments)
            if target is not None:
                target.append(part)
        else:
            if in_alternative and part.type == "text/plain":
                html = None
            if in_alternative and part.type == "text/html":
                text = None
            for target in (attachments,) if _is_media(part) else (text, html):
                if target is not None:
                    target.append(part)
    if kind == "alternative" and text is not None and html is not None:
        # Only one of the two was there: then it stands for both.
        if len(text) == had_text and len(html) != had_html:
            text.extend(html[had_html:])
        elif len(html) == had_html and len(text) != had_text:
            html.extend(text[had_text:])


def _is_media(part: BodyPart) -> bool:
    return part.type.startswith(("image/", "audio/", "video/"))


def _is_inline(part: BodyPart, index: int, kind: str) -> bool:
    if part.disposition == "attachment":
        return False
    if part.type not in ("text/plain", "text/html") and not _is_media(part):
        return False
    return index == 0 or (kind != "related" and (_is_media(part) or not part.name))
