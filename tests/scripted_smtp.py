"""An SMTP server that fails where a test tells it to: it hangs up, says nothing more, or answers a code of its choice.

with FailingSMTP() as server:
    server.fail("rcpt", 450)
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from tests.servers import Certificate

STEPS = ("connect", "ehlo", "starttls", "auth", "mail", "rcpt", "data", "message", "quit")
CLOSE, STALL = "close", "stall"
_WORDS = {b"EHLO": "ehlo", b"HELO": "ehlo", b"STARTTLS": "starttls", b"AUTH": "auth", b"MAIL": "mail", b"RCPT": "rcpt",
          b"DATA": "data", b"QUIT": "quit"}  # fmt: skip


class _End(Exception):
    """This connection is over."""


@dataclass
class FailingSMTP:
    """``extensions`` is what EHLO offers, and ``auth``; ``certificate`` makes it offer STARTTLS. ``accepted`` are the messages it said
    250 to, or would have said it to; ``commands`` all it was told; ``connections`` counts."""

    extensions: tuple[str, ...] = ("PIPELINING", "SIZE 1000000", "8BITMIME", "DSN", "ENHANCEDSTATUSCODES")
    certificate: Certificate | None = None
    auth: str = "AUTH PLAIN"
    accepted: list[bytes] = field(default_factory=list)
    commands: list[bytes] = field(default_factory=list)
    connections: int = 0
    _step: str = ""
    _action: int | str = 0
    _times: int = 0

    def fail(self, step: str, action: int | str, times: int = 1_000_000) -> None:
        self._step, self._action, self._times = step, action, times

    def behave(self) -> None:
        self._step = ""

    def __enter__(self) -> Self:
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        talk = _Talk(connection)
        with contextlib.suppress(OSError, _End):
            self._talk(talk)
        talk.close()

    def _talk(self, talk: _Talk) -> None:
        self._answer(talk, "connect", b"220 failing")
        secure = False
        while line := talk.lines.readline():
            self.commands.append(line)
            word = line.split()[0].upper() if line.strip() else b""
            if word == b"BDAT":
                self._chunk(talk, line)
            elif word == b"RSET":
                talk.body = b""
                talk.say(b"250 ok")
            elif word == b"EHLO":
                offered = [*self.extensions, *filter(None, [self.auth])]
                offered += ["STARTTLS"] if self.certificate and not secure else []
                self._answer(
                    talk, "ehlo", b"\r\n".join([b"250-failing", *(f"250-{e}".encode() for e in offered), b"250 HELP"])
                )
            elif word == b"STARTTLS" and self.certificate:
                if self._answer(talk, "starttls", b"220 go ahead"):
                    talk.secure(self.certificate.context())
                    secure = True
            elif word == b"DATA":
                if self._answer(talk, "data", b"354 go ahead"):
                    self._data(talk)
            elif word in _WORDS:
                replies = {"auth": b"235 in", "quit": b"221 bye"}
                self._answer(talk, _WORDS[word], replies.get(_WORDS[word], b"250 ok"))
            else:
                talk.say(b"502 what?")

    def _data(self, talk: _Talk) -> None:
        while (part := talk.lines.readline()) != b".\r\n":
            if not part:
                raise _End
            talk.body += part.removeprefix(b".")
        self._take(talk)

    def _chunk(self, talk: _Talk, line: bytes) -> None:
        words = line.split()
        size = int(words[1])
        octets = talk.lines.read(size)
        if len(octets) < size:
            raise _End
        talk.body += octets
        if words[-1].upper() == b"LAST":
            self._take(talk)
        else:
            talk.say(b"250 got it")

    def _take(self, talk: _Talk) -> None:
        """A message is here whole. One that is answered with an error is not taken."""
        body, talk.body = talk.body, b""
        if self._step != "message" or self._action in (CLOSE, STALL):
            self.accepted.append(body)
        self._answer(talk, "message", b"250 2.0.0 taken")

    def _answer(self, talk: _Talk, step: str, usual: bytes) -> bool:
        """False if it was told to answer something else."""
        if self._step != step or self._times <= 0:
            talk.say(usual)
            return True
        self._times -= 1
        if self._action == STALL:
            self._ended.wait(20)
            raise _End
        if self._action == CLOSE:
            raise _End
        talk.say(f"{self._action} as told".encode())
        if self._action == 421 or step in ("connect", "quit"):
            raise _End
        return False


class _Talk:
    def __init__(self, connection: socket.socket) -> None:
        self._socket: Any = connection
        self.lines = connection.makefile("rb")
        self.body = b""

    def say(self, line: bytes) -> None:
        self._socket.sendall(line + b"\r\n")

    def secure(self, context: ssl.SSLContext) -> None:
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self.lines = self._socket.makefile("rb")

    def close(self) -> None:
        self.lines.close()
        self._socket.close()
