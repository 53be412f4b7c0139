"""The event stream: each event once and in order, whatever breaks in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import pytest
import redis
from asgiref.sync import sync_to_async
from django.test import Client
from django.utils import timezone

from accounts.models import User
from tests.views.conftest import Person
from webmail import events

PATIENCE = 20.0
_users = iter(range(1_000_000, 2_000_000))


@pytest.fixture(autouse=True)
def nobody_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What else is done when mail changes asks the database, which these events have nothing to do with."""
    monkeypatch.setattr(events, "_told", [])


@pytest.fixture
def user_id(redis_url: str) -> int:
    return next(_users)


@pytest.fixture
def redis_client(redis_url: str) -> Any:
    with redis.Redis.from_url(redis_url) as client:
        yield client


async def take(stream: AsyncIterator[events.Event | None], count: int) -> list[events.Event]:
    """The next events; signs of life do not count."""
    found: list[events.Event] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < count:
            if event := await anext(stream):
                found.append(event)
    return found


def numbers(found: list[events.Event]) -> list[int]:
    return [event.data["n"] for event in found]


async def publish(user_id: int, *wanted: int) -> None:
    for n in wanted:
        await sync_to_async(events.publish)(user_id, "mailbox", n=n)


def test_every_open_page_of_a_person_hears_each_event_once_and_nobody_elses(user_id: int) -> None:
    other = next(_users)

    async def scenario() -> None:
        async with (
            aclosing(events.subscribe(user_id, "0-0")) as one,
            aclosing(events.subscribe(user_id, "0-0")) as two,
            aclosing(events.subscribe(other, "0-0")) as foreign,
        ):
            await publish(user_id, 1)
            assert numbers(await take(one, 1)) == numbers(await take(two, 1)) == [1]
            await publish(other, 100)
            await publish(user_id, 2, 3)
            assert numbers(await take(one, 2)) == numbers(await take(two, 2)) == [2, 3]
            assert numbers(await take(foreign, 1)) == [100]

    asyncio.run(scenario())


def test_a_broken_stream_goes_on_after_the_last_id_heard(user_id: int) -> None:
    async def scenario() -> None:
        await publish(user_id, 1, 2)
        async with aclosing(events.subscribe(user_id, "0-0")) as stream:
            (first, second) = await take(stream, 2)
        await publish(user_id, 3)
        async with aclosing(events.subscribe(user_id, first.id)) as stream:
            assert numbers(await take(stream, 2)) == [2, 3]
            await publish(user_id, 4)
            assert numbers(await take(stream, 1)) == [4]
        async with aclosing(events.subscribe(user_id, second.id)) as stream:
            assert numbers(await take(stream, 2)) == [3, 4]

    asyncio.run(scenario())


def test_nothing_falls_between_while_events_come_and_pages_join(user_id: int) -> None:
    async def listen(count: int) -> list[int]:
        async with aclosing(events.subscribe(user_id, "0-0")) as stream:
            return numbers(await take(stream, count))

    async def scenario() -> None:
        writer = asyncio.create_task(publish(user_id, *range(60)))
        heard = await asyncio.gather(*(listen(60) for _ in range(20)))
        await writer
        assert heard == [list(range(60))] * 20

    asyncio.run(scenario())


def test_an_id_that_the_stream_has_forgotten_is_answered_by_one_reload(user_id: int, redis_client: redis.Redis) -> None:
    async def scenario() -> None:
        await publish(user_id, 1, 2, 3, 4)
        async with aclosing(events.subscribe(user_id, "0-0")) as stream:
            heard = await take(stream, 4)
        redis_client.xtrim(f"postkasse:events:{user_id}", maxlen=2, approximate=False)
        async with aclosing(events.subscribe(user_id, heard[0].id)) as stream:
            (reload,) = await take(stream, 1)
            assert (reload.kind, reload.id) == ("reload", heard[3].id)
            await publish(user_id, 5)
            assert numbers(await take(stream, 1)) == [5]
        async with aclosing(events.subscribe(user_id, heard[2].id)) as stream:
            assert numbers(await take(stream, 2)) == [4, 5]

    asyncio.run(scenario())


def test_a_page_that_knows_no_id_or_one_of_a_lost_stream_is_told_to_reload(user_id: int) -> None:
    async def scenario() -> None:
        for unknown in ("", "1700000000000-0"):
            async with aclosing(events.subscribe(user_id, unknown)) as stream:
                (reload,) = await take(stream, 1)
                assert (reload.kind, reload.id) == ("reload", "0-0")

    asyncio.run(scenario())


def test_a_page_that_reads_too_slowly_is_let_go_and_misses_nothing(user_id: int) -> None:
    async def scenario() -> None:
        async with (
            aclosing(events.subscribe(user_id, "0-0")) as slow,
            aclosing(events.subscribe(user_id, "0-0")) as quick,
        ):
            await publish(user_id, 0)
            at = (await take(slow, 1))[0].id
            await take(quick, 1)
            many = range(1, events.QUEUED + 50)
            heard = []
            for n in many:
                await publish(user_id, n)
                heard += numbers(await take(quick, 1))
            assert heard == list(many)
            late = [event async for event in slow if event]
            assert numbers(late) == list(many)[: len(late)]
            assert len(late) <= events.QUEUED
        async with aclosing(events.subscribe(user_id, late[-1].id if late else at)) as resumed:
            assert numbers(await take(resumed, len(many) - len(late))) == list(many)[len(late) :]

    asyncio.run(scenario())


def test_a_thousand_streams_share_a_few_connections_to_redis(user_id: int, redis_client: redis.Redis) -> None:
    before = redis_client.info("clients")["connected_clients"]

    async def scenario() -> None:
        streams = [events.subscribe(next(_users), "0-0") for _ in range(1000)]
        waiting = [asyncio.create_task(anext(stream)) for stream in streams]
        await asyncio.sleep(0)
        async with aclosing(events.subscribe(user_id, "0-0")) as last:
            await publish(user_id, 1)
            await take(last, 1)
            connections = await sync_to_async(redis_client.info)("clients")
            assert connections["connected_clients"] - before <= events.CONNECTIONS + 2
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for stream in streams:
            await stream.aclose()

    asyncio.run(scenario())


def test_without_redis_a_stream_ends_and_the_next_one_works(user_id: int, redis_client: redis.Redis) -> None:
    async def scenario() -> None:
        async with aclosing(events.subscribe(user_id, "0-0")) as stream:
            await publish(user_id, 1)
            (first,) = await take(stream, 1)
            redis_client.client_kill_filter(_type="normal", skipme=True)
            await publish(user_id, 2)
            try:
                heard = numbers([event async for event in stream if event and event.data["n"] == 2][:1])
            except redis.RedisError:
                heard = []
        async with aclosing(events.subscribe(user_id, first.id)) as stream:
            assert numbers(await take(stream, 1)) == [2]
        assert heard in ([], [2])

    asyncio.run(scenario())


def test_a_stranger_gets_no_stream(db: None, charlie: Client) -> None:
    assert charlie.get("/events/").status_code == 204


def test_who_opens_a_page_is_noted_as_present_once_a_minute(alice: Person) -> None:
    def seen() -> Any:
        return User.objects.get(pk=alice.user.pk).active_at

    assert seen() is None
    alice.get("/")
    first = seen()
    assert timezone.now() - first < timedelta(minutes=1)
    alice.get("/")
    assert seen() == first
    User.objects.filter(pk=alice.user.pk).update(active_at=first - timedelta(minutes=2))
    alice.get("/settings/")
    assert seen() > first
