"""From a represent folder to verification metrics on LFW-style pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.embedding.represented_crops import Crops
from facetool.errors import FacetoolError, UsageError, check_range
from facetool.evaluation import insightface
from facetool.evaluation.distances import check_distinct, normalize, squared_l2
from facetool.evaluation.pair_images import ImageIndex
from facetool.evaluation.pairs import Pairs, Trials, read_pairs
from facetool.evaluation.protocols import check_protocol, evaluate_pairs
from facetool.evaluation.published_curves import read_curve
from facetool.evaluation.roc import Counts, Curve
from facetool.evaluation.run_curves import read_run_curve
from facetool.evaluation.scored_pairs import ScoredPairs, score_pairs
from facetool.evaluation.verification import SWEEP, Fold, Verification, curve_counts, misfit
from facetool.files.atomic import atomic_write, output_errors
from facetool.files.embeddings import Embeddings, read_embeddings
from facetool.files.json_file import write_json
from facetool.files.output_file import check_output, same_place, starts_with
from facetool.files.paths import optional_path
from facetool.files.represent_description import RepresentDescription, write_represent_description
from facetool.files.text import counted
from facetool.networks.pair_threshold import PairThreshold
from facetool.pipeline.plot_pairs import plot_pairs
from facetool.plots.style import check_name, save_plot

ROC_PLOT = "roc.png"
_PLOTS = (ROC_PLOT, "roc.pdf")
_RESULT = "result.json"
_ACCURACIES = "accuracies.txt"
_ACCURACIES_HEADER = "fold, threshold, accuracy"
_ROC_HEADER = "threshold,tp,tn,fp,fn,tpr,fpr"

_FEW = 0.01
"""Share of images of several faces that is not worth a warning."""


@dataclass(frozen=True, kw_only=True)
class PairCounts:
    """What became of the pairs, and of their images.

    Attributes:
        scored: pairs with both images.
        missing: pairs that lack one.
        genuine: scored pairs of one person.
        impostors: scored pairs of two.
        missed_faces: images scored by a crop that stands in for a face that was not found.
        largest_of_several: images whose face is the largest of several.
        missing_images: those without an embedding.
    """

    scored: int
    missing: int
    genuine: int
    impostors: int
    missed_faces: int
    largest_of_several: int
    missing_images: list[str]


@dataclass(frozen=True, kw_only=True)
class LfwResult:
    """What ``result.json`` holds.

    Attributes:
        tag: the name of the curve.
        protocol: one of :data:`facetool.evaluation.protocols.PROTOCOLS`.
        metric: for facenet, the distance.
        subtract_mean: for facenet, whether the training folds' mean was subtracted.
        outcome: accuracy and ROC, with those of each fold.
        pairs: how many there were.
        scored: each pair with its distance; not in ``result.json``.
        warnings: reasons to doubt the outcome, a sentence each.
        provenance: where the embeddings come from, as JSON values.
        saved_threshold: what was written into the weights file, if that was asked for.
    """

    tag: str
    protocol: str
    metric: str
    subtract_mean: bool
    outcome: Verification
    pairs: PairCounts
    scored: ScoredPairs
    warnings: list[str]
    provenance: dict[str, Any]
    saved_threshold: PairThreshold | None = None

    @property
    def distance(self) -> str:
        """What pairs are judged by, as a plot says it."""
        return "angle / π" if self.metric == "arccos" else "squared L2"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        facenet = {"metric": self.metric, "subtract_mean": self.subtract_mean}
        return {
            "tag": self.tag,
            "protocol": self.protocol,
            **(facenet if self.protocol == "facenet" else {}),
            **self.outcome.as_dict(),
            "pairs": asdict(self.pairs),
            "warnings": self.warnings,
            "provenance": self.provenance,
            **({"saved_threshold": saved.as_dict()} if (saved := self.saved_threshold) else {}),
        }


def lfw_eval(
    reps: str | Path,
    pairs: str | Path,
    protocol: str = "openface",
    *,
    output: str | Path | None = None,
    tag: str | None = None,
    curves: Sequence[tuple[str, str | Path]] = (),
    metric: str = "squared-l2",
    subtract_mean: bool = False,
    save_threshold: str | Path | None = None,
    far: float | None = None,
    pairs_plot: str | Path | None = None,
) -> LfwResult:
    """Verify the pairs whose images a represent folder holds, and write metrics and plots.

    Pairs with an image that is not there are left out, counted and named. Folds are those of
    the pairs file. A fold of which no pair is left has the accuracy null, an ``l2-roc`` file
    with a header only, and no part in any average.

    Args:
        reps: a represent folder.
        pairs: a file in the format of LFW's ``pairs.txt``.
        protocol: one of :data:`facetool.evaluation.protocols.PROTOCOLS`.
        output: where the files go; ``reps`` unless given.
        tag: the name of the curve in the plot; that of the weights unless given.
        curves: label and file of other curves to draw, or the folder of another run.
        metric: for facenet, one of :data:`facetool.evaluation.protocols.METRICS`.
        subtract_mean: for facenet, subtract the training folds' mean.
        save_threshold: the weights file of these embeddings, safetensors of facetool's, which gets
            the threshold between two photos; so does ``reps``.
        far: the false accept rate, 0…1, that this threshold is for; default: it is the most
            accurate one.
        pairs_plot: draws the worst errors and examples.

    Raises:
        FormatError: an input file is damaged.
        UsageError: options do not go together, or a result would replace an input or a file of
            another kind.
        FacetoolError: too few pairs can be scored.
        OutputError: a file cannot be written.
    """
    reps, pairs = Path(reps), Path(pairs)
    output, pairs_plot = optional_path(output), optional_path(pairs_plot)
    save_threshold = optional_path(save_threshold)
    check_protocol(protocol, metric, subtract_mean)
    if far is not None:
        check_range("far", far, 0, 1)
        if save_threshold is None:
            raise UsageError("far is for save_threshold=FILE", "far", "save_threshold=FILE")
    if pairs_plot is not None:
        check_name(pairs_plot)
        if any(same_place(pairs_plot, (output or reps) / name) for name in _PLOTS):
            raise UsageError(f"{pairs_plot} is the plot of the ROC; choose another name")
    overlays = [
        (label, read_run_curve(path) if path.is_dir() else read_curve(path))
        for label, path in ((label, Path(given)) for label, given in curves)
    ]
    wanted = read_pairs(pairs)
    _check_outputs(output or reps, wanted.trials.fold_count, pairs)
    embeddings = read_embeddings(reps)
    description = embeddings.description
    if save_threshold is not None:
        _check_weights(save_threshold, reps, description)
    found = _find(wanted, embeddings)
    if not len(found.trials):
        raise FacetoolError(
            f"none of its pairs can be scored: {reps} lacks the embeddings of "
            f"{counted(len(found.missing), 'image')}, such as {found.missing[0]}; is {pairs} the "
            "file for these images?"
        )
    found.trials.check()
    check_distinct(np.concatenate(found.vectors), reps)
    outcome = evaluate_pairs(
        *found.vectors,
        found.trials,
        protocol=protocol,
        metric=metric,
        subtract_mean=subtract_mean,
    )
    threshold = None
    if save_threshold is not None:
        name = f"{pairs.name}, {counted(len(found.trials), 'pair')}"
        threshold = measure_threshold(*found.vectors, found.trials, description, name, far)
    counts = _count(found, len(wanted), embeddings)
    result = LfwResult(
        tag=tag or description.name or reps.resolve().name,
        protocol=protocol,
        metric=metric,
        subtract_mean=subtract_mean,
        outcome=outcome,
        pairs=counts,
        scored=score_pairs(found.names, found.vectors, found.trials, outcome),
        warnings=_misfit_warnings(protocol, metric, outcome)
        + _choice_warnings(counts.largest_of_several, len(found.images)),
        provenance=description.provenance(),
        saved_threshold=threshold,
    )
    _write(output or reps, result, overlays)
    if pairs_plot is not None:
        plot_pairs(result.scored, Crops(description).reader, result.distance, pairs_plot)
    if save_threshold is not None and threshold is not None:
        _save_threshold(save_threshold, reps, description, threshold)
    return result


@dataclass(frozen=True)
class _Found:
    """The pairs of which both images have an embedding.

    Attributes:
        names: the first and the second images, N each.
        vectors: their embeddings, (N, D) each.
        trials: N pairs.
        missing: images without an embedding, of the other pairs.
    """

    names: tuple[list[str], list[str]]
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]]
    trials: Trials
    missing: list[str]

    @property
    def images(self) -> set[str]:
        """Each image once."""
        return {*self.names[0], *self.names[1]}


def _find(pairs: Pairs, embeddings: Embeddings) -> _Found:
    index = ImageIndex(embeddings.names)
    images = {image: index.find(image) for image in {*pairs.first, *pairs.second}}
    rows = np.array(
        [
            [-1 if (row := images[image]) is None else row for image in side]
            for side in (pairs.first, pairs.second)
        ]
    )
    there = rows.min(axis=0) >= 0
    first, second = rows[:, there]
    return _Found(
        ([embeddings.names[row] for row in first], [embeddings.names[row] for row in second]),
        (embeddings.vectors[first], embeddings.vectors[second]),
        pairs.trials[there],
        sorted(str(image) for image, row in images.items() if row is None),
    )


def _count(found: _Found, wanted: int, embeddings: Embeddings) -> PairCounts:
    several = embeddings.description.largest_of_several or ()
    genuine = int(found.trials.same.sum())
    return PairCounts(
        scored=len(found.trials),
        missing=wanted - len(found.trials),
        genuine=genuine,
        impostors=len(found.trials) - genuine,
        missed_faces=len(found.images & embeddings.missed_faces),
        largest_of_several=len(found.images.intersection(several)),
        missing_images=found.missing,
    )


def _check_outputs(folder: Path, folds: int, pairs: Path) -> None:
    """Refuse to write over the pairs file, or what is no earlier result.

    Raises:
        UsageError: so it would be.
    """
    starts = {_ACCURACIES: _ACCURACIES_HEADER, _RESULT: '{\n  "tag": '}
    starts |= {_fold_name(number): _ROC_HEADER for number in range(folds)}
    for name, start in starts.items():
        own = starts_with(start.encode())
        check_output(folder / name, "result of lfw-eval", own, inputs=[pairs])
    for name in _PLOTS:
        check_name(folder / name)


def _check_weights(weights: Path, reps: Path, description: RepresentDescription) -> None:
    """Refuse to write a threshold into other weights than the embeddings', or of other embeddings.

    Raises:
        UsageError: the file is no safetensors of facetool's, or not that of the embeddings; or
            these have something of the mirrored images, which compare does not.
    """
    from facetool.weights import safetensors  # needs PyTorch, nothing else here does

    if description.flip not in (None, "none"):
        raise UsageError(
            f"{reps} holds embeddings with flip={description.flip}, and two photos are compared "
            "without; make a folder with flip=none for the threshold",
            "flip",
        )
    if weights.suffix.lower() == ".xml":
        raise UsageError(
            f"{weights} cannot hold a threshold of its own; it takes over that of the file it is "
            "made from, so write the threshold into that one and quantise or export it again"
        )
    if weights.suffix.lower() != ".safetensors":
        raise UsageError(
            f"{weights} cannot hold a threshold; facetool models convert makes a file that can"
        )
    if description.weights_sha256 not in safetensors.known_checksums(weights):
        raise UsageError(f"{weights} is not the file that the embeddings in {reps} are of")


def _save_threshold(
    weights: Path, reps: Path, description: RepresentDescription, threshold: PairThreshold
) -> None:
    """Write a threshold into the weights file, and into the folder."""
    from facetool.weights import safetensors

    safetensors.save_threshold(weights, threshold)
    write_represent_description(reps, replace(description, threshold=threshold.as_dict()))


def measure_threshold(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    trials: Trials,
    description: RepresentDescription,
    name: str,
    far: float | None = None,
) -> PairThreshold:
    """Where "same person" ends: the mean of the folds' most accurate thresholds, or as far allows.

    Args:
        first: (N, D), as they are in a represent folder.
        second: (N, D).
        trials: which of them are one person's.
        description: of the folder.
        name: of the pairs.
        far: false accept rate that must not be exceeded; the highest such threshold is taken.

    Raises:
        FacetoolError: too few pairs, or distances that no threshold above 0 divides.
    """
    unit_length = description.unit_length is not False
    sides = [normalize(side) if unit_length else side for side in (first, second)]
    distances = squared_l2(*sides)
    impostors = np.sort(distances[~trials.same])
    if far is None:
        folds = insightface.evaluate_distances(distances, trials).folds
        if reason := misfit(folds):
            raise FacetoolError(f"no threshold can be measured: {reason}")
        value = round(float(np.mean([fold.threshold for fold in folds if fold])), 4)
    else:
        value = _at_far(impostors, far)
    if not (isfinite(value) and value > 0):
        raise FacetoolError(
            f"no threshold can be measured: it would be {value:g}, below which no pair is; is a "
            "photo paired with itself, or a copy of it, as two people's, or are genuine and "
            "impostor pairs exchanged?"
        )
    accepted = int((impostors < value).sum())
    reached = accepted / len(impostors) if accepted else None  # of none no rate is known
    return PairThreshold(value, name, far=reached, normalized=unit_length)


def _at_far(impostors: NDArray[np.float64], far: float) -> float:
    """The distance (six decimals, rounded down) below which a share of the impostors lies.

    Args:
        impostors: distances, rising.
        far: the share not to exceed.

    Raises:
        FacetoolError: there are too few impostors to tell.
    """
    accepted = int(far * len(impostors) + 1e-9)
    if not 1 <= accepted < len(impostors):
        raise FacetoolError(
            f"no threshold can be measured for the false accept rate {far:g}: with "
            f"{counted(len(impostors), 'impostor pair')} the lowest is one of them"
        )
    return float(np.floor(impostors[accepted] * 1e6) / 1e6)


def _choice_warnings(several: int, images: int) -> list[str]:
    """A warning where the largest face may often be another person's than the photo is named for.

    On LFW-a MTCNN finds several faces in one photo of five; the largest instead of the central one
    costs AUC 0.9943 instead of 0.9968.
    """
    if several <= _FEW * images:
        return []
    return [
        f"{several:,} of {counted(images, 'image')}: photos with several faces, of which align "
        "took the largest; where the person meant is in the middle, as in LFW, let align select "
        "'center'"
    ]


def _misfit_warnings(protocol: str, metric: str, outcome: Verification) -> list[str]:
    if protocol == "insightface" or metric == "arccos":
        return []  # these do not depend on the embeddings' length
    reason = misfit(outcome.folds)
    if not reason:
        return []
    advice = "the protocol insightface, which normalises embeddings"
    if protocol == "facenet":
        advice += ", or the metric arccos"
    return [f"the {protocol} protocol does not fit these embeddings: {reason}; take {advice}"]


def _write(folder: Path, result: LfwResult, overlays: Sequence[tuple[str, Curve]]) -> None:
    from facetool.plots.roc import roc_figure

    outcome = result.outcome
    with atomic_write(folder / _ACCURACIES, "w", encoding="utf-8") as file:
        file.write(_accuracies_text(outcome))
    for number, fold in enumerate(outcome.folds):
        with atomic_write(folder / _fold_name(number), "w", encoding="utf-8") as file:
            file.write(_roc_text(fold))
    _remove_folds(folder, len(outcome.folds))
    counts = curve_counts(outcome.folds)
    folds = [Curve(fold.fpr, fold.tpr) for fold in counts]
    assert outcome.curve is not None  # the trials were checked
    figure = roc_figure(outcome.curve, folds, result.tag, overlays)
    for name in _PLOTS:
        save_plot(figure, folder / name)
    write_json(folder / _RESULT, result.as_dict())


def _fold_name(number: int | str) -> str:
    return f"l2-roc.fold-{number}.csv"


def _remove_folds(folder: Path, count: int) -> None:
    """Remove those that an earlier run of more folds left: they would pass for this run's."""
    own = starts_with(_ROC_HEADER.encode())
    for path in folder.glob(_fold_name("*")):
        number = path.stem.rpartition("-")[2]
        if not number.isdecimal() or int(number) < count or not path.is_file():
            continue
        with output_errors(path):
            with path.open("rb") as file:
                found = own(file)
            if found:
                path.unlink(missing_ok=True)


