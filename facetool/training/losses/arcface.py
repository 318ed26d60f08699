"""ArcFace: additive angular margin."""

from __future__ import annotations

from facetool.training.losses.margin import MarginLoss


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
