"""Servers that mean harm, or are broken as if they did: what they may cost is bounded, and what they say is a MailError."""

from __future__ import annotations

import io
import traceback
import tracemalloc
from collections.abc import Callable, Iterable

import pytest

from tests.protocols.scripted import Scripted, Step
from tests.protocols.test_odd_servers import (
    CREDENTIALS,
    POP3_GREETING,
    _wait_for_change,
    greeting,
    imap,
    selected,
    store_on,
)
from webmail.protocols import network, pop3
from webmail.protocols.base import CHUNK, Condition, Credentials, Watch
from webmail.protocols.errors import AuthenticationFailed, MailError, ProtocolError, Unavailable, Unreachable
from webmail.protocols.imap import IMAPStore, changes, client, syntax
from webmail.protocols.imap.changes import _Collector
from webmail.protocols.imap.responses import Response
from webmail.protocols.imap.syntax import UidSet
from webmail.protocols.pop3 import POP3Store
from webmail.protocols.smtp import SMTPTransport

# --- out of order -----------------------------------------------------------------------------------------------------


def test_a_later_command_that_is_answered_first_is_answered() -> None:
    """RFC 9051 §5.5 leaves the order to the server. Who waits for an answer that was passed over waits for ever."""
    listing = b'* LIST () "/" a\r\n* LIST () "/" b\r\nTAG OK\r\n'
    statuses = b"* STATUS b (MESSAGES 2 UNSEEN 1)\r\nK5 OK\r\n* STATUS a (MESSAGES 4 UNSEEN 3)\r\nK4 OK\r\n"
    steps: list[Step] = ["LIST", listing, "LSUB", b"TAG OK\r\n", "STATUS", "STATUS", statuses, "NOOP", b"TAG OK\r\n"]
    with imap(greeting(), steps) as script:
        store = store_on(script)
        assert {box.name: (box.total, box.unread) for box in store.mailboxes()} == {"a": (4, 3), "b": (2, 1)}
        assert store.alive()
        store.close()


def test_an_answer_to_no_command_of_ours_is_out_of_step() -> None:
    with imap(greeting(), "CREATE", b"K999 OK who asked?\r\nTAG OK\r\n") as script:
        store = store_on(script)
        with pytest.raises(ProtocolError):
            store.create_mailbox("x")
        store.close()


# --- what is said to a watch ------------------------------------------------------------------------------------------


def test_each_literal_of_a_response_to_a_watch_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def counted(line: bytes) -> int | None:
        nonlocal count
        count += 1
        return syntax.literal_size(line)

    literals = 5000
    response = b"* 1 FETCH (X " + b"{1}\r\na" * literals + b")\r\n"
    with imap(greeting(b"IDLE"), selected(), "IDLE", b"+ \r\n", response, b"* 2 EXISTS\r\n") as script:
        store = store_on(script)
        watch = store.watch("INBOX")
        monkeypatch.setattr(client, "literal_size", counted)
        while not _wait_for_change(watch) or store._selected is None or store._selected.exists != 2:
            pass
        watch.abandon()
    assert count <= literals + 10


@pytest.mark.parametrize(
    "response",
    [
        b"* 1 FETCH (X " + b"{0}\r\n " * 500_000,
        b"* VANISHED " + b"1," * 2_000_000,
        b"* 1 FETCH (X " + b"{900000}\r\n" + b"x" * 900_000 + b"{900000}\r\n" + b"x" * 900_000,
    ],
    ids=["literals without number", "an endless line", "large literals"],
)
def test_a_watch_holds_little_of_a_response_that_does_not_end(response: bytes) -> None:
    """A thousand of them share one process."""
    with imap(greeting(b"IDLE"), selected(), "IDLE", b"+ \r\n", response) as script:
        store = store_on(script)
        watch = store.watch("INBOX")
        with pytest.raises(ProtocolError):
            _wait_for_change(watch)
        watch.abandon()


