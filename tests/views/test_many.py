"""One action on everything in a list: the first messages at once, the rest in bounded steps, all taken back together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.letters import letter
from tests.views.conftest import Person, work_off
from webmail import operations, search, selection
from webmail.models import Mailbox, Message, Operation, OperationState
from webmail.selection import Selection

SIZE = 1234  # messages: more than two batches


@pytest.fixture
def crowded(new_person: Callable[[str], Person]) -> Person:
    """Somebody with a folder of SIZE messages, half of them unread, that no server knows of."""
    return crowd(new_person("crowd"), SIZE, timezone.now())


def crowd(person: Person, size: int, newest: datetime) -> Person:
    inbox = inbox_of(person)
    Message.objects.bulk_create(
        Message(
            account=person.account, mailbox=inbox, subject=f"Number {n}", seen=bool(n % 2),
            received_at=newest - timedelta(minutes=n), message_id=f"{n}@crowd",
        )
        for n in range(size)
    )  # fmt: skip
    inbox.recount()
    return person


def inbox_of(person: Person) -> Mailbox:
    return Mailbox.objects.get(account=person.account, role="inbox")


def spread(person: Person) -> int:
    """What the worker does; how many steps it took."""
    steps = 0
    for pk in operations.unspread():
        while operations.spread(pk):
            steps += 1
    return steps


def undo(person: Person, batch: object) -> str:
    answer = person.client.post(f"/operations/{batch}/undo/", {"next": "/"}, follow=True)
    spread(person)
    return answer.content.decode()


def test_everything_in_a_folder_is_marked_read_and_that_is_taken_back(crowded: Person) -> None:
    folder = inbox_of(crowded)
    page = crowded.post("/messages/keywords/?set=read", {"all": f"folder-{folder.pk}", "next": "/"}, follow=True)
    assert "Marked 500 messages read. The rest follows." in page.content.decode()
    assert Message.objects.filter(mailbox=folder, seen=False).count() > 0, "done at once, however many they are"
    assert spread(crowded) >= 1
    assert not Message.objects.filter(mailbox=folder, seen=False).exists()
    folder.refresh_from_db()
    assert folder.unread == 0
    many = Operation.objects.get(kind="many")
    assert (many.state, many.done, many.total) == (OperationState.DONE, SIZE, SIZE)
    assert Operation.objects.filter(batch=many.batch).count() == 4
    assert "Undone." in undo(crowded, many.batch)
    folder.refresh_from_db()
    assert folder.unread == Message.objects.filter(mailbox=folder, seen=False).count() == SIZE // 2


def test_what_arrived_after_the_page_was_made_is_not_touched(crowded: Person) -> None:
    page = crowded.get("/").content.decode()
    until = page.partition('name="until" value="')[2].partition('"')[0]
    assert until
    late = Message.objects.create(
        account=crowded.account, mailbox=inbox_of(crowded), subject="Late", received_at=timezone.now()
    )
    crowded.post("/messages/mailbox/?role=archive", {"all": "inbox", "until": until, "next": "/"})
    spread(crowded)
    assert list(Message.objects.filter(mailbox=inbox_of(crowded))) == [late]


def test_what_the_person_does_to_one_meanwhile_outweighs_what_is_being_done_to_all(crowded: Person) -> None:
    folder = inbox_of(crowded)
    oldest = Message.objects.filter(mailbox=folder).order_by("received_at").first()
    assert oldest is not None
    crowded.post("/messages/keywords/?set=star", {"all": f"folder-{folder.pk}", "next": "/"})
    crowded.post("/messages/keywords/?set=unstar", {"id": oldest.pk, "next": "/"})
    spread(crowded)
    oldest.refresh_from_db()
    assert not oldest.flagged
    assert Message.objects.filter(mailbox=folder, flagged=True).count() == SIZE - 1


def test_undo_in_the_middle_stops_the_rest(crowded: Person) -> None:
    folder = inbox_of(crowded)
    crowded.post("/messages/mailbox/?role=trash", {"all": f"folder-{folder.pk}", "next": "/"})
    many = Operation.objects.get(kind="many")
    undo(crowded, many.batch)
    assert spread(crowded) == 0
    folder.refresh_from_db()
    assert folder.total == Message.objects.filter(mailbox=folder).count() == SIZE


def test_two_workers_that_spread_the_same_do_it_once(crowded: Person) -> None:
    crowded.post("/messages/keywords/?set=star", {"all": "inbox", "next": "/"})
    many = Operation.objects.get(kind="many")
    stale = Operation.objects.select_related("account").get(pk=many.pk)
    assert operations.spread(many.account_id)
    from webmail.operations import many as module

    module._step(stale)  # somebody went on from there already
    spread(crowded)
    ids = [pk for op in Operation.objects.filter(kind="keywords") for pk in op.payload["changes"][0]["ids"]]
    assert len(ids) == len(set(ids)) == SIZE


def test_all_results_of_a_search_are_archived(crowded: Person) -> None:
    search.catch_up(crowded.account, SIZE)
    crowded.post("/messages/mailbox/?role=archive", {"all": "search", "q": "Number is:unread -112*", "next": "/"})
    spread(crowded)
    archive = Mailbox.objects.get(account=crowded.account, role="archive")
    archived = set(Message.objects.filter(mailbox=archive).values_list("subject", flat=True))
    assert archived == {f"Number {n}" for n in range(0, SIZE, 2) if not str(n).startswith("112")}


def test_a_click_looks_at_as_much_however_many_are_found(new_person: Callable[[str], Person]) -> None:
    """And the rest is counted by the worker, sooner than it is done."""
    asked = []
    for name, size in (("warm", SIZE), ("crowd", SIZE), ("throng", 3 * SIZE)):  # the first click of a process asks more
        person = crowd(new_person(name), size, datetime(2026, 11, 20, tzinfo=UTC))
        search.catch_up(person.account, size)
        with CaptureQueriesContext(connection) as queries:
            person.post("/messages/keywords/?set=star", {"all": "search", "q": "number", "next": "/"})
        asked.append(len(queries))
        many = Operation.objects.get(account=person.account, kind="many")
        assert (many.done, many.total) == (500, 0)
        assert operations.spread(person.account.pk)
        many.refresh_from_db()
        assert (many.done, many.total) == (1000, size)
    assert asked[1] == asked[2]


@pytest.fixture
def hard_to_find(crowded: Person, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is posted to act on the one message in which words that all have stand the other way round."""
    Message.objects.filter(subject="Number 1211").update(subject="1211 Number")
    Message.objects.exclude(subject="1211 Number").update(subject="Number 1211")
    search.catch_up(crowded.account, SIZE)
    monkeypatch.setattr(selection, "PATIENCE", 0)  # seconds: one step of the search
    return {"all": "search", "q": '"1211 number"', "next": "/"}


