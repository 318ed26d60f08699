"""Plain readings of what detectors' networks return, one photo at a time, to compare with."""

from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from facetool.detection.face import Face
from facetool.detection.options import MapOptions
from facetool.images.read import RGBImage

Array = NDArray[np.float64]


def as_array(faces: list[Face]) -> Array:
    """(N, 15): left, top, right, bottom, score and points (zeros where there are none)."""
    rows = [
        [*face.box, face.score, *(np.zeros(10) if face.landmarks is None else face.landmarks.flat)]
        for face in faces
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 15)


class AnchorReference:
    """InsightFace's way to read SCRFD and RetinaFace, through onnxruntime, in loops."""

    def __init__(self, path: Path, strides: tuple[int, ...], options: MapOptions) -> None:
        self.session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        self.strides, self.options = strides, options

    def detect(self, image: RGBImage) -> Array:
        """Faces (N, 15), best score first, of an image padded with black."""
        step = self.strides[-1]
        height, width = (-(-length // step) * step for length in image.shape[:2])
        padded = np.zeros((height, width, 3), np.float32)
        padded[: image.shape[0], : image.shape[1]] = image
        blob = ((padded - 127.5) / 128).transpose(2, 0, 1)[None]
        outputs = self.session.run(None, {self.session.get_inputs()[0].name: blob})
        found = []
        for level, stride in enumerate(self.strides):
            scores, *others = outputs[level :: len(self.strides)]
            cells = (height // stride) * (width // stride)
            anchors = len(scores) // cells
            for place in np.flatnonzero(scores >= self.options.min_score):
                row, column = divmod(int(place) // anchors, width // stride)
                x, y = column * stride, row * stride
                left, top, right, bottom = others[0][place] * stride
                points = np.zeros(10)
                if len(others) == 2:
                    points = (others[1][place].reshape(5, 2) * stride + (x, y)).ravel()
                found.append([x - left, y - top, x + right, y + bottom, scores[place, 0], *points])
        faces = np.array(found, dtype=np.float64).reshape(-1, 15)
        return self._distinct(faces[np.argsort(-faces[:, 4], kind="stable")])

    def _distinct(self, faces: Array) -> Array:
        kept: list[Array] = []
        for face in faces:
            if all(_overlap(face, other) <= self.options.max_overlap for other in kept):
                kept.append(face)
        return np.array(kept).reshape(-1, 15)


def _overlap(face: Array, other: Array) -> float:
    width = min(face[2], other[2]) - max(face[0], other[0]) + 1
    height = min(face[3], other[3]) - max(face[1], other[1]) + 1
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (face, other)]
    return float(shared / (sum(areas) - shared))


class YunetReference:
    """``cv2.FaceDetectorYN``."""

    def __init__(self, path: Path, options: MapOptions) -> None:
        self.detector = cv2.FaceDetectorYN.create(
            str(path), "", (320, 320), options.min_score, options.max_overlap
        )

    def detect(self, image: RGBImage) -> Array:
        """Faces (N, 15), best score first."""
        self.detector.setInputSize((image.shape[1], image.shape[0]))
        _, faces = self.detector.detect(np.ascontiguousarray(image[..., ::-1]))
        if faces is None:
            return np.empty((0, 15))
        left, top, width, height = faces[:, :4].T
        edges = [left, top, left + width - 1, top + height - 1, faces[:, 14]]
        return np.column_stack([*edges, faces[:, 4:14]]).astype(np.float64)