def test_who_floods_a_watch_keeps_no_other_waiting() -> None:
    """What one look at a watch takes is bounded; the selector tells at once that there is more."""
    flood = b"* OK still here, and here, and here\r\n" * 200_000
    with imap(greeting(b"IDLE"), selected(), "IDLE", b"+ \r\n", flood, b"* 2 EXISTS\r\n") as script:
        store = store_on(script)
        watch = store.watch("INBOX")
        seen: list[Response] = []
        watch._observe_store = seen.append
        looks, heard = [], False
        while not heard:
            before, heard = len(seen), watch.changed()
            looks.append(len(seen) - before)
        watch.abandon()
    assert sum(looks) == 200_001
    assert max(looks) <= 2 * network.BLOCK / 37


# --- sets without end -------------------------------------------------------------------------------------------------


def test_many_vanished_lines_cost_no_more_than_one_long_one(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    def counted(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        nonlocal looked_at
        found = sorted(ranges)
        looked_at += len(found)
        return found

    monkeypatch.setattr(syntax, "sorted", counted, raising=False)
    changed = _Collector()
    for uid in range(20_000, 0, -2):
        changed.take(Response(b"VANISHED", pieces=[b"(EARLIER) %d" % uid]))
    assert 4 in changed.vanished
    assert 5 not in changed.vanished
    assert len(changed.vanished.ranges) == 10_000
    assert looked_at <= 10 * 10_000


def test_a_set_of_more_ranges_than_any_mailbox_has_is_a_protocol_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syntax, "ITEMS_LIMIT", 1000)
    with pytest.raises(ProtocolError):
        UidSet(b",".join(b"%d" % uid for uid in range(1, 5000, 2)))
    with pytest.raises(ProtocolError):
        _set_of_many(range(1, 20_000, 2))
    again = UidSet()
    for _ in range(20):
        again.add(b",".join(b"%d" % uid for uid in range(1, 1000, 2)))
    assert len(again.ranges) == 500


def _set_of_many(uids: Iterable[int]) -> UidSet:
    found = UidSet()
    for uid in uids:
        found.add(b"%d" % uid)
    return found


# --- messages without end ---------------------------------------------------------------------------------------------


def test_a_message_that_never_ends_is_a_protocol_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "MESSAGE_LIMIT", 4 * CHUNK, raising=False)
    steps: list[Step] = []
    for n in range(4):
        answer = b"* 1 FETCH (UID 1 BODY[]<%d> {%d}\r\n" % (n * CHUNK, CHUNK)
        steps += ["FETCH", answer + b"x" * CHUNK + b")\r\nTAG OK\r\n"]
    with imap(greeting(), selected(), *steps) as script:
        store = store_on(script)
        chunks = store.body("INBOX", "1")
        with pytest.raises(ProtocolError):
            for _ in chunks:
                pass
        store.close()


@pytest.mark.parametrize("origin", [b"<0>", b"<%d>" % (2 * CHUNK)])
def test_a_portion_from_elsewhere_in_the_message_is_a_protocol_error(origin: bytes) -> None:
    first = b"* 1 FETCH (UID 1 BODY[]<0> {%d}\r\n" % CHUNK + b"x" * CHUNK + b")\r\nTAG OK\r\n"
    second = b"* 1 FETCH (UID 1 BODY[]" + origin + b" {1}\r\ny)\r\nTAG OK\r\n"
    with imap(greeting(), selected(), "FETCH", first, "FETCH", second) as script:
        store = store_on(script)
        chunks = store.body("INBOX", "1")
        assert len(next(chunks)) == CHUNK
        with pytest.raises(ProtocolError):
            next(chunks)
        store.close()


@pytest.mark.parametrize("nothing", [b'BODY[]<262144> ""', b"BODY[]<262144> NIL", b'BODY[] ""'])
def test_nothing_after_a_whole_number_of_portions_is_the_end(nothing: bytes) -> None:
    first = b"* 1 FETCH (UID 1 BODY[]<0> {%d}\r\n" % CHUNK + b"x" * CHUNK + b")\r\nTAG OK\r\n"
    with imap(
        greeting(), selected(), "FETCH", first, "FETCH", b"* 1 FETCH (UID 1 %s)\r\nTAG OK\r\n" % nothing
    ) as script:
        store = store_on(script)
        assert [len(chunk) for chunk in store.body("INBOX", "1")] == [CHUNK]
        store.close()


