"""Whatever octets come, reading raises nothing but what is documented, and keeps within its bounds. Counted, not timed."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from webmail import mime
from webmail.mime import charsets, cms, contents, embedded, parts, protection, reading, reports, rtf, scan, tnef, words
from webmail.mime.transfer import transfer_encoding

CORPUS = [path.read_bytes() for path in sorted((Path(__file__).parent.parent / "corpus").glob("*.eml"))]
SMALL = [octets for octets in CORPUS if len(octets) < 10_000]


class Counted(io.BytesIO):
    """A file that counts how often and how much is read from it."""

    reads = 0
    octets = 0

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.reads += 1
        self.octets += len(found)
        return found


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A message of the corpus with pieces cut out, doubled, exchanged with those of another, and octets changed."""
    octets = bytearray(draw(st.sampled_from(SMALL)))
    for _ in range(draw(st.integers(1, 4))):
        start, size = draw(st.integers(0, len(octets))), draw(st.integers(1, 60))
        match draw(st.integers(0, 3)):
            case 0:
                del octets[start : start + size]
            case 1:
                octets[start:start] = octets[start : start + size] * draw(st.integers(1, 20))
            case 2:
                other = draw(st.sampled_from(SMALL))
                begin = draw(st.integers(0, len(other)))
                octets[start:start] = other[begin : begin + size]
            case _:
                octets[start : start + 1] = draw(st.binary(max_size=4))
    return bytes(octets)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(damaged(), st.sampled_from(["", "utf-8", "koi8-r", "utf-16le", "big5"]))
def test_a_damaged_message_is_read_within_bounds(octets: bytes, chosen: str) -> None:
    def octets_of(part_id: str, most: int | None) -> Iterable[bytes]:
        return mime.part_octets(io.BytesIO(octets), part_id) if part_id else [octets]

    header = mime.parse_header(octets)
    assert len(header.subject) <= 1000
    assert "\n" not in header.subject
    read = mime.read_message(mime.parse_structure(io.BytesIO(octets)), octets_of, chosen)
    tree = list(read.root.walk())
    assert len(tree) <= 2 * parts.MAX_PARTS
    assert len({part.part_id for part in tree}) == len(tree)
    assert mime.BodyPart.from_json(json.loads(json.dumps(read.root.to_json()))) == read.root
    assert len(read.protections) <= protection.MAX_PROTECTIONS
    assert len({one.part.part_id for one in (*read.text, *read.html)}) <= reading.MAX_TEXTS
    for one in (*read.text, *read.html):
        one.text.encode()
        assert "\0" not in one.text
        assert "\r" not in one.text
    for part in read.attachments:
        assert len(part.name) <= words.MAX_NAME
        assert not set(part.name) & set("/\\\0\r\n\u202e")
        encoded = (
            mime.octets_within(read.root, part.part_id, octets_of)
            if "~" in part.part_id
            else octets_of(part.part_id, None)
        )
        assert sum(map(len, mime.decode_transfer(encoded, part.encoding))) < 100 * len(octets) + 100_000


@given(st.binary(max_size=300), st.one_of(st.sampled_from([label for label, _ in mime.CHARSETS]), st.text(max_size=20)))
def test_any_octets_are_text_in_any_charset(octets: bytes, label: str) -> None:
    text = charsets.decode_octets(octets, label, label)
    text.encode()
    assert len(text) <= len(octets) + 1
    if label in dict(mime.CHARSETS):
        mime.decode_text(octets, "", "text/html", label).encode()
    elif charsets.codec(label) is None and label:
        with pytest.raises(ValueError, match="charset"):
            charsets.decode_as(octets, label)
    assert transfer_encoding(label)


TNEF_PIECES = st.one_of(
    st.builds(
        lambda level, attribute, size, data: struct.pack("<BII", level, attribute, size) + data,
        st.sampled_from([1, 2, 3]),
        st.sampled_from([0x0002800C, 0x00069003, 0x00069002, 0x00018010, 0x0006800F, 0x00069005, 0x00069007, 7]),
        st.one_of(st.integers(0, 80), st.just(0xFFFFFFFF)),
        st.binary(max_size=60),
    ),
    st.builds(
        lambda kind, name, count, size, data: struct.pack("<HHII", kind, name, count, size) + data,
        st.sampled_from([0x1E, 0x1F, 0x0D, 0x102, 3, 0x101F, 0x1102, 0x99]),
        st.sampled_from([0x1000, 0x1009, 0x1013, 0x3701, 0x3707, 0x3001, 0x8001]),
        st.sampled_from([0, 1, 5, 0xFFFFFFFF]),
        st.one_of(st.integers(0, 80), st.just(0xFFFFFFFF)),
        st.binary(max_size=40),
    ),
    st.binary(max_size=30),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(TNEF_PIECES, max_size=12))
