"""The vision transformers of InsightFace's arcface_torch.

Source: ``backbones/vit.py`` there, whose names these modules have. Of what it does in training
only, stochastic depth and hidden patches, nothing is here.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.networks.mxnet_layers import batch_norm

_SIZE, _PATCH = 112, 9
_PATCHES = (_SIZE // _PATCH) ** 2  # the last 4 rows and columns of pixels are not looked at
_HEAD_EPS = 2e-5


class Attention(nn.Module):
    """Self-attention between all patches.

    Args:
        width: numbers per patch.
        heads: into which they are divided.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.size = width // heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, patches, width) to the same."""
        qkv = self.qkv(x).reshape(-1, _PATCHES, 3, self.heads, self.size).permute(2, 0, 3, 1, 4)
        weights = torch.matmul(qkv[0], qkv[1].transpose(2, 3)) * self.size**-0.5
        y = torch.matmul(torch.softmax(weights, dim=3), qkv[2])
        mixed: Tensor = self.proj(y.transpose(1, 2).reshape(-1, _PATCHES, self.heads * self.size))
        return mixed


class Mlp(nn.Module):
    """Two layers for each patch by itself, ReLU6 between them.

    Args:
        width: numbers per patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, patches, width) to the same."""
        y: Tensor = self.fc2(F.relu6(self.fc1(x)))
        return y


class EncoderBlock(nn.Module):
    """Attention and :class:`Mlp`, each behind a layer normalisation and around a shortcut.

    Args:
        width: numbers per patch.
        heads: of the attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = Mlp(width)

    def forward(self, x: Tensor) -> Tensor:
        """(N, patches, width) to the same."""
        x = x + self.attn(self.norm1(x))
        y: Tensor = x + self.mlp(self.norm2(x))
        return y


class PatchEmbedding(nn.Module):
    """Patches of 9x9 pixels as vectors.

    Args:
        width: numbers per patch.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, _PATCH, _PATCH)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 112, 112) to (N, patches, width)."""
        y: Tensor = self.proj(x).flatten(2).transpose(1, 2)
        return y


class VisionTransformer(EmbeddingNetwork):
    """Blocks on the patches of a 112x112 crop, then two fully connected layers.

    Args:
        width: numbers per patch.
        blocks: how many.
        heads: of each attention.
        embedding_size: D.
    """

    def __init__(
        self, width: int, blocks: list[int], heads: int = 8, embedding_size: int = 512
    ) -> None:
        super().__init__()
        self.info = NetworkInfo(embedding_size=embedding_size)
        self.pos_embed = nn.Parameter(torch.zeros(1, _PATCHES, width))
        self.patch_embed = PatchEmbedding(width)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(sum(blocks))))
        self.norm = nn.LayerNorm(width)
        self.feature = nn.Sequential(
            nn.Linear(width * _PATCHES, width, bias=False),
            batch_norm(width, _HEAD_EPS),
            nn.Linear(width, embedding_size, bias=False),
            batch_norm(embedding_size, _HEAD_EPS),
        )
        self._initialise()

    def _initialise(self) -> None:
        """As its authors do: everything of standard deviation 0.02, biases 0."""
        if self.pos_embed.is_meta:
            return
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings (N, D), not normalised, of inputs (N, 3, 112, 112)."""
        y: Tensor = self.feature(
            self.norm(self.blocks(self.patch_embed(x) + self.pos_embed)).flatten(1)
        )
        return y
