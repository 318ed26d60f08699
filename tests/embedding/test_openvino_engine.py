"""The OpenVINO engine computes what PyTorch computes."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from facetool.embedding.embedder import Embedder
from facetool.errors import UsageError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create

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
    assert any((home / "openvino").iterdir())  # the next command need not compile


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
    with pytest.raises(UsageError, match="runs on the CPU"):
        Embedder(network, torch.device("cuda"), engine="openvino")


def test_not_installed(network: EmbeddingNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UsageError, match=r"pip install 'facetool\[openvino\]'"):
        Embedder(network, CPU, engine="openvino")
