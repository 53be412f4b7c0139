"""The threads that make pages. Of those that are idle, the one that worked last works next: its connection to the database
has planned what pages ask, and its caches are warm. A pool that takes turns has the same to learn in each of its threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import Any

Work = tuple[Future[Any], Callable[[], Any]]


class Pool(Executor):
    """At most ``most`` threads, started when all others are at work; what is over that waits in line. They end with the
    process."""

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()
        self._idle: list[SimpleQueue[Work]] = []  # where each of them waits for work; who worked last stands last
        self._line: deque[Work] = deque()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        work: Work = (Future(), partial(fn, *args, **kwargs))
        with self._lock:
            if self._idle:
                self._idle.pop().put(work)
            elif self._left:
                self._left -= 1
                threading.Thread(target=self._run, args=(work,), daemon=True).start()
            else:
                self._line.append(work)
        return work[0]

    def _run(self, work: Work | None) -> None:
        inbox: SimpleQueue[Work] = SimpleQueue()
        while True:
            tell = _done(*(work or inbox.get()))
            with self._lock:
                work = self._line.popleft() if self._line else None
                if work is None:
                    self._idle.append(inbox)
            tell()  # now that whoever hears it finds this thread idle


def _done(future: Future[Any], act: Callable[[], Any]) -> Callable[[], None]:
    """Do it; how to tell what came of it."""
    if not future.set_running_or_notify_cancel():
        return lambda: None
    try:
        return partial(future.set_result, act())
    except BaseException as error:  # noqa: BLE001  (whoever waits for it is told)
        return partial(future.set_exception, error)
