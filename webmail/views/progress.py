"""How far the fetching of an account's mail is, in words. An open page counts on by itself (static/js/progress.js): it is
told of each step, and has these sentences without their numbers in attributes of its body."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.formats import number_format
from django.utils.translation import gettext as _

from accounts.models import Account


@dataclass(frozen=True, slots=True)
class Progress:
    """``account`` is None for several together. ``rate`` is messages a second, 0 while that is not known."""

    account: int | None
    label: str
    colour: int
    done: int
    total: int
    rate: int

    @property
    def counted(self) -> str:
        return _("{done} of {total}").format(done=grouped(self.done), total=grouped(self.total))

    @property
    def speed(self) -> str:
        """How fast, and how long it takes still; "" while that is not known."""
        if not self.rate:
            return ""
        rate = _("{n} a second").format(n=grouped(self.rate))
        return f"{rate} · {self._left()}"

    def _left(self) -> str:
        seconds = max(0, self.total - self.done) / self.rate
        if seconds < 90:
            return _("{n} s left").format(n=grouped(round(seconds)))
        if seconds < 90 * 60:
            return _("{n} min left").format(n=grouped(round(seconds / 60)))
        return _("{n} h left").format(n=grouped(round(seconds / 3600)))


def grouped(number: int) -> str:
    return number_format(number, use_l10n=True, force_grouping=True)


def of(accounts: Iterable[Account]) -> list[Progress]:
    """Of those whose mail is being fetched."""
    return [
        Progress(a.pk, a.label, a.colour, min(a.sync_done, a.sync_total), a.sync_total, a.sync_rate)
        for a in accounts
        if a.sync_total and not a.paused
    ]


def together(each: list[Progress]) -> Progress | None:
    if not each:
        return None
    return Progress(None, "", 0, sum(p.done for p in each), sum(p.total for p in each), sum(p.rate for p in each))
