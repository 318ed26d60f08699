"""Identification of probes in a gallery among up to a million distractors, as in MegaFace."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.errors import FacetoolError, UsageError
from facetool.evaluation import identification
from facetool.evaluation.distances import check_distinct
from facetool.evaluation.identification import Identification, nested_sets
from facetool.evaluation.noise_lists import NoiseLists, read_noise_lists, replace_noisy
from facetool.files.embeddings import Embeddings
from facetool.files.json_file import write_json
from facetool.files.megaface_features import read_features
from facetool.files.output_file import check_output, same_place, starts_with
from facetool.files.paths import as_paths, optional_path
from facetool.files.text import counted
from facetool.jobs.progress import progress_bar
from facetool.networks.devices import resolve_device
from facetool.plots.style import check_name, save_plot

_RESULT = "identify.json"
_PLOTS = ("identify.png", "identify.pdf")


@dataclass(frozen=True, kw_only=True)
class IdentifyResult:
    """What ``identify.json`` holds.

    Attributes:
        gallery: where it lies.
        gallery_images: those in it, without noise.
        probes: where they lie.
        probe_images: those in it, without noise.
        distractors: where they lie.
        distractor_images: those in them, without noise; None where there are no distractors, and
            other people of the gallery take their place.
        outcome: the rates.
        noise: images listed as noise, distractors removed, images replaced, and of each list how
            many images here it names.
        provenance: network, weights and flip of the gallery, as JSON values.
    """

    gallery: Path
    gallery_images: int
    probes: Path
    probe_images: int
    distractors: tuple[Path, ...]
    distractor_images: int | None
    outcome: Identification
    noise: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def rank1(self) -> dict[int, float]:
        """Share of probes whose mate comes first, by the number of distractors."""
        rates = zip(self.outcome.sizes, self.outcome.cmc, strict=True)
        return {size: float(cmc[0]) for size, cmc in rates}

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "protocol": "megaface",
            "gallery": {"path": str(self.gallery), "images": self.gallery_images},
            "probes": {"path": str(self.probes), "images": self.probe_images},
            "distractors": {
                "paths": [str(path) for path in self.distractors],
                "images": self.distractor_images,
            },
            "noise": self.noise,
            **_metrics(self.outcome),
            "provenance": self.provenance,
        }


def identify(
    gallery: str | Path,
    probes: str | Path,
    distractors: Sequence[str | Path] = (),
    *,
    remove: Sequence[str | Path] = (),
    output: str | Path | None = None,
    device: str | torch.device = "auto",
    ranks: int = 10,
) -> IdentifyResult:
    """Rank each probe's mates among distractors, by MegaFace's protocol.

    Every gallery image of a probe's identity in turn is its mate, alone among the distractors;
    where gallery and probes are the same folder, an image is not its own mate. The identity is
    the folder an image lies in. Without distractors the gallery's images of all other
    identities take their place.

    Args:
        gallery: a represent folder or MegaFace feature files.
        probes: likewise; may be ``gallery`` itself.
        distractors: likewise, any number.
        remove: noise lists, see :mod:`facetool.evaluation.noise_lists`.
        output: folder for ``identify.json``, ``identify.png`` and ``identify.pdf``.
        device: where the products are computed: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        ranks: the highest rank to report.

    Raises:
        FormatError: an input is damaged.
        UsageError: the inputs do not go together, there is no such device, or a result would
            replace one of them or a file of another kind.
        FacetoolError: no probe has a mate.
        OutputError: a file cannot be written.
    """
    gallery, probes = Path(gallery), Path(probes)
    output = optional_path(output)
    distractor_paths = as_paths(distractors)
    noise_lists = as_paths(remove)
    device = resolve_device(device, mps=False)
    if output is not None:
        _check_outputs(output, [gallery, probes, *distractor_paths, *noise_lists])
    same = same_place(gallery, probes)
    if any(same_place(gallery, path) for path in distractor_paths):
        raise UsageError(
            f"{gallery} is the gallery, whose people cannot be distractors; leave distractors out, "
            "and all others of the gallery are",
            "distractors",
        )
    if any(same_place(probes, path) for path in distractor_paths):
        raise UsageError(
            f"{probes} holds the probes, each of which would be its own distractor; give others "
            "as distractors",
            "distractors",
        )
    for one, other in combinations(distractor_paths, 2):
        if same_place(one, other):
            raise UsageError(f"the distractors in {other} are given twice; give them once")
    noise = read_noise_lists(noise_lists)
    sources = {path: read_features(path) for path in dict.fromkeys((gallery, probes))}
    distractor_sets = [read_features(path) for path in distractor_paths]
    _check_comparable([*sources.items(), *zip(distractor_paths, distractor_sets, strict=True)])
    numbers: dict[str, int] = {}
    gallery_people, replaced = _people(gallery, sources[gallery], noise, numbers)
    probe_people = gallery_people
    if not same:
        probe_people, more = _people(probes, sources[probes], noise, numbers)
        replaced += more

    if not distractor_sets and len(set(gallery_people.labels.tolist())) == 1:
        raise UsageError(
            f"{gallery} holds one person, so there are no impostors; give distractors=REPS",
            "distractors=REPS",
        )
    rows = _Rows(distractor_sets, noise)
    if distractor_sets and not len(rows):
        raise UsageError("no distractor is left")
    noise.remark_unused()
    sets = nested_sets(len(rows)) if distractor_sets else [np.arange(len(gallery_people.vectors))]
    with progress_bar("identify", sum(map(len, sets))) as bar:
        try:
            outcome = identification.rank_mates(
                probe_people.vectors,
                probe_people.labels,
                gallery_people.vectors,
                gallery_people.labels,
                rows.take if distractor_sets else None,
                sets,
                device,
                ranks,
                same,
                bar.update,
            )
        except identification.NoMateError as error:
            raise FacetoolError(
                f"no probe has a mate: no folder name of {probes} has another image in {gallery}"
            ) from error
    result = IdentifyResult(
        gallery=gallery,
        gallery_images=len(gallery_people.names),
        probes=probes,
        probe_images=len(probe_people.names),
        distractors=tuple(distractor_paths),
        distractor_images=len(rows) if distractor_sets else None,
        outcome=outcome,
        noise={
            "listed": len(noise),
            "distractors_removed": rows.removed,
            "images_replaced": replaced,
            "lists": noise.counts(),
        },
        provenance={
            key: sources[gallery].description.as_dict().get(key)
            for key in ("network", "weights", "flip")
        },
    )
    if output is not None:
        _write(output, result)
    return result


def _metrics(outcome: Identification) -> dict[str, Any]:
    far, tar = outcome.roc()
    return {
        "pairs": outcome.pairs,
        "identification": [
            {"distractors": size, "rank1": float(rates[0]), "cmc": rates.tolist()}
            for size, rates in zip(outcome.sizes, outcome.cmc, strict=True)
        ],
        "verification": {
            "genuine": len(outcome.genuine),
            "impostors": outcome.impostors,
            "tar_at_far": [
                {**asdict(rate), "measurable": rate.measurable} for rate in outcome.tar_at_far()
            ],
            "roc": {"far": far, "tar": tar},
        },
    }


def _check_outputs(folder: Path, inputs: Sequence[Path]) -> None:
    """Refuse to write over what is no earlier result."""
    own = starts_with(b'{\n  "protocol": "megaface"')
    check_output(folder / _RESULT, "result of identify", own, inputs=inputs)
    for name in _PLOTS:
        check_name(folder / name)


def _write(folder: Path, result: IdentifyResult) -> None:
    from facetool.plots.identification import identification_figure

    figure = identification_figure(result.outcome)
    for name in _PLOTS:
        save_plot(figure, folder / name)
    write_json(folder / _RESULT, result.as_dict())


def _check_comparable(sources: Sequence[tuple[Path, Embeddings]]) -> None:
    path, first = sources[0]
    for other_path, other in sources[1:]:
        size, other_size = first.vectors.shape[1], other.vectors.shape[1]
        if size != other_size:
            raise UsageError(
                f"{path} holds embeddings of {counted(size, 'dimension')}, {other_path} of "
                f"{other_size}"
            )
        if reason := first.description.difference(other.description):
            raise UsageError(
                f"{path} and {other_path} hold embeddings of different kinds: {reason}"
            )


def _people(
    path: Path, source: Embeddings, noise: NoiseLists, numbers: dict[str, int]
) -> tuple[Embeddings, int]:
    """Embeddings with their identity's number as label, noise replaced; how many were noisy."""
    people = identities(source.names)
    if "" in people:
        raise UsageError(
            f"{path}: {source.names[people.index('')]} lies in no person's folder, "
            "so its identity is not known"
        )
    labels = np.array([numbers.setdefault(person, len(numbers)) for person in people], np.int64)
    check_distinct(source.vectors, path)
    noisy = noise.find(source.names)
    vectors, keep = replace_noisy(source.vectors, labels, noisy)
    names = [name for name, kept in zip(source.names, keep, strict=True) if kept]
    return Embeddings(names, labels[keep], vectors[keep]), int(noisy.sum())