def test_any_tnef_is_read_in_bounded_steps(pieces: list[bytes]) -> None:
    raw = Counted(struct.pack("<IH", 0x223E9F78, 1) + b"".join(pieces))
    for item in tnef.items(raw):
        assert item.start + item.size <= len(raw.getvalue()) or item.octets is not None
    assert raw.reads < 10 * len(raw.getvalue()) + 100


def test_a_tnef_of_nothing_but_steps_stops_at_its_bound() -> None:
    attribute = struct.pack("<BII", 1, 0x00069003, 4) + struct.pack("<I", 0xFFFFFFFF) + b"\0\0"
    raw = Counted(struct.pack("<IH", 0x223E9F78, 1) + attribute * 100_000)
    assert tnef.items(raw) == []
    assert raw.reads < 5 * tnef.MAX_STEPS


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([b"0\x80", b"$\x80", b"\xa0\x80", b"\x04\x03abc", b"\0\0", b"0\x84\xff\xff\xff\xff",
    b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", b"\x02\x01\x01", b"1\0", b"0\x0b", b"\x1f", b"\x04\x88" + b"\xff" * 8]),
    max_size=30).map(b"".join))  # fmt: skip
def test_any_signed_data_is_read_in_bounded_steps(octets: bytes) -> None:
    raw = Counted(octets)
    assert sum(map(len, cms.signed_content(raw))) <= len(octets)


def test_signed_data_without_end_stops_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cms, "MAX_ELEMENTS", 1000)
    head = (
        b"0\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x800\x80\x02\x01\x011\x000\x80\x06\x01\x01\xa0\x80$\x80"
    )
    raw = Counted(head + b"\x04\x01a" * 100_000)
    assert 0 < sum(map(len, cms.signed_content(raw))) < 1000
    assert raw.reads < 5000


RTF_PIECES = st.lists(
    st.sampled_from(
        [
            *(b"{", b"}", b"\\*", b"\\htmltag64 ", b"<p>", b"\\htmlrtf", b"\\htmlrtf0 ", b"\\u-10179?", b"\\u8364 ?"),
            *(
                b"\\'e5",
                b"\\fonttbl",
                b"\\f1",
                b"\\fcharset204",
                b"\\ansicpg1251",
                b"\\uc3 ",
                b"\\par\n",
                b"\\bin99999999 ",
            ),
            *(b"tekst", b"\\", b"\\u99999999999", b"\xff", b"\\pict", b"\\fromhtml1"),
        ]
    ),
    max_size=40,
).map(b"".join)


@given(RTF_PIECES)
def test_any_rich_text_is_text(octets: bytes) -> None:
    found = rtf.text_of(b"{\\rtf1" + octets)
    assert found is None or len(found.octets.decode()) <= len(octets) + 10


@given(st.binary(max_size=200), st.sampled_from([b"LZFu", b"MELA", b"none"]), st.integers(0, 2**32 - 1))
def test_any_compressed_rich_text_is_bounded(octets: bytes, kind: bytes, size: int) -> None:
    rtf.decompressed(struct.pack("<II", len(octets), size) + kind + bytes(4) + octets)
    assert len(rtf._unpacked(octets, size)) <= min(size, len(octets) * 10)


def test_rich_text_that_unpacks_for_ever_stops_at_its_bound() -> None:
    bomb = b"\0" + b"{\\rtf1 a" + b"\xff\x0d\x0f" * 3_000_000
    assert len(rtf._unpacked(bomb[: rtf.MAX_RTF], rtf.MAX_RTF)) <= rtf.MAX_RTF


LINES = st.lists(
    st.sampled_from(
        [
            *(
                "begin 644 a.bin",
                "begin 644 ",
                "#2&5I",
                "`",
                "end",
                "tekst",
                "",
                "=ybegin line=128 size=3 name=b",
                "r\x8f=",
            ),
            *("=yend size=3", "=ypart begin=1 end=2", "begin-base64 644 x", "QQ==", "====", " ", "M", "M" + "a" * 60),
        ]
    ),
    max_size=25,
)


@given(LINES, st.integers(1, 30), st.sampled_from(["\n", "\r\n"]))
def test_files_in_a_text_are_the_same_however_it_comes(lines: list[str], size: int, end: str) -> None:
    octets = end.join(lines).encode("latin-1")
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
    whole = list(embedded.decoded_files([octets]))
    assert list(embedded.decoded_files(pieces)) == whole
    assert sum(len(found) for _, found in whole) <= len(octets)
    text = octets.decode("latin-1")
    if not whole and text.isascii():
        assert embedded.without_files(text) == text


