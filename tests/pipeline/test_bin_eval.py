"""Verification sets through a network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.preprocessing import normalize

from facetool.errors import FormatError, UsageError
from facetool.evaluation import insightface
from facetool.evaluation.pairs import Trials
from facetool.images.verification_set import read_bin, write_bin
from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.pipeline.bin_eval import bin_eval, bin_eval_epochs, published_accuracies
from facetool.weights.load import load_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(shared: Path) -> EmbeddingNetwork:
    """A small trained-by-nobody network of MXNet's."""
    return load_network(shared / "golden" / "mxnet" / "tiny18-0000.params")


@pytest.fixture
def bins(shared: Path) -> Path:
    return shared / "golden" / "mxnet" / "records" / "bin"


@pytest.mark.slow
def test_figures_are_those_of_the_definition(
    bins: Path, network: EmbeddingNetwork, tmp_path: Path
) -> None:
    file = bins / "py3_bytes_proto4.bin"
    one = read_bin(file)
    pixels = np.stack([one.read(n) for n in range(len(one.images))]).transpose(0, 3, 1, 2)
    with torch.inference_mode():
        plain = network(torch.from_numpy(pixels.astype(np.float32))).numpy()
        mirrored = network(torch.from_numpy(pixels[..., ::-1].astype(np.float32))).numpy()
    summed = normalize(plain + mirrored)
    expected = insightface.evaluate_insightface(
        summed[0::2], summed[1::2], Trials.in_order(one.same)
    )
    lengths = np.linalg.norm(np.concatenate([plain, mirrored]), axis=1)

    plot = tmp_path / "errors.png"
    result = bin_eval([file], network, CPU, batch_size=17, pairs_plot=plot)
    assert plot.read_bytes().startswith(b"\x89PNG")
    found = result.sets[0]
    assert found["flip"]["accuracy"]["folds"] == expected.accuracies.tolist()
    assert (
        found["flip"]["tar_at_far"][2]["genuine_accepted"]
        == expected.tar_at_far[2].genuine_accepted
    )
    assert found["xnorm"] == pytest.approx(lengths.mean(), rel=1e-5)
    unmirrored = insightface.evaluate_insightface(
        plain[0::2], plain[1::2], Trials.in_order(one.same)
    )
    assert found["no_flip"]["accuracy"]["folds"] == unmirrored.accuracies.tolist()
    assert found["pairs"] == {"scored": 60, "failed": 0, "genuine": 30, "impostors": 30}
    assert result.report.exit_code == 0


@pytest.mark.slow
def test_several_sets(bins: Path, network: EmbeddingNetwork, tmp_path: Path) -> None:
    files = [bins / "py2_str_proto2.bin", bins / "py3_numpy_proto4.bin"]
    result = bin_eval(files, network, CPU)
    assert [one["set"] for one in result.sets] == ["py2_str_proto2", "py3_numpy_proto4"]
    json.dumps(result.as_dict(), allow_nan=False)
    with pytest.raises(UsageError, match="pairs_plot shows one set, and 2 are given"):
        bin_eval(files, network, CPU, pairs_plot=tmp_path / "errors.png")


@pytest.mark.slow
def test_damaged_image_costs_its_pair(
    bins: Path, network: EmbeddingNetwork, tmp_path: Path
) -> None:
    one = read_bin(bins / "py3_bytes_proto4.bin")
    images = [*one.images[:7], b"damaged", *one.images[8:]]
    with (tmp_path / "lfw.bin").open("wb") as file:
        write_bin(file, images, one.same.tolist())
    result = bin_eval([tmp_path / "lfw.bin"], network, CPU)
    assert result.sets[0]["pairs"]["scored"] == 59
    assert [name for name, _ in result.report.failures] == ["lfw image 7"]
    assert result.report.exit_code == 1


def test_a_bad_set_is_named_before_the_others_are_evaluated(
    bins: Path, network: EmbeddingNetwork, tmp_path: Path
) -> None:
    bad = tmp_path / "a.bin"
    bad.write_bytes(b"x")

    class Untouchable(EmbeddingNetwork):
        info = NetworkInfo(embedding_size=4)

    for files in ([bad], [bad, bad]):
        with pytest.raises(FormatError, match="not a verification set"):
            bin_eval(files, Untouchable(), CPU)
    result = bin_eval([bad, bins / "py3_bytes_proto4.bin"], network, CPU)
    assert [one["set"] for one in result.sets] == ["py3_bytes_proto4"]
    ((name, reason),) = result.report.failures
    assert name == str(bad) and reason.startswith("is not a verification set: ")


def test_published_accuracies_go_by_the_sets_name() -> None:
    found = published_accuracies("lresnet50e-ir.ms1m-v1", "agedb_30")
    assert [figure.value for figure in found] == [0.9776]
    assert published_accuracies("lresnet50e-ir.ms1m-v1", "my_set") == []
    assert published_accuracies("somebody's.params", "lfw") == []
    sources = {one.source for one in published_accuracies("lresnet100e-ir.onnx-zoo", "lfw")}
    assert sources == {"ONNX Model Zoo", "OpenVINO"}


def test_epochs_of_a_run_come_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for epoch in (1, 7):
        (tmp_path / f"model-{epoch:04d}.params").touch()
    one = tmp_path / "model-0001.params"
    loaded: list[tuple[object, ...]] = []

    def load(*given: object, **stated: object) -> EmbeddingNetwork:
        loaded.append(given)
        return EmbeddingNetwork()

    asked: list[dict[str, object]] = []

    def evaluate(files: object, network: object, device: object, **settings: object) -> None:
        asked.append({"files": files, "device": device, **settings})

    monkeypatch.setattr("facetool.pipeline.bin_eval.load_network", load)
    monkeypatch.setattr("facetool.pipeline.bin_eval.bin_eval", evaluate)
    bins = [tmp_path / "lfw.bin"]
    results = bin_eval_epochs(bins, f"{tmp_path / 'model'},1|7", device="cpu", dtype="auto")
    next(results)
    assert len(loaded) == len(asked) == 1  # nothing is loaded before its turn
    assert len(list(results)) == 1
    assert loaded == [(one, None), (tmp_path / "model-0007.params", None)]
    assert asked[0] == asked[1] and (asked[0]["device"], asked[0]["dtype"]) == ("cpu", "auto")
    for model, weights in ((str(one), None), (None, one), (str(tmp_path / "model"), one)):
        loaded.clear()
        assert len(list(bin_eval_epochs(bins, model, weights))) == 1
        assert loaded == [(model, weights)]
    with pytest.raises(UsageError, match=r"pairs_plot shows one network, and .*model is 2$"):
        next(bin_eval_epochs(bins, str(tmp_path / "model"), pairs_plot=tmp_path / "x.png"))
