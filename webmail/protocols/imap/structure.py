"""BODYSTRUCTURE (RFC 9051 §7.5.2) as base.Structure."""

from __future__ import annotations

from webmail.protocols.base import Structure
from webmail.protocols.imap.syntax import text

DEPTH_LIMIT = 50
PARTS_LIMIT = 2000


class _Odd(Exception):
    """Not a body structure, or one past the limits."""


def structure_of(body: object) -> Structure | None:
    """The tree of parts, or None where there is no making sense of it: then the message itself must tell."""
    try:
        return _Tree().root(body)
    except _Odd:
        return None


class _Tree:
    def __init__(self) -> None:
        self._parts = 0

    def root(self, body: object) -> Structure:
        if _is_multipart(body):
            return self._multipart(body, "", "", 0)
        return self._single(body, "1", 0)

    def _multipart(self, body: object, part: str, prefix: str, depth: int) -> Structure:
        """``part`` fetches this node, ``prefix`` begins the numbers of its children."""  # RFC 9051 §6.4.5.1
        assert isinstance(body, list)
        self._count(depth)
        count = next((at for at, value in enumerate(body) if not isinstance(value, list)), len(body))
        children = []
        for position, child in enumerate(body[:count], 1):
            number = f"{prefix}{position}"
            if _is_multipart(child):
                children.append(self._multipart(child, number, f"{number}.", depth + 1))
            else:
                children.append(self._single(child, number, depth + 1))
        rest = body[count:]  # subtype, then the extension data: parameters, disposition, language, location
        disposition, disposition_params = _disposition(rest[2:3])
        return Structure(
            part=part,
            type=f"multipart/{text(rest[0] if rest else None).lower() or 'mixed'}",
            params=_without_boundary(_params(rest[1] if len(rest) > 1 else None)),
            disposition=disposition,
            disposition_params=disposition_params,
            children=tuple(children),
        )

    def _single(self, body: object, part: str, depth: int) -> Structure:
        self._count(depth)
        if not isinstance(body, list) or len(body) < 7:
            raise _Odd
        kind, subtype = text(body[0]).lower() or "application", text(body[1]).lower() or "octet-stream"
        extension = 7
        children: tuple[Structure, ...] = ()
        if kind == "text":
            extension = 8  # lines
        elif kind == "message" and subtype in ("rfc822", "global") and len(body) > 8 and isinstance(body[8], list):
            extension = 10  # envelope, structure, lines
            children = (self._embedded(body[8], part, depth + 1),)
        # extension data: MD5, disposition, language, location
        disposition, disposition_params = _disposition(body[extension + 1 : extension + 2])
        return Structure(
            part=part,
            type=f"{kind}/{subtype}",
            params=_params(body[2]),
            content_id=text(body[3]) or None,
            encoding=text(body[5]).lower() or "7bit",
            size=_size(body[6]),
            disposition=disposition,
            disposition_params=disposition_params,
            children=children,
        )

    def _embedded(self, body: object, part: str, depth: int) -> Structure:
        if _is_multipart(body):
            return self._multipart(body, f"{part}.TEXT", f"{part}.", depth)
        return self._single(body, f"{part}.1", depth)

    def _count(self, depth: int) -> None:
        self._parts += 1
        if self._parts > PARTS_LIMIT or depth > DEPTH_LIMIT:
            raise _Odd


def _is_multipart(body: object) -> bool:
    return isinstance(body, list) and bool(body) and isinstance(body[0], list)


def _size(value: object) -> int:
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) < 19 else 0


def _params(values: object) -> dict[str, str]:
    if not isinstance(values, list):
        return {}
    return {text(name).lower(): text(value) for name, value in zip(values[::2], values[1::2], strict=False)}


def _without_boundary(params: dict[str, str]) -> dict[str, str]:
    """It means nothing away from the octets that it divides."""
    return {name: value for name, value in params.items() if name != "boundary"}


def _disposition(rest: list) -> tuple[str | None, dict[str, str]]:
    value = rest[0] if rest else None
    if not isinstance(value, list) or not value:
        return None, {}
    return text(value[0]).lower() or None, _params(value[1] if len(value) > 1 else None)
