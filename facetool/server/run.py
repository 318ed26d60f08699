"""Running the server until it is told to stop."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from facetool.errors import UsageError
from facetool.networks.base import EmbeddingNetwork
from facetool.server.hosts import HostRule, is_loopback
from facetool.server.recognizer import Recognizer, RecognizerSettings

_PACKAGES = ("starlette", "uvicorn", "python_multipart", "prometheus_client")
"""What the extra installs, as it is imported."""


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
        UsageError: the extra is not installed, the address is taken or not this machine's, or
            settings do not go together.
        WeightsError: the detector's weights are not on this machine.
    """
    need_serve()
    from facetool.server.app import ServerApp
    from facetool.server.http_server import answer_requests
    from facetool.server.metrics import Metrics

    with _bind(settings.host, settings.port) as listener:
        metrics = Metrics()
        limits = settings.recognizer.limits
        recognizer = Recognizer(network, settings.recognizer, metrics.batch)
        try:
            hosts = HostRule(is_loopback(settings.host), tuple(settings.allow_host))
            app = ServerApp(recognizer, hosts, metrics)
            answer_requests(
                app, listener, limits.seconds, lambda: ready(_url(settings.host, listener))
            )
        finally:
            recognizer.close()


def need_serve() -> None:
    """Refuse to serve without the packages of the extra.

    Raises:
        UsageError: some are not installed.
    """
    if missing := [name for name in _PACKAGES if find_spec(name) is None]:
        raise UsageError(
            f"serve needs packages that are not installed ({', '.join(missing)}); install them "
            "with: pip install 'facetool[serve]'"
        )


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
