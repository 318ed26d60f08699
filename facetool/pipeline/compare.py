"""The ``compare`` stage: compares the faces in raw photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.cropping.photos import crop_photos
from facetool.cropping.remarks import PhotoRemark, note_remarks
from facetool.detection.face import Box
from facetool.detection.options import DEFAULT_SELECT, SELECTIONS, DetectionSettings
from facetool.embedding.embedder import Embedder
from facetool.errors import check_choice, check_range
from facetool.evaluation.distances import normalize
from facetool.files.paths import as_paths
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import resolve_device
from facetool.networks.pair_threshold import PairThreshold


@dataclass(frozen=True, eq=False)
class PhotoFace:
    """A face of a photo.

    Attributes:
        image: the photo, as it was given.
        number: of the face in the photo, from 1.
        box: where it is, pixels of the upright photo.
        embedding: float32 (D,), ready to be compared.
    """

    image: str
    number: int
    box: Box
    embedding: NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """Two faces of different photos, or of one.

    Attributes:
        first: one face.
        second: the other.
        squared_l2: of the two embeddings.
        cosine: of the angle between them, -1…1.
        same: whether they show one person; None where no threshold is known.
    """

    first: PhotoFace
    second: PhotoFace
    squared_l2: float
    cosine: float
    same: bool | None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "images": [self.first.image, self.second.image],
            "faces": [self.first.number, self.second.number],
            "boxes": [list(self.first.box), list(self.second.box)],
            "squared_l2": self.squared_l2,
            "cosine": self.cosine,
            "same": self.same,
        }


@dataclass(frozen=True)
class ComparisonResult:
    """All pairs, in the order of the photos.

    Attributes:
        comparisons: one per pair of faces of two photos.
        threshold: what ``same`` is decided by, if anything.
        report: photos that could not be used.
        remarks: on photos that could.
    """

    comparisons: list[Comparison]
    threshold: PairThreshold | None
    report: Report
    remarks: Sequence[PhotoRemark] = ()

    @property
    def verdict(self) -> bool | None:
        """Whether all pairs show one person; None where a photo failed or no threshold is known."""
        verdicts = [comparison.same for comparison in self.comparisons]
        if not verdicts or None in verdicts or self.report.failures:
            return None
        return all(verdicts)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "comparisons": [comparison.as_dict() for comparison in self.comparisons],
            "threshold": self.threshold.as_dict() if self.threshold else None,
            "failed": self.report.failed_images(),
            "remarks": [remark._asdict() for remark in self.remarks],
        }


def known_threshold(
    network: EmbeddingNetwork, given: float | None = None, *, flip: str = "none"
) -> PairThreshold | None:
    """The threshold a user gave, or else the one calibrated on the network's embeddings.

    With ``flip`` embeddings have unit length; a threshold between others says nothing then.

    Raises:
        UsageError: the one given is negative or not finite.
    """
    if given is not None:
        check_range("threshold", given, 0)
        return PairThreshold(given, "given", normalized=network.info.unit_length or flip != "none")
    known = network.info.threshold
    return None if known is not None and flip != "none" and not known.normalized else known


def compare(
    images: Sequence[str | Path],
    network: EmbeddingNetwork,
    *,
    threshold: PairThreshold | float | None = None,
    select: str = DEFAULT_SELECT,
    detector: str | None = None,
    device: str | torch.device = "auto",
    detection: DetectionSettings | None = None,
    flip: str = "none",
    engine: str = "torch",
) -> ComparisonResult:
    """Detect, crop and embed the faces of photos and compare every two photos.

    Args:
        images: two or more photos; one that is given twice is compared with itself.
        network: from :func:`facetool.load_network`.
        threshold: squared L2 below which two faces are one person's; default: the network's own,
            without which there is no verdict.
        select: which faces of a photo take part: ``largest``, ``center``, ``all``, ``only``.
        detector: instead of the one of the network's recipe.
        device: where the network runs, as :func:`facetool.resolve_device` takes it.
        detection: how the detector is used; default: its default settings.
        flip: what the mirrored crop's embedding is for: ``none``, ``sum`` or ``concat``, see
            :class:`facetool.embedding.embedder.Embedder`.
        engine: what runs the network, ``torch`` or ``openvino``.

    Returns:
        No comparisons where fewer than two photos can be used; the report says why.

    Raises:
        UsageError: there is no such device or choice, or the engine cannot do what is asked.
        WeightsError: the detector's weights are not on this machine, or an embedding is not finite.
    """
    from facetool.alignment.recipes import override

    photos = as_paths(images)
    if not isinstance(threshold, PairThreshold):
        threshold = known_threshold(network, threshold, flip=flip)
    check_choice("select", select, SELECTIONS)
    device = resolve_device(device)
    crop = override(network.recipe.crop, detector=detector)
    report = Report()
    remarks: list[PhotoRemark] = []
    found: list[tuple[str, int, Box]] = []
    places: list[int] = []
    crops = []
    for place, photo in enumerate(crop_photos(photos, crop, select, detection)):
        if photo.error:
            report.failed(str(photo.path), photo.error)
            continue
        remarks += note_remarks(str(photo.path), photo.remarks, report)
        report.done("compared")
        for number, (face, image) in enumerate(photo.faces, start=1):
            found.append((str(photo.path), number, face.box))
            places.append(place)
            crops.append(image)
    if report.counts["compared"] < 2:
        return ComparisonResult([], threshold, report, remarks)
    embedder = Embedder(network, device, flip=flip, engine=engine)
    embeddings = comparable(embedder.embed_all(np.stack(crops)), network, flip=flip)
    photo_faces = [
        PhotoFace(*face, embedding) for face, embedding in zip(found, embeddings, strict=True)
    ]
    comparisons = [
        compare_faces(one, other, threshold)
        for (here, one), (there, other) in combinations(zip(places, photo_faces, strict=True), 2)
        if here != there
    ]
    return ComparisonResult(comparisons, threshold, report, remarks)


def comparable(
    embeddings: NDArray[np.float32], network: EmbeddingNetwork, *, flip: str = "none"
) -> NDArray[np.float32]:
    """Embeddings (N, D) as two photos' are compared.

    They have unit length if the network says so, and with mirrored crops in any case.
    """
    if network.info.unit_length or flip != "none":
        return normalize(embeddings).astype(np.float32)
    return embeddings


def compare_faces(one: PhotoFace, other: PhotoFace, threshold: PairThreshold | None) -> Comparison:
    """Compare two faces; without a threshold there is no verdict."""
    a, b = one.embedding.astype(np.float64), other.embedding.astype(np.float64)
    squared_l2 = float(((a - b) ** 2).sum())
    cosine = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    same = None if threshold is None else squared_l2 < threshold.squared_l2
    return Comparison(one, other, squared_l2, cosine, same)
