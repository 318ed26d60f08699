"""What ``search`` prints."""

from __future__ import annotations

from facetool.files.text import counted, printable
from facetool.pipeline.search import Match, SearchResult


def search_text(result: SearchResult) -> str:
    """A table, and below it what the threshold means among so many faces."""
    rows = [("squared L2", "cosine", "verdict", "left top right bottom", "photo")]
    for match in result.matches:
        verdict = {True: "same", False: "different", None: "-"}[match.same]
        box = " ".join(f"{edge:.0f}" for edge in match.box) if match.box else "-"
        distance, cosine = f"{match.squared_l2:.4f}", f"{match.similarity:+.4f}"
        rows.append((distance, cosine, verdict, box, printable(_photo(match))))
    width = max(len(row[3]) for row in rows)
    lines = [f"{a:>10}  {b:>7}  {c:<9}  {d:<{width}}  {e}" for a, b, c, d, e in rows]
    if len(result.probes) > 1:
        lines.append(f"Distances are the mean of those to {counted(len(result.probes), 'photo')}.")
    if result.recall is not None:
        lines.append(
            f"By index: of the 20 nearest it finds {result.recall:.1%}, measured on faces of its "
            "own. Without --index all faces are compared."
        )
    return "\n".join([*lines, _threshold(result)])


def _photo(match: Match) -> str:
    place = str(match.photo) if match.photo else f"{match.reps}: {match.image}"
    return f"{place}, {match.times}" if match.times else place


def _threshold(result: SearchResult) -> str:
    among = counted(result.faces, "face")
    if result.threshold is None:
        return f"Nearest of {among}. No threshold is known for these weights."
    told = f"threshold: squared L2 below {result.threshold.squared_l2:g}"
    if result.fpir is None or result.false_matches is None:
        return (
            f"{told} ({result.threshold.data_set}); how often a stranger is below it is not known"
        )
    return (
        f"{told} ({result.threshold.data_set}, false accept rate {result.threshold.far:g} for one "
        f"pair). Among {among} expect about {result.false_matches:,.1f} of other people below it: "
        f"somebody who is not here is found with a chance of {result.fpir:.1%}."
    )
