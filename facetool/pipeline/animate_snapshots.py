"""``train --snapshots``: embeddings before, during and after training, as an animation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facetool.classification.projection import project
from facetool.plots.snapshots import draw_snapshots, save_animation
from facetool.training.snapshots import Snapshot, Snapshots


def animate_snapshots(snapshots: Snapshots, steps: int, path: Path) -> None:
    """Draw snapshots: two dimensions on their circle, three on their sphere, more by t-SNE.

    Args:
        snapshots: those that were taken.
        steps: of the whole run.
        path: the GIF.

    Raises:
        FormatError: a snapshot is damaged.
        FacetoolError: the embeddings are all the same.
        OutputError: the file cannot be written.
    """
    taken = snapshots.all()
    size = taken[0].vectors.shape[1]
    shape = {2: "unit circle", 3: "unit sphere"}.get(size, f"t-SNE of {size} dimensions")
    points = [one.vectors for one in taken] if size in (2, 3) else _planes(taken)
    frames = [
        (f"step {one.step:,} of {steps:,}: {shape}", point)
        for one, point in zip(taken, points, strict=True)
    ]
    plots = draw_snapshots(frames, snapshots.labels, snapshots.names, circle=size == 2)
    save_animation(plots, path)


def _planes(taken: list[Snapshot]) -> list[NDArray[np.float32]]:
    """t-SNE of each snapshot, turned to lie as much as it can as the one after it.

    Its axes mean nothing; turned alike, groups move no more than they must.
    """
    points: list[NDArray[np.float32]] = []
    for one in reversed(taken):
        plane = project(one.vectors.astype(np.float64))
        points.append(turn_to(plane, points[-1]) if points else plane)
    return points[::-1]


def turn_to(points: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points (N, 2) rotated and mirrored to be nearest to others (N, 2), about their centre."""
    centred = points - points.mean(axis=0)
    left, _, right = np.linalg.svd(centred.T @ (others - others.mean(axis=0)))
    return np.asarray(centred @ left @ right, np.float32)
