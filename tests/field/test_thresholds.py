"""Where "same person" ends, written into a user's own weights file."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.embedding.people import pair_threshold, read_people
from facetool.errors import FacetoolError, FormatError, UsageError
from facetool.evaluation.pairs import Trials
from facetool.files.represent_description import RepresentDescription
from facetool.networks.registry import create
from facetool.pipeline.lfw_eval import lfw_eval, measure_threshold
from facetool.weights import safetensors
from facetool.weights.catalogue import CATALOGUE
from facetool.weights.download import digest
from facetool.weights.load import read_network

PEOPLE, IMAGES = 6, 4


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "mine.safetensors"
    safetensors.save_network(create("mobilefacenet").eval(), path)
    return path


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Every genuine pair once, as many impostors, in two folds."""
    names = [f"P{person}" for person in range(PEOPLE)]
    lines = ["2\t9"]
    for fold in (names[:3], names[3:]):
        lines += [f"{name}\t{a}\t{b}" for name in fold for a, b in ((1, 2), (2, 3), (3, 4))]
        lines += [
            f"{fold[i]}\t{a}\t{fold[(i + 1) % 3]}\t{b}"
            for i in range(3)
            for a, b in ((1, 2), (2, 3), (3, 4))
        ]
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def reps(tmp_path: Path, weights: Path) -> Path:
    """Embeddings said to be of these weights, of any length."""
    folder = tmp_path / "reps"
    folder.mkdir()
    rng = np.random.default_rng(1)
    centres = np.repeat(rng.normal(size=(PEOPLE, 16)), IMAGES, axis=0)
    rows = centres + 0.3 * rng.normal(size=centres.shape)
    np.save(folder / "reps.npy", (7 * rows).astype(np.float32))
    images = [f"P{p}/P{p}_{i + 1:04}.png" for p in range(PEOPLE) for i in range(IMAGES)]
    (folder / "labels.csv").write_text("".join(f"1,{image}\n" for image in images))
    _describe(folder, {"sha256": digest(weights), "name": weights.name})
    return folder


def _describe(folder: Path, weights: dict[str, str], **more: object) -> None:
    values = {"network": "mobilefacenet", "weights": weights, "flip": "none", **more}
    (folder / "represent.json").write_text(json.dumps(values))


@pytest.mark.slow
def test_it_is_kept_in_the_file_and_in_the_folder(weights: Path, reps: Path, pairs: Path) -> None:
    before = read_network(weights)
    lfw_eval(reps, pairs, "insightface", save_threshold=weights)
    after = read_network(weights)
    threshold = after.info.threshold
    assert threshold is not None and threshold.normalized
    assert 0.1 < threshold.squared_l2 < 1.9
    assert threshold.far is None  # no impostor pair of 18 is below it
    assert threshold.data_set == "pairs.txt, 36 pairs"
    assert pair_threshold(read_people(reps).description) == threshold
    # The embeddings are still these weights', whose file has another checksum now.
    assert digest(weights) != before.info.weights_sha256
    assert after.info.weights_sha256 == before.info.weights_sha256
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.state_dict()[name])
    lfw_eval(reps, pairs, "insightface", save_threshold=weights)
    assert read_network(weights).info.weights_sha256 == before.info.weights_sha256


@pytest.mark.slow
def test_it_may_be_for_a_false_accept_rate(weights: Path, reps: Path, pairs: Path) -> None:
    with pytest.raises(UsageError, match="far is for save_threshold"):
        lfw_eval(reps, pairs, "insightface", far=0.1)
    with pytest.raises(FacetoolError, match=r"false accept rate 0.01: with 18 impostor pairs"):
        lfw_eval(reps, pairs, "insightface", save_threshold=weights, far=0.01)
    saved = lfw_eval(reps, pairs, "insightface", save_threshold=weights, far=0.12)
    assert saved.as_dict()["saved_threshold"]["far"] == 2 / 18
    threshold = read_network(weights).info.threshold
    assert threshold is not None and threshold == saved.saved_threshold
    assert "saved_threshold" not in lfw_eval(reps, pairs, "insightface").as_dict()


def test_one_plot_does_not_take_the_place_of_the_other(reps: Path, pairs: Path) -> None:
    with pytest.raises(UsageError, match=r"roc\.png is the plot of the ROC; choose another name"):
        lfw_eval(reps, pairs, "insightface", pairs_plot=reps / "roc.png")
    assert not (reps / "roc.png").exists()


