"""``facetool ijb-eval``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from facetool.cli import options
from facetool.cli.output import print_json
from facetool.files.text import counted


@click.command("ijb-eval")
@click.argument("features", type=options.IMAGES, metavar="REPS|FILE.npy")
@click.option(
    "--meta",
    "lists",
    type=options.EXISTING_FOLDER,
    required=True,
    help="Folder of the protocol's lists: *_face_tid_mid.txt, *_template_pair_label.txt, "
    "*_1N_gallery_*.csv, *_1N_probe_mixed.csv.",
)
@options.json_option
def command(features: Path, lists: Path, as_json: bool) -> int:
    """Verification and identification of templates, as on IJB-B and IJB-C.

    REPS is a represent folder of the images, best with --flip concat, which keeps the
    embeddings' lengths; FILE.npy holds embeddings in the order of the list of images.
    """
    from facetool.pipeline.ijb_eval import ijb_eval

    result = ijb_eval(features, lists).as_dict()
    if as_json:
        print_json(result)
    else:
        click.echo(_table(result))
    return 0


def _table(result: dict[str, Any]) -> str:
    from facetool.cli.tables.columns import format_table

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
            [f"TPIR at FPIR {one['target']:g}", f"{100 * one['tpir']:.2f}"]
            for one in found["tpir_at_fpir"]
        ]
        parts.append(
            f"1:N, {counted(found['probes'], 'probe')} in a gallery of {found['gallery']:,}\n"
            + format_table(["rate", "%"], rows)
        )
    return "\n\n".join(parts)
