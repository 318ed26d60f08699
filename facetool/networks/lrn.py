"""Local response normalisation in any dtype."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """x / (k + alpha/size * sum over ``size`` channels of x²)^beta, at least in float32.

    PyTorch builds it on ``avg_pool3d``, which has no bfloat16 on a CPU; and squares of
    activations leave float16's range.

    Args:
        x: (N, C, H, W).
        size: channels in the window.
        alpha: see above; so ``beta`` and ``k``.
        beta: exponent.
        k: constant.
    """
    if x.dtype in (torch.bfloat16, torch.float16):
        return F.local_response_norm(x.float(), size, alpha, beta, k).to(x.dtype)
    return F.local_response_norm(x, size, alpha, beta, k)


class LocalResponseNorm(nn.LocalResponseNorm):
    """The layer of :func:`local_response_norm`."""

    def forward(self, input: Tensor) -> Tensor:
        """Same shape and dtype as the input."""
        return local_response_norm(input, self.size, self.alpha, self.beta, self.k)
