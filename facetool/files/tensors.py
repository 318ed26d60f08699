"""Tensors made of what files hold."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def as_tensor(array: NDArray[Any]) -> Tensor:
    """A float32 copy in memory of PyTorch's own, whatever the type, order and alignment."""
    tensor = torch.empty(array.shape, dtype=torch.float32, device="cpu")
    tensor.numpy()[...] = array
    return tensor
