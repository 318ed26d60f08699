"""The ROC of a verification, and the pairs that were judged wrongly, side by side."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath

from facetool.embedding.represented_crops import Crops
from facetool.evaluation.scored_pairs import ScoredPair
from facetool.files.embeddings import describe_embeddings
from facetool.images.read import RGBImage
from facetool.images.side_by_side import side_by_side
from facetool.pipeline.lfw_eval import ROC_PLOT, LfwResult
from facetool.reports.page import Card, write_page

_MOST = 500
"""Errors of each kind that a page shows."""

_EXAMPLES = 10


def lfw_eval_report(result: LfwResult, reps: Path, folder: Path, path: Path) -> None:
    """Write a page with the metrics, the ROC, the errors of each kind and examples.

    Args:
        result: of :func:`facetool.pipeline.lfw_eval.lfw_eval`.
        reps: the represent folder; its crops are shown where they still are.
        folder: where the plot of the ROC was written to.
        path: the HTML file.

    Raises:
        FormatError: the folder's description is damaged.
        OutputError: the page cannot be written.
    """
    crops = Crops(describe_embeddings(reps))
    pairs = result.scored
    false_accepts, false_rejects = pairs.errors(accepted=True), pairs.errors(accepted=False)
    sections = [
        ("False accepts", "bad", false_accepts),
        ("False rejects", "bad", false_rejects),
        ("True accepts", "good", pairs.examples(_EXAMPLES, accepted=True)),
        ("True rejects", "good", pairs.examples(_EXAMPLES, accepted=False)),
    ]

    def reader(pair: ScoredPair) -> Callable[[], RGBImage]:
        return partial(side_by_side, [crops.reader(pair.first), crops.reader(pair.second)])

    with write_page(path, f"lfw-eval: {result.tag}", f"{result.protocol} protocol") as page:
        page.table(_metrics(result))
        page.contents(["ROC", *(title for title, _, _ in sections)])
        page.section("ROC")
        page.image((folder / ROC_PLOT).read_bytes(), "true over false positive rate")
        for title, mood, shown in sections:
            page.section(title, _note(title, shown))
            page.cards(
                Card(
                    image=reader(pair),
                    title=" | ".join(
                        PurePosixPath(name).stem for name in (pair.first, pair.second)
                    ),
                    lines=[
                        f"cosine {pair.similarity:.4f}",
                        f"{result.distance} {pair.distance:.4f}, threshold {pair.threshold:.2f}",
                    ],
                    mood=mood,
                    edge=240,
                )
                for pair in shown[:_MOST]
            )


def _metrics(result: LfwResult) -> list[tuple[str, object]]:
    pairs, metrics = result.pairs, result.as_dict()
    return [
        (
            "pairs",
            f"{pairs.scored:,} scored ({pairs.genuine:,} genuine, {pairs.impostors:,} impostor), "
            f"{pairs.missing:,} missing",
        ),
        ("accuracy", f"{result.outcome.accuracy:.4f} ± {result.outcome.std:.4f}"),
        ("AUC", f"{metrics['auc']['value']:.4f}"),
        ("EER", f"{metrics['eer']:.4f}"),
    ]


def _note(title: str, pairs: list[ScoredPair]) -> str:
    if title.startswith("True"):
        return f"Examples, from clear to close ({len(pairs)})."
    what = {
        "False accepts": "two people, most similar",
        "False rejects": "one person, least similar",
    }
    shown = f", the {_MOST} worst of {len(pairs):,}" if len(pairs) > _MOST else f", {len(pairs):,}"
    return f"Pairs of {what[title]} first{shown}."
