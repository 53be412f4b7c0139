"""Parts of a message: their structure, which to show, and their text."""

import base64
import binascii
import io
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.mime import (
    BodyPart,
    decode_text,
    decode_transfer,
    flow,
    from_structure,
    parse_structure,
    part_octets,
    preview,
    select_bodies,
    unflow,
)
from webmail.protocols.base import Structure


def crlf(text: str) -> io.BytesIO:
    return io.BytesIO(text.replace("\n", "\r\n").encode())


NESTED = crlf(
    """Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html; charset="utf-8"
Content-Transfer-Encoding: quoted-printable

<p>h=C3=A5
--inner--
epilogue
--outer
Content-Type: message/rfc822

Subject: within
Content-Type: multipart/mixed; boundary=deep

--deep

deep one
--deep
Content-Disposition: attachment; filename*=utf-8''%C3%A5.txt

deep two
--deep--
--outer
Content-Type: message/rfc822

Subject: simple

body of it
--outer--
"""
)


def test_parts_are_numbered_as_an_imap_server_does():
    root = parse_structure(NESTED)
    assert [(part.part_id, part.type) for part in root.walk()] == [
        ("", "multipart/mixed"),
        ("1", "multipart/alternative"),
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "message/rfc822"),
        ("2.TEXT", "multipart/mixed"),
        ("2.1", "text/plain"),
        ("2.2", "text/plain"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
    ]


def octets(raw, part_id):
    return b"".join(part_octets(raw, part_id))


def test_the_octets_of_a_part_leave_out_the_line_end_before_the_boundary():
    assert octets(NESTED, "1.1") == b"plain"
    assert octets(NESTED, "1.2") == b"<p>h=C3=A5"
    assert octets(NESTED, "2.1") == b"deep one"
    assert octets(NESTED, "3").startswith(b"Subject: simple")
    assert octets(NESTED, "3.1") == b"body of it"


def test_sizes_are_those_of_the_octets():
    for part in parse_structure(NESTED).walk():
        if part.part_id:
            assert part.size == len(octets(NESTED, part.part_id))


def test_a_part_that_is_not_there_is_an_error_at_once():
    with pytest.raises(LookupError):
        part_octets(NESTED, "9")


def test_a_plain_message_is_part_one():
    raw = crlf("Subject: x\n\nhello\n")
    assert parse_structure(raw) == BodyPart(part_id="1", size=7)
    assert octets(raw, "1") == b"hello\r\n"


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"no header", b"Content-Type: multipart/mixed\r\n\r\nno boundary"])
def test_what_has_no_parts_is_one_part_of_text(raw):
    assert [(part.part_id, part.type) for part in parse_structure(io.BytesIO(raw)).walk()] == [("1", "text/plain")]


def test_a_part_without_a_blank_line_keeps_its_text():
    raw = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\nstraight away\n--b--\n")
    assert octets(raw, "1") == b"straight away"


def test_an_unfinished_message_keeps_what_there_is():
    raw = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\ncut of")
    assert octets(raw, "1") == b"cut of"


def test_an_outer_boundary_ends_inner_parts():
    raw = crlf(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n"
        "--i\n\na\n--o\n\nb\n--o--\n"
    )
    assert [part.part_id for part in parse_structure(raw).walk()] == ["", "1", "1.1", "2"]
    assert octets(raw, "2") == b"b"


def test_a_digest_holds_messages():
    raw = crlf("Content-Type: multipart/digest; boundary=o\n\n--o\n\nSubject: x\n\nhi\n--o--\n")
    assert [part.type for part in parse_structure(raw).walk()] == ["multipart/digest", "message/rfc822", "text/plain"]


def timed(raw: bytes) -> tuple[BodyPart, float]:
    start = time.process_time()
    return parse_structure(io.BytesIO(raw)), time.process_time() - start


def test_depth_parts_and_parameters_are_bounded():
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(5_000))
    root, seconds = timed(deep)
    assert sum(1 for _ in root.walk()) <= 51
    assert seconds < 2
    root, seconds = timed(b"Content-Type: message/rfc822\r\n\r\n" * 5_000)
    assert sum(1 for _ in root.walk()) <= 51
    root, seconds = timed(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 20_000)
    assert len(root.children) < 1_000
    assert seconds < 2
    names = b"".join(b" name*%d=a;\r\n" % n for n in range(20_000))
    root, seconds = timed(b"Content-Type: text/plain;\r\n" + names + b"\r\nx")
    assert len(root.name) <= 200
    assert seconds < 2


