"""What is found is what is meant: random mailboxes and expressions, beside a look at every message."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Account, User
from tests.search import naive
from webmail.models import Cursor, Mailbox, Message, MessageBody, Thread
from webmail.search import documents, finding
from webmail.search.finding import Finder
from webmail.search.index import index
from webmail.search.language import (
    And,
    Has,
    In,
    Is,
    Keyword,
    Node,
    Not,
    OfAccount,
    Or,
    Received,
    Size,
    Words,
    parse,
)
from webmail.search.results import Place, Results, tiers

pytestmark = pytest.mark.django_db

WORDS = [
    "søppel",
    "soppel",
    "Møte",
    "mote",
    "plan",
    "planer",
    "planlegge",
    "東京",
    "東京都",
    "都",
    "กรุงเทพ",
    "x",
    "ß",
    "fotball",
    "fot",
]
PEOPLE = [["Ola Nordmann", "ola@example.org"], ["Kari Berg", "kari@firma.test"], ["", "plan@x.test"]]
NAMES = ["plan.pdf", "Møte 2026.docx", "bilde.jpg", "invite.ics"]
FOLDERS = ["inbox", "Work", "trash", "archive", "bin"]
OWN = ("Work", "bin")  # have no role, though one may call a folder with one so
DAYS = [date(2024, 1, 31), date(2024, 2, 1), date(2025, 6, 15), date(2026, 11, 1)]


def text_of(chance: random.Random, most: int) -> str:
    return chance.choice([" ", ", ", "\n", ". "]).join(chance.choices(WORDS, k=chance.randint(0, most)))


def structure_of(chance: random.Random) -> dict[str, object] | None:
    names = chance.sample(NAMES, chance.choice([0, 0, 0, 1, 2]))
    if not names:
        return {"part_id": "1", "type": "text/plain"}
    files = [
        {"part_id": str(at), "type": "application/octet-stream", "name": name, "disposition": "attachment"}
        for at, name in enumerate(names, 2)
    ]
    return {"part_id": "", "type": "multipart/mixed", "children": [{"part_id": "1", "type": "text/plain"}, *files]}


def fill(seed: int, number: int = 60) -> User:
    """A person with two accounts, and another whose mail is never to be found."""
    chance = random.Random(seed)
    for handle in ("kari", "other"):
        user = User.objects.create(handle=f"{handle}{seed}")
        accounts = [
            Account.objects.create(user=user, address=f"{handle}{seed}@{domain}", username="x", incoming="imap://localhost:1", outgoing="smtp://localhost:1")
            for domain in ("one.test", "two.test")
        ]  # fmt: skip
        for account in accounts:
            boxes = [
                Mailbox.objects.create(account=account, name=name, remote_name=name, role="" if name in OWN else name, complete=True)
                for name in FOLDERS
            ]  # fmt: skip
            threads = [Thread.objects.create(account=account, muted=bool(n)) for n in range(2)]
            for at in range(number // 2):
                add(chance, account, boxes, threads, at)
            while documents.catch_up(account):
                pass
    return User.objects.get(handle=f"kari{seed}")


def add(chance: random.Random, account: Account, boxes: list[Mailbox], threads: list[Thread], at: int) -> None:
    name, email = chance.choice(PEOPLE)
    day = chance.choice(DAYS) - timedelta(days=chance.randint(0, 3))
    structure = structure_of(chance)
    message = Message.objects.create(
        account=account, mailbox=chance.choice(boxes), remote_mailbox=boxes[0], uid=str(at), thread=chance.choice(threads),
        subject=text_of(chance, 4), from_name=name, from_email=email,
        addresses={"to": [chance.choice(PEOPLE)], "cc": [chance.choice(PEOPLE)] * chance.randint(0, 1)},
        fields={"list-id": ["Plan <plan.list.test>"]} if chance.random() < 0.2 else {},
        received_at=datetime(day.year, day.month, day.day, chance.choice([0, 12, 23]), 30, tzinfo=UTC),
        size=chance.choice([500, 5_000, 5_000_000]), structure=structure, has_attachment=bool(structure and "children" in structure),
        seen=chance.random() < 0.5, flagged=chance.random() < 0.2, answered=chance.random() < 0.3,
        labels=["work"] if chance.random() < 0.3 else [],
    )  # fmt: skip
    if chance.random() < 0.8:
        MessageBody.objects.create(
            message=message, text=text_of(chance, 12) + chance.choice(["", " https://example.org"])
        )


words = st.builds(
    Words,
    text=st.lists(st.sampled_from([*WORDS, "ola@example.org", "2026", "pla", "-"]), min_size=1, max_size=3).map(
        " ".join
    ),
    field=st.sampled_from(["", "", "", "subject", "from", "to", "cc", "body", "filename", "list"]),
    prefix=st.booleans(),
)
leaves = st.one_of(
    words, words, words,
    st.builds(Is, st.sampled_from(["unread", "read", "starred", "answered", "muted", "draft"])),
    st.builds(Has, st.sampled_from(["attachment", "picture", "pdf", "invitation", "link"])),
    st.builds(In, st.sampled_from([*FOLDERS, "anywhere", "nowhere"])),
    st.just(In("trash", "bin")),
    st.builds(OfAccount, st.sampled_from(["one", "two.test", "other"])),
    st.builds(Received, st.sampled_from([None, *DAYS]), st.sampled_from([None, *DAYS])),
    st.builds(Size, st.sampled_from([None, 499, 4_999, 1_000_000]), st.sampled_from([None, 501, 5_001])),
    st.builds(Keyword, st.sampled_from(["work", "none"])),
)  # fmt: skip


def several(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[tuple[Node, ...]]:
    return st.lists(inner, min_size=2, max_size=3).map(tuple)


def joined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.one_of(*[st.builds(And, several(inner))] * 2, st.builds(Or, several(inner)), st.builds(Not, inner))


trees: st.SearchStrategy[Node] = st.recursive(leaves, joined, max_leaves=6)


SMALL = {"FIRST_LOOK": 3, "CHUNK": 2, "FEW": 5, "MEMBERS": 3}


@pytest.fixture(params=[{}, SMALL, {**SMALL, "LARGE": 4}], ids=["whole", "in pieces", "large months"])
def small(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a mailbox of sixty messages is a large one, looked through piece by piece, and its months are large ones."""
    for name, value in request.param.items():
        monkeypatch.setattr(finding, name, value)


