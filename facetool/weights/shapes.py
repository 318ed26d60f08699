"""The one check that a network read from a file runs: its layers fit each other and a crop."""

from __future__ import annotations

import torch

from facetool.alignment.recipes import Crop
from facetool.errors import WeightsError
from facetool.networks.base import EmbeddingNetwork

_MISFITS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What PyTorch's layers raise for an input that does not fit them."""


def embedding_size(network: EmbeddingNetwork, crop: Crop) -> int:
    """Run a network on a batch of no faces, which goes through every layer and costs nothing.

    The meta device would do as well, but makes PyTorch import seconds' worth of code.

    Args:
        network: in eval mode.
        crop: that it should take.

    Returns:
        How many numbers an embedding has.

    Raises:
        WeightsError: a layer does not fit what comes before it, or the output is not one vector
            per face.
    """
    try:
        with torch.no_grad():
            shape = network(torch.empty(0, 3, crop.height, crop.width)).shape
    except _MISFITS as error:
        raise WeightsError(" ".join(str(error).split())[:300]) from error
    if len(shape) != 2 or shape[0] != 0:
        raise WeightsError(
            f"the output is a {len(shape) - 1}-dimensional map, not one vector a face"
        )
    return int(shape[1])
