"""What ``classify`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from facetool.files.text import counted, printable

if TYPE_CHECKING:
    from facetool.pipeline.classify_infer import NamedPhoto

_BOX = 23
"""Letters of a box of four digits an edge, and some; rows of larger ones are longer."""


def train_text(result: dict[str, Any]) -> str:
    """What was trained, its accuracy and whom it takes for unknown."""
    accuracy, threshold = result["accuracy"], result["threshold"]
    named = "not measured: nobody has two images"
    if result["people"] == 1:
        named = "not measured: there is one person only"
    if accuracy["accuracy"] is not None:
        std = f" ± {accuracy['std']:.4f}" if accuracy["std"] is not None else ""
        named = (
            f"{accuracy['accuracy']:.4f}{std} ({counted(accuracy['images'], 'held-out image')}, "
            f"{counted(accuracy['folds'], 'fold')})"
        )
    rejection = {
        "none": "none: every face gets a name",
        "network": f"below cosine {threshold['cosine']:.3f} (published for the network)",
        "held-out identities": f"below cosine {threshold['cosine']:.3f} "
        f"({counted(threshold['people'], 'held-out person', 'held-out people')}, "
        f"{threshold['fpir']:.3g} of strangers named)",
    }[threshold["source"]]
    rows = [
        ("classifier", result["classifier"]),
        ("people", f"{result['people']:,} ({counted(result['images'], 'image')})"),
        ("accuracy", named),
        ("unknown", rejection),
        ("file", result["file"]),
    ]
    return "\n".join(f"{name:<12}{value}" for name, value in rows)


class InferTable:
    """Prints the faces of each photo as soon as it is done, so that an interrupt keeps them."""

    def __init__(self, names: Sequence[str]) -> None:
        self._width = max(len(printable(name)) for name in names)
        self._begun = False

    def add(self, photo: NamedPhoto) -> None:
        """A row for each face; before the first photo, the names of the columns."""
        if not self._begun:
            self._print("name", "confidence", "left top right bottom", "image")
            self._begun = True
        for face in photo.faces:
            box = " ".join(f"{edge:.0f}" for edge in face.box)
            place = f"{photo.image}, {face.times}" if face.times else photo.image
            self._print(printable(face.name), f"{face.confidence:.3f}", box, printable(place))

    def _print(self, name: str, confidence: str, box: str, image: str) -> None:
        click.echo(f"{name:<{self._width}}  {confidence:>10}  {box:<{_BOX}}  {image}")


def evaluate_text(result: dict[str, Any]) -> str:
    """The metrics, and below them whom it confuses most often."""
    at, strangers = result["at_threshold"], result["strangers"]
    rows = [
        ("classifier", f"{result['classifier']}, {result['how']}"),
        ("people", f"{result['people']:,} ({counted(result['images'], 'image')})"),
        ("accuracy", f"{result['accuracy']:.4f} (closed set: nobody is unknown)"),
        (
            "found",
            f"{at['dir']:.4f} at the classifier's threshold ({at['rejected']:,} taken for "
            f"strangers, {at['misnamed']:,} for somebody else)",
        ),
    ]
    if strangers:
        rows.append(
            (
                "strangers",
                f"{strangers['named']:,} of {strangers['images']:,} named "
                f"(FPIR {strangers['fpir']:.4f}, target {at['fpir_asked']:g})",
            )
        )
        rows += [
            (
                f"DIR at FPIR {one['fpir']:g}",
                f"{one['dir']:.4f}" + ("" if one["measurable"] else " (too few strangers)"),
            )
            for one in strangers["dir_at_fpir"]
        ]
    else:
        rows.append(("strangers", "none; give some with --unknown DIR-OR-LIST"))
    lines = [f"{name:<20}{value}" for name, value in rows]
    if result["confusions"]:
        lines += ["", "most frequent errors"]
        lines += [
            printable(f"{one['images']:>4} {one['person']} taken for {one['answer']}")
            for one in result["confusions"][:10]
        ]
    return "\n".join(lines)
