"""The first minutes of an account: FETCH, parse, thread, store; beside what others make of the same mailbox.

    python -m tests.bench.fetch [--sizes 20000,100000]

Each figure comes from a process of its own, on a Dovecot whose caches are warm, without network latency:

imapclient      fetches and parses UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE
raw socket      reads the answers to the same items, and to ours (header fields as a literal), and looks at nothing
fetch           our adapter: messages as values of the seam
back-fill       all of a sync: fetched, parsed, threaded, stored in SQLite
first page      signing in until the newest 50 are stored
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.mail import fill
from tests.redis_server import redis_server
from tests.servers import PASSWORD, Dovecot

DOMAIN = "bench.test"
ENVELOPE = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE"
STEP = 1000  # messages in one FETCH of the others
GOAL = 2.0  # times imapclient's rate
GOAL_FIRST_PAGE = 1.0  # seconds, with 100,000 messages
Figures = dict[str, float]


def _imapclient(port: int, user: str, size: int) -> Figures:
    import imapclient

    with imapclient.IMAPClient("127.0.0.1", port, ssl=False) as client:
        client.login(user, PASSWORD)
        client.select_folder("INBOX", readonly=True)
        uids = client.search("ALL")
        began, spent = time.perf_counter(), time.process_time()
        for start in range(0, size, STEP):
            assert len(client.fetch(uids[start : start + STEP], ENVELOPE.split())) == min(STEP, size - start)
        return {"rate": size / (time.perf_counter() - began), "cpu": (time.process_time() - spent) / size}


def _raw(port: int, user: str, size: int, items: bytes) -> float:
    """Commands are sent ahead, as much as is sensible, and only the tagged lines are looked for."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"L LOGIN %s %s\r\nS EXAMINE INBOX\r\n" % (user.encode(), PASSWORD.encode()))
        _until(sock, b"\r\nS OK")
        began = time.perf_counter()
        for start in range(1, size + 1, STEP):
            sock.sendall(b"F FETCH %d:%d (%s)\r\n" % (start, min(start + STEP - 1, size), items))
            _until(sock, b"\r\nF OK")
        return size / (time.perf_counter() - began)


def _until(sock: socket.socket, end: bytes) -> None:
    last = b""
    while end not in last:
        block = sock.recv(1 << 18)
        assert block, "the server hung up"
        last = last[-80:] + block


def _raw_socket(port: int, user: str, size: int) -> Figures:
    from webmail.protocols.imap.fetch import FIELDS, HEADER_LIMIT

    ours = b"UID FLAGS RFC822.SIZE INTERNALDATE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (%s)]<0.%d>" % (
        FIELDS, HEADER_LIMIT,
    )  # fmt: skip
    return {"envelope": _raw(port, user, size, ENVELOPE.encode()), "ours": _raw(port, user, size, ours)}


def _fetch(port: int, user: str, size: int) -> Figures:
    from webmail.protocols.base import Credentials, Security, Server
    from webmail.protocols.imap import IMAPStore

    server = Server("imap", "localhost", port, Security.PLAIN, ("127.0.0.1",))
    with IMAPStore(server, Credentials(user, PASSWORD)) as store:
        uids = store.changes("INBOX", None, {}).created
        memory, began, spent = _memory(), time.perf_counter(), time.process_time()
        most = memory
        for count, _message in enumerate(store.messages("INBOX", uids), 1):
            most = max(most, _memory()) if count % 10_000 == 0 else most
        took = time.perf_counter() - began
        assert count == size
        return {"rate": size / took, "cpu": (time.process_time() - spent) / size, "memory": most - memory}


