"""InsightFace's verification sets through a network: accuracy, XNorm, TAR at FAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.alignment.stated_recipe import StatedRecipe
from facetool.embedding.choices import DEFAULT_BATCH_SIZE
from facetool.embedding.crop_check import check_size, or_any_crop
from facetool.embedding.crop_loader import load_crops
from facetool.embedding.embedder import NOT_FINITE, Embedder, finite_rows
from facetool.errors import FormatError, ImageError, UsageError
from facetool.evaluation import insightface
from facetool.evaluation.pairs import FOLDS, Trials
from facetool.evaluation.scored_pairs import score_pairs
from facetool.files.paths import as_paths, optional_path
from facetool.images.verification_set import VerificationSet, find_bins, read_bin
from facetool.jobs.pool import available_cores
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import device_name, resolve_device
from facetool.pipeline.plot_pairs import plot_pairs
from facetool.plots.style import check_name
from facetool.weights.catalogue import CATALOGUE, Accuracy
from facetool.weights.epochs import epochs
from facetool.weights.load import load_network


@dataclass(frozen=True, kw_only=True)
class BinEvalResult:
    """How a network does on verification sets.

    Attributes:
        network: the architecture.
        weights: their name.
        weights_sha256: of their file.
        device: the GPU's name, or ``cpu``.
        dtype: the network's precision, what ``auto`` stood for.
        sets: for each, plain JSON values; see :func:`evaluate_set`.
        report: pairs scored, images that failed.
    """

    network: str
    weights: str
    weights_sha256: str
    device: str
    dtype: str
    sets: list[dict[str, Any]]
    report: Report

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "network": self.network,
            "weights": {"name": self.weights, "sha256": self.weights_sha256},
            "protocol": "insightface",
            "device": self.device,
            "dtype": self.dtype,
            "sets": self.sets,
        }


def bin_eval(
    files: Sequence[str | Path],
    network: EmbeddingNetwork,
    device: str | torch.device = "auto",
    *,
    dtype: str = "float32",
    engine: str = "torch",
    batch_size: int = DEFAULT_BATCH_SIZE,
    any_crop: bool = False,
    nfolds: int = FOLDS,
    pairs_plot: str | Path | None = None,
) -> BinEvalResult:
    """Evaluate a network on verification sets, as InsightFace's ``verification.py`` does.

    Pairs with a damaged image are left out and reported; the folds are made of the others.

    Args:
        files: ``.bin`` files, or folders of them.
        network: in eval mode.
        device: where it runs, as :func:`facetool.resolve_device` takes it.
        dtype: its precision, one of :data:`facetool.networks.dtypes.EMBEDDING_DTYPES`.
        engine: what runs it, ``torch`` or ``openvino``.
        batch_size: images per pass.
        any_crop: scale images of another size than the network's crops.
        nfolds: folds of the cross-validation, at least 2.
        pairs_plot: draws the worst errors and examples of a single set.

    Raises:
        UsageError: there are fewer than 2 folds, a folder holds no ``.bin`` file, a set images of
            another size, a plot is asked for of several sets, or there is no such device or dtype.
        FormatError: no file is a verification set; of several those that are none are reported
            before the first is evaluated.
        FacetoolError: too few pairs to cross-validate.
    """
    pairs_plot = optional_path(pairs_plot)
    paths = as_paths(files)
    device = resolve_device(device)
    if nfolds < 2:
        raise UsageError("nfolds: give at least 2", "nfolds")
    paths = [file for path in paths for file in find_bins(path)]
    if pairs_plot is not None:
        check_name(pairs_plot)
        if len(paths) > 1:
            raise UsageError(f"pairs_plot shows one set, and {len(paths)} are given", "pairs_plot")
    report = Report()
    sets = _read_sets(paths, report)
    for file, one in sets:
        if not any_crop:
            _check_size(one, file, network)
    embedder = Embedder(network, device, dtype, flip="concat", engine=engine)
    results = []
    for file, one in sets:
        vectors, good = _embed(one, embedder, batch_size, report)
        metrics = evaluate_set(vectors, one.same, good, nfolds)
        published = published_accuracies(network.info.weights_name, one.name)
        results.append(
            {
                "set": one.name,
                "file": str(file),
                **metrics,
                "published": [{"accuracy": p.value, "source": p.source} for p in published],
            }
        )
        report.done("pairs", metrics["pairs"]["scored"])
        if pairs_plot is not None:
            _plot_errors(one, vectors, good, nfolds, pairs_plot)
    return BinEvalResult(
        network=network.info.architecture,
        weights=network.info.weights_name,
        weights_sha256=network.info.weights_sha256,
        device=device_name(device),
        dtype=embedder.dtype,
        sets=results,
        report=report,
    )


def bin_eval_epochs(
    files: Sequence[Path],
    model: str | None = None,
    weights: Path | None = None,
    *,
    recipe: StatedRecipe | None = None,
    output: str = "",
    device: str | torch.device = "auto",
    dtype: str = "float32",
    engine: str = "torch",
    batch_size: int = DEFAULT_BATCH_SIZE,
    any_crop: bool = False,
    nfolds: int = FOLDS,
    pairs_plot: Path | None = None,
) -> Iterator[BinEvalResult]:
    """Evaluate the epochs of a training run one after the other, or the one network that is named.

    Args:
        files: ``.bin`` files, or folders of them.
        model: name or weights file; MXNet's ``PREFIX,1|2|3``, or ``PREFIX`` for all epochs there
            are; default: what ``weights`` holds, or else the default network.
        weights: file to take the weights from instead of the published ones.
        recipe: what is known of the input, in place of what files state.
        output: the layer whose values are the embedding, where that is not the last.
        device: see :func:`bin_eval`, as of the others.
        dtype: of each network; ``auto`` may stand for another with each.
        engine: what runs them.
        batch_size: images per pass.
        any_crop: scale images of another size than the network's crops.
        nfolds: folds of the cross-validation.
        pairs_plot: draws the worst errors and examples of one network.

    Yields:
        The result of each, as soon as it is there.

    Raises:
        UsageError: a plot is asked for of several networks, there is no such name, file or layer,
            or what :func:`bin_eval` refuses.
        FacetoolError: a file cannot be read, or too few pairs to cross-validate.
    """
    several = epochs(model) if model is not None and weights is None else []
    names = several if len(several) > 1 else [model]
    if pairs_plot is not None and len(names) > 1:
        raise UsageError(f"pairs_plot shows one network, and {model} is {len(names)}", "pairs_plot")
    for name in names:
        yield bin_eval(
            files,
            load_network(name, weights, recipe=recipe, output=output),
            device,
            dtype=dtype,
            engine=engine,
            batch_size=batch_size,
            any_crop=any_crop,
            nfolds=nfolds,
            pairs_plot=pairs_plot,
        )


def _read_sets(files: Sequence[Path], report: Report) -> list[tuple[Path, VerificationSet]]:
    sets = []
    for number, file in enumerate(files, 1):
        try:
            sets.append((file, read_bin(file)))
        except FormatError as error:
            if number == len(files) and not sets:
                raise
            report.failed(str(file), str(error).removeprefix(f"{file} "))
    return sets


def _plot_errors(
    one: VerificationSet,
    vectors: NDArray[np.float32],
    good: NDArray[np.bool_],
    nfolds: int,
    plot: Path,
) -> None:
    """The errors of the accuracy with mirror images; names are the images' numbers."""
    summed = np.add(*np.split(vectors, 2, axis=1))
    scored = good[0::2] & good[1::2]
    trials = Trials.in_order(one.same[scored], nfolds)
    first, second = (summed[side::2][scored] for side in (0, 1))
    numbers = np.flatnonzero(scored) * 2
    names = [str(number) for number in numbers], [str(number + 1) for number in numbers]
    outcome = insightface.evaluate_insightface(first, second, trials)
    scored_pairs = score_pairs(names, (first, second), trials, outcome)
    plot_pairs(scored_pairs, lambda name: partial(one.read, int(name)), "squared L2", plot)


