"""The catalogue of face detectors: listing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from facetool.cropping.detectors import find_weights, is_at_hand
from facetool.detection.registry import DETECTORS, DetectorEntry
from facetool.files.published_file import PublishedFile


def list_detectors() -> list[dict[str, Any]]:
    """Every detector with its options and published weights, as JSON values; loads none."""
    return [_describe(entry) for entry in DETECTORS.values()]


def _describe(entry: DetectorEntry) -> dict[str, Any]:
    at_hand = [is_at_hand(file) for file in entry.weights]
    usable = any(at_hand) if entry.choice else all(at_hand)
    return {
        "name": entry.name,
        "status": "available locally" if usable else "fetch",
        "points": 5 if entry.points else 0,
        "devices": ["cpu", "cuda"] if entry.torch else ["cpu"],
        "detect_at": entry.detect_at,
        "options": entry.options().as_dict(),
        "score": entry.score,
        "source": entry.source,
        "licence": entry.licence,
        "weights": [_describe_file(file) for file in entry.weights],
    }


def _describe_file(file: PublishedFile) -> dict[str, Any]:
    path = str(find_weights(file)) if is_at_hand(file) else None
    return {"path": path, **asdict(file)}
