"""What OpenVINO makes of photos is what PyTorch makes of them."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.classification.classifier_file import load_classifier
from facetool.errors import UsageError
from facetool.images.verification_set import write_bin
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.bin_eval import bin_eval
from facetool.pipeline.classify_infer import InferSettings, name_people
from facetool.pipeline.classify_train import ClassifierSettings, train_classifier
from facetool.pipeline.compare import compare
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.pipeline.search import SearchSettings, search
from facetool.weights.load import load_network

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="module")
def photos(album: Path) -> list[Path]:
    return sorted(album.glob("*/*_0001.*"))[:3]


@pytest.fixture(scope="module")
def reps(crops: Path, network: EmbeddingNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines") / "reps"
    represent(crops, folder, network, RepresentSettings())
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path / "home"))


@pytest.mark.slow
def test_compare(photos: list[Path], network: EmbeddingNetwork) -> None:
    pytest.importorskip("openvino")
    ours = compare(photos, network, threshold=None).comparisons
    theirs = compare(photos, network, threshold=None, device="cpu", engine="openvino").comparisons
    assert len(ours) == 3
    for one, other in zip(ours, theirs, strict=True):
        assert other.squared_l2 == pytest.approx(one.squared_l2, abs=1e-5)
        assert other.cosine == pytest.approx(one.cosine, abs=1e-5)


@pytest.mark.slow
def test_classify_infer(photos: list[Path], reps: Path, network: EmbeddingNetwork) -> None:
    pytest.importorskip("openvino")
    file = reps.parent / "classifier.safetensors"
    train_classifier(reps, file, ClassifierSettings(kind="nearest-mean", fpir=0.5))
    made = load_classifier(file)
    ours, _ = name_people(made, photos, network, InferSettings())
    theirs, _ = name_people(made, photos, network, InferSettings(device="cpu", engine="openvino"))
    for one, other in zip(ours, theirs, strict=True):
        (face,), (same) = one.faces, other.faces
        assert same[0].name == face.name
        assert same[0].similarity == pytest.approx(face.similarity, abs=1e-5)
        assert same[0].confidence == pytest.approx(face.confidence, abs=1e-4)


@pytest.mark.slow
def test_search(photos: list[Path], reps: Path, network: EmbeddingNetwork) -> None:
    pytest.importorskip("openvino")
    ours = search([reps], photos[:1], network).matches
    theirs = search(
        [reps], photos[:1], network, SearchSettings(device="cpu", engine="openvino")
    ).matches
    assert [one.image for one in theirs] == [one.image for one in ours]
    distances = [[match.squared_l2 for match in found] for found in (ours, theirs)]
    assert np.allclose(distances[0], distances[1], atol=1e-5)


@pytest.mark.slow
def test_bin_eval(crops: Path, network: EmbeddingNetwork, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    images = [path.read_bytes() for path in sorted(crops.glob("*/*.png"))]
    file = tmp_path / "drawn.bin"
    with file.open("wb") as target:  # four images a person: two pairs of one, then two of two
        write_bin(target, [*images, *images[2:], *images[:2]], [True] * 12 + [True, False] * 6)
    ours, theirs = (
        bin_eval([file], network, CPU, nfolds=3, engine=engine).sets[0]
        for engine in ("torch", "openvino")
    )
    assert theirs["xnorm"] == pytest.approx(ours["xnorm"], abs=1e-5)
    assert theirs["flip"]["accuracy"] == ours["flip"]["accuracy"]
    assert theirs["flip"]["auc"] == ours["flip"]["auc"]


@pytest.mark.slow
@pytest.mark.parametrize("native", [True, False])
def test_bin_eval_says_what_auto_stood_for(
    native: bool,
    crops: Path,
    network: EmbeddingNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("facetool.embedding.embedder._has_bfloat16", lambda device: native)
    images = [path.read_bytes() for path in sorted(crops.glob("*/*.png"))[:4]]
    with (tmp_path / "drawn.bin").open("wb") as target:
        write_bin(target, [*images, *images], [True, False] * 2)
    auto, named = (
        bin_eval([tmp_path], network, "cpu", dtype=dtype, nfolds=2)
        for dtype in ("auto", "bfloat16" if native else "float32")
    )
    assert auto.as_dict() == named.as_dict()


@pytest.mark.slow
def test_what_is_not_installed_is_one_line(
    photos: list[Path],
    crops: Path,
    reps: Path,
    network: EmbeddingNetwork,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    needs = pytest.raises(UsageError, match=r"^engine='openvino' needs OpenVINO: pip install")
    with needs:
        compare(photos[:2], network, threshold=None, device="cpu", engine="openvino")
    with needs:
        search([reps], photos[:1], network, SearchSettings(device="cpu", engine="openvino"))
    with (tmp_path / "pair.bin").open("wb") as target:
        write_bin(target, [path.read_bytes() for path in sorted(crops.glob("*/*.png"))[:2]], [True])
    with needs:
        bin_eval([tmp_path / "pair.bin"], network, CPU, engine="openvino")
    file = tmp_path / "classifier.safetensors"
    train_classifier(reps, file, ClassifierSettings(kind="nearest-mean", fpir=0.5))
    with needs:
        name_people(
            load_classifier(file),
            photos[:1],
            network,
            InferSettings(device="cpu", engine="openvino"),
        )
