"""Batch normalisation that must not see batch statistics."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def plain_scales(network: nn.Module) -> list[_BatchNorm]:
    """Batch normalisations of weights without statistics: the variance is one and the same.

    dlib's published weights hold a scale and a shift where their training had normalised;
    batch statistics would not fit them. Such layers stay in eval mode while scale and shift are
    trained on. Variances that were measured differ between channels. Ask only of weights that
    were read: in a fresh network all variances are 1.
    """
    return [
        layer
        for layer in network.modules()
        if isinstance(layer, _BatchNorm)
        and layer.running_var is not None
        and bool((layer.running_var == layer.running_var.flatten()[0]).all())
    ]


def set_training(network: nn.Module, frozen: Sequence[_BatchNorm]) -> None:
    """Training mode for all layers but ``frozen``."""
    network.train()
    for layer in frozen:
        layer.eval()
