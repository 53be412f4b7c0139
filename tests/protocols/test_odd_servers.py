"""Transcripts of servers that are broken, hostile or merely odd; each says what must become of it."""

from __future__ import annotations

import io
import itertools
import selectors
from collections.abc import Sequence

import pytest

from tests.protocols.scripted import END, Scripted, Step
from webmail.protocols.base import Capability, Condition, Credentials, Envelope, Security, Watch
from webmail.protocols.errors import (
    AlreadyExists,
    AuthenticationFailed,
    DeliveryUncertain,
    InsecureConnection,
    MailError,
    NoPermission,
    NotFound,
    OverQuota,
    ProtocolError,
    Refused,
    TooLarge,
    Unavailable,
    Unreachable,
)
from webmail.protocols.imap import IMAPStore
from webmail.protocols.imap.connection import LITERAL_LIMIT
from webmail.protocols.pop3 import POP3Store
from webmail.protocols.smtp import SMTPTransport

CREDENTIALS = Credentials("kari", "secret")
TOKEN = Credentials("kari", "token", oauth=True)


def greeting(capabilities: bytes = b"") -> list[Step]:
    """Up to and including the sign-in."""
    offered = b"IMAP4rev1 SASL-IR AUTH=PLAIN " + capabilities
    return [
        b"* OK hello\r\n",
        "CAPABILITY",
        b"* CAPABILITY " + offered + b"\r\nTAG OK\r\n",
        "AUTHENTICATE PLAIN",
        b"TAG OK [CAPABILITY " + offered + b"] in\r\n",
    ]


def selected(exists: int = 1, codes: bytes = b"* OK [UIDVALIDITY 7] ok\r\n") -> list[Step]:
    return ["SELECT", b"* %d EXISTS\r\n" % exists + codes + b"TAG OK [READ-WRITE] done\r\n"]


def imap(*steps: Step | Sequence[Step]) -> Scripted:
    flat = itertools.chain.from_iterable(step if isinstance(step, list) else [step] for step in steps)
    return Scripted(list(flat))


def store_on(script: Scripted) -> IMAPStore:
    return IMAPStore(script.server(), CREDENTIALS)


ENDLESS = b"* OK " + b"x" * 1024 * 1024

HOSTILE = {
    "a literal larger than any bound": b"* 1 FETCH (UID 1 BODY[]<0> {99999999999}\r\n",
    "a literal just over the bound": b"* 1 FETCH (UID 1 BODY[]<0> {%d}\r\n" % (LITERAL_LIMIT + 1),
    "more octets than were asked for": b"* 1 FETCH (UID 1 BODY[]<0> {300000}\r\n" + b"x" * 300000 + b")\r\nTAG OK\r\n",
    "NUL in a line": b"* 1 FETCH (UID 1 FLAGS (\0))\r\nTAG OK\r\n",
    "an endless line": ENDLESS * 17,
    "a parenthesis that stays open": b"* 1 FETCH (UID 1 FLAGS (\r\nTAG OK\r\n",
    "a parenthesis too many": b"* 1 FETCH (UID 1))\r\nTAG OK\r\n",
    "a quote that stays open": b'* 1 FETCH (UID 1 X "abc)\r\nTAG OK\r\n',
    "items that do not pair up": b"* 1 FETCH (UID)\r\nTAG OK\r\n",
    "a tag that is nobody's": b"K999 OK what\r\nX1 OK huh\r\n",
    "no protocol at all": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "a number out of range": b"* 99999999999999999999 EXISTS\r\nTAG OK\r\n",
    "BAD": b"TAG BAD syntax\r\n",
}


