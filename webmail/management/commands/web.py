"""The web server: ``manage.py web``. Pages are made by WEBMAIL_WEB_PROCESSES processes that listen together."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand
from uvicorn.supervisors import Multiprocess


class Command(BaseCommand):
    help = "Serve pages."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        config = uvicorn.Config(
            "webmail.asgi:application", host=settings.HOST, port=settings.PORT, lifespan="on", access_log=False,
            log_level="warning", timeout_graceful_shutdown=2, workers=max(settings.WEB_PROCESSES, 1),
            timeout_worker_healthcheck=60,  # one whose machine was suspended is not dead
        )  # fmt: skip
        if config.workers == 1:
            uvicorn.Server(config).run()
            return
        listening = config.bind_socket()
        # asyncio would set it for a socket that it made itself. Without it the second part of every answer waits up to
        # 40 ms for the first to be acknowledged (RFC 9293 §3.7.4); connections inherit it (tcp(7)).
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Multiprocess(config, sockets=[listening]).run()
