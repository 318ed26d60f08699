"""The OpenVINO engine computes what PyTorch computes."""

import sys
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.embedding.embedder import Embedder
from facetool.errors import UsageError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create
from facetool.weights import onnx_export

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    torch.manual_seed(0)
    options = {"filters": (8, 8, 8, 16, 16), "embedding_size": 32}
    return create("lresnet18e-ir", **options).eval()


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 112, 112, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("flip", ["none", "concat"])
def test_the_same_embeddings(
    network: EmbeddingNetwork, crops: np.ndarray, home: Path, flip: str
) -> None:
    pytest.importorskip("openvino")
    expected = Embedder(network, CPU, "float32", flip).embed(crops)
    embedder = Embedder(network, CPU, "float32", flip, "openvino")
    for count in (5, 1, 3, 0):
        embeddings = embedder.embed(crops[:count])
        assert embeddings.shape == (count, embedder.size)
        if count:
            assert np.abs(embeddings - expected[:count]).max() < 1e-5 * np.abs(expected).max()
    assert any((home / "openvino").iterdir())  # the next command need not write ONNX


@pytest.mark.slow
def test_results_stay_when_the_next_faces_come(
    network: EmbeddingNetwork, crops: np.ndarray
) -> None:
    pytest.importorskip("openvino")
    embedder = Embedder(network, CPU, engine="openvino")
    for first, second in ((crops[:1], crops[1:2]), (crops[:2], crops[2:4])):
        kept = embedder.embed(first)
        before = kept.copy()
        assert not np.array_equal(embedder.embed(second), before)
        assert np.array_equal(kept, before)


@pytest.mark.slow
def test_what_was_kept_is_taken_if_it_is_whole_and_of_this_network(
    network: EmbeddingNetwork, crops: np.ndarray, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("openvino")
    other = deepcopy(network)
    with torch.no_grad():
        next(other.parameters()).neg_()
    expected = Embedder(network, CPU, engine="openvino").embed(crops)
    (kept,) = (home / "openvino").iterdir()
    of_other = Embedder(other, CPU, engine="openvino").embed(crops)
    plain = Embedder(other, CPU).embed(crops)
    assert np.abs(of_other - plain).max() < 1e-5 * np.abs(plain).max()
    assert np.abs(of_other - expected).max() > 1e-3 * np.abs(plain).max()
    with monkeypatch.context() as patch:
        patch.setattr(onnx_export, "to_onnx", None)  # an error, were it called
        assert np.array_equal(Embedder(network, CPU, engine="openvino").embed(crops), expected)

    whole = kept.read_bytes()
    (kept_of_other,) = {*(home / "openvino").iterdir()} - {kept}
    scribbled = bytearray(whole)
    scribbled[len(whole) // 2 :: 997] = bytes(len(scribbled[len(whole) // 2 :: 997]))
    for damaged in (bytes(scribbled), whole[: len(whole) // 2], b"", kept_of_other.read_bytes()):
        kept.write_bytes(damaged)
        assert np.array_equal(Embedder(network, CPU, engine="openvino").embed(crops), expected)
        assert kept.read_bytes() == whole


@pytest.mark.slow
@pytest.mark.parametrize("in_the_way", ["cache", "cache/openvino"])
def test_a_cache_that_cannot_be_written(
    network: EmbeddingNetwork,
    crops: np.ndarray,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    in_the_way: str,
) -> None:
    pytest.importorskip("openvino")
    monkeypatch.setenv("FACETOOL_HOME", str(home / "cache"))
    (home / in_the_way).parent.mkdir(exist_ok=True)
    (home / in_the_way).write_text("a file")
    expected = Embedder(network, CPU).embed(crops)
    found = Embedder(network, CPU, engine="openvino").embed(crops)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.slow
def test_several_batches_at_once(network: EmbeddingNetwork, crops: np.ndarray) -> None:
    pytest.importorskip("openvino")
    embedder = Embedder(network, CPU, "float32", "none", "openvino")
    batches = [crops[:4], crops[1:], crops[:4], crops[:2]]
    for batch, embeddings in embedder.embed_batches(batches, lambda batch: batch):
        assert np.allclose(embeddings, embedder.embed(batch), rtol=1e-5, atol=1e-6)


def test_what_it_cannot_do(network: EmbeddingNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    with pytest.raises(UsageError, match="float32 or bfloat16"):
        Embedder(network, CPU, "float16", engine="openvino")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="runs on the CPU"):
        Embedder(network, torch.device("cuda"), engine="openvino")


def test_not_installed(network: EmbeddingNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UsageError, match=r"pip install 'facetool\[openvino\]'"):
        Embedder(network, CPU, engine="openvino")
