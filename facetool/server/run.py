"""Running the server until it is told to stop."""

from __future__ import annotations

import asyncio
import math
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

import uvicorn

from facetool.errors import UsageError
from facetool.networks.base import EmbeddingNetwork
from facetool.server.app import ServerApp
from facetool.server.hosts import HostRule, is_loopback
from facetool.server.metrics import Metrics
from facetool.server.recognizer import Recognizer, RecognizerSettings

_CONNECTIONS = 512
"""More are turned away: each takes memory before it has sent a request."""

_SENDING_SECONDS = 5
"""For clients that are slow to take an answer, beyond the time limit of a request."""


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where the server listens, and what it does.

    Attributes:
        host: address or name to bind; this machine only by default.
        port: 0 takes a free one.
        allow_host: names that clients call it by, such as a reverse proxy's.
        recognizer: classifier, detector, limits.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    allow_host: Sequence[str] = ()
    recognizer: RecognizerSettings = field(default_factory=RecognizerSettings)


def serve(
    network: EmbeddingNetwork,
    settings: ServerSettings,
    *,
    ready: Callable[[str], object] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM; answers in progress are finished first, but for a second one.

    Args:
        network: from :func:`facetool.load_network`.
        settings: address, classifier, limits.
        ready: gets the address as soon as requests are answered.

    Raises:
        UsageError: the address is taken or not this machine's, or settings do not go together.
        WeightsError: the detector's weights are not on this machine.
    """
    with _bind(settings.host, settings.port) as listener:
        metrics = Metrics()
        limits = settings.recognizer.limits
        recognizer = Recognizer(network, settings.recognizer, metrics.batch)
        try:
            hosts = HostRule(is_loopback(settings.host), tuple(settings.allow_host))
            app = ServerApp(recognizer, hosts, metrics)
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
                timeout_graceful_shutdown=math.ceil(limits.seconds) + _SENDING_SECONDS,
            )
            _Server(config, app, lambda: ready(_url(settings.host, listener))).run([listener])
        finally:
            recognizer.close()


class _Server(uvicorn.Server):
    """Says when it has started, and ends in order at the first signal, at once at the second."""

    def __init__(self, config: uvicorn.Config, app: ServerApp, ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self._ready()

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


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise UsageError(f"host={host!r}: {error.strerror or error}", f"host={host!r}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # who comes early waits until the models are loaded
    except OSError as error:
        listener.close()
        raise UsageError(
            f"cannot listen at {host}, port {port}: {error.strerror}; port=0 takes a free one",
            "port=0",
        ) from error
    return listener


def _url(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
