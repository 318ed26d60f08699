"""Embeddings of some of the training crops, taken before, during and after training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.embedding.crop_loader import load_crops
from facetool.embedding.embedder import Embedder
from facetool.errors import FormatError
from facetool.evaluation.distances import normalize
from facetool.files.atomic import atomic_write
from facetool.jobs.ordered_map import batches_of
from facetool.networks.base import EmbeddingNetwork
from facetool.training.data import TrainingSet

PEOPLE = 10
"""As many as colours can tell apart."""

IMAGES = 60
"""Of each person, at most."""

_BATCH = 64
_PREFIX = "step-"


@dataclass(frozen=True)
class Snapshot:
    """The embeddings after a step.

    Attributes:
        step: 0 before training.
        vectors: float32 (N, D), of unit length.
    """

    step: int
    vectors: NDArray[np.float32]


class Snapshots:
    """Takes snapshots of a network at even steps, of the people with the most images.

    They are kept as ``step-NNNNNNNN.npy``, so that a run that is interrupted has them all.

    Args:
        folder: where they are kept.
        data: the training set.
        steps: of the run.
        count: how many to take, the first before training, the last after it.
    """

    def __init__(self, folder: Path, data: TrainingSet, steps: int, count: int) -> None:
        self._folder = folder
        self._data = data
        self._due = {round(step) for step in np.linspace(0, steps, count)}
        most = np.argsort(-np.bincount(data.labels), kind="stable")[:PEOPLE]
        rows = [np.flatnonzero(data.labels == person)[:IMAGES] for person in most]
        self._rows = np.concatenate(rows)
        self.names = [data.identities[person] for person in most]
        self.labels = np.repeat(np.arange(len(rows)), [len(one) for one in rows])

    def clear(self) -> None:
        """Remove those of a run that is overwritten."""
        for path in self._folder.glob(f"{_PREFIX}*.npy"):
            path.unlink()

    def take(self, network: EmbeddingNetwork, device: torch.device, step: int, jobs: int) -> bool:
        """Keep the embeddings after ``step``, if it is one of those; whether it is.

        The network is left in eval mode.

        An image that cannot be read is zeros.

        Raises:
            OutputError: the file cannot be written.
        """
        if step not in self._due:
            return False
        embedder = Embedder(network.eval(), device)
        vectors = np.zeros((len(self._rows), embedder.size), np.float32)
        names = [str(number) for number in range(len(self._rows))]
        loaded = load_crops(
            lambda name: self._data.read(int(self._rows[int(name)])),
            batches_of(names, _BATCH),
            network.recipe.crop,
            jobs,
        )
        for batch, found in embedder.embed_batches(loaded, lambda batch: batch.crops):
            vectors[[int(name) for name in batch.names]] = normalize(found)
        with atomic_write(self._folder / f"{_PREFIX}{step:08}.npy") as file:
            np.save(file, vectors)
        return True

    def all(self) -> list[Snapshot]:
        """Those that were taken, in order.

        Raises:
            FormatError: a file is damaged, or of another run.
        """
        found = []
        for path in sorted(self._folder.glob(f"{_PREFIX}*.npy")):
            try:
                vectors = np.load(path, allow_pickle=False)
            except (OSError, ValueError, EOFError) as error:
                raise FormatError(f"{path} is damaged; delete it") from error
            if vectors.ndim != 2 or len(vectors) != len(self._rows):
                raise FormatError(f"{path} is no snapshot of this run; delete it")
            found.append(Snapshot(int(path.stem.removeprefix(_PREFIX)), vectors))
        return found
