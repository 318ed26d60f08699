"""From the pixels of crops to a network's input tensor, as its recipe says."""

from __future__ import annotations

import torch
from torch import Tensor

from facetool.alignment.recipes import PerChannel, Recipe

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def to_input(pixels: Tensor, recipe: Recipe) -> Tensor:
    """The input tensor of a batch of crops.

    Args:
        pixels: uint8 RGB (N, H, W, 3), on any device.
        recipe: the network's.

    Returns:
        float32 (N, C, H, W) in channels_last: (N, H, W, C) permuted, which costs no copy.
    """
    if recipe.channels == "BGR":
        pixels = pixels.flip(3)
    values = pixels.float()
    if recipe.channels == "gray":
        weights = torch.tensor(_LUMINANCE, device=values.device)
        values = (values @ weights).round_().unsqueeze(3)
    mean, scale = _numbers(recipe.mean, values), _numbers(recipe.scale, values)
    return values.sub_(mean).mul_(scale).permute(0, 3, 1, 2)


def _numbers(value: PerChannel, like: Tensor) -> Tensor | float:
    return torch.tensor(value, device=like.device) if isinstance(value, tuple) else value
