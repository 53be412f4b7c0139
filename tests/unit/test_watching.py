"""Who is watched by whom, and how often the others are asked."""

from __future__ import annotations

import itertools
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account, User
from webmail import sync
from webmail.models import Mailbox
from webmail.watching import schedule
from webmail.watching.claims import LEASE, SLACK, Claims

ROOT = Path(__file__).resolve().parent.parent.parent
ELSEWHERE = "another-machine/4026531836:0a1b2c3d:77:1234:cafe0001"
_numbers = itertools.count(1)


def account(**fields: Any) -> Account:
    """Of somebody who is here, its folders known."""
    n = next(_numbers)
    seen = fields.pop("seen", timezone.now())
    user = User.objects.create_user(f"watched{n}@imap.test", active_at=seen)
    made = Account.objects.create(
        user=user, address=user.address, username=user.address, **{"incoming": "imap://localhost:1"} | fields
    )
    Mailbox.objects.create(account=made, name="INBOX", remote_name="INBOX", role="inbox")
    return made


def accounts(count: int) -> set[int]:
    return {account().pk for _ in range(count)}


@pytest.fixture
def claims(db: None, redis_url: str) -> Any:
    """Makes claims as processes would; each signs off at the end."""
    made: list[Claims] = []

    def make() -> Claims:
        made.append(Claims())
        return made[-1]

    yield make
    for one in made:
        one.release()


# --- claims -----------------------------------------------------------------------------------------------------------


def test_one_process_holds_every_active_account(claims: Any) -> None:
    ids = accounts(3)
    one = claims()
    assert set(one.look()) == ids
    assert set(one.look()) == ids
    assert set(Account.objects.values_list("watch_holder", flat=True)) == {one.name}


@pytest.mark.parametrize(
    "fields",
    [
        {"paused": True},
        {"needs_user": True},
        {"incoming": "pop3s://localhost:1"},
        {"seen": None},
        {"seen": timezone.now() - schedule.ACTIVE - timedelta(minutes=1)},
    ],
)
def test_some_accounts_are_left_alone(claims: Any, fields: dict[str, Any]) -> None:
    account(**fields)
    assert claims().look() == {}


def test_an_account_whose_folders_are_not_known_yet_is_left_to_its_first_sync(claims: Any) -> None:
    made = account()
    Mailbox.objects.all().delete()
    one = claims()
    assert one.look() == {}
    Mailbox.objects.create(account=made, name="INBOX", remote_name="INBOX", role="inbox")
    assert set(one.look()) == {made.pk}


def test_an_account_that_is_paused_or_whose_person_went_away_is_given_back(claims: Any) -> None:
    paused, away, stays = account(), account(), account()
    one = claims()
    assert len(one.look()) == 3
    one.tell({away.pk: "idle", paused.pk: "idle", stays.pk: "notify"})
    Account.objects.filter(pk=paused.pk).update(paused=True)
    User.objects.filter(accounts=away).update(active_at=timezone.now() - schedule.ACTIVE * 2)
    assert set(one.look()) == {stays.pk}
    rows = Account.objects.order_by("pk").values_list("watch_holder", "push")
    assert list(rows) == [("", ""), ("", ""), (one.name, "notify")]


def test_two_processes_share_the_accounts_fairly_and_never_hold_the_same(claims: Any) -> None:
    ids = accounts(60)
    one, two = claims(), claims()
    assert set(one.look()) == ids
    assert two.look() == {}
    for _ in range(3):
        mine, theirs = set(one.look()), set(two.look())
        assert not mine & theirs
    assert mine | theirs == ids
    assert max(len(mine), len(theirs)) <= 30 + SLACK
    assert (set(one.look()), set(two.look())) == (mine, theirs), "they hand accounts to and fro"


def test_who_stops_leaves_its_accounts_to_the_other_at_once(claims: Any) -> None:
    ids = accounts(30)
    one, two = claims(), claims()
    two.look()
    one.look()
    one.release()
    assert set(two.look()) == ids


def test_accounts_of_a_process_that_was_killed_are_taken_over_though_its_lease_goes_on(claims: Any) -> None:
    asked = "import django; django.setup(); from webmail.leases import new_claim; print(new_claim())"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    ids = accounts(2)
    Account.objects.update(watch_holder=done.stdout.strip(), watch_lease=timezone.now() + LEASE)
    assert set(claims().look()) == ids


def test_accounts_held_on_another_machine_are_taken_over_when_the_lease_is_over(claims: Any) -> None:
    ids = accounts(2)
    one = claims()
    Account.objects.update(watch_holder=ELSEWHERE, watch_lease=timezone.now() + LEASE)
    assert one.look() == {}
    Account.objects.update(watch_lease=timezone.now() - timedelta(seconds=1))
    assert set(one.look()) == ids


def test_a_look_asks_as_much_of_the_database_for_many_accounts_as_for_few(claims: Any) -> None:
    one = claims()

    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            one.look()
        return len(asked)

    accounts(2)
    one.look()
    few = cost()
    accounts(50)
    one.look()
    assert cost() == few


def test_new_credentials_are_another_thing_to_watch(claims: Any) -> None:
    made = account()
    one = claims()
    before = one.look()[made.pk]
    assert one.look()[made.pk] == before
    Account.objects.filter(pk=made.pk).update(credentials="others")
    assert one.look()[made.pk] != before


# --- polling ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.booleans(), max_size=40))
def test_the_interval_stays_within_its_bounds_and_shortens_with_mail(found: list[bool]) -> None:
    seconds = 300
    for one in found:
        after = schedule.next_interval(seconds, one)
        assert schedule.SHORTEST <= after <= schedule.LONGEST
        assert after <= seconds if one else after >= seconds
        seconds = after


def test_an_account_that_is_told_of_everything_is_polled_rarely_and_one_somebody_looks_at_often() -> None:
    longest = timedelta(seconds=schedule.LONGEST)
    assert schedule.wait(60, "notify", active=True) == longest
    assert schedule.wait(1800, "", active=True) == timedelta(seconds=schedule.LONGEST_ACTIVE)
    assert schedule.wait(1800, "", active=False) == longest
    assert schedule.wait(90, "idle", active=True) == timedelta(seconds=90)


def test_a_paused_account_is_never_due(db: None) -> None:
    paused, other = account(paused=True), account()
    assert sync.due_accounts(10) == [other.pk]
    assert paused.pk not in sync.due_accounts(10)
