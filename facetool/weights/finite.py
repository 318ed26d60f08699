"""Weights that are no numbers are refused: what a network makes of them may look like numbers."""

from __future__ import annotations

from pathlib import Path

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
        if count := int(wrong.sum()):
            raise WeightsError(
                f"{path}: {count:,} of the {tensor.numel():,} numbers of {name} are not finite: "
                "the file is damaged, or was written in too small a precision"
            )