@pytest.mark.parametrize("answer", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_cannot_be_understood_is_a_protocol_error(answer: bytes) -> None:
    with imap(greeting(), selected(), "FETCH", answer) as script:
        store = store_on(script)
        with pytest.raises(ProtocolError) as caught:
            list(store.body("INBOX", "1"))
        assert caught.value.connection_lost
        assert len(caught.value.detail) <= 500
        store.close()


def test_nesting_without_end_spoils_one_message_and_not_the_mailbox() -> None:
    deep = b"(" * 50_000 + b")" * 50_000
    answer = (
        b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 9 BODYSTRUCTURE " + deep + b" BODY[HEADER] {2}\r\n\r\n)\r\nTAG OK\r\n"
    )
    with imap(greeting(), selected(), "FETCH", answer) as script:
        store = store_on(script)
        (message,) = store.messages("INBOX", ["1"])
        assert (message.structure, message.header) == (None, b"\r\n")
        store.close()


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([b"* BYE [UNAVAILABLE] too many\r\n"], Unavailable),
        ([b"* OK hello\r\n", END], Unreachable),
        ([b"220 smtp.example.org ESMTP\r\n"], MailError),
        ([END], Unreachable),
        (
            [b"* OK hello\r\n", "CAPABILITY", b"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\nTAG OK\r\n"],
            AuthenticationFailed,
        ),
    ],
)
def test_a_greeting_that_leads_nowhere(steps: list[Step], error: type[MailError]) -> None:
    with Scripted(steps) as script, pytest.raises(error):
        store_on(script)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"NO [AUTHENTICATIONFAILED] no", AuthenticationFailed),
        (b"NO [EXPIRED] old", AuthenticationFailed),
        (b"NO no", AuthenticationFailed),
        (b"NO [UNAVAILABLE] database down", Unavailable),
        (b"NO [PRIVACYREQUIRED] no", InsecureConnection),
    ],
)
def test_a_refused_sign_in_says_why(answer: bytes, error: type[MailError]) -> None:
    with imap(greeting()[:-1], b"TAG " + answer + b"\r\n") as script:
        with pytest.raises(error) as caught:
            store_on(script)
        assert caught.value.detail == answer.split(b"] ")[-1].removeprefix(b"NO ").decode()


@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        (b"[NONEXISTENT] x", NotFound, "NONEXISTENT"),
        (b"[TRYCREATE] x", NotFound, "TRYCREATE"),
        (b"[ALREADYEXISTS] x", AlreadyExists, "ALREADYEXISTS"),
        (b"[NOPERM] x", NoPermission, "NOPERM"),
        (b"[OVERQUOTA] x", OverQuota, "OVERQUOTA"),
        (b"[TOOBIG] x", TooLarge, "TOOBIG"),
        (b"[INUSE] x", Unavailable, "INUSE"),
        (b"[LIMIT] x", Unavailable, "LIMIT"),
        (b"[SERVERBUG] x", Unavailable, "SERVERBUG"),
        (b"[CANNOT] x", Refused, "CANNOT"),
        (b"Mailbox doesn't exist: x", NotFound, ""),
        (b"Mailbox already exists", AlreadyExists, ""),
        (b"Quota exceeded", OverQuota, ""),
        ("ikke nå, blåbær".encode(), Refused, ""),
    ],
)
def test_a_refusal_is_named_by_its_code_or_its_words(answer: bytes, error: type[MailError], code: str) -> None:
    with imap(greeting(), "CREATE", b"TAG NO " + answer + b"\r\n") as script:
        store = store_on(script)
        with pytest.raises(MailError) as caught:
            store.create_mailbox("x")
        assert (type(caught.value), caught.value.code) == (error, code)
        assert caught.value.detail == answer.split(b"] ")[-1].decode()
        assert not caught.value.connection_lost
        store.close()


def test_bye_in_the_middle_of_a_command_is_a_lost_connection() -> None:
    with imap(greeting(), selected(), "FETCH", b"* 1 FETCH (UID 1 FLAGS ())\r\n* BYE [UNAVAILABLE] down\r\n") as script:
        store = store_on(script)
        with pytest.raises(Unreachable) as caught:
            list(store.messages("INBOX", ["1"]))
        assert (caught.value.detail, caught.value.code) == ("down", "UNAVAILABLE")
        assert not store.alive()
        with pytest.raises(Unreachable):
            store.mailboxes()
        store.close()


def test_untagged_noise_does_no_harm() -> None:
    noise = (
        b"* OK still here\r\n* 5 EXISTS\r\n* 2 EXPUNGE\r\n* 1 RECENT\r\n* FLAGS (\\Seen)\r\n* VANISHED 9\r\n"
        b'* 3 FETCH (FLAGS (\\Seen))\r\n* WHATEVER {3}\r\nabc (x) "y"\r\n* LIST () NIL {5}\r\nINBOX\r\n'
    )
    answer = noise + b"* 1 FETCH (FLAGS (\\Seen) UID 1 RFC822.SIZE 3)\r\n* 1 FETCH (UID 1 FLAGS ($Junk))\r\n"
    with imap(greeting(), selected(), "FETCH", answer + noise + b"TAG OK\r\n") as script:
        store = store_on(script)
        (message,) = store.messages("INBOX", ["1"])
        assert (message.uid, message.keywords) == ("1", {"$junk"})
        store.close()


