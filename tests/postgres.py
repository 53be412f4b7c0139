"""A throw-away PostgreSQL: in a temporary directory, on a socket there and a free port, without a care for power cuts."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.servers import free_port

START_LIMIT = 30  # seconds
SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "100"}


def programs() -> Path:
    """Where the newest installed version has its programs; Debian keeps them out of the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    assert found or on_path, "no PostgreSQL: apt-get install postgresql"
    return found[-1].parent if found else Path(str(on_path)).parent


@contextmanager
def postgres() -> Iterator[str]:
    """Runs for the length of the block; the DATABASE_URL of an empty database."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    owner = _owner()
    data, port = folder / "data", free_port()
    if owner:
        os.chown(folder, owner.pw_uid, owner.pw_gid)
    try:
        _run(
            owner,
            "initdb",
            "--pgdata",
            data,
            "--username",
            "postkasse",
            "--auth",
            "trust",
            "--encoding",
            "UTF8",
            "--locale",
            "C.UTF-8",
        )
        options = f"-c listen_addresses='' -c port={port} -c unix_socket_directories={folder}"
        options += "".join(f" -c {name}={value}" for name, value in SETTINGS.items())
        control = ("pg_ctl", "--pgdata", data, "--wait", "--timeout", START_LIMIT)
        _run(owner, *control, "--log", folder / "log", "--options", options, "start")
        try:
            yield f"postgresql://postkasse@{quote(str(folder), safe='')}:{port}/postgres"
        finally:
            _run(owner, *control, "--mode", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _owner() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    return pwd.getpwnam("postgres") if os.getuid() == 0 else None


def _run(owner: pwd.struct_passwd | None, program: str, *arguments: object) -> None:
    with tempfile.TemporaryFile() as log:  # the server inherits it: a pipe would never end
        done = subprocess.run(
            [programs() / program, *map(str, arguments)],
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=2 * START_LIMIT,
        )
        log.seek(0)
        assert done.returncode == 0, f"{program}: {log.read().decode(errors='replace')}"
