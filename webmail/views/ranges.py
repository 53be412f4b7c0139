"""Parts of an answer, and answers that need not be given (RFC 9110 §13 and §14)."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.http import HttpRequest
from django.utils.http import parse_etags

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)


class Span(NamedTuple):
    """Octets from ``start`` up to ``stop``, of ``size``."""

    start: int
    stop: int
    size: int

    @property
    def content_range(self) -> str:
        return f"bytes {self.start}-{self.stop - 1}/{self.size}"


class Unsatisfiable(Exception):
    """Nothing of the range is there (RFC 9110 §15.5.17)."""


def asked(request: HttpRequest) -> bool:
    """Whether a part of the answer would do."""
    return request.method == "GET" and "Range" in request.headers


def span_of(request: HttpRequest, size: int, etag: str) -> Span | None:
    """Which octets are asked for; None: all of them, as also for several ranges at once and for a range of something
    that is another now (RFC 9110 §14.2, §13.1.5). Raises Unsatisfiable."""
    found = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if not asked(request) or found is None or found.group(1) == found.group(2) == "":
        return None
    if request.headers.get("If-Range", etag) != etag:
        return None
    first, last = found.groups()
    if not first:  # the last so many
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None  # not valid, so it is as if it were not there (RFC 9110 §14.1.1)
    if start >= stop:
        raise Unsatisfiable
    return Span(start, stop, size)


def unchanged(request: HttpRequest, etag: str) -> bool:
    """Whether the browser has it (RFC 9110 §13.1.2)."""
    known = parse_etags(request.headers.get("If-None-Match", "")) if request.method in ("GET", "HEAD") else []
    return "*" in known or any(one.removeprefix("W/") == etag for one in known)
