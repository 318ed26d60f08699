"""What the server counts, in Prometheus' text format."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from facetool.server.batcher import BATCH_SIZE

CONTENT_TYPE = CONTENT_TYPE_LATEST

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FACES = tuple(2**power for power in range(BATCH_SIZE.bit_length()))


class Metrics:
    """Counters of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "facetool_requests",
            "Answered requests.",
            ("path", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "facetool_request_seconds",
            "Time from a request to its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._faces = Histogram(
            "facetool_batch_faces",
            "Faces of a pass through the network.",
            buckets=_FACES,
            registry=self._registry,
        )
        self._in_progress = Gauge(
            "facetool_requests_in_progress",
            "Requests in progress, waiting ones among them.",
            registry=self._registry,
        )
        self._replaced = Gauge(
            "facetool_workers_replaced",
            "Worker processes that died or took too long.",
            registry=self._registry,
        )

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, faces: int) -> None:
        """Count a pass through the network."""
        self._faces.observe(faces)

    def text(self, *, in_progress: int, replaced: int) -> bytes:
        """Everything, as a scraper takes it."""
        self._in_progress.set(in_progress)
        self._replaced.set(replaced)
        return generate_latest(self._registry)
