"""The whole of Postkasse as it runs for people: web server, worker, watcher, Redis, each a process of its own.

    with Postkasse({"imap.test": {"incoming": "imaps://localhost:993", ...}}, ca_file) as app:
        browser.goto(app.url)

Nothing is patched; what a test wants to know it asks over HTTP, in the mail servers, or in the database file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
import redis
from celery import Celery
from psycopg.rows import dict_row

from tests.postgres import postgres
from tests.redis_server import redis_server
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent
START_LIMIT = 90.0
Found = TypeVar("Found")


def eventually(look: Callable[[], Found], what: str, limit: float = 30.0) -> Found:
    """The first true value of ``look()``."""
    deadline = time.monotonic() + limit
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.05)
    return found


class Postkasse:
    """``domains`` is the operator's table of known mail domains (WEBMAIL_SERVERS); ``database`` is sqlite or postgres;
    ``web`` is how many processes serve pages."""

    def __init__(
        self, domains: Mapping[str, Mapping[str, str]], ca_file: str = "", database: str = "sqlite", web: int = 1
    ) -> None:
        self.domains = domains
        self.ca_file = ca_file
        self.database = database
        self.web = web
        self._programs: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="postkasse-"))
        self._stack.callback(shutil.rmtree, self.data, ignore_errors=True)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        redis_url = self._stack.enter_context(redis_server(self.data))
        self.database_url = self._stack.enter_context(postgres()) if self.database == "postgres" else ""
        servers = self.data / "servers.toml"
        servers.write_text("".join(_table(domain, entry) for domain, entry in self.domains.items()))
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("WEBMAIL_", "PYTEST", "DJANGO_", "DATABASE_", "PLAYWRIGHT"))
        }
        self.environment = {
            **kept,
            "WEBMAIL_DATA": str(self.data),
            "WEBMAIL_SERVERS": str(servers),
            "WEBMAIL_CA_FILE": self.ca_file,
            "WEBMAIL_DEMO": "0",
            "WEBMAIL_PORT": str(self.port),
            "WEBMAIL_WEB_PROCESSES": str(self.web),
            "REDIS_URL": redis_url,
            "DATABASE_URL": self.database_url,
            "PYTHONUNBUFFERED": "1",
            "TZ": "Europe/Oslo",
        }
        self._queue = Celery(broker=redis_url.replace("unix://", "redis+socket://"))
        self._stack.callback(self._queue.close)
        self.manage("migrate", "--verbosity", "0")
        self.manage("collectstatic", "--noinput", "--verbosity", "0")
        self._stack.callback(self._end)
        self._run("web", "manage.py", "web")
        self.start_worker()
        self._run("watch", "manage.py", "watch")
        self.sweep()  # so that the worker tells at once that it lives
        eventually(self._is_well, f"a healthy Postkasse\n{self.log()}", START_LIMIT)

    def manage(self, *arguments: str) -> str:
        """Run a management command; what it printed."""
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, name: str, *arguments: str) -> None:
        with (self.data / f"{name}.log").open("ab") as log:
            self._programs[name] = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_worker(self) -> None:
        self._run(
            "worker",
            *("-m", "celery", "--quiet", "--app", "webmail", "worker", "--beat", "--concurrency", "2"),
            *("--schedule", str(self.data / "beat"), "--loglevel", "warning", "--without-gossip", "--without-mingle"),
        )

    def kill_worker(self) -> None:
        """kill -9 of all its processes: no clean-up, no farewell."""
        self._signal("worker", signal.SIGKILL)
        self._programs.pop("worker").wait(10)

    def process(self, name: str) -> int:
        """Its number."""
        return self._programs[name].pid

    def end_program(self, name: str) -> None:
        """As an operator ends one of them."""
        self._signal(name, signal.SIGTERM)
        self._programs.pop(name).wait(10)

    def sweep(self) -> None:
        """Have the worker do now what it does every few seconds by itself."""
        self._queue.send_task("webmail.sweep")
        self._queue.send_task("webmail.sync_due")

    def nudge(self, task: str, number: int) -> None:
        """As a page nudges the worker about a row."""
        self._queue.send_task(task, [number])

    def forget_nudges(self) -> None:
        """Redis loses all it has."""
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as client:
            client.flushall()

    def _signal(self, name: str, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._programs[name].pid, number)

    def _end(self) -> None:
        for name in self._programs:
            self._signal(name, signal.SIGTERM)
        deadline = time.monotonic() + 5
        for name, process in self._programs.items():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            self._signal(name, signal.SIGKILL)
            process.wait(10)

    def _is_well(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=10) as answer:
                return json.load(answer)["status"] == "ok"
        except (OSError, ValueError):
            return False

    def log(self) -> str:
        """The last words of each program."""
        files = sorted(self.data.glob("*.log"))
        return "\n".join(f"--- {file.name}\n{file.read_text(errors='replace')[-3000:]}" for file in files)

    def rows(self, query: str, *values: Any) -> list[Any]:
        """What the database says, rows by name; ``?`` stands for a value. Reads only."""
        if self.database_url:
            with psycopg.connect(self.database_url, row_factory=dict_row) as connection:
                connection.read_only = True
                return connection.execute(query.replace("%", "%%").replace("?", "%s"), values).fetchall()  # type: ignore[arg-type]
        with closing(sqlite3.connect(f"file:{self.data}/postkasse.sqlite3?mode=ro", uri=True, timeout=20)) as database:
            database.row_factory = sqlite3.Row
            return database.execute(query, values).fetchall()

    def indexed(self, address: str, number: int) -> None:
        """Wait until search finds so many messages of an account, and their texts."""
        query = (
            "SELECT COUNT(*) AS n FROM webmail_message m JOIN accounts_account a ON a.id = m.account_id"
            " JOIN webmail_messagebody b ON b.message_id = m.id WHERE a.address = ? AND m.index_due = 0"
        )
        eventually(lambda: self.rows(query, address)[0]["n"] >= number, f"{number} messages indexed", 60)

    def change(self, query: str, *values: Any) -> None:
        """Behind its back."""
        if self.database_url:
            with psycopg.connect(self.database_url) as connection:
                connection.execute(query.replace("%", "%%").replace("?", "%s"), values)  # type: ignore[arg-type]
            return
        with closing(sqlite3.connect(self.data / "postkasse.sqlite3", timeout=20)) as database:
            database.execute(query, values)
            database.commit()


def _table(domain: str, entry: Mapping[str, str]) -> str:
    lines = [f"{name} = {json.dumps(value)}" for name, value in entry.items()]
    return "\n".join([f"[domains.{json.dumps(domain)}]", *lines, "", ""])
