"""The threads that make pages: the one that worked last works next, and all that is asked is done."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from webmail.pool import Pool

PATIENCE = 10.0


def busy(pool: Pool, number: int) -> tuple[threading.Event, list[Future[int]]]:
    """So many threads at work until the event is set; each tells which it was."""
    begun, over = threading.Barrier(number + 1), threading.Event()

    def work() -> int:
        begun.wait(PATIENCE)
        over.wait(PATIENCE)
        return threading.get_ident()

    found = [pool.submit(work) for _ in range(number)]
    begun.wait(PATIENCE)
    return over, found


def test_of_idle_threads_the_one_that_worked_last_works_next() -> None:
    pool = Pool(5)
    over, working = busy(pool, 3)
    over.set()
    assert len({future.result(PATIENCE) for future in working}) == 3
    assert len({pool.submit(threading.get_ident).result(PATIENCE) for _time in range(20)}) == 1


def test_what_is_asked_while_all_are_at_work_waits_for_one_and_is_done_in_order() -> None:
    pool, done = Pool(1), list[int]()
    over, working = busy(pool, 1)
    waiting = [pool.submit(done.append, number) for number in range(10)]
    assert done == []
    over.set()
    for future in waiting:
        future.result(PATIENCE)
    assert done == list(range(10))
    assert pool.submit(threading.get_ident).result(PATIENCE) == working[0].result()


def test_an_error_is_told_and_costs_no_thread() -> None:
    pool = Pool(1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 // 0).result(PATIENCE)
    assert pool.submit(lambda: 7).result(PATIENCE) == 7


def test_what_was_called_off_while_it_waited_is_not_done() -> None:
    pool, done = Pool(1), list[int]()
    over, _working = busy(pool, 1)
    called_off, wanted = pool.submit(done.append, 1), pool.submit(done.append, 2)
    assert called_off.cancel()
    over.set()
    wanted.result(PATIENCE)
    assert done == [2]
