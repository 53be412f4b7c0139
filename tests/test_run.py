"""``manage.py dev``, which is ``make run``: that it comes up, ends whole, recovers, and says plainly what is wrong."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app import eventually
from webmail.management.supervisor import GaveUp, Program, Supervisor

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0  # seconds; it takes about five, on an idle machine
pytestmark = pytest.mark.xdist_group("run")


def environment(data: Path, **more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "DATABASE_URL")}
    inherited = {name: value for name, value in inherited.items() if not name.startswith(("WEBMAIL_", "PYTEST", "COV"))}
    return {**inherited, "WEBMAIL_DATA": str(data), "WEBMAIL_DEMO_IMAP": "0", "WEBMAIL_DEMO_SMTP": "0", **more}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(ready: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.1)


class Running:
    """``manage.py dev`` in a data folder, its output in ``lines``."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "manage.py"), "dev"],
            env=environment(data, WEBMAIL_PORT=str(self.port)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        with self.process.stdout as output:
            self.lines.extend(iter(output.readline, ""))

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_until_ready(self) -> None:
        wait_for(lambda: "Ctrl-C ends everything" in self.output or self.process.poll() is not None, self.output)
        assert self.process.poll() is None, self.output

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, f"{error}\n{self.output}"

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.wait(PATIENCE)
        self.reader.join(PATIENCE)
        return self.process.returncode

    def members(self) -> list[str]:
        """Command lines of the processes that work on this data folder."""
        mark = f"WEBMAIL_DATA={self.data}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # gone meanwhile, or another user's
                continue
        return found


@pytest.fixture
def start() -> Iterator[Callable[[Path], Running]]:
    started: list[Running] = []

    def start_one(data: Path) -> Running:
        started.append(Running(data))
        return started[-1]

    yield start_one
    for running in started:
        if running.process.poll() is None:
            running.end(signal.SIGTERM)


def test_it_comes_up_and_one_interrupt_ends_all_of_it(start: Callable[[Path], Running], tmp_path: Path) -> None:
    running = start(tmp_path / "a folder")
    running.wait_until_ready()
    assert f"http://127.0.0.1:{running.port}/" in running.output
    assert "kari@postkasse.test" in running.output
    status, page = running.get("/sign-in/")
    assert status == 200, page
    assert 'name="address"' in page
    wait_for(lambda: running.get("/healthz")[0] == 200, "a healthy answer")
    assert isinstance(json.loads(running.get("/healthz")[1]), dict)
    assert len(running.members()) > 4

    assert running.end(signal.SIGINT) == 0
    assert running.members() == []
    assert "Traceback" not in running.output
    assert "Warning" not in running.output


def test_it_recovers_from_being_killed(start: Callable[[Path], Running], tmp_path: Path) -> None:
    data = tmp_path / ("a long name " * 9).strip()  # its socket path is too long for the kernel
    first = start(data)
    first.wait_until_ready()
    first.end(signal.SIGKILL)
    wait_for(lambda: first.members() == [], "the children to end with their parent")

    second = start(data)
    second.wait_until_ready()
    wait_for(lambda: second.get("/healthz")[0] == 200, "a healthy answer")
    assert second.end(signal.SIGTERM) == 0
    assert second.members() == []
    assert "Traceback" not in second.output


def test_a_program_that_dies_is_started_again(capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor(dict(os.environ))
    supervisor.start(Program("odd", ["sh", "-c", "echo my last words; exit 3"]))
    told = ""

    def died_twice() -> bool:
        nonlocal told
        told += capsys.readouterr().out
        return told.count("odd ended") == 2

    assert supervisor.wait_until(died_twice, PATIENCE)
    assert "odd ended (exit code 3); starting it again in 1 s." in told
    assert "odd ended (exit code 3); starting it again in 2 s." in told
    supervisor.end([["odd"]])


def test_one_that_the_rest_needs_is_given_up_with_its_last_words() -> None:
    supervisor = Supervisor(dict(os.environ))
    supervisor.start(Program("vital", ["sh", "-c", "echo my last words; exit 3"], vital=True))
    with pytest.raises(GaveUp, match=r"vital does not start(.|\n)*my last words"):
        supervisor.wait_until(lambda: False, PATIENCE)


def test_what_does_not_end_by_itself_is_killed_with_all_it_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("webmail.management.supervisor.PATIENCE", 0.2)
    supervisor = Supervisor({**os.environ, "WEBMAIL_DATA": str(tmp_path)})
    supervisor.start(Program("deaf", ["sh", "-c", "trap '' TERM; echo listening; sleep 1000 & sleep 1000"]))
    assert supervisor.wait_until(lambda: "listening" in supervisor.programs["deaf"].last_lines, PATIENCE)
    deaf = supervisor.programs["deaf"].process
    assert deaf
    supervisor.end([["deaf"]])
    eventually(lambda: living(deaf.pid) == [], "the killed ones to be gone")  # the kernel takes its time


def living(group: int) -> list[str]:
    """The processes of a process group, without the dead whom nobody has buried yet; see proc(5)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = entry.read_text().rpartition(") ")[2].split()[:3]
        except OSError:  # gone meanwhile
            continue
        if int(its_group) == group and state != "Z":
            found.append(entry.parent.name)
    return found


def said_in_one_line(data: Path, **settings: str) -> str:
    """What it says and ends with, when it cannot start."""
    command = [sys.executable, str(ROOT / "manage.py"), "dev"]
    port = settings.pop("WEBMAIL_PORT", str(free_port()))
    answer = subprocess.run(
        command, env=environment(data, WEBMAIL_PORT=port, **settings), capture_output=True, text=True, timeout=PATIENCE
    )
    assert answer.returncode != 0
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == 1, answer.stderr
    return lines[0]


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        line = said_in_one_line(tmp_path, WEBMAIL_PORT=str(taken.getsockname()[1]))
    assert "WEBMAIL_PORT" in line


def test_a_second_one_on_the_same_data_is_one_line(tmp_path: Path) -> None:
    with (tmp_path / "dev.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        line = said_in_one_line(tmp_path)
    assert "already runs" in line
    assert "WEBMAIL_DATA" in line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "nonsense"),
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/none"),
        ("REDIS_URL", "redis://127.0.0.1:1/0"),
        ("WEBMAIL_SERVERS", "/no/such/table.toml"),
        ("WEBMAIL_PORT", "eight"),
        ("WEBMAIL_LOG", "loud"),
    ],
)
def test_broken_configuration_is_one_line_that_names_it(tmp_path: Path, name: str, value: str) -> None:
    assert name in said_in_one_line(tmp_path, **{name: value})
