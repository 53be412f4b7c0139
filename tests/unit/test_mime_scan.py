"""Skipping from one boundary to the next finds what reading every line finds."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from webmail.mime import scan

LINES = [
    b"", b"text", b"--", b"-- ", b"--a", b"--a--", b"--ab", b"--b", b"--b--", b"-", b"a: b", b"x--a", b" --a",
    b"Content-Type: multipart/mixed; boundary=a", b"Content-Type: multipart/alternative; boundary=b",
    b"Content-Type: message/rfc822", b"Content-Type: text/html", b"long " * 40,
]  # fmt: skip
ENDS = [b"\r\n", b"\n", b"\r"]


def by_lines(raw: bytes) -> scan._Entity:
    """The scanner fed with every single line."""
    stream, scanner, at, whole = io.BytesIO(raw), scan._Scanner(), 0, True
    while line := stream.readline(scan.MAX_LINE):
        scanner.line(line, at, whole)
        at += len(line)
        whole = line.endswith(b"\n")
    scanner.finish(at)
    return scanner.root


def told(entity: scan._Entity) -> object:
    return entity.type, entity.start, entity.end, [told(child) for child in entity.children]


@settings(deadline=None, max_examples=400)
@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(ENDS)), max_size=40), st.sampled_from([3, 7, 64, 262144])
)
def test_every_entity_begins_and_ends_where_it_does_line_by_line(lines: list[tuple[bytes, bytes]], chunk: int) -> None:
    raw = LINES[13] + b"\r\n\r\n" + b"".join(line + end for line, end in lines)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scan, "CHUNK", chunk)
        patch.setattr(scan, "MAX_LINE", 100)
        assert told(scan._scan_once(io.BytesIO(raw)).root) == told(by_lines(raw))
