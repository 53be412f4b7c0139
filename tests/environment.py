"""A world of its own for each test process, made before Django reads its settings: that is when keys are created.

Loaded as a pytest plugin (``-p tests.environment``), because pytest-django reads the settings before any conftest.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

OWNER = os.getpid()
DATA = Path(tempfile.mkdtemp(prefix="postkasse-"))

for name in [name for name in os.environ if name.startswith("WEBMAIL_")]:
    del os.environ[name]
os.environ["WEBMAIL_DATA"] = str(DATA)
os.environ["WEBMAIL_DEMO"] = "0"
os.environ["REDIS_URL"] = f"unix://{DATA}/redis.sock"
(DATA / "static").mkdir()  # WhiteNoise warns of a missing one


@atexit.register
def _remove() -> None:
    if os.getpid() == OWNER:  # not in a child that was forked
        shutil.rmtree(DATA, ignore_errors=True)
