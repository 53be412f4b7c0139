"""A line between us and a server: it takes its time, breaks when told to, and counts what passes.

with Line(dovecot.pop3_port, cut_after=600) as line:
    store = POP3Store(Server("pop3", "localhost", line.port, Security.PLAIN), credentials)
"""

from __future__ import annotations

import contextlib
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

BLOCK = 64 * 1024


class Line:
    """``delay``: seconds in each direction. ``cut_after``: octets of both directions together after which every
    connection breaks, now and later, until ``mend()``. ``hold(words)``: once a client says this, nothing passes until
    ``let_go()``. ``up`` and ``down`` count octets to and from the server."""

    def __init__(self, port: int, delay: float = 0.0, cut_after: int | None = None) -> None:
        self._target = port
        self.delay = delay
        self.cut_after = cut_after
        self.up = self.down = self.turns = 0
        self._last_way = ""
        self._held_at: bytes | None = None
        self._times = 0
        self._passing = threading.Event()
        self._passing.set()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.let_go()
        self.cut()
        for thread in self._threads:
            thread.join(5)

    @property
    def octets(self) -> int:
        return self.up + self.down

    def mend(self) -> None:
        """What comes passes from now on."""
        self.cut_after = None

    def hold(self, words: bytes, times: int = 0) -> None:
        """Keep everything back from when these come along; so many ``times`` before they pass."""
        self._held_at, self._times = words, times

    def let_go(self) -> None:
        self._held_at = None
        self._passing.set()

    def cut(self) -> None:
        """Break every connection there is."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for sock in (client, server):
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._sockets += [client, server]
                for way, source, sink in (("up", client, server), ("down", server, client)):
                    waiting: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                    self._start(self._read, way, source, waiting)
                    self._start(self._write, waiting, sink)

    def _read(self, way: str, source: socket.socket, waiting: queue.SimpleQueue[tuple[float, bytes]]) -> None:
        block = b"-"
        while block:
            try:
                block = source.recv(BLOCK)
            except OSError:
                block = b""
            if way == "up" and self._held_at and self._held_at in block:
                self._times -= 1
                if self._times < 0:
                    self._passing.clear()
            waiting.put((time.monotonic() + self.delay, self._count(way, block)))

    def _count(self, way: str, block: bytes) -> bytes:
        """What of the block may pass."""
        with self._lock:
            if self.cut_after is not None:
                block = block[: max(0, self.cut_after - self.octets)]
            if way == "up":
                self.up += len(block)
                self.turns += self._last_way != "up"
            else:
                self.down += len(block)
            self._last_way = way
        return block

    def _write(self, waiting: queue.SimpleQueue[tuple[float, bytes]], sink: socket.socket) -> None:
        while True:
            at, block = waiting.get()
            time.sleep(max(0.0, at - time.monotonic()))
            self._passing.wait()
            try:
                if block:
                    sink.sendall(block)
            except OSError:
                block = b""
            if not block or (self.cut_after is not None and self.octets >= self.cut_after):
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_RDWR)
                if self.cut_after is not None:
                    self.cut()
                return


@contextlib.contextmanager
def line_of_its_own(port: int, delay: float) -> Iterator[int]:
    """A line in a process of its own, so that measuring is not slowed by it; its port."""
    command = [sys.executable, "-m", "tests.line", str(port), str(delay)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait(10)


if __name__ == "__main__":
    with Line(int(sys.argv[1]), float(sys.argv[2])) as opened:
        print(opened.port, flush=True)
        sys.stdin.read()
