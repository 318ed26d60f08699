"""Devices, dtypes, flips and memory limits of the embedder."""

import numpy as np
import pytest
import torch
from torch import Tensor

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.embedding.embedder import Embedder, resolve_dtype
from facetool.errors import UsageError
from facetool.jobs.progress import Progress, follow
from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.registry import create


class Corner(EmbeddingNetwork):
    """Embeds an image as its top left pixel; refuses batches that are too large."""

    info = NetworkInfo(embedding_size=3, recipe=Recipe(ARCFACE_112, mean=100.0, scale=0.5))

    def __init__(self, limit: int = 1000) -> None:
        super().__init__()
        self.limit = limit
        self.seen: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.limit:
            raise torch.OutOfMemoryError("too much")
        self.seen.append(len(x))
        return x[:, :, 0, 0]


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 112, 112, 3), dtype=np.uint8)


def embedder(network: EmbeddingNetwork, monkeypatch: pytest.MonkeyPatch, flip: str) -> Embedder:
    """Without folding, which would trace the limit away."""
    monkeypatch.setattr("facetool.networks.fold.fold_batch_norm", lambda network: network)
    monkeypatch.setattr("facetool.networks.onednn.onednn_runs", lambda dtype: False)
    return Embedder(network, torch.device("cpu"), flip=flip)


def test_the_recipe_scales_the_pixels(crops: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = embedder(Corner(), monkeypatch, "none").embed(crops)
    assert np.array_equal(embeddings, (crops[:, 0, 0].astype(np.float32) - 100) * 0.5)


def test_flips_mirror_left_and_right(crops: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    left = (crops[:, 0, 0].astype(np.float32) - 100) * 0.5
    right = (crops[:, 0, -1].astype(np.float32) - 100) * 0.5
    both = embedder(Corner(), monkeypatch, "concat").embed(crops)
    assert np.array_equal(both, np.hstack([left, right]))
    total = left + right
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    assert np.allclose(embedder(Corner(), monkeypatch, "sum").embed(crops), expected, atol=1e-6)


def test_out_of_memory_halves_the_batch(crops: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Corner(limit=2)
    embeddings = embedder(network, monkeypatch, "none").embed(crops)
    assert np.array_equal(embeddings, (crops[:, 0, 0].astype(np.float32) - 100) * 0.5)
    assert max(network.seen) == 2
    with pytest.raises(torch.OutOfMemoryError):
        embedder(Corner(limit=0), monkeypatch, "none").embed(crops)


@pytest.mark.parametrize("native", [True, False])
def test_auto_is_bfloat16_where_it_is_native_and_accurate(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False, raising=False)
    expected = "bfloat16" if native else "float32"
    keeps, other = EmbeddingNetwork(), EmbeddingNetwork()
    keeps.info = NetworkInfo(architecture="dlib-resnet")
    assert resolve_dtype("auto", cpu, keeps) == expected
    assert resolve_dtype("auto", cpu, other) == "float32"
    assert resolve_dtype("bfloat16", cpu, other) == "bfloat16"
    assert resolve_dtype("auto", torch.device("mps"), keeps) == "float32"
    with pytest.raises(UsageError, match=r"^dtype='half': give one of .*, auto$"):
        resolve_dtype("half", cpu, keeps)


@pytest.mark.parametrize("native", [True, False])
def test_it_says_what_auto_stood_for(native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facetool.embedding.embedder._has_bfloat16", lambda device: native)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    network = create("mobilefacenet", embedding_size=16).eval()
    made = Embedder(network, dtype="auto")
    assert made.device == torch.device("cpu")
    assert made.dtype == ("bfloat16" if native else "float32")
    crops = np.zeros((2, 112, 112, 3), np.uint8)
    assert np.array_equal(made.embed(crops), Embedder(network, "cpu", made.dtype).embed(crops))


@pytest.mark.parametrize(
    ("dtype", "native", "said"),
    [("bfloat16", False, True), ("bfloat16", True, False), ("float32", False, False)],
)
def test_slow_bfloat16_is_said(
    dtype: str, native: bool, said: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "facetool.embedding.embedder._has_bfloat16"
    monkeypatch.setattr(name, lambda device: native)
    remarks: list[str] = []

    class Listener(Progress):
        def remark(self, name: str, text: str) -> None:
            remarks.append(f"{name}: {text}")

    with follow(Listener()):
        Embedder(create("mobilefacenet", embedding_size=16).eval(), torch.device("cpu"), dtype)
    expected = "mobilefacenet: this processor has no bfloat16 of its own, so that float32 is faster"
    assert remarks == ([expected] if said else [])


def test_all_of_a_list_are_embedded_as_represent_does() -> None:
    torch.manual_seed(0)
    network = create("mobilefacenet", embedding_size=16).eval()
    crops = np.random.default_rng(0).integers(0, 256, (67, 112, 112, 3), dtype=np.uint8)
    one = Embedder(network, torch.device("cpu"))
    batches = [crops[:64], crops[64:]]
    expected = [found for _, found in one.embed_batches(batches, lambda batch: batch)]
    assert np.array_equal(one.embed_all(crops), np.concatenate(expected))
    assert one.embed_all(crops[:0]).shape == (0, 16)
