"""What is written here lies in the server's Drafts too: one copy, ours to remove and no other's."""

from __future__ import annotations

import pytest

from tests.letters import letter
from tests.views.conftest import Person, work_off
from webmail import operations, sync
from webmail.models import Draft, DraftCopy, Message
from webmail.protocols.imap.store import IMAPStore


def save(alice: Person, text: str, path: str = "/compose/") -> str:
    data = {"to": "ola@example.org", "subject": "Hytta", "text": text, "do": "save"}
    if path != "/compose/":
        data["revision"] = str(Draft.objects.get().revision)
    return alice.post(path, data)["Location"]


def texts(alice: Person) -> list[str]:
    with alice.on_server() as client:
        return [message.get_content().strip() for message in client.messages("Drafts")]


def test_a_draft_lies_on_the_server_once_however_often_it_is_saved(alice: Person) -> None:
    sync.sync_account(alice.account)
    path = save(alice, "First words")
    work_off(alice.account)
    assert texts(alice) == ["First words"]
    for text in ("Second words", "Third words"):
        save(alice, text, path)
        work_off(alice.account)
    assert texts(alice) == ["Third words"]
    (copy,) = DraftCopy.objects.all()
    assert copy.revision == Draft.objects.get().revision


def test_saves_that_follow_one_another_are_put_there_as_one(alice: Person) -> None:
    sync.sync_account(alice.account)
    path = save(alice, "First words")
    save(alice, "Second words", path)
    assert alice.account.operations.filter(kind="mirror_draft").count() == 1


def test_a_draft_that_is_discarded_is_gone_from_the_server(alice: Person) -> None:
    sync.sync_account(alice.account)
    path = save(alice, "First words")
    work_off(alice.account)
    alice.post(path, {"do": "discard"})
    work_off(alice.account)
    assert texts(alice) == []
    assert not DraftCopy.objects.exists()


def test_a_draft_that_is_sent_is_gone_from_the_server(alice: Person) -> None:
    sync.sync_account(alice.account)
    path = save(alice, "First words")
    work_off(alice.account)
    alice.post(path, {"to": "ola@example.org", "subject": "Hytta", "text": "First words", "do": "send"})
    work_off(alice.account)
    work_off(alice.account)
    assert texts(alice) == []


def test_what_another_program_made_of_it_stays(alice: Person) -> None:
    sync.sync_account(alice.account)
    path = save(alice, "First words")
    work_off(alice.account)
    theirs = letter("Hytta", "Written elsewhere", headers={"Message-ID": f"<{Draft.objects.get().message_id}>"})
    with alice.on_server() as client:
        client.append(theirs, "Drafts")
    sync.sync_account(alice.account)
    save(alice, "Second words", path)
    work_off(alice.account)
    assert sorted(texts(alice)) == ["Second words", "Written elsewhere"]


def test_a_crash_after_the_server_took_it_leaves_no_second_copy(alice: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    sync.sync_account(alice.account)
    path = save(alice, "First words")
    append = IMAPStore.append

    def dies(*args: object, **named: object) -> None:
        append(*args, **named)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(IMAPStore, "append", dies)
        with pytest.raises(KeyboardInterrupt):
            work_off(alice.account)
    save(alice, "Second words", path)
    work_off(alice.account)
    assert texts(alice) == ["Second words"]


def test_opening_our_copy_goes_on_with_the_draft(alice: Person) -> None:
    sync.sync_account(alice.account)
    path = save(alice, "First words")
    work_off(alice.account)
    sync.sync_account(alice.account)
    message = Message.objects.get(account=alice.account, mailbox__role="drafts")
    assert alice.get(f"/messages/{message.pk}/")["Location"] == path
    assert alice.get(f"/compose/?edit={message.pk}")["Location"] == path
    page = alice.get("/drafts/").content.decode()
    assert "Being written here" not in page
    assert page.count('<li class="row') == 1


def test_history_does_not_tell_of_it(alice: Person) -> None:
    sync.sync_account(alice.account)
    save(alice, "First words")
    assert alice.account.operations.filter(kind__in=operations.QUIET).exists()
    assert b"mirror" not in alice.get("/operations/").content
