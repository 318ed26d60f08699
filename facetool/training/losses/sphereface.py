"""SphereFace: multiplicative angular margin."""

from __future__ import annotations

from facetool.training.losses.margin import MarginLoss


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
