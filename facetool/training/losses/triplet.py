"""Triplet losses over all anchor-positive pairs of a batch, as OpenFace 0.2 chose its triplets."""

from __future__ import annotations

import torch
from torch import Tensor

from facetool.errors import UsageError
from facetool.networks.graph import unit_length
from facetool.training.losses.base import EmbeddingLoss, LossResult, full_precision
from facetool.training.losses.margin import UNIT_EPS, smooth_angle


class TripletLoss(EmbeddingLoss):
    """L = mean over triplets of max(0, |a - p|² - |a - n|² + alpha), embeddings at unit length.

    Schroff et al. 2015, arXiv:1503.03832, equation 1, with the triplets of OpenFace 0.2 (Amos et
    al. 2016): of the images of a batch every pair of one person is an anchor and a positive, the
    earlier image the anchor; its negative is drawn at random among the images of other people
    within the margin, |a - n|² - |a - p|² < alpha, those nearer than the positive included. Pairs
    without one are dropped: the mean is over terms above 0 only. 15 people with 20 images give
    2,850 pairs.

    Distances come from the inner products of the batch, so that the backward pass is two matrix
    products, however many triplets there are.

    Args:
        alpha: the margin.
        seed: of the choice of negatives; None takes one from PyTorch's random numbers.

    Raises:
        UsageError: ``alpha`` is not above 0.
    """

    sampler_kind = "identity"

    def __init__(self, alpha: float = 0.2, seed: int | None = None) -> None:
        super().__init__(seed)
        if not alpha > 0:
            raise UsageError(f"the triplet margin is {alpha:g}; it is above 0")
        self.alpha = alpha

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossResult:
        """Loss of the distinct images of a batch: embeddings (N, D), labels int64 (N,)."""
        with torch.autocast(embeddings.device.type, enabled=False):
            x = unit_length(full_precision(embeddings), UNIT_EPS)
            distances = self.distances(x @ x.T)
            anchor, positive, negative, found = self.choose(distances.detach(), labels)
            near, far = distances[anchor, positive], distances[anchor, negative]
            used = found.sum()
            loss = ((near - far + self.alpha).clamp_min(0) * found).sum() / used.clamp_min(1)
            correct = (found & (near < far)).sum()
        return LossResult(loss, correct, used)

    def distances(self, cosines: Tensor) -> Tensor:
        """Distances (N, N) from inner products of embeddings of unit length."""
        return 2 - 2 * cosines

    def choose(self, distances: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A negative for every pair of one person's images.

        Returns:
            Indices of anchors, positives and negatives, int64 (P,), and whether there was a
            negative within the margin, bool (P,); without one the index means nothing.
        """
        same = labels[:, None] == labels
        anchor, positive = same.triu(1).nonzero(as_tuple=True)
        limit = distances[anchor, positive] + self.alpha
        fit = (distances[anchor] < limit[:, None]) & ~same[anchor]
        # The k-th of the negatives that fit is where their running count reaches k.
        running = fit.cumsum(1, dtype=torch.int32)
        count = running[:, -1]
        drawn = (self.random(len(count), labels.device) * count).int() + 1
        nth = torch.minimum(drawn, count)[:, None]
        return anchor, positive, torch.searchsorted(running, nth)[:, 0], count > 0


class AngularTripletLoss(TripletLoss):
    """L = mean over triplets of max(0, arccos(a·p) - arccos(a·n) + alpha).

    ``--loss-type 2`` of InsightFace's ``train_triplet.py`` (2018); the triplets are chosen as in
    :class:`TripletLoss`, by angles (InsightFace's chose them by squared distance).

    Args:
        alpha: the margin, radians; InsightFace's default.
        seed: of the choice of negatives; None takes one from PyTorch's random numbers.
    """

    def __init__(self, alpha: float = 0.3, seed: int | None = None) -> None:
        super().__init__(alpha, seed)

    def distances(self, cosines: Tensor) -> Tensor:
        """Angles (N, N)."""
        return smooth_angle(cosines)
