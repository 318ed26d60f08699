"""A classifier whose classes are split over the processes of a run.

Partial FC (An et al. 2022, arXiv:2203.15565, as arcface_torch's second version): every process
holds a share of the class weights and their momentum, scores the embeddings of all processes
against its own classes, and the softmax is joined from sums. What travels are embeddings and
three numbers for each image, whatever the number of classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist

from facetool.errors import UsageError
from facetool.files.text import counted
from facetool.training.losses.base import ClassificationLoss, LossResult, full_precision

SHARDED_ABOVE = 100_000
"""Identities above which several processes split them, unless told otherwise."""

ELSEWHERE = -1
"""The label of an image whose class another process holds."""


class ShardedClassifier(nn.Module):
    """A classification loss over the classes of all processes, of which this one holds a share.

    The loss and its gradients are those of the whole classifier on the images of all processes;
    gradients of embeddings are multiplied by the number of processes, by which
    DistributedDataParallel divides those of the network. Every process must take part, with as
    many images as the others.

    Args:
        whole: drawn alike in every process; it keeps this one's rows only.
        rank: of this process.
        size: number of processes.

    Raises:
        UsageError: there are fewer classes than processes.
    """

    def __init__(self, whole: ClassificationLoss, rank: int, size: int) -> None:
        super().__init__()
        if whole.classes < size:
            processes = counted(size, "process", "processes")
            identities = counted(whole.classes, "identity", "identities")
            raise UsageError(f"{identities} cannot be split over {processes}")
        edges = [whole.classes * number // size for number in range(size + 1)]
        self.first, self.end = edges[rank], edges[rank + 1]
        self._rank, self._size = rank, size
        for parameter in whole.parameters():
            parameter.data = parameter.data[self.first : self.end].clone()
        whole.classes = self.end - self.first
        whole.generator.manual_seed(whole.generator.initial_seed() + rank)
        self.whole = whole

    def forward(self, embeddings: Tensor, labels: Tensor) -> LossResult:
        """Mean cross-entropy of all processes' embeddings, (N, D) here, with labels int64 (N,)."""
        with torch.autocast(embeddings.device.type, enabled=False):
            gathered = _gather_embeddings(full_precision(embeddings), self._rank, self._size)
            everyone = _gather(labels, self._size)
            here = (everyone >= self.first) & (everyone < self.end)
            own = torch.where(here, everyone - self.first, ELSEWHERE)
            rows = None
            if self.whole.fraction < 1:
                rows = self.whole.choose(own[here])
                own = torch.where(here, torch.searchsorted(rows, own), ELSEWHERE)
            scores = self.whole.scores(gathered, rows)
            losses = _cross_entropy(self.whole.with_margin(scores, own), own)
            place = scores.detach().argmax(1)
            best = self.first + (place if rows is None else rows[place])
            correct = _first_of_highest(scores.detach().amax(1), best) == everyone
        mine = slice(self._rank * len(labels), (self._rank + 1) * len(labels))
        count = correct[mine].sum()
        return LossResult(losses.mean(), count, torch.full_like(count, len(labels)))


def _gather_embeddings(embeddings: Tensor, rank: int, size: int) -> Tensor:
    gathered: Tensor = _Gather.apply(embeddings, rank, size)  # type: ignore[no-untyped-call]
    return gathered


def _cross_entropy(scores: Tensor, own: Tensor) -> Tensor:
    losses: Tensor = _CrossEntropy.apply(scores, own)  # type: ignore[no-untyped-call]
    return losses


def _gather(values: Tensor, size: int) -> Tensor:
    """The values of all processes, concatenated."""
    parts = [torch.empty_like(values) for _ in range(size)]
    dist.all_gather(parts, values.contiguous())
    return torch.cat(parts)


def _first_of_highest(scores: Tensor, classes: Tensor) -> Tensor:
    """Of all processes' best classes those that score highest, of equal ones the first, (N,)."""
    highest = scores.clone()
    dist.all_reduce(highest, dist.ReduceOp.MAX)
    first = classes.masked_fill(scores < highest, torch.iinfo(classes.dtype).max)
    dist.all_reduce(first, dist.ReduceOp.MIN)
    return first


class _Gather(torch.autograd.Function):
    """The embeddings of all processes; backwards, the sum of what all processes want of mine."""

    @staticmethod
    def forward(context: Any, embeddings: Tensor, rank: int, size: int) -> Tensor:
        """(N, D) of each process to (size * N, D)."""
        context.place = rank, size, len(embeddings)
        return _gather(embeddings, size)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        """(size * N, D) to this process's (N, D), times the number of processes."""
        rank, size, count = context.place
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return size * total[rank * count : (rank + 1) * count], None, None


class _CrossEntropy(torch.autograd.Function):
    """Cross-entropy of scores of which each process holds some columns."""

    @staticmethod
    def forward(context: Any, scores: Tensor, own: Tensor) -> Tensor:
        """Scores (N, K) of this process's classes and the column of each image's own, to (N,)."""
        peak = scores.amax(1)
        dist.all_reduce(peak, dist.ReduceOp.MAX)
        shares = (scores - peak[:, None]).exp_()
        total = shares.sum(1)
        dist.all_reduce(total)
        here = own != ELSEWHERE
        wanted = scores.gather(1, own.clamp(min=0)[:, None])[:, 0] - peak
        wanted = torch.where(here, wanted, torch.zeros_like(wanted))
        dist.all_reduce(wanted)
        context.save_for_backward(shares.div_(total[:, None]), own)
        return total.log() - wanted

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Softmax minus one where the own class is."""
        shares, own = context.saved_tensors
        here = (own != ELSEWHERE).to(shares.dtype)[:, None]
        slope = shares.scatter_add(1, own.clamp(min=0)[:, None], -here)
        return slope * gradients[0][:, None], None