# --- memory -----------------------------------------------------------------------------------------------------------


def test_a_server_says_little_before_somebody_signs_in() -> None:
    """Anybody may have us connect to a server of their own."""
    flood = (b"* X {1000000}\r\n" + b"x" * 1_000_000 + b"\r\n") * 5
    steps = [b"* OK hello\r\n", "CAPABILITY", flood + b"* CAPABILITY IMAP4rev1\r\nTAG OK\r\n"]
    with Scripted(steps) as script, pytest.raises(ProtocolError):
        store_on(script)


def test_a_pop3_server_says_little_before_somebody_signs_in() -> None:
    flood = b"X" * 1000 + b"\r\n"
    with Scripted([b"+OK hello\r\n", "CAPA", b"+OK\r\n" + flood * 5000 + b".\r\n"]) as script:
        with pytest.raises(ProtocolError):
            POP3Store(script.server("pop3"), CREDENTIALS)


def test_a_listing_of_pop3_is_bounded_in_octets_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3, "LISTING_LIMIT", 3_000_000, raising=False)
    flood = b"1 " + b"x" * 1000 + b"\r\n"
    with Scripted([*POP3_GREETING, "LIST", b"+OK\r\n" + flood * 5000 + b".\r\n"]) as script:
        store = POP3Store(script.server("pop3"), CREDENTIALS)
        with pytest.raises(ProtocolError):
            store.changes("INBOX", None, {})
        store.close()


@pytest.mark.parametrize("line", [b"()" * 4_000_000, b"1 " * 4_000_000, b'""' * 4_000_000])
def test_a_line_of_nothing_but_small_values_takes_no_hundredfold_of_memory(line: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError):
            syntax.parse([line])
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


def test_flags_that_are_all_different_are_not_kept_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "FLAGS_LIMIT", 1_000_000, raising=False)
    for form in (b"(UID %d FLAGS (%s))", b'(UID %d FLAGS (%s) X "")'):
        changed = _Collector()
        for uid in range(1, 41):
            changed.take(Response(b"FETCH", uid, [form % (uid, b"%02d" % uid + b"x" * 24_000)]))
            changed.take(Response(b"FETCH", uid, [form % (uid + 100, b"%02d" % uid + b"x" * 24_000)]))
        with pytest.raises(ProtocolError):
            changed.take(Response(b"FETCH", 41, [form % (41, b"x" * 50_000)]))


# --- errors are MailErrors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [b"[APPENDUID]", b"[APPENDUID 7]", b"[APPENDUID 7 x]", b"[APPENDUID 7 1:2]"])
def test_an_append_whose_answer_makes_no_sense_is_looked_for(code: bytes) -> None:
    """It was done, and would be done again."""
    steps: list[Step] = [b"+ go on\r\n", "Message-ID", "^\r\n", "^\r\n", b"K2 OK " + code + b" done\r\n"]
    steps += [*selected(), "SEARCH HEADER Message-ID", b"* SEARCH 9\r\nTAG OK\r\n"]
    with imap(greeting(), "APPEND", steps) as script:
        store = store_on(script)
        assert store.append("INBOX", io.BytesIO(b"Message-ID: <a@b>\r\n\r\n")) == "9"
        store.close()


def test_what_was_appended_is_found_also_by_a_folded_message_id() -> None:
    steps: list[Step] = [b"+ go on\r\n", "Message-ID", "a@b", "hi", "^\r\n", "^\r\n", b"K2 OK done\r\n"]
    steps += [*selected(), 'SEARCH HEADER Message-ID "<a@b>"', b"* SEARCH 9\r\nTAG OK\r\n"]
    with imap(greeting(), "APPEND", steps) as script:
        store = store_on(script)
        assert store.append("INBOX", io.BytesIO(b"Message-ID:\r\n <a@b>\r\n (hi)\r\n\r\n")) == "9"
        store.close()


