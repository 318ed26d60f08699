"""YuNet against ``cv2.FaceDetectorYN``."""

from pathlib import Path

import numpy as np
import pytest

from facetool.detection.options import YunetOptions
from facetool.detection.yunet import YunetDetector
from facetool.errors import WeightsError
from facetool.images.read import read_image
from tests.detection.anchor_graph import write_anchor_graph
from tests.detection.reference import YunetReference, as_array


@pytest.mark.slow
@pytest.mark.parametrize("score", [0.6, 0.9])
def test_faces_are_opencvs(shared: Path, score: float) -> None:
    file = shared / "weights" / "yunet_n_320_320.onnx"
    options = YunetOptions(min_score=score)
    colour = sorted((shared / "photos" / "lfw-colour").rglob("*.jpg"))[::8]
    grey = sorted((shared / "lfw-a" / "images").glob("B*/*_0001.jpg"))[::50]
    examples = sorted((shared / "photos" / "examples").glob("[cl]*.jpg"))
    photos = [read_image(path) for path in [*colour, *grey, *examples]]
    detector = YunetDetector(options, [file])
    reference = YunetReference(file, options)
    count = 0
    for image, faces in zip(photos, detector.detect(photos), strict=True):
        expected = reference.detect(image)
        assert len(faces) == len(expected)
        np.testing.assert_allclose(as_array(faces), expected, atol=0.01)
        count += len(faces)
    assert len(photos) >= 20
    assert count >= len(photos) - 3


def test_other_networks_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "scrfd.onnx"
    write_anchor_graph(file, (8, 16, 32), anchors=2)
    with pytest.raises(WeightsError, match="not a YuNet of 2023 or later: it has no output"):
        YunetDetector(YunetOptions(), [file])
