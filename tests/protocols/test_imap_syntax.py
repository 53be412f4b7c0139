"""Laws of IMAP's grammar."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.protocols.base import Security, Server
from webmail.protocols.errors import ProtocolError, Refused
from webmail.protocols.imap.roles import roles_of
from webmail.protocols.imap.structure import structure_of
from webmail.protocols.imap.syntax import (
    SET_LIMIT,
    UidSet,
    date_time,
    decode_mailbox,
    encode_mailbox,
    flag_of,
    format_date_time,
    keywords_of,
    parse,
    quoted,
    set_members,
    uid_sets,
)


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: not set(raw) & set(b"\r\n\0")))
def test_whatever_a_server_calls_a_mailbox_it_is_asked_for_by_the_same_octets(raw: bytes) -> None:
    assert encode_mailbox(decode_mailbox(raw)) == raw


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\0", max_codepoint=0x10FEFF), min_size=1)
)
def test_every_name_survives_the_way_to_the_server_and_back(name: str) -> None:
    encoded = encode_mailbox(name)
    assert encoded.isascii()
    assert decode_mailbox(encoded) == name


@pytest.mark.parametrize(
    ("name", "encoded"),
    [
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 §5.1.3
        ("R&D", b"R&-D"),
        ("Entwürfe", b"Entw&APw-rfe"),
        ("😀", b"&2D3eAA-"),
    ],
)
def test_modified_utf7_is_as_the_rfc_has_it(name: str, encoded: bytes) -> None:
    assert encode_mailbox(name) == encoded
    assert decode_mailbox(encoded) == name


@pytest.mark.parametrize("raw", [b"R&D", b"&AGE-", b"&APw", b"&APw-&APw-", b"&2D0-", b"&AA0ACg-", b"bl\xc3\xa5"])
def test_what_is_not_strict_is_kept_but_not_believed(raw: bytes) -> None:
    name = decode_mailbox(raw)
    assert not any(character in name for character in "\r\n\0aü") or raw == b"bl\xc3\xa5"
    assert encode_mailbox(name) == raw


@pytest.mark.parametrize("name", ["", "a\rb", "a\nb", "a\0b", "\ud800", "a\U0010ff0db"])
def test_names_that_cannot_be_are_refused(name: str) -> None:
    with pytest.raises(Refused):
        encode_mailbox(name)


@given(st.sets(st.integers(1, 2**32 - 1) | st.integers(1, 3000), max_size=2000), st.integers(1, 500))
def test_sets_of_uids_hold_what_was_put_in_and_stay_short(uids: set[int], most: int) -> None:
    sets = list(uid_sets(uids, most))
    assert [uid for octets in sets for uid in set_members(octets)] == sorted(uids)
    assert all(len(octets) <= SET_LIMIT and len(set_members(octets)) <= most for octets in sets)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=8))
def test_a_set_as_the_server_wrote_it_contains_what_it_says(ranges: list[tuple[int, int]]) -> None:
    found = UidSet(b",".join(b"%d:%d" % pair for pair in ranges))
    meant = {uid for low, high in ranges for uid in range(min(low, high), max(low, high) + 1)}
    assert {uid for uid in range(70) if uid in found} == meant


def test_sets_without_end_are_not_expanded() -> None:
    assert 4_000_000_000 in UidSet(b"1:4294967295")
    with pytest.raises(ProtocolError):
        set_members(b"1:4294967295")


_ATOM = st.text("ABCabc0189.$\\", min_size=1, max_size=8).map(str.encode).filter(lambda atom: atom.upper() != b"NIL")
_VALUES = st.recursive(
    st.none() | _ATOM | st.binary(max_size=12).filter(lambda raw: not set(raw) & set(b"\r\n\0")),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=30,
)


@given(st.lists(_VALUES, max_size=5), st.data())
def test_what_is_written_is_read_back(values: list, data: st.DataObject) -> None:
    pieces = [b""]

    def write(value: object) -> None:
        if value is None:
            pieces[-1] += b"NIL "
        elif isinstance(value, list):
            pieces[-1] += b"("
            for inner in value:
                write(inner)
            pieces[-1] += b") "
        elif isinstance(value, bytes) and data.draw(st.booleans()):
            pieces[-1] += b"{%d}" % len(value)
            pieces.extend([value, b" "])
        else:
            assert isinstance(value, bytes)
            pieces[-1] += quoted(value) + b" "

    for value in values:
        write(value)
    assert parse(pieces) == values


@given(st.binary(max_size=60))
def test_no_line_whatever_does_more_than_fail(line: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        structure_of(parse([line]))


@given(st.lists(st.text(max_size=12)))
def test_keywords_are_lower_case_and_hide_the_protocols_own(flags: list[str]) -> None:
    found = keywords_of([flag.encode() for flag in flags] + [b"\\Deleted", b"\\Recent", b"\\Seen"])
    assert "$seen" in found
    assert all(keyword == keyword.lower() and not keyword.startswith("\\") for keyword in found)


@given(st.text(max_size=12))
def test_a_flag_is_an_atom_or_refused(keyword: str) -> None:
    try:
        flag = flag_of(keyword)
    except Refused:
        return
    assert flag.isascii()
    assert not set(flag.removeprefix(b"\\")) & set(b' ()"\\%*{]\r\n\0')


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))
def test_a_date_survives(at: datetime) -> None:
    at = at.replace(microsecond=0, tzinfo=UTC)
    assert date_time(format_date_time(at).strip(b'"')) == at


@pytest.mark.parametrize(
    "value", [b"32-Jan-2020 00:00:00 +0000", b"1-Foo-2020 00:00:00 +0000", b"yesterday", None, b""]
)
def test_a_date_that_is_none_is_none(value: bytes | None) -> None:
    assert date_time(value) is None


def test_a_structure_that_is_too_deep_or_too_large_is_none() -> None:
    part: list = [b"text", b"plain", None, None, None, b"7bit", b"1", b"1"]
    deep = part
    for _ in range(60):
        deep = [deep, b"mixed"]
    assert structure_of(deep) is None
    assert structure_of([part] * 3000 + [b"mixed"]) is None
    assert structure_of(b"nonsense") is None
    assert structure_of([b"text"]) is None


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("Sendte elementer", "sent"), ("Skickat", "sent"), ("Gesendet", "sent"), ("Envoyés", "sent"),
        ("Elementos enviados", "sent"), ("Posta inviata", "sent"), ("Itens enviados", "sent"), ("Verzonden", "sent"),
        ("Wysłane", "sent"), ("Lähetetyt", "sent"), ("Odeslané", "sent"), ("Отправленные", "sent"),
        ("送信済み", "sent"),
        ("已发送", "sent"), ("[Gmail]/Sent Mail", "sent"), ("INBOX/Sendt", "sent"),
        ("Utkast", "drafts"), ("Entwürfe", "drafts"), ("Brouillons", "drafts"), ("下書き", "drafts"),
        ("草稿", "drafts"),
        ("Szkice robocze", "drafts"), ("Rozpracované", "drafts"), ("임시 보관함", "drafts"),
        ("Søppelpost", "junk"), ("Courrier indésirable", "junk"), ("SPAM", "junk"), ("迷惑メール", "junk"),
        ("Papirkurv", "trash"), ("Papelera", "trash"), ("Корзина", "trash"), ("已删除", "trash"),
        ("Deleted Items", "trash"),
        ("Arkiv", "archive"), ("Archiwum", "archive"), ("アーカイブ", "archive"), ("归档", "archive"),
        ("보관함", "archive"),
        ("Prosjekter/Sendt", None), ("Kvitteringer", None),
    ],
)  # fmt: skip
def test_roles_are_known_by_their_names(name: str, role: str | None) -> None:
    assert roles_of([(name, "/", frozenset())]) == ({name: role} if role else {})


def test_what_the_server_says_comes_before_a_name() -> None:
    listed = [("Sent", "/", frozenset[str]()), ("Ut", "/", frozenset({"\\sent"})), ("INBOX", "/", frozenset[str]())]
    assert roles_of(listed) == {"INBOX": "inbox", "Ut": "sent"}


def test_a_secret_is_not_in_a_representation() -> None:
    from webmail.protocols.base import Credentials

    assert "hush" not in repr(Credentials("kari", "hush"))
    assert Server("imap", "h", 1, Security.TLS).addresses == ()