@pytest.mark.parametrize("words", [b"(TAG K3) UID ALL", b"(TAG K3) UID ALL NIL", b"(TAG K3) UID ALL (1 2)"])
def test_a_search_without_its_result_is_a_protocol_error(words: bytes) -> None:
    steps = ["SEARCH", b"* ESEARCH " + words + b"\r\nTAG OK\r\n"]
    with imap(greeting(b"ESEARCH"), selected(), steps) as script:
        store = store_on(script)
        with pytest.raises(ProtocolError):
            store.search("INBOX", Condition())
        store.close()


@pytest.mark.parametrize(
    "steps",
    [
        ["STATUS", b"* STATUS x (NIL 5)\r\nTAG OK\r\n", "COPY", b"TAG OK\r\n"],
        ["STATUS", b"* STATUS x ((UIDNEXT) 5)\r\nTAG OK\r\n", "COPY", b"TAG OK\r\n"],
        [
            *("STATUS", b"* STATUS x (UIDNEXT 5)\r\nTAG OK\r\n"),
            *("FETCH", b"* 1 FETCH (UID 1 RFC822.SIZE NIL BODY[HEADER.FIELDS (MESSAGE-ID)] {3}\r\na:b)\r\nTAG OK\r\n"),
            *("COPY", b"TAG OK\r\n", *selected(), "FETCH 5:.", b"TAG OK\r\n", *selected()),
        ],
    ],
    ids=["a name that is none", "a list for a name", "a size that is none"],
)
def test_a_copy_whose_place_cannot_be_known_is_made_all_the_same(steps: list[Step]) -> None:
    with imap(greeting(), selected(), *steps) as script:
        store = store_on(script)
        assert store.copy("INBOX", ["1"], "x") == {}
        store.close()


@pytest.mark.parametrize("answer", [b"TAG NO not today", b"TAG BAD what?"])
def test_a_server_that_does_not_enable_what_it_offers_is_used_without(answer: bytes) -> None:
    offering = greeting(b"ENABLE QRESYNC CONDSTORE")
    opened = ["SELECT", b"* 0 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\nK3 OK done\r\n"]
    with imap(offering, "ENABLE", answer + b"\r\n", opened, selected(0)) as script:
        store = store_on(script)
        assert store.newest("INBOX", 5) == []
        assert store.changes("INBOX", '{"uidvalidity": 7, "modseq": 5}', {}).created == ()
        store.close()
    with imap(offering, "ENABLE", answer + b"\r\n", ['SELECT "INBOX" .CONDSTORE', *selected(0)[1:]]) as script:
        store = store_on(script)
        assert store.changes("INBOX", '{"uidvalidity": 7, "modseq": 5}', {}).created == ()
        store.close()


def test_numbers_that_no_message_can_have_are_left_out() -> None:
    """RFC 9051 §2.3.1.1: 1 to 4294967295. Nothing can be asked about the others, and asking would stop the mailbox."""
    flags = b"* 1 FETCH (UID 0 FLAGS ())\r\n* 2 FETCH (UID 4294967296 FLAGS ())\r\n* 3 FETCH (UID 007 FLAGS ())\r\n"
    with imap(greeting(), selected(4), "FETCH", flags + b"TAG OK\r\n") as script:
        store = store_on(script)
        known = dict.fromkeys(["7"], frozenset[str]())
        found = store.changes("INBOX", '{"uidvalidity": 7}', known)
        assert (found.created, found.destroyed) == ((), ())
        store.close()
    with imap(greeting(), selected(3), "SEARCH", b"* SEARCH 0 4294967296 7\r\nTAG OK\r\n") as script:
        store = store_on(script)
        assert store.changes("INBOX", None, {}).created == ("7",)
        store.close()


@pytest.mark.parametrize("size", [b"9223372036854775808", b"99999999999999999999"])
def test_no_size_is_larger_than_a_number_may_be(size: bytes) -> None:
    """RFC 9051 §9, number64: 63 bits, which is what a database takes."""
    with pytest.raises(ProtocolError):
        syntax.number(size)
    assert syntax.number(b"9223372036854775807") == 2**63 - 1


