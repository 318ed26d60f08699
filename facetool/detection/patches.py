"""Square patches cut out of images and scaled to one size, all at once."""

from __future__ import annotations

import torch
from torch import Tensor

OUTSIDE = 127.5
"""Grey level beyond the border of an image."""


def sample_patches(images: Tensor, boxes: Tensor, image: Tensor, size: int) -> Tensor:
    """Bilinear samples on a regular grid over each box: TensorFlow's ``crop_and_resize``.

    Args:
        images: uint8 (N, H, W, 3).
        boxes: float32 (K, 4): left, top, right, bottom in pixels; may reach over the border.
        image: int64 (K,), which image each box lies in.
        size: edge of a patch, pixels.

    Returns:
        float32 (K, 3, size, size), 0…255, channels_last.
    """
    _, height, width, _ = images.shape
    left, right, x_share, x_inside = _samples(boxes[:, 0], boxes[:, 2], width, size)
    top, bottom, y_share, y_inside = _samples(boxes[:, 1], boxes[:, 3], height, size)
    pixels = images.flatten(0, 2)
    start = image[:, None] * (height * width)
    top, bottom = (start + top * width)[:, :, None], (start + bottom * width)[:, :, None]
    left, right = left[:, None, :], right[:, None, :]
    x_share = x_share[:, None, :, None]
    above = torch.lerp(pixels[top + left].float(), pixels[top + right].float(), x_share)
    below = torch.lerp(pixels[bottom + left].float(), pixels[bottom + right].float(), x_share)
    patches = torch.lerp(above, below, y_share[:, :, None, None])
    inside = (y_inside[:, :, None] & x_inside[:, None, :])[..., None]
    return torch.where(inside, patches, OUTSIDE).permute(0, 3, 1, 2)


def _samples(low: Tensor, high: Tensor, length: int, size: int) -> tuple[Tensor, ...]:
    """Where the samples between two edges lie along one axis.

    Returns:
        The pixels before and after each sample, int64 (K, size), the share of the latter, and
        whether the sample is within the image.
    """
    # A box of the whole image samples the first to the last pixel: edges count in pixels'
    # borders, samples in pixels' centres.
    shrink = (length - 1) / length
    steps = torch.arange(size, device=low.device) / (size - 1)
    at = (low[:, None] + (high - low)[:, None] * steps) * shrink
    inside = (at >= 0) & (at <= length - 1)
    at = at.clamp(0, length - 1)
    before = at.floor()
    return before.long(), at.ceil().long(), at - before, inside