def _check_size(one: VerificationSet, file: Path, network: EmbeddingNetwork) -> None:
    """Refuse a set whose first image is not of the size of the network's crops."""
    for number in range(len(one.images)):
        try:
            image = one.read(number)
        except ImageError:
            continue
        with or_any_crop():
            check_size(image, network, str(file))
        return


def evaluate_set(
    vectors: NDArray[np.float32],
    same: NDArray[np.bool_],
    good: NDArray[np.bool_],
    nfolds: int = FOLDS,
) -> dict[str, Any]:
    """The metrics of one set.

    Args:
        vectors: float32 (2N, 2D): of each image the embedding, then that of its mirror image,
            neither normalised.
        same: bool (N,).
        good: bool (2N,), which images have an embedding.
        nfolds: folds of the cross-validation.

    Returns:
        ``flip``: with the mirror images' embeddings added, ``no_flip``: without them, each as
        :meth:`facetool.evaluation.verification.Verification.as_dict`; ``xnorm``: mean length of
        all embeddings, mirror images included; counts of ``pairs``; and a ``note`` on what cannot
        be said of such pairs, or None.

    Raises:
        FacetoolError: too few pairs to cross-validate.
    """
    plain, mirrored = np.split(vectors, 2, axis=1)
    scored = good[0::2] & good[1::2]
    trials = Trials.in_order(same[scored], nfolds)
    lengths = [np.linalg.norm(half[good], axis=1) for half in (plain, mirrored)]

    def verify(embeddings: NDArray[np.float32]) -> dict[str, Any]:
        first, second = embeddings[0::2][scored], embeddings[1::2][scored]
        return insightface.evaluate_insightface(first, second, trials).as_dict()

    kinds = {"genuine": int(trials.same.sum()), "impostors": int((~trials.same).sum())}
    return {
        "flip": verify(plain + mirrored),
        "no_flip": verify(plain),
        "xnorm": float(np.mean(np.concatenate(lengths), dtype=np.float64)),
        "pairs": {
            "scored": int(scored.sum()),
            "failed": int((~scored).sum()),
            **kinds,
        },
        "note": _note(trials),
    }


