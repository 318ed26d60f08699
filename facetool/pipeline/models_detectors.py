"""``models list --detectors``: the registry of face detectors, and which can be used."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from facetool.cropping.detectors import find_weights, has_weights
from facetool.detection.registry import DETECTORS, DetectorEntry
from facetool.files.published_file import PublishedFile


@dataclass(frozen=True, kw_only=True)
class ListedDetector:
    """A detector of the registry, and whether it can be used.

    Attributes:
        entry: what the registry says of it.
        status: ``available locally`` or ``fetch``.
    """

    entry: DetectorEntry
    status: str

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        entry = self.entry
        return {
            "name": entry.name,
            "status": self.status,
            "points": 5 if entry.points else 0,
            "devices": ["cpu", "cuda"] if entry.torch else ["cpu"],
            "detect_at": entry.detect_at,
            "options": entry.options().as_dict(),
            "score": entry.score,
            "source": entry.source,
            "licence": entry.licence,
            "weights": [_describe_file(file) for file in entry.weights],
        }


def list_detectors() -> list[ListedDetector]:
    """Every detector; loads none."""
    return [ListedDetector(entry=entry, status=_status(entry)) for entry in DETECTORS.values()]


def _status(entry: DetectorEntry) -> str:
    available = [has_weights(file) for file in entry.weights]
    usable = any(available) if entry.choice else all(available)
    return "available locally" if usable else "fetch"


def _describe_file(file: PublishedFile) -> dict[str, Any]:
    path = str(find_weights(file)) if has_weights(file) else None
    return {"path": path, **asdict(file)}
