"""SphereFace, CosFace, ArcFace and their combination against formulas written anew."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from facetool.errors import UsageError
from facetool.training.losses import create_loss
from facetool.training.losses.margin import CosFace, combined_margin

# name, options, (m1, m2, m3)
CASES = [
    ("sphereface", {}, (1.35, 0, 0)),
    ("sphereface", {"margin": 1.5}, (1.5, 0, 0)),
    ("cosface", {}, (1, 0, 0.35)),
    ("arcface", {}, (1, 0.5, 0)),
    ("combined", {"m2": 0.0, "m3": 0.0}, (1, 0, 0)),
    ("combined", {}, (1, 0.3, 0.2)),
    ("combined", {"m1": 0.9, "m2": 0.4, "m3": 0.15}, (0.9, 0.4, 0.15)),
]
CLASSES, SIZE = 7, 5


def com(theta: float, m1: float, m2: float, m3: float) -> tuple[float, float]:
    """COM(θ) and its derivative by θ."""
    if m1 * theta + m2 <= math.pi:
        return math.cos(m1 * theta + m2) - m3, -m1 * math.sin(m1 * theta + m2)
    least = 1 + math.cos((math.pi - m2) / m1)
    drop = max(m2 * math.sin(m2), least)
    return math.cos(theta) - drop - m3, -math.sin(theta)


def expected(x, w, labels, margins, s=64.0):
    """Mean loss, and its gradients by x and w, from the definitions."""
    loss, grad_x, grad_w = 0.0, np.zeros_like(x), np.zeros_like(w)
    for i, y in enumerate(labels):
        x_norm = math.sqrt(x[i] @ x[i])
        w_norm = np.sqrt((w**2).sum(1))
        cosine = w @ x[i] / (w_norm * x_norm)
        theta = math.acos(cosine[y])
        value, slope = com(theta, *margins)
        logits = s * cosine
        logits[y] = s * value
        p = np.exp(logits - logits.max())
        p /= p.sum()
        loss -= math.log(p[y])
        by_cosine = s * p
        by_cosine[y] = s * (p[y] - 1) * slope * -1 / math.sin(theta)
        for j in range(len(w)):
            to_w = w[j] / w_norm[j] - cosine[j] * x[i] / x_norm
            to_x = x[i] / x_norm - cosine[j] * w[j] / w_norm[j]
            grad_x[i] += by_cosine[j] * to_w / x_norm
            grad_w[j] += by_cosine[j] * to_x / w_norm[j]
    n = len(labels)
    return loss / n, grad_x / n, grad_w / n


def make(name, options, classes=CLASSES, size=SIZE) -> nn.Module:
    torch.manual_seed(3)
    return create_loss(name, size, classes, **options)


def batch(rng, weight, labels):
    """Embeddings, the last ones nearly opposite to their class, so that θ + m passes π."""
    x = rng.normal(size=(len(labels), weight.shape[1]))
    x[-2:] = -2 * weight[labels[-2:]] + 0.05 * rng.normal(size=(2, weight.shape[1]))
    return x


@pytest.mark.parametrize(("name", "options", "margins"), CASES)
def test_value_and_gradients_are_those_of_the_formula(name, options, margins):
    rng = np.random.default_rng(0)
    loss = make(name, options).double()
    labels = np.array([0, 3, 3, 6, 1, 2])
    x = batch(rng, loss.weight.detach().numpy(), labels)
    value, grad_x, grad_w = expected(x, loss.weight.detach().numpy(), labels, margins)

    embeddings = torch.tensor(x, requires_grad=True)
    result = loss(embeddings, torch.tensor(labels))
    result.loss.backward()

    assert result.loss.item() == pytest.approx(value, rel=1e-8)
    assert embeddings.grad is not None and isinstance(loss.weight.grad, torch.Tensor)
    np.testing.assert_allclose(embeddings.grad, grad_x, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(loss.weight.grad, grad_w, rtol=1e-6, atol=1e-8)
    assert result.used.item() == len(labels)


@pytest.mark.parametrize(("name", "options", "margins"), CASES)
def test_gradients_are_those_of_finite_differences(name, options, margins):
    rng = np.random.default_rng(1)
    loss = make(name, {**options, "scale": 4.0}).double()
    labels = torch.tensor([4, 0, 5, 2])
    x = torch.tensor(batch(rng, loss.weight.detach().numpy(), labels.numpy()), requires_grad=True)

    def of(embeddings, weight):
        return torch.func.functional_call(loss, {"weight": weight}, (embeddings, labels)).loss

    weight = loss.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(of, (x, weight))


def test_arcface_past_pi_is_that_of_2018():
    m = 0.5
    for theta in (2.5, math.pi - m - 1e-3, math.pi - m + 1e-3, 2.9, 3.1):
        cosine = math.cos(theta)
        if cosine > math.cos(math.pi - m):
            wanted = cosine * math.cos(m) - math.sin(theta) * math.sin(m)
        else:
            wanted = cosine - m * math.sin(math.pi - m)
        found = combined_margin(torch.tensor(cosine, dtype=torch.float64), 1.0, m, 0.0)
        assert found.item() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    "margins", [case[2] for case in CASES] + [(1, 0.3, 0.2), (4, 0, 0), (1, 2.9, 0), (2, 1, 0.1)]
)
def test_margin_never_rises_with_the_angle(margins):
    theta = torch.linspace(1e-3, math.pi - 1e-3, 5001, dtype=torch.float64)
    curve = combined_margin(theta.cos(), *margins)
    assert (curve.diff() < 1e-12).all()


@pytest.mark.parametrize(("name", "options", "margins"), CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_gradients_are_finite_where_embedding_and_class_coincide_or_oppose(
    name, options, margins, dtype
):
    loss = make(name, options)
    labels = torch.arange(CLASSES)
    for sign in (1, -1):
        x = (sign * loss.weight.detach()).to(dtype).requires_grad_()
        loss.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype != torch.float32):
            result = loss(x, labels)
        result.loss.backward()
        assert result.loss.isfinite()
        assert x.grad.isfinite().all()
        assert loss.weight.grad.isfinite().all()
        assert loss.weight.grad.abs().max() < 1e4


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast_loses_nothing_after_the_embedding(dtype):
    loss = make("arcface", {}, classes=50, size=32)
    labels = torch.arange(40)
    x = torch.randn(40, 32).to(dtype)
    with torch.autocast("cpu", dtype):
        halved = loss(x, labels).loss
    assert halved.dtype == torch.float32
    assert halved.item() == loss(x.float(), labels).loss.item()


def test_lengths_do_not_matter():
    loss = make("cosface", {})
    x, labels = torch.randn(4, SIZE), torch.tensor([0, 1, 2, 3])
    before = loss(x, labels).loss
    with torch.no_grad():
        loss.weight.mul_(3)
    assert loss(50 * x, labels).loss.item() == pytest.approx(before.item(), rel=1e-5)


def test_correct_is_counted_without_the_margin():
    loss = make("arcface", {"margin": 1.5})
    # An embedding nearest to its class, but by less than the margin.
    x = (loss.weight[:2] + 0.2 * loss.weight[2:4]).detach()
    assert loss(x, torch.tensor([0, 1])).correct.item() == 2
    assert loss(x, torch.tensor([0, 4])).correct.item() == 1


def test_wrong_margins_are_refused():
    with pytest.raises(UsageError, match="scale 0"):
        create_loss("arcface", SIZE, CLASSES, scale=0)
    with pytest.raises(UsageError, match=r"\(1, 3.2, 0\)"):
        create_loss("arcface", SIZE, CLASSES, margin=3.2)


def test_what_is_not_there_is_named_with_what_is():
    with pytest.raises(UsageError, match=r"no loss 'cosinface'; known are softmax, .*cosface"):
        create_loss("cosinface", SIZE, CLASSES)
    assert isinstance(create_loss("CosineFace", SIZE, CLASSES), CosFace)  # as it was called
    with pytest.raises(UsageError, match=r"arcface has no option 'm'; it has margin, scale"):
        create_loss("arcface", SIZE, CLASSES, m=0.5)
