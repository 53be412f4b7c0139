"""Tells open pages what changed: a Redis stream per person, read by server-sent events (views/stream.py).

An event is a kind and a few ids, never mail: a page that hears one asks for what it shows. Losing an event loses
nothing, the next page load shows the truth.

    publish ──> the person's stream (kept for a day), and their number in the stream of wake-ups
    wake-up ──> _Hub, one for each web process ──> the queues of the person's open pages

A page resumes by the id of the event it heard last; where the stream does not reach back so far, it is told to ``reload``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import redis
import redis.asyncio
from django.conf import settings
from django.db import transaction

log = logging.getLogger(__name__)
KEEP_EVENTS = 500  # per user; a page away for longer reloads
KEEP_SECONDS = 24 * 3600
SILENCE_SECONDS = 15.0  # after which a stream gives a sign of life
QUEUED = 100  # events that a page may be behind before its stream ends; it comes back and resumes
WAKES = "postkasse:wakes"
KEEP_WAKES = 10_000  # a process that is behind by more ends its streams
BLOCK_SECONDS = 10.0
CONNECTIONS = 8  # to Redis, of a web process: one waits, the others read what pages missed


@dataclass(frozen=True, slots=True)
class Event:
    """``id`` is the stream's, for resuming after a broken connection (Last-Event-ID)."""

    id: str
    kind: str
    data: dict[str, Any]


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=1)


def _stream(user_id: int) -> str:
    return f"postkasse:events:{user_id}"


def publish(user_id: int, kind: str, **data: Any) -> None:
    """Kinds: ``mailbox`` (ids, arrived), ``operation``, ``outbox``, ``account``, ``progress``, ``search`` (on
    servers), ``searches`` (saved ones); said once what it is about is committed. Without Redis pages learn it later."""
    if transaction.get_connection().in_atomic_block:
        transaction.on_commit(lambda: _publish(user_id, kind, data))
    else:
        _publish(user_id, kind, data)


_told: list[Callable[[int], None]] = []  # of whose mail changed


def on_mail_changed(tell: Callable[[int], None]) -> None:
    """Have this called with the id of each person whose mail changed, once that is committed."""
    _told.append(tell)


def _publish(user_id: int, kind: str, data: dict[str, Any]) -> None:
    for tell in _told if kind in ("mailbox", "operation") else ():
        tell(user_id)
    try:
        with _client().pipeline(transaction=False) as pipe:
            pipe.xadd(_stream(user_id), {"kind": kind, "data": json.dumps(data)}, maxlen=KEEP_EVENTS, approximate=True)
            pipe.expire(_stream(user_id), KEEP_SECONDS)
            pipe.xadd(WAKES, {"user": user_id}, maxlen=KEEP_WAKES, approximate=True)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("event %s not published: %s", kind, error)


def mark(user_id: int) -> None:
    """Something of theirs may have changed that open pages need not hear about: the newest id is another one now."""
    try:
        with _client().pipeline(transaction=False) as pipe:
            pipe.xadd(_stream(user_id), {"kind": "mark", "data": "{}"}, maxlen=KEEP_EVENTS, approximate=True)
            pipe.expire(_stream(user_id), KEEP_SECONDS)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("mark not set: %s", error)


def last_id(user_id: int) -> str:
    """The newest event's id. A page says from where on it listens, so that nothing falls between its making and its
    listening; "" without Redis."""
    try:
        newest: Any = _client().xrevrange(_stream(user_id), count=1)
    except redis.RedisError:
        return ""
    return newest[0][0].decode() if newest else "0-0"


# --- processes --------------------------------------------------------------------------------------------------------


def ping() -> bool:
    """True if Redis answers."""
    try:
        return bool(_client().ping())
    except redis.RedisError:
        return False


def waiting(queue: str) -> int:
    """Tasks in a queue of the workers that nobody has begun; 0 without Redis."""
    try:
        length: Any = _client().llen(queue)
        return int(length)
    except redis.RedisError:
        return 0


def mark_alive(process: str, seconds: int) -> None:
    """Remember for ``seconds`` that a background process runs; /healthz looks."""
    try:
        _client().set(f"postkasse:alive:{process}", "1", ex=seconds)
    except redis.RedisError as error:
        log.warning("%s could not report: %s", process, error)


def claim(work: str, seconds: int) -> bool:
    """Whether nobody else is at this work, in any process; for as long, or until it is released."""
    try:
        return bool(_client().set(f"postkasse:claim:{work}", "1", ex=seconds, nx=True))
    except redis.RedisError as error:
        log.warning("%s could not be claimed: %s", work, error)
        return False


def release(work: str) -> None:
    try:
        _client().delete(f"postkasse:claim:{work}")
    except redis.RedisError as error:
        log.warning("%s could not be released: %s", work, error)


def is_alive(process: str) -> bool:
    try:
        return bool(_client().exists(f"postkasse:alive:{process}"))
    except redis.RedisError:
        return False


def sign_on(group: str, name: str, seconds: int) -> set[str]:
    """Be one of ``group`` for ``seconds`` more; all who are. Empty without Redis."""
    key, now = f"postkasse:group:{group}", time.time()
    try:
        with _client().pipeline() as pipe:
            pipe.zadd(key, {name: now + seconds})
            pipe.zremrangebyscore(key, 0, now)
            pipe.expire(key, seconds)
            pipe.zrange(key, 0, -1)
            return {member.decode() for member in pipe.execute()[-1]}
    except redis.RedisError:
        return set()


def sign_off(group: str, name: str) -> None:
    with contextlib.suppress(redis.RedisError):  # it is forgotten by itself
        _client().zrem(f"postkasse:group:{group}", name)


