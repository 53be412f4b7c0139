"""A server that says what a transcript tells it to, for what no decent server would say.

A transcript is a list of steps: ``bytes`` are sent; a ``str`` is a pattern that the next line from the client must
match, whose tag then stands for ``TAG`` in what is sent; END closes the connection."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from webmail.protocols.base import Security, Server

END = object()
Step = bytes | str | object


class Scripted:
    """Plays one transcript to each connection in turn."""

    def __init__(self, *transcripts: Sequence[Step]) -> None:
        self._transcripts = transcripts
        self.heard: list[bytes] = []
        self.mismatch = ""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)
        if kind is None:
            assert not self.mismatch, self.mismatch

    def server(self, protocol: str = "imap", security: Security = Security.PLAIN) -> Server:
        port = self._listener.getsockname()[1]
        return Server(protocol, "localhost", port, security, ("127.0.0.1",), timeout=10.0)

    def _serve(self) -> None:
        for transcript in self._transcripts:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(10)
                self._play(connection, transcript)

    def _play(self, connection: socket.socket, transcript: Sequence[Step]) -> None:
        tag = b""
        with connection.makefile("rb") as lines:
            for step in transcript:
                if step is END:
                    return
                if isinstance(step, bytes):
                    connection.sendall(step.replace(b"TAG", tag))
                    continue
                line = lines.readline()
                self.heard.append(line)
                tag = line.partition(b" ")[0]
                if not re.search(str(step).encode(), line, re.IGNORECASE):
                    self.mismatch = self.mismatch or f"{step!r} was expected, not {line!r}"
                    return
            lines.readline()  # a farewell perhaps; then hang up
