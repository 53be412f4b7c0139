"""What all tests share; the environment they run in is made in tests/environment.py, before the settings are read."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from tests import environment
from tests.redis_server import redis_server

# On a busy machine everything takes longer, which says nothing of what is tested.
hypothesis_settings.register_profile("any machine", suppress_health_check=[HealthCheck.too_slow], deadline=None)
hypothesis_settings.load_profile("any machine")


def pytest_configure() -> None:
    from django.conf import settings

    # Names of static files as they are, so that no test needs them collected.
    settings.STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """The Redis that the settings of this process speak of."""
    with redis_server(environment.DATA) as url:
        yield url
