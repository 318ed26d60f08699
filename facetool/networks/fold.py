"""Batch normalisation folded into the layers before it, for networks that only run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from threading import Lock, get_ident
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights, fuse_linear_bn_weights

from facetool.networks import onednn
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.dlib_resnet import add_zero_extended, subtract_mean
from facetool.networks.faster_steps import pool_without_places
from facetool.networks.graph import depth_concat
from facetool.networks.lrn import local_response_norm

_OPAQUE = (add_zero_extended, depth_concat, local_response_norm, subtract_mean)
"""Functions that look at their inputs' shapes or types, which cannot be traced through."""


class FoldedNetwork(EmbeddingNetwork):
    """Computes what another network computes in eval mode, in fewer steps. Not for training.

    Attributes:
        body: the traced steps.
    """

    def __init__(self, body: fx.GraphModule) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D) of inputs (N, C, H, W)."""
        y: Tensor = self.body(x)
        return y


_TRACING = Lock()
"""Two traces at once would each take the other for what PyTorch does without one."""


class _Tracer(fx.Tracer):
    """Takes every module without submodules as one step, whoever wrote it.

    While it works it stands in the place of every module's call and attributes, in all threads:
    those of other threads go on as ever.
    """

    def __init__(self) -> None:
        super().__init__(autowrap_functions=_OPAQUE)
        self._thread = get_ident()

    def is_leaf_module(self, module: nn.Module, qualified_name: str) -> bool:
        """Whether a module is called rather than traced through."""
        return next(module.children(), None) is None

    def call_module(
        self,
        module: nn.Module,
        forward: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """A step of the trace, or a call in another thread."""
        if get_ident() != self._thread:
            return forward(*args, **kwargs)
        return super().call_module(module, forward, args, kwargs)

    def getattr(self, name: str, value: Any, cache: dict[str, Any]) -> Any:
        """What stands for an attribute in the trace, or the attribute in another thread."""
        return value if get_ident() != self._thread else super().getattr(name, value, cache)


def fold_batch_norm(network: nn.Module) -> FoldedNetwork:
    """A network for inference with the same output, up to rounding in float32.

    Args:
        network: stays as it was and shares no memory with the result.

    Returns:
        In eval mode, with the network's description.
    """
    folded = FoldedNetwork(fold(network)).eval()
    if isinstance(network, EmbeddingNetwork):
        folded.info = network.info
    return folded


def trace(network: nn.Module) -> fx.GraphModule:
    """The steps of a network as they are, in eval mode.

    Args:
        network: stays as it was; the steps use its weights.
    """
    tensors = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    copied = deepcopy(network, dict(tensors)).eval()
    with _TRACING:
        return fx.GraphModule(copied, _Tracer().trace(copied))


def fold(network: nn.Module) -> fx.GraphModule:
    """The steps of a network for inference.

    Every batch normalisation behind a convolution or a fully connected layer becomes part of
    it, unless anything else uses that layer's output, as does the mean that is subtracted before
    an unpadded convolution. Dropout and identities go.

    Args:
        network: stays as it was and shares no memory with the result.
    """
    originals = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    traced = trace(network)  # for now with the tensors themselves
    graph = traced.graph
    modules: dict[str, nn.Module] = dict(traced.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")

    for node in list(graph.nodes):
        node.type = None  # annotations as text would keep the result from being pickled
        if node.target is subtract_mean:
            (cast,) = node.users
            (behind,) = cast.users
            _fold_mean(traced, node, modules[behind.target])
        if node.op != "call_module":
            continue
        module, before = modules[node.target], node.args[0]
        gone = isinstance(module, nn.Dropout | nn.Identity)
        if (
            isinstance(module, nn.modules.batchnorm._BatchNorm)
            and before.op == "call_module"
            and calls[before.target] == calls[node.target] == len(before.users) == 1
        ):
            gone = _fold_into(modules[before.target], module)
        if gone:
            node.replace_all_uses_with(before)
            graph.erase_node(node)

    folded = fx.GraphModule(traced, graph).eval()
    for module in folded.modules():
        for name, tensor in [*module.named_parameters("", False), *module.named_buffers("", False)]:
            if id(tensor) in originals:
                setattr(module, name, deepcopy(tensor))
    return folded


def for_inference(
    network: EmbeddingNetwork, device: torch.device, dtype: torch.dtype
) -> FoldedNetwork:
    """A folded copy of a network as it runs fastest: in channels_last, as its inputs should be.

    On a CPU what follows a convolution becomes part of it, and windows' maxima leave no notes.
    """
    with _one_thread():
        folded = fold_batch_norm(network).to(device)
        if device.type == "cpu" and onednn.onednn_runs(dtype):
            onednn.fuse_convolutions(folded.body, dtype)
            pool_without_places(folded.body, dtype)
        return folded.to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _fold_mean(traced: fx.GraphModule, node: fx.Node, conv: nn.Module) -> None:
    """Let the convolution behind dlib's input layer do its work too, if it can.

    It cannot where it is padded: with zeros, where means would have to be.
    """
    if type(conv) is not nn.Conv2d or conv.bias is not None or any(conv.padding):
        return
    pixels, mean = node.all_input_nodes
    weight = conv.weight.detach().double() / 256
    bias = -(weight * traced.get_buffer(str(mean.target))).sum((1, 2, 3))
    dtype = conv.weight.dtype
    conv.weight, conv.bias = (nn.Parameter(value.to(dtype)) for value in (weight, bias))
    node.replace_all_uses_with(pixels)
    for gone in (node, mean):
        traced.graph.erase_node(gone)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Hundreds of short steps: where something else runs, threads wait for each other in each."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _fold_into(layer: nn.Module, bn: nn.modules.batchnorm._BatchNorm) -> bool:
    """Give a layer new weights that do a batch normalisation's work too, if it can have them."""
    if isinstance(layer, nn.Conv2d):
        fuse: Callable[..., tuple[nn.Parameter, nn.Parameter]] = fuse_conv_bn_weights
    elif isinstance(layer, nn.Linear):
        fuse = fuse_linear_bn_weights
    else:
        return False
    layer.weight, layer.bias = fuse(
        layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return True
