"""``--pairs-plot``: examples and the worst errors of each kind, as a plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath

from facetool.errors import ImageError
from facetool.evaluation.scored_pairs import ScoredPair, ScoredPairs
from facetool.images.side_by_side import Reader, side_by_side
from facetool.plots.pairs import COLUMNS, PairGroup, PlottedPair, pairs_figure
from facetool.plots.style import save_plot

_ERRORS = 2 * COLUMNS
"""Of each kind: two rows."""


def plot_pairs(
    pairs: ScoredPairs, reader: Callable[[str], Reader], distance: str, plot: Path
) -> None:
    """Draw the worst false accepts and false rejects, and examples of what was judged rightly.

    The worst false accepts are the impostor pairs with the highest similarity, the worst false
    rejects the genuine pairs with the lowest. Examples go from clear to close.

    Args:
        pairs: as they were judged.
        reader: gives of an image's name what reads it; an ImageError leaves its place empty.
        distance: what pairs are judged by, in words.
        plot: ``.png`` or ``.pdf``.

    Raises:
        UsageError: the plot's name is another.
        OutputError: the plot cannot be written.
    """

    def group(title: str, wrong: bool, chosen: list[ScoredPair]) -> PairGroup:
        return PairGroup(title, wrong, [_plotted(pair, reader, distance) for pair in chosen])

    accepts, rejects = pairs.errors(accepted=True), pairs.errors(accepted=False)
    groups = [
        group("True accepts, from clear to close", False, pairs.examples(COLUMNS, accepted=True)),
        group("True rejects, from clear to close", False, pairs.examples(COLUMNS, accepted=False)),
        group(_errors_title("False accepts", len(accepts)), True, accepts[:_ERRORS]),
        group(_errors_title("False rejects", len(rejects)), True, rejects[:_ERRORS]),
    ]
    save_plot(pairs_figure(groups), plot)


def _errors_title(kind: str, count: int) -> str:
    shown = f", the {_ERRORS} worst" if count > _ERRORS else ""
    return f"{kind}: {count:,}{shown}"


def _plotted(pair: ScoredPair, reader: Callable[[str], Reader], distance: str) -> PlottedPair:
    names = (pair.first, pair.second)
    try:
        image = side_by_side([reader(name) for name in names])
    except ImageError:
        image = None
    stems = [PurePosixPath(name).stem for name in names]
    judged = f"{pair.distance:.3f} {'<' if pair.accepted else '≥'} {pair.threshold:.2f}"
    lines = [*stems, f"cosine {pair.similarity:.3f}, {distance} {judged}"]
    return PlottedPair(image, "\n".join(lines))
