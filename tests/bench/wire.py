"""Octets and round trips on the IMAP connection for what people do, counted by a proxy between us and a real Dovecot.

    python -m tests.bench.wire [--size 20000]

Each with COMPRESS (RFC 4978) and without. A round trip is a turn of the conversation: we have spoken and wait.
"""

from __future__ import annotations

import argparse
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Self

from tests.bench.mail import fill
from tests.servers import PASSWORD, Dovecot
from webmail.protocols.base import Credentials, Server
from webmail.protocols.imap import IMAPStore, client

USER = "wire@bench.test"
PLAIN = frozenset({"COMPRESS=DEFLATE"})
POLLS = {
    "poll, nothing new, QRESYNC": frozenset[str](),
    "poll, nothing new, CONDSTORE": frozenset({"QRESYNC"}),
    "poll, nothing new, neither": frozenset({"QRESYNC", "CONDSTORE"}),
}
Figures = tuple[float, float, float]  # octets up, octets down, round trips


class Proxy:
    """Passes on what both sides say, one connection at a time, and counts it."""

    def __init__(self, port: int) -> None:
        self._behind = port
        self.up = self.down = self.turns = 0
        self._we_spoke = False

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _address = self._listener.accept()
            except OSError:
                return
            theirs = socket.create_connection(("127.0.0.1", self._behind))
            for one in (ours, theirs):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._pass_on, args=(ours, theirs, self._count_up), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(theirs, ours, self._count_down), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, count: Callable[[int], None]) -> None:
        try:
            while block := source.recv(65536):
                count(len(block))
                target.sendall(block)
        except OSError:
            pass  # either side hung up, and that ends it for both
        source.close()
        target.close()

    def _count_up(self, octets: int) -> None:
        self.up += octets
        self._we_spoke = True

    def _count_down(self, octets: int) -> None:
        self.down += octets
        self.turns += self._we_spoke
        self._we_spoke = False

    def during(self, act: Callable[[], object], per: int = 1) -> Figures:
        before = (self.up, self.down, self.turns)
        act()
        return (self.up - before[0]) / per, (self.down - before[1]) / per, (self.turns - before[2]) / per


def measure(proxy: Proxy, server: Server, without: frozenset[str], size: int) -> dict[str, Figures]:
    credentials = Credentials(USER, PASSWORD)
    stores: list[IMAPStore] = []

    def open_store(*without_too: Iterable[str]) -> IMAPStore:
        stores.append(IMAPStore(replace(server, without=without.union(*without_too)), credentials))
        return stores[-1]

    found = {"sign-in": proxy.during(open_store)}
    store = stores[0]
    found["folders and first page, 50 messages"] = proxy.during(lambda: (store.mailboxes(), store.newest("INBOX", 50)))
    created = store.changes("INBOX", None, {}).created
    known = {}
    found["back-fill, each message"] = proxy.during(
        lambda: known.update({message.uid: message.keywords for message in store.messages("INBOX", created)}), size
    )
    # The sizes of parts are known from the list; message 6 n + 1 of bench/mail.py is plain text.
    plain = created[-1]
    found["open a plain message (not cached)"] = proxy.during(lambda: list(store.body("INBOX", plain, "1")))
    found["open the next one"] = proxy.during(lambda: list(store.body("INBOX", created[-2], "1")))
    found["set a flag"] = proxy.during(lambda: store.set_keywords("INBOX", [plain], add=["$flagged"]))
    found["take it off again"] = proxy.during(lambda: store.set_keywords("INBOX", [plain], remove=["$flagged"]))
    for name, less in POLLS.items():
        other = open_store(less)
        state = other.changes("INBOX", None, known).state
        found[name] = proxy.during(lambda other=other, state=state: other.changes("INBOX", state, known))
    for one in stores:
        one.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=20000)
    size = parser.parse_args().size
    client.COMPRESS_ABOVE = -1.0  # loopback is faster than what is worth compressing for
    with (
        Dovecot(settings="protocol imap {\n mail_plugins = imap_zlib\n}\n") as dovecot,
        Proxy(dovecot.imap_port) as proxy,
    ):
        fill(dovecot, USER, size)
        server = dovecot.imap(port=proxy.port)
        plain, squeezed = (measure(proxy, server, without, size) for without in (PLAIN, frozenset[str]()))
    print(
        f"\n{f'{size:,} messages; octets':42}{'up':>8}{'down':>10}{'trips':>7}    with COMPRESS:{'up':>8}{'down':>10}{'trips':>7}"
    )
    for name in plain:
        (up, down, trips), (up_, down_, trips_) = plain[name], squeezed[name]
        print(f"{name:42}{up:>8,.0f}{down:>10,.0f}{trips:>7.2g}{'':18}{up_:>8,.0f}{down_:>10,.0f}{trips_:>7.2g}")


if __name__ == "__main__":
    main()
