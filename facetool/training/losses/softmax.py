"""Softmax: cross-entropy over a fully connected layer."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facetool.training.losses.base import ClassificationLoss, full_precision


class Softmax(ClassificationLoss):
    """L = -log( e^(w_y·x + b_y) / Σ_j e^(w_j·x + b_j) ), embeddings and weights as they are.

    Taigman et al. 2014, DeepFace; ``--loss-type 0`` of InsightFace's ``train_softmax.py``, which
    gives the bias twice the learning rate and no weight decay. For normalised embeddings and
    weights see :class:`~facetool.training.losses.margin.CombinedMargin` with (1, 0, 0).

    Args:
        embedding_size: D.
        classes: C.
        bias: whether scores have one, 0 at first (``--fc7-no-bias`` had none).
        fraction, seed: see :class:`~facetool.training.losses.base.ClassificationLoss`.
    """

    def __init__(
        self,
        embedding_size: int,
        classes: int,
        bias: bool = True,
        fraction: float = 1.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(embedding_size, classes, fraction, seed)
        self.bias = nn.Parameter(torch.zeros(classes)) if bias else None

    def scores(self, embeddings: Tensor, rows: Tensor | None) -> Tensor:
        """w·x + b, (N, K)."""
        weight, bias = full_precision(self.weight), None
        if self.bias is not None:
            bias = full_precision(self.bias)
        if rows is not None:
            weight, bias = weight[rows], None if bias is None else bias[rows]
        return F.linear(embeddings, weight, bias)
