"""Server-sent events: tells an open page that something changed. The one async view (see asgi.py)."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from redis.exceptions import RedisError

from webmail import events as bus

RETRY_MS = 3000


async def events(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Resumes after the event that the browser heard last (Last-Event-ID)."""
    user = await request.auser()
    if not user.is_authenticated:
        return HttpResponse(status=204)  # tells an EventSource to stop asking (HTML Living Standard §9.2)
    last_id = request.headers.get("Last-Event-ID") or request.GET.get("after", "")
    response = StreamingHttpResponse(
        _stream(user.pk, last_id if re.fullmatch(r"\d+-\d+", last_id) else "$"), content_type="text/event-stream"
    )
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    response["Content-Encoding"] = "identity"  # compression would hold events back until its buffer is full
    return response


async def _stream(user_id: int, last_id: str) -> AsyncIterator[str]:
    yield f"retry: {RETRY_MS}\n\n"
    try:
        async for event in bus.subscribe(user_id, last_id):
            if event is None:
                yield ": still here\n\n"
            else:
                yield f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"
    except RedisError:
        return  # the browser comes back after RETRY_MS