def test_a_mailbox_that_lies_about_its_size_gives_what_there_is() -> None:
    answer = b"* 1 FETCH (UID 4 FLAGS () RFC822.SIZE 3)\r\nTAG OK\r\n"
    with imap(greeting(), selected(500), "FETCH 451:500", answer) as script:
        store = store_on(script)
        assert [m.uid for m in store.newest("INBOX", 50)] == ["4"]
        store.close()


def test_an_answer_of_all_uids_there_could_be_is_never_expanded() -> None:
    codes = b"* OK [UIDVALIDITY 7] ok\r\n* OK [HIGHESTMODSEQ 9] ok\r\n* VANISHED (EARLIER) 1:4,6:4294967295\r\n"
    enabled = ["ENABLE QRESYNC", b"* ENABLED QRESYNC\r\nTAG OK\r\n"]
    with imap(greeting(b"ENABLE QRESYNC CONDSTORE"), enabled, selected(1, codes)) as script:
        store = store_on(script)
        known = {str(uid): frozenset[str]() for uid in (3, 5, 8)}
        changes = store.changes("INBOX", '{"uidvalidity": 7, "modseq": 5}', known)
        assert (changes.destroyed, changes.created, changes.updated) == (("3", "8"), (), {})
        store.close()


@pytest.mark.parametrize("code", [b"* OK [NOMODSEQ] no\r\n", b"* OK [HIGHESTMODSEQ 0] no\r\n", b""])
def test_a_mailbox_without_modseq_is_compared(code: bytes) -> None:
    answer = b"* 1 FETCH (UID 5 FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS () UID 6)\r\nTAG OK\r\n"
    script_ = imap(
        greeting(b"CONDSTORE"), selected(2, b"* OK [UIDVALIDITY 7] ok\r\n" + code), "FETCH 1:\\* .UID FLAGS.", answer
    )
    with script_ as script:
        store = store_on(script)
        known = {"4": frozenset[str](), "5": frozenset[str]()}
        changes = store.changes("INBOX", '{"uidvalidity": 7, "modseq": 5}', known)
        assert (changes.created, changes.updated, changes.destroyed) == (("6",), {"5": {"$seen"}}, ("4",))
        assert "modseq" not in changes.state
        store.close()


def test_idle_sees_what_came_together_with_its_start_and_survives_noise() -> None:
    script_ = imap(
        greeting(b"IDLE"), selected(), "IDLE", b"* 2 EXISTS\r\n+ idling\r\n* OK Still here\r\n", "DONE", b"K3 OK\r\n",
        "IDLE", b"+ \r\n* OK Still here\r\n* BYE\r\n", END,
    )  # fmt: skip
    with script_ as script:
        store = store_on(script)
        assert Capability.WATCH in store.capabilities
        watch = store.watch("INBOX")
        assert watch.changed()
        watch.renew()
        with pytest.raises(Unreachable):
            _wait_for_change(watch)
        watch.close()
        store.close()


def _wait_for_change(watch: Watch) -> bool:
    with selectors.DefaultSelector() as selector:
        selector.register(watch, selectors.EVENT_READ)
        while selector.select(10):
            if watch.changed():
                return True
    return False


def test_names_that_are_not_modified_utf7_are_kept() -> None:
    listing = b'* LIST () "/" "R&D"\r\n* LIST () "/" {6}\r\nbl\xc3\xa5b\xc3\r\n* LIST (\\Noselect) NIL &AGE-\r\n'
    odd = [
        'LIST', listing + b"TAG OK\r\n", "LSUB", b"TAG OK\r\n",
        "STATUS", b"TAG NO\r\n", "STATUS", b"TAG NO\r\n",
        'SELECT "R&D"', b"* 0 EXISTS\r\nTAG OK\r\n", b"",
    ]  # fmt: skip
    with imap(greeting(), odd) as script:
        store = store_on(script)
        names = [box.name for box in store.mailboxes()]
        assert len(set(names)) == 3
        assert all(name.isprintable() or ord(max(name)) > 0x10FF00 for name in names)
        assert store.newest(names[0], 5) == []
        store.close()


def test_a_message_refused_before_its_octets_is_not_sent() -> None:
    with imap(greeting(), "APPEND", b"TAG NO [OVERQUOTA] full\r\n", "NOOP", b"TAG OK\r\n") as script:
        store = store_on(script)
        with pytest.raises(OverQuota):
            store.append("INBOX", io.BytesIO(b"Subject: x\r\n\r\n"))
        assert store.alive()
        store.close()


