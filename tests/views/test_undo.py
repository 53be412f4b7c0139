"""Every kind of action can be undone: before it reached the server, and after."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.letters import letter
from tests.views.conftest import Person, work_off
from webmail import operations
from webmail.models import Mailbox, Message, Operation, OperationState

pytestmark = pytest.mark.parametrize("reached", [False, True], ids=["before the server heard", "after"])


def undo(person: Person, response: Any, reached: bool) -> None:
    """By the button that the next page shows."""
    if reached:
        work_off(person.account)
    page = person.get(response["Location"]).content.decode()
    found = re.search(r'action="(/operations/[0-9a-f-]+/undo/)"', page)
    assert found, "the page offers no Undo"
    answer = person.client.post(found[1], {"next": "/"}, follow=True)
    assert "Undone." in answer.content.decode()
    work_off(person.account)


def counts(person: Person) -> dict[str, tuple[int, int]]:
    return {m.name: (m.total, m.unread) for m in Mailbox.objects.filter(account=person.account)}


def recounted(person: Person) -> dict[str, tuple[int, int]]:
    kept = {}
    for mailbox in Mailbox.objects.filter(account=person.account):
        shown = Message.objects.filter(mailbox=mailbox)
        kept[mailbox.name] = (shown.count(), shown.filter(seen=False).count())
    return kept


@pytest.mark.parametrize(
    ("path", "flag", "after"),
    [
        ("/messages/keywords/?set=star", "\\Flagged", True),
        ("/messages/keywords/?set=read", "\\Seen", True),
    ],
)
def test_marking(alice: Person, reached: bool, path: str, flag: str, after: bool) -> None:
    message = alice.message("Hemmelig hilsen")
    before = counts(alice)
    response = alice.post(path, {"id": message.pk, "next": "/"})
    with alice.on_server() as server:
        if reached:
            work_off(alice.account)
            assert flag in server.flags(message.subject)
        undo(alice, response, reached)
        assert flag not in server.flags(message.subject)
    message.refresh_from_db()
    assert message.keywords == frozenset()
    assert counts(alice) == before == recounted(alice)


@pytest.mark.parametrize("role", ["archive", "junk", "trash"])
def test_moving_to_a_folder_with_a_role(alice: Person, reached: bool, role: str) -> None:
    message = alice.message("Hemmelig hilsen")
    before = counts(alice)
    response = alice.post(f"/messages/mailbox/?role={role}", {"id": message.pk, "next": "/"})
    message.refresh_from_db()
    assert message.mailbox == alice.mailbox(role)
    assert counts(alice) == recounted(alice)
    undo(alice, response, reached)
    message.refresh_from_db()
    assert message.mailbox == message.remote_mailbox == alice.mailbox("inbox")
    assert counts(alice) == before == recounted(alice)
    with alice.on_server() as server:
        assert server.subjects() == [message.subject]
        assert server.subjects(alice.mailbox(role).name) == []


def test_moving_several_from_two_folders_into_a_third(alice: Person, reached: bool) -> None:
    alice.receive(letter("In the archive"), folder="Archive")
    target = operations.create_mailbox(alice.account, "Third")
    work_off(alice.account)
    ids = list(Message.objects.filter(account=alice.account).values_list("pk", flat=True))
    response = alice.post("/messages/mailbox/", {"id": ids, "to": target.pk, "next": "/"})
    assert Message.objects.filter(mailbox=target).count() == 2
    undo(alice, response, reached)
    with alice.on_server() as server:
        assert server.subjects() == ["Hemmelig hilsen"]
        assert server.subjects("Archive") == ["In the archive"]
        assert server.subjects("Third") == []
    assert counts(alice) == recounted(alice)


def test_copying(alice: Person, reached: bool) -> None:
    message = alice.message("Hemmelig hilsen")
    archive = alice.mailbox("archive")
    response = alice.post("/messages/copies/", {"id": message.pk, "to": archive.pk, "next": "/"})
    assert Message.objects.filter(mailbox=archive).count() == 1
    undo(alice, response, reached)
    with alice.on_server() as server:
        assert server.subjects("Archive") == []
        assert server.subjects() == [message.subject]
    assert Message.objects.filter(account=alice.account, mailbox__isnull=False).count() == 1
    assert counts(alice) == recounted(alice)


def test_deleting_for_good_can_be_undone_until_it_is_done(alice: Person, reached: bool) -> None:
    message = alice.message("Hemmelig hilsen")
    response = alice.post("/messages/destruction/", {"id": message.pk, "next": "/"})
    assert "Hemmelig hilsen" not in alice.get("/").content.decode()
    if not reached:
        response["Location"] = "/operations/"
        undo(alice, response, reached)
        assert "Hemmelig hilsen" in alice.get("/").content.decode()
        with alice.on_server() as server:
            assert server.subjects() == ["Hemmelig hilsen"]
        return
    batch = Operation.objects.get(account=alice.account, kind="destroy").batch
    work_off(alice.account)
    answer = alice.client.post(f"/operations/{batch}/undo/", {"next": "/"}, follow=True)
    assert "It is too late to undo this." in answer.content.decode()
    with alice.on_server() as server:
        assert server.subjects() == []
    assert not Message.objects.filter(pk=message.pk).exists()


def test_making_a_folder(alice: Person, reached: bool) -> None:
    alice.post("/folders/creation/", {"account": alice.account.pk, "name": "Nytt", "next": "/folders/"})
    operation = Operation.objects.get(account=alice.account, kind="create_mailbox")
    if reached:
        work_off(alice.account)
        with alice.on_server() as server:
            assert "Nytt" in server.folders()
    alice.post(f"/operations/{operation.batch}/undo/", {"next": "/"})
    work_off(alice.account)
    with alice.on_server() as server:
        assert "Nytt" not in server.folders()
    assert not Mailbox.objects.filter(account=alice.account, name="Nytt", hidden=False).exists()


def test_renaming_a_folder_with_another_below_it(alice: Person, reached: bool) -> None:
    parent = operations.create_mailbox(alice.account, "Over")
    operations.create_mailbox(alice.account, "Over/Under")
    work_off(alice.account)
    response = alice.post(f"/folders/{parent.pk}/name/", {"name": "Ovenfor", "parent": "", "next": "/folders/"})
    assert Mailbox.objects.filter(account=alice.account, name="Ovenfor/Under").exists()
    undo(alice, response, reached)
    names = set(Mailbox.objects.filter(account=alice.account).values_list("name", flat=True))
    assert {"Over", "Over/Under"} <= names
    with alice.on_server() as server:
        assert {"Over", "Over/Under"} <= server.folders()
        assert not {"Ovenfor", "Ovenfor/Under"} & server.folders()


def test_hiding_a_folder(alice: Person, reached: bool) -> None:
    folder = operations.create_mailbox(alice.account, "Skjult")
    work_off(alice.account)
    response = alice.post(f"/folders/{folder.pk}/subscription/", {"subscribed": "0", "next": "/folders/"})
    folder.refresh_from_db()
    assert not folder.subscribed
    undo(alice, response, reached)
    folder.refresh_from_db()
    assert folder.subscribed


def test_deleting_a_folder_can_be_undone_until_it_is_done(alice: Person, reached: bool) -> None:
    folder = operations.create_mailbox(alice.account, "Vekk")
    work_off(alice.account)
    alice.receive(letter("Inside"), folder="Vekk")
    response = alice.post(f"/folders/{folder.pk}/destruction/", {"next": "/folders/"})
    assert "Vekk" not in [m.name for m in Mailbox.objects.for_user(alice.user)]
    if not reached:
        undo(alice, response, reached)
        assert Message.objects.get(subject="Inside").mailbox == folder
        with alice.on_server() as server:
            assert server.subjects("Vekk") == ["Inside"]
        return
    work_off(alice.account)
    with alice.on_server() as server:
        assert "Vekk" not in server.folders()
    assert not Mailbox.objects.filter(pk=folder.pk).exists()


def test_emptying_the_trash(alice: Person, reached: bool) -> None:
    alice.receive(letter("Rubbish"), folder="Trash")
    response = alice.post(f"/folders/{alice.mailbox('trash').pk}/emptying/")
    assert Message.objects.filter(mailbox=alice.mailbox("trash")).count() == 0
    if not reached:
        undo(alice, response, reached)
    work_off(alice.account)
    with alice.on_server() as server:
        assert server.subjects("Trash") == ([] if reached else ["Rubbish"])


def test_an_undo_is_itself_done_once(alice: Person, reached: bool) -> None:
    message = alice.message("Hemmelig hilsen")
    alice.post("/messages/keywords/?set=star", {"id": message.pk})
    batch = Operation.objects.get(account=alice.account, kind="keywords").batch
    if reached:
        work_off(alice.account)
    alice.post(f"/operations/{batch}/undo/")
    work_off(alice.account)
    alice.post("/messages/keywords/?set=star", {"id": message.pk})
    answer = alice.client.post(f"/operations/{batch}/undo/", {"next": "/"}, follow=True)  # pressed in another tab
    assert "too late" in answer.content.decode()
    message.refresh_from_db()
    assert message.flagged
    states = set(Operation.objects.filter(batch=batch).values_list("state", flat=True))
    assert states == {OperationState.REVERTED if reached else OperationState.CANCELED}
