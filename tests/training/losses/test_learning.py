"""Every loss teaches an embedding to tell people apart whom it has never seen."""

import numpy as np
import pytest
import torch
from torch import nn

from facetool.training.data import IdentitySampler, PlainSampler
from facetool.training.losses import LOSSES, create_loss

PEOPLE, IMAGES, SIGNAL, NOISE = 30, 20, 6, 20


def photos(people, seed):
    """What tells people apart lies in few directions, under louder noise in many others."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), IMAGES)
    signal = rng.normal(size=(people, SIGNAL))[labels] + 0.2 * rng.normal(
        size=(len(labels), SIGNAL)
    )
    noise = 3 * rng.normal(size=(len(labels), NOISE))
    x = (
        np.hstack([signal, noise])
        @ np.linalg.qr(np.random.default_rng(0).normal(size=(SIGNAL + NOISE,) * 2))[0]
    )
    return torch.tensor(x, dtype=torch.float32), torch.tensor(labels)


def ranking(network, x, labels):
    """Share of (same, different) pairs of pairs that the cosine puts in order: the AUC."""
    with torch.no_grad():
        unit = nn.functional.normalize(network(x))
    pairs = torch.ones(len(x), len(x)).triu(1).bool()
    same = (labels[:, None] == labels)[pairs]
    cosines = (unit @ unit.T)[pairs]
    ranks = cosines.argsort().argsort().double()
    positives, negatives = int(same.sum()), int((~same).sum())
    return float((ranks[same].sum() - positives * (positives - 1) / 2) / positives / negatives)


@pytest.mark.parametrize("name", LOSSES)
def test_strangers_are_told_apart(name):
    torch.manual_seed(0)
    x, labels = photos(PEOPLE, seed=1)
    strangers = photos(10, seed=2)
    network = nn.Linear(SIGNAL + NOISE, 8, bias=False)
    before = ranking(network, *strangers)
    # The published scale of 64 is for tens of thousands of classes; from a random start with 30
    # it often keeps ArcFace from converging.
    scaled = name in ("sphereface", "cosface", "arcface", "combined")
    loss = create_loss(name, 8, PEOPLE, **({"scale": 16.0} if scaled else {}))
    numbers = labels.numpy()
    if LOSSES[name].sampler_kind == "plain":
        batches = PlainSampler(numbers, 100, seed=0).stream()
    else:
        batches = IdentitySampler(numbers, 10, 10, seed=0).stream()
    optimiser = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=0.02)
    for _ in range(150):
        indices = torch.from_numpy(next(batches)[1])
        optimiser.zero_grad()
        loss(network(x[indices]), labels[indices]).loss.backward()
        optimiser.step()
    assert before < 0.65
    assert ranking(network, *strangers) > 0.95
