"""The short way through FETCH and BODYSTRUCTURE gives what the general parser gives, whatever the server sends."""

from __future__ import annotations

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.letters import letter
from tests.protocols.conftest import imap_account
from tests.protocols.scripted import Scripted, Step
from tests.protocols.test_odd_servers import greeting, selected
from tests.servers import PASSWORD, Dovecot
from webmail.protocols.base import Credentials, RemoteMessage, Structure
from webmail.protocols.errors import ProtocolError
from webmail.protocols.imap import IMAPStore, client, connection, fetch
from webmail.protocols.imap.responses import Response
from webmail.protocols.imap.structure import structure_of
from webmail.protocols.imap.syntax import parse

# --- generated answers ------------------------------------------------------------------------------------------------

STRINGS = st.one_of(
    st.sampled_from(
        [
            *(
                "text",
                "plain",
                "html",
                "TEXT",
                "multipart",
                "message",
                "rfc822",
                "boundary",
                "name",
                "charset",
                "a (1).pdf",
            ),
            *("NIL", "", " 12 b", "x 2024 12 y", "100000000000000000", "7bit", "attachment", "%d", "utf-8", "møte"),
        ]
    ),
    st.text(st.characters(codec="latin-1", exclude_characters='"\\\r\n\0'), max_size=8),
)


def quoted(text: str) -> str:
    return f'"{text}"'


WORDS = STRINGS.map(quoted)
PARAMS = st.one_of(
    st.just("NIL"),
    st.lists(WORDS, min_size=1, max_size=6).map(lambda words: f"({' '.join(words)})"),
    STRINGS.map(lambda word: f'("charset" "utf-8" "boundary" "{word}")'),
)
NUMBERS = st.sampled_from(["0", "1", "12", "264", "999999999999999999", "1000000000000000000000"])
EXTENSION = st.one_of(
    st.just(""),
    st.just(" NIL"),
    st.just(" NIL NIL NIL NIL"),
    st.builds(lambda word, params: f" NIL ({word} {params}) NIL NIL", WORDS, PARAMS),
    st.builds(lambda word: f' NIL NIL ("en" "nb") {word} 5 (6 "x")', WORDS),
)


@st.composite
def leaves(draw: st.DrawFn) -> str:
    text = draw(st.booleans())
    kind = f'"text" {draw(WORDS)}' if text else f"{draw(WORDS)} {draw(WORDS)}"
    lines = f" {draw(NUMBERS)}" if text or draw(st.integers(0, 9)) == 0 else ""
    cid, description = draw(st.one_of(st.just("NIL"), WORDS)), draw(st.one_of(st.just("NIL"), WORDS))
    encoding = draw(st.one_of(st.just('"7bit"'), WORDS, st.just("NIL")))
    return f"({kind} {draw(PARAMS)} {cid} {description} {encoding} {draw(NUMBERS)}{lines}{draw(EXTENSION)})"


def multiparts(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda parts, gap, subtype, params, rest: (
            f"({''.join(parts)}{gap}{subtype} {params}{rest.removeprefix(' NIL')})"
        ),
        *(st.lists(children, min_size=1, max_size=3), st.sampled_from(["", " "]), WORDS, PARAMS, EXTENSION),
    )


STRUCTURES = st.recursive(leaves(), multiparts, max_leaves=5)


@st.composite
def answers(draw: st.DrawFn) -> list[bytes]:
    """A FETCH response as pieces, its items in any order, some before and some after the header."""
    items = [
        *(f"UID {draw(st.integers(1, 2**32 - 1))}", f"RFC822.SIZE {draw(NUMBERS)}"),
        "FLAGS (" + " ".join(draw(st.lists(st.sampled_from(["\\Seen", "\\Flagged", "$Junk", "Work", "NIL"])))) + ")",
        f'INTERNALDATE "{draw(st.sampled_from([" 1-Jan-2024 10:00:00 +0000", "31-feb-2024 10:00:60 -0930", "never"]))}"',
        f"BODYSTRUCTURE {draw(STRUCTURES)}",
        *draw(st.lists(st.sampled_from(["MODSEQ (12)", "PREVIEW NIL", 'PREVIEW "Hello"', "FLAGS ()"]), max_size=2)),
    ]
    items = draw(st.permutations(items))
    cut = draw(st.integers(0, len(items)))
    header = draw(st.sampled_from([b"", b"\r\n", b"Subject: x\r\n\r\n", b"Subject: x\r\n"]))
    before = "".join(f"{item} " for item in items[:cut])
    after = "".join(f" {item}" for item in items[cut:])
    name = draw(st.sampled_from(["BODY[HEADER.FIELDS (DATE FROM)]<0>", 'BODY[HEADER.FIELDS ("DATE")]', "body[header]"]))
    return [f"({before}{name} {{{len(header)}}}".encode("latin-1"), header, f"{after})".encode("latin-1")]


