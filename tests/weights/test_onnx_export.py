"""Exported networks compute in ONNX Runtime what they compute here, for any batch size."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.errors import WeightsError
from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.registry import create
from facetool.weights.load import load_network, read_network
from facetool.weights.onnx_export import export_onnx, to_onnx

pytestmark = pytest.mark.usefixtures("one_thread")

TOLERANCE = 1e-5
"""Largest difference allowed, as a part of the largest number of the embedding."""

SMALL: dict[str, dict[str, Any]] = {
    "nn4.small2": {"pooling": "june2016"},
    "nn4.small1": {"pooling": "january2016"},
    "lresnet18e-ir": {"filters": (8, 8, 8, 16, 16), "embedding_size": 32},
    "mobilefacenet": {},
    "mobilefacenet-112x96": {},
    "lmobilenete": {"multiplier": 0.125, "embedding_size": 32},
    "ldensenet121e": {"units": (2, 2, 2, 2), "growth": 8, "embedding_size": 32},
    "ldpn92e": {
        "units": (1, 2, 1, 1),
        "increments": (4, 4, 4, 4),
        "bottleneck": 8,
        "groups": 2,
        "width": 16,
        "embedding_size": 32,
    },
    "linceptionresnetv2e": {"divisor": 8, "blocks": (1, 1, 2), "embedding_size": 32},
    "vit-t": {"width": 32, "blocks": [2]},
    "lightcnn-9": {},
    "lightcnn-29v2": {},
}
FOREIGN = [
    "torch7/nn4.small2.t7",
    "torch7/nn4.small2.old2016.t7",
    "mxnet/tiny18-0000.params",
    "mxnet/y1_zoolike_spatial1.onnx",
    "mxnet-backbones/p92tiny-0000.params",
]


def shake(network: EmbeddingNetwork) -> EmbeddingNetwork:
    """Statistics and slopes as after training, so that nothing cancels out."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.2, 0.6)
    return network.eval()


def check(network: EmbeddingNetwork, path: Path, fold: bool) -> onnx.ModelProto:
    """Export, run with batches of one and three, compare."""
    export_onnx(network, path, fold=fold)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        x = torch.randint(0, 256, (count, *network.recipe.shape))
        x = (x - torch.tensor(network.recipe.mean)) * torch.tensor(network.recipe.scale)
        with torch.inference_mode():
            expected = network(x.clone())
        (found,) = session.run(None, {"data": x.numpy()})
        assert found.shape == (count, network.info.embedding_size)
        difference = (torch.from_numpy(found) - expected).abs().max()
        assert difference <= TOLERANCE * expected.abs().max()
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("name", SMALL)
def test_networks_built_by_name(name: str, fold: bool, tmp_path: Path) -> None:
    check(shake(create(name, **SMALL[name])), tmp_path / "x.onnx", fold)


@pytest.mark.slow
@pytest.mark.parametrize("fold", [False, True])
def test_network_of_unit_length(fold: bool, tmp_path: Path) -> None:
    check(shake(create("inception-resnet-v1")), tmp_path / "x.onnx", fold)


@pytest.mark.slow
@pytest.mark.parametrize("fold", [False, True])
def test_default_network(fold: bool, tmp_path: Path) -> None:
    check(load_network("dlib-resnet"), tmp_path / "x.onnx", fold)


@pytest.mark.slow
@pytest.mark.parametrize("name", FOREIGN)
def test_networks_from_files(name: str, shared: Path, tmp_path: Path) -> None:
    check(read_network(shared / "golden" / name), tmp_path / "x.onnx", fold=False)


@pytest.mark.slow
def test_plain_graph(tmp_path: Path) -> None:
    network = shake(create("nn4.small2"))
    model = check(network, tmp_path / "x.onnx", fold=True)
    kinds = {node.op_type for node in model.graph.node}
    assert "LRN" not in kinds
    assert not kinds & {"Shape", "Gather", "BatchNormalization"}
    described = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(described["facetool"])["recipe"] == network.recipe.as_dict()


@pytest.mark.slow
def test_exported_file_is_readable_here(tmp_path: Path) -> None:
    network = shake(create("mobilefacenet"))
    path = tmp_path / "x.onnx"
    export_onnx(network, path)
    again = read_network(path)
    assert again.info.architecture == "mobilefacenet"
    assert again.recipe == network.recipe
    x = torch.randint(0, 256, (2, 3, 112, 112)).float()
    with torch.inference_mode():
        assert torch.allclose(again(x), network(x), rtol=0, atol=1e-6)


def test_a_network_that_compares_other_lengths_still_does_when_read_back(tmp_path: Path) -> None:
    network = shake(create("mobilefacenet"))
    network.info = replace(network.info, unit_length=False)
    path = tmp_path / "x.onnx"
    export_onnx(network, path)
    assert not read_network(path).info.unit_length


def test_the_network_stays_in_training(tmp_path: Path) -> None:
    network = create("mobilefacenet")
    network.train()
    export_onnx(network, tmp_path / "x.onnx")
    assert network.training
    assert all(p.device.type == "cpu" for p in network.parameters())


class Odd(EmbeddingNetwork):
    info = NetworkInfo(embedding_size=3, recipe=Recipe(ARCFACE_112))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft(x).abs().mean((2, 3))


def test_unknown_functions_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="fft_rfft"):
        export_onnx(Odd().eval(), tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inception-resnet-v1", "lightcnn-9"])
def test_a_network_is_known_by_its_structure(name: str, tmp_path: Path) -> None:
    model = onnx.load_from_string(to_onnx(create(name).eval()))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "x.onnx")
    info = read_network(tmp_path / "x.onnx").info
    assert (info.architecture, info.assumed) == (name, ())
    assert info.recipe == create(name).info.recipe


class Ends(EmbeddingNetwork):
    """What a function makes of an image, averaged over 4 x 4 places of it."""

    info = NetworkInfo(embedding_size=48, recipe=Recipe(ARCFACE_112))

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(self.function(x), 28).flatten(1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.pad(x[:, :, 1:, 2:], (2, 0, 0, 1)),
        lambda x: functional.normalize(x, dim=1),
        lambda x: functional.avg_pool2d(x, 3, 1, 1, divisor_override=5),
        lambda x: functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
    ],
)
def test_functions_with_their_options(function: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    check(Ends(function).eval(), tmp_path / "x.onnx", fold=False)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda x: functional.pad(x, (1, 0), value=1), "anything but zeros"),
        (lambda x: functional.pad(x, (1, 0, 0, 0), mode="reflect"), "anything but zeros"),
        (lambda x: functional.normalize(x, p=1), "p = 2"),
    ],
)
def test_options_without_an_operator_are_refused(
    function: Callable[[Tensor], Tensor], said: str
) -> None:
    with pytest.raises(WeightsError, match=said):
        to_onnx(Ends(function).eval())


@pytest.mark.slow
def test_the_operator_for_local_response_normalisation_is_written_on_request() -> None:
    network = shake(create("nn4.small2")).eval()
    x = torch.rand(2, 3, 96, 96)
    with torch.no_grad():
        expected = network(x).numpy()
    for lrn_operator in (False, True):
        contents = to_onnx(network, fold=True, lrn_operator=lrn_operator)
        operators = [node.op_type for node in onnx.load_from_string(contents).graph.node]
        assert operators.count("LRN") == (2 if lrn_operator else 0)
        session = onnxruntime.InferenceSession(contents, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"data": x.numpy()})
        assert np.abs(found - expected).max() < TOLERANCE * np.abs(expected).max()
