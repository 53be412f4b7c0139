"""Places in encoded files, ranges that browsers ask for, and names in a zip."""

from __future__ import annotations

import binascii

import pytest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from webmail import archive, files
from webmail.mime import BodyPart
from webmail.models import Message
from webmail.views import ranges


def encoded(octets: bytes, width: int, end: bytes, last: bytes) -> bytes:
    text = binascii.b2a_base64(octets, newline=False)
    return end.join(text[at : at + width] for at in range(0, len(text), width)) + last


class Served(files.File):
    """Whose encoded octets are here, given in odd portions."""

    text = b""
    portion = 1000

    def _encoded(self, start, length):
        stop = min(len(self.text), start + length)
        return (self.text[at : min(stop, at + self.portion)] for at in range(start, stop, self.portion))


def served(text: bytes, portion: int = 1000) -> Served:
    file = Served(Message(), BodyPart(part_id="2", encoding="base64", size=len(text)))
    file.__class__ = type("This", (Served,), {"text": text, "portion": portion, "__slots__": ()})
    return file


@given(
    st.binary(min_size=1, max_size=30_000), st.sampled_from([4, 60, 64, 72, 76]), st.sampled_from([b"\r\n", b"\n"]),
    st.sampled_from([b"", b"\r\n", b"\n", b"\r\n\r\n"]), st.integers(0, 31_000), st.integers(0, 31_000), st.integers(1, 5000),
)  # fmt: skip
def test_any_place_of_regular_base64_is_read_as_from_its_beginning(
    octets: bytes, width: int, end: bytes, last: bytes, start: int, stop: int, portion: int
) -> None:
    file = files.measure(served(encoded(octets, width, end, last), portion))
    if file.size is None:  # not found to be regular: it is read from its beginning, and nothing is promised here
        assert len(octets) < 2 * files.HEAD or not last
        return
    assert file.size == len(octets)
    assert b"".join(file.octets(start, stop)) == octets[start:stop]
    assert b"".join(file.octets()) == octets
    assert b"".join(file.octets(start)) == octets[start:]


def test_the_usual_base64_is_regular() -> None:
    for size in (1, 56, 57, 58, 1000, 5000, 57 * 100, 100_000, 57 * 3000):
        for last in (b"", b"\r\n"):
            text = encoded(b"x" * size, 76, b"\r\n", last)
            assert files.measure(served(text)).size == size, (size, last)


def test_a_line_of_another_length_in_the_middle_is_noticed_when_it_is_read() -> None:
    text = encoded(b"x" * 100_000, 76, b"\r\n", b"\r\n")
    at = 78 * 800  # where a line begins, the line end before it
    longer = text[: at - 2] + text[at : at + 1] + b"\r\n" + text[at + 1 :]
    dirty = text[:at] + b"!" + text[at + 1 :]
    for changed in (longer, dirty):
        file = files.measure(served(changed))
        assert file.size == 100_000
        assert b"".join(file.octets(0, 1000)) == b"x" * 1000
        with pytest.raises(files.Irregular):
            b"".join(file.octets(40_000))


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-9", (0, 10, 100)), ("bytes=90-", (90, 100, 100)), ("bytes=-5", (95, 100, 100)), ("bytes=-500", (0, 100, 100)),
        ("bytes=50-500", (50, 100, 100)), ("bytes=99-99", (99, 100, 100)), ("bytes=0-1,5-6", None), ("bytes=9-1", None),
        ("bytes=-", None), ("lines=1-2", None), ("bytes=a-b", None), ("", None),
    ],
)  # fmt: skip
def test_a_range_is_read_as_rfc_9110_has_it(asked: str, span: tuple[int, int, int] | None) -> None:
    request = RequestFactory().get("/", headers={"Range": asked})
    assert ranges.span_of(request, 100, '"x"') == span


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_a_range_that_is_not_there_cannot_be_satisfied(asked: str) -> None:
    with pytest.raises(ranges.Unsatisfiable):
        ranges.span_of(RequestFactory().get("/", headers={"Range": asked}), 100, '"x"')


def test_a_range_of_something_that_is_another_now_is_all_of_it() -> None:
    old = RequestFactory().get("/", headers={"Range": "bytes=0-9", "If-Range": '"old"'})
    same = RequestFactory().get("/", headers={"Range": "bytes=0-9", "If-Range": '"x"'})
    assert ranges.span_of(old, 100, '"x"') is None
    assert ranges.span_of(same, 100, '"x"') == (0, 10, 100)


def test_names_in_a_zip_are_safe_and_no_two_the_same() -> None:
    wished = [
        "a.txt",
        "A.TXT",
        "a.txt",
        "con.txt",
        "NUL",
        "com1.tar.gz",
        "x" * 300 + ".pdf",
        "no ending",
        "console.log",
    ]
    found = archive.names(wished)
    assert found[:6] == ["a.txt", "A (2).TXT", "a (3).txt", "_con.txt", "_NUL", "_com1.tar.gz"]
    assert found[6] == "x" * archive.LONGEST + ".pdf"
    assert found[7:] == ["no ending", "console.log"]
    assert len({name.casefold() for name in found}) == len(wished)
