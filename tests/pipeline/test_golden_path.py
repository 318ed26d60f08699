"""The whole path, from drawn people to an ROC curve, gives what it gave before.

``golden_path.json`` holds what each stage gave, and for the versions of the libraries that decide
pixels, their checksums. Where those versions are installed pixels are the same to the last bit;
elsewhere decoders and detectors may differ by a little, and so may embeddings on two processors.

    .venv/bin/python -m tests.pipeline.test_golden_path    # writes the file anew
"""

import hashlib
import json
import platform
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.embedding.settings import RepresentSettings
from facetool.evaluation.distances import squared_l2
from facetool.files.embeddings import read_embeddings
from facetool.images.read import read_image
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.lfw_eval import lfw_eval
from facetool.pipeline.represent import represent
from facetool.sample.album import draw_album
from facetool.weights.load import load_network

GOLDEN = Path(__file__).with_name("golden_path.json")
LIBRARIES = ("numpy", "opencv-python-headless", "pillow", "dlib-bin")


def versions() -> str:
    """What decides pixels, in a line."""
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{platform.system()} {platform.machine()}, {libraries}"


def means(images: list[Path]) -> list[list[float]]:
    """The mean of each quarter of each image and channel, 0 to 255: (N, 12)."""
    quarters = []
    for path in images:
        pixels = read_image(path).astype(np.float64)
        halves = [half for rows in np.array_split(pixels, 2) for half in np.array_split(rows, 2, 1)]
        quarters.append(np.concatenate([half.mean(axis=(0, 1)) for half in halves]).round(2))
    return [quarter.tolist() for quarter in quarters]


def checksum(images: list[Path]) -> str:
    found = hashlib.sha256()
    for path in images:
        found.update(read_image(path).tobytes())
    return found.hexdigest()


def run(folder: Path) -> dict[str, Any]:
    """What each stage gives."""
    album, crops, reps = (folder / name for name in ("album", "crops", "reps"))
    draw_album(album, people=4, images=4, seed=11, jobs=1)
    align(album, crops, AlignSettings(crop=DLIB_CHIP, on_no_face="center"), jobs=1)
    represent(crops, reps, load_network("dlib-resnet"), RepresentSettings())
    result = lfw_eval(reps, album / "pairs.txt", "facenet").as_dict()
    photos, cut = (sorted(at.rglob(name)) for at, name in ((album, "*.jpg"), (crops, "*.png")))
    vectors = read_embeddings(reps).vectors
    rows, columns = np.triu_indices(len(vectors), 1)
    return {
        "pixels": {versions(): {"photos": checksum(photos), "crops": checksum(cut)}},
        "photos": means(photos),
        "crops": means(cut),
        "distances": squared_l2(vectors[rows], vectors[columns]).round(4).tolist(),
        "accuracy": result["accuracy"]["mean"],
        "auc": result["auc"]["value"],
        "eer": result["eer"],
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run(tmp_path_factory.mktemp("path"))


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(GOLDEN.read_text())
    return content


@pytest.mark.slow
def test_pixels_are_the_same_where_the_libraries_are(
    found: dict[str, Any], golden: dict[str, Any]
) -> None:
    if versions() not in golden["pixels"]:
        pytest.skip(f"no checksums for {versions()}")
    assert found["pixels"][versions()] == golden["pixels"][versions()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "tolerance"),
    [
        ("photos", 1.0),  # of 255: JPEG decoders round in several ways
        ("crops", 6.0),  # and a box that moves by a pixel moves the crop
        ("distances", 0.06),  # squared L2; two people are 0.36 apart
        ("accuracy", 0.02),
        ("auc", 0.01),
        ("eer", 0.02),
    ],
)
def test_each_stage_gives_what_it_gave(
    found: dict[str, Any], golden: dict[str, Any], stage: str, tolerance: float
) -> None:
    np.testing.assert_allclose(found[stage], golden[stage], rtol=0, atol=tolerance)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        content = run(Path(scratch))
    if GOLDEN.exists():
        content["pixels"] = json.loads(GOLDEN.read_text())["pixels"] | content["pixels"]
    GOLDEN.write_text(json.dumps(content, separators=(",", ":")) + "\n")
    print(versions(), file=sys.stderr)
