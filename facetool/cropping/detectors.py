"""From a detector's name to the detector: its weights are found on this machine first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from facetool.detection.face import Face
from facetool.detection.options import DetectionSettings
from facetool.detection.registry import DetectorEntry, build_detector, detector_entry
from facetool.detection.search import PhotoSearch
from facetool.errors import UsageError, WeightsError
from facetool.files.input_file import check_regular
from facetool.files.paths import optional_path
from facetool.files.published_file import PublishedFile
from facetool.files.text import reading
from facetool.images.read import RGBImage
from facetool.weights.download import digest, find, how_to_get

if TYPE_CHECKING:
    import torch


def create_detector(
    name: str,
    settings: DetectionSettings | None = None,
    *,
    device: str | torch.device = "auto",
) -> PhotoSearch:
    """A detector by name, and how it searches photos.

    Args:
        name: one of :data:`facetool.detection.registry.DETECTORS`.
        settings: options and weights; default: the detector's own.
        device: where a detector on PyTorch runs: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: there is no such detector or device, or the settings do not fit it.
        WeightsError: its weights are not on this machine, or cannot be read.
    """
    settings = settings or DetectionSettings()
    entry = detector_entry(name)
    weights = detector_weights(name, settings.weights)
    detector = build_detector(name, settings.options, weights, detector_device(name, device))
    options = settings.options or entry.options()
    upsample = getattr(options, "upsample", 0)
    return PhotoSearch(
        detector,
        detect_at=_detect_at(entry, settings),
        most_pixels=entry.most_pixels // 4**upsample,
        rotate=settings.rotate,
        sure=entry.sure,
        clear_edge=options.clear_edge,
    )


def _detect_at(entry: DetectorEntry, settings: DetectionSettings) -> int | None:
    """Pixels of the longer side; None for photos as they are."""
    return (entry.detect_at if settings.detect_at is None else settings.detect_at) or None


def detect(
    image: RGBImage,
    detector: str = "hog",
    settings: DetectionSettings | None = None,
    *,
    device: str | torch.device = "auto",
) -> list[Face]:
    """All faces of one photo; for many, call :func:`create_detector` once.

    Args:
        image: uint8 RGB (H, W, 3).
        detector: its name.
        settings: its options and weights; default: the detector's own.
        device: where it runs, if it is on PyTorch: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        UsageError: there is no such detector or device, or the settings do not fit it.
        WeightsError: its weights are not on this machine.
    """
    (faces,) = create_detector(detector, settings, device=device).detect([image])
    return faces


def detector_device(name: str, device: str | torch.device, *, elsewhere: bool = False) -> str:
    """Where a detector runs: ``cpu``, or ``cuda`` or ``cuda:N`` if it is on PyTorch.

    Args:
        name: the detector's.
        device: where it may run: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        elsewhere: on other machines, which may have devices that this one lacks.

    Raises:
        UsageError: there is no such detector or device.
    """
    able = detector_entry(name).torch
    asked = str(device)
    if not (elsewhere or asked == "cpu" or (asked == "auto" and not able)):  # torch is slow to load
        from facetool.networks.devices import resolve_device

        asked = str(resolve_device(device, mps=False))
    return asked if able else "cpu"


def detector_weights(name: str, given: str | Path | None = None) -> tuple[Path, ...]:
    """The files a detector reads.

    Args:
        name: of the detector.
        given: file to read instead of the published.

    Raises:
        UsageError: there is no such detector, or it takes no other file.
        FormatError: ``given`` is no file.
        WeightsError: a file is not on this machine; the message says what to do.
    """
    entry, given = detector_entry(name), optional_path(given)
    if given is not None:
        if not entry.choice:
            raise UsageError(
                f"detector_weights: {entry.name} takes no other weights", "detector_weights"
            )
        with reading(given):
            check_regular(given)
        return (given,)
    if entry.choice:
        return (find_weights(_first_available(entry), choice=True),)
    return tuple(find_weights(file) for file in entry.weights)


def _first_available(entry: DetectorEntry) -> PublishedFile:
    """The first of the choices that is on this machine, or else the first.

    Raises:
        WeightsError: nobody publishes any.
    """
    if not entry.weights:
        raise WeightsError(
            f"no weights are published for {entry.name}; give a file with detector_weights=FILE",
            "detector_weights=FILE",
        )
    return next((file for file in entry.weights if has_weights(file)), entry.weights[0])


def has_weights(file: PublishedFile) -> bool:
    """Whether a detector's file is on this machine."""
    return find(file) is not None


def find_weights(file: PublishedFile, *, choice: bool = False) -> Path:
    """Where a detector's file lies.

    Args:
        file: the file.
        choice: the detector takes another in its place.

    Raises:
        WeightsError: it is not on this machine; the message says what to do.
    """
    path = find(file)
    if path is None:
        other = "; or give a file with detector_weights=FILE" if choice else ""
        raise WeightsError(
            f"the weights {file.name} are not on this machine; get them with: "
            f"{how_to_get(file)}{other}",
            "detector_weights=FILE",
        )
    return path


def describe_detector(name: str, settings: DetectionSettings | None = None) -> dict[str, Any]:
    """What decides which faces are found, as plain JSON values: ``align.json`` keeps it.

    Args:
        name: of the detector.
        settings: its options and weights; default: the detector's own.

    Raises:
        UsageError: there is no such detector, or the settings do not fit it.
        WeightsError: a file is not on this machine.
    """
    settings = settings or DetectionSettings()
    entry = detector_entry(name)
    options = settings.options or entry.options()
    weights = detector_weights(name, settings.weights)
    return {
        "name": name,
        "options": options.as_dict(),
        "weights": {path.name: digest(path) for path in weights},
        "detect_at": _detect_at(entry, settings),
        "rotate": settings.rotate,
    }
