"""A store between us and a server that fails, lies and dies when told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from webmail.protocols.base import Changes, MailStore
from webmail.protocols.errors import MailError, ProtocolError, Unavailable, Unreachable


class Crash(BaseException):
    """The process dies here: nothing that catches errors catches this."""


FAULTS: dict[str, Callable[[], BaseException]] = {
    "dropped": lambda: Unreachable("the connection was lost"),
    "busy": lambda: Unavailable("try again later", "UNAVAILABLE"),
    "garbled": lambda: ProtocolError("nothing that makes sense"),
    "crash": lambda: Crash(),
}
LIES = ("no folders", "only inbox", "all gone")


@dataclass
class Plan:
    """``strike``: after so many calls, before or after the server has done what was asked, this fault. ``lie``: the next
    answer that can be one is this lie."""

    countdown: int | None = None
    fault: str = "dropped"
    after: bool = False
    lie: str = ""
    calls: list[str] = field(default_factory=list)

    def heal(self) -> None:
        self.countdown, self.lie = None, ""

    def before_call(self, name: str) -> bool:
        """Raises the fault if it is its turn; True if it is to come after this call."""
        self.calls.append(name)
        if self.countdown is None:
            return False
        self.countdown -= 1
        if self.countdown >= 0:
            return False
        self.countdown = None
        if not self.after:
            raise FAULTS[self.fault]()
        return True


class FaultyStore:
    """base.MailStore around another."""

    def __init__(self, store: MailStore, plan: Plan) -> None:
        self._store = store
        self._plan = plan
        self._dead = False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        if not callable(value) or name in ("close", "expect"):
            return value
        return lambda *arguments, **named: self._call(name, value, arguments, named)

    def alive(self) -> bool:
        return not self._dead and self._store.alive()

    def _call(self, name: str, method: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if self._dead:
            raise Unreachable("the connection was lost earlier")
        try:
            strikes = self._plan.before_call(name)
            answer = self._lie(name, arguments) or method(*arguments, **named)
            if isinstance(answer, Iterator):
                return self._streamed(answer, strikes)
            if strikes:
                raise FAULTS[self._plan.fault]()
            return answer
        except (MailError, Crash) as error:
            self._dead = self._dead or getattr(error, "connection_lost", True)
            if self._dead:
                self._store.close()
            raise

    def _streamed(self, answer: Iterator[Any], strikes: bool) -> Iterator[Any]:
        for number, item in enumerate(answer):
            if strikes and number == 1:
                self._dead = True
                self._store.close()
                raise FAULTS[self._plan.fault]()
            yield item

    def _lie(self, name: str, arguments: tuple[Any, ...]) -> Any:
        lie = self._plan.lie
        if name == "mailboxes" and lie in ("no folders", "only inbox"):
            self._plan.lie = ""
            return [m for m in self._store.mailboxes() if lie == "only inbox" and m.role == "inbox"] or []
        if name == "changes" and lie == "all gone" and arguments[1]:
            self._plan.lie = ""
            return Changes(arguments[1], destroyed=tuple(arguments[2]))
        return None
