"""``profile pipeline``: where the time goes between photos and embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from facetool.alignment.recipes import Crop
from facetool.alignment.stated_recipe import StatedRecipe
from facetool.cropping.detectors import describe_detector
from facetool.cropping.face_cropper import FaceCropper, no_face_hint
from facetool.cropping.photo_cropper import CroppedPhoto, crop_together
from facetool.cropping.remarks import note_remarks
from facetool.embedding.embedder import Embedder, resolve_dtype
from facetool.errors import FacetoolError, ImageError, UsageError
from facetool.images.inputs import open_images, report_unread
from facetool.images.read import RGBImage, read_photo
from facetool.jobs.progress import progress_bar
from facetool.jobs.report import Report
from facetool.jobs.stopwatch import Stopwatch
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.devices import resolve_device
from facetool.profiling.folder import (
    PROFILE_STAGES,
    REPRESENTATION,
    FolderProfile,
    profile_folder,
)
from facetool.profiling.machine import Machine, this_machine
from facetool.profiling.memory import peak_gpu_memory, peak_host_memory, reset_peak_memory
from facetool.profiling.network import network_to_measure
from facetool.profiling.pipeline_settings import PipelineSettings
from facetool.profiling.timing import Timing

_START_UP = "start-up"


@dataclass(frozen=True)
class PhotoProfile:
    """One photo, its largest face from the decoded photo to the embedding.

    Attributes:
        image: as it was given.
        width: pixels.
        height: pixels.
        stages: ``detection``, ``alignment`` and ``representation``.
        total: of all three.
    """

    image: str
    width: int
    height: int
    stages: dict[str, Timing]
    total: Timing


@dataclass(frozen=True)
class PipelineProfile:
    """Photos and folders.

    Attributes:
        machine: they were measured on.
        settings: with which; device and dtype are what ``auto`` stood for.
        network: its weights, or the architecture where they are random.
        photos: in the order given.
        folders: likewise.
        host_memory: peak of the main process, libraries included, bytes.
        gpu_memory: peak of the tensors on the GPU, bytes.
        report: photos that could not be measured.
        start_up: seconds until the first photo could be measured: reading network and detector,
            and one pass; None without photos.
    """

    machine: Machine
    settings: PipelineSettings
    network: str
    photos: tuple[PhotoProfile, ...]
    folders: tuple[FolderProfile, ...]
    host_memory: int | None
    gpu_memory: int | None
    report: Report
    start_up: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        settings = self.settings
        return {
            "machine": self.machine.as_dict(),
            "network": self.network,
            "crop": settings.crop.as_dict(),
            "detector": describe_detector(settings.crop.detector, settings.detection),
            "device": str(settings.device),
            "dtype": settings.dtype,
            "iterations": settings.iterations,
            "batch_size": settings.batch_size,
            "photos": [asdict(photo) for photo in self.photos],
            "folders": [folder.as_dict() for folder in self.folders],
            "host_memory": self.host_memory,
            "gpu_memory": self.gpu_memory,
            "start_up": self.start_up,
            "failed": self.report.failed_images(),
        }


def profile_pipeline(
    inputs: Sequence[Path],
    network: EmbeddingNetwork,
    settings: PipelineSettings,
    *,
    loading: float = 0.0,
) -> PipelineProfile:
    """Measure photos one by one, and folders of photos as a whole.

    Args:
        inputs: photos, image folders and ``.rec`` files.
        network: from :func:`facetool.load_network`.
        settings: how.
        loading: seconds that reading the network took, for the time to start up.

    Raises:
        UsageError: a folder holds no images, or there is no such detector, device or dtype.
        FacetoolError: no photo shows a face that was found.
    """
    device = resolve_device(settings.device, mps=False)
    dtype = resolve_dtype(settings.dtype, device, network)
    settings = replace(settings, device=device, dtype=dtype)
    folders = [(path, open_images(path)) for path in inputs if _is_folder(path)]
    for path, images in folders:
        if not images.names:
            raise UsageError(f"there are no images in {path}")
    photos = [path for path in inputs if not _is_folder(path)]
    machine, report = this_machine(), Report()
    for _, images in folders:
        report_unread(images, report)
    reset_peak_memory(device)
    clock = Stopwatch()
    with clock.time(_START_UP):
        embedder = Embedder(network, device, dtype)
    of_folders = tuple(
        profile_folder(str(path), images, embedder, settings, report) for path, images in folders
    )
    of_photos = _profile_photos(photos, embedder, settings, report, clock) if photos else ()
    if not of_photos and not any(folder.faces for folder in of_folders):
        raise FacetoolError(
            "nothing could be measured; give photos or folders of photos that show a face"
        )
    return PipelineProfile(
        machine,
        settings,
        network.info.weights_name or f"{network.info.architecture} (random weights)",
        of_photos,
        of_folders,
        peak_host_memory(),
        peak_gpu_memory(device),
        report,
        loading + clock.seconds[_START_UP] if of_photos else None,
    )


def profile_pipelines(
    inputs: Sequence[Path],
    models: Sequence[str],
    settings: Callable[[Crop], PipelineSettings],
    *,
    weights: Path | None = None,
    recipe: StatedRecipe | None = None,
    output: str = "",
) -> list[PipelineProfile]:
    """Measure photos and folders with one network after the other.

    Args:
        inputs: photos, image folders and ``.rec`` files.
        models: names or weights files; none: what ``weights`` holds, or else the default network.
            Weights that are not on this machine are replaced with random ones.
        settings: how, for a network of this crop.
        weights: file for the only one of ``models``.
        recipe: what is known of the input, in place of what files state.
        output: the layer whose values are the embedding, where that is not the last.

    Raises:
        UsageError: ``weights`` is given for several models, there is no such name, file or layer,
            or what :func:`profile_pipeline` refuses.
        FacetoolError: a file cannot be read, or no photo shows a face that was found.
    """
    if len(models) > 1 and weights is not None:
        raise UsageError("weights is of one network: give model once", "weights", "model")
    profiles = []
    for model in models or (None,):
        clock = Stopwatch()
        with clock.time(_START_UP):
            network = network_to_measure(model, weights, recipe=recipe, output=output)
        wanted = settings(network.recipe.crop)
        loading = clock.seconds[_START_UP]
        profiles.append(profile_pipeline(inputs, network, wanted, loading=loading))
    return profiles


def _is_folder(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".rec"


def _profile_photos(
    paths: Sequence[Path],
    embedder: Embedder,
    settings: PipelineSettings,
    report: Report,
    clock: Stopwatch,
) -> tuple[PhotoProfile, ...]:
    with clock.time(_START_UP):
        cropper = FaceCropper(settings.crop, settings.detection, device=settings.device)
        size = settings.crop
        embedder.embed(np.zeros((1, size.height, size.width, 3), np.uint8))
    profiles = []
    with progress_bar("photos", len(paths) * settings.iterations, unit="pass") as bar:
        for path in paths:
            try:
                photo = read_photo(path)
                profiles.append(
                    _profile_photo(
                        path, photo.pixels, cropper, embedder, settings.iterations, bar.update
                    )
                )
            except ImageError as error:
                report.failed(str(path), str(error))
                continue
            note_remarks(str(path), photo.remarks, report)
    return tuple(profiles)


def _profile_photo(
    path: Path,
    image: RGBImage,
    cropper: FaceCropper,
    embedder: Embedder,
    iterations: int,
    progress: Callable[[], object],
) -> PhotoProfile:
    crop = _crop_largest(image, cropper, Stopwatch())
    embedder.embed(crop[None])  # until here everything only warmed up
    rounds = []
    for _ in range(iterations):
        watch = Stopwatch()
        crop = _crop_largest(image, cropper, watch)
        with watch.time(REPRESENTATION):
            embedder.embed(crop[None])
        rounds.append(watch.seconds)
        progress()
    height, width = image.shape[:2]
    return PhotoProfile(
        str(path),
        width,
        height,
        {stage: Timing.of([1000 * one[stage] for one in rounds]) for stage in PROFILE_STAGES[1:]},
        Timing.of([1000 * sum(one.values()) for one in rounds]),
    )


def _crop_largest(image: RGBImage, cropper: FaceCropper, watch: Stopwatch) -> RGBImage:
    """The largest face of a decoded photo, as ``align`` cuts it out.

    Raises:
        ImageError: there is none.
    """
    (photo,) = crop_together(cropper, [CroppedPhoto("", image)], watch)
    if photo.error or not photo.crops:
        hint = no_face_hint(cropper.crop.detector)
        raise ImageError(photo.error or f"{photo.located.missed}; {hint}")
    return photo.crops[0]
