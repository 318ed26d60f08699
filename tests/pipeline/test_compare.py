"""compare on drawn photos."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from facetool.cropping.face_cropper import FaceCropper
from facetool.files.align_manifest import read_manifest
from facetool.images.png import encode_png
from facetool.images.read import read_image
from facetool.networks.pair_threshold import PairThreshold
from facetool.pipeline.compare import compare, known_threshold
from facetool.weights.load import load_network


@pytest.fixture(scope="module")
def photos(album: Path, crops: Path) -> list[Path]:
    """Two photos of one person and one of another, all with a face."""
    aligned = [r.input for r in read_manifest(crops / "align.csv") if r.status == "aligned"]
    people = sorted({name.split("/")[0] for name in aligned})
    first = [name for name in aligned if name.startswith(people[0])][:2]
    other = next(name for name in aligned if name.startswith(people[1]))
    return [album / name for name in (*first, other)]


def test_every_pair_and_its_figures(photos: list[Path]) -> None:
    network = load_network("dlib-resnet")
    result = compare(photos, network, threshold=PairThreshold(0.36, "test"))
    assert [(c.first.image, c.second.image) for c in result.comparisons] == [
        (str(photos[0]), str(photos[1])),
        (str(photos[0]), str(photos[2])),
        (str(photos[1]), str(photos[2])),
    ]
    own = compare(photos, network)  # by the threshold of the weights
    assert own.threshold == network.info.threshold
    assert [pair.same for pair in own.comparisons] == [pair.same for pair in result.comparisons]
    given = compare(photos, network, threshold=1e-6)
    assert given.threshold == PairThreshold(1e-6, "given")
    assert not any(comparison.same for comparison in given.comparisons)
    one = result.comparisons[0]
    a, b = (face.embedding.astype(float) for face in (one.first, one.second))
    assert one.squared_l2 == pytest.approx(((a - b) ** 2).sum())
    assert one.cosine == pytest.approx(np.corrcoef(a, b)[0, 1], abs=0.2)
    assert -1 <= one.cosine <= 1
    assert one.same == (one.squared_l2 < 0.36)


def test_the_shipped_weights_have_a_threshold() -> None:
    threshold = known_threshold(load_network("dlib-resnet"))
    assert threshold is not None
    assert threshold.far is not None
    assert known_threshold(load_network("dlib-resnet"), 0.5) == PairThreshold(0.5, "given")


@pytest.mark.slow
def test_a_photo_without_a_face_is_named(photos: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("no")
    network = load_network("dlib-resnet")
    network.info = replace(network.info, threshold=None)
    result = compare([photos[0], tmp_path / "bad.jpg", photos[1]], network)
    assert len(result.comparisons) == 1
    assert result.comparisons[0].same is None
    assert [Path(name).name for name, _ in result.report.failures] == ["bad.jpg"]
    assert result.report.exit_code == 1
    alone = compare([photos[0], tmp_path / "bad.jpg"], network, threshold=None)
    assert alone.comparisons == []
    assert alone.report.exit_code == 1


@pytest.mark.slow
def test_openfaces_published_distance(shared: Path) -> None:
    """lennon-1 and lennon-2 are one man to dlib's network, clapton another."""
    network = load_network("dlib-resnet")
    photos = [
        shared / f"photos/examples/{name}.jpg" for name in ("lennon-1", "lennon-2", "clapton-1")
    ]
    result = compare(photos, network, threshold=known_threshold(network))
    assert [comparison.same for comparison in result.comparisons] == [True, False, False]


@pytest.mark.slow
def test_several_faces_of_one_photo(shared: Path) -> None:
    cropper = FaceCropper(load_network("dlib-resnet").recipe.crop, select="all")
    faces = cropper.crops(read_image(shared / "photos/examples/longoria-cooper.jpg"))
    assert len(faces) == 2
    assert faces[0].face.box.area >= faces[1].face.box.area


@pytest.mark.slow
@pytest.mark.parametrize(
    ("select", "rule"), [("largest", "largest"), ("center", "largest and most central")]
)
def test_of_several_faces_it_is_said_which_is_taken(
    photos: list[Path], tmp_path: Path, select: str, rule: str
) -> None:
    both = tmp_path / "both.png"
    pixels = [read_image(photo) for photo in photos[1:]]
    rows = min(map(len, pixels))
    both.write_bytes(encode_png(np.concatenate([one[:rows] for one in pixels], axis=1)))
    result = compare([photos[0], both], load_network("dlib-resnet"), threshold=None, select=select)
    said = f"the {rule} of 2 faces is taken"
    assert [tuple(one) for one in result.remarks] == [(str(both), said)]
    assert result.report.exit_code == 0


@pytest.mark.slow
def test_the_mirrored_face_takes_part(photos: list[Path]) -> None:
    network = load_network("dlib-resnet")
    plain = compare(photos[:2], network, threshold=None).comparisons[0]
    for flip, size in (("sum", 128), ("concat", 256)):
        one = compare(photos[:2], network, threshold=None, flip=flip).comparisons[0]
        assert one.first.embedding.shape == (size,)
        assert np.linalg.norm(one.first.embedding) == pytest.approx(1, abs=1e-6)
        assert one.squared_l2 == pytest.approx(2 - 2 * one.cosine, abs=1e-5)
        assert one.cosine != plain.cosine


def test_a_threshold_of_other_lengths_says_nothing_of_mirrored_faces() -> None:
    network = load_network("dlib-resnet")
    assert known_threshold(network, flip="sum") is None
    assert known_threshold(network, 1.24, flip="sum") == PairThreshold(
        1.24, "given", normalized=True
    )
