import pytest
import torch
from torch.nn import functional as F

from facetool.files.dlib_files import FACE_RECOGNITION_RESNET, dlib_model_path
from facetool.networks.dlib_resnet import add_zero_extended, dlib_resnet
from facetool.networks.registry import create
from facetool.weights.readers.dlib_dat import load


@pytest.fixture(scope="module")
def chips() -> torch.Tensor:
    """Smooth random pictures (6, 3, 150, 150), 0…255: nearer to photos than white noise."""
    coarse = torch.rand(6, 3, 9, 9, generator=torch.Generator().manual_seed(0))
    return 255 * F.interpolate(coarse, (150, 150), mode="bicubic").clamp(0, 1)


def test_parameters() -> None:
    network = dlib_resnet()
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 29
    assert sum(p.numel() for p in network.parameters()) == 5_611_040
    smaller = create("dlib-resnet", embedding_size=64)
    assert sum(p.numel() for p in smaller.parameters()) == 5_611_040 - 64 * 256


@pytest.mark.parametrize("size", [(150, 150), (149, 151), (200, 180)])
def test_shapes(size: tuple[int, int]) -> None:
    network = dlib_resnet(32).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, *size)).shape == (2, 32)


@pytest.mark.parametrize("size", [(1, 1), (3, 4), (4, 3), (4, 4)])
def test_sum_extends_both_with_zeros(size: tuple[int, int]) -> None:
    x, shortcut = torch.randn(2, 6, *size), torch.randn(2, 3, 4, 4)
    expected = torch.zeros(2, 6, 4, 4)
    expected[:, :, : size[0], : size[1]] += x
    expected[:, :3] += shortcut
    torch.testing.assert_close(add_zero_extended(x.clone(), shortcut), expected, rtol=0, atol=0)


def test_one_by_one_gives_what_the_batch_gives(chips: torch.Tensor) -> None:
    network = load(dlib_model_path(FACE_RECOGNITION_RESNET))
    with torch.inference_mode():
        together = network(chips)
        singly = torch.cat([network(chip[None]) for chip in chips])
    assert (together - singly).norm(dim=1).max() < 1e-5
    assert (together[0] - together[1]).norm() > 0.01


def test_channels_last_and_bytes_give_the_same(chips: torch.Tensor) -> None:
    network = load(dlib_model_path(FACE_RECOGNITION_RESNET))
    chips = chips.round()
    with torch.inference_mode():
        expected = network(chips)
        assert torch.equal(network(chips.byte()), expected)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        assert (network(chips) - expected).norm(dim=1).max() < 1e-5


def test_bfloat16(chips: torch.Tensor) -> None:
    network = load(dlib_model_path(FACE_RECOGNITION_RESNET))
    with torch.inference_mode():
        expected = network(chips)
        half = network.bfloat16()(chips)
    assert half.dtype == torch.bfloat16
    assert F.cosine_similarity(half.float(), expected).min() >= 0.9995


@pytest.mark.slow
def test_learns(chips: torch.Tensor) -> None:
    torch.manual_seed(0)
    network = dlib_resnet(16)
    target = torch.randn(len(chips), 16)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.02)
    losses = []
    for _ in range(8):
        loss = F.mse_loss(network(chips), target)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None for parameter in network.parameters())
    assert losses[-1] < 0.7 * losses[0]


def test_gradient_is_the_slope() -> None:
    torch.manual_seed(0)
    block = dlib_resnet(8).double().blocks[3].eval()
    x = torch.randn(1, 32, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(block, (x,), fast_mode=True)
