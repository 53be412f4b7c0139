"""What need not be done before the person has their answer, such as telling a worker: what it is about is committed by
then, and whoever looks for what nobody was told of finds it if this process dies in between."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from django.core.signals import request_finished, request_started

log = logging.getLogger(__name__)
_here = threading.local()  # a page is made from its beginning to its end by one thread


def afterwards(act: Callable[[], object]) -> None:
    """Do it once the response of this request has been sent; at once where no request is being answered."""
    waiting: list[Callable[[], object]] | None = getattr(_here, "waiting", None)
    if waiting is None:
        act()
    else:
        waiting.append(act)


def _begin(**_: Any) -> None:
    _finish()  # of a response that nobody closed
    _here.waiting = []


def _finish(**_: Any) -> None:
    waiting, _here.waiting = getattr(_here, "waiting", None), None
    for act in waiting or ():
        try:
            act()
        except Exception:  # the others are done all the same, and the answer is out
            log.exception("after a response")


request_started.connect(_begin)
request_finished.connect(_finish)