def _note(trials: Trials) -> str | None:
    """What the metrics of such pairs do not say."""
    if not trials.same.any() or trials.same.all():
        kind, other = ("genuine", "accepted") if trials.same.any() else ("impostor", "refused")
        return (
            f"all pairs are {kind}: the accuracy is the share of them that is {other}, and there "
            "is no ROC curve"
        )
    if not set(trials.folds[trials.same]) & set(trials.folds[~trials.same]):
        return (
            "each fold holds pairs of one kind only: accuracy is by InsightFace's rule all the "
            "same, TAR at FAR that of all pairs together; mixed pairs would say more"
        )
    return None


def published_accuracies(weights: str, name: str) -> list[Accuracy]:
    """What is published of these weights on the set of this name (``agedb_30``: AgeDB-30)."""
    if weights not in CATALOGUE:
        return []
    return [a for a in CATALOGUE[weights].accuracies if _plain(a.data_set) == _plain(name)]


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _embed(
    one: VerificationSet, embedder: Embedder, batch_size: int, report: Report
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Embeddings of all images and of their mirror images (2N, 2D), and which there are."""
    count = len(one.images)
    vectors = np.zeros((count, embedder.size), np.float32)
    good = np.zeros(count, bool)
    numbers = [str(number) for number in range(count)]
    batches = [numbers[start : start + batch_size] for start in range(0, count, batch_size)]
    loader = load_crops(
        lambda number: one.read(int(number)), batches, embedder.recipe.crop, available_cores()
    )
    with progress_bar(one.name, count) as bar:
        for batch, embeddings in embedder.embed_batches(loader, lambda batch: batch.crops):
            rows = np.array(batch.names, int)
            vectors[rows] = embeddings
            good[rows] = finite = finite_rows(embeddings)
            bad = [(number, NOT_FINITE) for number in rows[~finite]]
            for number, reason in [*batch.failures, *bad]:
                report.failed(f"{one.name} image {number}", reason)
            report.also("scaled to the network's size", batch.resized)
            bar.update(len(batch.names) + len(batch.failures))
    return vectors, good
