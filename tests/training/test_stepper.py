import copy
import math
from functools import partial

import pytest
import torch
from torch import nn

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.errors import FacetoolError, UsageError
from facetool.networks.base import EmbeddingNetwork, NetworkInfo
from facetool.training.config import TrainConfig
from facetool.training.distributed import Process
from facetool.training.losses import create_loss
from facetool.training.meter import Meter
from facetool.training.stepper import Stepper
from facetool.weights.load import load_network

CPU = Process(torch.device("cpu"))
LABELS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])


class Plain(EmbeddingNetwork):
    """Pixels to embeddings by one convolution, without batch normalisation."""

    def __init__(self):
        super().__init__()
        self.info = NetworkInfo(
            embedding_size=6, recipe=Recipe(ARCFACE_112, mean=127.5, scale=1 / 128)
        )
        self.conv = nn.Conv2d(3, 6, 5, bias=True)

    def forward(self, x):
        return self.conv(x).mean(dim=(2, 3))


def _stepper(loss="arcface", network=None, seed=0, compiled=False, **options):
    torch.manual_seed(seed)
    network = network or Plain()
    config = TrainConfig(
        network="", loss=loss, steps=10, start="x", **{"learning_rate": 0.1, **options}
    )
    made = create_loss(loss, network.info.embedding_size, 4)
    return Stepper(network, made, config, CPU, compiled)


def _pixels(seed=0, size=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (8, size, size, 3), dtype=torch.uint8, generator=generator)


def test_the_input_is_what_the_recipe_says():
    stepper = _stepper()
    seen = []
    stepper.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    pixels = _pixels()
    stepper.step([(pixels, LABELS)], 0.1)
    expected = (pixels.permute(0, 3, 1, 2).double() - 127.5) / 128
    torch.testing.assert_close(seen[0].double(), expected)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_two_passes_make_the_update_of_one_twice_as_large():
    pixels = _pixels()
    one, two = _stepper(), _stepper()
    whole = one.step([(pixels, LABELS)], 0.1)
    halves = two.step([(pixels[:4], LABELS[:4]), (pixels[4:], LABELS[4:])], 0.1)
    torch.testing.assert_close(whole.loss, halves.loss)
    torch.testing.assert_close(whole.norm, halves.norm)
    for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_clipping_bounds_the_gradient_and_reports_its_length_before():
    free, clipped = (
        _stepper(momentum=0.0, weight_decay=0.0),
        _stepper(momentum=0.0, weight_decay=0.0, clip_norm=1e-3),
    )
    before = [p.detach().clone() for p in clipped.network.parameters()]
    norm = free.step([(_pixels(), LABELS)], 0.1).norm
    result = clipped.step([(_pixels(), LABELS)], 0.1)
    torch.testing.assert_close(result.norm, norm)
    moved = sum(
        float((p.detach() - b).square().sum())
        for p, b in zip(clipped.network.parameters(), before, strict=True)
    )
    assert 0 < math.sqrt(moved) <= 0.1 * 1e-3


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_mixed_precision_learns_too(dtype):
    full, mixed = _stepper(), _stepper(dtype=dtype)
    losses = [float(mixed.step([(_pixels(), LABELS)], 0.01).loss) for _ in range(20)]
    assert losses[0] == pytest.approx(float(full.step([(_pixels(), LABELS)], 0.01).loss), rel=0.05)
    assert losses[-1] < losses[0] / 2
    assert all(p.dtype == torch.float32 for p in mixed.network.parameters())
    assert mixed.scaler.is_enabled() == (dtype == "float16")


def test_without_triplets_nothing_moves():
    stepper = _stepper("triplet", weight_decay=0.1)
    before = copy.deepcopy(stepper.network.state_dict())
    result = stepper.step([(_pixels(), torch.arange(8))], 0.1)
    assert result.used == 0 and float(result.loss) == 0
    after = stepper.network.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())


@pytest.mark.parametrize("loss", ["arcface", "softmax", "triplet"])
def test_a_step_moves_the_network(loss):
    stepper = _stepper(loss=loss)
    before = copy.deepcopy(stepper.network.state_dict())
    result = stepper.step([(_pixels(), LABELS)], 0.1)
    assert result.used > 0 and result.norm > 0
    assert any(not torch.equal(v, before[k]) for k, v in stepper.network.state_dict().items())


