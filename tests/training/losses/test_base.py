"""Softmax, and taking part of the classes in each step."""

import numpy as np
import pytest
import torch

from facetool.errors import UsageError
from facetool.training.losses import LOSSES, create_loss

CLASSIFIERS = [name for name, entry in LOSSES.items() if entry.sampler_kind == "plain"]


def make(name, classes=40, size=8, **options):
    torch.manual_seed(5)
    return create_loss(name, size, classes, **options)


def run(loss, x, labels):
    x = x.clone().requires_grad_()
    loss.zero_grad()
    result = loss(x, labels)
    result.loss.backward()
    return result, x.grad


@pytest.mark.parametrize("bias", [True, False])
def test_softmax_is_the_formula(bias):
    rng = np.random.default_rng(2)
    loss = make("softmax", classes=6, size=4, bias=bias).double()
    if bias:
        with torch.no_grad():
            loss.bias.copy_(torch.tensor(rng.normal(size=6)))
    x, labels = rng.normal(size=(5, 4)), np.array([0, 5, 2, 2, 1])
    w = loss.weight.detach().numpy()
    scores = x @ w.T + (loss.bias.detach().numpy() if bias else 0)
    p = np.exp(scores)
    p /= p.sum(1, keepdims=True)
    excess = (p - np.eye(6)[labels]) / len(labels)

    result, grad = run(loss, torch.tensor(x), torch.tensor(labels))

    assert result.loss.item() == pytest.approx(-np.log(p[range(5), labels]).mean(), rel=1e-12)
    assert result.correct.item() == (scores.argmax(1) == labels).sum()
    np.testing.assert_allclose(grad, excess @ w, atol=1e-12)
    np.testing.assert_allclose(loss.weight.grad, excess.T @ x, atol=1e-12)
    if bias:
        np.testing.assert_allclose(loss.bias.grad, excess.sum(0), atol=1e-12)


def test_softmax_gradients_are_those_of_finite_differences():
    loss = make("softmax", classes=5, size=3).double()
    labels = torch.tensor([4, 0, 1])

    def of(x, weight, bias):
        state = {"weight": weight, "bias": bias}
        return torch.func.functional_call(loss, state, (x, labels)).loss

    inputs = [torch.randn(s, dtype=torch.float64, requires_grad=True) for s in ((3, 3), (5, 3), 5)]
    assert torch.autograd.gradcheck(of, inputs)


def test_weights_are_drawn_as_insightface_does():
    weight = make("arcface", classes=800, size=64).weight
    assert weight.std().item() == pytest.approx((2 / 800) ** 0.5, rel=0.02)
    assert abs(weight.mean().item()) < 1e-3


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_all_classes_by_choice_are_all_classes(name):
    everything = make(name)
    chosen = make(name, fraction=1 - 1e-9)  # rounds up to every class, by way of the choice
    x, labels = torch.randn(6, 8), torch.tensor([3, 0, 39, 3, 17, 20])
    assert torch.equal(chosen.choose(labels), torch.arange(40))
    wanted, wanted_grad = run(everything, x, labels)
    found, found_grad = run(chosen, x, labels)
    assert found == wanted
    assert torch.equal(found_grad, wanted_grad)
    torch.testing.assert_close(chosen.weight.grad, everything.weight.grad)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_fraction_is_the_loss_over_the_chosen_classes(name):
    loss = make(name, fraction=0.3, seed=1)
    if name == "softmax":
        torch.nn.init.normal_(loss.bias)
    x, labels = torch.randn(6, 8), torch.tensor([3, 0, 39, 3, 17, 20])
    rows = make(name, fraction=0.3, seed=1).choose(labels)
    assert len(rows) == 12
    assert set(labels.tolist()) <= set(rows.tolist())

    result, grad = run(loss, x, labels)

    small = make(name, classes=12)
    with torch.no_grad():
        small.weight.copy_(loss.weight[rows])
        if name == "softmax":
            small.bias.copy_(loss.bias[rows])
    position = {row: place for place, row in enumerate(rows.tolist())}
    here = torch.tensor([position[label] for label in labels.tolist()])
    wanted, wanted_grad = run(small, x, here)
    torch.testing.assert_close(result.loss, wanted.loss)
    torch.testing.assert_close(grad, wanted_grad)
    torch.testing.assert_close(loss.weight.grad[rows], small.weight.grad)
    others = torch.ones(40, dtype=torch.bool).index_fill_(0, rows, False)
    assert not loss.weight.grad[others].any()


def test_a_batch_larger_than_the_fraction_still_has_its_classes():
    loss = make("arcface", fraction=0.01)
    rows = loss.choose(torch.arange(30))
    assert rows.tolist() == list(range(30))
    assert len(loss.choose(torch.arange(40).repeat(2))) == 40


def test_other_classes_are_drawn_evenly():
    loss = make("softmax", fraction=0.5, seed=0)
    labels = torch.tensor([0])
    times = torch.zeros(40)
    for _ in range(2000):
        times[loss.choose(labels)] += 1
    assert times[0] == 2000
    # 19 of 39 others: mean 974, standard deviation 22.4
    assert (times[1:] - 2000 * 19 / 39).abs().max() < 5 * 22.4


def test_choice_goes_on_where_a_checkpoint_was_written(tmp_path):
    loss = make("arcface", fraction=0.5)
    labels = torch.tensor([1, 2])
    loss.choose(labels)
    torch.save(loss.state_dict(), tmp_path / "state.pt")
    following = [loss.choose(labels) for _ in range(3)]
    resumed = create_loss("arcface", 8, 40, fraction=0.5)
    resumed.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    for rows in following:
        assert torch.equal(resumed.choose(labels), rows)


def test_pytorchs_seed_decides_where_none_is_given():
    labels = torch.tensor([1])
    assert torch.equal(
        make("arcface", fraction=0.2).choose(labels), make("arcface", fraction=0.2).choose(labels)
    )


def test_85742_classes_in_part():
    loss = make("arcface", classes=85_742, size=16, fraction=0.1)
    result, grad = run(loss, torch.randn(32, 16), torch.arange(0, 85_742, 2_700)[:32])
    assert result.loss.isfinite()
    assert grad.isfinite().all()
    assert (loss.weight.grad.abs().sum(1) > 0).sum() <= 8_575


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5])
def test_impossible_fractions_are_refused(fraction):
    with pytest.raises(UsageError, match="fraction of classes"):
        make("softmax", fraction=fraction)