def test_a_search_sends_letters_beyond_ascii_as_a_literal() -> None:
    steps = [
        "SEARCH CHARSET UTF-8 TEXT .8.", b"+ go on\r\n", "^blåbær\r\n$",
        b"* SEARCH 3 1 2\r\nK3 OK\r\n",
    ]  # fmt: skip
    with imap(greeting(), selected(), steps) as script:
        store = store_on(script)
        assert store.search("INBOX", Condition(text="blåbær")) == ["3", "2", "1"]
        store.close()


def test_gmail_is_asked_in_its_own_way() -> None:
    steps = ["UID SEARCH X-GM-RAW", b"* SEARCH 3\r\nTAG OK\r\n"]
    with imap(greeting(b"X-GM-EXT-1 SEARCH=FUZZY"), selected(), steps) as script:
        store = store_on(script)
        assert Capability.SIMILAR not in store.capabilities
        assert store.search("INBOX", Condition(text='plan"', subject="a", similar=True)) == ["3"]
        store.close()
        assert any(line.endswith(b'X-GM-RAW "\\"plan \\"" SUBJECT "a"\r\n') for line in script.heard)


def test_similar_words_are_asked_for_where_texts_are_meant_and_a_server_can() -> None:
    condition = Condition(text="plan", body="c", subject="a", similar=True, all_of=(Condition(text="b"),))
    told = rb'FUZZY TEXT "plan" FUZZY BODY "c" SUBJECT "a" TEXT "b"'
    for offered, keys in ((b"SEARCH=FUZZY", told), (b"", told.replace(b"FUZZY ", b""))):
        steps = ["UID SEARCH", b"* SEARCH 3\r\nTAG OK\r\n"]
        with imap(greeting(offered), selected(), steps) as script:
            store = store_on(script)
            assert (Capability.SIMILAR in store.capabilities) is bool(offered)
            assert store.search("INBOX", condition) == ["3"]
            store.close()
            assert any(line.endswith(b"UID SEARCH " + keys + b"\r\n") for line in script.heard)


def test_what_arrived_last_stands_first_whatever_its_uid() -> None:
    steps = [
        r"UID SORT \(ARRIVAL\) UTF-8 TEXT .8.", b"+ go on\r\n", "^blåbær\r\n$",
        b"* SORT 7 2\r\n* SORT 9 2 0 4 99999999999\r\nK3 OK\r\n",
    ]  # fmt: skip
    with imap(greeting(b"SORT ESEARCH"), selected(), steps) as script:
        store = store_on(script)
        assert store.search("INBOX", Condition(text="blåbær")) == ["4", "9", "2", "7"]
        store.close()


@pytest.mark.parametrize("no", [b"NO [BADCHARSET] UTF-8 is not for you", b"NO sorry", b"BAD what"])
def test_a_server_that_does_not_sort_after_all_is_asked_without(no: bytes) -> None:
    steps = ["UID SORT", b"TAG " + no + b"\r\n", 'UID SEARCH TEXT "plan"', b"* SEARCH 3 5\r\nTAG OK\r\n"]
    with imap(greeting(b"SORT"), selected(), steps) as script:
        store = store_on(script)
        assert store.search("INBOX", Condition(text="plan")) == ["5", "3"]
        store.close()


def test_a_parenthesis_stands_close_to_a_literal() -> None:
    steps = [
        r"SEARCH CHARSET UTF-8 OR \(TEXT .2.\s+$", b"+ go on\r\n",
        r'^å BODY "a"\) \(TEXT "b" BODY .2.\s+$', b"+ go on\r\n",
        r"^å\)\r\n$", b"* SEARCH\r\nK3 OK\r\n",
    ]  # fmt: skip
    one, other = Condition(text="å", body="a"), Condition(text="b", body="å")
    with imap(greeting(), selected(), steps) as script:
        store = store_on(script)
        assert store.search("INBOX", Condition(one_of=(one, other))) == []
        store.close()