def test_a_message_that_the_server_cannot_describe_does_not_stop_the_mailbox() -> None:
    """A quote in a file name that the server forgets to escape, and nothing after it can be understood."""
    items = b'UID %d FLAGS () RFC822.SIZE 9 INTERNALDATE "17-Jul-1996 02:44:25 -0700"'
    good = b"* 1 FETCH (" + items % 1 + b' BODYSTRUCTURE ("TEXT" "PLAIN" NIL NIL NIL "7BIT" 3 1))\r\n'
    bad = b"* 2 FETCH (" + items % 2 + b' BODYSTRUCTURE ("TEXT" "PLAIN" ("NAME" "a"b") NIL NIL "7BIT" 3 1))\r\n'
    steps = [
        *("UID FETCH 1:2 .*BODYSTRUCTURE", good + bad + b"TAG OK\r\n"),
        *("UID FETCH 2 .UID FLAGS RFC822.SIZE INTERNALDATE BODY.PEEK", b"* 2 FETCH (" + items % 2 + b")\r\nTAG OK\r\n"),
    ]
    with imap(greeting(), selected(2), steps) as script:
        store = store_on(script)
        one, two = store.messages("INBOX", ["1", "2"])
        assert (one.uid, one.structure is None) == ("1", False)
        assert (two.uid, two.structure, two.size) == ("2", None, 9)
        store.close()
    with imap(greeting(), selected(2), steps[0].replace("UID FETCH", "FETCH"), *steps[1:]) as script:
        store = store_on(script)
        assert [message.uid for message in store.newest("INBOX", 2)] == ["2", "1"]
        store.close()


# --- POP3 -------------------------------------------------------------------------------------------------------------


def pop3_on(*steps: Step, then: tuple[Step, ...] = ()) -> Scripted:
    return Scripted([*POP3_GREETING, *steps], [*POP3_GREETING, *then])


def test_a_pop3_message_that_cannot_be_read_is_left_out() -> None:
    steps: list[Step] = ["LIST", b"+OK\r\n1 9\r\n2 9\r\n.\r\n", "UIDL", b"-ERR no\r\n"]
    steps += ["RETR 1", b"-ERR damaged\r\n", "RETR 2", b"+OK\r\nSubject: b\r\n\r\n.\r\n"]
    with pop3_on(*steps) as script:
        store = POP3Store(script.server("pop3"), CREDENTIALS)
        assert len(store.changes("INBOX", None, {}).created) == 1
        store.close()


def test_a_pop3_server_that_fails_to_tell_its_uids_once_has_not_only_new_messages() -> None:
    offering = [*POP3_GREETING[:-1], b"+OK\r\nUIDL\r\n.\r\n"]
    with Scripted([*offering, "LIST", b"+OK\r\n1 9\r\n.\r\n", "UIDL", b"-ERR [SYS/TEMP] later\r\n"]) as script:
        store = POP3Store(script.server("pop3"), CREDENTIALS)
        with pytest.raises(Unavailable):
            store.changes("INBOX", None, {"a": frozenset()})
        store.close()


POP3_LISTING: list[Step] = ["LIST", b"+OK\r\n1 9\r\n2 9\r\n.\r\n", "UIDL", b"+OK\r\n1 a\r\n2 b\r\n.\r\n"]


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("RETR", lambda store: [b"".join(octets) for _, octets in store.bodies("INBOX", ["a", "b"])]),
        ("RETR", lambda store: list(store.messages("INBOX", ["a", "b"]))),
        ("DELE", lambda store: store.destroy("INBOX", ["a", "b"])),
    ],
    ids=["bodies", "messages", "destroy"],
)
def test_what_is_neither_yes_nor_no_is_no_message_that_is_gone(
    command: str, call: Callable[[POP3Store], object]
) -> None:
    """Out of step, the text of a letter would be taken for answers."""
    with pop3_on(*POP3_LISTING, command, b"Dear Kari,\r\n") as script:
        store = POP3Store(script.server("pop3"), CREDENTIALS)
        with pytest.raises(ProtocolError):
            call(store)
        store.close()


