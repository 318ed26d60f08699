"""Batch normalisation that must not see batch statistics, or cannot."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
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


def learns_from_one(network: nn.Module, frozen: Sequence[_BatchNorm], image: Tensor) -> bool:
    """Whether a pass in training may hold a single image.

    Batch normalisation of an embedding takes its statistics over the images of a pass alone. A
    copy of the network is asked, so that its statistics stay as they are.

    Args:
        network: any.
        frozen: layers of it that stay in eval mode.
        image: the input of a single one (1, C, H, W).
    """
    copied, its_frozen = deepcopy((network, list(frozen)))
    set_training(copied, its_frozen)
    try:
        with torch.no_grad():
            copied(image)
    except ValueError:
        return False
    return True
