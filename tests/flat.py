"""How much memory a piece of work takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def growth(work: Callable[[], T]) -> tuple[T, int]:
    """What ``work`` gives, and by how many octets the memory of this process was larger meanwhile at the most."""

    def now(what: str) -> int:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith(what))

    with open("/proc/self/clear_refs", "w") as refs:
        refs.write("5")  # VmHWM begins anew
    before = now("VmRSS")
    return work(), now("VmHWM") - before