def test_numbers_of_one_session_are_never_used_in_the_next() -> None:
    """In the second one "a" is gone, and what was the second message is the first."""
    header = b"+OK\r\nSubject: %s\r\n\r\n.\r\n"
    again: list[Step] = ["LIST", b"+OK\r\n1 9\r\n.\r\n", "UIDL", b"+OK\r\n1 b\r\n.\r\n"]
    with pop3_on(*POP3_LISTING, "RETR 1", header % b"a", "RETR 1", b"+OK\r\nSubj", then=tuple(again)) as script:
        store = POP3Store(script.server("pop3"), CREDENTIALS)
        headers = store.messages("INBOX", ["a", "b"])
        assert next(headers).header == b"Subject: a\r\n\r\n"
        next(store.body("INBOX", "a"))
        with pytest.raises(Unreachable):
            next(headers)
        store.close()


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("protocol", ["imap", "pop3", "smtp"])
def test_a_password_that_the_server_repeats_is_not_passed_on(protocol: str, encoded: bool) -> None:
    """Its words come to be seen on pages, and stay in rows and logs."""
    credentials = Credentials("kari", "hush-hush")
    said = network.b64(network.sasl_plain(credentials)) if encoded else b"hush-hush"
    transcripts: dict[str, list[Step]] = {
        "imap": [*greeting()[:4], b"TAG NO cannot sign in with " + said + b"\r\n"],
        "pop3": [*POP3_GREETING[:6], b"-ERR cannot sign in with " + said + b"\r\n"],
        "smtp": [b"220 hi\r\n", "EHLO", b"250-me\r\n250 AUTH PLAIN\r\n", "AUTH", b"535 cannot with " + said + b"\r\n"],
    }
    transcripts["pop3"][5] = "PASS"
    opened = {"imap": IMAPStore, "pop3": POP3Store, "smtp": SMTPTransport}[protocol]
    with Scripted(transcripts[protocol]) as script:
        with pytest.raises(AuthenticationFailed) as caught:
            opened(script.server(protocol), credentials)
    told = "".join(traceback.format_exception(caught.value))
    assert said.decode() not in caught.value.detail + repr(caught.value.args) + told
    assert "cannot" in caught.value.detail


@pytest.mark.parametrize("encoded", [False, True])
def test_a_token_too_long_to_be_told_whole_is_not_told_in_part(encoded: bool) -> None:
    credentials = Credentials("kari", "".join(f"{n:x}" for n in range(1000)), oauth=True)
    said = credentials.secret.encode()
    said = network.b64(network.sasl_xoauth2(credentials)) if encoded else said
    steps = [
        b"220 hi\r\n",
        "EHLO",
        b"250-me\r\n250 AUTH XOAUTH2\r\n",
        "AUTH",
        b"334 \r\n",
        "=",
        b"535 cannot " + said + b"\r\n",
    ]
    with Scripted(steps) as script:
        with pytest.raises(AuthenticationFailed) as caught:
            SMTPTransport(script.server("smtp"), credentials)
    assert caught.value.detail == "cannot …"


@pytest.mark.parametrize("size", [b"9" * 5000, b"-5", b"9" * 30])
def test_a_size_that_makes_no_sense_is_none(size: bytes) -> None:
    with Scripted([b"220 hi\r\n", "EHLO", b"250-me\r\n250 SIZE " + size + b"\r\n"]) as script:
        SMTPTransport(script.server("smtp"), None).close()


def _heard(watch: Watch) -> None:
    """Until something has changed."""
    while not watch.changed():
        pass


def test_the_end_of_idle_is_told_in_clean_words() -> None:
    with imap(greeting(b"IDLE"), selected(), "IDLE", b"+ \r\nTAG NO \x1b[31m" + b"x" * 900 + b"\r\n") as script:
        store = store_on(script)
        watch = store.watch("INBOX")
        with pytest.raises(MailError) as caught:
            _heard(watch)
        assert "\x1b" not in caught.value.detail
        watch.abandon()
