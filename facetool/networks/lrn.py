"""Local response normalisation in any dtype."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary

from facetool.networks import onednn

_NEARLY_ONE = 0.02
"""alpha * x² up to which the base's power may be taken to first order in bfloat16.

What is left out, 21/32 of its square, is 0.00026 of the result; rounding to bfloat16 is 0.002.
"""


def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha/size * sum over ``size`` channels of x²)^beta, computed in float32.

    PyTorch's own builds on ``avg_pool3d``, which on a CPU takes two thirds of the time of
    nn4.small2's convolutions and has no bfloat16; and squares of activations leave float16's range.

    Args:
        x: (N, C, H, W); float64 stays float64.
        size: channels in the window.
        alpha: see above; so ``beta`` and ``k``.
        beta: exponent.
        k: constant.
    """
    if has_torch_function_unary(x):  # an exporter records it as one step
        options = {"alpha": alpha, "beta": beta, "k": k}
        out: Tensor = handle_torch_function(local_response_norm, (x,), x, size, **options)
        return out
    if torch.compiler.is_compiling():  # what follows reads numbers, which are not there yet
        if x.dtype == torch.bfloat16 and beta == 0.75:
            return _by_convolution(x, size, alpha, k)
    elif (
        x.device.type == "cpu"
        and beta == 0.75
        and not (torch.is_grad_enabled() and x.requires_grad)
    ):
        return _without_gradient(x, size, alpha, k)
    wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
    channels = x.shape[1]
    squares = F.pad(wide.square(), (0, 0, 0, 0, size // 2, (size - 1) // 2))
    sums = squares[:, :channels].clone()
    for shift in range(1, size):
        sums += squares[:, shift : shift + channels]
    base = sums.mul_(alpha / size).add_(k)
    if beta == 0.75:  # what everybody uses; powers are slow
        root = base.rsqrt()
        scale = root * root.sqrt()
    else:
        scale = base.pow(-beta)
    return (wide * scale).to(x.dtype)


def _without_gradient(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """The same for beta 0.75 on a CPU, image by image, so that all steps find theirs in cache."""
    if k == 1 and x.dtype == torch.bfloat16 and onednn.onednn_runs(x.dtype) and x.numel():
        squares = x.square()
        # As integers they have the same order, and the largest is found 10 times as fast.
        largest = squares.view(torch.int16).amax().view(torch.bfloat16)
        if alpha * float(largest) < _NEARLY_ONE:
            return _to_first_order(x, squares, size, alpha)
    count, channels, height, width = x.shape
    rows = x.permute(0, 2, 3, 1).reshape(count, height * width, channels)
    out = torch.empty_like(rows)
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    # Each summand brings its part of k, those beyond the channels nothing else.
    squares = torch.full((height * width, channels + size - 1), k / size, dtype=wide)
    part = torch.tensor(k / size, dtype=wide)
    within = squares[:, size // 2 : size // 2 + channels]
    for image, result in zip(rows, out, strict=True):
        numbers = image.to(wide)
        torch.addcmul(part, numbers, numbers, value=alpha / size, out=within)
        base = squares[:, :channels].clone()
        for shift in range(1, size):
            base += squares[:, shift : shift + channels]
        root = base.sqrt()
        torch.div(numbers, root.mul_(torch.sqrt(root, out=base)), out=result)
    return out.reshape(count, height, width, channels).permute(0, 3, 1, 2)


def _by_convolution(x: Tensor, size: int, alpha: float, k: float) -> Tensor:
    """The same for beta 0.75 with a convolution for the sum, whose summands bfloat16 rounds.

    That changes the result by a part in 300 at most, as rounding it does.
    """
    ones = band(x.shape[1], size, alpha / size).to(x)
    root = (F.conv2d(x.square(), ones).float() + k).rsqrt()
    return (x.float() * (root * root.sqrt())).to(x.dtype)


def _to_first_order(x: Tensor, squares: Tensor, size: int, alpha: float) -> Tensor:
    """x * (1 - 0.75 * alpha/size * sum of squares): one convolution that ends in a product."""
    channels = x.shape[1]
    out: Tensor = torch.ops.mkldnn._convolution_pointwise.binary(
        squares,
        x,
        _rounded_band(channels, size, -0.75 * alpha / size),
        torch.ones(channels, dtype=x.dtype),
        *([0, 0], [1, 1], [1, 1], 1),
        *("mul", None, None, [], ""),
    )
    return out


def band(channels: int, size: int, value: float) -> Tensor:
    """The 1x1 convolution (C, C, 1, 1) that adds ``size`` neighbouring channels up, scaled."""
    places = torch.arange(channels)
    offset = places - places[:, None] + size // 2
    near = (offset >= 0) & (offset < size)
    return (near * value).float()[:, :, None, None]


@lru_cache(maxsize=16)
def _rounded_band(channels: int, size: int, value: float) -> Tensor:
    return band(channels, size, value).to(torch.bfloat16)


class LocalResponseNorm(nn.LocalResponseNorm):
    """The layer of :func:`local_response_norm`."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype as the input."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)