NOISE = st.lists(
    st.sampled_from(
        [
            b"Content-Type: multipart/mixed; boundary=a\r\n",
            b"Content-Type: multipart/mixed; boundary=b\n",
            b"Content-Type: message/rfc822\r\n",
            b"--a\r\n",
            b"--b\n",
            b"--a--\r\n",
            b"--b--",
            b"\r\n",
            b"\n",
            b"text",
            b"Content-Type: text/html; name*0*=utf-8''%ff; name*1=\"x\r\n",
            b" ",
            b"\xff\r\n",
            b"-- \r\n",
        ]
    ),
    max_size=25,
).map(b"".join)


@given(NOISE)
def test_any_arrangement_of_lines_has_a_structure_that_fits(raw):
    stream = io.BytesIO(raw)
    root = parse_structure(stream)
    ids = [part.part_id for part in root.walk()]
    assert len(ids) == len(set(ids))
    for part in root.walk():
        if not part.type.startswith("multipart/"):
            assert len(octets(stream, part.part_id)) == part.size
    assert BodyPart.from_json(json.loads(json.dumps(root.to_json()))) == root
    select_bodies(root)


def test_a_bodystructure_is_decoded():
    part = from_structure(
        Structure(
            "2",
            "application/PDF",
            {"name": "=?utf-8?q?bl=C3=A5.pdf?="},
            "<cid@x>",
            "BASE64",
            12,
            "attachment",
            {"filename*0*": "utf-8''..%2Fbl%C3", "filename*1*": "%A5%E2%80%AE.pdf"},
        )
    )
    assert part.name == "_blå.pdf"
    assert (part.type, part.encoding, part.cid, part.size) == ("application/pdf", "base64", "cid@x", 12)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"filename": "a.txt"}, "a.txt"),
        ({"filename": "../../etc/passwd"}, "_.._etc_passwd"),
        ({"filename": "C:\\x\\y.exe"}, "y.exe"),
        ({"filename": "=?iso-8859-1?q?bl=E5?=.txt"}, "blå.txt"),
        ({"filename": "bl\u00c3\u00a5.txt"}, "blå.txt"),
        ({"filename*": "iso-8859-1'no'bl%E5.txt"}, "blå.txt"),
        ({"filename*": "blå%20.txt"}, "blå .txt"),
        ({"filename*0": "a", "filename*1": "b", "filename*3": "no"}, "ab"),
        ({"filename": "a\r\nb\x00\u202e.txt"}, "a b.txt"),
        ({"filename": "x" * 500 + ".pdf"}, "x" * 196 + ".pdf"),
        ({"filename": "..."}, ""),
    ],
)
def test_a_file_name_is_one_harmless_component(params, name):
    assert from_structure(Structure("1", "text/plain", disposition_params=params)).name == name


def test_a_structure_too_deep_is_cut():
    node = Structure("1", "text/plain")
    for _ in range(500):
        node = Structure("", "multipart/mixed", children=(node,))
    assert sum(1 for _ in from_structure(node).walk()) <= 51


def tree(kind, *children, **more):
    return BodyPart(type=kind, children=children, **more)


def shown(root):
    bodies = select_bodies(root)
    return tuple([part.part_id for part in parts] for parts in (bodies.text, bodies.html, bodies.attachments))


PLAIN, HTML = BodyPart("t", "text/plain"), BodyPart("h", "text/html")
FILE = BodyPart("f", "application/pdf", disposition="attachment", name="f.pdf")
IMAGE = BodyPart("i", "image/png", disposition="inline", cid="i@x")


@pytest.mark.parametrize(
    ("root", "text", "html", "attachments"),
    [
        (PLAIN, ["t"], ["t"], []),
        (HTML, ["h"], ["h"], []),
        (tree("multipart/alternative", PLAIN, HTML), ["t"], ["h"], []),
        (tree("multipart/alternative", HTML), ["h"], ["h"], []),
        (tree("multipart/mixed", PLAIN, FILE), ["t"], ["t"], ["f"]),
        (tree("multipart/alternative", PLAIN, tree("multipart/related", HTML, IMAGE)), ["t"], ["h"], ["i"]),
        (tree("multipart/mixed", tree("multipart/alternative", PLAIN, HTML), FILE), ["t"], ["h"], ["f"]),
        (tree("multipart/mixed", PLAIN, IMAGE, BodyPart("u", "text/plain")), ["t", "u"], ["t", "u"], ["i"]),
        (tree("multipart/mixed", PLAIN, BodyPart("u", "text/plain", name="u.txt")), ["t"], ["t"], ["u"]),
        (tree("multipart/mixed", BodyPart("m", "message/rfc822", children=(PLAIN,))), [], [], ["m"]),
        (tree("multipart/alternative", PLAIN, BodyPart("c", "text/calendar"), HTML), ["t"], ["h"], ["c"]),
        (FILE, [], [], ["f"]),
    ],
)
def test_bodies_are_chosen_as_rfc_8621_says(root, text, html, attachments):
    assert shown(root) == (text, html, attachments)


