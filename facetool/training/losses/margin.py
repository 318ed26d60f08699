"""The angular margins of SphereFace, CosFace and ArcFace: one function, one loss, three numbers."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from facetool.errors import UsageError
from facetool.networks.graph import unit_length
from facetool.training.losses.base import ClassificationLoss, full_precision

UNIT_EPS = 1e-10
"""Under the root of a norm, as in MXNet's L2Normalization."""

EDGE = 1e-7
"""Cosines are held this far from ±1, where the angle's slope is infinite.

Beyond, the gradient is 0: there an embedding and its class coincide (or oppose each other), and no
direction is the one to move in.
"""


def smooth_angle(cosine: Tensor) -> Tensor:
    """arccos with a finite gradient: 0 at ±1, and never more than 2,300."""
    return torch.acos(cosine.clamp(EDGE - 1, 1 - EDGE))


def combined_margin(cosine: Tensor, m1: float, m2: float, m3: float) -> Tensor:
    """COM(θ) = cos(m1·θ + m2) - m3, falling over all of θ = 0…π.

    From θ0 = (π - m2) / m1 on, where the cosine would rise again, it is cosθ - c - m3 with
    c = max(m2·sin m2, 1 + cosθ0). For m1 = 1 and m2 up to 2.3 that is c = m2·sin m2, the
    continuation in InsightFace's ``train_softmax.py`` of 2018 (its ArcFace; its combined margin
    had none). Otherwise c is at least so large that the function does not jump upwards.

    Args:
        cosine: cosθ, any shape, float32 or float64.
        m1: factor of the angle (SphereFace).
        m2: added to the angle, radians (ArcFace).
        m3: taken from the cosine (CosFace).
    """
    if m1 == 1 and m2 == 0:
        return cosine - m3
    theta = smooth_angle(cosine)
    turning = (math.pi - m2) / m1
    with_margin = torch.cos(m1 * theta + m2)
    if turning < math.pi:
        drop = max(m2 * math.sin(m2), 1 + math.cos(turning))
        with_margin = torch.where(theta <= turning, with_margin, cosine - drop)
    return with_margin - m3


class MarginLoss(ClassificationLoss):
    """Cross-entropy of scale·cosθ, the own class's cosθ replaced by COM(θ).

    θ_j is the angle between an embedding and the weights of class j, both of any length:

        L = -log( e^(s·COM(θ_y)) / (e^(s·COM(θ_y)) + Σ_{j≠y} e^(s·cosθ_j)) )

    Deng et al. 2019, arXiv:1801.07698, equation 4.

    Args:
        embedding_size: D.
        classes: C.
        m1: factor of the angle.
        m2: added to the angle, radians.
        m3: taken from the cosine.
        scale: s.
        fraction, seed: see :class:`~facetool.training.losses.base.ClassificationLoss`.

    Raises:
        UsageError: an argument is out of range.
    """

    def __init__(
        self,
        embedding_size: int,
        classes: int,
        m1: float,
        m2: float,
        m3: float,
        scale: float,
        fraction: float,
        seed: int | None,
    ) -> None:
        super().__init__(embedding_size, classes, fraction, seed)
        if not (m1 > 0 and 0 <= m2 < math.pi and m3 >= 0 and scale > 0):
            raise UsageError(
                f"margins ({m1:g}, {m2:g}, {m3:g}) and scale {scale:g}: the factor and the scale "
                "are above 0, the angle is 0 to below π radians, the cosine margin at least 0"
            )
        self.margins = (m1, m2, m3)
        self.scale = scale

    def scores(self, embeddings: Tensor, rows: Tensor | None) -> Tensor:
        """Cosines (N, K)."""
        weight = full_precision(self.weight if rows is None else self.weight[rows])
        return F.linear(unit_length(embeddings, UNIT_EPS), unit_length(weight, UNIT_EPS))

    def with_margin(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Scaled cosines with the margin on each image's own class."""
        own = labels.clamp(min=0)[:, None]
        cosine = scores.gather(1, own)
        margin = torch.where(labels[:, None] < 0, cosine, combined_margin(cosine, *self.margins))
        return self.scale * scores.scatter(1, own, margin)


class SphereFace(MarginLoss):
    """COM(θ) = cos(m·θ).

    Liu et al. 2017, arXiv:1704.08063, in the form of Deng et al. 2019 (arXiv:1801.07698, table 2:
    m = 1.35; ``--loss-type 3`` of InsightFace's ``train_softmax.py``): with a fixed scale instead
    of the embedding's length, and without the annealing that m = 4 needs. Past θ = π/m it goes on
    as cosθ - 1 - cos(π/m), where Liu et al. have -cos(m·θ) - 2.

    Args:
        embedding_size: D.
        classes: C.
        margin: m, 1.35 to 1.5.
        scale: s.
        fraction, seed: see :class:`~facetool.training.losses.base.ClassificationLoss`.
    """

    def __init__(
        self,
        embedding_size: int,
        classes: int,
        margin: float = 1.35,
        scale: float = 64.0,
        fraction: float = 1.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(embedding_size, classes, margin, 0.0, 0.0, scale, fraction, seed)


class CosFace(MarginLoss):
    """COM(θ) = cosθ - m.

    Wang et al. 2018, arXiv:1801.09414; ``--loss-type 2`` of InsightFace's
    ``train_softmax.py``.

    Args:
        embedding_size: D.
        classes: C.
        margin: m.
        scale: s.
        fraction, seed: see :class:`~facetool.training.losses.base.ClassificationLoss`.
    """

    def __init__(
        self,
        embedding_size: int,
        classes: int,
        margin: float = 0.35,
        scale: float = 64.0,
        fraction: float = 1.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(embedding_size, classes, 1.0, 0.0, margin, scale, fraction, seed)


class ArcFace(MarginLoss):
    """COM(θ) = cos(θ + m); past θ + m = π, cosθ - m·sin m.

    Deng et al. 2019, arXiv:1801.07698; ``--loss-type 4`` of InsightFace's ``train_softmax.py``,
    whose continuation this is.

    Args:
        embedding_size: D.
        classes: C.
        margin: m, radians.
        scale: s.
        fraction, seed: see :class:`~facetool.training.losses.base.ClassificationLoss`.
    """

    def __init__(
        self,
        embedding_size: int,
        classes: int,
        margin: float = 0.5,
        scale: float = 64.0,
        fraction: float = 1.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(embedding_size, classes, 1.0, margin, 0.0, scale, fraction, seed)


class CombinedMargin(MarginLoss):
    """COM(θ) = cos(m1·θ + m2) - m3.

    Deng et al. 2019, arXiv:1801.07698, equation 4; ``--loss-type 5`` of InsightFace's
    ``train_softmax.py`` (``--margin-a``, ``-m``, ``-b``). Published: (1, 0.3, 0.2) and
    (0.9, 0.4, 0.15); (1, 0, 0) is softmax of normalised embeddings and weights. Past π see
    :func:`combined_margin`.

    Args:
        embedding_size: D.
        classes: C.
        m1: factor of the angle.
        m2: added to the angle, radians.
        m3: taken from the cosine.
        scale: s.
        fraction, seed: see :class:`~facetool.training.losses.base.ClassificationLoss`.
    """

    def __init__(
        self,
        embedding_size: int,
        classes: int,
        m1: float = 1.0,
        m2: float = 0.3,
        m3: float = 0.2,
        scale: float = 64.0,
        fraction: float = 1.0,
        seed: int | None = None,
    ) -> None:
        super().__init__(embedding_size, classes, m1, m2, m3, scale, fraction, seed)
