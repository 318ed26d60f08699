"""What the losses have in common."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facetool.errors import UsageError
from facetool.training.losses import SamplerKind


class LossResult(NamedTuple):
    """What a loss returns: scalars on the device, so that nobody waits for them.

    Attributes:
        loss: at least float32.
        correct: int64, how many of ``used`` the embeddings have right before any margin: images
            whose own class scores highest, or triplets whose negative is the farther one.
        used: int64, terms the loss is the mean of: images, or triplets. At 0 the loss and its
            gradient are 0.
    """

    loss: Tensor
    correct: Tensor
    used: Tensor


def full_precision(x: Tensor) -> Tensor:
    """Float32, also inside autocast; float64 stays."""
    return x if x.dtype == torch.float64 else x.float()


class EmbeddingLoss(nn.Module):
    """A loss of embeddings and labels, with random numbers of its own.

    Numbers are drawn on the CPU, the same on every device, and the generator's state is part of
    ``state_dict()``: a resumed run draws what the interrupted one would have drawn.

    Args:
        seed: of the random numbers; None takes one from PyTorch's.
    """

    sampler_kind: ClassVar[SamplerKind]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self.generator = torch.Generator()
        if seed is None:
            seed = int(torch.randint(1 << 62, ()))
        self.generator.manual_seed(seed)

    def get_extra_state(self) -> Tensor:
        """State of the random numbers, for ``state_dict()``."""
        return self.generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Go on from a state that was saved."""
        self.generator.set_state(state.cpu())

    def random(self, count: int, device: torch.device) -> Tensor:
        """The next ``count`` float32 numbers of [0, 1)."""
        return torch.rand(count, generator=self.generator).to(device, non_blocking=True)


class ClassificationLoss(EmbeddingLoss):
    """Cross-entropy over class scores; what the scores are is up to the subclass.

    Class weights are drawn as InsightFace's ``fc7_weight``: N(0, 2 / classes).

    With ``fraction`` below 1 each step takes part of the classes only (Partial FC, An et al.
    2021, arXiv:2010.05222): those of the batch and others at random. That saves the scores'
    memory and time. Gradients stay dense: a class left out gets a gradient of 0, while momentum
    and weight decay of the optimiser still move it.

    Args:
        embedding_size: D.
        classes: C.
        fraction: of the classes to take part in each step, above 0 up to 1; never fewer classes
            than the batch has images.
        seed: of the choice of classes; None takes one from PyTorch's random numbers.

    Attributes:
        weight: (C, D).

    Raises:
        UsageError: ``fraction`` is out of range.
    """

    sampler_kind = "plain"

    def __init__(
        self, embedding_size: int, classes: int, fraction: float = 1.0, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        if not 0 < fraction <= 1:
            raise UsageError(f"the fraction of classes is {fraction:g}; it is above 0 up to 1")
        self.classes = classes
        self.fraction = fraction
        self.weight = nn.Parameter(torch.empty(classes, embedding_size))
        nn.init.normal_(self.weight, 0, math.sqrt(2 / classes))

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossResult:
        """Mean cross-entropy of embeddings (N, D) with labels int64 (N,)."""
        with torch.autocast(embeddings.device.type, enabled=False):
            rows = None
            if self.fraction < 1:
                rows = self.choose(labels)
                labels = torch.searchsorted(rows, labels)
            scores = self.scores(full_precision(embeddings), rows)
            correct = (scores.detach().argmax(1) == labels).sum()
            loss = F.cross_entropy(self.with_margin(scores, labels), labels)
        return LossResult(loss, correct, torch.full_like(correct, len(labels)))

    def choose(self, labels: Tensor) -> Tensor:
        """The classes of this step in rising order, all of ``labels`` among them, int64 (K,)."""
        count = max(math.ceil(self.fraction * self.classes), len(labels))
        # Random numbers are below 1, so the batch's own classes come first.
        rank = self.random(self.classes, labels.device).index_fill_(0, labels, 1.0)
        return rank.topk(min(count, self.classes)).indices.sort().values

    def scores(self, embeddings: Tensor, rows: Tensor | None) -> Tensor:
        """Scores (N, K) of the classes ``rows`` (K,), or of all."""
        raise NotImplementedError

    def with_margin(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The scores as trained, where each image's own class may have to win by a margin.

        A label below 0 is that of an image whose own class is not among the scores.
        """
        return scores
