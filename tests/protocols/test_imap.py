"""IMAP against real servers: what the contract does not say, because only IMAP has it."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.protocols.conftest import Account, imap_account, new_user
from tests.servers import PASSWORD, UNICODE_PASSWORD, UNICODE_USER, Dovecot
from webmail.protocols import open_store
from webmail.protocols.base import Capability, Condition, Credentials, MailStore, Security
from webmail.protocols.errors import (
    AuthenticationFailed,
    InsecureConnection,
    MailError,
    OverQuota,
    Refused,
    Unreachable,
)
from webmail.protocols.imap import IMAPStore
from webmail.protocols.imap.store import BATCH

RAW = b"Subject: x\r\n\r\nbody\r\n"


def put(store: MailStore, raw: bytes = RAW, mailbox: str = "INBOX") -> str:
    uid = store.append(mailbox, io.BytesIO(raw))
    return uid or store.newest(mailbox, 1)[0].uid  # no Message-ID to find it by


# --- connecting and signing in ---


@pytest.mark.parametrize("kind", ["full", "no-condstore", "bare"])
@pytest.mark.parametrize("security", list(Security))
def test_signing_in_takes_any_password(dovecots: Callable[[str], Dovecot], kind: str, security: Security) -> None:
    server = dovecots(kind).imap(security)
    with open_store(server, Credentials(UNICODE_USER, UNICODE_PASSWORD)) as store:
        assert store.alive()
    with pytest.raises(AuthenticationFailed) as caught:
        open_store(server, Credentials(UNICODE_USER, "wrong"))
    assert (caught.value.needs_user, caught.value.code) == (True, "AUTHENTICATIONFAILED")


def test_sasl_login_is_taken_where_plain_is_not_offered() -> None:
    with Dovecot(settings="auth_mechanisms = login") as dovecot:
        with IMAPStore(dovecot.imap(), Credentials(UNICODE_USER, UNICODE_PASSWORD)) as store:
            assert store.alive()
        with pytest.raises(AuthenticationFailed):
            IMAPStore(dovecot.imap(), Credentials("x", "token", oauth=True))


def test_a_server_that_demands_tls_is_given_it() -> None:
    with Dovecot(plaintext=False, settings="ssl = required") as dovecot:
        IMAPStore(dovecot.imap(Security.STARTTLS), Credentials("x", PASSWORD)).close()
        IMAPStore(dovecot.imap(Security.TLS), Credentials("x", PASSWORD)).close()


@pytest.mark.parametrize("security", [Security.TLS, Security.STARTTLS])
def test_tls_is_verified(dovecot: Dovecot, security: Security) -> None:
    for changes in ({"ca_file": None}, {"host": "other.example.org"}):
        with pytest.raises(InsecureConnection) as caught:
            IMAPStore(dovecot.imap(security, **changes), Credentials("x", PASSWORD))
        assert caught.value.needs_user


def test_an_expired_certificate_is_refused() -> None:
    with Dovecot(expired=True) as dovecot:
        with pytest.raises(InsecureConnection, match="expired"):
            IMAPStore(dovecot.imap(Security.TLS), Credentials("x", PASSWORD))
        IMAPStore(dovecot.imap(Security.PLAIN), Credentials("x", PASSWORD)).close()


def test_only_the_given_addresses_are_connected_to(dovecot: Dovecot) -> None:
    IMAPStore(dovecot.imap(host="name.invalid"), Credentials(new_user(), PASSWORD)).close()  # never looked up
    with pytest.raises(Unreachable):
        IMAPStore(dovecot.imap(host="name.invalid", addresses=()), Credentials("x", PASSWORD))
    with pytest.raises(ValueError):
        IMAPStore(dovecot.imap(addresses=("localhost",)), Credentials("x", PASSWORD))


@pytest.mark.parametrize("bad", ["a\r\nK9 LOGOUT", "a\n", "\0"])
def test_no_name_or_password_can_add_a_command(dovecot: Dovecot, bad: str) -> None:
    for credentials in (Credentials(bad, PASSWORD), Credentials("x", bad), Credentials("x", bad, oauth=True)):
        with pytest.raises((Refused, AuthenticationFailed)):
            IMAPStore(dovecot.imap(), credentials)


def test_a_server_that_goes_away_and_comes_back() -> None:
    with Dovecot() as dovecot:
        store = IMAPStore(dovecot.imap(), Credentials("x", PASSWORD))
        put(store)
        dovecot.stop()
        with pytest.raises(Unreachable) as caught:
            store.newest("INBOX", 1)
        assert caught.value.connection_lost
        assert not store.alive()
        store.close()
        with pytest.raises(Unreachable):
            IMAPStore(dovecot.imap(), Credentials("x", PASSWORD))
        dovecot.start()
        with IMAPStore(dovecot.imap(), Credentials("x", PASSWORD)) as store:
            assert len(store.newest("INBOX", 5)) == 1


# --- mailboxes ---


@pytest.fixture(scope="module")
def inbox_dot() -> Iterator[Dovecot]:
    """As Courier and cPanel do it: everything under ``INBOX.``, and no word about roles."""
    names = {"Sendt": "", "Kladder": "", "Papirkurv": "", "Spam": "", "Arkiv": "", "Sent": ""}
    with Dovecot(prefix="INBOX.", delimiter=".", special_use=False, mailboxes=names, storage="maildir") as dovecot:
        yield dovecot


def test_roles_are_found_by_name_under_the_inbox(inbox_dot: Dovecot) -> None:
    with IMAPStore(inbox_dot.imap(), Credentials(new_user(), PASSWORD)) as store:
        roles = {box.role: box.name for box in store.mailboxes() if box.role}
        assert roles == {
            "inbox": "INBOX",
            "sent": "INBOX.Sent",
            "drafts": "INBOX.Kladder",
            "trash": "INBOX.Papirkurv",
            "junk": "INBOX.Spam",
            "archive": "INBOX.Arkiv",
        }
        assert {box.delimiter for box in store.mailboxes()} == {"."}


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=25
) | st.sampled_from(
    ['"', "\\", 'a"b\\c', "*", "%", "a*%", ".", "..hidden", "~", "~x", "&", "&-", "R&D", "&AGE-", " ", " x ", "{3}",
     "(", "blåbær", "日本", "😀", "a&b😀", "INBOX2", "NIL", "nil", "123", "[Gmail]", "\\Seen", "$x",
     "a.b", "\ue000", "\u00a0"]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(name=NAMES)
def test_a_mailbox_may_have_any_name(imap: Account, name: str) -> None:
    store = imap._stores[0] if imap._stores else imap.open()
    try:
        store.create_mailbox(name)
    except Refused:  # Dovecot's own rules, such as none beginning with "~"
        assert store.alive()
        return
    names = {box.name for box in store.mailboxes()}
    assert name in names
    put(store, RAW, name)
    assert len(store.newest(name, 5)) == 1
    store.subscribe(name, True)
    assert {box.name: box.subscribed for box in store.mailboxes()}[name]
    store.destroy_mailbox(name)
    assert name not in {box.name for box in store.mailboxes()}


ANYTHING = st.text(max_size=40) | st.text(st.sampled_from('\r\n\0 "\\{}()*%&-~+aå日'), max_size=12)


class _Recorder:
    """What goes out on the wire, command by command."""

    def __init__(self, store: IMAPStore) -> None:
        self.sent: list[bytes] = []
        connection = store._client._imap
        original = connection.send

        def send(data: bytes) -> None:
            self.sent.append(data)
            original(data)

        connection.send = send  # type: ignore[method-assign]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(text=ANYTHING, call=st.integers(0, 9))
def test_no_argument_can_break_out_of_its_command(imap: Account, text: str, call: int) -> None:
    store = imap._stores[0] if imap._stores else imap.open()
    assert isinstance(store, IMAPStore)
    calls: list[Callable[[], object]] = [
        lambda: store.newest(text, 1),
        lambda: store.create_mailbox("x/" + text),
        lambda: store.rename_mailbox("nowhere", text),
        lambda: store.subscribe(text, True),
        lambda: store.search("INBOX", Condition(text=text, subject=text, from_=text)),
        lambda: store.search("INBOX", Condition(message_id=text, has_keyword=text)),
        lambda: store.set_keywords("INBOX", ["1"], add=[text]),
        lambda: store.copy("INBOX", ["1"], text),
        lambda: list(store.body("INBOX", "1", text or "x")),
        lambda: store.append(text, io.BytesIO(RAW), [text]),
    ]
    recorder = _Recorder(store)
    with contextlib.suppress(MailError):
        calls[call]()
    del store._client._imap.send  # type: ignore[attr-defined]
    for data in recorder.sent:
        lines = data.split(b"\r\n")
        if data.startswith(b"K"):
            assert len(lines) == 2
            assert not any(octet in lines[0] for octet in b"\r\n\0")
            assert len(data) <= 8200
    assert store.alive()


# --- messages ---


@pytest.mark.parametrize("kind", ["full", "bare"])
def test_destroying_spares_what_others_marked_deleted(dovecots: Callable[[str], Dovecot], kind: str) -> None:
    account = imap_account(dovecots(kind), kind)
    store = account.open()
    assert isinstance(store, IMAPStore)
    uids = [put(store) for _ in range(4)]
    store.select("INBOX")
    store._store([int(uids[0]), int(uids[1])], b"+", b"\\Deleted")
    store.destroy("INBOX", [uids[1], uids[2]])
    store.move("INBOX", [uids[3]], "Trash")
    assert store.changes("INBOX", None, {}).created == (uids[0],)
    assert store.search_uids(b"DELETED") == {int(uids[0])}
    account.close()


def test_more_messages_than_a_batch_and_more_uids_than_a_line(dovecots: Callable[[str], Dovecot]) -> None:
    account = imap_account(dovecots("full"))
    store = account.open()
    first = put(store)
    count = 2 * BATCH + 7
    doubled = [first]
    while len(doubled) < count:
        store.copy("INBOX", doubled, "INBOX")
        doubled = list(reversed(store.changes("INBOX", None, {}).created))
    every_other = [str(uid) for uid in range(1, 9000, 2)]  # mostly not there; a set of 24 kB
    found = [m.uid for m in store.messages("INBOX", every_other)]
    assert found == [uid for uid in doubled if int(uid) % 2]
    store.set_keywords("INBOX", every_other, add=["$seen"])
    changes = store.changes("INBOX", None, dict.fromkeys(doubled, frozenset()))
    assert changes.updated.keys() == set(found)
    store.destroy("INBOX", every_other)
    assert len(store.changes("INBOX", None, {}).created) == len(doubled) - len(found)
    account.close()


def test_a_header_of_any_length_comes_in_bounds(imap: Account) -> None:
    store = imap.open()
    header = b"Subject: x\r\nTo: " + b",\r\n ".join(b"user%d@example.org" % n for n in range(40_000)) + b"\r\n\r\n"
    uid = put(store, header + b"body\r\n")
    (found,) = store.messages("INBOX", [uid])
    assert 60_000 < len(found.header) < 70_000
    assert found.header.endswith(b".org,\r\n\r\n")


def test_a_message_nested_without_end_still_has_a_list_entry(imap: Account) -> None:
    store = imap.open()
    raw = b"Subject: nested\r\n"
    for level in range(150):
        raw += b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
    uid = put(store, raw + b"\r\nend\r\n")
    (found,) = store.messages("INBOX", [uid])
    assert b"nested" in found.header


def test_parts_that_are_no_parts_are_refused_or_empty(imap: Account) -> None:
    store = imap.open()
    uid = put(store)
    for part in ("0", "1.", "] NOOP", "HEADER.FIELDS (X)", ""):
        if part:
            with pytest.raises(Refused):
                store.body("INBOX", uid, part)
    assert b"".join(store.body("INBOX", uid, "2")) == b""  # Dovecot's way of saying that there is none
    assert b"".join(store.body("INBOX", uid, "HEADER")) == b"Subject: x\r\n\r\n"


def test_an_account_that_is_full_says_so_and_tells_its_quota() -> None:
    with Dovecot(quota=200_000) as dovecot:
        with IMAPStore(dovecot.imap(), Credentials("x", PASSWORD)) as store:
            assert Capability.QUOTA in store.capabilities
            put(store, RAW + b"x" * 50_000 + b"\r\n")
            quota = store.quota()
            assert quota
            assert quota.limit == 196 * 1024
            assert 48_000 < quota.used < 60_000
            with pytest.raises(OverQuota):
                put(store, RAW + b"x" * 300_000 + b"\r\n")
            assert store.alive()
            assert len(store.newest("INBOX", 5)) == 1


def test_similar_words_are_asked_for_in_syntax_that_a_real_server_understands() -> None:
    """Without an index that knows better it finds what is there."""
    with (
        Dovecot(capabilities="+SEARCH=FUZZY") as dovecot,
        IMAPStore(dovecot.imap(), Credentials("fuzzy", PASSWORD)) as store,
    ):
        one, other = put(store, "Subject: x\r\n\r\nblåbær plan\r\n".encode()), put(store)
        assert Capability.SIMILAR in store.capabilities
        berries, plan = Condition(text="blåbær", similar=True), Condition(body="plan", similar=True)
        assert store.search("INBOX", berries) == [one]
        assert store.search("INBOX", Condition(all_of=(berries, plan))) == [one]
        assert store.search("INBOX", Condition(one_of=(Condition(all_of=(plan, berries)), berries))) == [one]
        assert store.search("INBOX", Condition(text="body", similar=True, none_of=(plan,))) == [other]
        assert store.search("INBOX", Condition(text="mangler", similar=True)) == []
