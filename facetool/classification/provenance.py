"""Which embeddings a classifier was trained on, and whether others go with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from facetool.errors import UsageError
from facetool.files.represent_description import RepresentDescription


@dataclass(frozen=True)
class Provenance:
    """Which embeddings a classifier understands.

    Attributes:
        network: architecture; empty where it is not known.
        weights: name of the weights.
        sha256: of the weights file.
        recipe: crop and input scaling, plain JSON values.
        flip: ``none``, ``sum`` or ``concat``.
        unit_length: whether embeddings are scaled to unit length before they are compared.
    """

    network: str = ""
    weights: str = ""
    sha256: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    flip: str = "none"
    unit_length: bool = True

    @classmethod
    def of(cls, description: RepresentDescription, *, unit_length: bool) -> Provenance:
        """What a represent folder says of its embeddings; OpenFace's own folders say nothing."""
        return cls(
            network=description.network or "",
            weights=description.weights_name or "",
            sha256=description.weights_sha256 or "",
            recipe=dict(description.recipe or {}),
            flip=description.flip or "none",
            unit_length=unit_length,
        )


def check_provenance(wanted: Provenance, given: Provenance, what: str) -> None:
    """Refuse embeddings of another network than the classifier was trained on.

    Raises:
        UsageError: network, weights, input or flip differ, or network or weights are not known
            of one; where they are of neither, how the embeddings are compared.
    """
    if wanted.network != given.network or wanted.sha256 != given.sha256:
        raise UsageError(
            f"{what} comes from {_name(given)}, but the classifier was trained on embeddings "
            f"of {_name(wanted)}; use that, or train a classifier for this one"
        )
    if wanted.recipe and given.recipe and _scaling(wanted) != _scaling(given):
        raise UsageError(
            f"{what} was made with the input {_scaling(given)}, but the classifier was trained on "
            f"embeddings made with {_scaling(wanted)}; state the same recipe"
        )
    if wanted.flip != given.flip:
        raise UsageError(
            f"{what} was made with flip={given.flip!r}, but the classifier was trained on "
            f"embeddings made with flip={wanted.flip!r}",
            f"flip={given.flip!r}",
            f"flip={wanted.flip!r}",
        )
    if not wanted.network and wanted.unit_length != given.unit_length:
        raise UsageError(
            f"the embeddings of {what} are compared {_length(given)}, but the classifier was "
            f"trained on some that are compared {_length(wanted)}; state one unit_length in both "
            "folders' represent.json"
        )


def _scaling(provenance: Provenance) -> dict[str, Any]:
    """How the network's input was made of a crop's pixels."""
    return {name: value for name, value in provenance.recipe.items() if name != "crop"}


def _length(provenance: Provenance) -> str:
    return "at unit length" if provenance.unit_length else "as they are"


def _name(provenance: Provenance) -> str:
    if not provenance.network:
        return "a network that its represent folder does not name"
    return f"{provenance.weights or provenance.network} (sha256 {provenance.sha256[:8]}…)"
