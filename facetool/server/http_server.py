"""Answering over HTTP: uvicorn, which says when it has started."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from facetool.server.app import ServerApp

_CONNECTIONS = 512
"""More are turned away: each takes memory before it has sent a request."""

_SENDING_SECONDS = 5
"""For clients that are slow to take an answer, beyond the time limit of a request."""


def answer_requests(
    app: ServerApp, listener: socket.socket, seconds: float, started: Callable[[], object]
) -> None:
    """Answer until SIGINT or SIGTERM; answers in progress are finished first, but for a second one.

    Args:
        app: what answers.
        listener: where requests come in.
        seconds: time limit of a request.
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
        timeout_graceful_shutdown=math.ceil(seconds) + _SENDING_SECONDS,
    )
    _Server(config, app, started).run([listener])


class _Server(uvicorn.Server):
    """Says when it has started, and ends in order at the first signal, at once at the second."""

    def __init__(
        self, config: uvicorn.Config, app: ServerApp, started: Callable[[], object]
    ) -> None:
        super().__init__(config)
        self._app = app
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Called for SIGINT and SIGTERM, whatever is at work."""
        self._app.end()
        if self.started and self.should_exit:
            # uvicorn's own way out, force_exit, waits for connections from Python 3.12 on, and
            # would leave their requests without an answer before.
            self._loop.call_soon_threadsafe(self._cancel_all)
        else:
            super().handle_exit(sig, frame)

    def _cancel_all(self) -> None:
        for task in self.server_state.tasks:
            task.cancel()
