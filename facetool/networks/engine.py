"""Networks that another engine runs as they are: quantised ONNX files, OpenVINO's IR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy, deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from facetool.errors import UsageError, WeightsError
from facetool.networks.base import EmbeddingNetwork, NetworkInfo

OPENVINO = "OpenVINO"
ONNX_RUNTIME = "ONNX Runtime"

PACKAGES = {OPENVINO: "openvino", ONNX_RUNTIME: "onnxruntime"}
"""Of the engines, by their names."""

_EIGHT_BIT = ("FakeQuantize", "QuantizeLinear", "DynamicQuantizeLinear")
"""Kinds of layers that round to 8 bits, and after which the next one computes in them."""

RunBatch = Callable[[Tensor], Tensor]
"""From inputs (N, C, H, W), float32 on the CPU, to (N, D); may be called from several threads at
once."""


class EngineLayer(NamedTuple):
    """A layer as a file has it.

    Attributes:
        name: of the layer, or of what it makes.
        kind: the engine's name of it.
        shape: of what it makes, without the batch; empty where the file does not say.
    """

    name: str
    kind: str
    shape: tuple[int, ...] = ()


class _Engine(nn.Module):
    """One step, whatever is traced; copies of it share the engine.

    Args:
        run: the engine's call.
        shape: (C, H, W) of the input.
        run_in: the engine's calls in other precisions, if it has them.

    Raises:
        WeightsError: it does not give one vector a face.
    """

    def __init__(
        self,
        run: RunBatch,
        shape: tuple[int, int, int],
        run_in: Callable[[str], RunBatch] | None,
    ) -> None:
        super().__init__()
        self.run = run
        self.run_in = run_in
        found = tuple(run(torch.zeros(1, *shape)).shape)
        if len(found) != 2 or found[0] != 1:
            raise WeightsError(f"the output has the shape {found}, not one vector a face")
        self.size = int(found[1])

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D) on the input's device, of its type."""
        if not len(x):
            return x.new_empty(0, self.size)
        return self.run(x.detach().float().cpu()).to(x.device, x.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> _Engine:
        return self


class EngineNetwork(EmbeddingNetwork):
    """A network whose layers are another engine's affair; it has no weights to convert or train.

    Args:
        run: the engine's call.
        shape: (C, H, W) of the input.
        engine: its name, a key of :data:`PACKAGES`.
        layers: in the order they run in.
        run_in: gives the call that computes in another precision what the file leaves in float32;
            ``None``: the engine has no other.
        made_from: name of the weights that the file was made from, where it says so.

    Raises:
        WeightsError: it does not give one vector a face.
    """

    def __init__(
        self,
        run: RunBatch,
        shape: tuple[int, int, int],
        engine: str,
        layers: Sequence[EngineLayer],
        run_in: Callable[[str], RunBatch] | None = None,
        made_from: str = "",
    ) -> None:
        super().__init__()
        self.engine = _Engine(run, shape, run_in)
        self.engine_name = engine
        self.layers = tuple(layers)
        self.made_from = made_from
        self.info = NetworkInfo(embedding_size=self.engine.size, input_size=shape[1:])

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D) of inputs (N, C, H, W)."""
        y: Tensor = self.engine(x)
        return y

    @property
    def has_8_bits(self) -> bool:
        """Whether some of its layers compute in 8 bits."""
        return any(layer.kind in _EIGHT_BIT for layer in self.layers)

    def in_dtype(self, dtype: str) -> EngineNetwork:
        """The network that computes in ``dtype`` what its file leaves in float32.

        Raises:
            UsageError: its engine cannot, or not on this processor.
        """
        if dtype == "float32":
            return self
        if self.engine.run_in is None:
            raise UsageError(
                f"{self.info.weights_name} is run by {self.engine_name} in the precision of its "
                "file; leave dtype out",
                "dtype",
            )
        # A copy, as a new one would be tried out once more: a second for a large network.
        other = deepcopy(self)
        other.engine = copy(self.engine)
        other.engine.run = self.engine.run_in(dtype)
        return other


def check_has_weights(network: EmbeddingNetwork) -> None:
    """Refuse to convert, quantise or train what another engine runs.

    Raises:
        WeightsError: it is such a network.
    """
    if isinstance(network, EngineNetwork):
        raise WeightsError(
            f"{network.info.weights_name or 'this network'} is run by {network.engine_name} as it "
            f"is; take {network.made_from or 'the file it was made from'} to convert, quantise or "
            "train it"
        )
