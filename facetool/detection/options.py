"""The settings of each detector. Light: the detectors themselves need torch or dlib."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from facetool.errors import UsageError

SELECTIONS = ("largest", "center", "all", "only")
"""Which of a photo's faces are taken; see :func:`facetool.detection.face.select_faces`."""

DEFAULT_SELECT = "largest"

ONE_FACE = ("largest", "center", "only")
"""Those that choose one face of a photo at most."""

PREDICTORS = (5, 68)
"""How many landmarks dlib's predictors give."""

ROTATIONS = ("never", "if-missed", "always")

MTCNN_STAGES = {"pro": (0.6, 0.7, 0.8), "ro": (0.0, 0.0, 0.2)}
"""Networks of MTCNN that work, by their first letters, and the thresholds that go with them."""

MAP_DTYPES = ("float32", "bfloat16")
"""Precisions of the detectors of one network."""


@dataclass(frozen=True, kw_only=True)
class DetectorOptions:
    """The settings of one detector; every field has a default, and is an option of ``align``."""

    @property
    def clear_edge(self) -> int:
        """Pixels of a face's box at which the detector sees it as well as larger.

        0 where it is told that the photo is a face, so that it is not to be looked at again.
        """
        return 64

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }


@dataclass(frozen=True, kw_only=True)
class DlibOptions(DetectorOptions):
    """What dlib's two detectors take.

    Attributes:
        upsample: how often the photo is doubled first.

    Raises:
        UsageError: a value is out of range.
    """

    upsample: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.upsample <= 3:
            raise UsageError("upsample: give 0 to 3", "upsample")

    @property
    def clear_edge(self) -> int:
        """See :attr:`DetectorOptions.clear_edge`; dlib's detectors know faces from 80 pixels on."""
        return 128 >> self.upsample


@dataclass(frozen=True, kw_only=True)
class MtcnnOptions(DetectorOptions):
    """MTCNN's own settings; the defaults are those of the package ``mtcnn``.

    Attributes:
        thresholds: minimum scores after P-Net, R-Net and O-Net, 0…1; default: 0.6, 0.7, 0.8, or
            0, 0, 0.2 without P-Net, as InsightFace's ``deploy/face_model.py`` has them.
        min_face_size: pixels of the smallest face looked for.
        scale_factor: from one level of the image pyramid to the next.
        stages: the networks that work, by their first letters. ``ro``: the photo shows one face
            and little else, and R-Net and O-Net find its points (``--det 1`` of InsightFace's
            ``deploy/test.py``).

    Raises:
        UsageError: a value is out of range.
    """

    thresholds: tuple[float, ...] = ()
    min_face_size: int = 20
    scale_factor: float = 0.709
    stages: str = "pro"

    def __post_init__(self) -> None:
        if self.stages not in MTCNN_STAGES:
            raise UsageError(f"stages: give one of {', '.join(MTCNN_STAGES)}", "stages")
        if not self.thresholds:
            object.__setattr__(self, "thresholds", MTCNN_STAGES[self.stages])
        if len(self.thresholds) != 3 or not all(
            0 <= threshold <= 1 for threshold in self.thresholds
        ):
            raise UsageError("thresholds: give three scores from 0 to 1", "thresholds")
        if self.min_face_size < 1:
            raise UsageError("min_face_size: give at least one pixel", "min_face_size")
        if not 0.1 <= self.scale_factor <= 0.95:
            raise UsageError("scale_factor: give 0.1 to 0.95", "scale_factor")

    def as_dict(self) -> dict[str, Any]:
        """As before there were stages to choose, where they are all."""
        values = super().as_dict()
        if self.stages == "pro":
            del values["stages"]
        return values

    @property
    def clear_edge(self) -> int:
        """See :attr:`DetectorOptions.clear_edge`."""
        return max(64, 2 * self.min_face_size) if self.stages == "pro" else 0


@dataclass(frozen=True, kw_only=True)
class MapOptions(DetectorOptions):
    """What the detectors of one network take; the defaults are those of InsightFace.

    Attributes:
        min_score: minimum score of a face, 0…1.
        max_overlap: share of two boxes' union above which the worse of them goes, 0…1.
        dtype: precision of the network, one of :data:`MAP_DTYPES`; what it gives is read in
            float32.

    Raises:
        UsageError: a value is out of range.
    """

    min_score: float = 0.5
    max_overlap: float = 0.4
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if not 0 < self.min_score <= 1:
            raise UsageError("min_score: give a score above 0, up to 1", "min_score")
        if not 0 <= self.max_overlap <= 1:
            raise UsageError("max_overlap: give 0 to 1", "max_overlap")
        if self.dtype not in MAP_DTYPES:
            raise UsageError(f"dtype: give one of {', '.join(MAP_DTYPES)}", "dtype")

    def as_dict(self) -> dict[str, Any]:
        """As before there were precisions to choose, where it is float32."""
        values = super().as_dict()
        if self.dtype == "float32":
            del values["dtype"]
        return values


@dataclass(frozen=True, kw_only=True)
class YunetOptions(MapOptions):
    """The same for YuNet, with the defaults of ``yunet.py`` in OpenCV's model zoo.

    ``cv2.FaceDetectorYN`` itself has 0.9, which finds a third fewer of altered faces (turned, dark,
    blurred) with hardly fewer false ones: docs/detectors.md.
    """

    min_score: float = 0.6
    max_overlap: float = 0.3


@dataclass(frozen=True, kw_only=True)
class DetectionSettings:
    """How a detector is used; which one, the crop's recipe says.

    Attributes:
        options: of that detector; default: its own defaults.
        weights: file instead of its published weights.
        detect_at: pixels of the longer side that photos are scaled down to for detection; 0: they
            are searched as they are; default: what the detector's entry says.
        rotate: ``never``, ``if-missed`` or ``always``, whether to turn photos; see
            :class:`facetool.detection.search.PhotoSearch`.

    Raises:
        UsageError: a value is out of range.
    """

    options: DetectorOptions | None = None
    weights: str | Path | None = None
    detect_at: int | None = None
    rotate: str = "never"

    def __post_init__(self) -> None:
        if self.detect_at is not None and self.detect_at < 0:
            raise UsageError("detect_at: give pixels, or 0 for photos as they are", "detect_at")
        if self.rotate not in ROTATIONS:
            raise UsageError(f"rotate: give one of {', '.join(ROTATIONS)}", "rotate")