@pytest.mark.parametrize("unit_length", [True, False])
@pytest.mark.parametrize("far", [0.001, 0.01, 0.1])
def test_no_more_impostors_are_accepted_than_asked(unit_length: bool, far: float) -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 4000, 8)).astype(np.float32)
    trials = Trials(np.arange(4000) % 2 == 0, np.arange(4000) // 400, 10)
    description = RepresentDescription(unit_length=unit_length)
    found = measure_threshold(first, second, trials, description, "drawn", far)
    if unit_length:
        first, second = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second))
    impostors = np.square(first - second).sum(1)[~trials.same]
    assert found.far == (impostors < found.squared_l2).mean() == pytest.approx(far)
    assert (impostors < found.squared_l2 + 1e-3 * impostors.max()).mean() > far


@pytest.mark.parametrize(
    ("far", "impostors"),
    [
        pytest.param(0.1, [0.0] * 20 + [1.0] * 80, id="duplicates among the impostors"),
        pytest.param(0.1, [1e-8] * 20 + [1.0] * 80, id="all but duplicates"),
        pytest.param(0.1, [np.inf] * 100, id="infinite"),
        pytest.param(None, [0.2] * 100, id="kinds exchanged"),
    ],
)
@pytest.mark.parametrize("unit_length", [True, False])
def test_a_threshold_that_could_not_be_read_again_is_not_made(
    far: float | None, impostors: list[float], unit_length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = Trials(np.arange(200) % 2 == 0, np.arange(200) // 20, 10)
    distances = np.full(200, 1.5)
    distances[~trials.same] = impostors
    monkeypatch.setattr("facetool.pipeline.lfw_eval.squared_l2", lambda *sides: distances)
    side, description = np.ones((200, 2), "f4"), RepresentDescription(unit_length=unit_length)
    with pytest.raises(FacetoolError, match=r"it would be (0|inf), .* pairs exchanged\?"):
        measure_threshold(side, side, trials, description, "drawn", far)


def test_nothing_is_written_where_there_is_no_threshold(
    weights: Path, reps: Path, pairs: Path
) -> None:
    rows = np.load(reps / "reps.npy")
    rows[IMAGES : 2 * IMAGES] = rows[:IMAGES]  # the second person's photos are the first's
    np.save(reps / "reps.npy", rows)
    lines = pairs.read_text().splitlines()
    pairs.write_text("\n".join([*lines[:10], *["P0\t1\tP1\t1"] * 9, *lines[19:]]) + "\n")
    files = {path: path.read_bytes() for path in (weights, *reps.iterdir())}
    with pytest.raises(FacetoolError, match="no threshold can be measured: it would be 0"):
        lfw_eval(reps, pairs, "insightface", save_threshold=weights, far=0.2)
    assert files == {path: path.read_bytes() for path in (weights, *reps.iterdir())}


@pytest.mark.slow
def test_a_threshold_of_other_tensors_is_refused(weights: Path, reps: Path, pairs: Path) -> None:
    lfw_eval(reps, pairs, "insightface", save_threshold=weights)
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(FormatError, match="measured on other weights"):
        read_network(weights)


def test_what_cannot_hold_it_or_is_not_of_it(weights: Path, reps: Path, pairs: Path) -> None:
    content = weights.read_bytes()
    other = weights.with_suffix(".onnx")
    other.write_bytes(b"")
    with pytest.raises(UsageError, match="models convert makes a file that can"):
        lfw_eval(reps, pairs, save_threshold=other)
    with pytest.raises(UsageError, match=r"takes over that of the file it is made from"):
        lfw_eval(reps, pairs, save_threshold=weights.with_suffix(".xml"))
    _describe(reps, {"sha256": "0" * 64})
    with pytest.raises(UsageError, match="is not the file that the embeddings"):
        lfw_eval(reps, pairs, save_threshold=weights)
    _describe(reps, {"sha256": digest(weights)}, flip="sum")
    with pytest.raises(UsageError, match="flip=sum"):
        lfw_eval(reps, pairs, save_threshold=weights)
    assert weights.read_bytes() == content
    assert not (reps / "result.json").exists()


def test_published_networks_of_the_originals_have_one() -> None:
    readable = {name: entry for name, entry in CATALOGUE.items() if entry.readable}
    without = {name for name, entry in readable.items() if not (entry.threshold or entry.plain)}
    assert not {name for name in without if name.startswith(("nn4", "lresnet", "dlib"))}
    for entry in CATALOGUE.values():
        if entry.threshold is not None:
            assert entry.threshold.data_set
