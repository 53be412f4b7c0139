"""Processes that work on one outbox and can be killed at any point of it, without a word in the program for that.

Run as a program: it makes a database of its own, then does what it is told by lines of JSON. Workers are forked from it, so
that each is a process of its own and costs no start. A point is a function of the program; a worker that is to die there has
that function replaced by one that kills it, before or after the real one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent.parent
# Between the click and the copy in Sent, in order: where, what, and whether before or after it.
POINTS = (
    "webmail.outbox.sending:claim before", "webmail.outbox.sending:claim after",
    "webmail.outbox.line:Line.way before", "webmail.outbox.line:Line.way after",
    "webmail.protocols.smtp:SMTPTransport._authenticate before", "webmail.protocols.smtp:SMTPTransport._envelope before",
    "webmail.protocols.smtp:SMTPTransport._envelope after", "webmail.outbox.sending:_begin before",
    "webmail.outbox.sending:_begin after", "webmail.protocols.smtp:SMTPTransport._push after",
    "webmail.protocols.smtp:SMTPTransport._finish before", "webmail.protocols.smtp:SMTPTransport._finish after",
    "webmail.outbox.sending:_sent before", "webmail.outbox.sending:_sent after",
    "webmail.outbox.filing:_claim before", "webmail.outbox.filing:_claim after",
    "webmail.outbox.filing:_filed_already after", "webmail.outbox.filing:_append after",
    "webmail.outbox.filing:let_go before", "webmail.outbox.filing:let_go after",
)  # fmt: skip
MAY_HAVE_LEFT = POINTS[8:13]


class Rig:
    """The program below, from the side of a test."""

    def __init__(self, data: Path, domains: Mapping[str, Mapping[str, str]]) -> None:
        table = "\n".join(
            f"[domains.{json.dumps(domain)}]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in entry.items())
            for domain, entry in domains.items()
        )
        (data / "servers.toml").write_text(table)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("WEBMAIL_", "PYTEST"))}
        self._environment = {
            **kept, "WEBMAIL_DATA": str(data), "WEBMAIL_SERVERS": str(data / "servers.toml"), "WEBMAIL_DEMO": "0",
            "DJANGO_SETTINGS_MODULE": "webmail.settings", "REDIS_URL": f"unix://{data}/none.sock", "PYTHONPATH": str(ROOT),
            "WEBMAIL_LOG": "critical",
        }  # fmt: skip
        self._environment.pop("DATABASE_URL", None)

    def __enter__(self) -> Self:
        self._program = subprocess.Popen(
            [sys.executable, "-m", "tests.outbox.rig"], cwd=ROOT, env=self._environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._program.stdin
        assert self._program.stdout
        self._program.stdin.close()
        self._program.wait(10)
        self._program.stdout.close()

    def tell(self, what: str, **arguments: Any) -> Any:
        assert self._program.stdin
        assert self._program.stdout
        self._program.stdin.write(json.dumps({"what": what, **arguments}) + "\n")
        self._program.stdin.flush()
        line = self._program.stdout.readline()
        assert line, f"the program ended at {what}"
        return json.loads(line)


# --- the program ------------------------------------------------------------------------------------------------------


def write(address: str, subject: str, incoming: str, outgoing: str, to: str = "ola@example.org") -> int:
    """A submission of an account that is made if there is none."""
    from accounts.models import Account, Identity, User
    from tests.servers import PASSWORD
    from webmail import compose, outbox
    from webmail.models import Mailbox

    account = Account.objects.filter(address=address).first()
    if account is None:
        user = User.objects.create_user(address, undo_send=0)
        account = Account(user=user, address=address, username=address, incoming=incoming, outgoing=outgoing)
        account.remember(PASSWORD)
        account.save()
        Identity.objects.create(account=account, address=address, is_default=True)
        Mailbox.objects.create(account=account, name="Sent", remote_name="Sent", role="sent")
    draft = compose.new(account.user, to=to, subject=subject, text="Hello\n" * 10)
    return outbox.submit(account.user, compose.save(draft)).pk


def come_due(number: int) -> None:
    """What waits for its next try has waited long enough."""
    from django.utils import timezone

    from webmail.models import Submission, SubmissionState

    waiting = Submission.objects.filter(pk=number, state=SubmissionState.WAITING)
    waiting.update(not_before=timezone.now())


def work(numbers: list[int], point: str = "", recover: bool = False) -> list[int]:
    """A worker for each submission, all at once; how each ended (minus nine: killed)."""
    from django.db import connections

    connections.close_all()
    children = []
    for number in numbers:
        child = os.fork()
        if child == 0:
            try:
                _work(number, point, recover)
            except BaseException:  # noqa: BLE001  (told by the exit code)
                os._exit(1)
            os._exit(0)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _work(number: int, point: str, recover: bool) -> None:
    from webmail import outbox

    if point:
        _die_at(point)
    if recover:
        outbox.recover()
    outbox.process(number)


def _die_at(point: str) -> None:
    import importlib

    place, when = point.split()
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for one in outer:
        owner = getattr(owner, one)
    real: Callable[..., Any] = getattr(owner, name)

    def die(*arguments: Any, **named: Any) -> Any:
        if when == "after":
            real(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, name, die)


def state(number: int) -> dict[str, Any]:
    from webmail.models import Submission

    row = Submission.objects.get(pk=number)
    return {"state": row.state, "filing": row.filing, "gone": not row.raw, "attempts": row.attempts}


def main() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    verbs: dict[str, Callable[..., Any]] = {"write": write, "come_due": come_due, "work": work, "state": state}
    for line in sys.stdin:
        told = json.loads(line)
        print(json.dumps(verbs[told.pop("what")](**told)), flush=True)


if __name__ == "__main__":
    main()
