"""dlib's HOG face detector and its landmark predictors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import dlib
import numpy as np

from facetool.alignment.landmarks import Points
from facetool.detection.face import Box, Face
from facetool.detection.options import DlibOptions
from facetool.errors import FacetoolError, WeightsError, one_line
from facetool.files.atomic import atomic_write
from facetool.files.cache import cache_folder
from facetool.files.dlib_files import FIVE_POINTS, SIXTY_EIGHT_POINTS, dlib_model_path
from facetool.images.read import RGBImage

PREDICTOR_FILES = {
    5: FIVE_POINTS,
    68: SIXTY_EIGHT_POINTS,
}


_BOX_SIZE, _BOX_CENTER = 3.92, (-0.17, -0.13)
"""The box hog finds around five points: its edge and its centre's place from their mean, in root
mean squared distances of the points from that mean. Medians on 258 faces of LFW, for which MTCNN,
SCRFD and YuNet give the same numbers to 1 %."""


def hog_box(points: Points) -> Box:
    """The box that hog would find, roughly, around eyes, nose and mouth corners (5, 2).

    dlib's landmark predictors were trained on such boxes. Other detectors' are higher and lie
    elsewhere: on LFW their landmarks are 1.8 % of the distance between the eyes away from those in
    hog's box, with this box 0.4 %, which is what a box of hog shifted by 3 % of its edge does, too.
    """
    middle = points.mean(axis=0)
    spread = float(np.sqrt(np.square(points - middle).sum(axis=1).mean()))
    x, y = middle + spread * np.array(_BOX_CENTER)
    half = spread * _BOX_SIZE / 2
    return Box(float(x - half), float(y - half), float(x + half - 1), float(y + half - 1))


class HogDetector:
    """dlib's frontal face detector (HOG and a linear SVM), the one OpenFace uses.

    Args:
        options: one upsampling finds faces from about 40 pixels.
        weights: none: the model is part of dlib.
        device: only the CPU.
    """

    def __init__(
        self,
        options: DlibOptions | None = None,
        weights: Sequence[Path] = (),
        device: str = "cpu",
    ) -> None:
        self.upsample = (options or DlibOptions()).upsample
        self._detector = _frontal_face_detector()
        self._one_at_a_time = Lock()  # it keeps the pyramid of the image it searches

    def __reduce__(self) -> tuple[type[HogDetector], tuple[DlibOptions]]:
        """A copy, as for another process, has a lock of its own."""
        return HogDetector, (DlibOptions(upsample=self.upsample),)

    def detect(self, images: Sequence[RGBImage]) -> list[list[Face]]:
        """The faces of each image, best score first."""
        return [self._detect(image) for image in images]

    def _detect(self, image: RGBImage) -> list[Face]:
        with self._one_at_a_time:
            boxes, scores, _ = self._detector.run(image, self.upsample, 0.0)
        return [Face(_box(box), score) for box, score in zip(boxes, scores, strict=True)]


def _frontal_face_detector() -> Any:
    """dlib's detector, kept in the cache folder: unpacking dlib's own takes a quarter second."""
    try:
        path = cache_folder() / f"hog-dlib-{dlib.__version__}.svm"
    except FacetoolError:
        return dlib.get_frontal_face_detector()
    with suppress(RuntimeError):  # not there yet, or damaged
        return dlib.fhog_object_detector(str(path))
    detector = dlib.get_frontal_face_detector()
    with suppress(FacetoolError, RuntimeError), atomic_write(path) as file:
        detector.save(file.name)
    return detector


class LandmarkPredictor:
    """dlib's regression-tree landmark predictors.

    Args:
        points: 5 (eye corners and nose base) or 68 (iBUG 300-W; its training data exclude
            commercial use).

    Raises:
        WeightsError: there is no file; from :meth:`predict`, it is damaged.
    """

    def __init__(self, points: int) -> None:
        self._path = dlib_model_path(PREDICTOR_FILES[points])
        # Its trees are read beside the search for the first faces.
        thread = ThreadPoolExecutor(1, "predictor")
        self._reading = thread.submit(dlib.shape_predictor, str(self._path))
        thread.shutdown(wait=False)
        self._process = os.getpid()
        self._predictor: Any = None

    def predict(self, image: RGBImage, box: Box) -> Points:
        """Landmarks (points, 2) as ``x, y`` in pixels of the photo."""
        rectangle = dlib.rectangle(*(round(edge) for edge in box))
        shape = self._read()(image, rectangle)
        return np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)

    def _read(self) -> Any:
        try:
            if self._predictor is None:
                # Of a process that was forked meanwhile the thread that reads is no part.
                if self._process == os.getpid():
                    self._predictor = self._reading.result()
                else:
                    self._predictor = dlib.shape_predictor(str(self._path))
            return self._predictor
        except RuntimeError as error:
            raise WeightsError(f"{self._path} is damaged: {one_line(error)}") from error


def _box(rectangle: dlib.rectangle) -> Box:
    return Box(rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom())
