"""Golden networks of InsightFace's MXNet backbones, for the tests of their modules.

Their weights follow from a rule (``golden/mxnet-backbones/README.txt``), so that only names and
shapes are read from the reference data.
"""

import hashlib
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from facetool.networks import registry
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.graph import BatchNorm


def seeded(kind: str, shapes: dict[str, list[int]]) -> dict[str, np.ndarray]:
    """The weights of golden network ``kind``: every tensor is drawn from its own generator."""
    return {name: _draw(kind, name, tuple(shape)) for name, shape in shapes.items()}


def _draw(kind: str, name: str, shape: tuple[int, ...]) -> np.ndarray:
    seed = (20240607 + zlib.crc32(f"{kind}/{name}".encode())) % 2**32
    random = np.random.RandomState(seed)
    if name.endswith("_moving_var"):
        values = random.uniform(0.5, 1.5, shape)
    elif name.endswith(("_moving_mean", "_beta")):
        values = random.normal(0, 0.2, shape)
    elif name.endswith("_gamma"):
        values = random.uniform(*((-0.2, 0.6) if "relu" in name else (0.6, 1.4)), shape)
    elif name.endswith("_bias"):
        values = random.normal(0, 0.1, shape)
    else:
        if name == "pre_fc1_weight" or "c1x1-c__" in name:
            gain = 0.5
        else:
            gain = 1.3 if shape[1] == 1 else 1.6
        values = random.normal(0, gain / np.sqrt(np.prod(shape[1:])), shape)
        if shape[1] > 3:
            values -= values.mean(axis=tuple(range(1, values.ndim)), keepdims=True)
    return values.astype(np.float32)


def digest(weights: dict[str, np.ndarray]) -> str:
    """SHA-256 over all bytes, by sorted name."""
    result = hashlib.sha256()
    for name in sorted(weights):
        result.update(weights[name].tobytes())
    return result.hexdigest()


@dataclass
class Golden:
    """One network of the reference data, with the weights that belong to it."""

    folder: Path
    kind: str
    arguments: list[str]
    weights: dict[str, np.ndarray]

    @classmethod
    def read(cls, shared: Path, kind: str) -> "Golden":
        folder = shared / "golden" / "mxnet-backbones"
        shapes = json.loads((folder / f"{kind}_shapes.json").read_text())
        weights = seeded(kind, {**shapes["args"], **shapes["aux"]})
        return cls(folder, kind, list(shapes["args"]), weights)

    def load_into(self, network: EmbeddingNetwork) -> dict[str, nn.Module]:
        """Give ``network`` the weights, layer by layer in the order of its definition.

        A scale the network keeps fixed stays as it is, as MXNet ignores what is stored.

        Returns:
            the network's layers by their MXNet names.
        """
        layers: dict[str, nn.Module] = {}
        names = iter(self.arguments)
        with torch.no_grad():
            for layer in network.modules():
                kinds = _TENSORS.get(type(layer), {})
                for suffix, parameter in layer.named_parameters(recurse=False):
                    base, _, kind = next(names).rpartition("_")
                    assert kind == kinds[suffix]
                    layers[base] = layer
                    if parameter.requires_grad:
                        self._copy(f"{base}_{kind}", parameter)
                if isinstance(layer, BatchNorm):
                    assert layer.running_mean is not None and layer.running_var is not None
                    self._copy(f"{base}_moving_mean", layer.running_mean)
                    self._copy(f"{base}_moving_var", layer.running_var)
        assert next(names, None) is None
        network.eval()
        return layers

    def _copy(self, name: str, target: Tensor) -> None:
        values = torch.from_numpy(self.weights[name])
        assert values.shape == target.shape
        target.copy_(values)

    def inputs(self) -> dict[str, Tensor]:
        """The two input batches (4, 3, 112, 112), pixels 0…255: noise and faces."""
        folder = self.folder.parent / "mxnet"
        return {
            suffix: torch.from_numpy(np.load(folder / f"input{suffix}_4x3x112x112.npy"))
            for suffix in ("", "_faces")
        }

    def deviations(self, network: EmbeddingNetwork) -> list[float]:
        """Largest absolute differences from MXNet's embeddings, for noise and for faces."""
        result = []
        for suffix, batch in self.inputs().items():
            expected = torch.from_numpy(np.load(self.folder / f"{self.kind}_fc1{suffix}.npy"))
            with torch.inference_mode():
                result.append(float((network(batch) - expected).abs().max()))
        return result


