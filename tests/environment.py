"""A world of its own for each test process, made before Django reads its settings: that is when keys are created.

``POSTKASSE_TEST_DATABASE=postgres`` has them run on a throw-away PostgreSQL instead of SQLite.

Loaded as a pytest plugin (``-p tests.environment``), because pytest-django reads the settings before any conftest.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tests.postgres import postgres

OWNER = os.getpid()
_stack = ExitStack()
DATA = Path(tempfile.mkdtemp(prefix="postkasse-"))

for name in [name for name in os.environ if name.startswith("WEBMAIL_")]:
    del os.environ[name]
os.environ["WEBMAIL_DATA"] = str(DATA)
os.environ["WEBMAIL_DEMO"] = "0"
os.environ["REDIS_URL"] = f"unix://{DATA}/redis.sock"
os.environ.pop("DATABASE_URL", None)
if os.environ.get("POSTKASSE_TEST_DATABASE") == "postgres":
    os.environ["DATABASE_URL"] = _stack.enter_context(postgres())
(DATA / "static").mkdir()  # WhiteNoise warns of a missing one


@atexit.register
def _remove() -> None:
    if os.getpid() == OWNER:  # not in a child that was forked
        _stack.close()
        shutil.rmtree(DATA, ignore_errors=True)