def seen(responses: list[Response], way: object) -> object:
    try:
        found: dict[int, RemoteMessage] = way(responses)  # type: ignore[operator]
    except ProtocolError as error:
        return str(error)
    return {uid: (message, message.structure) for uid, message in found.items()}


@given(st.lists(answers(), max_size=3))
def test_the_short_way_and_the_long_way_agree(pieces: list[list[bytes]]) -> None:
    responses = [Response(b"FETCH", 1, one) for one in pieces]
    assert seen(responses, fetch.messages) == seen(responses, fetch._merged)


@given(answers(), st.data())
def test_they_agree_also_where_octets_were_lost_or_changed(pieces: list[bytes], data: st.DataObject) -> None:
    line = bytearray(pieces[0])
    at = data.draw(st.integers(0, len(line) - 1 - line[::-1].index(b" ")))  # the announced length stays
    line[at : at + data.draw(st.integers(0, 3))] = data.draw(
        st.sampled_from([b"", b" ", b"(", b")", b'"', b"\\", b"7", b"x"])
    )
    responses = [Response(b"FETCH", 1, [bytes(line), *pieces[1:]])]
    assert seen(responses, fetch.messages) == seen(responses, fetch._merged)


@given(STRUCTURES, STRUCTURES)
def test_no_structure_is_taken_for_another_of_the_same_form(one: str, other: str) -> None:
    for text in (one, other, one.replace("12", "34"), one.replace("264", "7")):
        octets = text.encode("latin-1")
        outline, sizes = fetch._form(octets)
        expected = structure_of(parse([octets])[0])
        assert (outline.sized(sizes) if outline else None) == expected


def test_messages_that_differ_in_sizes_share_their_outline() -> None:
    form = '(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" {} {} NIL NIL NIL NIL) "mixed" ("boundary" "{}") NIL NIL NIL)'
    first = fetch._form(form.format(264, 24, "=_a").encode())
    second = fetch._form(form.format(9, 1, "b").encode())
    assert first[0] is second[0]
    assert (first[1], second[1]) == ((264,), (9,))


def test_numbers_in_a_file_name_are_no_sizes() -> None:
    form = '("application" "pdf" ("name" " 12 {} ") NIL NIL "base64" {} NIL NIL NIL NIL)'
    for year, size in ((2023, 5), (2024, 6)):
        outline, sizes = fetch._form(form.format(year, size).encode())
        assert outline is not None
        expected = Structure("1", "application/pdf", {"name": f" 12 {year} "}, encoding="base64", size=size)
        assert outline.sized(sizes) == expected


def test_what_servers_send_takes_the_short_way() -> None:
    structure = b'("TEXT" "PLAIN" ("CHARSET" "utf-8") NIL NIL "7BIT" 12 1 NIL NIL NIL NIL)'
    for before, after in (
        (b'(UID 7 FLAGS (\\Seen) RFC822.SIZE 5 INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODYSTRUCTURE ' + structure, b")"),
        (b'(FLAGS (\\Seen) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 5 UID 7 MODSEQ (9) BODYSTRUCTURE ' + structure, b")"),
        (b"(UID 7 RFC822.SIZE 5 BODYSTRUCTURE " + structure, b' INTERNALDATE "17-Jul-1996 02:44:25 -0700" FLAGS (\\Seen))'),
    ):  # fmt: skip
        message = fetch._short([before + b" BODY[HEADER.FIELDS (DATE)]<0> {2}", b"\r\n", after])
        assert message is not None
        assert (message.uid, message.size, message.keywords) == ("7", 5, frozenset({"$seen"}))


# --- several commands under way ---------------------------------------------------------------------------------------


def told(uid: int) -> bytes:
    return b'* %d FETCH (UID %d FLAGS () RFC822.SIZE 1 INTERNALDATE "17-Jul-1996 02:44:25 -0700")\r\n' % (uid, uid)