def _memory() -> float:
    """What this process has allocated, MB; the database's file, which the system keeps in memory too, is not ours."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def _back_fill(port: int, user: str, size: int) -> Figures:
    account = _account(port, user)
    from webmail import sync
    from webmail.celery import leave_the_program_to_itself
    from webmail.models import Message, ThreadId

    began = time.perf_counter()
    with account.open_store() as store:
        sync.first_page(account, store)
    first_page = time.perf_counter() - began
    assert Message.objects.count() == min(size, 50)
    done: list[tuple[float, float, float]] = []  # time, CPU, memory after each batch
    leave_the_program_to_itself()
    memory, began, spent = _memory(), time.perf_counter(), time.process_time()
    sync.sync_account(account, lambda *_: done.append((time.perf_counter(), time.process_time(), _memory())))
    assert Message.objects.count() == size
    assert ThreadId.objects.count() >= size
    pauses = [after[0] - before[0] for before, after in itertools.pairwise(done)]
    return {
        "first page": first_page,
        "rate": size / (done[-1][0] - began),
        "cpu": (done[-1][1] - spent) / size,
        "memory": max(memory for _time, _cpu, memory in done) - memory,
        "batch": max(pauses, default=0.0),
        "threads": len(set(Message.objects.values_list("thread_id", flat=True))),
    }


def _account(port: int, user: str):  # type: ignore[no-untyped-def]
    """An account in a database of this process's own."""
    data = Path(os.environ["WEBMAIL_DATA"])
    servers = data / "servers.toml"
    entry = f'[domains."{DOMAIN}"]\nincoming = "imap://localhost:{port}"\noutgoing = "smtp://localhost:{port}"\n'
    servers.write_text(entry)
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "webmail.settings",
        "WEBMAIL_SERVERS": str(servers),
        "WEBMAIL_DEMO": "0",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from accounts.models import Account, Keep, User

    account = Account(
        user=User.objects.create(handle=user), address=user, username=user,
        keep=Keep.HEADERS, incoming=f"imap://localhost:{port}", outgoing=f"smtp://localhost:{port}",
    )  # fmt: skip
    account.remember(PASSWORD)
    account.save()
    return account


PARTS: dict[str, Callable[[int, str, int], Figures]] = {
    "raw socket": _raw_socket,
    "imapclient": _imapclient,
    "fetch": _fetch,
    "back-fill": _back_fill,
}


def _in_a_process(part: str, port: int, user: str, size: int) -> Figures:
    with tempfile.TemporaryDirectory(prefix="postkasse-") as data:
        command = [sys.executable, "-m", "tests.bench.fetch", "--part", part, str(port), user, str(size)]
        with redis_server(Path(data)) as url:
            environment = os.environ | {"WEBMAIL_DATA": data, "REDIS_URL": url}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(dovecot: Dovecot, size: int) -> dict[str, Figures]:
    user = f"fetch{size}@{DOMAIN}"
    fill(dovecot, user, size)
    _in_a_process("raw socket", dovecot.imap_port, user, size)  # fills Dovecot's own cache
    return {part: _in_a_process(part, dovecot.imap_port, user, size) for part in PARTS}


def report(size: int, found: dict[str, Figures]) -> None:
    imapclient = found["imapclient"]["rate"]
    print(f"\n{f'{size:,} messages':45}{'messages/s':>12}{'x imapclient':>14}{'our CPU, us each':>18}")
    for name, rate, cpu in (
        ("raw socket, imapclient's items", found["raw socket"]["envelope"], 0.0),
        ("raw socket, our items", found["raw socket"]["ours"], 0.0),
        ("imapclient, fetched and parsed", imapclient, found["imapclient"]["cpu"]),
        ("our fetch and parse", found["fetch"]["rate"], found["fetch"]["cpu"]),
        (f"our back-fill, end to end (goal {GOAL:.0f} x)", found["back-fill"]["rate"], found["back-fill"]["cpu"]),
    ):
        print(f"{name:45}{rate:>12,.0f}{rate / imapclient:>14.2f}{cpu * 1e6 or float('nan'):>18.0f}")
    figures = found["back-fill"]
    print(f"{'memory grown, fetch / back-fill, MB':45}{found['fetch']['memory']:>12.1f}{figures['memory']:>12.1f}")
    print(f"{'longest batch, ms; conversations':45}{figures['batch'] * 1000:>12.0f}{figures['threads']:>12,}")
    print(f"{f'first page, s (goal {GOAL_FIRST_PAGE:.0f})':45}{figures['first page']:>12.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="20000,100000")
    parser.add_argument("--part", nargs=4)
    options = parser.parse_args()
    if options.part:
        part, port, user, size = options.part
        print(json.dumps(PARTS[part](int(port), user, int(size))))
        return
    with Dovecot() as dovecot:
        for size in map(int, options.sizes.split(",")):
            report(size, measure(dovecot, size))


if __name__ == "__main__":
    main()
