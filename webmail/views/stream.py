"""Server-sent events: tells an open page that something changed.

The one thing here that speaks ASGI itself (see asgi.py). Django's handler keeps a thread, with a database connection, for
as long as an answer lasts; an open stream has to cost less than that. Threads are used to ask who somebody is, no longer.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qs

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from redis.exceptions import RedisError

from accounts.middleware import note_presence
from accounts.models import User
from webmail import events as bus

RETRY_MS = (2000, 5000)  # at random in between, so that after a restart not all pages come back at once
LOOK_AGAIN_SECONDS = 600.0  # how often it is asked whether the visitor is still signed in, and noted that they are here
HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-accel-buffering", b"no"),
    (b"content-encoding", b"identity"),  # compression would hold events back until its buffer is full
]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def nothing(request: HttpRequest) -> HttpResponse:
    """Where the stream's address is served as a page, there is no stream; 204 tells an EventSource to stop asking (HTML
    Living Standard §9.2)."""
    return HttpResponse(status=204)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Resumes after the event that the browser heard last (Last-Event-ID)."""
    user = await sync_to_async(_visitor, thread_sensitive=False)(scope)
    if user is None or scope["method"] != "GET":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    sending = asyncio.create_task(_send(scope, user, send))
    leaving = asyncio.create_task(_gone(receive))
    try:
        await asyncio.wait([sending, leaving], return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


def _visitor(scope: Scope) -> User | None:
    """Who asks, by their session; noted as present."""
    close_old_connections()
    request = ASGIRequest(scope, io.BytesIO())
    SessionMiddleware(nothing).process_request(request)
    user = get_user(request)
    if not isinstance(user, User):
        return None
    note_presence(user)
    return user


def _last_id(scope: Scope) -> str:
    """From where on; "" if that is unknown. The header is newer than the address, which is the page's."""
    header = dict(scope["headers"]).get(b"last-event-id", b"").decode("latin-1")
    asked = header or parse_qs(scope["query_string"].decode("latin-1")).get("after", [""])[0]
    return asked if re.fullmatch(r"[0-9]{1,19}-[0-9]{1,19}", asked) else ""


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(scope: Scope, user: User, send: Send) -> None:
    async with aclosing(_stream(scope, user)) as texts:
        async for text in texts:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _stream(scope: Scope, user: User) -> AsyncGenerator[str, None]:
    """Ends when the session does; a page that was signed out hears no more for long."""
    yield f"retry: {random.randint(*RETRY_MS)}\n\n"  # noqa: S311  (spreads load, no secret)
    looked = time.monotonic()
    try:
        async with aclosing(bus.subscribe(user.pk, _last_id(scope))) as heard:
            async for event in heard:
                if time.monotonic() - looked > LOOK_AGAIN_SECONDS:
                    if await sync_to_async(_visitor, thread_sensitive=False)(scope) != user:
                        return
                    looked = time.monotonic()
                yield _text(event)
    except RedisError:
        return  # the browser comes back


def _text(event: bus.Event | None) -> str:
    if event is None:
        return ": still here\n\n"
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"
