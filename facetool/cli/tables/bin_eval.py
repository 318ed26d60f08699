"""The result of ``bin-eval`` as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from facetool.cli.tables.columns import format_table
from facetool.files.text import counted


def bin_eval_table(result: dict[str, Any]) -> str:
    """One line per set, then TAR at FAR and the folds of each."""
    rows = [["set", "pairs", "accuracy", "without flip", "XNorm", "published"]]
    for one in result["sets"]:
        published = ", ".join(f"{p['accuracy']:.4f} ({p['source']})" for p in one["published"])
        rows.append(
            [
                one["set"],
                f"{one['pairs']['scored']:,}",
                *[_accuracy(one[kind]) for kind in ("flip", "no_flip")],
                f"{one['xnorm']:.3f}",
                published or "-",
            ]
        )
    weights = result["weights"]["name"]
    title = f"{result['network']} ({weights}), {result['device']}, {result['dtype']}"
    return "\n\n".join(
        [title, format_table(rows[0], rows[1:]), *[_details(one) for one in result["sets"]]]
    )


def epochs_table(results: Sequence[dict[str, Any]]) -> str:
    """For each set a line per epoch of one network, and the best accuracy."""
    first = results[0]
    parts = [f"{first['network']}, {first['device']}, {first['dtype']}"]
    for number, one in enumerate(first["sets"]):
        found = [result["sets"][number] for result in results]
        rows = [
            [
                result["weights"]["name"],
                *[_accuracy(metrics[kind]) for kind in ("flip", "no_flip")],
                f"{metrics['xnorm']:.3f}",
            ]
            for result, metrics in zip(results, found, strict=True)
        ]
        best = max(range(len(found)), key=lambda row: found[row]["flip"]["accuracy"]["mean"])
        parts.append(
            f"{one['set']}, {counted(one['pairs']['scored'], 'pair')}\n"
            + format_table(["weights", "accuracy", "without flip", "XNorm"], rows)
            + f"\nbest: {rows[best][0]}, {rows[best][1]}"
        )
    return "\n\n".join(parts)


def _accuracy(metrics: dict[str, Any]) -> str:
    accuracy = metrics["accuracy"]
    return f"{accuracy['mean']:.4f} ± {accuracy['std']:.4f}"


def _details(one: dict[str, Any]) -> str:
    rates = [["TAR at FAR", "TAR", "FAR", "genuine accepted", "impostors accepted"]]
    for rate in one["flip"]["tar_at_far"]:
        rates.append(
            [
                f"{rate['target']:g}" + ("" if rate["measurable"] else " (too few impostors)"),
                f"{rate['tar']:.4f}"
                + ("" if rate["tar_std"] is None else f" ± {rate['tar_std']:.4f}"),
                f"{rate['far']:.5f}",
                f"{rate['genuine_accepted']:,} of {rate['genuine']:,}",
                f"{rate['impostors_accepted']:,} of {rate['impostors']:,}",
            ]
        )
    accuracies = [one[kind]["accuracy"] for kind in ("flip", "no_flip")]
    folds = [["fold", "threshold", "accuracy", "without flip"]]
    for number, threshold in enumerate(accuracies[0]["thresholds"]):
        values = [accuracy["folds"][number] for accuracy in accuracies]
        folds.append([str(number), *[_cell(value) for value in (threshold, *values)]])
    parts = [format_table(rates[0], rates[1:])] if rates[1:] else []
    parts.append(format_table(folds[0], folds[1:]))
    note = f": {one['note']}" if one["note"] else ""
    return f"{one['set']}{note}\n" + "\n\n".join(parts)


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
