"""One step of training, as a check that a network learns."""

import torch
from torch import Tensor

from facetool.networks.base import EmbeddingNetwork


def losses_around_a_step(network: EmbeddingNetwork, batch: Tensor, rate: float) -> list[float]:
    """Cross entropy over one class per image, before and after a step of gradient descent."""
    generator = torch.Generator().manual_seed(1)
    classes = torch.randn(network.info.embedding_size, len(batch), generator=generator)
    network.train()
    optimiser = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=rate)
    losses = []
    for _ in range(2):
        torch.manual_seed(2)  # the same units drop out both times
        scores = network(batch) @ classes
        loss = torch.nn.functional.cross_entropy(scores, torch.arange(len(batch)))
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        optimiser.step()
    return losses
