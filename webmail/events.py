"""Tells open pages what changed: a Redis stream per user, read by server-sent events (views/stream.py).

An event is a kind and a few ids, never mail: a page that hears one asks for what it shows. Losing an event loses
nothing, the next page load shows the truth.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import redis
import redis.asyncio
from django.conf import settings

log = logging.getLogger(__name__)
KEEP_EVENTS = 500  # per user; a page away for longer reloads
KEEP_SECONDS = 24 * 3600
BLOCK_MS = 15_000


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
    """Kinds: ``mailbox`` (ids, arrived), ``operation``, ``outbox``, ``account``. Without Redis pages learn it later."""
    try:
        with _client().pipeline(transaction=False) as pipe:
            pipe.xadd(_stream(user_id), {"kind": kind, "data": json.dumps(data)}, maxlen=KEEP_EVENTS, approximate=True)
            pipe.expire(_stream(user_id), KEEP_SECONDS)
            pipe.execute()
    except redis.RedisError as error:
        log.warning("event %s not published: %s", kind, error)


def last_id(user_id: int) -> str:
    """The newest event's id. A page says from where on it listens, so that nothing falls between its making and its
    listening; "" without Redis."""
    try:
        newest: Any = _client().xrevrange(_stream(user_id), count=1)
    except redis.RedisError:
        return ""
    return newest[0][0].decode() if newest else "0-0"


def ping() -> bool:
    """True if Redis answers."""
    try:
        return bool(_client().ping())
    except redis.RedisError:
        return False


def mark_alive(process: str, seconds: int) -> None:
    """Remember for ``seconds`` that a background process runs; /healthz looks."""
    try:
        _client().set(f"postkasse:alive:{process}", "1", ex=seconds)
    except redis.RedisError as error:
        log.warning("%s could not report: %s", process, error)


def is_alive(process: str) -> bool:
    try:
        return bool(_client().exists(f"postkasse:alive:{process}"))
    except redis.RedisError:
        return False


async def subscribe(user_id: int, last_id: str) -> AsyncIterator[Event | None]:
    """Events after ``last_id`` ("$" means from now on), and None every BLOCK_MS of silence as a sign of life."""
    client = redis.asyncio.Redis.from_url(settings.REDIS_URL, socket_timeout=BLOCK_MS / 1000 + 5)
    try:
        if last_id == "$":
            newest: Any = await client.xrevrange(_stream(user_id), count=1)
            last_id = newest[0][0].decode() if newest else "0-0"
        while True:
            answer = await client.xread({_stream(user_id): last_id}, count=50, block=BLOCK_MS)
            if not answer:
                yield None
                continue
            for entry_id, fields in cast("list[Any]", answer)[0][1]:
                last_id = entry_id.decode()
                yield Event(last_id, fields[b"kind"].decode(), json.loads(fields[b"data"]))
    finally:
        await client.aclose()
