"""The catalogue of face detectors: listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from facetool.cli.table import format_table
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
        "status": "at hand" if usable else "fetch",
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


def detectors_text(rows: Sequence[dict[str, Any]]) -> str:
    """A table of what :func:`list_detectors` returns, and below it what the scores mean."""
    cells = [
        (
            row["name"],
            row["status"],
            row["points"] or None,
            ", ".join(row["devices"]),
            row["detect_at"],
            row["licence"],
        )
        for row in rows
    ]
    columns = ("name", "status", "points", "devices", "longer side", "licence")
    scores = "\n".join(f"{row['name']:<12}{row['score']}" for row in rows)
    return f"{format_table(columns, cells)}\n\nscore\n{scores}"
