"""Content lines: the grammar that iCalendar (RFC 5545 §3.1) and vCard (RFC 6350 §3.3, and 2.1 before it) share.

A line that is none is left out, and what is around it read on: files in mail come from programs of thirty years. All of
it is linear in the text, and bounded by whoever calls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_LINE = 100_000  # characters of one line, unfolded; a longer one is left out
MAX_PARAMS = 50  # of one line
MAX_VALUES = 200  # of all parameters of one line

_NAME = re.compile(r"(?:([A-Za-z0-9-]{1,60})\.)?([A-Za-z0-9-]{1,60})(?=[;:])")
_PARAM = re.compile(r";([A-Za-z0-9/-]{1,60})(=)?")
_VALUE = re.compile(r'"[^"]*"|[^";:,]*')
_BREAK = re.compile("\r\n|\r|\n")
_CARET = re.compile(r"\^([n^'])")
_ESCAPED = re.compile(r"\\([\\;,:nN])")


@dataclass(frozen=True, slots=True)
class Line:
    """``name`` and the names of ``params`` are in capitals; a parameter without a value (vCard 2.1) is a TYPE. ``value``
    is as it stands: what is escaped in it depends on what it is."""

    name: str
    value: str
    group: str = ""
    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def param(self, name: str) -> str:
        return next(iter(self.params.get(name, ())), "")


def content_lines(text: str, most: int) -> Iterator[Line]:
    """The first ``most`` lines of a text, unfolded."""
    for raw in _unfolded(text, most):
        if len(raw) <= MAX_LINE and (line := _line(raw)):
            yield line


def _unfolded(text: str, most: int) -> Iterator[str]:
    held: list[str] = []
    printable = soft = False  # whether the first of what is held says quoted-printable; whether the last goes on
    for number, line in enumerate(_BREAK.split(text)):
        if number >= most:
            break
        if soft:  # quoted-printable (RFC 2045 §6.7) goes on where its line ends in "=", as vCard 2.1 has it
            held.append("\n" + line)
        elif held and line[:1] in (" ", "\t"):
            held.append(line[1:])
        else:
            if held:
                yield "".join(held)
            held = [line]
            printable = "QUOTED-PRINTABLE" in line[:MAX_LINE].upper()
        soft = printable and line.endswith("=")
    if held:
        yield "".join(held)


def _line(raw: str) -> Line | None:
    start = _NAME.match(raw)
    if not start:
        return None
    at = start.end()
    params: dict[str, list[str]] = {}
    many = 0
    while raw[at : at + 1] == ";":
        found = _PARAM.match(raw, at)
        many += 1
        if not found or len(params) >= MAX_PARAMS or many > MAX_VALUES:
            return None
        at, values = found.end(), list[str]()
        while found[2]:
            value = _VALUE.match(raw, at)
            if value is None:
                return None
            values.append(_uncaret(value[0].strip('"')))
            many += 1
            if many > MAX_VALUES:
                return None
            at = value.end()
            if raw[at : at + 1] != ",":
                break
            at += 1
        name = found[1].upper() if found[2] else "TYPE"
        params.setdefault(name, []).extend(values or [found[1]])
    if raw[at : at + 1] != ":":
        return None
    return Line(start[2].upper(), raw[at + 1 :], (start[1] or "").upper(), {n: tuple(v) for n, v in params.items()})


def _uncaret(value: str) -> str:
    """RFC 6868 §3.2."""
    return _CARET.sub(lambda match: {"n": "\n", "^": "^", "'": '"'}[match[1]], value) if "^" in value else value


def unescape(value: str) -> str:
    """RFC 5545 §3.3.11, RFC 6350 §3.4."""
    return _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], value) if "\\" in value else value


_PIECES = {mark: re.compile(rf"((?:\\.|[^\\{mark}])*\\?)({mark}|$)", re.DOTALL) for mark in ";,"}


def split(value: str, separator: str) -> list[str]:
    """At each ``separator`` that is not escaped; the pieces unescaped."""
    pieces = []
    for found in _PIECES[separator].finditer(value):
        pieces.append(unescape(found[1]))
        if not found[2]:
            break
    return pieces
