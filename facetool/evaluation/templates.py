"""IJB-B's and IJB-C's protocols: templates of several images, 1:1 and 1:N.

As InsightFace's ``recognition/_evaluation_/ijb`` computes them (``ijb_11.py``, ``ijb_1n.py``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FacetoolError
from facetool.evaluation.distances import Floats, normalize

IJB_FAR_TARGETS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
FPIR_TARGETS = (0.01, 0.1)
RANKS = (1, 5, 10)

_BLOCK = 1 << 24
"""Numbers that are held at once, of pairs or of similarities."""

_Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Templates:
    """Sets of images that stand for one appearance of a person each.

    Attributes:
        numbers: int64 (T,), rising.
        vectors: float64 (T, D), of unit length.
    """

    numbers: _Indices
    vectors: Floats

    def rows(self, numbers: _Indices) -> _Indices:
        """Where templates stand.

        Raises:
            FacetoolError: there is no such template.
        """
        rows = np.searchsorted(self.numbers, numbers).clip(max=len(self.numbers) - 1)
        missing = self.numbers[rows] != numbers
        if missing.any():
            raise FacetoolError(f"template {int(numbers[missing][0])} has no image")
        return np.asarray(rows, np.int64)


def pool(vectors: NDArray[np.float32], templates: _Indices, media: _Indices) -> Templates:
    """One vector per template: the mean over the frames of each medium, summed, at unit length.

    Args:
        vectors: (N, D) of the images, the longer, the more they count.
        templates: (N,) number of the template each belongs to.
        media: (N,) number of the photo, or of the video that it is a frame of.
    """
    pairs, medium, frames = np.unique(
        np.stack([templates, media]), axis=1, return_inverse=True, return_counts=True
    )
    means = np.zeros((pairs.shape[1], vectors.shape[1]))
    np.add.at(means, medium.ravel(), vectors)
    means /= frames[:, None]
    numbers, starts = np.unique(pairs[0], return_index=True)
    return Templates(numbers, normalize(np.add.reduceat(means, starts, axis=0)))


def pair_scores(templates: Templates, first: _Indices, second: _Indices) -> Floats:
    """Cosines of pairs of templates, (P,).

    Raises:
        FacetoolError: a template has no image.
    """
    one, other = templates.rows(first), templates.rows(second)
    block = max(1, _BLOCK // templates.vectors.shape[1])
    parts = [
        np.einsum(
            "pd,pd->p",
            templates.vectors[one[start : start + block]],
            templates.vectors[other[start : start + block]],
        )
        for start in range(0, len(one), block)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


@dataclass(frozen=True)
class TarNearFar:
    """The point of the ROC curve whose false accept rate is nearest to a target.

    Attributes:
        target: the false accept rate that is asked for.
        tar: true accept rate.
        far: false accept rate of that point, which may be above the target.
        measurable: whether there are impostor pairs enough for the target.
    """

    target: float
    tar: float
    far: float
    measurable: bool


def tar_near_far(scores: Floats, same: NDArray[np.bool_]) -> list[TarNearFar]:
    """True accept rates at ``IJB_FAR_TARGETS`` by InsightFace's rule: the nearest point counts.

    Of several at that rate it is the one with the highest true accept rate. Points between
    two others on a straight line are left out of the curve, as in scikit-learn.

    Raises:
        FacetoolError: the pairs are all of one kind.
    """
    from sklearn.metrics import roc_curve

    if same.all() or not same.any():
        raise FacetoolError("the pairs of templates are all of one kind: there is no ROC curve")
    far, tar, _ = roc_curve(same, scores)
    far, tar = far[::-1], tar[::-1]
    impostors = int((~same).sum())
    found = []
    for target in IJB_FAR_TARGETS:
        place = int(np.abs(far - target).argmin())
        measurable = target * impostors >= 1 - 1e-9
        found.append(TarNearFar(target, float(tar[place]), float(far[place]), measurable))
    return found


@dataclass(frozen=True)
class TemplateIdentification:
    """How probes do in a gallery that holds everybody once.

    Attributes:
        rank: share of probes whose mate is among the first, by rank.
        tpir: share of probes whose mate scores above the threshold, by target of FPIR.
        thresholds: cosines, likewise.
        probes: how many.
        gallery: how many.
    """

    rank: dict[int, float]
    tpir: dict[float, float]
    thresholds: dict[float, float]
    probes: int
    gallery: int

    def measurable(self, target: float) -> bool:
        """Whether there are probes enough for an FPIR."""
        return target * self.probes >= 1 - 1e-9


def identify_templates(
    probes: Floats, probe_people: _Indices, gallery: Floats, gallery_people: _Indices
) -> TemplateIdentification:
    """Search each probe among the gallery.

    The threshold of an FPIR is the K-th highest similarity of a probe to anybody else, K being
    that share of the number of probes, rounded up.

    Args:
        probes: (P, D) of unit length.
        probe_people: (P,).
        gallery: (G, D) of unit length.
        gallery_people: (G,), all different.

    Raises:
        FacetoolError: a person stands in the gallery twice, or a probe's does not, or nobody else
            stands in it.
    """
    if len(gallery) == 1:
        raise FacetoolError("the gallery has one template: there is nobody to be mistaken for")
    order = np.argsort(gallery_people, kind="stable")
    people = gallery_people[order]
    if (np.diff(people) == 0).any():
        twice = int(people[:-1][np.diff(people) == 0][0])
        raise FacetoolError(f"subject {twice} has several templates in the gallery")
    at = np.searchsorted(people, probe_people).clip(max=len(people) - 1)
    if (people[at] != probe_people).any():
        stranger = int(probe_people[people[at] != probe_people][0])
        raise FacetoolError(f"subject {stranger} of the probes is not in the gallery")
    mates = order[at]
    kept = math.ceil(len(probes) * max(FPIR_TARGETS))
    ranks = np.empty(len(probes), np.int64)
    own, others = np.empty(len(probes)), np.empty(0)
    block = max(1, _BLOCK // len(gallery))
    for start in range(0, len(probes), block):
        part = slice(start, start + block)
        similarity = probes[part] @ gallery.T
        rows = np.arange(len(similarity))
        own[part] = similarity[rows, mates[part]]
        similarity[rows, mates[part]] = -np.inf
        ranks[part] = (similarity > own[part][:, None]).sum(axis=1)
        highest = np.concatenate([others, similarity[np.isfinite(similarity)]])
        count = min(kept, len(highest))
        others = np.partition(highest, len(highest) - count)[len(highest) - count :]
    others = np.sort(others)[::-1]
    places = {far: min(math.ceil(len(probes) * far), len(others)) for far in FPIR_TARGETS}
    thresholds = {far: float(others[place - 1]) for far, place in places.items()}
    return TemplateIdentification(
        {rank: float((ranks < rank).mean()) for rank in RANKS},
        {far: float((own > threshold).mean()) for far, threshold in thresholds.items()},
        thresholds,
        len(probes),
        len(gallery),
    )
