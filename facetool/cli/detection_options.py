"""The options of face detection, which every command that takes raw photos has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from facetool.cli.options import FILE, Command
from facetool.detection.options import (
    MAP_DTYPES,
    MTCNN_STAGES,
    ROTATIONS,
    DetectionSettings,
    DlibOptions,
    MapOptions,
    MtcnnOptions,
    YunetOptions,
)
from facetool.detection.registry import DETECTORS, detector_entry
from facetool.errors import UsageError

_OF_ONE_DETECTOR = (
    click.option(
        "--upsample",
        type=click.IntRange(0, 3),
        metavar="N",
        help="How many times hog and cnn double the size of the photo first; more finds smaller "
        f"faces.  [default: {DlibOptions.upsample}]",
    ),
    click.option(
        "--thresholds",
        type=float,
        nargs=3,
        metavar="P R O",
        help="Minimum scores of mtcnn's three networks.  "
        f"[default: {' '.join(map(str, MTCNN_STAGES[MtcnnOptions.stages]))}]",
    ),
    click.option(
        "--stages",
        type=click.Choice(list(MTCNN_STAGES)),
        help="Networks of mtcnn that work, by first letters; ro is for photos that are cropped to "
        f"one face, such as aligned crops.  [default: {MtcnnOptions.stages}]",
    ),
    click.option(
        "--min-face-size",
        type=int,
        metavar="PIXELS",
        help=f"Smallest face that mtcnn searches for.  [default: {MtcnnOptions.min_face_size}]",
    ),
    click.option(
        "--scale-factor",
        type=float,
        metavar="FACTOR",
        help="Scale between the levels of mtcnn's image pyramid.  "
        f"[default: {MtcnnOptions.scale_factor}]",
    ),
    click.option(
        "--min-score",
        type=float,
        metavar="SCORE",
        help="Minimum score of scrfd, retinaface and yunet.  "
        f"[default: {MapOptions.min_score}; yunet {YunetOptions.min_score}]",
    ),
    click.option(
        "--max-overlap",
        type=float,
        metavar="SHARE",
        help="Intersection over union above which scrfd, retinaface and yunet drop the box with "
        f"the lower score.  [default: {MapOptions.max_overlap}; yunet {YunetOptions.max_overlap}]",
    ),
    click.option(
        "--detector-dtype",
        type=click.Choice(MAP_DTYPES),
        help="Precision of scrfd, retinaface and yunet; bfloat16 is faster with AVX-512 BF16, AMX "
        "or a GPU and slower without, and moves boxes and landmarks slightly.  "
        f"[default: {MapOptions.dtype}]",
    ),
)
_FLAGS = {
    "upsample": "--upsample",
    "thresholds": "--thresholds",
    "stages": "--stages",
    "min_face_size": "--min-face-size",
    "scale_factor": "--scale-factor",
    "min_score": "--min-score",
    "max_overlap": "--max-overlap",
    "dtype": "--detector-dtype",
}
"""Of those: the fields of :class:`facetool.detection.options.DetectorOptions` that they set."""

_IGNORED_BY_OTHERS = ("upsample",)
"""Version 0.1 took it with every detector, and scripts may give it."""


@dataclass(frozen=True, kw_only=True)
class DetectionRequest:
    """What a user chose for face detection.

    Attributes:
        detector: by name; None: the one of the network's recipe.
        weights: file instead of the detector's published weights.
        options: of one detector or another, those that were given, by the field they set.
        detect_at: see :class:`facetool.detection.options.DetectionSettings`.
        rotate: likewise.
    """

    detector: str | None
    weights: Path | None
    options: Mapping[str, Any]
    detect_at: int | None
    rotate: str

    def settings(self, detector: str) -> DetectionSettings:
        """The choices, as settings of the detector that is used.

        Args:
            detector: the one chosen, or the recipe's.

        Raises:
            UsageError: an option belongs to another detector, or is out of range.
        """
        kind = detector_entry(detector).options
        own = {field.name for field in fields(kind)}
        for name in self.options.keys() - own:
            _refuse(name, detector)
        options = kind(**{name: self.options[name] for name in self.options.keys() & own})
        return DetectionSettings(
            options=options, weights=self.weights, detect_at=self.detect_at, rotate=self.rotate
        )


def _refuse(name: str, detector: str) -> None:
    option = _FLAGS[name]
    if name in _IGNORED_BY_OTHERS:
        click.echo(f"warning: {option} does nothing with --detector {detector}", err=True)
        return
    owners = [
        entry.name
        for entry in DETECTORS.values()
        if name in {field.name for field in fields(entry.options)}
    ]
    raise UsageError(f"{option} belongs to --detector {' or '.join(owners)}, not to {detector}")


def _parameter(flag: str) -> str:
    """The name by which click passes an option."""
    return flag.removeprefix("--").replace("-", "_")


def detection_options(command: Command) -> Command:
    """``--detector`` and its settings, which reach the command as ``detection``."""

    @wraps(command)
    def packed(**values: Any) -> Any:
        chosen = {name: values.pop(_parameter(flag)) for name, flag in _FLAGS.items()}
        given = {name: value for name, value in chosen.items() if value is not None}
        request = DetectionRequest(
            detector=values.pop("detector"),
            weights=values.pop("detector_weights"),
            options=given,
            detect_at=values.pop("detect_at"),
            rotate=values.pop("rotate"),
        )
        return command(detection=request, **values)

    for option in reversed(
        (
            click.option("--detector", type=click.Choice(list(DETECTORS)), help="Face detector."),
            click.option(
                "--detector-weights",
                type=FILE,
                help="Detector weights to use instead of the published ones.",
            ),
            click.option(
                "--detect-at",
                type=click.IntRange(0),
                metavar="PIXELS",
                help="Scale photos down to this longer side for detection, and search those "
                "without a face at two more sizes; 0: search photos at full size.  "
                "[default: 0 for hog, cnn and mtcnn]",
            ),
            click.option(
                "--rotate",
                type=click.Choice(ROTATIONS),
                default="never",
                show_default=True,
                help="Search photos turned by 90, 180 and 270 degrees as well: those without a "
                "confident detection, or all of them.",
            ),
            *_OF_ONE_DETECTOR,
        )
    ):
        packed = option(packed)
    return packed  # type: ignore[return-value]
