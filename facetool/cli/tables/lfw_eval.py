"""What ``lfw-eval`` prints."""

from __future__ import annotations

from typing import Any

from facetool.files.text import counted


def lfw_eval_text(result: dict[str, Any]) -> str:
    """The metrics as aligned text."""
    accuracy, pairs, auc = result["accuracy"], result["pairs"], result["auc"]
    tested = sum(value is not None for value in accuracy["folds"])
    settings = [result["protocol"], result.get("metric")]
    if result.get("subtract_mean"):
        settings.append("mean subtracted")
    rows = [
        ("embeddings", result["tag"]),
        ("protocol", ", ".join(filter(None, settings))),
        (
            "pairs",
            f"{pairs['scored']:,} scored ({pairs['genuine']:,} genuine, "
            f"{pairs['impostors']:,} impostor), {pairs['missing']:,} missing",
        ),
        ("missed faces", f"{counted(pairs['missed_faces'], 'image')} scored by a fallback crop"),
        (
            "accuracy",
            f"{accuracy['mean']:.4f} ± {accuracy['std']:.4f} (std over {counted(tested, 'fold')}; "
            f"standard error {accuracy['se']:.4f})",
        ),
        ("AUC", f"{auc['value']:.4f} ({auc['averaging']})"),
        ("EER", f"{result['eer']:.4f}"),
    ]
    for rate in result["tar_at_far"]:
        rows.append(
            (
                f"TAR at FAR {rate['target']:g}",
                f"{rate['tar']:.4f}"
                + (f" ± {rate['tar_std']:.4f}" if rate["tar_std"] is not None else "")
                + f" ({rate['impostors_accepted']:,} of {counted(rate['impostors'], 'impostor')} "
                "accepted" + ("" if rate["measurable"] else "; too few to measure this rate") + ")",
            )
        )
    lines = [f"{name:<17}{value}" for name, value in rows]
    lines += ["", f"{'fold':>4}  {'threshold':>9}  {'accuracy':>8}"]
    for fold, values in enumerate(zip(accuracy["thresholds"], accuracy["folds"], strict=True)):
        threshold, share = (
            "-" if value is None else f"{value:.{digits}f}"
            for value, digits in zip(values, (2, 4), strict=True)
        )
        lines.append(f"{fold:>4}  {threshold:>9}  {share:>8}")
    return "\n".join(lines)
