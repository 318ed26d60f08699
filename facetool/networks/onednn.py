"""Convolutions on a CPU in one oneDNN call each, with what follows them.

PyTorch's eager mode runs a ReLU or a sum behind a convolution as a step of its own, reorders the
weights in every pass, and takes a slow route for single images. The operators that its compiler
calls do none of that and need no compiler.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from facetool.networks.dlib_resnet import add_zero_extended

_SUMS = (torch.add, operator.add, operator.iadd, add_zero_extended)
_RELUS = (F.relu, torch.relu)

_FEW_ROWS = 256
"""Pixels up to which a plain product is faster for a 1x1 convolution in float32.

A call of oneDNN's convolution costs 30 microseconds before it computes, a product 5; measured on
two cores with AVX-512 and 16 to 640 channels.
"""

_OPERATOR = "_convolution_pointwise"

_PACKED_SHAPES = 2
"""Shapes of input to keep ordered weights for: single images and full batches."""


def onednn_runs(dtype: torch.dtype) -> bool:
    """Whether this PyTorch and this processor have the operators in a precision."""
    if not (
        torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, _OPERATOR)
    ):
        return False
    if dtype == torch.bfloat16:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    return dtype == torch.float32


class FusedConv(nn.Module):
    """A convolution with the sum and the ReLU behind it. Not for training.

    The weights are kept once more in the order that oneDNN wants for the first shapes of input
    seen; that order depends on the shape, and guessing it wrong costs more than not guessing.

    Args:
        conv: whose weights are used as they are, on a CPU.
        relu: whether a ReLU ends it.
        join: what adds the second input, for shapes that differ; None: there is no second input.
        dtype: of the weights; the bias stays as it is where oneDNN takes one of another type, for
            in bfloat16 it would be as coarse as all that is added to it.

    Attributes:
        ends_in_relu: as given.
    """

    weight: Tensor

    def __init__(
        self,
        conv: nn.Conv2d,
        relu: bool,
        join: Callable[[Tensor, Tensor], Tensor] | None,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", conv.weight.detach().to(dtype))
        bias = None if conv.bias is None else conv.bias.detach()
        self._bias = bias if bias is None or join is None else bias.to(dtype)
        self.ends_in_relu = relu
        self._join = join
        assert not isinstance(conv.padding, str)
        self._geometry = (list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups)
        self._is_product = (
            conv.kernel_size == conv.stride == (1, 1)
            and conv.padding == (0, 0)
            and conv.groups == 1
            and dtype == torch.float32
            and join is None
        )
        self._packed: dict[torch.Size, Tensor] = {}

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """The convolution of (N, C, H, W), plus ``other``, not below 0 if a ReLU belongs to it."""
        if self._is_product and x.shape[0] * x.shape[2] * x.shape[3] <= _FEW_ROWS:
            return self._product(x)
        weight = self._packed.get(x.shape)
        if weight is None:
            weight = self._pack(x)
        ending = "relu" if self.ends_in_relu else "none"
        if other is None or self._join is None:
            out: Tensor = torch.ops.mkldnn._convolution_pointwise(
                x, weight, self._bias, *self._geometry, ending, [], ""
            )
            return out
        if other.shape == self._shape_of_output(x):
            end = "relu" if self.ends_in_relu else None
            out = torch.ops.mkldnn._convolution_pointwise.binary(
                x, other, weight, self._bias, *self._geometry, "add", 1.0, end, [], ""
            )
            return out
        out = torch.ops.mkldnn._convolution_pointwise(
            x, weight, self._bias, *self._geometry, "none", [], ""
        )
        out = self._join(out, other)
        return out.relu_() if self.ends_in_relu else out

    def _product(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
        weight = self.weight.reshape(-1, channels)
        out = F.linear(rows, weight, self._bias)
        if self.ends_in_relu:
            out.relu_()
        return out.reshape(count, height, width, len(weight)).permute(0, 3, 1, 2)

    def _pack(self, x: Tensor) -> Tensor:
        """The weights as oneDNN wants them for inputs like ``x``; as they are for rarer shapes."""
        if len(self._packed) >= _PACKED_SHAPES or not x.numel():
            return self.weight
        packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            self.weight, *self._geometry, list(x.shape)
        )
        self._packed[x.shape] = packed
        return packed

    def _shape_of_output(self, x: Tensor) -> tuple[int, ...]:
        sides = [
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, stride, dilation, kernel in zip(
                x.shape[2:], *self._geometry[:3], self.weight.shape[2:], strict=True
            )
        ]
        return (x.shape[0], self.weight.shape[0], *sides)


def fuse_convolutions(body: fx.GraphModule, dtype: torch.dtype | None = None) -> None:
    """Replace the convolutions of a traced network by :class:`FusedConv`, in place.

    Args:
        body: on the CPU.
        dtype: of the new weights, which :func:`onednn_runs` accepts; None: each keeps its own.
    """
    graph = body.graph
    modules: dict[str, nn.Module] = dict(body.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    for node in list(graph.nodes):
        if node.op != "call_module" or calls[node.target] > 1:
            continue  # of two calls each may end in its own way
        conv = modules[node.target]
        if type(conv) is not nn.Conv2d or conv.padding_mode != "zeros" or conv.padding == "same":
            continue
        chain: list[fx.Node] = [node]
        inputs: list[fx.Node] = [node.args[0]]
        join: Any = None
        if (after := _only_user(node)) is not None and (other := _other_summand(after, node)):
            chain.append(after)
            inputs.append(other)
            join = after.target
        if (after := _only_user(chain[-1])) is not None and _is_relu(after, modules):
            chain.append(after)
        relu = len(chain) > len(inputs)
        body.set_submodule(node.target, FusedConv(conv, relu, join, dtype or conv.weight.dtype))
        with graph.inserting_before(chain[-1]):
            fused = graph.call_module(node.target, tuple(inputs))
        chain[-1].replace_all_uses_with(fused)
        for gone in reversed(chain):
            graph.erase_node(gone)
    body.recompile()


def takes_next(conv: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    """Whether :func:`fuse_convolutions` makes the step behind a convolution part of it."""
    after = _only_user(conv)
    return after is not None and (
        _other_summand(after, conv) is not None or _is_relu(after, modules)
    )


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _other_summand(node: fx.Node, one: fx.Node) -> fx.Node | None:
    """What ``node`` adds to ``one``, if a sum of two tensors is all it does."""
    if node.op != "call_function" or node.target not in _SUMS or node.kwargs:
        return None
    if len(node.args) != 2 or not all(isinstance(arg, fx.Node) for arg in node.args):
        return None
    first, second = node.args
    if first is one:
        return second if second is not one else None  # type: ignore[return-value]
    return first if node.target is not add_zero_extended else None  # type: ignore[return-value]


def _is_relu(node: fx.Node, modules: Mapping[str, nn.Module]) -> bool:
    if node.op == "call_module":
        return type(modules[str(node.target)]) is nn.ReLU
    return node.op == "call_function" and node.target in _RELUS