def test_more_files_than_the_bound_are_text() -> None:
    text = "begin 644 a\n#2&5I\n`\nend\n" * (embedded.MAX_FILES + 50)
    found = {file.number for file, _ in embedded.decoded_files([text.encode()])}
    assert len(found) == embedded.MAX_FILES
    assert embedded.without_files(text).count("begin") == 50


FIELDS = st.lists(
    st.sampled_from(
        [
            *("Reporting-MTA: dns; mx", "", "Final-Recipient: rfc822; a@b", "Final-Recipient: ;", "Action: failed"),
            *("Status: 5.1.1", "Status: x", "Diagnostic-Code: smtp; \x00 nei", "Arrival-Date: nei", "Disposition: ;/"),
            *(
                "Disposition: a; displayed",
                "Feedback-Type: abuse",
                "Original-Rcpt-To: <",
                "Original-Recipient: utf-8;\\x{FFFFFF}",
            ),
            *("Last-Attempt-Date: Mon, 99 Foo 2026", ": x", " folded", "Message-ID: <a@b>"),
        ]
    ),
    max_size=20,
).map("\r\n".join)


@given(
    FIELDS,
    FIELDS,
    st.sampled_from(["message/delivery-status", "message/disposition-notification", "message/feedback-report"]),
)
def test_any_report_is_read_or_none(fields: str, returned: str, kind: str) -> None:
    root = mime.BodyPart(
        type="multipart/report",
        children=(mime.BodyPart("1", kind), mime.BodyPart("2", "message/rfc822")),
    )
    found = mime.read_report(root, lambda part_id, most: [(fields if part_id == "1" else returned).encode()])
    if isinstance(found, mime.Bounce):
        assert 0 < len(found.recipients) <= reports.MAX_RECIPIENTS
    mime.bounce_in_text("Hi. This is the qmail-send program\n" + fields)


def test_a_report_of_too_many_recipients_is_bounded() -> None:
    root = mime.BodyPart("1", "message/delivery-status")
    group = b"Final-Recipient: rfc822; a@b\r\nDiagnostic-Code: smtp; " + b"x" * 500 + b"\r\n\r\n"
    found = mime.read_report(root, lambda part_id, most: iter(lambda: group, b""))  # a stream without an end
    assert isinstance(found, mime.Bounce)
    assert len(found.recipients) == reports.MAX_RECIPIENTS


@given(st.text(st.sampled_from("abc=;\"'*%\\ ()/012:@?\u00e5\t"), max_size=80))
def test_any_parameters_are_read(value: str) -> None:
    kind, params = words.parse_params(value)
    assert len(params) <= words.MAX_PARAMS
    for name in ("a", "b", "c"):
        assert len(words.safe_name(words.decode_param(params, name))) <= words.MAX_NAME
    assert kind == kind.lower()


@pytest.mark.parametrize(
    "unit", [b"--b\n\n", b"--x\n", b"\n--", b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--c\n"]
)
@pytest.mark.parametrize(
    "head", [b"Content-Type: multipart/mixed; boundary=b\n\n", b"Content-Type: multipart/mixed\n\n"]
)
def test_a_message_of_nothing_but_boundaries_is_read_about_once(head: bytes, unit: bytes) -> None:
    raw = Counted(head + unit * 100_000)
    root = mime.parse_structure(raw)
    assert sum(1 for _ in root.walk()) <= parts.MAX_PARTS
    assert raw.octets < 3 * len(raw.getvalue()) + 1100 * scan.MAX_DASHES
    assert raw.reads < 3 * scan.MAX_DASHES


def test_no_more_is_looked_into_than_the_bounds_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MAX_OCTETS", 1000)
    children = tuple(mime.BodyPart(str(number), "application/ms-tnef") for number in range(1, 60))
    asked: list[str] = []

    def octets_of(part_id: str, most: int | None) -> Iterable[bytes]:
        asked.append(part_id)
        return iter(lambda: b"x" * 100, b"")  # a stream without an end

    mime.look_inside(mime.BodyPart(type="multipart/mixed", children=children), octets_of)
    assert asked == ["1"]
    monkeypatch.setattr(contents, "MAX_OCTETS", 10**9)
    asked.clear()

    def empty(part_id: str, most: int | None) -> Iterable[bytes]:
        asked.append(part_id)
        return []

    mime.look_inside(mime.BodyPart(type="multipart/mixed", children=children), empty)
    assert len(asked) == contents.MAX_HOLDERS
