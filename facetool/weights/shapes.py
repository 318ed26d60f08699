"""The one check that a network read from a file runs: its layers fit each other and a crop."""

from __future__ import annotations

import torch

from facetool.errors import WeightsError, one_line
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.graph import Graph

_MISFITS = (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What PyTorch's layers raise for an input that does not fit them."""


def measure_embedding_size(network: EmbeddingNetwork, shape: tuple[int, int, int]) -> int:
    """Run a network on a batch of no faces, which goes through every layer and costs nothing.

    The meta device would do as well, but makes PyTorch import seconds' worth of code.

    Args:
        network: in eval mode.
        shape: (C, H, W) of the input that it should take.

    Returns:
        How many numbers an embedding has.

    Raises:
        WeightsError: a layer does not fit what comes before it, or the output is not one vector
            per face.
    """
    try:
        if isinstance(network, Graph) and any(node.op == "reshape" for node in network.nodes):
            network.layer_shapes(shape)
        with torch.no_grad():
            found = network(torch.empty(0, *shape)).shape
    except _MISFITS as error:
        raise WeightsError(one_line(error, 300)) from error
    if len(found) != 2 or found[0] != 0:
        raise WeightsError(
            f"the output is a {len(found) - 1}-dimensional map, not one vector a face"
        )
    return int(found[1])
