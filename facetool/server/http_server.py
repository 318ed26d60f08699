"""Answering over HTTP: uvicorn, which says when it has started."""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from facetool.server.app import ServerApp

_CONNECTIONS = 512
"""More are turned away: each takes memory before it has sent a request."""

_SHUTDOWN_SECONDS = 5


def answer_requests(app: ServerApp, listener: socket.socket, started: Callable[[], object]) -> None:
    """Answer until SIGINT or SIGTERM; answers in progress are finished first.

    Args:
        app: what answers.
        listener: where requests come in.
        started: called as soon as they are answered.
    """
    config = uvicorn.Config(
        app,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )
    _Server(config, started).run([listener])


class _Server(uvicorn.Server):
    """Says when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], object]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()
