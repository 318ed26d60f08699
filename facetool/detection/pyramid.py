"""Area-averaged scaled copies of images, row by row, in bounded memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

_TABLE_PIXELS = 2**17
"""Pixels of one image a summed-area table covers: few enough for a processor's cache, and for 31
bits as a sum of grey levels."""
_KEPT_TABLES = 16
"""Tables that wait for the next level; of larger images they are computed again for each."""


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
        self._tables: dict[int, Tensor] = {}

    def rows(self, height: int, width: int, start: int, stop: int) -> Tensor:
        """Rows ``start`` to ``stop`` of the copies of a given size.

        Returns:
            float32 (N, 3, stop - start, width), 0…255, channels_last.
        """
        sums = self._sums_above(start, stop, height).diff(dim=1).permute(0, 3, 1, 2)
        # Corners aligned, sample i lies at i * W / width, which is the edge of pixel i.
        size = (stop - start, width + 1)
        sums = F.interpolate(sums, size, mode="bilinear", align_corners=True).diff(dim=3)
        sums.mul_(height / self.height * width / self.width)
        return sums.float()

    def _sums_above(self, start: int, stop: int, count: int) -> Tensor:
        """Sums between a common row and the upper edges of rows ``start`` to ``stop`` of ``count``.

        Returns:
            float64 (N, stop - start + 1, W + 1, 3): for each edge, of the pixels left of each
            column. The common row is where the first table starts.
        """
        edges = np.arange(start, stop + 1, dtype=np.float64) * (self.height / count)
        row = np.minimum(edges.astype(np.int64), self.height - 1)
        number = row // self._table_rows
        carried: Tensor | None = None
        found = []
        for table_number in range(int(number[0]), int(number[-1]) + 1):
            table = self._table(table_number)
            here = number == table_number
            index = torch.from_numpy(row[here] - table_number * self._table_rows).to(table.device)
            share = torch.from_numpy((edges - row)[here]).to(table.device)[:, None, None]
            above = table.index_select(1, index).double()
            above = above.lerp(table.index_select(1, index + 1).double(), share)
            total = table[:, -1:].double()
            if carried is not None:
                above, total = above + carried, total + carried
            found.append(above)
            carried = total
        return found[0] if len(found) == 1 else torch.cat(found, dim=1)

    def _table(self, number: int) -> Tensor:
        if number not in self._tables:
            if len(self._tables) == _KEPT_TABLES:
                del self._tables[next(iter(self._tables))]
            start = number * self._table_rows
            rows = self._images[:, start : start + self._table_rows]
            self._tables[number] = _summed_area(rows)
        return self._tables[number]


def _summed_area(images: Tensor) -> Tensor:
    """int32 (N, H + 1, W + 1, 3): the sum of all pixels above and left of each corner."""
    sums = images.cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
    return F.pad(sums, (0, 0, 1, 0, 1, 0))
