"""``search``: where else in represent folders is the person of some photos?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.alignment.recipes import Recipe, override
from facetool.alignment.stated_recipe import StatedRecipe
from facetool.cropping.photos import crop_photos
from facetool.cropping.remarks import PhotoRemark, note_remarks
from facetool.detection.face import Box
from facetool.detection.options import DEFAULT_SELECT, DetectionSettings
from facetool.detection.tracks import TrackTimes, times_of
from facetool.embedding.choices import ENGINES
from facetool.embedding.embedder import Embedder
from facetool.embedding.people import pair_threshold
from facetool.errors import (
    FacetoolError,
    FormatError,
    ImageError,
    UsageError,
    check_choice,
    check_range,
)
from facetool.evaluation.distances import Floats, normalize
from facetool.evaluation.nearest import nearest_rows
from facetool.evaluation.vector_index import VectorIndex
from facetool.files.align_manifest import AlignRow
from facetool.files.embeddings import describe_embeddings, map_embeddings, read_embeddings
from facetool.files.face_rows import read_face_rows
from facetool.files.output_file import same_place
from facetool.files.paths import as_paths
from facetool.files.represent_description import (
    RepresentDescription,
    read_represent_description,
)
from facetool.files.storage import is_url
from facetool.files.text import counted
from facetool.images.aligned_photos import AlignedPhotos
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import resolve_device
from facetool.networks.pair_threshold import PairThreshold
from facetool.pipeline.choices import DEFAULT_TOP
from facetool.weights.catalogue import CATALOGUE
from facetool.weights.load import load_network


@dataclass(frozen=True, kw_only=True)
class SearchSettings:
    """What is searched for, and how photos are read.

    Attributes:
        top: how many faces to find at most.
        threshold: squared L2; only faces below it are found. Default: the nearest, however far.
        index: look by an index, which is built beside the embeddings when it is not there, instead
            of comparing all: quicker among millions, and some of the nearest may be missed.
        select: which face of a photo: ``largest``, ``center`` or ``only``.
        detector: instead of the one that the gallery's crops were made with.
        detection: how the detector is used; default: its default settings.
        device: where the network runs, as :func:`facetool.resolve_device` takes it.
        engine: what runs the network, ``torch`` or ``openvino``.

    Raises:
        UsageError: a setting has no such choice, or is out of its range.
    """

    top: int = DEFAULT_TOP
    threshold: float | None = None
    index: bool = False
    select: str = DEFAULT_SELECT
    detector: str | None = None
    detection: DetectionSettings | None = None
    device: str | torch.device = "auto"
    engine: str = "torch"

    def __post_init__(self) -> None:
        check_range("top", self.top, 1)
        check_choice("select", self.select, ("largest", "center", "only"))
        check_choice("engine", self.engine, ENGINES)
        if self.threshold is not None:
            check_range("threshold", self.threshold, 0)


@dataclass(frozen=True, kw_only=True)
class Match:
    """A face that was found.

    Attributes:
        reps: the represent folder it lies in.
        image: its crop, as in ``labels.csv``.
        squared_l2: distance to the photo that is searched for; mean of the distances to several.
        similarity: cosine, -1…1; likewise.
        same: whether it is below the threshold; None where no threshold is known.
        photo: the file it was cut out of, or its URL; None where nothing is there to say.
        box: where in that photo, pixels of the upright photo; None likewise.
        times: when the face is seen, where the photo is a video.
    """

    reps: Path
    image: str
    squared_l2: float
    similarity: float
    same: bool | None
    photo: Path | str | None = None
    box: Box | None = None
    times: TrackTimes | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        document: dict[str, Any] = {
            "reps": str(self.reps),
            "image": self.image,
            "squared_l2": self.squared_l2,
            "similarity": self.similarity,
            "same": self.same,
            "photo": None if self.photo is None else str(self.photo),
            "box": None if self.box is None else list(self.box),
        }
        return document if self.times is None else {**document, **self.times.as_dict()}


@dataclass(frozen=True, kw_only=True)
class SearchResult:
    """What was found.

    Attributes:
        matches: nearest first.
        probes: the photos that could be used.
        faces: how many were searched.
        threshold: what ``same`` is decided by, if anything.
        recall: share of the 20 nearest that the index finds, measured on faces of the folder
            itself; None where all faces were compared.
        report: photos that could not be used.
        remarks: on photos that could.
    """

    matches: list[Match]
    probes: list[str]
    faces: int
    threshold: PairThreshold | None
    recall: float | None
    report: Report
    remarks: Sequence[PhotoRemark] = ()

    @property
    def false_matches(self) -> float | None:
        """How many faces of other people to expect below the threshold; None: not known.

        The false accept rate of the threshold is that of one pair; here are as many as faces.
        """
        far = self.threshold.far if self.threshold else None
        return None if far is None else far * self.faces

    @property
    def fpir(self) -> float | None:
        """Chance that somebody who is not among the faces is found all the same.

        1 - (1 - FAR)^N, as if faces were independent; None where the rate is not known.
        """
        far = self.threshold.far if self.threshold else None
        return None if far is None else float(-np.expm1(self.faces * np.log1p(-far)))

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "probes": self.probes,
            "faces": self.faces,
            "matches": [match.as_dict() for match in self.matches],
            "threshold": self.threshold.as_dict() if self.threshold else None,
            "false_matches": self.false_matches,
            "fpir": self.fpir,
            "recall": self.recall,
            "failed": self.report.failed_images(),
            "remarks": [remark._asdict() for remark in self.remarks],
        }


def gallery_network(description: RepresentDescription, reps: Path) -> tuple[str, Recipe]:
    """The network that a represent folder was made with, as ``load_network`` takes it, and recipe.

    Raises:
        UsageError: it does not say.
        FormatError: what it says is damaged.
    """
    recipe = _stated_recipe(description, reps)
    if not (description.network and recipe):
        raise UsageError(
            f"{reps} does not say which network it was made with; say it with model=NAME, or make "
            "it with facetool represent",
            "model=NAME",
        )
    weights = description.weights_name
    return weights if weights in CATALOGUE else description.network, recipe


def _stated_recipe(description: RepresentDescription, reps: Path) -> Recipe | None:
    if not description.recipe:
        return None
    try:
        return Recipe.from_dict(dict(description.recipe))
    except FormatError:
        raise FormatError(
            f"{reps} does not say rightly what its network takes; make it again with facetool "
            "represent"
        ) from None


def search(
    reps: Sequence[str | Path],
    photos: Sequence[str | Path],
    network: EmbeddingNetwork | None = None,
    settings: SearchSettings | None = None,
) -> SearchResult:
    """Find the person of some photos in represent folders.

    Every face of the folders is compared. With several photos its distance is the mean of those to
    each photo, so that the threshold of a pair holds: to their mean embedding all faces are nearer,
    strangers too.

    Args:
        reps: represent folders of one network; each is in memory by itself.
        photos: one or more, of one person.
        network: the one that the folders were made with, which those of other programs do not
            say; default: the published one that they name.
        settings: how many to find, and how photos are read; default: the default settings.

    Raises:
        UsageError: the folders or the network do not go together, or neither the first folder nor
            ``network`` says which that is.
        FormatError: a folder is damaged, or not there.
        WeightsError: the network's weights are not on this machine.
        FacetoolError: no photo has a face; it says why the first has none.
    """
    folders = as_paths(reps)
    paths = as_paths(photos)
    settings = settings or SearchSettings()
    settings = replace(settings, device=resolve_device(settings.device))
    if not folders:
        raise UsageError("give a represent folder to search in")
    if not paths:
        raise UsageError("give a photo to search for")
    for earlier, later in combinations(folders, 2):
        if same_place(earlier, later):
            raise UsageError(f"{later} is to be searched twice; give each folder once")
    description, *others = map(describe_embeddings, folders)
    for path, other in zip(folders[1:], others, strict=True):
        if reason := description.difference(other, "unit_length"):
            raise UsageError(
                f"{folders[0]} and {path} hold embeddings of different kinds: {reason}"
            )
    if network is None:
        name, stated = gallery_network(description, folders[0])
        network = load_network(name, recipe=StatedRecipe.of(stated))
    recipe = _stated_recipe(description, folders[0]) or network.recipe
    for path, one in zip(folders, [description, *others], strict=True):
        _check_network(one, _stated_recipe(one, path) or recipe, path, network)
    threshold = pair_threshold(description)
    if threshold is None and description.flip in (None, "none"):
        threshold = network.info.threshold
    unit_length = network.info.unit_length
    if settings.threshold is not None:
        threshold = PairThreshold(settings.threshold, "given", normalized=unit_length)
    report = Report()
    probes, embeddings, remarks = _embed(
        paths, recipe, description.flip or "none", network, settings, report
    )
    probe, spread = _combine(probes, embeddings, unit_length, threshold, report)
    direction = normalize(embeddings.astype(np.float64)).mean(axis=0)
    found: list[Match] = []
    recalls: list[float] = []
    faces = 0
    for path in folders:
        searched = _open_gallery(path, unit_length, settings.index)
        if searched.vectors.shape[1] != len(probe):
            raise FormatError(
                f"{path} holds embeddings of {counted(searched.vectors.shape[1], 'dimension')}; "
                f"{network.info.architecture} makes {len(probe)}"
            )
        faces += searched.faces
        recalls += [searched.graph.recall] if searched.graph else []
        rows, distances = searched.nearest(probe, settings.top, unit_length)
        distances = distances + spread
        cosines = normalize(searched.vectors[rows]) @ direction
        found += [
            Match(
                reps=path,
                image=searched.names[row],
                squared_l2=float(distance),
                similarity=float(cosine),
                same=None if threshold is None else bool(distance < threshold.squared_l2),
            )
            for row, distance, cosine in zip(rows, distances, cosines, strict=True)
        ]
    found.sort(key=lambda match: match.squared_l2)
    if settings.threshold is not None:
        found = [match for match in found if match.same]
    return SearchResult(
        matches=_with_photos(found[: settings.top]),
        probes=probes,
        faces=faces,
        threshold=threshold,
        recall=min(recalls, default=None),
        report=report,
        remarks=remarks,
    )


class _Gallery(NamedTuple):
    """A represent folder: names and embeddings of what may be found, and its index, if any."""

    names: Sequence[str]
    vectors: NDArray[np.float32]
    faces: int
    graph: VectorIndex | None

    def nearest(
        self, probe: Floats, count: int, unit_length: bool
    ) -> tuple[NDArray[np.int64], Floats]:
        if self.graph is not None:
            return self.graph.nearest(probe, count)
        return nearest_rows(probe, self.vectors, count, unit_length=unit_length)


def _open_gallery(path: Path, unit_length: bool, index: bool) -> _Gallery:
    """Without the images whose face was missed; with an index the embeddings stay on disk."""
    if not index:
        gallery = read_embeddings(path)
        missed = gallery.missed_faces
        kept = np.array([name not in missed for name in gallery.names], bool)
        names = [name for name in gallery.names if name not in missed]
        vectors = gallery.vectors[kept] if missed else gallery.vectors
        return _Gallery(names, vectors, len(names), None)
    if not (path / "reps.npy").is_file():
        raise UsageError(
            f"{path} has no reps.npy to build an index of: make a represent folder of what embed "
            f"wrote with facetool merge, or leave index out",
            "index",
        )
    every, mapped = map_embeddings(path)
    left_out = set(read_represent_description(path).missed_faces or ())
    found = np.array([name not in left_out for name in every], bool)
    built = VectorIndex(path, mapped, found, unit_length=unit_length)
    return _Gallery(every, mapped, int(found.sum()), built)


def _check_network(
    description: RepresentDescription, wanted: Recipe, reps: Path, network: EmbeddingNetwork
) -> None:
    """Refuse a network whose embeddings cannot be compared with a folder's."""
    info = network.info
    own = RepresentDescription(
        network=info.architecture,
        weights_name=info.weights_name,
        weights_sha256=info.weights_sha256,
        unit_length=info.unit_length,
        recipe=network.recipe.as_dict(),
        flip=description.flip,
    )
    if wanted.crop.same_crop(network.recipe.crop):  # the detector may be another
        own = replace(own, recipe={**network.recipe.as_dict(), "crop": wanted.crop.as_dict()})
    if reason := description.difference(own, "unit_length"):
        raise UsageError(
            f"{reps} was not made with this network: {reason}; give its weights file with "
            "weights=FILE, and the recipe that was stated for it",
            "weights=FILE",
        )


