"""``facetool ijb-eval``."""

from __future__ import annotations

from pathlib import Path

import click

from facetool.cli import options
from facetool.cli.output import print_json


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
    from facetool.cli.tables.ijb_eval import ijb_eval_text
    from facetool.pipeline.ijb_eval import ijb_eval

    result = ijb_eval(features, lists).as_dict()
    if as_json:
        print_json(result)
    else:
        click.echo(ijb_eval_text(result))
    return 0
