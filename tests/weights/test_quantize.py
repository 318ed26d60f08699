"""Which layers stay as they are, and how much work each of them is."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from facetool.errors import UsageError
from facetool.weights import quantize

openvino = pytest.importorskip("openvino")
operations = pytest.importorskip("openvino.opset13")


def weights(*shape: int) -> Any:
    return operations.constant(np.zeros(shape, np.float32))


def image(channels: int, edge: int = 12) -> Any:
    return operations.parameter([-1, channels, edge, edge], np.float32)


def convolution(x: Any, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 0) -> Any:
    """One that pads its input so that only the stride makes it smaller."""
    inputs = x.output(0).get_partial_shape()[1].get_length()
    step, edge = [stride] * 2, [kernel // 2] * 2
    if groups:
        shape = (groups, outputs // groups, inputs // groups, kernel, kernel)
        return operations.group_convolution(x, weights(*shape), step, edge, edge, [1, 1])
    return operations.convolution(
        x, weights(outputs, inputs, kernel, kernel), step, edge, edge, [1, 1]
    )


def product(x: Any, inputs: int, outputs: int, *, transposed: bool = False) -> Any:
    shape = (outputs, inputs) if transposed else (inputs, outputs)
    return operations.matmul(x, weights(*shape), False, transposed)


@pytest.mark.parametrize(
    ("layer", "original"),
    [
        (convolution(image(6), 8), nn.Conv2d(6, 8, 3, padding=1)),
        (convolution(image(6), 8, 5, 2), nn.Conv2d(6, 8, 5, 2, 2)),
        (convolution(image(6), 12, groups=3), nn.Conv2d(6, 12, 3, padding=1, groups=3)),
        (convolution(image(6), 6, groups=6), nn.Conv2d(6, 6, 3, padding=1, groups=6)),
    ],
)
def test_multiply_adds_of_convolutions(layer: Any, original: nn.Conv2d) -> None:
    """Each number that comes out is one sum over as many terms as a filter has weights."""
    outputs = original(torch.zeros(1, 6, 12, 12)).numel()
    assert quantize._multiply_adds(layer) == outputs * original.weight[0].numel()


@pytest.mark.parametrize("transposed", [False, True])
def test_multiply_adds_of_products(transposed: bool) -> None:
    row = operations.parameter([-1, 6], np.float32)
    assert quantize._multiply_adds(product(row, 6, 10, transposed=transposed)) == 60
    patches = operations.parameter([-1, 7, 6], np.float32)
    assert quantize._multiply_adds(product(patches, 6, 10, transposed=transposed)) == 7 * 60


def left_in_float(*layers: int, groups: int = 0) -> list[int]:
    """Positions of those that stay, of convolutions of so many channels one after the other."""
    x = given = image(4)
    for number, channels in enumerate(layers):
        x = convolution(x, channels, groups=groups if number == 1 else 0)
        x.set_friendly_name(str(number))
        x = operations.relu(x)
    model = openvino.Model([x], [given])
    return sorted(int(name) for name in quantize._left_in_float(model))


def test_ends_stay_where_they_are_cheap() -> None:
    """The work grows with inputs times outputs; four channels come in."""
    assert left_in_float(8, 64, 64, 4) == [0, 3]  # 32, 512, 4096, 256
    assert left_in_float(64, 8, 1) == [2]  # 256, 512, 8
    assert left_in_float(8, 64, 64) == [0]  # 32, 512, 4096
    assert left_in_float(16, 16, 16) == []  # 64 of 576 are more than a tenth
    assert left_in_float(64) == []
    assert left_in_float() == []


def test_depthwise_convolutions_stay_and_grouped_ones_do_not() -> None:
    assert left_in_float(16, 16, 4, groups=16) == [1]
    assert left_in_float(16, 16, 4, groups=4) == []
    assert left_in_float(16, 32, 4, groups=16) == []  # two outputs of each input


def test_products_of_two_activations_have_no_weights() -> None:
    x = operations.parameter([-1, 6, 6], np.float32)
    assert not quantize._has_weights(operations.matmul(x, x, False, True))
    assert quantize._has_weights(product(x, 6, 3))
    assert not quantize._has_weights(operations.relu(x))


@pytest.mark.parametrize("before", [None, "0"])
def test_the_environment_stays_as_it_was(before: str | None, monkeypatch) -> None:
    monkeypatch.delenv("NNCF_CI", raising=False)
    if before is not None:
        monkeypatch.setenv("NNCF_CI", before)
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(UsageError, match=r"pip install 'facetool\[quantize\]'"):
        quantize._import_nncf()
    assert os.environ.get("NNCF_CI") == before
