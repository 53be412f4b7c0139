"""Several programs in one terminal: started, watched, restarted, and ended together.

Each program runs in a session of its own, so that Ctrl-C reaches only us and they end in an order that we choose.
Its life:  waiting (for its moment to start) -> running -> waiting again after it died -> ... -> ended, by us.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO

COLOURS = (36, 35, 32, 33, 34)
PATIENCE = 5.0  # seconds a program gets to end by itself, before it is killed
AT_ONCE = 5.0  # seconds of life; who lives shorter did not really start
DEATHS_TOLERATED = 5  # in a minute; then a minute of rest
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class GaveUp(Exception):
    """A program that the rest cannot do without will not start; says which, and its last words."""


@dataclass
class Program:
    """``vital``: its dying at once, three times, ends everything."""

    name: str
    command: Sequence[str]
    vital: bool = False
    process: subprocess.Popen[bytes] | None = None
    start_at: float | None = None
    started: float = 0.0
    quick_deaths: int = 0
    deaths: deque[float] = field(default_factory=deque)
    last_lines: deque[str] = field(default_factory=lambda: deque(maxlen=12))
    unfinished: bytes = b""


class Supervisor:
    """Owns the programs and the terminal."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.programs: dict[str, Program] = {}
        self.ending = False
        self._selector = selectors.DefaultSelector()
        self._coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._interrupted = 0

    def catch_signals(self) -> None:
        """From now on Ctrl-C, SIGTERM and a closed terminal end ``run``; a second one kills."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        # A signal must end a wait in select(): Python writes a byte here when one arrives.
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        self._selector.register(reader, selectors.EVENT_READ, None)

    def _interrupt(self, number: int, frame: object) -> None:
        self._interrupted += 1

    @property
    def interrupted(self) -> bool:
        return self._interrupted > 0

    def start(self, program: Program) -> None:
        self.programs[program.name] = program
        program.start_at = 0.0
        self.turn(0)

    def turn(self, seconds: float) -> None:
        """One turn of the loop: wait up to ``seconds`` for output or a signal, then start and restart what is due."""
        for key, _ in self._selector.select(max(seconds, 0)):
            if key.data is None:
                os.read(key.fd, 1024)
            else:
                self._read(key.data, key.fileobj)  # type: ignore[arg-type]
        for program in self.programs.values():
            if program.process and program.process.poll() is not None:
                self._bury(program)
            if program.start_at is not None and time.monotonic() >= program.start_at and not self.ending:
                self._spawn(program)

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> bool:
        """True when ``ready()`` holds; False after ``seconds`` or when interrupted."""
        deadline = time.monotonic() + seconds
        while not self.interrupted and time.monotonic() < deadline:
            if ready():
                return True
            self.turn(0.1)
        return False

    def run(self) -> None:
        """Until interrupted."""
        while not self.interrupted:
            self.turn(1.0)

    def end(self, order: Sequence[Sequence[str]]) -> None:
        """End the programs named and whatever they started: group after group, those of one group at the same time."""
        self.ending = True
        for group in order:
            self._end_group([program for name in group if (program := self.programs.get(name)) and program.process])

    def _end_group(self, programs: list[Program]) -> None:
        processes = [program.process for program in programs if program.process]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + PATIENCE
        while any(process.poll() is None for process in processes):
            if time.monotonic() > deadline or self._interrupted > 1:
                break
            self.turn(0.05)
        for process in processes:
            _kill_group(process)  # itself if it did not end, and any it left behind
            process.wait()
            if process.stdout and not process.stdout.closed:
                self._selector.unregister(process.stdout)
                process.stdout.close()

    def _spawn(self, program: Program) -> None:
        program.start_at = None
        program.started = time.monotonic()
        program.last_lines.clear()
        program.process = subprocess.Popen(  # noqa: S603  (commands of our own)
            program.command,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
        assert program.process.stdout
        os.set_blocking(program.process.stdout.fileno(), False)
        self._selector.register(program.process.stdout, selectors.EVENT_READ, program)

    def _bury(self, program: Program) -> None:
        """Say that it died, and when it starts again."""
        process = program.process
        assert process
        if self.ending:
            return
        if process.stdout and not process.stdout.closed:
            self._read(program, process.stdout, last=True)
        _kill_group(process)
        program.process = None
        now = time.monotonic()
        program.quick_deaths = program.quick_deaths + 1 if now - program.started < AT_ONCE else 0
        if program.vital and program.quick_deaths >= 3:
            raise GaveUp(
                f"{program.name} does not start. Its last words:\n"
                + "\n".join(f"    {line}" for line in program.last_lines)
            )
        program.deaths.append(now)
        while now - program.deaths[0] > 60:
            program.deaths.popleft()
        wait = 60 if len(program.deaths) > DEATHS_TOLERATED else 2 ** (len(program.deaths) - 1)
        program.start_at = now + wait
        self.say(f"{program.name} ended ({_cause(process.returncode)}); starting it again in {wait} s.")

    def _read(self, program: Program, stream: IO[bytes], last: bool = False) -> None:
        while True:
            data = os.read(stream.fileno(), 65536) if _readable(stream) else None
            if data:
                program.unfinished += data
            if data == b"" or (data is None and last):
                self._selector.unregister(stream)
                stream.close()
                break
            if data is None:
                break
        *lines, program.unfinished = program.unfinished.split(b"\n")
        for line in lines:
            self._show(program, line.decode("utf-8", "replace").rstrip())

    def _show(self, program: Program, line: str) -> None:
        if not line or self.ending:  # what programs say on being ended is of no use to anyone
            return
        program.last_lines.append(line)
        label = f"{program.name:<6} |"
        if self._coloured:
            label = f"\033[{COLOURS[list(self.programs).index(program.name) % len(COLOURS)]}m{label}\033[0m"
        self.say(f"{label} {line}")

    def say(self, text: str) -> None:
        try:
            print(text, flush=True)  # noqa: T201  (the terminal is what this is for)
        except OSError:  # the terminal is gone; SIGHUP follows
            self._interrupted += 1


def _readable(stream: IO[bytes]) -> bool:
    with selectors.DefaultSelector() as once:
        once.register(stream, selectors.EVENT_READ)
        return bool(once.select(0))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody left; macOS says the second of a group of the dead
        os.killpg(process.pid, signal.SIGKILL)


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux: a hook for the child that has the kernel end it when we are gone, even by kill -9."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def hook() -> None:
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)

    return hook
