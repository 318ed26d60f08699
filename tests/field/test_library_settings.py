"""What callers of the library give: texts for paths, and values that no setting can have."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import facetool
from facetool.cropping.detectors import describe_detector, detector_weights
from facetool.cropping.settings import AlignSettings
from facetool.detection.options import DetectionSettings
from facetool.errors import UsageError
from facetool.images.png import encode_png

SETTINGS: list[tuple[Callable[..., Any], str, list[Any]]] = [
    (facetool.RepresentSettings, "batch_size", [0, -1, math.nan]),
    (facetool.RepresentSettings, "dtype", ["float8"]),
    (facetool.RepresentSettings, "flip", ["up"]),
    (facetool.RepresentSettings, "engine", ["caffe"]),
    (facetool.SearchSettings, "top", [0, -3]),
    (facetool.SearchSettings, "threshold", [-1, math.nan, math.inf]),
    (facetool.SearchSettings, "select", ["all", "best"]),
    (facetool.SearchSettings, "engine", ["caffe"]),
    (facetool.ClassifierSettings, "kind", ["foo"]),
    (facetool.ClassifierSettings, "fpir", [-0.1, 5, math.nan]),
    (facetool.AlignSettings, "select", ["best"]),
    (facetool.AlignSettings, "predictor", ["68", 0, 6]),
    (facetool.FaceCropper, "predictor", ["68", "5", 0, 6]),
]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [(make, name, value) for make, name, values in SETTINGS for value in values],
)
def test_a_setting_that_cannot_be_is_named(
    make: Callable[..., Any], name: str, value: object
) -> None:
    crop = {"crop": facetool.load_network("dlib-resnet").recipe.crop}
    with pytest.raises(UsageError, match=f"^{name}={value!r}: give "):
        make(
            **{
                **(crop if make in (facetool.AlignSettings, facetool.FaceCropper) else {}),
                name: value,
            }
        )


@pytest.mark.parametrize("value", [-1, math.nan, math.inf])
def test_so_is_a_threshold(value: float, tmp_path: Path) -> None:
    np.save(tmp_path / "reps.npy", np.eye(4, dtype=np.float32))
    (tmp_path / "labels.csv").write_text("1,a/1.png\n1,a/2.png\n2,b/1.png\n2,b/2.png\n")
    for function in (facetool.cluster, facetool.outliers, facetool.find_duplicates):
        with pytest.raises(UsageError, match=r"^threshold="):
            function(tmp_path, threshold=value)
    network = facetool.load_network("dlib-resnet")
    with pytest.raises(UsageError, match=r"^threshold="):
        facetool.compare([tmp_path / "a.jpg"] * 2, network, threshold=value)


@pytest.mark.slow
def test_texts_are_paths(album: Path, crops: Path, tmp_path: Path) -> None:
    network = facetool.load_network("dlib-resnet")
    photo = str(min(album.rglob("*.jpg")))
    reps, pairs = str(tmp_path / "reps"), str(tmp_path / "pairs.bin")
    report = facetool.represent(str(crops), reps, network, facetool.RepresentSettings())
    assert report.counts["represented"] == len(facetool.read_embeddings(reps).names) == 24
    found = facetool.cluster(reps, table=f"{tmp_path}/groups.csv", names=f"{tmp_path}/names.csv")
    assert len(found.groups)
    assert facetool.outliers(reps).compared and facetool.find_duplicates(reps).compared
    file = str(tmp_path / "people.classifier")
    facetool.train_classifier(reps, file, facetool.ClassifierSettings())
    facetool.evaluate_classifier(reps, classifier=file, output=str(tmp_path / "evaluated"))
    copies = facetool.InferSettings(annotate=str(tmp_path / "copies"))
    ((named,), _) = facetool.name_people(facetool.load_classifier(file), [photo], settings=copies)
    assert named.faces
    assert list((tmp_path / "copies").glob("*.png"))
    curve = tmp_path / "other.csv"
    curve.write_text("fpr,tpr\n0,0\n0.1,0.9\n1,1\n")
    results = facetool.lfw_eval(
        reps,
        str(album / "pairs.txt"),
        output=str(tmp_path / "verified"),
        curves=[("other", str(curve))],
        pairs_plot=str(tmp_path / "pairs.png"),
    )
    assert results.pairs.scored
    one = tmp_path / "one"
    one.mkdir()
    (one / "grey.png").write_bytes(encode_png(np.full((200, 200, 3), 128, np.uint8)))
    crop = network.recipe.crop
    stood_in = facetool.align(
        str(one), str(tmp_path / "stood in"), facetool.AlignSettings(crop=crop, fallback=str(one))
    )
    assert stood_in.counts["fallback"] == 1
    assert facetool.search([reps], [photo]).matches[0].squared_l2 < 0.01
    assert facetool.compare([photo, photo], network).verdict
    assert facetool.identify(reps, reps, output=str(tmp_path / "identified")).rank1
    assert facetool.read_image(photo).shape[2] == 3
    listed = tmp_path / "pairs.txt"
    people = sorted({path.parent.name for path in crops.glob("*/*.png")})
    lines = [f"{person}\t1\t2" for person in people[:2]]
    lines += [f"{people[0]}\t{number}\t{people[1]}\t{number}" for number in (1, 2)]
    listed.write_text("1\t2\n" + "\n".join(lines) + "\n")
    facetool.pack_pairs(str(crops), pairs, str(listed), any_crop=True)
    assert Path(pairs).is_file()


def test_texts_are_the_same_settings_as_paths(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"weights")
    for given in (tmp_path / "net.onnx", str(tmp_path / "net.onnx")):
        assert detector_weights("yunet", given) == (tmp_path / "net.onnx",)
        described = describe_detector("yunet", DetectionSettings(weights=given))
        assert list(described["weights"]) == ["net.onnx"]
        config = facetool.TrainConfig(network="", loss="softmax", steps=1, start=given)
        assert json.loads(json.dumps(config.as_dict()))["start"] == str(given)
    crop = facetool.load_network("dlib-resnet").recipe.crop
    for given in (tmp_path, str(tmp_path), f"{tmp_path}/"):
        settings = AlignSettings(crop=crop, fallback=given)
        assert settings.description().fallback == str(tmp_path)
