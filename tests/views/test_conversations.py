"""Conversations: one row each in lists, what an action on one reaches, split off and muted, everything with Undo."""

from __future__ import annotations

import re
from typing import Any

import pytest

from accounts.models import User
from tests.letters import letter
from tests.views.conftest import Person, work_off
from webmail import conversations
from webmail.models import Mailbox, Message, MessageBody, Thread
from webmail.views.listing import Row, days, scope_of


def said(n: int, *before: int, subject: str = "Hyttetur", sender: str = "", minutes_ago: float = 0) -> bytes:
    """The ``n``-th of a conversation, naming those ``before`` it."""
    headers = {"Message-ID": f"<{subject}{n}@example.org>"}
    if before:
        headers["References"] = " ".join(f"<{subject}{one}@example.org>" for one in before)
    re_ = "Re: " if before else ""
    return letter(
        f"{re_}{subject}", sender=sender or f"P{n} Nordmann <p{n}@example.org>", headers=headers,
        minutes_ago=minutes_ago or 60 - n,
    )  # fmt: skip


@pytest.fixture
def trip(alice: Person) -> Person:
    """Three in the inbox, one of alice's in Sent, one in Trash; and what she had before."""
    alice.receive(said(1), said(2, 1), said(4, 1, 2))
    alice.receive(said(3, 1, sender=f"Alice <{alice.address}>"), folder="Sent")
    alice.receive(said(5, 1), folder="Trash")
    return alice


def fresh(person: Person) -> User:
    return User.objects.get(pk=person.user.pk)


def rows(person: Person, key: str = "inbox", filter: str = "") -> list[Row]:
    scope = scope_of(fresh(person), key, filter)
    return [row for day in days(scope, scope.page(None, 50), None) for row in day.rows]


def undo(person: Person, response: Any) -> str:
    """What the page said of it before."""
    page: str = person.get(response["Location"]).content.decode()
    found = re.search(r'action="(/operations/[0-9a-f-]+/undo/)"', page)
    assert found, "the page offers no Undo"
    assert "Undone." in person.client.post(found[1], {"next": "/"}, follow=True).content.decode()
    return page


def places(person: Person) -> dict[str, list[str]]:
    """Folders of the conversation's messages."""
    found: dict[str, list[str]] = {}
    members = Message.objects.filter(account=person.account, message_id__startswith="Hyttetur").order_by("message_id")
    for message in members.select_related("mailbox"):
        assert message.mailbox
        found.setdefault(message.mailbox.role, []).append(message.message_id[8])
    return found


def test_a_conversation_is_one_row_with_its_number_its_people_and_its_plain_subject(trip: Person) -> None:
    row, other = sorted(rows(trip), key=lambda row: not row.number)
    assert (row.subject, row.number, row.number_said) == ("Hyttetur", "4", "4 messages")  # without what is in Trash
    assert row.who == "P1, P2, me, P4"  # first names where they are many
    assert row.pk == Message.objects.get(account=trip.account, message_id="Hyttetur4@example.org").pk
    assert (other.subject, other.number) == ("Hemmelig hilsen", "")


def test_one_unread_or_starred_message_shows_on_the_whole_row(trip: Person) -> None:
    Message.objects.filter(account=trip.account).update(seen=True)
    Message.objects.filter(message_id="Hyttetur1@example.org").update(seen=False, flagged=True)
    row = next(row for row in rows(trip) if row.number)
    assert not row.look.seen
    assert row.look.flagged


def test_a_filter_shows_conversations_in_which_any_message_fits(trip: Person) -> None:
    Message.objects.filter(account=trip.account).update(seen=True)
    Message.objects.filter(message_id__in=["Hyttetur1@example.org", "Hyttetur2@example.org"]).update(seen=False)
    assert [row.subject for row in rows(trip, "inbox", "unread")] == ["Hyttetur"]
    assert [row.subject for row in rows(trip, "unread")] == ["Hyttetur"]


def test_a_person_who_prefers_messages_sees_messages(trip: Person) -> None:
    response = trip.post("/conversations/", {"show": "messages", "next": "/"})
    assert response.status_code == 303
    assert len(rows(trip)) == 4
    trip.post("/conversations/", {"show": "conversations", "next": "/"})
    assert len(rows(trip)) == 2


def test_what_was_sent_is_listed_message_by_message(trip: Person) -> None:
    trip.receive(said(6, 1, sender=f"Alice <{trip.address}>"), folder="Sent")
    assert len(rows(trip, "sent")) == 2


