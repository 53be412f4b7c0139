"""POP3 accounts: nothing is lost and nothing doubled, wherever the line breaks and whatever the copies are to become."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from itertools import count

import pytest
from django.conf import LazySettings
from django.core.files.storage import default_storage
from django.utils import timezone

from accounts.discovery import Candidate, ServerURL
from accounts.models import Account, AfterDownload, User
from accounts.sign_in import save_account
from tests.letters import letter
from tests.line import Line
from tests.second_client import second_client
from tests.servers import PASSWORD, Dovecot
from webmail import sync
from webmail.models import Mailbox, Message
from webmail.protocols.errors import MailError

LETTERS = 5
_numbers = count()
NewAccount = Callable[[int], Account]


@pytest.fixture
def new_account(db: None, redis_url: str, settings: LazySettings, dovecot: Dovecot) -> NewAccount:
    def make(port: int) -> Account:
        url = f"pop3://localhost:{port}"
        settings.MAIL_DOMAINS = {"pop.test": {"incoming": url}}
        address = f"pop{next(_numbers)}-{os.getpid()}@pop.test"
        candidate = Candidate(ServerURL.parse(url), None, address, True, "table")
        return save_account(User.objects.create_user(address), address, PASSWORD, candidate)

    return make


def deliver(dovecot: Dovecot, account: Account, number: int = LETTERS) -> set[str]:
    subjects = {f"Letter {n}" for n in range(number)}
    with second_client(dovecot, account.address) as server:
        for subject in sorted(subjects):
            server.append(letter(subject, f"The text of {subject}\r\n.\r\n" * 20, to=account.address))
    return subjects


def on_server(dovecot: Dovecot, account: Account) -> set[str]:
    with second_client(dovecot, account.address) as server:
        return set(server.subjects())


def kept(account: Account) -> Counter[str]:
    """Subjects of messages whose whole text is here."""
    found = Counter[str]()
    for row in Message.objects.filter(account=account, mailbox__isnull=False):
        with row.blob.open("rb") as blob:
            raw = blob.read()
        assert f"The text of {row.subject}".encode() in raw
        assert len(raw) == row.size
        found[row.subject] += 1
    return found


def octets_of_a_whole_sync(dovecot: Dovecot, new_account: NewAccount) -> int:
    with Line(dovecot.pop3_port) as line:
        account = new_account(line.port)
        deliver(dovecot, account)
        Account.objects.filter(pk=account.pk).update(after_download=AfterDownload.DELETE)
        account.refresh_from_db()
        sync.sync_account(account)
        return line.octets


@pytest.mark.parametrize("part", range(8))
def test_a_line_cut_anywhere_loses_nothing_and_doubles_nothing(
    dovecot: Dovecot, new_account: NewAccount, part: int
) -> None:
    """Every 8th of the places, some 90 octets apart, from the greeting to the answer to QUIT."""
    whole = octets_of_a_whole_sync(dovecot, new_account)
    places = range(part * 90, whole + 90, 8 * 90)
    assert len(places) > 5
    for place in places:
        with Line(dovecot.pop3_port, cut_after=place) as line:
            account = new_account(line.port)
            subjects = deliver(dovecot, account)
            Account.objects.filter(pk=account.pk).update(after_download=AfterDownload.DELETE)
            account.refresh_from_db()
            with suppress(MailError):
                sync.sync_account(account)
            here = kept(account)
            assert set(here) | on_server(dovecot, account) == subjects, f"lost at {place}"
            assert set(here.values()) <= {1}, f"doubled at {place}"
            line.mend()
            sync.sync_account(account)
            assert kept(account) == Counter(subjects), f"after mending what broke at {place}"
            sync.sync_account(account)
            assert on_server(dovecot, account) == set()
            inbox = Mailbox.objects.get(account=account, role="inbox")
            assert (inbox.total, inbox.unread) == (LETTERS, LETTERS)


def test_what_came_before_the_line_broke_is_kept(dovecot: Dovecot, new_account: NewAccount) -> None:
    with Line(dovecot.pop3_port) as line:
        account = new_account(line.port)
        deliver(dovecot, account)
        line.cut_after = 4000  # in the middle of the messages
        with pytest.raises(MailError):
            sync.sync_account(account)
        assert 0 < sum(kept(account).values()) < LETTERS


def test_copies_are_left_on_the_server_unless_it_is_asked_for(dovecot: Dovecot, new_account: NewAccount) -> None:
    account = new_account(dovecot.pop3_port)
    subjects = deliver(dovecot, account)
    for _again in range(2):
        sync.sync_account(account)
        assert kept(account) == Counter(subjects)
    assert on_server(dovecot, account) == subjects


def test_copies_are_deleted_after_so_many_days(dovecot: Dovecot, new_account: NewAccount) -> None:
    account = new_account(dovecot.pop3_port)
    subjects = deliver(dovecot, account)
    account.after_download, account.leave_days = AfterDownload.DAYS, 3
    account.save()
    sync.sync_account(account)
    old = Message.objects.get(account=account, subject="Letter 0")
    Message.objects.filter(pk=old.pk).update(downloaded_at=timezone.now() - timedelta(days=3, minutes=1))
    sync.sync_account(account)
    assert on_server(dovecot, account) == subjects - {"Letter 0"}
    assert kept(account) == Counter(subjects), "what went from the server stays here"


def test_a_message_whose_copy_here_cannot_be_read_is_not_deleted_there(
    dovecot: Dovecot, new_account: NewAccount
) -> None:
    account = new_account(dovecot.pop3_port)
    deliver(dovecot, account)
    sync.sync_account(account)
    lost = Message.objects.get(account=account, subject="Letter 1")
    default_storage.delete(lost.blob.name or "")
    account.after_download = AfterDownload.DELETE
    account.save()
    sync.sync_account(account)
    assert on_server(dovecot, account) == {"Letter 1"}


def test_mail_that_goes_from_the_server_by_other_hands_stays_here(dovecot: Dovecot, new_account: NewAccount) -> None:
    account = new_account(dovecot.pop3_port)
    subjects = deliver(dovecot, account)
    sync.sync_account(account)
    with second_client(dovecot, account.address) as server:
        server.remove("Letter 2")
    sync.sync_account(account)
    assert kept(account) == Counter(subjects)


def test_a_server_that_lists_nothing_for_a_while_doubles_nothing(dovecot: Dovecot, new_account: NewAccount) -> None:
    account = new_account(dovecot.pop3_port)
    subjects = deliver(dovecot, account)
    sync.sync_account(account)
    before = list(Message.objects.filter(account=account).order_by("id").values_list("id", flat=True))
    Message.objects.filter(account=account).update(remote_mailbox=None)  # as after two looks at an empty list
    sync.sync_account(account)
    assert kept(account) == Counter(subjects)
    assert list(Message.objects.filter(account=account).order_by("id").values_list("id", flat=True)) == before
    assert not Message.objects.filter(account=account, remote_mailbox=None).exists()


def test_a_uid_that_is_used_again_for_another_message_hides_nothing(dovecot: Dovecot, new_account: NewAccount) -> None:
    account = new_account(dovecot.pop3_port)
    subjects = deliver(dovecot, account)
    sync.sync_account(account)
    other = Message.objects.get(account=account, subject="Letter 4")
    Message.objects.filter(pk=other.pk).update(remote_mailbox=None, size=other.size + 1, message_id="another@x")
    sync.sync_account(account)
    rows = Message.objects.filter(account=account, subject="Letter 4")
    assert rows.count() == 2
    assert set(Message.objects.filter(account=account).values_list("subject", flat=True)) == subjects


def test_what_was_just_deleted_can_be_taken_back_though_the_server_has_let_go_of_it(
    dovecot: Dovecot, new_account: NewAccount
) -> None:
    from webmail import operations

    account = new_account(dovecot.pop3_port)
    subjects = deliver(dovecot, account)
    sync.sync_account(account)
    batch, _number = operations.destroy(account.user, [Message.objects.get(account=account, subject="Letter 3").pk])
    account.after_download = AfterDownload.DELETE
    account.save()
    sync.sync_account(account)
    assert on_server(dovecot, account) == set()
    assert operations.undo(account.user, batch)
    assert kept(account) == Counter(subjects)


def test_what_the_person_deleted_for_good_is_not_downloaded_again(dovecot: Dovecot, new_account: NewAccount) -> None:
    from webmail import operations
    from webmail.models import Operation

    account = new_account(dovecot.pop3_port)
    subjects = deliver(dovecot, account)
    sync.sync_account(account)
    row = Message.objects.get(account=account, subject="Letter 3")
    operations.destroy(account.user, [row.pk])
    Operation.objects.update(not_before=timezone.now())
    sync.sync_account(account)
    sync.sync_account(account)
    assert kept(account) == Counter(subjects - {"Letter 3"})
    account.after_download = AfterDownload.DELETE
    account.save()
    sync.sync_account(account)
    assert on_server(dovecot, account) == set()
    assert not Message.objects.filter(account=account, mailbox=None).exists()
