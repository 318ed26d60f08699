"""Square patches cut out of images and scaled to one size, all at once."""

from __future__ import annotations

import torch
from torch import Tensor

OUTSIDE = 127.5
"""Grey level beyond the border of an image."""


def pack_pixels(images: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) as int32 (N, H, W), so that a pixel is fetched as one number."""
    packed = images.new_empty(*images.shape[:3], 4)
    packed[..., :3] = images
    return packed.view(torch.int32)[..., 0]


def sample_patches(packed: Tensor, boxes: Tensor, image: Tensor, size: int) -> Tensor:
    """Bilinear samples on a regular grid over each box: TensorFlow's ``crop_and_resize``.

    Args:
        packed: the images, from :func:`pack_pixels`.
        boxes: float32 (K, 4): left, top, right, bottom in pixels; may reach over the border.
        image: int64 (K,), which image each box lies in.
        size: edge of a patch, pixels.

    Returns:
        float32 (K, 3, size, size), 0…255, channels_last.
    """
    _, height, width = packed.shape
    left, right, x_share, x_inside = _samples(boxes[:, 0], boxes[:, 2], width, size)
    top, bottom, y_share, y_inside = _samples(boxes[:, 1], boxes[:, 3], height, size)
    pixels = packed.flatten()
    start = image[:, None] * (height * width)
    top, bottom = (start + top * width)[:, :, None], (start + bottom * width)[:, :, None]
    left, right = left[:, None, :], right[:, None, :]
    x_share = x_share[:, None, :, None]

    def fetch(index: Tensor) -> Tensor:
        return pixels[index][..., None].view(torch.uint8).float()

    above = torch.lerp(fetch(top + left), fetch(top + right), x_share)
    below = torch.lerp(fetch(bottom + left), fetch(bottom + right), x_share)
    patches = torch.lerp(above, below, y_share[:, :, None, None])[..., :3]
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
