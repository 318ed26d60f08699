"""Whether a folder's crops are those a network wants."""

from __future__ import annotations

from pathlib import Path

from facetool.alignment.recipes import Crop
from facetool.errors import UsageError
from facetool.files.align_description import read_description
from facetool.networks.base import EmbeddingNetwork
from facetool.weights.catalogue import crop_of, names


def check_recipe(folder: Path, network: EmbeddingNetwork) -> None:
    """Refuse crops of which their folder says that another recipe made them.

    Raises:
        UsageError: another recipe made them; the message says how to make the right ones.
    """
    described = read_description(folder)
    if described is None:
        return
    made = Crop.from_dict(described.crop or {})
    wanted = network.recipe.crop
    if not made.same_picture(wanted):
        settings = _align_settings(network)
        raise UsageError(
            f"{folder} holds crops made as '{made}', but {network.info.architecture} wants "
            f"'{wanted}'; align the photos with {' '.join(settings)} "
            "(or insist with any_crop=True)",
            *settings,
            "any_crop=True",
        )


def _align_settings(network: EmbeddingNetwork) -> list[str]:
    """How to ask ``align`` for a network's crops."""
    wanted = network.recipe.crop
    for name in (network.info.weights_name, network.info.architecture):
        if name in names() and crop_of(name).same_picture(wanted):
            return [f"model={name!r}"]
    return [
        f"landmarks={wanted.landmarks!r}",
        f"size={wanted.height}",
        f"detector={wanted.detector!r}",
    ]
