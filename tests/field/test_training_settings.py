"""Settings that a network cannot learn with are said before anything is trained."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.field.commands import facetool


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crops")
    random = np.random.default_rng(0)
    for person in "ab":
        (folder / person).mkdir()
        for image in range(2):
            pixels = random.integers(0, 256, (112, 112, 3), dtype=np.uint8)
            assert cv2.imwrite(str(folder / person / f"{image}.png"), pixels)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--loss", "softmax", "--batch-size", 1],
            "facetool: --batch-size 1: the network's batch normalisation needs more than one image "
            "in a pass; give --batch-size 2 or more",
        ),
        (
            ["--loss", "triplet", "--people", 1, "--images-per-person", 1],
            "Error: Invalid value for '--people': 1 is not in the range x>=2.",
        ),
    ],
)
def test_a_pass_of_one_image_is_refused(
    crops: Path, options: list[object], words: str, tmp_path: Path
) -> None:
    network = ["--network", "mobilefacenet", "--any-crop", "--device", "cpu", "--steps", 1]
    ended = facetool("train", crops, tmp_path / "out", *network, *options)
    assert ended.returncode == 2
    assert ended.stderr.decode().splitlines()[-1] == words
    assert not (tmp_path / "out" / "log.csv").exists()
