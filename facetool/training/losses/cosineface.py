"""CosineFace: additive cosine margin."""

from __future__ import annotations

from facetool.training.losses.margin import MarginLoss


class CosineFace(MarginLoss):
    """COM(θ) = cosθ - m.

    Wang et al. 2018, CosFace, arXiv:1801.09414; ``--loss-type 2`` of InsightFace's
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
