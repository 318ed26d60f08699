"""Local response normalisation in any dtype."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import handle_torch_function, has_torch_function_unary


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


class LocalResponseNorm(nn.LocalResponseNorm):
    """The layer of :func:`local_response_norm`."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype as the input."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)
