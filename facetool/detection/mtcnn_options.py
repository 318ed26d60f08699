"""What can be asked of MTCNN. Light: the detector itself needs torch."""

from __future__ import annotations

from dataclasses import dataclass

from facetool.errors import UsageError


@dataclass(frozen=True)
class MtcnnOptions:
    """MTCNN's own settings; the defaults are those of the package ``mtcnn``.

    Attributes:
        thresholds: least scores after P-Net, R-Net and O-Net, 0…1.
        min_face_size: pixels of the smallest face looked for.
        scale_factor: from one level of the image pyramid to the next.

    Raises:
        UsageError: a value is out of range.
    """

    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8)
    min_face_size: int = 20
    scale_factor: float = 0.709

    def __post_init__(self) -> None:
        if not all(0 <= threshold <= 1 for threshold in self.thresholds):
            raise UsageError("--thresholds: give three scores from 0 to 1")
        if self.min_face_size < 1:
            raise UsageError("--min-face-size: give at least one pixel")
        if not 0.1 <= self.scale_factor <= 0.95:
            raise UsageError("--scale-factor: give 0.1 to 0.95")
