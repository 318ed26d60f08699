"""``classify infer``: raw photos in, names out."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facetool.alignment.recipes import Crop, override
from facetool.alignment.stated_recipe import StatedRecipe
from facetool.classification.classifier import UNKNOWN, Classifier
from facetool.classification.provenance import Provenance, check_provenance
from facetool.cropping.photos import PhotoCrops, crop_photos
from facetool.cropping.remarks import note_remarks
from facetool.detection.face import Box
from facetool.detection.options import DEFAULT_SELECT, DetectionSettings
from facetool.detection.tracks import TrackTimes
from facetool.embedding.embedder import Embedder, check_finite
from facetool.errors import FormatError, ImageError, OutputError, UsageError
from facetool.files.atomic import atomic_write
from facetool.files.own_outputs import read_copies, write_copies
from facetool.files.paths import as_paths
from facetool.files.text import counted
from facetool.files.xmp import find_sidecar
from facetool.images.annotate import Label, annotate
from facetool.images.choices import DEFAULT_EVERY, Videos
from facetool.images.inputs import is_list, list_photos, unsupported_files
from facetool.images.named_faces import BoxedName, write_names, write_names_inside
from facetool.images.png import encode_png
from facetool.images.read import RGBImage, read_photo
from facetool.images.video import check_every, is_video, videos_among
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.weights.catalogue import CATALOGUE, resolve
from facetool.weights.load import load_network

_PHOTOS_AT_ONCE = 16
"""Photos whose faces go through the network together."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Why no other photo could be written either."""


