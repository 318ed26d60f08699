"""What every embedding network has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from facetool.alignment.recipes import Recipe
from facetool.errors import WeightsError
from facetool.networks.pair_threshold import PairThreshold

CUSTOM = "custom"
"""The architecture of networks that are none of the registry's."""


@dataclass(frozen=True, kw_only=True)
class NetworkInfo:
    """What is known of a network besides its layers and weights.

    Attributes:
        architecture: registry name such as ``nn4.small2``, or ``custom`` where none fits.
        variant: which definition of the architecture, where it has several.
        options: the arguments that, with the architecture, build the same network again.
        embedding_size: D.
        recipe: from photo to input tensor; None before anybody has said it.
        assumed: what of the recipe nobody stated and was therefore assumed: ``channels``,
            ``scaling``, ``crop``.
        unit_length: whether embeddings are scaled to unit length before they are compared.
        threshold: calibrated on pairs of these embeddings, where one is known.
        input_size: (height, width) that the file declares, where it declares one.
        weights_name: the weights' name in the catalogue, or else their file's name.
        weights_path: file that the weights were read from.
        weights_sha256: of that file.
    """

    architecture: str = CUSTOM
    variant: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    embedding_size: int = 0
    recipe: Recipe | None = None
    assumed: tuple[str, ...] = ()
    unit_length: bool = True
    threshold: PairThreshold | None = None
    input_size: tuple[int, int] | None = None
    weights_name: str = ""
    weights_path: Path | None = None
    weights_sha256: str = ""

    def as_dict(self) -> dict[str, Any]:
        """What weights files say of their network, as JSON values: all but which file it is."""
        return {
            "architecture": self.architecture,
            "variant": self.variant,
            "options": dict(self.options),
            "recipe": None if self.recipe is None else self.recipe.as_dict(),
            "embedding_size": self.embedding_size,
            "assumed": list(self.assumed),
            "unit_length": self.unit_length,
            "threshold": None if self.threshold is None else self.threshold.as_dict(),
        }


class EmbeddingNetwork(nn.Module):
    """A network from face crops to embeddings.

    ``forward`` takes float32 (N, C, H, W) made as :attr:`recipe` says and returns (N, D).

    Attributes:
        info: its description, replaced as a whole (``dataclasses.replace``).
    """

    info = NetworkInfo()

    @property
    def recipe(self) -> Recipe:
        """From photo to input tensor; travels with the weights.

        Raises:
            WeightsError: nobody has said how the input is made.
        """
        if self.info.recipe is None:
            raise WeightsError(
                f"{self.info.weights_path or self.info.architecture}: nothing says how the input "
                f"of this network is made{self._declared()}; state a recipe by its name, or crop, "
                "mean, scale and channels"
            )
        return self.info.recipe

    def _declared(self) -> str:
        size = self.info.input_size
        return f", which is {size[1]}x{size[0]} pixels" if size else ""
