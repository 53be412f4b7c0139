"""The two servers of the sample: IMAP (pymap over maildir folders) and submission (aiosmtpd), both on 127.0.0.1.

A message accepted by the second is handed to the first with APPEND, so that it is kept before it is acknowledged and
whoever watches the mailbox hears of it.
"""

from __future__ import annotations

import asyncio
import fcntl
import imaplib
import logging
import os
import signal
import socket
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from pysasl.hashing import BuiltinHash

from .imap import connection_handler
from .letter import DOMAIN
from .seed import MAILBOXES, seed, user_of

LOOPBACK = "127.0.0.1"
SIZE_LIMIT = 25_000_000  # octets of one message
LINE_LIMIT = 1 << 20  # octets of one IMAP command line without its literals; asyncio's own bound is 64 kB
USERS = tuple(user_of(mailbox) for mailbox in MAILBOXES)
log = logging.getLogger(__name__)


class SampleBusy(Exception):
    """Another sample mail server works on the same folder."""


@dataclass(frozen=True)
class Ports:
    """0 is any free one."""

    imap: int
    smtp: int


USUAL_PORTS = Ports(1143, 1587)


class Postmaster:
    """aiosmtpd's handler: who may send, to whom, and where it goes."""

    def __init__(self, password: str, imap_port: int) -> None:
        self.password = password
        self.imap_port = imap_port

    def authenticate(self, server: SMTP, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        known = isinstance(data, LoginPassword) and data.password == self.password.encode()
        known = known and data.login.decode("utf-8", "replace").lower() in USERS
        # handled=False: aiosmtpd then answers 535 itself
        return AuthResult(success=known, handled=False, auth_data=data.login.decode() if known else None)

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        domain = address.rpartition("@")[2].lower()
        if domain != DOMAIN:
            return f"550 5.7.1 This is the sample server: it delivers within {DOMAIN} only, nothing leaves this machine"
        if address.lower() not in USERS:
            return f"550 5.1.1 No such mailbox here; the sample has {', '.join(USERS)}"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:
        stamp = f"Return-Path: <{envelope.mail_from}>\r\n".encode()
        try:
            await asyncio.to_thread(
                self._deliver, sorted({address.lower() for address in envelope.rcpt_tos}), stamp + envelope.content
            )
        except (OSError, imaplib.IMAP4.error) as error:
            log.warning("Not delivered: %s", error)
            return "451 4.3.0 The mailbox could not be written to, try again later"
        return "250 2.0.0 Delivered"

    def _deliver(self, users: list[str], message: bytes) -> None:
        for user in users:
            with imaplib.IMAP4(LOOPBACK, self.imap_port, timeout=20) as mailbox:
                mailbox.login(user, self.password)
                answer, detail = mailbox.append("INBOX", "", imaplib.Time2Internaldate(time.time()), message)
                if answer != "OK":
                    raise OSError(f"{user}: {detail!r}")


class Submission(SMTP):
    """aiosmtpd, without the word on AUTH in clear: that is what a loopback sample is."""

    def __init__(self, postmaster: Postmaster, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            postmaster,
            hostname=DOMAIN,
            ident="Postkasse sample server",
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=True,
            auth_require_tls=False,
            authenticator=postmaster.authenticate,
            loop=loop,
        )
        # Set here, not above: the constructor warns, on every connection, of what is meant.
        self._auth_required = True


def serve(folder: Path, password: str, wanted: Ports | None, now: datetime) -> None:
    """Seed ``folder`` if it is new, serve until SIGTERM or SIGINT; servers.toml is there while both servers answer."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        _lock(folder, stack)
        _make_ready(folder, password, now)
        asyncio.run(_serve(folder, password, wanted))


def _lock(folder: Path, stack: ExitStack) -> None:
    lock = stack.enter_context((folder / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise SampleBusy(f"A sample mail server already works on {folder}.") from error


def _make_ready(folder: Path, password: str, now: datetime) -> None:
    (folder / "servers.toml").unlink(missing_ok=True)
    _keep_temporary_files_near(folder)
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's, which warns of its own deprecations
    hashed = BuiltinHash(rounds=1000).hash(password)  # a public password: many rounds would only slow each sign-in
    (folder / "pymap-etc-passwd").write_text("".join(f"{user}:x::::mail/{user}:\r\n" for user in USERS))
    (folder / "pymap-etc-shadow").write_text("".join(f"{user}:{hashed}:::::::\r\n" for user in USERS))
    started = time.monotonic()
    if written := seed(folder / "mail", now):
        log.info("Wrote %d sample letters in %.1f s.", written, time.monotonic() - started)
    for stale in (folder / "mail").rglob("*.lock"):  # left by a server that was killed; we hold the only server's lock
        stale.unlink()


def _keep_temporary_files_near(folder: Path) -> None:
    """pymap writes its lists to a temporary file and renames it, which fails from another file system."""
    near = folder / "tmp"
    near.mkdir(exist_ok=True)
    for left in near.iterdir():
        left.unlink()
    tempfile.tempdir = str(near)


async def _serve(folder: Path, password: str, wanted: Ports | None) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, trouble: log.warning("A connection ended: %r", trouble.get("exception") or trouble["message"])
    )
    choices = [wanted] if wanted else [_last_ports(folder), USUAL_PORTS]
    sockets = _listen([each.imap for each in choices]), _listen([each.smtp for each in choices])
    ports = Ports(*(each.getsockname()[1] for each in sockets))
    imap = await asyncio.start_server(connection_handler(folder), sock=sockets[0], limit=LINE_LIMIT)
    postmaster = Postmaster(password, ports.imap)
    smtp = await loop.create_server(lambda: Submission(postmaster, loop), sock=sockets[1])
    (folder / "ports").write_text(f"{ports.imap} {ports.smtp}\n")
    _write_table(folder / "servers.toml", ports)
    log.info("Sample mail server: IMAP on port %d, SMTP on port %d.", ports.imap, ports.smtp)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await ended.wait()
    imap.close()
    smtp.close()
    # Open connections are dropped with the process: every change is on disk before it is acknowledged.
    (folder / "servers.toml").unlink(missing_ok=True)
    os._exit(0)


def _last_ports(folder: Path) -> Ports:
    """Those of the last time: accounts remember them as the address of their server."""
    try:
        return Ports(*map(int, (folder / "ports").read_text().split()))
    except (OSError, ValueError, TypeError):
        return USUAL_PORTS


def _listen(ports: list[int]) -> socket.socket:
    """A listening socket on the first of the ports that is free, or on any."""
    for candidate in (*ports, 0):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, candidate))
            listener.listen(100)
        except OSError:
            listener.close()
        else:
            return listener
    raise OSError("No free port on the loopback interface.")


def _write_table(path: Path, ports: Ports) -> None:
    """In the format of WEBMAIL_SERVERS."""
    table = f'[domains."{DOMAIN}"]\nincoming = "imap://{LOOPBACK}:{ports.imap}"\noutgoing = "smtp://{LOOPBACK}:{ports.smtp}"\n'
    fresh = path.with_suffix(".new")
    fresh.write_text(table)
    fresh.replace(path)
