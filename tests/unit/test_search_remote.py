"""What servers are asked is at least what is meant, and no syntax of the person's making."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import BytesIO
from zoneinfo import ZoneInfo

from hypothesis import example, given
from hypothesis import strategies as st

from webmail.protocols.base import Condition
from webmail.protocols.imap.client import Literal
from webmail.protocols.imap.criteria import Able, search_arguments
from webmail.protocols.memory import MemoryServer, MemoryStore
from webmail.search import parse, remote
from webmail.search.language import And, Has, In, Is, Node, Not, Or, Received, Size, Words
from webmail.search.words import fold, holds, terms, wanted

TODAY = date(2026, 11, 24)
WORDS = ["plan", "planer", "møte", "Budsjett", "ting", "møteplan", "東京都", "a", "http"]
ALL = Condition()


@dataclass(frozen=True)
class Mail:
    subject: str
    sender: str
    to: str
    cc: str
    text: str
    keywords: frozenset[str]
    received_at: datetime

    @property
    def raw(self) -> bytes:
        head = f"Subject: {self.subject}\r\nFrom: {self.sender}\r\nTo: {self.to}\r\nCc: {self.cc}\r\n"
        return f"{head}\r\n{self.text}\r\n".encode()

    def fields(self, name: str) -> list[str]:
        all_ = {"subject": self.subject, "from": self.sender, "to": self.to, "cc": self.cc, "body": self.text}
        return [text for field, text in all_.items() if name in ("", field)]


texts = st.lists(st.sampled_from(WORDS), max_size=5).map(" ".join)
mails = st.builds(
    Mail,
    texts, texts, texts, texts, texts,
    st.frozensets(st.sampled_from(["$seen", "$flagged"])),
    st.datetimes(datetime(2026, 11, 20), datetime(2026, 11, 26), timezones=st.just(UTC)),
)  # fmt: skip
words = st.builds(
    Words,
    text=st.lists(st.sampled_from([*WORDS, "pla"]), min_size=1, max_size=2).map(" ".join),
    field=st.sampled_from(["", "", "body", "subject", "from", "to", "cc"]),
    prefix=st.booleans(),
)
days = st.dates(date(2026, 11, 19), date(2026, 11, 27)) | st.none()
leaves = st.one_of(
    words, words, words,
    st.builds(Is, st.sampled_from(["unread", "read", "starred"])),
    st.builds(Size, st.just(100), st.none()),
    st.builds(Received, days, days),
    st.just(In("inbox")),
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda some: And(tuple(some))),
        st.lists(inner, min_size=2, max_size=3).map(lambda some: Or(tuple(some))),
    ),
    max_leaves=6,
)


def fulfils(node: Node, mail: Mail, excluded: bool = False) -> bool:
    """As search means it, but that what is excluded is excluded by its letters; ``excluded`` nodes are to be false."""
    match node:
        case Not():
            return fulfils(node.child, mail, not excluded)
        case And() | Or():
            together = all if isinstance(node, And) is not excluded else any
            return together(fulfils(child, mail, excluded) for child in node.children)
        case Words():
            sequence = wanted(node.text)
            goes_on = node.prefix and len(sequence[-1]) >= 3
            found = any(holds(terms(text), sequence, goes_on) for text in mail.fields(node.field))
            if excluded and node.field in ("", "body"):
                found |= len(node.text.split()) == 1 and fold(node.text) in fold(mail.text)
            return found is not excluded
        case Is():
            flag = "$flagged" if node.what == "starred" else "$seen"
            return ((flag in mail.keywords) is not (node.what == "unread")) is not excluded
        case Size():
            return (len(mail.raw) > (node.over or 0)) is not excluded
        case Received():
            day = mail.received_at.date()
            return (
                (node.since is None or day >= node.since) and (node.before is None or day < node.before)
            ) is not excluded
        case _:
            return not excluded


SUBJECT_ALONE = Mail("møte", "", "", "", "", frozenset(), datetime(2026, 11, 20, tzinfo=UTC))


@given(st.lists(mails, min_size=1, max_size=6), trees)
@example([SUBJECT_ALONE], Words("møte", "subject"))
def test_what_is_meant_is_among_what_a_server_is_asked_for(some: list[Mail], tree: Node) -> None:
    server = MemoryServer()
    store = MemoryStore(server)
    uids = [store.append("INBOX", BytesIO(mail.raw), mail.keywords, mail.received_at) for mail in some]
    answer = store.search("INBOX", remote.asked(tree, UTC) or ALL)
    for uid, mail in zip(uids, some, strict=True):
        if fulfils(tree, mail):
            assert uid in answer


@given(st.lists(mails, min_size=1, max_size=6), trees)
def test_the_plainest_question_asks_for_no_less(some: list[Mail], tree: Node) -> None:
    store = MemoryStore(MemoryServer())
    uids = [store.append("INBOX", BytesIO(mail.raw), mail.keywords, mail.received_at) for mail in some]
    answer = store.search("INBOX", remote.plainest(tree) or ALL)
    assert {uid for uid, mail in zip(uids, some, strict=True) if fulfils(tree, mail)} <= set(answer)


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from('a"\\*%(){}[]\r\n\0 UID STORE or -body: å'), max_size=60).map("".join)
)
def test_nothing_that_is_typed_becomes_syntax(text: str) -> None:
    tree = parse(text, TODAY).tree
    condition = (remote.asked(tree, UTC, similar=True) if tree else None) or ALL
    for able in (Able(), Able(gmail=True), Able(similar=True, now=datetime(2026, 11, 24, tzinfo=UTC))):
        for part in search_arguments(condition, able):
            if isinstance(part, bytes) and part.lstrip(b"(").startswith(b'"'):
                inside = part.strip(b"()")[1:-1]
                assert re.fullmatch(rb'(\\")?\w*(\\")?', inside)
            elif isinstance(part, bytes):
                assert re.fullmatch(rb"[(]*[A-Z0-9 -]+(\d{1,2}-[A-Z][a-z]{2}-\d{4}| \$?[A-Za-z]+)?[)]*", part)
            else:
                assert isinstance(part, Literal)


def asked(text: str) -> Condition | None:
    tree = parse(text, TODAY).tree
    assert tree
    return remote.asked(tree, ZoneInfo("Europe/Oslo"))


def test_words_are_asked_for_one_by_one_as_typed_and_without_accents() -> None:
    variants = Condition(one_of=(Condition(text="Søppel"), Condition(text="soppel")))
    assert asked('"Søppel kasse"') == Condition(all_of=(variants, Condition(text="kasse")))


def test_what_is_too_short_or_told_here_alone_is_not_asked() -> None:
    assert asked("a") is None
    assert asked("has:pdf in:inbox") is None
    assert asked("plan or has:pdf") is None
    assert asked("plan has:pdf a") == Condition(text="plan")
    assert asked("has:link") == Condition(body="http")


def test_what_is_excluded_is_excluded_by_its_letters_in_the_text() -> None:
    assert asked("plan -betalt") == Condition(
        all_of=(Condition(text="plan"), Condition(none_of=(Condition(body="betalt"),)))
    )
    assert asked('plan -"betalt faktura"') == Condition(text="plan")
    assert asked("plan -subject:betalt") == Condition(text="plan")


def test_days_are_those_of_the_person() -> None:
    day = Condition(after=datetime(2026, 11, 9, 23, tzinfo=UTC), before=datetime(2026, 11, 10, 23, tzinfo=UTC))
    assert asked("on:2026-11-10") == day
    assert asked("-on:2026-11-10") == Condition(none_of=(day,))


def test_only_words_of_texts_that_are_meant_may_be_similar() -> None:
    tree = parse("plan subject:møte has:link -betalt", TODAY).tree
    assert tree
    assert remote.asked(tree, UTC, similar=True) == Condition(
        all_of=(
            Condition(text="plan", similar=True),
            Condition(one_of=(Condition(subject="møte"), Condition(subject="mote"))),
            Condition(body="http"),
            Condition(none_of=(Condition(body="betalt"),)),
        )
    )


def test_what_is_told_here_leaves_texts_aside() -> None:
    pdf, plan, paid = Has("pdf"), Words("plan"), Words("betalt")
    assert remote.told_here(plan) is None
    assert remote.told_here(And((plan, pdf))) == pdf
    assert remote.told_here(Or((plan, pdf))) is None
    assert remote.told_here(And((plan, Not(paid)))) == Not(paid)
    assert remote.told_here(Not(Or((paid, pdf)))) == And((Not(paid), Not(pdf)))
    assert remote.told_here(Words("plan", "subject")) == Words("plan", "subject")


def test_only_what_asks_for_text_needs_it() -> None:
    assert remote.asks_for_text(And((Words("plan"), Has("pdf"))))
    assert not remote.asks_for_text(Not(Words("plan")))
    assert not remote.asks_for_text(Words("plan", "subject"))
    assert remote.left_to_texts(Or((Words("plan"), Has("pdf")))) == Words("plan")
