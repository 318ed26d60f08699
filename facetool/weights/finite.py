"""Weights that are no numbers are refused: what a network makes of them may look like numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from facetool.errors import WeightsError


def check_weights_finite(network: nn.Module, path: Path) -> None:
    """Refuse a network some of whose weights are infinite or NaN.

    A ReLU makes 0 of NaN on some processors, so that embeddings need not show it.

    Args:
        network: as it was read.
        path: of the file, for messages.

    Raises:
        WeightsError: of a learned tensor some numbers are infinite or NaN, of another some NaN.
    """
    learned = dict(network.named_parameters())
    for name, tensor in {**dict(network.named_buffers()), **learned}.items():
        if not tensor.is_floating_point() or tensor.detach().sum().isfinite():
            continue  # a sum is enough, and much faster
        wrong = ~tensor.isfinite() if name in learned else tensor.isnan()
        _refuse(int(wrong.sum()), tensor.numel(), name, path)


def check_constants_finite(constants: Iterable[tuple[str, NDArray[Any]]], path: Path) -> None:
    """The same of a file that another engine runs, which does not say what was learned.

    Args:
        constants: names and numbers, of any type.
        path: of the file, for messages.

    Raises:
        WeightsError: of several numbers some are infinite or NaN, or a single one, which may be
            a bound, is NaN.
    """
    for name, array in constants:
        wrong = ~np.isfinite(array) if array.size > 1 else np.isnan(array)
        _refuse(int(wrong.sum()), array.size, name, path)


def _refuse(wrong: int, count: int, name: str, path: Path) -> None:
    if wrong:
        raise WeightsError(
            f"{path}: {wrong:,} of the {count:,} numbers of {name} are not finite: the file is "
            "damaged, or was written in too small a precision"
        )
