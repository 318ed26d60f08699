import pytest
import torch
from torch import nn

from facetool.errors import UsageError
from facetool.networks.registry import create
from facetool.training.config import TrainConfig
from facetool.training.losses.softmax import Softmax
from facetool.training.optimizers import create_optimizer, parameter_groups


def _network():
    return create("lresnet18e-ir", units=[1, 1, 1, 1], filters=[4, 4, 4, 4, 4], embedding_size=8)


def test_only_kernels_and_matrices_are_decayed():
    network = _network()
    decayed, others = parameter_groups([network], 5e-4, decay_all=False)
    kinds = {
        id(parameter): type(module)
        for module in network.modules()
        for parameter in module.parameters(recurse=False)
    }
    assert decayed["weight_decay"] == 5e-4 and others["weight_decay"] == 0
    assert {kinds[id(p)] for p in decayed["params"]} == {nn.Conv2d, nn.Linear}
    assert {kinds[id(p)].__name__ for p in others["params"]} >= {"BatchNorm", "PReLU"}


def test_decay_all_leaves_nothing_out_but_the_fixed_scale():
    network = _network()
    (group,) = parameter_groups([network], 5e-4, decay_all=True)
    assert len(group["params"]) == sum(p.requires_grad for p in network.parameters())
    assert all(p is not network.head.fc1.weight for p in group["params"])  # fix_gamma


def test_the_classifiers_decay_is_a_multiple():
    network, classifier = _network(), Softmax(8, 5)
    modules = [network, classifier]
    decayed, others, own = parameter_groups(
        modules, 4e-5, decay_all=False, classifier=classifier, classifier_decay=10.0
    )
    assert own["weight_decay"] == pytest.approx(4e-4)
    (weight,) = own["params"]
    assert weight is classifier.weight
    assert all(p is not weight for p in decayed["params"])
    assert any(p is classifier.bias for p in others["params"])
    everything = sum(p.requires_grad for module in modules for p in module.parameters())
    assert sum(len(group["params"]) for group in (decayed, others, own)) == everything
    same = parameter_groups(modules, 4e-5, False, classifier=classifier)
    assert len(same) == 2  # as in checkpoints of earlier versions


def test_triplets_have_no_classifier_to_decay():
    with pytest.raises(UsageError, match="no classifier"):
        TrainConfig(network="nn4", loss="triplet", steps=1, classifier_decay=10.0)


def test_sgd_is_the_formula_it_states():
    torch.manual_seed(0)
    layer = nn.Linear(3, 2, bias=False).double()
    start = layer.weight.detach().clone()
    optimizer = create_optimizer("sgd", [layer], 0.1, 0.9, 0.01, decay_all=False)
    x = torch.randn(4, 3, dtype=torch.float64)
    weight, velocity = start, torch.zeros_like(start)
    for _ in range(3):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()
        velocity = 0.9 * velocity + 2 * (weight @ x.T) @ x + 0.01 * weight
        weight = weight - 0.1 * velocity
    torch.testing.assert_close(layer.weight.detach(), weight, rtol=1e-12, atol=1e-12)


def test_adam_has_the_settings_of_torch7():
    (group,) = create_optimizer(
        "adam", [nn.Linear(2, 2, bias=False)], 1e-3, 0.9, 0, False
    ).param_groups
    assert (group["lr"], group["betas"], group["eps"]) == (1e-3, (0.9, 0.999), 1e-8)
    assert group["weight_decay"] == 0