# --- listening --------------------------------------------------------------------------------------------------------


def _order(event_id: str) -> tuple[int, int]:
    """Ids by time, then by number."""
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number)


def _events(entries: Iterable[Any]) -> list[Event]:
    return [Event(i.decode(), fields[b"kind"].decode(), json.loads(fields[b"data"])) for i, fields in entries]


class _Listener:
    """One open page: what it has yet to be told. ``ended`` once it fell too far behind, or Redis went away."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Event | None] = asyncio.Queue(QUEUED)
        self.ended = False

    def tell(self, event: Event) -> None:
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.ended = True

    def end(self) -> None:
        self.ended = True
        with contextlib.suppress(asyncio.QueueFull):
            self.queue.put_nowait(None)  # wakes it up


class _Hub:
    """All open pages of this process: one task waits for wake-ups and hands out what is new. Lives while there are
    listeners. When Redis goes away it ends, and all streams with it; the pages come back."""

    def __init__(self) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            settings.REDIS_URL, max_connections=CONNECTIONS, socket_timeout=BLOCK_SECONDS + 5, socket_connect_timeout=2
        )
        self.redis = redis.asyncio.Redis.from_pool(pool)
        self.listeners: defaultdict[int, set[_Listener]] = defaultdict(set)
        self.read: dict[int, str] = {}  # how far a person's stream was handed out
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        """Raises nothing; who waits for ``ready`` hears why there is none."""
        try:
            newest: Any = await self.redis.xrevrange(WAKES, count=1)
            at = newest[0][0] if newest else "0-0"
            self.ready.set_result(None)
            while True:
                wakes: Any = await self.redis.xread({WAKES: at}, count=500, block=int(BLOCK_SECONDS * 1000))
                entries = wakes[0][1] if wakes else []
                for user_id in {int(fields[b"user"]) for _id, fields in entries}:
                    await self._hand_out(user_id)
                at = entries[-1][0] if entries else at
        except (redis.RedisError, OSError) as error:
            log.warning("event streams end: %s", error)
            if not self.ready.done():
                self.ready.set_exception(error)
                self.ready.exception()  # seen, even if nobody waits any more
        finally:
            if _hubs.get(asyncio.get_running_loop()) is self:
                del _hubs[asyncio.get_running_loop()]
            for listener in [one for some in self.listeners.values() for one in some]:
                listener.end()

    async def _hand_out(self, user_id: int) -> None:
        if user_id not in self.listeners:
            return
        since = self.read[user_id]
        entries: Any = await self.redis.xrange(_stream(user_id), f"({since}", "+", count=KEEP_EVENTS)
        for event in _events(entries):
            if user_id not in self.listeners:
                return
            self.read[user_id] = event.id
            for listener in self.listeners.get(user_id, ()):
                listener.tell(event)

    def join(self, user_id: int, listener: _Listener, since: str) -> None:
        self.read.setdefault(user_id, since)
        self.listeners[user_id].add(listener)

    async def leave(self, user_id: int, listener: _Listener) -> None:
        self.listeners[user_id].discard(listener)
        if not self.listeners[user_id]:
            del self.listeners[user_id], self.read[user_id]
        if self.listeners:
            return
        if _hubs.get(asyncio.get_running_loop()) is self:  # after a failure there may be another already
            del _hubs[asyncio.get_running_loop()]
        while not self.task.done():  # the client can lose a cancellation that meets an answer
            self.task.cancel()
            await asyncio.wait([self.task], timeout=0.2)
        await self.redis.aclose()


_hubs: WeakKeyDictionary[asyncio.AbstractEventLoop, _Hub] = WeakKeyDictionary()


def _hub() -> _Hub:
    loop = asyncio.get_running_loop()
    if loop not in _hubs:
        _hubs[loop] = _Hub()
    return _hubs[loop]


async def subscribe(user_id: int, last_id: str) -> AsyncGenerator[Event | None, None]:
    """Events after ``last_id``, each once, and None after SILENCE_SECONDS of silence as a sign of life. Where the stream
    no longer reaches back to ``last_id``, or that is "", an event ``reload`` stands for what may have been missed.

    Ends when the reader is too slow or Redis goes away: whoever comes back with the last id misses nothing. Raises
    RedisError if Redis is away from the start."""
    hub, listener = _hub(), _Listener()
    hub.join(user_id, listener, last_id or "0-0")  # first of all, so that nothing falls between
    try:
        await asyncio.shield(hub.ready)
        for event in await _since(hub, user_id, last_id):
            last_id = event.id
            yield event
        last_id = last_id or "0-0"
        while not listener.ended:
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    event_or_end = await listener.queue.get()
            except TimeoutError:
                yield None
                continue
            if event_or_end and _order(event_or_end.id) > _order(last_id):
                last_id = event_or_end.id
                yield event_or_end
    finally:
        await hub.leave(user_id, listener)


async def _since(hub: _Hub, user_id: int, last_id: str) -> list[Event]:
    """What came after ``last_id``, or one ``reload`` if part of that is forgotten, or nobody knows whether it is."""
    async with hub.redis.pipeline() as pipe:
        pipe.xrange(_stream(user_id), "-", "+", count=1)
        pipe.xrange(_stream(user_id), f"({last_id or '0-0'}", "+", count=KEEP_EVENTS + 1)
        pipe.xrevrange(_stream(user_id), count=1)
        first, after, last = (_events(entries) for entries in await pipe.execute())
    if last_id == "0-0" and len(after) < KEEP_EVENTS:  # the stream was empty then
        return after
    if last_id and first and _order(first[0].id) <= _order(last_id):
        return after
    return [Event(last[0].id if last else "0-0", "reload", {})]