_TENSORS = {
    nn.Conv2d: {"weight": "weight", "bias": "bias"},
    nn.Linear: {"weight": "weight", "bias": "bias"},
    nn.PReLU: {"weight": "gamma"},
    BatchNorm: {"weight": "gamma", "bias": "beta"},
}


def change_eps(network: nn.Module, old: float, new: float) -> None:
    """Replace the eps of those batch normalisations that have ``old``."""
    layers = [layer for layer in network.modules() if isinstance(layer, BatchNorm)]
    chosen = [layer for layer in layers if layer.eps == old]
    assert chosen
    for layer in chosen:
        layer.eps = new


def measure(name: str) -> dict[str, float]:
    """Sizes of a registered network, as the reference data's table has them."""
    operations = 0

    def count(layer: nn.Module, _: object, output: Tensor) -> None:
        nonlocal operations
        operations += layer.weight.numel() * math.prod(output.shape[2:])

    with torch.device("meta"):
        network = registry.create(name).eval()
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        assert network(torch.zeros(2, 3, 112, 112)).shape == (2, 512)
    statistics = [buffer for buffer in network.buffers() if buffer.dim()]
    return {
        "args": sum(parameter.numel() for parameter in network.parameters()),
        "aux": sum(buffer.numel() for buffer in statistics),
        "n_args": len(list(network.parameters())),
        "n_aux": len(statistics),
        "gmacs": round(operations / 1e9, 3),
    }


def sizes(args: int, aux: int, n_args: int, n_aux: int, gmacs: float) -> dict[str, float]:
    """A row of that table."""
    return {"args": args, "aux": aux, "n_args": n_args, "n_aux": n_aux, "gmacs": gmacs}


def check_initialisation(network: nn.Module, distribution: str) -> None:
    """Weights are drawn with scale sqrt(2 / fan_in), all else is as MXNet has it."""
    ratios = []
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = math.sqrt(2 / layer.weight[0].numel())
            ratios.append(layer.weight.detach().flatten() / bound)
            assert layer.bias is None or not layer.bias.any()
        elif isinstance(layer, nn.PReLU):
            assert (layer.weight == 0.25).all()
        elif isinstance(layer, BatchNorm):
            assert (layer.weight == 1).all() and not layer.bias.any()
            assert layer.momentum == 0.1
    drawn = torch.cat(ratios)
    assert len(drawn) > 50_000
    if distribution == "uniform":
        assert 0.99 < drawn.abs().max() <= 1 + 1e-6
        assert abs(drawn.std() - 1 / math.sqrt(3)) < 0.01
    else:
        assert drawn.abs().max() > 3
        assert abs(drawn.std() - 1) < 0.01


def check_training_step(network: EmbeddingNetwork) -> None:
    """A step down the gradient lowers the loss, moves what is learned and nothing else."""
    generator = torch.Generator().manual_seed(1)
    batch = torch.randint(256, (4, 3, 112, 112), generator=generator).float()
    classifier = torch.randn(network.info.embedding_size, 4, generator=generator)
    network.train()

    def loss() -> Tensor:
        torch.manual_seed(2)  # the same units drop out both times
        return nn.functional.cross_entropy(network(batch) @ classifier, torch.arange(4))

    before = {name: tensor.clone() for name, tensor in network.named_parameters()}
    first = loss()
    first.backward()
    torch.optim.SGD(network.parameters(), lr=1e-4).step()
    assert loss() < first
    for name, tensor in network.named_parameters():
        assert (tensor.grad is not None) == tensor.requires_grad, name
        if tensor.requires_grad:
            assert tensor.isfinite().all(), name
        else:
            assert torch.equal(tensor, before[name]), name
    moved = [not torch.equal(tensor, before[name]) for name, tensor in network.named_parameters()]
    assert sum(moved) > len(moved) / 2


def frozen_scales(network: nn.Module) -> list[str]:
    """Names of the batch normalisations whose scale is not learned."""
    return [
        name
        for name, layer in network.named_modules()
        if isinstance(layer, BatchNorm) and not layer.weight.requires_grad
    ]
