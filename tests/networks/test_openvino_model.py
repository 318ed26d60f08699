"""A model of OpenVINO's, with the engine replaced: how its calls follow each other."""

import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facetool.errors import UsageError
from facetool.networks import openvino_model
from facetool.networks.openvino_model import OpenVinoModel


class Request:
    """Counts how many are running at once."""

    running = 0
    most = 0

    def infer(self, inputs: Any, **sharing: bool) -> None:
        Request.running += 1
        Request.most = max(Request.most, Request.running)
        time.sleep(0.05)
        Request.running -= 1

    def get_input_tensor(self) -> Any:
        return SimpleNamespace(data=np.zeros((1, 8, 8, 3), np.float32))

    def get_output_tensor(self, output: int) -> Any:
        return SimpleNamespace(data=np.zeros((1, 4), np.float32))


def call_twice_at_once(model: OpenVinoModel) -> int:
    Request.most = 0
    inputs = torch.zeros(1, 3, 8, 8)
    threads = [threading.Thread(target=model, args=(inputs,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return Request.most


def test_the_first_call_of_a_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino")
    compiled = SimpleNamespace(create_infer_request=Request)
    monkeypatch.setattr(OpenVinoModel, "_compile", lambda model, size: compiled)
    monkeypatch.setattr(openvino_model, "_has_been_called", threading.Event())
    model = OpenVinoModel(None, None, {})
    assert call_twice_at_once(model) == 1
    assert call_twice_at_once(model) == 2


@pytest.mark.parametrize(("hint", "error"), [("bf16", UsageError), ("f32", RuntimeError)])
def test_bfloat16_that_fails_although_the_processor_has_it(
    hint: str, error: type[Exception]
) -> None:
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as operations

    def fail(model: object, device: str, properties: object) -> None:
        raise RuntimeError("Exception from src/core.cpp:\nprimitive descriptors list is empty")

    x = operations.parameter([-1, 4, 3, 3], np.float32)
    given = openvino.Model([operations.relu(x)], [x])
    core = SimpleNamespace(compile_model=fail)
    with pytest.raises(error, match=r"bfloat16 here; leave dtype out|descriptors list is empty"):
        OpenVinoModel(core, given, {"INFERENCE_PRECISION_HINT": hint})(torch.zeros(1, 4, 3, 3))


@pytest.mark.parametrize("stored", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("slopes", [[0.25, -0.5, 1.5, 0.0], [0.25]])
def test_prelu_stays_what_it_is(slopes: list[float], stored: str) -> None:
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as operations

    x = operations.parameter([-1, 4, 3, 3], np.float32)
    weights = operations.constant(np.array(slopes, np.float32), getattr(openvino.Type, stored))
    if stored != "f32":
        weights = operations.convert(weights, "f32")
    y = operations.prelu(x, weights)
    y = operations.reshape(y, operations.constant(np.array([0, 36])), special_zero=True)
    given = openvino.Model([y], [x])
    model = OpenVinoModel(openvino.Core(), given, {"INFERENCE_PRECISION_HINT": "f32"})
    inputs = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = F.prelu(inputs, torch.tensor(slopes)).flatten(1)
    for count in (5, 1):
        assert torch.equal(model(inputs[:count]), expected[:count])
    kinds = [step.get_type_name() for step in given.get_ops()]
    assert "PRelu" in kinds  # of the model that was given
    openvino_model._split_prelu(given)
    kinds = [step.get_type_name() for step in given.get_ops()]
    assert "PRelu" not in kinds and "Maximum" in kinds


def test_prelu_with_a_slope_for_every_place_is_left_alone() -> None:
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as operations

    x = operations.parameter([-1, 4, 3, 3], np.float32)
    slopes = np.linspace(-1, 1, 36, dtype=np.float32).reshape(4, 3, 3)
    y = operations.prelu(x, operations.constant(slopes))
    y = operations.reshape(y, operations.constant(np.array([0, 36])), special_zero=True)
    given = openvino.Model([y], [x])
    model = OpenVinoModel(openvino.Core(), given, {"INFERENCE_PRECISION_HINT": "f32"})
    inputs = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.where(inputs > 0, inputs, inputs * torch.from_numpy(slopes)).flatten(1)
    assert torch.equal(model(inputs), expected)


@pytest.mark.parametrize(
    "shape", [(4,), (4, 1, 1), (1, 4, 1, 1), (1, 1, 4, 1), (1, 1, 4), (1, 1, 1), (4, 4, 4)]
)
def test_prelu_with_slopes_along_another_axis_of_the_same_length(shape: tuple[int, ...]) -> None:
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as operations

    slopes = np.linspace(-1, 1, int(np.prod(shape)), dtype=np.float32).reshape(shape)
    x = operations.parameter([-1, 4, 4, 4], np.float32)
    y = operations.prelu(x, operations.constant(slopes))
    y = operations.reshape(y, operations.constant(np.array([0, 64])), special_zero=True)
    model = OpenVinoModel(
        openvino.Core(), openvino.Model([y], [x]), {"INFERENCE_PRECISION_HINT": "f32"}
    )
    inputs = torch.randn(5, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    factors = torch.from_numpy(slopes.reshape(4, 1, 1) if shape == (4,) else slopes)
    expected = torch.where(inputs > 0, inputs, inputs * factors).flatten(1)
    assert torch.equal(model(inputs), expected)


def test_large_batches_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = pytest.importorskip("openvino")
    from openvino import opset13 as operations

    x = operations.parameter([-1, 4, 3, 3], np.float32)
    y = operations.reshape(x, operations.constant(np.array([0, 36])), special_zero=True)
    model = OpenVinoModel(openvino.Core(), openvino.Model([y], [x]), {})
    sizes = []
    compile_for = OpenVinoModel._compile

    def noted(self: OpenVinoModel, size: int) -> Any:
        sizes.append(size)
        return compile_for(self, size)

    monkeypatch.setattr(OpenVinoModel, "_compile", noted)
    inputs = torch.randn(70, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    for count in (70, 33, 5, 1):
        assert torch.equal(model(inputs[:count]), inputs[:count].flatten(1))
    assert sizes == [16, 1]