def test_images_that_html_refers_to_are_found_by_content_id():
    bodies = select_bodies(tree("multipart/related", HTML, IMAGE))
    assert bodies.inline_images == {"i@x": IMAGE}


def decode(encoded, encoding, size=7):
    return b"".join(decode_transfer((encoded[at : at + size] for at in range(0, len(encoded), size)), encoding))


@given(st.binary(max_size=300), st.integers(1, 50))
def test_transfer_encodings_are_undone_whatever_the_chunks(data, size):
    assert decode(base64.encodebytes(data), "BASE64", size) == data
    assert decode(binascii.b2a_qp(data, quotetabs=True, istext=False), "quoted-printable", size) == data
    lines = b"".join(binascii.b2a_uu(data[at : at + 45]) for at in range(0, len(data), 45))
    assert decode(b"begin 644 x\n" + lines + b"`\nend\n", "x-uuencode", size) == data
    assert decode(data, "8bit", size) == data


@given(st.binary(max_size=200), st.sampled_from(["base64", "quoted-printable", "x-uuencode", "7bit", "nonsense"]))
def test_dirt_never_stops_decoding(data, encoding):
    decode(data, encoding)


def test_joined_and_dirty_base64_is_decoded():
    assert decode(b"YQ==YmM=\r\n!!ZGVm", "base64") == b"abcdef"
    assert decode(b"YWJjZ", "base64") == b"abc"


def test_trailing_white_space_is_no_part_of_quoted_printable():
    assert decode(b"a  \r\nb=20 \r\nc= \r\nd", "quoted-printable") == b"a\r\nb \r\ncd"
    assert decode(b"=E6=zz", "quoted-printable") == b"\xe6=zz"


def test_long_runs_in_quoted_printable_stay_linear():
    start = time.process_time()
    decode(b" " * 1_000_000 + b"\n" + b"=" * 1_000_000, "quoted-printable", 65536)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        ("blåbær".encode(), "utf-8", "blåbær"),
        ("blåbær".encode(), "", "blåbær"),
        ("blåbær".encode("latin-1"), "utf-8", "blåbær"),
        ("blåbær".encode(), "us-ascii", "blåbær"),
        (b"\x93hi\x94", "iso-8859-1", "“hi”"),
        ("hello blåbær, blåbær".encode() + b"\xc3", "utf-8", "hello blåbær, blåbær\ufffd"),
        ("日本語のテキスト".encode("shift_jis"), "shift_jis", "日本語のテキスト"),
        (b"a\r\nb\rc\x00d", "utf-8", "a\nb\ncd"),
        (b"\xef\xbb\xbfhi", "utf-8", "hi"),
        (b"hi", "../../etc", "hi"),
        (b"hi", "rot13", "hi"),
        (b"hi", "punycode", "hi"),
        (b"\x81\x8d", "utf-8", "\ufffd\ufffd"),
    ],
)
def test_text_comes_out_of_any_charset(raw, charset, text):
    assert decode_text(raw, charset) == text


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "", "utf-7", "utf-16", "big5", "iso-2022-kr", "x", "hz"]))
def test_a_bad_octet_never_empties_or_breaks_a_text(raw, charset):
    text = decode_text(raw, charset)
    text.encode("utf-8")
    assert "\0" not in text
    assert "\r" not in text
    if charset in ("utf-8", "", "x") and raw.strip(b"\0\xef\xbb\xbf"):
        assert text


def test_flowed_lines_are_joined():
    assert unflow("a \nb\n> q \n> r\n>> s\n-- \nsig", False) == "a b\n> q r\n>> s\n-- \nsig"
    assert unflow("ab \ncd", True) == "abcd"
    assert unflow(" >not a quote\n From", False) == ">not a quote\nFrom"


LINES = st.lists(
    st.tuples(st.sampled_from(["", "> ", ">> "]), st.text(st.sampled_from("ab >-é."), max_size=120)), max_size=5
)


@given(LINES)
def test_what_is_flowed_unflows(lines):
    text = "\n".join((mark + words.lstrip(" >")).rstrip(" ") if mark else words.rstrip(" ") for mark, words in lines)
    text = "\n".join(line.rstrip(" ") for line in text.split("\n"))
    if any(line.startswith(">") and not line.lstrip(">").startswith(" ") for line in text.split("\n")):
        return  # marks without a space are written with one
    flowed = flow(text)
    assert unflow(flowed, False) == text
    assert all(len(line) <= 80 or " " not in line.strip(" >")[:70] for line in flowed.split("\n"))


def test_a_preview_shows_the_senders_own_words():
    assert preview("On Monday Ola wrote:\n> old\n\nMy   answer\nhere\n-- \nKari") == "My answer here"
    assert preview("> only a quote") == "only a quote"
    assert preview("\u200c\u034f \u00ad Sale\u200b today") == "Sale today"
    assert preview("x" * 500) == "x" * 200
    assert preview("") == ""