def test_any_expression_finds_what_it_means_page_by_page(small: None) -> None:
    user = fill(1)

    @settings(max_examples=60)
    @given(trees, st.integers(1, 40))
    def check(tree: Node, size: int) -> None:
        meant = naive.find(user, tree)
        assert [one.pk for one in Finder(user, tree).each()] == meant
        assert paged(user, tree, size) == meant

    check()


def paged(user: User, tree: Node, size: int, best: bool = False, threaded: bool = False) -> list[int]:
    """All pages, each asked for as if there had been no other."""
    found: list[int] = []
    place: Place | None = Place()
    while place is not None:
        page = Results(user, tree, best, threaded).page(Place.parse(str(place)), size)
        found += page.ids
        place = page.place
    return found


def test_the_best_come_first_and_conversations_once_page_by_page(small: None) -> None:
    user = fill(3)

    @settings(max_examples=40)
    @given(trees, st.sampled_from([1, 4, 40]), st.booleans(), st.booleans())
    def check(tree: Node, size: int, best: bool, threaded: bool) -> None:
        meant = list(
            itertools.chain.from_iterable(naive.find(user, tier) for tier in (tiers(tree) if best else [tree]))
        )
        assert sorted(meant) == sorted(naive.find(user, tree))
        if threaded:
            meant = naive.first_of_each_conversation(meant)
        assert paged(user, tree, size, best, threaded) == meant
        if meant:
            results, middle = Results(user, tree, best, threaded), len(meant) // 2
            message = Message.objects.get(pk=meant[middle])
            beside = results.beside(Cursor(message.received_at, message.pk))
            assert beside == (meant[middle - 1] if middle else None, (meant[middle + 1 :] or [None])[0])

    check()


def test_words_in_subjects_and_senders_come_before_words_in_texts(db: None) -> None:
    user = fill(4, 0)
    account = Account.objects.filter(user=user).first()
    box = Mailbox.objects.get(account=account, role="inbox")
    rows = [
        ("Bilder", "Ola", "Om møtet på tirsdag."),
        ("Møtet", "Ola", "Kom!"),
        ("Møtet på tirsdag", "Kari", "Kom!"),
        ("Tirsdag", "Møtet", ""),
    ]
    for at, (subject, name, text) in enumerate(rows):
        message = Message.objects.create(
            account=account, mailbox=box, uid=str(at), subject=subject, from_name=name, from_email="x@example.org",
            received_at=datetime(2026, 1, 20 - at, tzinfo=UTC),
        )  # fmt: skip
        MessageBody.objects.create(message=message, text=text + " tirsdag")
    documents.catch_up(account)
    tree = parse("møtet tirsdag", date(2026, 1, 21)).tree
    found = Message.objects.in_bulk(Results(user, tree, best=True).page(Place(), 10).ids)
    order = Results(user, tree, best=True).page(Place(), 10).ids
    assert [found[pk].subject for pk in order] == ["Møtet på tirsdag", "Tirsdag", "Møtet", "Bilder"]


def test_a_month_of_very_many_messages_is_looked_through_in_bounded_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    user = fill(5, 0)
    box = Mailbox.objects.filter(account__user=user, role="inbox").earliest("pk")
    minutes = random.Random(1).sample(range(40_000), 400)  # in no order, as an import may bring them
    Message.objects.bulk_create(
        Message(
            account_id=box.account_id, mailbox=box, uid=str(n), subject="plan", seen=n % 2 == 0,
            received_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=n),
        )
        for n in minutes
    )  # fmt: skip
    documents.catch_up(box.account, 401)
    trees = [parse(text, date(2026, 2, 1)).tree for text in ("plan", "plan is:unread", "plan before:2026-01-20")]
    meant = [naive.find(user, tree) for tree in trees if tree]
    for name, value in {**SMALL, "FEW": 0, "LARGE": 4}.items():
        monkeypatch.setattr(finding, name, value)
    looked_at: list[int] = []  # documents or messages, each time

    def noting(look: Callable[..., Sequence[object]]) -> Callable[..., Sequence[object]]:
        def noted(*asked: object) -> Sequence[object]:
            found = look(*asked)
            looked_at.append(len(found))
            return found

        return noted

    monkeypatch.setattr(finding, "_candidates_of", noting(finding._candidates_of))
    monkeypatch.setattr(type(index()), "match", noting(type(index()).match))
    assert [[one.pk for one in Finder(user, tree).each()] for tree in trees] == meant
    assert max(looked_at) <= 4 * SMALL["FIRST_LOOK"] + 1
