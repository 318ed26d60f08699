"""Verification accuracy of a network in training, on pairs of crops that are kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from facetool.embedding.crop_loader import load_crops
from facetool.embedding.embedder import Embedder
from facetool.errors import FacetoolError, UsageError
from facetool.evaluation import insightface
from facetool.evaluation.pair_images import ImageIndex
from facetool.evaluation.pairs import Trials, read_pairs
from facetool.evaluation.verification import Verification
from facetool.files.text import counted
from facetool.images import records, verification_set
from facetool.images.inputs import open_images
from facetool.images.read import RGBImage
from facetool.images.verification_set import find_bins, read_bin
from facetool.jobs.ordered_map import batches_of
from facetool.networks.base import EmbeddingNetwork

_BATCH = 64


@dataclass(frozen=True)
class PairSet:
    """Pairs of crops to verify.

    Attributes:
        name: for logs and plots.
        images: names of all images.
        read: an image by name, RGB uint8 (H, W, 3); it may raise ImageError.
        first: row of ``images`` of each pair's first image.
        second: row of each pair's second image.
        trials: kind and fold of each pair.
    """

    name: str
    images: Sequence[str]
    read: Callable[[str], RGBImage]
    first: Sequence[int]
    second: Sequence[int]
    trials: Trials


def pairs_from_bin(path: Path) -> PairSet:
    """The pairs of InsightFace's verification set, in ten folds.

    Raises:
        FormatError: the file is no such set.
    """
    found = read_bin(path)
    count = len(found.images)
    return PairSet(
        found.name,
        [str(number) for number in range(count)],
        lambda name: found.read(int(name)),
        range(0, count, 2),
        range(1, count, 2),
        Trials.in_order(found.same),
    )


def pairs_from_folder(pairs: Path, crops: Path) -> PairSet:
    """The pairs of an LFW-style file whose crops ``<person>_NNNN.*`` are all in a folder.

    Raises:
        FormatError: the file is not of this format, or two images fit one of its own.
        UsageError: an image of a pair is not in the folder.
    """
    wanted = read_pairs(pairs)
    images = open_images(crops)
    index = ImageIndex(images.names)
    rows = {image: index.find(image) for image in (*wanted.first, *wanted.second)}
    known = {image: row for image, row in rows.items() if row is not None}
    if len(known) < len(rows):
        missing = [str(image) for image in rows if image not in known]
        raise UsageError(
            f"{crops} lacks {counted(len(missing), 'image')} of the pairs in {pairs}, such as "
            f"{missing[0]}; align all photos, with on_no_face='center'",
            "on_no_face='center'",
        )
    return PairSet(
        pairs.stem,
        images.names,
        images.read,
        [known[image] for image in wanted.first],
        [known[image] for image in wanted.second],
        wanted.trials,
    )


def verify_pairs(
    network: EmbeddingNetwork, pairs: PairSet, device: torch.device, threads: int
) -> Verification:
    """Verify pairs by InsightFace's protocol: embeddings with those of the mirrored crops added.

    The network runs in eval mode and is left in it; pairs with a damaged image are left out.

    Raises:
        FacetoolError: too few pairs are left, or an embedding is not finite.
    """
    embedder = Embedder(network.eval(), device, flip="sum")
    used = sorted({*pairs.first, *pairs.second})
    rows = {pairs.images[number]: row for row, number in enumerate(used)}
    names = list(rows)
    vectors = np.full((len(names), embedder.size), np.nan, np.float32)
    batches = batches_of(names, _BATCH)
    damaged = 0
    loaded = load_crops(pairs.read, batches, network.recipe.crop, threads)
    for batch, found in embedder.embed_batches(loaded, lambda batch: batch.crops):
        if not np.isfinite(found).all():
            raise FacetoolError("the network gives embeddings that are not finite numbers")
        vectors[[rows[name] for name in batch.names]] = found
        damaged += len(batch.failures)
    where = np.searchsorted(used, np.array([pairs.first, pairs.second]))
    first, second = vectors[where[0]], vectors[where[1]]
    trials = pairs.trials
    if damaged:
        scored = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
        first, second, trials = first[scored], second[scored], trials[scored]
    return insightface.evaluate_insightface(first, second, trials)


def sets_beside(data: Path) -> list[Path]:
    """The verification sets of InsightFace's data sets, which lie in the folder of ``train.rec``.

    Args:
        data: what a run is trained on; none are looked for where it is no such folder.
    """
    if not (data.is_dir() and any(data.glob(f"*{records.RECORD_SUFFIX}"))):
        return []
    return sorted(data.glob(f"*{verification_set.BIN_SUFFIX}"))


def collect_pairs(bins: Sequence[Path], pairs: Path | None, crops: Path | None) -> list[PairSet]:
    """All the sets a user names; a folder stands for all ``.bin`` files in it.

    Raises:
        UsageError: a pairs file without crops or the other way about, two sets of one name, or a
            folder without a set.
        FormatError: a file is damaged.
    """
    if (pairs is None) != (crops is None):
        raise UsageError("eval_pairs and eval_crops go together", "eval_pairs", "eval_crops")
    found = [pairs_from_bin(file) for path in bins for file in find_bins(path)]
    if pairs is not None and crops is not None:
        found.append(pairs_from_folder(pairs, crops))
    names = [one.name for one in found]
    if len(set(names)) < len(names):
        raise UsageError(f"two verification sets have one name: {', '.join(sorted(names))}")
    return found
