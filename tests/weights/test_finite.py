"""Weights that are infinite or NaN are refused by name."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from facetool.errors import WeightsError
from facetool.networks.registry import create
from facetool.weights import safetensors
from facetool.weights.finite import check_constants_finite, check_weights_finite
from facetool.weights.load import read_network
from facetool.weights.onnx_export import export_onnx
from facetool.weights.openvino_export import export_openvino
from facetool.weights.readers.onnx import load_maps
from tests.detection.anchor_graph import write_anchor_graph


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("suffix", ["safetensors", "onnx", "pt", "xml"])
def test_files(suffix: str, value: float, tmp_path: Path) -> None:
    network = create("mobilefacenet").eval()
    path = tmp_path / f"x.{suffix}"
    conv = next(module for module in network.modules() if isinstance(module, nn.Conv2d))
    with torch.no_grad():
        conv.weight[0, 0, 0, 0] = value
    if suffix == "onnx":
        export_onnx(network, path)
    elif suffix == "xml":
        pytest.importorskip("openvino")
        export_openvino(network, path, fold=False)
    elif suffix == "pt":
        torch.save(network.state_dict(), path)
    else:
        safetensors.save_network(network, path)
    with pytest.raises(WeightsError, match=r"1 of the [\d,]+ numbers of .* are not finite"):
        read_network(path)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_detectors(value: float, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "x.onnx"
    write_anchor_graph(path, (8, 16, 32))
    model = onnx.load(path)
    first = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 4)
    numbers = onnx.numpy_helper.to_array(first).copy()
    numbers.flat[0] = value
    first.CopyFrom(onnx.numpy_helper.from_array(numbers, first.name))
    onnx.save(model, path)
    with pytest.raises(WeightsError, match=r"1 of the [\d,]+ numbers of .* are not finite"):
        load_maps(path)


def test_constants_of_files_that_another_engine_runs() -> None:
    """A single infinite number may be a bound; integers are always numbers."""
    fine = [("bound", np.array(np.inf)), ("weights", np.zeros(3)), ("small", np.ones(2, np.int8))]
    check_constants_finite(fine, Path("x"))
    for name, array in (("bound", np.array(np.nan)), ("weights", np.array([0, np.inf]))):
        with pytest.raises(WeightsError, match=rf"^x: 1 of the {array.size} numbers of {name}"):
            check_constants_finite([*fine, (name, array)], Path("x"))


def test_constants_may_be_infinite_but_not_nan() -> None:
    network = nn.Module()
    network.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    check_weights_finite(network, Path("x"))
    network.register_buffer("mean", torch.tensor([0.0, torch.nan]))
    with pytest.raises(WeightsError, match=r"^x: 1 of the 2 numbers of mean"):
        check_weights_finite(network, Path("x"))


def test_large_numbers_are_finite() -> None:
    network = nn.Linear(4, 4)
    with torch.no_grad():
        network.weight.fill_(3e38)  # their sum is not
    check_weights_finite(network, Path("x"))
