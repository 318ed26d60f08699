"""Area-averaged scaled copies of images, row by row, in bounded memory."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_TABLE_PIXELS = 2**22
"""Pixels of one image a summed-area table covers: less than 2**31 as a sum of grey levels."""


class Pyramid:
    """Scaled copies of images of one size, each pixel the exact mean of the area it covers.

    A summed-area table (Crow, "Summed-area tables for texture mapping", 1984) makes the work
    independent of the factor. Within a pixel the table is bilinear, so that interpolating it
    gives the sums up to fractional edges: the same result as TensorFlow's ``ResizeMethod.AREA``.

    Args:
        images: uint8 (N, H, W, 3).
    """

    def __init__(self, images: Tensor) -> None:
        self._images = images
        self.count, self.height, self.width, _ = images.shape
        self._table_rows = max(1, _TABLE_PIXELS // self.width)
        self._latest: tuple[int, Tensor] | None = None

    def rows(self, height: int, width: int, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of the copies of a given size.

        Returns:
            float32 (N, 3, stop - start, width), 0…255.
        """
        low, share = _edges(start, stop, height, self.height)
        sums = self._sums_above(low, share).diff(dim=2)
        low, share = _edges(0, width, width, self.width)
        sums = _interpolate(sums, 3, low, share).diff(dim=3)
        return sums.mul_(height / self.height * width / self.width).float()

    def _sums_above(self, low: NDArray[np.int64], share: NDArray[np.float64]) -> Tensor:
        """float64 (N, 3, edges, W + 1): sums between a common row and each edge, left of each
        column; the common row is where the first table starts."""
        number = low // self._table_rows
        carried: float | Tensor = 0.0
        found = []
        for table_number in range(int(number[0]), int(number[-1]) + 1):
            table = self._table(table_number)
            here = number == table_number
            inside = low[here] - table_number * self._table_rows
            found.append(_interpolate(table, 2, inside, share[here]) + carried)
            carried = carried + table[:, :, -1:].double()
        return found[0] if len(found) == 1 else torch.cat(found, dim=2)

    def _table(self, number: int) -> Tensor:
        if self._latest is None or self._latest[0] != number:
            start = number * self._table_rows
            self._latest = number, _summed_area(self._images[:, start : start + self._table_rows])
        return self._latest[1]


def _edges(
    start: int, stop: int, count: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where the edges of pixels ``start`` to ``stop`` of ``count`` lie among ``size`` pixels.

    Returns:
        The pixel an edge lies in, and the share of that pixel before it.
    """
    edges = np.arange(start, stop + 1, dtype=np.float64) * (size / count)
    low = np.minimum(edges.astype(np.int64), size - 1)
    return low, edges - low


def _interpolate(
    table: Tensor, dim: int, low: NDArray[np.int64], share: NDArray[np.float64]
) -> Tensor:
    index = torch.from_numpy(low).to(table.device)
    weight = torch.from_numpy(share).to(table.device)
    if dim == 2:
        weight = weight[:, None]
    before, after = table.index_select(dim, index), table.index_select(dim, index + 1)
    return torch.lerp(before.double(), after.double(), weight)


def _summed_area(images: Tensor) -> Tensor:
    """int32 (N, 3, H + 1, W + 1): the sum of all pixels above and left of each corner."""
    count, height, width, channels = images.shape
    table = torch.zeros(
        count, channels, height + 1, width + 1, dtype=torch.int32, device=images.device
    )
    planes = images.permute(0, 3, 1, 2).contiguous()
    table[:, :, 1:, 1:] = planes.cumsum(3, dtype=torch.int32).cumsum(2, dtype=torch.int32)
    return table