def test_what_is_hard_to_find_is_looked_for_behind_the_click(crowded: Person, hard_to_find: dict[str, str]) -> None:
    page = crowded.post("/messages/mailbox/?role=archive", hard_to_find, follow=True).content.decode()
    assert "Archived 0 messages. The rest follows." in page
    many = Operation.objects.get(kind="many")
    assert "0 done so far" in crowded.get("/operations/").content.decode()
    assert spread(crowded) > 1
    archive = Mailbox.objects.get(account=crowded.account, role="archive")
    assert Message.objects.get(mailbox=archive).subject == "1211 Number"
    many.refresh_from_db()
    assert (many.state, many.done, many.total) == (OperationState.DONE, 1, 1)
    assert "Undone." in undo(crowded, many.batch)
    assert not Message.objects.filter(mailbox=archive).exists()


def test_what_is_still_being_looked_for_can_be_called_off(crowded: Person, hard_to_find: dict[str, str]) -> None:
    crowded.post("/messages/keywords/?set=star", hard_to_find)
    assert "Undone." in undo(crowded, Operation.objects.get(kind="many").batch)
    assert not Message.objects.filter(flagged=True).exists()


def test_where_nothing_is_searched_for_an_action_on_all_of_it_reaches_nothing(crowded: Person) -> None:
    page = crowded.get("/search/?q=&after=0-0").content.decode()
    assert 'name="all"' not in page
    for typed in ({}, {"q": ""}, {"q": "\0"}, {"q": "( )"}):
        crowded.post("/messages/keywords/?set=star", {"all": "search", "next": "/", **typed})
        spread(crowded)
        assert not Message.objects.filter(flagged=True).exists()