def identities(names: Sequence[str]) -> list[str]:
    """The folder of each image, without the folders that all people's folders lie in."""
    folders = [name.rpartition("/")[0].removeprefix("./").lstrip("/") for name in names]
    above = {folder.rpartition("/")[0] for folder in set(folders)}
    common = os.path.commonpath(above) if above and "" not in above else ""
    start = len(common) + 1 if common else 0
    return [folder[start:] for folder in folders]


class _Rows:
    """The vectors of several sources as one list, without the noisy ones."""

    def __init__(self, sources: Sequence[Embeddings], noise: NoiseLists) -> None:
        self._parts = [source.vectors for source in sources]
        kept = [np.flatnonzero(~noise.find(source.names)) for source in sources]
        self._rows = np.concatenate([*kept, np.empty(0, np.int64)])
        self._ends = np.cumsum([len(rows) for rows in kept])
        self.removed = sum(map(len, self._parts)) - len(self)

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Vectors (N, D) of rising row numbers (N,)."""
        parts = np.split(numbers, np.searchsorted(numbers, self._ends[:-1]))
        pairs = zip(self._parts, parts, strict=True)
        found = [vectors[self._rows[wanted]] for vectors, wanted in pairs if len(wanted)]
        return found[0] if len(found) == 1 else np.concatenate(found)
