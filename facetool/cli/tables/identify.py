"""What ``identify`` prints."""

from __future__ import annotations

from typing import Any

from facetool.cli.tables.columns import format_table
from facetool.files.text import counted


def identify_text(result: dict[str, Any]) -> str:
    """Rates by number of distractors, TAR at FAR, and what the noise lists removed."""
    shown = [k for k in (1, 2, 5, 10, 20, 50, 100) if k <= len(result["identification"][0]["cmc"])]
    rates = [
        [one["distractors"], *[f"{one['cmc'][k - 1]:.4f}" for k in shown]]
        for one in result["identification"]
    ]
    verification = result["verification"]
    accepted = [
        [
            f"{rate['target']:g}",
            f"{rate['tar']:.4f}",
            f"{rate['genuine_accepted']:,} of {rate['genuine']:,}",
            f"{rate['impostors_accepted']:,} of {rate['impostors']:,}"
            + ("" if rate["measurable"] else " (too few)"),
        ]
        for rate in verification["tar_at_far"]
    ]
    titles = ["FAR", "TAR", "genuine accepted", "impostors accepted"]
    noise = result["noise"]
    lists = [
        [one["path"], f"{one['listed']:,}", f"{one['found']:,}"] for one in noise.get("lists", [])
    ]
    removed = [
        format_table(["noise list", "images listed", "found here"], lists)
        + f"\n{counted(noise['images_replaced'], 'image')} replaced by their person's centre, "
        f"{counted(noise['distractors_removed'], 'distractor')} removed"
    ]
    return "\n\n".join(
        [
            f"{counted(result['probes']['images'], 'probe')}, "
            f"{counted(result['gallery']['images'], 'gallery image')}, "
            f"{counted(result['pairs'], 'pair')} of probe and mate",
            format_table(["distractors", *[f"rank-{k}" for k in shown]], rates),
            format_table(titles, accepted),
            *(removed if lists else []),
        ]
    )
