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
    *,
    classifier: nn.Module | None = None,
    classifier_decay: float = 1.0,
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
        classifier: the one of the modules whose matrices have a weight decay of their own.
        classifier_decay: theirs, as a multiple of ``weight_decay``.
    """
    groups = parameter_groups(
        modules,
        weight_decay,
        decay_all,
        classifier=classifier,
        classifier_decay=classifier_decay,
    )
    if name == "adam":
        return torch.optim.Adam(groups, lr=learning_rate)
    return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum)


def parameter_groups(
    modules: Iterable[nn.Module],
    weight_decay: float,
    decay_all: bool,
    *,
    classifier: nn.Module | None = None,
    classifier_decay: float = 1.0,
) -> list[dict[str, Any]]:
    """Trainable parameters: decayed ones, those that are not, and a classifier's own matrices.

    Matrices and kernels (convolutions, fully connected layers, the classifier) are decayed;
    vectors (biases, batch normalisation, PReLU slopes) are not, unless ``decay_all``. MXNet
    itself decays parameters named ``…_weight`` and ``…_gamma``, to which the scale of batch
    normalisation and PReLU's slopes belong. But InsightFace's scripts of 2018 hand it an
    optimizer that does not know the names, and then it decays everything.

    Where ``classifier_decay`` is 1, the classifier's matrices are among the first.
    """
    own: list[nn.Parameter] = []
    if classifier is not None and classifier_decay != 1:
        own = [p for p in classifier.parameters() if p.requires_grad and p.ndim > 1]
    apart = {id(parameter) for parameter in own}
    decayed: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for module in modules:
        for parameter in module.parameters():
            if parameter.requires_grad and id(parameter) not in apart:
                chosen = decayed if decay_all or parameter.ndim > 1 else others
                chosen.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
        {"params": own, "weight_decay": weight_decay * classifier_decay},
    ]
    return [group for group in groups if group["params"]]
