"""VGG Face: VGG-16 up to its second fully connected layer (Parkhi et al. 2015).

The modules have the names of the usual PyTorch conversion of the authors' Torch7 file; the layer
behind the feature, with the 2,622 people of the training, is left out.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from facetool.networks.base import EmbeddingNetwork, NetworkInfo

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # filters and layers
_EMBEDDING_SIZE = 4096


class VggFace(EmbeddingNetwork):
    """VGG-16 on a 224x224 crop.

    Args:
        relu: whether the feature is what ``fc7`` gives after its ReLU.
        dropout: probability, after each fully connected layer's ReLU.
    """

    def __init__(self, relu: bool = True, dropout: float = 0.5) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=_EMBEDDING_SIZE)
        self.relu = relu
        channels = 3
        for stage, (filters, count) in enumerate(_STAGES, start=1):
            for layer in range(1, count + 1):
                conv = nn.Conv2d(channels, filters, 3, padding=1)
                self.add_module(f"conv_{stage}_{layer}", conv)
                channels = filters
        self.fc6 = nn.Linear(channels * 7 * 7, _EMBEDDING_SIZE)
        self.fc7 = nn.Linear(_EMBEDDING_SIZE, _EMBEDDING_SIZE)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, 4096), not normalised, of inputs (N, 3, 224, 224)."""
        for stage, (_, count) in enumerate(_STAGES, start=1):
            for layer in range(1, count + 1):
                x = F.relu(self.get_submodule(f"conv_{stage}_{layer}")(x))
            x = F.max_pool2d(x, 2)
        x = self.dropout(F.relu(self.fc6(x.flatten(1))))
        x = self.fc7(x)
        return F.relu(x) if self.relu else x
