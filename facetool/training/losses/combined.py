"""Combined margin: SphereFace's, ArcFace's and CosineFace's together."""

from __future__ import annotations

from facetool.training.losses.margin import MarginLoss


class CombinedMargin(MarginLoss):
    """COM(θ) = cos(m1·θ + m2) - m3.

    Deng et al. 2019, arXiv:1801.07698, equation 4; ``--loss-type 5`` of InsightFace's
    ``train_softmax.py`` (``--margin-a``, ``-m``, ``-b``). Published: (1, 0.3, 0.2) and
    (0.9, 0.4, 0.15); (1, 0, 0) is softmax of normalised embeddings and weights. Past π see
    :func:`~facetool.training.losses.margin.combined_margin`.

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
