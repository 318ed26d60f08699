"""What ``compare`` prints."""

from __future__ import annotations

from facetool.files.text import printable
from facetool.networks.pair_threshold import PairThreshold
from facetool.pipeline.compare import ComparisonResult, PhotoFace


def comparison_text(result: ComparisonResult) -> str:
    """A table, and below it where the verdict comes from."""
    rows = [("squared L2", "cosine", "verdict", "faces")]
    for one in result.comparisons:
        verdict = {True: "same", False: "different", None: "-"}[one.same]
        faces = printable(f"{_name(one.first)} | {_name(one.second)}")
        rows.append((f"{one.squared_l2:.4f}", f"{one.cosine:+.4f}", verdict, faces))
    lines = [f"{a:>10}  {b:>7}  {c:<9}  {d}" for a, b, c, d in rows]
    if result.threshold is None:
        lines.append("No threshold is known for these weights; --threshold X gives a verdict.")
    else:
        lines.append(threshold_text(result.threshold))
    return "\n".join(lines)


def _name(face: PhotoFace) -> str:
    return face.image if face.number == 1 else f"{face.image}#{face.number}"


def threshold_text(threshold: PairThreshold) -> str:
    """Where "same person" ends, and what that is known by."""
    far = "" if threshold.far is None else f", false accept rate {threshold.far:.4g}"
    return f"threshold: squared L2 below {threshold.squared_l2:g} ({threshold.data_set}{far})"