def test_the_days_of_a_search_are_those_of_the_person_and_of_the_moment_it_was_acted_on(
    crowded: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has no time zone, and goes on after midnight."""
    crowded.user.time_zone = "Pacific/Kiritimati"  # 14 hours before Greenwich
    crowded.user.save()
    midnight = datetime(2026, 11, 24, tzinfo=ZoneInfo("Pacific/Kiritimati"))
    now = midnight + timedelta(hours=23, minutes=50)
    Message.objects.update(received_at=midnight - timedelta(minutes=1))
    meant = list(Message.objects.order_by("pk").values_list("pk", flat=True)[: SIZE - 5])
    Message.objects.filter(pk__in=meant).update(received_at=midnight + timedelta(minutes=1))
    search.catch_up(crowded.account, SIZE)
    monkeypatch.setattr(timezone, "now", lambda: now)
    crowded.post("/messages/keywords/?set=star", {"all": "search", "q": "number on:today", "next": "/"})
    now += timedelta(hours=12)
    spread(crowded)
    assert set(Message.objects.filter(flagged=True).values_list("pk", flat=True)) == set(meant)


def test_somebody_elses_folder_cannot_be_named(crowded: Person, bob: Person) -> None:
    folder = inbox_of(crowded)
    answer = bob.post("/messages/mailbox/?role=trash", {"all": f"folder-{folder.pk}", "next": "/"})
    assert answer.status_code == 404
    batch, number = operations.destroy(bob.user, Selection((folder.pk,), last=operations.last_id()))
    assert number == 0
    assert not Operation.objects.filter(batch=batch).exists()


def test_history_tells_one_action_as_one_with_its_number(crowded: Person) -> None:
    crowded.post("/messages/keywords/?set=star", {"all": "inbox", "next": "/"})
    page = crowded.get("/operations/").content.decode()
    assert "Starred 500 messages" in page
    assert "500 done so far" in page
    operations.spread(crowded.account.pk)
    page = crowded.get("/operations/").content.decode()
    assert "Starred 1234 messages" in page
    assert "1000 of 1234 done" in page
    spread(crowded)
    assert crowded.get("/operations/").content.decode().count("Starred 1234 messages") == 1


# --- replayed together ------------------------------------------------------------------------------------------


def test_what_was_done_one_by_one_reaches_the_server_as_one(alice: Person) -> None:
    for n in range(5):
        alice.receive(letter(f"Letter {n}", "x", to=alice.address))
    ids = list(Message.objects.filter(account=alice.account).order_by("id").values_list("pk", flat=True))
    for pk in ids:
        alice.post("/messages/keywords/?set=star", {"id": pk, "next": "/"})
    alice.post("/messages/keywords/?set=unstar", {"id": ids[0], "next": "/"})
    alice.post("/messages/keywords/?set=read", {"id": ids[1], "next": "/"})
    work_off(alice.account)
    assert set(Operation.objects.values_list("state", flat=True)) == {OperationState.DONE}
    with alice.on_server() as server:
        subjects = dict(Message.objects.filter(pk__in=ids).values_list("pk", "subject"))
        assert "\\Flagged" not in server.flags(subjects[ids[0]])
        assert server.flags(subjects[ids[1]]) >= {"\\Flagged", "\\Seen"}
        assert all("\\Flagged" in server.flags(subjects[pk]) for pk in ids[2:])


def test_of_what_is_replayed_together_only_the_refused_is_taken_back(alice: Person) -> None:
    alice.receive(letter("Second", "x", to=alice.address))
    first, second = Message.objects.filter(account=alice.account).order_by("id")
    good = Mailbox.objects.create(account=alice.account, name="Good", remote_name="Good")
    bad = Mailbox.objects.create(account=alice.account, name="Gone", remote_name="Gone")
    with alice.on_server() as server:
        server.create("Good")
    operations.move_to(alice.user, [first.pk], good)
    operations.move_to(alice.user, [second.pk], bad)
    work_off(alice.account)
    work_off(alice.account)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.mailbox, first.remote_mailbox) == (good, good)
    assert second.mailbox is not None
    assert second.mailbox.role == "inbox"
    assert list(Operation.objects.order_by("id").values_list("state", flat=True)) == [
        OperationState.DONE, OperationState.FAILED,
    ]  # fmt: skip