def test_a_server_that_answers_out_of_order_loses_no_message() -> None:
    """RFC 9051 §5.5 lets it, as long as the outcome is the same."""
    transcript: list[Step] = [
        *greeting(), *selected(600), "UID FETCH 1:250", "UID FETCH 251:500", "UID FETCH 501:502",
        told(251) + told(1) + told(502) + b"K3 OK\r\n" + told(2) + b"K4 OK\r\n" + told(501) + b"K5 OK\r\n",
    ]  # fmt: skip
    with Scripted(transcript) as server:
        store = IMAPStore(server.server(), Credentials("a", "b"))
        found = [message.uid for message in store.messages("INBOX", [str(uid) for uid in range(1, 503)])]
        store.close()
    assert sorted(found, key=int) == ["1", "251", "501", "502"]


def test_another_command_in_the_middle_of_a_stream_is_not_mixed_up_with_it(dovecot: Dovecot) -> None:
    account = imap_account(dovecot)
    store = account.open()
    for n in range(4):
        account.deliver(letter(f"number {n}"))
    created = store.changes("INBOX", None, {}).created
    several = [uid for uid in created for _ in range(100)]  # more than are under way together
    stream = store.messages("INBOX", several)
    first = next(stream)
    store.set_keywords("INBOX", created, add=["$flagged"])
    store.create_mailbox("Elsewhere")
    assert store.changes("Elsewhere", None, {}).created == ()
    assert {first.uid, *(message.uid for message in stream)} == set(created)
    account.close()


# --- COMPRESS ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is too fast to be worth compressing for."""
    monkeypatch.setattr(client, "COMPRESS_ABOVE", -1.0)


@pytest.mark.usefixtures("far_away")
def test_a_compressed_connection_says_the_same() -> None:
    with Dovecot(settings="protocol imap {\n mail_plugins = imap_zlib\n}\n") as dovecot:
        account = imap_account(dovecot)
        for n in range(30):
            account.deliver(letter(f"number {n}", "x" * 60 + "\n" * 1000))
        plain = IMAPStore(
            replace(dovecot.imap(), without=frozenset({"COMPRESS=DEFLATE"})), Credentials(account.user, PASSWORD)
        )
        squeezed = IMAPStore(dovecot.imap(), Credentials(account.user, PASSWORD))
        with plain, squeezed:
            assert "COMPRESS=DEFLATE" in plain.offered
            created = plain.changes("INBOX", None, {}).created
            assert squeezed.changes("INBOX", None, {}).created == created
            assert list(plain.messages("INBOX", created)) == list(squeezed.messages("INBOX", created))
            assert list(plain.body("INBOX", created[0])) == list(squeezed.body("INBOX", created[0]))
            watch = squeezed.watch("INBOX")
            account.deliver(letter("one more"))
            while not watch.changed():
                pass
            watch.close()
            assert squeezed.alive()


def deflated(*blocks: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return b"".join(squeeze.compress(block) + squeeze.flush(zlib.Z_SYNC_FLUSH) for block in blocks)


COMPRESSING = [*greeting(b"COMPRESS=DEFLATE"), "COMPRESS DEFLATE"]


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize(
    "answer",
    [
        deflated(b"* LIST " + b"x" * (connection.LINE_LIMIT + 10)),  # 16 MB out of 16 kB
        deflated(*([b"* OK " + b"y" * 1_000_000 + b"\r\n"] * 80)),  # more than is kept
        deflated(b'* LIST () "/" {9999999999}\r\n'),
        b"this is not compressed\r\n" * 100,
    ],
)
def test_little_that_inflates_to_much_meets_the_same_bounds(answer: bytes) -> None:
    with Scripted([*COMPRESSING, b"TAG OK go\r\n" + answer]) as server:
        store = IMAPStore(server.server(), Credentials("a", "b"))
        with pytest.raises(ProtocolError):
            store.mailboxes()


@pytest.mark.usefixtures("far_away")
def test_a_server_that_refuses_to_compress_after_all_is_used_as_it_is() -> None:
    with Scripted([*COMPRESSING, b"TAG NO [COMPRESSIONACTIVE] TLS does it\r\n", "NOOP", b"TAG OK\r\n"]) as server:
        store = IMAPStore(server.server(), Credentials("a", "b"))
        assert store.alive()
        store.close()
