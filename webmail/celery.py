"""The Celery application. Tasks carry ids only; the database row is the truth."""

from __future__ import annotations

import gc
import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_ready
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webmail.settings")
app = Celery("webmail")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["webmail"])
# A worker that is told no queue serves both; with two workers sending never waits for somebody's back-fill.
app.conf.task_queues = [Queue("celery"), Queue("sync")]
app.conf.task_routes = {name: {"queue": "sync"} for name in ("webmail.sync", "webmail.pulse", "webmail.ask")}


@worker_process_init.connect
def leave_the_program_to_itself(**_: Any) -> None:
    """A sync makes many small values and no cycles: the collector need not look through all of Django for each few
    hundred of them (a tenth of the time of a back-fill)."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@worker_ready.connect
def sweep_at_once(**_: Any) -> None:
    """What was left waiting goes on as soon as the worker is there, not when beat first thinks of it."""
    app.send_task("webmail.sweep")
    app.send_task("webmail.pulse")
