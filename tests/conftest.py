"""What all tests share; the environment they run in is made in tests/environment.py, before the settings are read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests import environment
from tests.redis_server import redis_server


def pytest_configure() -> None:
    from django.conf import settings

    # Names of static files as they are, so that no test needs them collected.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The Redis that the settings of this process speak of."""
    with redis_server(environment.DATA) as url:
        yield url
