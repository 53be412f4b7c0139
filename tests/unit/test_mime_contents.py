"""What is inside of parts, and what a tree says of itself. The corpus has the messages; here is what they cannot show."""

from __future__ import annotations

import io
from collections.abc import Iterable

import pytest

from webmail import mime
from webmail.mime import BodyPart, protection

UU = b"Hei\r\nbegin 644 a.txt\r\n#2&5I\r\n`\r\nend\r\nbegin 644 b.txt\r\n#2&5I\r\n`\r\nend\r\n"
TEXT = BodyPart("1", "text/plain", size=len(UU))


def octets_of(part_id: str, most: int | None) -> Iterable[bytes]:
    assert part_id == "1"
    return [UU]


def test_a_tree_that_was_looked_into_once_is_known_again() -> None:
    root = mime.read_message(TEXT, octets_of).root
    kept = BodyPart.from_json(root.to_json())
    assert [part.part_id for part in kept.walk()] == ["1", "1~1", "1~2"]
    assert [part.name for part in mime.select_bodies(kept).attachments] == ["a.txt", "b.txt"]
    assert b"".join(mime.octets_within(kept, "1~2", octets_of)) == b"Hei"
    assert mime.read_message(kept, octets_of).root == root


@pytest.mark.parametrize("part_id", ["1~3", "1~0", "1~x", "2~1", "1~", "~1", "1~1~1~1~1", "1~²", "1~" + "9" * 5000])
def test_what_is_not_inside_is_an_error_before_the_first_octet(part_id: str) -> None:
    root = mime.read_message(TEXT, octets_of).root
    with pytest.raises(LookupError):
        mime.octets_within(root, part_id, octets_of)


@pytest.mark.parametrize("kind", ["application/ms-tnef", "application/pkcs7-mime"])
@pytest.mark.parametrize("own", ["1", "", "0", "x", "-1"])
def test_nor_is_there_anything_in_a_container_that_is_none(kind: str, own: str) -> None:
    with pytest.raises(LookupError):
        b"".join(mime.octets_within(BodyPart("1", kind), f"1~{own}", octets_of))


def test_what_the_server_raises_comes_through() -> None:
    def broken(part_id: str, most: int | None) -> Iterable[bytes]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        mime.read_message(TEXT, broken)
    with pytest.raises(ConnectionError):
        mime.octets_within(TEXT, "1~1", broken)


def test_only_so_much_is_asked_for_as_is_shown() -> None:
    asked: dict[str, int | None] = {}

    def big(part_id: str, most: int | None) -> Iterable[bytes]:
        asked[part_id] = most
        return [b"a" * 100_000] * 100

    read = mime.read_message(TEXT, big)
    assert read.text[0].cut
    assert len(read.text[0].text) == 2_000_000
    assert asked == {"1": 4_000_000}


def test_texts_are_bounded_in_all() -> None:
    many = tuple(BodyPart(str(number), "text/plain", size=150_000) for number in range(1, 100))
    read = mime.read_message(BodyPart(type="multipart/mixed", children=many), lambda part_id, most: [b"x" * 150_000])
    assert sum(len(one.text) for one in read.text) == 2_000_000
    assert len(read.text) == 14


def test_a_signature_within_an_attached_message_protects_nothing() -> None:
    signed = BodyPart("2.TEXT", "multipart/signed", purpose="application/pgp-signature", children=(TEXT, TEXT))
    root = BodyPart(type="multipart/mixed", children=(TEXT, BodyPart("2", "message/rfc822", children=(signed,))))
    assert mime.protections(root) == ()
    assert len(mime.protections(signed)) == 1


def test_no_more_protections_are_told_than_the_bound() -> None:
    part = TEXT
    for _ in range(40):
        part = BodyPart("", "multipart/signed", purpose="application/pgp-signature", children=(part,))
    assert len(mime.protections(part)) == protection.MAX_PROTECTIONS


def test_the_rich_text_of_outlook_stands_back_behind_html() -> None:
    rich = BodyPart("2~1", "text/html")
    tnef = BodyPart("2", "application/ms-tnef", children=(rich, BodyPart("2~2", "text/csv", disposition="attachment")))
    own = BodyPart("1", "text/html")
    assert mime.select_bodies(BodyPart(type="multipart/mixed", children=(own, tnef))).html == (own,)
    assert mime.select_bodies(BodyPart(type="multipart/mixed", children=(TEXT, tnef))).html == (rich,)
    assert mime.select_bodies(BodyPart(type="multipart/mixed", children=(TEXT, tnef))).text == (TEXT,)


def test_a_multipart_that_the_server_did_not_divide_is_divided_by_us() -> None:
    whole = b"Content-Type: multipart/mixed\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nHei\r\n--b--\r\n"
    root = BodyPart(type="multipart/mixed", children=(BodyPart("1", size=0),))
    read = mime.read_message(root, lambda part_id, most: [whole] if not part_id else [])
    assert [one.text for one in read.text] == ["Hei"]
    assert b"".join(mime.octets_within(read.root, "~1", lambda part_id, most: [whole])) == b"Hei"


def test_the_size_of_what_is_inside_is_that_of_its_octets() -> None:
    raw = io.BytesIO(b"Content-Type: text/plain\r\n\r\n" + UU)
    root = mime.read_message(mime.parse_structure(raw), lambda part_id, most: mime.part_octets(raw, part_id)).root
    for part in root.children:
        assert part.size == 3
