"""Layers in a lower precision, the last of them in float32."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetool.networks.fold import fold
from facetool.networks.mixed_precision import lower_precision


class TwoHeads(nn.Module):
    """A trunk whose result is enlarged and goes to two heads, and to one through another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(3, 8, 3, padding=1)
        self.between = nn.Conv2d(8, 8, 1)
        self.scores = nn.Conv2d(8, 1, 1)
        self.edges = nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        trunk = F.interpolate(F.relu(self.trunk(x)), scale_factor=(2, 2))
        return torch.sigmoid(self.scores(trunk)), self.edges(self.between(trunk)) * 0.5


def test_only_the_last_layers_stay_as_they_are() -> None:
    torch.manual_seed(1)
    network = TwoHeads()
    lowered = fold(network)
    lower_precision(lowered, torch.bfloat16)
    x = torch.randn(2, 3, 6, 6)
    scores, edges = lowered(x.bfloat16())
    assert scores.dtype == edges.dtype == torch.float32
    assert {name: layer.weight.dtype for name, layer in lowered.named_children()} == {
        "trunk": torch.bfloat16,
        "between": torch.bfloat16,
        "scores": torch.float32,
        "edges": torch.float32,
    }
    low = TwoHeads().bfloat16()
    low.load_state_dict(network.state_dict())
    trunk = F.interpolate(F.relu(low.trunk(x.bfloat16())), scale_factor=(2, 2))
    assert torch.equal(scores, torch.sigmoid(network.scores(trunk.float())))
    assert torch.equal(edges, network.edges(low.between(trunk).float()) * 0.5)