def _embed(
    photos: Sequence[Path],
    recipe: Recipe,
    flip: str,
    network: EmbeddingNetwork,
    settings: SearchSettings,
    report: Report,
) -> tuple[list[str], NDArray[np.float32], list[PhotoRemark]]:
    """The photos that can be used, the embeddings (P, D) of their faces, remarks on them."""
    crop = override(recipe.crop, detector=settings.detector)
    names, crops = [], []
    remarks: list[PhotoRemark] = []
    for photo in crop_photos(
        list(dict.fromkeys(photos)), crop, settings.select, settings.detection
    ):
        if photo.error:
            report.failed(str(photo.path), photo.error)
            continue
        remarks += note_remarks(str(photo.path), photo.remarks, report)
        report.done("searched for")
        names.append(str(photo.path))
        crops.append(photo.faces[0].image)
    if not crops:
        name, reason = report.failures[0]
        raise FacetoolError(f"none of the photos has a face to search for; {name}: {reason}")
    embedder = Embedder(network, settings.device, flip=flip, engine=settings.engine)
    return names, embedder.embed_all(np.stack(crops)), remarks


def _combine(
    names: Sequence[str],
    embeddings: NDArray[np.float32],
    unit_length: bool,
    threshold: PairThreshold | None,
    report: Report,
) -> tuple[Floats, float]:
    """The mean (D,) of embeddings, and their mean squared L2 from it; a remark on those far apart.

    The mean squared L2 of a face to all of them is its squared L2 to their mean and that.
    """
    exact = embeddings.astype(np.float64)
    vectors = normalize(exact) if unit_length else exact
    if threshold is not None:
        for one, other in combinations(range(len(names)), 2):
            apart = float(np.square(vectors[one] - vectors[other]).sum())
            if apart >= threshold.squared_l2:
                report.note(
                    names[other],
                    "unlike another photo",
                    f"may not show the person of {names[one]} (squared L2 {apart:.3f}); "
                    "what is found is like both",
                )
    mean = vectors.mean(axis=0)
    return mean, float(np.square(vectors - mean).sum(axis=1).mean())