@pytest.mark.parametrize("signs", [b"", b"* OK Searched 10% of the mailbox\r\n"])
def test_a_search_that_is_not_answered_in_time_ends(signs: bytes) -> None:
    with imap(greeting(), selected(), "SEARCH", signs) as script:
        store = store_on(script)
        with pytest.raises(Unreachable) as caught:
            store.search("INBOX", Condition(text="plan"), patience=0.05)
        assert caught.value.code == "TIMEOUT"
        assert not store.alive()


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "steps",
    [
        [b"* OK hello\r\n", "CAPABILITY", b"* CAPABILITY IMAP4rev1\r\nTAG OK\r\n"],
        [b"* OK hello\r\n", "CAPABILITY", b"* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK\r\n", "STARTTLS", b"TAG NO\r\n"],
        [
            b"* OK hello\r\n", "CAPABILITY", b"* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK\r\n",
            "STARTTLS", b"TAG OK begin\r\n* OK injected\r\n",
        ],
        [b"* PREAUTH hello\r\n", "CAPABILITY", b"* CAPABILITY IMAP4rev1 STARTTLS\r\nTAG OK\r\n"],
    ],
    ids=["missing", "refused", "injected", "preauth"],
)  # fmt: skip
def test_imap_without_starttls_gets_no_password(steps: list[Step]) -> None:
    with Scripted(steps) as script:
        with pytest.raises(InsecureConnection):
            IMAPStore(script.server(security=Security.STARTTLS), CREDENTIALS)
        assert not any(b"AUTH" in line or b"LOGIN" in line for line in script.heard)


@pytest.mark.parametrize("answer", [b"-ERR no\r\n", b"+OK go\r\n+OK injected\r\n"], ids=["refused", "injected"])
def test_pop3_without_stls_gets_no_password(answer: bytes) -> None:
    with Scripted([b"+OK hello\r\n", "CAPA", b"+OK\r\nSTLS\r\n.\r\n", "STLS", answer]) as script:
        with pytest.raises(InsecureConnection):
            POP3Store(script.server("pop3", Security.STARTTLS), CREDENTIALS)


@pytest.mark.parametrize(
    "answer", [b"502 no\r\n", b"454 later\r\n", b"220 go\r\n250 injected\r\n"], ids=["refused", "later", "injected"]
)
def test_smtp_without_starttls_gets_no_password(answer: bytes) -> None:
    """Not even where the server says that it will have it later (RFC 3207 §4): then it is asked later."""
    with Scripted([b"220 hello\r\n", "EHLO", b"250-me\r\n250 STARTTLS\r\n", "STARTTLS", answer, END]) as script:
        with pytest.raises(Unavailable if answer.startswith(b"4") else InsecureConnection):
            SMTPTransport(script.server("smtp", Security.STARTTLS), CREDENTIALS)


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_that_is_refused_is_an_authentication_failure(mechanism: str) -> None:
    steps: list[Step] = [
        b"* OK hello\r\n", "CAPABILITY", f"* CAPABILITY IMAP4rev1 AUTH={mechanism}\r\nTAG OK\r\n".encode(),
        f"AUTHENTICATE {mechanism}\r\n$", b"+ \r\n", "^[A-Za-z0-9+/=]+\r\n$",
        b"+ eyJzdGF0dXMiOiI0MDEifQ==\r\n", "^(AQ==)?\r\n$", b"K1 NO [AUTHENTICATIONFAILED] no\r\n",
    ]  # fmt: skip
    with Scripted(steps) as script, pytest.raises(AuthenticationFailed):
        IMAPStore(script.server(), TOKEN)


def test_the_login_command_remains_where_there_is_no_sasl() -> None:
    steps: list[Step] = [
        b"* OK hello\r\n", "CAPABILITY", b"* CAPABILITY IMAP4rev1\r\nTAG OK\r\n",
        'LOGIN "ka\\\\"ri" .9.\r\n', b"+ go on\r\n", "^blåbær!\r\n", b"K1 OK\r\n",
        "CAPABILITY", b"* CAPABILITY IMAP4rev1 IDLE\r\nTAG OK\r\n",
    ]  # fmt: skip
    with Scripted(steps) as script:
        with IMAPStore(script.server(), Credentials('ka"ri', "blåbær!")) as store:
            assert Capability.WATCH in store.capabilities


def test_a_token_is_no_password() -> None:
    with imap(greeting()[:3]) as script, pytest.raises(AuthenticationFailed):
        IMAPStore(script.server(), TOKEN)


# --- POP3 -------------------------------------------------------------------------------------------------------------

POP3_GREETING: list[Step] = [
    b"+OK hello\r\n", "CAPA", b"-ERR what\r\n", "USER kari", b"+OK\r\n", "PASS secret", b"+OK\r\n", "CAPA", b"-ERR\r\n"
]  # fmt: skip


