"""Triplets chosen as OpenFace 0.2 did, against loops over pairs."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from facetool.errors import UsageError
from facetool.training.losses import create_loss


def people(counts, size=6, spread=1.0, seed=0):
    """Embeddings of unit length around one direction per person, float64, and labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    x = rng.normal(size=(len(counts), size))[labels] + spread * rng.normal(size=(len(labels), size))
    return x / np.linalg.norm(x, axis=1, keepdims=True), labels


def euclidean(a, b):
    return float(((a - b) ** 2).sum())


def angular(a, b):
    return math.acos(a @ b)


KINDS = [("triplet", euclidean, 0.2), ("angular-triplet", angular, 0.3)]


def candidates(x, labels, distance, alpha):
    """Negatives within the margin of every pair of one person, anchors before positives."""
    found = {}
    for a in range(len(x)):
        for p in range(a + 1, len(x)):
            if labels[a] == labels[p]:
                near = distance(x[a], x[p])
                found[a, p] = {
                    n
                    for n in range(len(x))
                    if labels[n] != labels[a] and distance(x[a], x[n]) - near < alpha
                }
    return found


def chosen(loss, x, labels):
    """The triplets of a call, as the loss chooses them."""
    x = torch.as_tensor(x)
    anchor, positive, negative, found = loss.choose(
        loss.distances(x @ x.T), torch.as_tensor(labels)
    )
    return torch.stack([anchor, positive, negative], 1)[found].tolist()


@pytest.mark.parametrize(("name", "distance", "alpha"), KINDS)
def test_every_pair_gets_a_negative_within_the_margin_or_is_dropped(name, distance, alpha):
    x, labels = people([4, 1, 5, 3, 2], spread=0.5)
    wanted = candidates(x, labels, distance, alpha)
    assert any(wanted.values())
    assert not all(wanted.values())
    loss = create_loss(name, 6, 5, seed=0)
    seen = set()
    for _ in range(20):
        triplets = chosen(loss, x, labels)
        assert [(a, p) for a, p, _ in triplets] == [pair for pair in wanted if wanted[pair]]
        assert all(n in wanted[a, p] for a, p, n in triplets)
        seen.add(str(triplets))
    assert len(seen) > 1


@pytest.mark.parametrize(("name", "distance", "alpha"), KINDS)
def test_value_and_gradient_are_those_of_a_loop_over_triplets(name, distance, alpha):
    x, labels = people([3, 4, 1, 3], spread=0.8, seed=4)
    lengths = np.linspace(0.5, 3, len(x))[:, None]
    triplets = chosen(create_loss(name, 6, 4, seed=7), x, labels)
    value, by_unit = 0.0, np.zeros_like(x)
    for a, p, n in triplets:
        value += max(0.0, distance(x[a], x[p]) - distance(x[a], x[n]) + alpha)
        if name == "triplet":
            by_unit[a] += 2 * (x[n] - x[p])
            by_unit[p] += 2 * (x[p] - x[a])
            by_unit[n] += 2 * (x[a] - x[n])
        else:
            near = -1 / math.sqrt(1 - (x[a] @ x[p]) ** 2)
            far = -1 / math.sqrt(1 - (x[a] @ x[n]) ** 2)
            by_unit[a] += near * x[p] - far * x[n]
            by_unit[p] += near * x[a]
            by_unit[n] -= far * x[a]
    # The embeddings are scaled to unit length inside.
    along = (by_unit * x).sum(1, keepdims=True)
    gradient = (by_unit - along * x) / lengths / len(triplets)

    embeddings = torch.tensor(x * lengths, requires_grad=True)
    result = create_loss(name, 6, 4, seed=7)(embeddings, torch.tensor(labels))
    result.loss.backward()

    assert result.loss.item() == pytest.approx(value / len(triplets), rel=1e-7)
    assert embeddings.grad is not None
    np.testing.assert_allclose(embeddings.grad, gradient, rtol=1e-6, atol=1e-8)
    assert result.used.item() == len(triplets)
    right = [distance(x[a], x[p]) < distance(x[a], x[n]) for a, p, n in triplets]
    assert result.correct.item() == sum(right)


@pytest.mark.parametrize("name", ["triplet", "angular-triplet"])
def test_gradients_are_those_of_finite_differences(name):
    x, labels = people([2, 3, 2], size=4, seed=1)

    def of(embeddings):  # the same seed each time, so that the same triplets
        return create_loss(name, 4, 3, seed=2)(embeddings, torch.tensor(labels)).loss

    assert torch.autograd.gradcheck(of, torch.tensor(x, requires_grad=True))


def test_openfaces_batch_has_2850_pairs():
    x, labels = people([20] * 15, size=128, spread=3)
    result = create_loss("triplet", 128, 15, alpha=4)(torch.tensor(x), torch.tensor(labels))
    assert result.used.item() == 2850


def test_order_of_the_batch_does_not_matter():
    x, labels = people([4, 3, 5], spread=0.6)
    order = np.random.default_rng(0).permutation(len(x))
    wanted = candidates(x[order], labels[order], euclidean, 0.2)
    triplets = chosen(create_loss("triplet", 6, 3), x[order], labels[order])
    assert {(a, p) for a, p, _ in triplets} == {pair for pair in wanted if wanted[pair]}


@pytest.mark.slow
def test_negatives_are_drawn_evenly():
    x, labels = people([2, 9, 11], spread=5)
    loss = create_loss("triplet", 6, 3, alpha=9.0, seed=0)  # all 20 others are within
    times = Counter(chosen(loss, x, labels)[0][2] for _ in range(4000))
    assert set(times) == set(range(2, 22))
    # mean 200, standard deviation 13.8
    assert all(abs(count - 200) < 5 * 13.8 for count in times.values())


@pytest.mark.parametrize("name", ["triplet", "angular-triplet"])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1], [0, 1, 2, 3], [0, 0, 0, 0]])
def test_without_triplets_nothing_moves(name, labels):
    # Two directions far apart: no negative is within the margin.
    x = torch.tensor([[1.0, 0.01], [1, 0], [-1, 0.01], [-1, 0]], requires_grad=True)
    result = create_loss(name, 2, 4)(x, torch.tensor(labels))
    result.loss.backward()
    assert result.loss.item() == result.used.item() == result.correct.item() == 0
    assert not x.grad.any()


@pytest.mark.parametrize("name", ["triplet", "angular-triplet"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_equal_and_opposite_images_give_finite_gradients(name, dtype):
    x = torch.tensor([[1.0, 0], [1, 0], [1, 0], [-1, 0]], dtype=dtype, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
        result = create_loss(name, 2, 2)(x, torch.tensor([0, 0, 1, 1]))
    result.loss.backward()
    assert result.loss.dtype == torch.float32
    assert result.used.item() > 0
    assert result.loss.isfinite()
    assert x.grad.isfinite().all()


def test_draws_go_on_where_a_checkpoint_was_written():
    x, labels = people([4, 4, 4], spread=2)
    loss = create_loss("triplet", 6, 3)
    chosen(loss, x, labels)
    resumed = create_loss("triplet", 6, 3, seed=99)
    resumed.load_state_dict(loss.state_dict())
    assert [chosen(loss, x, labels) for _ in range(3)] == [
        chosen(resumed, x, labels) for _ in range(3)
    ]


def test_a_margin_of_nothing_is_refused():
    with pytest.raises(UsageError, match="triplet margin is 0"):
        create_loss("triplet", 6, 3, alpha=0)