@dataclass(frozen=True)
class NamedFace:
    """A face of a photo and who it is.

    Attributes:
        name: of the person, or ``unknown``.
        confidence: of the name, 0…1.
        similarity: cosine to the most likely person's mean.
        box: where it is, pixels of the upright photo; in a video of the frame that shows it best.
        times: when it is seen, in a video.
        crop: of a face in a video, where crops are kept; uint8 (H, W, 3).
    """

    name: str
    confidence: float
    similarity: float
    box: Box
    times: TrackTimes | None = None
    crop: RGBImage | None = field(default=None, repr=False, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        document: dict[str, Any] = {
            "name": self.name,
            "confidence": round(self.confidence, 6),
            "box": [round(edge, 2) for edge in self.box],
            "likeness": round(self.similarity, 6),
        }
        return document if self.times is None else {**document, **self.times.as_dict()}


@dataclass(frozen=True)
class NamedPhoto:
    """A photo and its faces, from left to right, or a video and its faces in the order of time;
    ``error`` where it could not be used, ``remarks`` on one that could."""

    image: str
    faces: list[NamedFace] = field(default_factory=list)
    error: str = ""
    remarks: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        document: dict[str, Any] = {
            "image": self.image,
            "faces": [face.as_dict() for face in self.faces],
        }
        if self.remarks:
            document["remarks"] = list(self.remarks)
        return {**document, "error": self.error} if self.error else document


@dataclass(frozen=True, kw_only=True)
class InferSettings:
    """How photos are read.

    Attributes:
        multi: name every face, not only the largest.
        detector: instead of the one that the training's crops were made with.
        detection: how the detector is used; default: its default settings.
        annotate: folder for copies of the photos with boxes and names.
        device: where the network runs, as :func:`facetool.resolve_device` takes it.
        null: paths in lists are separated by NUL.
        xmp: note the names in a sidecar beside each photo.
        xmp_inside: note them in the photo itself.
        engine: what runs the network, ``torch`` or ``openvino``.
        every: which frames of videos are searched: seconds from one to the next, or ``scene`` for
            the first of each scene; default: ``DEFAULT_EVERY``, and videos in folders are left
            alone.
        keep_crops: keep the crops of faces in videos, to show them.

    Raises:
        UsageError: ``every`` is neither.
    """

    multi: bool = False
    detector: str | None = None
    detection: DetectionSettings | None = None
    annotate: str | Path | None = None
    device: str | torch.device = "auto"
    null: bool = False
    xmp: bool = False
    xmp_inside: bool = False
    engine: str = "torch"
    every: float | str | None = None
    keep_crops: bool = False

    def __post_init__(self) -> None:
        check_every(self.frames)

    @property
    def frames(self) -> float | str:
        """Which frames of videos are searched."""
        return DEFAULT_EVERY if self.every is None else self.every


def network_name(classifier: Classifier) -> str:
    """The network that a classifier belongs to, as ``load_network`` takes it.

    Raises:
        UsageError: it does not say, or there is no such network.
    """
    provenance = classifier.provenance
    if not provenance.network:
        raise UsageError(
            "this classifier does not know which network it belongs to; train it again and say "
            "which one made the embeddings: facetool classify train REPS model=NAME",
            "model=NAME",
        )
    name = provenance.weights if provenance.weights in CATALOGUE else provenance.network
    resolve(name)
    return name


def _check_network(classifier: Classifier, network: EmbeddingNetwork) -> None:
    provenance = classifier.provenance
    info = network.info
    given = Provenance(
        info.architecture,
        info.weights_name,
        info.weights_sha256,
        network.recipe.as_dict(),
        flip=provenance.flip,
    )
    check_provenance(provenance, given, "the network")


def fit_network(
    classifier: Classifier,
    network: EmbeddingNetwork,
    device: str | torch.device,
    *,
    engine: str = "torch",
) -> tuple[Crop, Embedder]:
    """How photos become what a classifier takes: the crop recipe, and what embeds the crops.

    Raises:
        UsageError: the network is not the classifier's.
        FormatError: what the classifier says of the network does not fit it.
    """
    _check_network(classifier, network)
    crop = classifier.recipe.crop
    if not crop.same_crop(network.recipe.crop):
        raise FormatError(
            f"the classifier was trained on crops made as '{crop}', which is not "
            f"what {network.info.architecture} takes ('{network.recipe.crop}')"
        )
    embedder = Embedder(network, device, flip=classifier.provenance.flip, engine=engine)
    if embedder.size != classifier.means.shape[1]:
        raise FormatError(
            f"the classifier takes embeddings of {classifier.means.shape[1]} "
            f"dimensions; {network.info.architecture} makes {embedder.size}"
        )
    return crop, embedder


def name_people(
    classifier: Classifier,
    images: Sequence[str | Path],
    network: EmbeddingNetwork | None = None,
    settings: InferSettings | None = None,
    *,
    each: Callable[[NamedPhoto], object] | None = None,
) -> tuple[list[NamedPhoto], Report]:
    """Name the people in photos and videos.

    Of a video a face is named once for each time it is in sight.

    Args:
        classifier: from :func:`facetool.load_classifier`.
        images: photos, videos, folders of them, and lists (``-``: on stdin).
        network: the one that the classifier was trained on; default: the published one that it
            names.
        settings: faces, detector, annotation, device; default: the default settings.
        each: gets every photo as soon as it is done.

    Returns:
        The photos in order, and what became of them.

    Raises:
        UsageError: the network is not the classifier's, the classifier names none, or a folder
            has no images.
        FormatError: what the classifier says of the network does not fit it.
        WeightsError: the network's weights are not on this machine.
        OutputError: an annotated copy cannot be written, or the disk is full.
    """
    settings = settings or InferSettings()
    if network is None:
        name = network_name(classifier)  # a classifier that knows no network has no recipe either
        network = load_network(name, recipe=StatedRecipe.of(classifier.recipe))
    crop, embedder = fit_network(classifier, network, settings.device, engine=settings.engine)
    report = Report()
    photos, videos = _expand(as_paths(images), report, settings)
    _tell_of_videos(videos, report, settings)
    copies = _copy_names([path for path in photos if path not in videos], settings.annotate)
    named: list[NamedPhoto] = []
    cropped = crop_photos(
        photos,
        override(crop, detector=settings.detector),
        "all" if settings.multi else DEFAULT_SELECT,
        settings.detection,
        videos=videos,
        every=settings.frames,
    )
    with closing(cropped), progress_bar("infer", len(photos)) as bar:
        batches = iter(lambda: list(islice(cropped, _PHOTOS_AT_ONCE)), [])
        for some, embeddings in embedder.embed_batches(batches, partial(_stack, crop)):
            check_finite(embeddings)
            for cut in some:
                if not cut.error:
                    note_remarks(str(cut.path), cut.remarks, report)
            for path, photo in _name(some, embeddings, classifier, settings.keep_crops):
                if path in copies and not photo.error:
                    photo = _write_copy(copies[path], path, photo)
                noted = (settings.xmp or settings.xmp_inside) and path not in videos
                if noted and not photo.error:
                    photo = _write_xmp(path, photo, settings)
                if photo.error:
                    report.failed(photo.image, photo.error)
                else:
                    report.done("named")
                named.append(photo)
                if each is not None:
                    each(photo)
                bar.update()
    return named, report


def _expand(
    images: Sequence[Path], report: Report, settings: InferSettings
) -> tuple[list[Path], set[Path]]:
    """The photos, folders and lists replaced by what is in them, none twice; and the videos."""
    photos: dict[Path, None] = {}
    videos: set[Path] = set()
    wanted: Videos = "named" if settings.every is None else "all"
    for path in images:
        if not is_list(path):
            photos[path] = None
            videos |= {path} if is_video(path) else set()
            continue
        found = list_photos(path, null=settings.null, videos=wanted)
        for name, reason in found.unreadable:
            report.failed(str(found.root / name), reason)
        for skipped in unsupported_files(found.unsupported):
            report.failed(*skipped)
        if not (found.names or report.failures):
            raise UsageError(f"there are no images in {path}")
        photos.update(dict.fromkeys(found.root / name for name in found.names))
        if wanted == "all" or not path.is_dir():
            videos |= {found.root / name for name in videos_among(found, found.names)}
    return list(photos), videos


def _tell_of_videos(videos: Collection[Path], report: Report, settings: InferSettings) -> None:
    """Say what is not done with videos."""
    lacking = ["no annotated copy"] * (settings.annotate is not None)
    lacking += ["no XMP"] * (settings.xmp or settings.xmp_inside)
    if videos and lacking:
        what = f"{' and '.join(lacking)} of videos; their faces are named with the second"
        report.tell(f"{counted(len(videos), 'video')}, such as {min(videos)}", what)


def _stack(crop: Crop, photos: Sequence[PhotoCrops]) -> NDArray[np.uint8]:
    """All their crops (N, H, W, 3)."""
    none = np.empty((0, crop.height, crop.width, 3), np.uint8)
    return np.concatenate([none, *(face.image[None] for photo in photos for face in photo.faces)])


def _name(
    photos: Sequence[PhotoCrops],
    embeddings: NDArray[np.float32],
    classifier: Classifier,
    keep_crops: bool,
) -> Iterator[tuple[Path, NamedPhoto]]:
    """The photos with the names of their faces, from left to right, videos in order of time."""
    boxes = [found.face.box for photo in photos for found in photo.faces]
    named = iter(name_faces(classifier, embeddings, boxes))
    for photo in photos:
        faces = [next(named) for _ in photo.faces]
        for place, times in enumerate(photo.times):
            crop = photo.faces[place].image if keep_crops else None
            faces[place] = replace(faces[place], times=times, crop=crop)
        if not photo.times:
            faces.sort(key=lambda face: face.box.center)
        remarks = () if photo.error else photo.remarks
        yield photo.path, NamedPhoto(str(photo.path), faces, photo.error, remarks)


def _write_xmp(path: Path, photo: NamedPhoto, settings: InferSettings) -> NamedPhoto:
    """The named photo, with an error where its sidecar or its own XMP stays as it is."""
    faces = [
        BoxedName(face.name, face.box, f"confidence {face.confidence:.3f}")
        for face in photo.faces
        if face.name != UNKNOWN
    ]
    try:
        if settings.xmp and (faces or find_sidecar(path)):
            write_names(path, faces)
        if settings.xmp_inside:
            write_names_inside(path, faces)
    except (ImageError, FormatError, OutputError) as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL:
            raise
        return replace(photo, error=str(error))
    return photo


def name_faces(
    classifier: Classifier, embeddings: NDArray[np.float32], boxes: Sequence[Box]
) -> list[NamedFace]:
    """Name N faces.

    Args:
        classifier: of the network that embedded them.
        embeddings: (N, D), as the network gives them.
        boxes: N.
    """
    answers = classifier.answer(embeddings)
    confidences, similarities = answers.confidence.tolist(), answers.similarity.tolist()
    names = classifier.names(answers)
    rows = zip(names, confidences, similarities, boxes, strict=True)
    return [NamedFace(*row) for row in rows]


def _copy_names(photos: Sequence[Path], folder: str | Path | None) -> dict[Path, Path]:
    """Where the annotated copies go; photos of one name are numbered, in later runs, too.

    A file beside the copies notes which there are, and of which photos.

    Raises:
        UsageError: a copy would replace its photo.
    """
    if folder is None:
        return {}
    folder = Path(folder)
    copies: dict[Path, Path] = {}
    originals = {photo.resolve() for photo in photos}
    known = read_copies(folder)
    earlier = {photo: name for name, photo in known.items()}
    for photo in photos:
        original = str(photo.resolve())
        name, number = f"{photo.stem}.png", 2
        while original not in earlier and (name in known or _is_other(folder / name, originals)):
            name, number = f"{photo.stem}-{number}.png", number + 1
        name = earlier.get(original, name)
        known[name] = original
        copies[photo] = folder / name
    for copy in copies.values():
        if copy.resolve() in originals:
            raise UsageError(
                f"annotate={str(folder)!r}: {copy.name} would replace the photo itself",
                f"annotate={str(folder)!r}",
            )
    write_copies(folder, known)
    return copies


def _is_other(copy: Path, originals: set[Path]) -> bool:
    """Whether a file of a copy's name is there that is neither a copy nor one of the photos."""
    return copy.exists() and copy.resolve() not in originals


def _write_copy(copy: Path, path: Path, photo: NamedPhoto) -> NamedPhoto:
    """The named photo, with an error where it has gone since its faces were found."""
    try:
        image = read_photo(path).pixels
    except ImageError as error:
        return replace(photo, error=str(error))
    labels = [Label(tuple(face.box), f"{face.name} {face.confidence:.0%}") for face in photo.faces]
    with atomic_write(copy, durable=False) as file:
        file.write(encode_png(annotate(image, labels)))
    return photo
