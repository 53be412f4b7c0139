"""COMPRESS=DEFLATE (RFC 4978): a connection that says the same in a third of the octets."""

from __future__ import annotations

import socket
import zlib

from webmail.protocols.errors import ProtocolError
from webmail.protocols.network import BLOCK

FRUITLESS = 100  # blocks in a row that may come without making a single octet


class Deflated:
    """Stands in for the socket below it. What it inflates goes out in the portions that are asked for, so that however
    much a few octets may become, no more of it is made than the bounds of the reader let pass."""

    def __init__(self, sock: socket.socket, early: bytes) -> None:
        """``early`` is what was read already beyond the line that agreed to this."""
        self._sock = sock
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        self._waiting = early  # not inflated yet
        self._held_back = False  # the inflater may have more ready than was asked for
        self.fileno, self.close = sock.fileno, sock.close
        self.gettimeout, self.settimeout, self.setblocking = sock.gettimeout, sock.settimeout, sock.setblocking

    def recv(self, size: int) -> bytes:
        for _ in range(FRUITLESS):
            if data := self._inflated(size):
                return data
            if self._inflate.eof or not (block := self._sock.recv(BLOCK)):
                return b""
            self._waiting = block
        raise ProtocolError("the server compresses nothing into much")

    def _inflated(self, size: int) -> bytes:
        try:
            data = self._inflate.decompress(self._waiting, size)
        except zlib.error as error:
            raise ProtocolError("what the server sends is not compressed as agreed") from error
        self._waiting = self._inflate.unconsumed_tail
        self._held_back = len(data) == size
        return data

    def pending(self) -> int:
        """As of ssl.SSLSocket: more than 0 if recv() has something without asking the system for it."""
        below = getattr(self._sock, "pending", None)
        return len(self._waiting) + self._held_back + (below() if below else 0)

    def sendall(self, data: bytes) -> None:
        self._sock.sendall(self._deflate.compress(data) + self._deflate.flush(zlib.Z_SYNC_FLUSH))
