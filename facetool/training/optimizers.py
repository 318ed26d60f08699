"""Optimizers as the originals set them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn


def create_optimizer(
    name: str,
    modules: Iterable[nn.Module],
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    decay_all: bool,
) -> torch.optim.Optimizer:
    """An optimizer over the trainable parameters of several modules.

    ``sgd`` computes v = momentum v + (gradient + decay w), w = w - rate v. MXNet keeps rate v as
    its state, which differs only in the steps after the rate has changed. ``adam`` is optim's
    with its defaults (0.9, 0.999, 1e-8), as OpenFace used it.

    Args:
        name: one of :data:`facetool.training.choices.OPTIMIZERS`.
        modules: the network and the loss.
        learning_rate: to begin with.
        momentum: of SGD.
        weight_decay: added to the gradient as a multiple of the weight.
        decay_all: decay biases, batch normalisation and PReLU slopes too; see
            :func:`parameter_groups`.
    """
    groups = parameter_groups(modules, weight_decay, decay_all)
    if name == "adam":
        return torch.optim.Adam(groups, lr=learning_rate)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum)


def parameter_groups(
    modules: Iterable[nn.Module], weight_decay: float, decay_all: bool
) -> list[dict[str, Any]]:
    """Trainable parameters: those that are decayed, then those that are not.

    Matrices and kernels (convolutions, fully connected layers, the classifier) are decayed;
    vectors (biases, batch normalisation, PReLU slopes) are not, unless ``decay_all``. MXNet
    itself decays parameters named ``…_weight`` and ``…_gamma``, to which the scale of batch
    normalisation and PReLU's slopes belong. But InsightFace's scripts of 2018 hand it an
    optimizer that does not know the names, and then it decays everything.
    """
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in modules:
        for parameter in module.parameters():
            if parameter.requires_grad:
                chosen = decayed if decay_all or parameter.ndim > 1 else others
                chosen.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
