"""What we send: read back by our own reader and by the standard library's."""

import io
import re
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.mime import (
    Address,
    Attachment,
    Outgoing,
    clean,
    decode_text,
    decode_transfer,
    new_message_id,
    parse_header,
    parse_structure,
    part_octets,
    select_bodies,
    unflow,
    write_message,
)

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
ME = Address("Åse Ås", "ase@example.org")


def written(include_bcc=False, **values) -> io.BytesIO:
    out = io.BytesIO()
    size = write_message(Outgoing(**{"from_": ME, "date": NOW, **values}), out, include_bcc)
    assert size == len(out.getvalue())
    return out


def file(name="a.pdf", data=b"data", type="application/pdf", **more):
    return Attachment(name, type, len(data), lambda: io.BytesIO(data), **more)


def content(raw, part):
    return b"".join(decode_transfer(part_octets(raw, part.part_id), part.encoding))


def test_a_plain_message_is_seven_bit_and_flowed():
    raw = written(subject="Hi", text="Hello\n-- \nme", to=(Address("Doe, J", "j@x.no"),), message_id="1@x")
    assert raw.getvalue() == (
        b"Date: Mon, 23 Nov 2026 20:00:00 +0000\r\n"
        b"From: =?utf-8?b?w4VzZSDDhXM=?= <ase@example.org>\r\n"
        b'To: "Doe, J" <j@x.no>\r\n'
        b"Subject: Hi\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        b"Hello\r\n-- \r\nme\r\n"
    )


def test_the_parts_stand_where_every_client_finds_them():
    image = file("i.png", type="image/png", cid="i@x", inline=True)
    raw = written(text="blå", html='<p>blå<img src="cid:i@x">', attachments=(image, file()))
    root = parse_structure(raw)
    assert [part.type for part in root.walk()] == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png",
        "application/pdf",
    ]  # fmt: skip
    bodies = select_bodies(root)
    assert decode_text(content(raw, bodies.text[0]), "utf-8") == "blå\n"
    assert bodies.text[0].format_flowed
    assert list(bodies.inline_images) == ["i@x"]


def test_bcc_is_written_only_when_asked():
    people = (Address("", "secret@x.no"),)
    assert b"secret" not in written(bcc=people).getvalue()
    assert b"Bcc: secret@x.no\r\n" in written(include_bcc=True, bcc=people).getvalue()


@pytest.mark.parametrize(
    "values",
    [
        {"subject": "a\r\nBcc: x@y"},
        {"subject": "a\nb"},
        {"subject": "a\0b"},
        {"to": (Address("a\nb", "a@b.no"),)},
        {"to": (Address("", "a@b.no\r\nBcc: c@d.no"),)},
        {"to": (Address("", "a@b.no>, <c@d.no"),)},
        {"to": (Address("name only", ""),)},
        {"message_id": "a\r\nb@c"},
        {"references": ("a\nb@c",)},
        {"headers": {"X-A": "b\nc"}},
        {"headers": {"X-A\r\nB": "c"}},
        {"headers": {"From": "c"}},
        {"attachments": (file("a\r\nb"),)},
        {"attachments": (file(cid="a>\r\nb"),)},
        {"date": datetime(2026, 1, 1)},
    ],
)
def test_nothing_is_written_if_a_value_could_break_out_of_its_field(values):
    out = io.BytesIO()
    with pytest.raises(ValueError, match=r"\w"):
        write_message(Outgoing(**{"from_": ME, "date": NOW, **values}), out, True)
    assert out.getvalue() == b""


TEXT = st.text(max_size=300)
ONE_LINE = st.text(st.characters(blacklist_characters="\r\n\0", blacklist_categories=("Cs",)), max_size=300).map(clean)


@given(ONE_LINE, ONE_LINE)
def test_headers_are_short_ascii_lines_that_say_the_same(subject, name):
    raw = written(subject=subject, to=(Address(name[:150], "a@b.no"),) * 3).getvalue()
    head = raw.partition(b"\r\n\r\n")[0]
    assert head.isascii()
    assert all(0 < len(line) <= 78 or b" " not in line.strip() for line in head.split(b"\r\n"))
    found = parse_header(raw)
    assert found.subject == subject
    assert [person.email for person in found.to] == ["a@b.no"] * 3
    message_from_bytes(raw, policy=policy.compat32)["to"]