def test_pop3_without_uidl_tells_messages_by_their_content() -> None:
    listing: list[Step] = ["LIST", b"+OK\r\n1 9\r\n2 9\r\n3 9\r\n.\r\n", "UIDL", b"-ERR no\r\n"]
    for header in (b"Subject: a", b"Subject: b", b"Subject: a"):
        listing += ["RETR", b"+OK\r\n" + header + b"\r\n\r\nbody\r\n.\r\n"]
    again = [*POP3_GREETING, *listing]
    with Scripted([*again, "QUIT", b"+OK\r\n", END], again) as script:
        store = POP3Store(script.server("pop3"), CREDENTIALS)
        first = store.changes("INBOX", None, {})
        assert len(set(first.created)) == 3
        second = store.changes("INBOX", first.state, dict.fromkeys(first.created, frozenset()))
        assert (second.created, second.destroyed) == ((), ())
        store.close()


def test_pop3_repeated_uids_are_not_believed() -> None:
    steps: list[Step] = [
        "LIST", b"+OK\r\n1 9\r\n2 9\r\n3 9\r\n.\r\n", "UIDL", b"+OK\r\n1 same\r\n2 same\r\n3 other\r\n.\r\n",
        "RETR 1", b"+OK\r\nSubject: a\r\n\r\n.\r\n", "RETR 2", b"+OK\r\nSubject: b\r\n\r\n.\r\n",
    ]  # fmt: skip
    with Scripted([*POP3_GREETING, *steps]) as script:
        store = POP3Store(script.server("pop3"), CREDENTIALS)
        created = store.changes("INBOX", None, {}).created
        assert created[0] == "other"
        assert len(set(created)) == 3
        assert "same" not in created
        store.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"-ERR [IN-USE] locked", Unavailable),
        (b"-ERR [LOGIN-DELAY] later", Unavailable),
        (b"-ERR [SYS/TEMP] later", Unavailable),
        (b"-ERR [AUTH] no", AuthenticationFailed),
        (b"-ERR no", AuthenticationFailed),
        (b"what?", ProtocolError),
    ],
)
def test_pop3_refusals_are_named(answer: bytes, error: type[MailError]) -> None:
    with Scripted([*POP3_GREETING[:-3], answer + b"\r\n"]) as script, pytest.raises(error):
        POP3Store(script.server("pop3"), CREDENTIALS)


def test_pop3_lines_without_end_are_a_protocol_error() -> None:
    with Scripted([b"+OK " + b"x" * 200_000]) as script, pytest.raises(ProtocolError):
        POP3Store(script.server("pop3"), CREDENTIALS)


# --- SMTP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [b"220-" + b"x" * 10_000 + b"\r\n", b"220-x\r\n" * 300 + b"220 x\r\n"])
def test_smtp_replies_without_end_are_a_protocol_error(answer: bytes) -> None:
    with Scripted([answer]) as script, pytest.raises(ProtocolError):
        SMTPTransport(script.server("smtp"), None)


SMTP_DATA: list[Step] = [
    b"220 hello\r\n", "EHLO", b"250 me\r\n", "MAIL", b"250 ok\r\n", "RCPT", b"250 ok\r\n", "DATA", b"354 go\r\n"
]  # fmt: skip


@pytest.mark.parametrize(
    ("end", "error"),
    [
        ([END], DeliveryUncertain),
        ([b"x" * 20_000], DeliveryUncertain),
        ([b"nonsense\r\n"], DeliveryUncertain),
        ([b"451 later\r\n"], Unavailable),
        ([b"554 never\r\n"], Refused),
    ],
)
def test_smtp_after_the_final_dot_only_an_answer_is_certain(end: list[Step], error: type[MailError]) -> None:
    body: list[Step] = ["Subject", "^\r\n", "^\\.\r\n"]
    with Scripted([*SMTP_DATA, *body, *end]) as script:
        with pytest.raises(error):
            SMTPTransport(script.server("smtp"), None).submit(
                Envelope("a@x", ("b@x",)), io.BytesIO(b"Subject: x\r\n\r\n")
            )


def test_smtp_too_busy_is_unavailable() -> None:
    with Scripted([b"421 4.7.0 busy\r\n"]) as script, pytest.raises(Unavailable) as caught:
        SMTPTransport(script.server("smtp"), None)
    assert caught.value.code == "421 4.7.0"