def test_batches_of_one_image_are_refused_where_a_mean_over_them_is_taken():
    class Normalised(Plain):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(6)
            self.norm.running_var[:3] = 2  # differs, as in a network that was trained

        def forward(self, x):
            return self.norm(super().forward(x))

    with pytest.raises(UsageError, match="more than one image in a pass"):
        _stepper(network=Normalised(), batch_size=1)
    _stepper(network=Normalised(), batch_size=2)
    _stepper(batch_size=1)


def test_a_state_put_back_gives_the_same_next_step():
    one = _stepper("triplet")
    one.step([(_pixels(0), LABELS)], 0.1)
    state = copy.deepcopy(one.state())
    expected = one.step([(_pixels(1), LABELS)], 0.1)
    two = _stepper("triplet", seed=5)
    two.load_state(state)
    found = two.step([(_pixels(1), LABELS)], 0.1)
    assert torch.equal(found.loss, expected.loss) and torch.equal(found.used, expected.used)
    for a, b in zip(one.network.parameters(), two.network.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_dlibs_scales_are_trained_but_see_no_batch_statistics():
    network = load_network("dlib-resnet")
    for tensor in [*network.parameters(), *network.buffers()]:
        tensor.data = tensor.data.clone()
    stepper = _stepper("triplet", network, learning_rate=1e-3)
    bn = stepper.network.stem.bn
    before = [bn.running_mean.clone(), bn.running_var.clone(), bn.weight.detach().clone()]
    images = torch.arange(8)[:, None, None, None] * 9 + _pixels(size=150) // 4
    result = stepper.step([(images.to(torch.uint8), LABELS)], 1e-3)
    assert result.used > 0 and math.isfinite(float(result.norm))
    assert torch.equal(bn.running_mean, before[0]) and torch.equal(bn.running_var, before[1])
    assert not torch.equal(bn.weight, before[2])


def test_a_loss_that_is_no_number_stops_with_step_and_rate():
    stepper, meter = _stepper(), Meter(CPU)
    for step in (1, 2, 3):
        if step == 3:
            with torch.no_grad():
                stepper.network.conv.weight.fill_(math.nan)
        result = stepper.step([(_pixels(), LABELS)], 0.25)
        meter.add(step, 0.25, result, 8, 0, 0.1)
    with pytest.raises(FacetoolError, match=r"loss is not a finite number at step 3, .*0\.25"):
        meter.read()


def test_the_meter_means_over_steps_and_counts_over_the_run():
    stepper, meter = _stepper(), Meter(CPU)
    losses = []
    for step in (1, 2):
        result = stepper.step([(_pixels(step), LABELS)], 0.1)
        losses.append(float(result.loss))
        meter.add(step, 0.1, result, 8, 1, 0.5)
        meter.read()
    figures = meter.report()
    assert figures["loss"] == pytest.approx(sum(losses) / 2)
    assert figures["images_per_second"] == 16 and figures["terms"] == 8
    assert meter.skipped == 2


def _compiled_stepper(monkeypatch, backend):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    return _stepper(compiled=True)


@pytest.mark.slow
def test_a_compiled_network_makes_the_same_step(monkeypatch):
    plain, compiled = _stepper(), _compiled_stepper(monkeypatch, "eager")
    for _ in range(2):
        expected = plain.step([(_pixels(), LABELS)], 0.1)
        torch.testing.assert_close(compiled.step([(_pixels(), LABELS)], 0.1), expected)
    assert compiled.state()["network"].keys() == plain.state()["network"].keys()
    torch.testing.assert_close(compiled.state()["network"], plain.state()["network"])


def test_a_network_that_cannot_be_compiled_is_one_line(monkeypatch):
    def backend(graph, inputs):
        raise ValueError("no compiler here")

    with pytest.raises(UsageError, match=r"compile=True.*no compiler here"):
        _compiled_stepper(monkeypatch, backend).step([(_pixels(), LABELS)], 0.1)