def test_an_action_on_a_row_reaches_its_folder_only_and_says_how_many(trip: Person) -> None:
    row = next(row for row in rows(trip) if row.number)
    response = trip.post(f"/messages/mailbox/?role=archive&only={row.pk}", {"rows": "conversations", "next": "/"})
    assert places(trip) == {"archive": ["1", "2", "4"], "sent": ["3"], "trash": ["5"]}
    assert "3 messages" in undo(trip, response)
    assert places(trip) == {"inbox": ["1", "2", "4"], "sent": ["3"], "trash": ["5"]}


def test_asked_for_all_folders_it_reaches_all_but_trash_junk_and_drafts(trip: Person) -> None:
    trip.receive(said(6, 1), folder="Drafts")
    row = next(row for row in rows(trip) if row.number)
    path = f"/messages/mailbox/?role=archive&where=everywhere&only={row.pk}"
    page = trip.get(f"/messages/{row.pk}/").content.decode()
    assert "Archive in all folders (4)" in page
    trip.post(path, {"rows": "conversations", "next": "/"})
    assert places(trip) == {"archive": ["1", "2", "3", "4"], "drafts": ["6"], "trash": ["5"]}


@pytest.mark.parametrize(("action", "marked"), [("unread", "4"), ("star", "4"), ("read", "124")])
def test_unread_and_star_mark_the_newest_and_read_marks_all(trip: Person, action: str, marked: str) -> None:
    column = "flagged" if action == "star" else "seen"
    value = action != "unread"
    Message.objects.filter(account=trip.account).update(**{column: not value})
    row = next(row for row in rows(trip) if row.number)
    trip.post(f"/messages/keywords/?set={action}&only={row.pk}", {"rows": "conversations", "next": "/"})
    inside = Message.objects.filter(account=trip.account, mailbox__role="inbox", message_id__startswith="Hyttetur")
    assert sorted(m.message_id[8] for m in inside.filter(**{column: value})) == list(marked)


def test_a_message_list_acts_on_the_message_alone(trip: Person) -> None:
    newest = Message.objects.get(account=trip.account, message_id="Hyttetur4@example.org")
    trip.post("/messages/mailbox/?role=archive", {"id": newest.pk, "next": "/"})
    assert places(trip)["archive"] == ["4"]


def test_nobody_reaches_messages_of_others_through_a_conversation(trip: Person, bob: Person) -> None:
    row = next(row for row in rows(trip) if row.number)
    assert conversations.whole(bob.user, [row.pk], everywhere=True) == []


def test_the_page_shows_the_whole_conversation_in_either_order_each_message_once(trip: Person) -> None:
    trip.receive(said(2, 1), folder="Archive")  # the same in another folder
    row = next(row for row in rows(trip) if row.number)

    def order() -> list[str]:
        conversation = trip.get(f"/messages/{row.pk}/").context["conversation"]
        return [entry["m"].message_id[8] for entry in conversation.entries]

    assert order() == ["1", "2", "3", "4"]
    trip.post("/conversations/", {"top": "newest", "next": "/"})
    assert order() == ["4", "3", "2", "1"]


def test_read_messages_are_folded_and_unfold_all_opens_those_that_are_here(trip: Person) -> None:
    Message.objects.filter(account=trip.account).update(seen=True)
    newest = Message.objects.get(account=trip.account, message_id="Hyttetur4@example.org")
    for message in Message.objects.filter(message_id__startswith="Hyttetur"):
        trip.get(f"/messages/{message.pk}/")  # so its text is here
    MessageBody.objects.filter(message__message_id__in=["Hyttetur2@example.org", "Hyttetur3@example.org"]).delete()

    def unfolded(query: str = "") -> list[str]:
        entries = trip.get(f"/messages/{newest.pk}/{query}").context["conversation"].entries
        return [entry["m"].message_id[8] for entry in entries if entry["open"]]

    assert unfolded() == ["4"]
    assert unfolded("?unfold=1") == ["1", "4"]


def test_what_is_split_off_is_a_conversation_of_its_own_with_its_answers(trip: Person) -> None:
    second = Message.objects.get(account=trip.account, message_id="Hyttetur2@example.org")
    response = trip.post(f"/messages/{second.pk}/conversation/", {"next": "/"})
    trip.receive(said(6, 1, 2, 4), said(7, 1, 3))
    found = {row.number for row in rows(trip) if row.subject == "Hyttetur"}
    assert found == {"3"}  # 2, 4 and 6; and 1, 3 and 7
    threads = {
        message.message_id[8]: message.thread_id
        for message in Message.objects.filter(account=trip.account, message_id__startswith="Hyttetur")
    }
    assert threads["2"] == threads["4"] == threads["6"]
    assert threads["1"] == threads["3"] == threads["7"] == threads["5"]
    assert threads["1"] != threads["2"]
    undo(trip, response)
    trip.receive(said(8, 1, 2))
    together = Message.objects.filter(account=trip.account, message_id__startswith="Hyttetur")
    assert len(set(together.values_list("thread_id", flat=True))) == 1