def _accuracies_text(outcome: Verification) -> str:
    """``accuracies.txt`` as OpenFace writes it."""
    lines = [_ACCURACIES_HEADER]
    for number, fold in enumerate(outcome.folds):
        threshold, accuracy = (fold.threshold, fold.accuracy) if fold else (np.nan, np.nan)
        lines.append(f"{number}, {threshold:.2f}, {accuracy:.2f}")
    return "\n".join([*lines, "", f"avg, {outcome.accuracy:.4f} +/- {outcome.std:.4f}", ""])


def _roc_text(fold: Fold | None) -> str:
    """``l2-roc.fold-K.csv`` as OpenFace writes it: one row per threshold.

    It ends where everything is accepted, which a last row at 4.0 repeats.
    """
    lines = [_ROC_HEADER]
    if fold:
        counts = fold.counts
        everything = (counts.tpr == 1) & (counts.fpr == 1)
        last = int(everything.argmax()) if everything.any() else len(SWEEP) - 1
        lines += [_roc_row(round(float(SWEEP[i]), 2), counts, i) for i in range(last + 1)]
        if everything.any():
            lines.append(_roc_row(4.0, counts, last))
    return "\n".join(lines) + "\n"


def _roc_row(threshold: float, counts: Counts, index: int) -> str:
    tp, fp = int(counts.true_positives[index]), int(counts.false_positives[index])
    tpr, fpr = float(counts.tpr[index]), float(counts.fpr[index])
    return f"{threshold},{tp},{counts.impostors - fp},{fp},{counts.genuine - tp},{tpr},{fpr}"