@given(TEXT, TEXT)
def test_the_lines_of_a_message_are_what_rfc_5322_allows(text, html):
    raw = written(text=text, html=html, attachments=(file(data=text.encode("utf-8", "replace")),))
    octets = raw.getvalue()
    assert octets.isascii()
    assert b"\0" not in octets
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", octets)
    assert all(len(line) <= 998 for line in octets.split(b"\r\n"))


def stripped(text):
    return [line if line == "-- " else line.rstrip(" ") for line in text.split("\n")]


@given(st.text(st.characters(blacklist_characters="\r\0>\u2028\u2029\x85", blacklist_categories=("Cs",)), max_size=300))
def test_a_text_arrives_as_it_was_but_for_white_space_at_line_ends(text):
    raw = written(text=text)
    part = parse_structure(raw)
    arrived = unflow(decode_text(content(raw, part), part.charset), part.delsp)
    expected = text.removeprefix("\ufeff")
    assert stripped(arrived.removesuffix("\n")) == stripped(expected.removesuffix("\n"))


@given(st.binary(max_size=500))
def test_an_attachment_arrives_as_it_was(data):
    raw = written(attachments=(file(data=data),))
    assert content(raw, parse_structure(raw).children[1]) == data


@pytest.mark.parametrize("name", ["a.pdf", "blåbær.pdf", "x" * 150 + ".pdf", "å" * 150 + ".pdf", 'a"b.pdf', ""])
def test_a_file_name_arrives(name):
    raw = written(attachments=(file(name),))
    assert parse_structure(raw).children[1].name == name.replace('"', "_")
    assert all(len(line) <= 78 for line in raw.getvalue().split(b"\r\n"))


def test_a_large_attachment_is_never_held():
    class Zeros(io.RawIOBase):
        left = 20_000_000

        def read(self, size=-1):
            assert 0 < size <= 1_000_000
            size = min(size, self.left, 100_001)
            self.left -= size
            return bytes(size)

    class Count:
        largest = 0

        def write(self, octets):
            self.largest = max(self.largest, len(octets))
            return len(octets)

    out = Count()
    outgoing = Outgoing(ME, date=NOW, attachments=(Attachment("z", "application/zip", 20_000_000, Zeros),))
    assert write_message(outgoing, out, False) > 27_000_000
    assert out.largest < 1_000_000


def test_a_forwarded_message_stays_a_message_if_it_is_seven_bit():
    inner = b"Subject: x\n\nhi\n"
    raw = written(attachments=(file("x.eml", inner, "message/rfc822"),))
    part = parse_structure(raw).children[1]
    assert (part.type, part.encoding) == ("message/rfc822", "7bit")
    assert content(raw, part) == b"Subject: x\r\n\r\nhi\r\n"


@pytest.mark.parametrize("inner", ["Subject: blå\n\nhi\n".encode(), b"A: b\n\n" + b"x" * 2000])
def test_a_forwarded_message_that_is_not_goes_as_a_file(inner):
    raw = written(attachments=(file("x", inner, "message/rfc822"),))
    part = parse_structure(raw).children[1]
    assert (part.type, part.encoding, part.name) == ("application/octet-stream", "base64", "x.eml")
    assert content(raw, part) == inner


def test_references_are_folded_and_hostile_ones_left_out():
    ids = tuple(f"{number}@a.very.long.host.name.example.org" for number in range(100))
    raw = written(references=(*ids, "sp ace@x", "blå@x", "a>b@x", "y" * 2000), in_reply_to=(ids[-1],))
    found = parse_header(raw.getvalue())
    assert found.references == ids
    assert found.in_reply_to == (ids[-1],)


def test_extra_fields_may_hold_addresses():
    raw = written(headers={"Disposition-Notification-To": (ME,), "Importance": "high"}).getvalue()
    assert b"Disposition-Notification-To: =?utf-8?b?w4VzZSDDhXM=?= <ase@example.org>\r\n" in raw
    assert b"Importance: high\r\n" in raw


def test_a_domain_goes_out_in_ascii():
    assert b"To: a@xn--blbr-roah.no\r\n" in written(to=(Address("", "a@blåbær.no"),)).getvalue()


def test_message_ids_are_unique_and_well_formed():
    ids = {new_message_id("Example.ORG") for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{30}@example\.org", one) for one in ids)
    assert new_message_id("a b\r\nc").endswith("@localhost")
    assert new_message_id("blåbær.no").endswith("@xn--blbr-roah.no")
