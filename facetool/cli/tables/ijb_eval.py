"""What ``ijb-eval`` prints."""

from __future__ import annotations

from typing import Any

from facetool.cli.tables.columns import format_table
from facetool.files.text import counted


def ijb_eval_text(result: dict[str, Any]) -> str:
    """A table for 1:1 and one for 1:N, as far as the lists have them."""
    parts = [f"{counted(result['images'], 'image')}, {counted(result['templates'], 'template')}"]
    if result["verification"] is not None:
        rows = [
            [
                f"{one['target']:g}" + ("" if one["measurable"] else " (too few impostors)"),
                f"{100 * one['tar']:.2f}",
                f"{one['far']:.3g}",
            ]
            for one in result["verification"]
        ]
        pairs = result["pairs"]
        parts.append(
            f"1:1, {pairs['genuine']:,} genuine and "
            f"{counted(pairs['impostors'], 'impostor pair')}\n"
            + format_table(["FAR", "TAR %", "FAR reached"], rows)
        )
    found = result["identification"]
    if found is not None:
        rows = [[f"rank-{rank}", f"{100 * share:.2f}"] for rank, share in found["rank"].items()]
        rows += [
            [
                f"TPIR at FPIR {one['target']:g}"
                + ("" if one["measurable"] else " (too few probes)"),
                f"{100 * one['tpir']:.2f}",
            ]
            for one in found["tpir_at_fpir"]
        ]
        parts.append(
            f"1:N, {counted(found['probes'], 'probe')} in a gallery of {found['gallery']:,}\n"
            + format_table(["rate", "%"], rows)
        )
    return "\n\n".join(parts)