def _with_photos(matches: list[Match]) -> list[Match]:
    """The matches with photo and box, where it is known from which photos the faces were cut."""
    wanted: dict[Path, set[str]] = {}
    for match in matches:
        wanted.setdefault(match.reps, set()).add(match.image)
    faces: Mapping[Path, _Faces] = {reps: _Faces(reps, images) for reps, images in wanted.items()}
    return [faces[match.reps].complete(match) for match in matches]


class _Faces:
    """What is known of some faces of a represent folder."""

    def __init__(self, reps: Path, images: set[str]) -> None:
        self._rows: Mapping[str, AlignRow] = {}
        self._inputs: Mapping[str, str] = {}
        try:
            crops = Path(describe_embeddings(reps).input or "")
            self._rows, self._inputs = read_face_rows(crops, images)
            self._photos = AlignedPhotos(self._inputs)
        except (OSError, FormatError):  # what was found is worth more than where it was cut out
            self._photos = AlignedPhotos({})

    def complete(self, match: Match) -> Match:
        """With photo and box."""
        row = self._rows.get(match.image)
        if row is None:
            return match
        box = Box(*row.edges) if row.edges else None
        times = times_of(row)
        place = self._inputs.get("", "")
        if is_url(place):
            return replace(match, photo=f"{place}/{row.input}", box=box)
        try:
            return replace(match, photo=self._photos.path(row.input), box=box, times=times)
        except ImageError:
            return replace(match, box=box, times=times)
