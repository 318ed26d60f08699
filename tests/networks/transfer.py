"""Moving weights from a network as read from a file into the module built by name."""

import torch
from torch import nn

from facetool.networks.graph import GraphNetwork

_KINDS = (nn.Conv2d, nn.modules.batchnorm._BatchNorm, nn.PReLU, nn.Linear)


def weighted_layers(network: nn.Module) -> list[nn.Module]:
    """Layers that hold tensors, in the order of their definition."""
    return [module for module in network.modules() if isinstance(module, _KINDS)]


def copy_weights(source: GraphNetwork, target: nn.Module) -> None:
    """Give ``target`` the tensors of ``source``, layer by layer in running order.

    Nothing but tensors moves: eps, strides and padding stay those of ``target``.

    Raises:
        AssertionError: the two do not have the same sequence of kinds and shapes.
    """
    theirs, ours = weighted_layers(source), weighted_layers(target)
    assert len(theirs) == len(ours)
    for number, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        assert _layout(a) == _layout(b), f"layer {number}"
        b.load_state_dict(a.state_dict())


def _layout(layer: nn.Module) -> tuple[int, dict[str, torch.Size]]:
    kind = next(number for number, kind in enumerate(_KINDS) if isinstance(layer, kind))
    return kind, {name: tensor.shape for name, tensor in layer.state_dict().items()}