def test_a_split_taken_back_leaves_a_later_one_as_it_is(trip: Person) -> None:
    def thread(n: int) -> int | None:
        return Message.objects.get(account=trip.account, message_id=f"Hyttetur{n}@example.org").thread_id

    pk = {n: Message.objects.get(account=trip.account, message_id=f"Hyttetur{n}@example.org").pk for n in (2, 4)}
    first = trip.post(f"/messages/{pk[2]}/conversation/", {"next": "/"})
    page = trip.get(first["Location"]).content.decode()
    undo_first = re.search(r'action="(/operations/[0-9a-f-]+/undo/)"', page)
    assert undo_first
    trip.post(f"/messages/{pk[4]}/conversation/", {"next": "/"})
    trip.post(undo_first[1], {"next": "/"})
    assert thread(2) == thread(1) != thread(4)


def test_the_first_message_cannot_be_split_off_and_one_is_told(trip: Person) -> None:
    first = Message.objects.get(account=trip.account, message_id="Hyttetur1@example.org")
    page = trip.client.post(f"/messages/{first.pk}/conversation/", {"next": f"/messages/{first.pk}/"}, follow=True)
    assert "The conversation begins with this message." in page.content.decode()


@pytest.mark.parametrize("complete", [True, False])
def test_what_comes_of_a_muted_conversation_is_read_and_archived_here_and_on_the_server(
    trip: Person, complete: bool
) -> None:
    """Also while older mail is still being fetched."""
    Mailbox.objects.filter(account=trip.account, role="inbox").update(complete=complete)
    row = next(row for row in rows(trip) if row.number)
    trip.post(f"/messages/muting/?set=mute&only={row.pk}", {"next": "/"})
    assert places(trip) == {"archive": ["1", "2", "4"], "sent": ["3"], "trash": ["5"]}
    work_off(trip.account)
    trip.receive(said(6, 1, 2, 4, minutes_ago=0.001), letter("Annet"))
    late = Message.objects.get(account=trip.account, message_id="Hyttetur6@example.org")
    assert late.seen
    assert late.mailbox
    assert late.mailbox.role == "archive"
    work_off(trip.account)
    with trip.on_server() as server:
        assert "Re: Hyttetur" not in server.subjects("INBOX")
        assert "Annet" in server.subjects("INBOX")
        assert len([subject for subject in server.subjects("Archive") if "Hyttetur" in subject]) == 4


def test_muting_is_undone_with_what_it_put_away(trip: Person) -> None:
    row = next(row for row in rows(trip) if row.number)
    response = trip.post(f"/messages/muting/?set=mute&only={row.pk}", {"next": "/"})
    undo(trip, response)
    assert places(trip) == {"inbox": ["1", "2", "4"], "sent": ["3"], "trash": ["5"]}
    assert not Thread.objects.filter(muted=True).exists()


def test_nobody_silences_a_conversation_by_joining_it_to_a_muted_one(trip: Person) -> None:
    trip.receive(said(1, subject="Andre"))
    row = next(row for row in rows(trip) if row.subject == "Andre")
    trip.post(f"/messages/muting/?set=mute&only={row.pk}", {"next": "/"})
    both = {"Message-ID": "<both@example.org>", "References": "<Andre1@example.org> <Hyttetur1@example.org>"}
    trip.receive(letter("Begge", headers=both))
    together = Message.objects.get(account=trip.account, subject="Begge")
    assert together.thread_id == Message.objects.get(message_id="Andre1@example.org").thread_id
    assert together.mailbox
    assert (together.thread.muted, together.mailbox.role) == (False, "inbox")  # type: ignore[union-attr]


def test_a_conversation_is_opened_at_its_row_and_goes_on_to_the_next_row(trip: Person) -> None:
    """Not to the older messages of itself."""
    trip.receive(letter("Eldst", minutes_ago=600))
    first = Message.objects.get(account=trip.account, message_id="Hyttetur1@example.org")
    context = trip.get(f"/messages/{first.pk}/").context
    listed = rows(trip)
    at = next(place for place, row in enumerate(listed) if row.number)
    assert context["row"] == listed[at].pk
    neighbours = {listed[place].pk for place in (at - 1, at + 1) if 0 <= place < len(listed)}
    linked = {int(n) for n in re.findall(r"/messages/(\d+)/", context["newer"] + context["older_message"])}
    assert linked == neighbours
