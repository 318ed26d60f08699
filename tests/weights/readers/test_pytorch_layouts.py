"""State dicts of other code bases: their names and shapes, wrappers and heads."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from facetool.alignment import recipes
from facetool.errors import FormatError, WeightsError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.registry import create
from facetool.weights.load import read_network
from facetool.weights.readers.pytorch_layouts import recognise_layout

State = dict[str, Tensor]
BN = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def random_network(name: str, **options: object) -> EmbeddingNetwork:
    """With weights and statistics that make every layer matter."""
    torch.manual_seed(5)
    network = create(name, **options).eval()
    with torch.no_grad():
        for key, tensor in network.state_dict().items():
            if key.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif key.endswith("running_mean"):
                tensor.normal_(0, 0.2)
            elif tensor.dim() == 1:
                tensor.uniform_(0.3, 0.9)
    return network


def block(name: str, *, prelu: bool = True) -> Iterator[str]:
    """conv, bn and prelu, as InsightFace_Pytorch and face.evoLVe name them."""
    yield f"{name}.conv.weight"
    yield from (f"{name}.bn.{part}" for part in BN)
    if prelu:
        yield f"{name}.prelu.weight"


def numbered(name: str, *, prelu: bool = True) -> Iterator[str]:
    """The same as arcface_torch names them."""
    yield f"{name}.layers.0.weight"
    yield from (f"{name}.layers.1.{part}" for part in BN)
    if prelu:
        yield f"{name}.layers.2.weight"


def insightface_pytorch_mobilefacenet() -> Iterator[str]:
    def bottleneck(name: str) -> Iterator[str]:
        yield from block(f"{name}.conv")
        yield from block(f"{name}.conv_dw")
        yield from block(f"{name}.project", prelu=False)

    yield from block("conv1")
    yield from block("conv2_dw")
    for strided, residual, count in (("23", "3", 4), ("34", "4", 6), ("45", "5", 2)):
        yield from bottleneck(f"conv_{strided}")
        for index in range(count):
            yield from bottleneck(f"conv_{residual}.model.{index}")
    yield from block("conv_6_sep")
    yield from block("conv_6_dw", prelu=False)
    yield "linear.weight"
    yield from (f"bn.{part}" for part in BN)


def arcface_torch_mbf(blocks: tuple[int, ...]) -> Iterator[str]:
    def bottleneck(name: str) -> Iterator[str]:
        for part in range(3):
            yield from numbered(f"{name}.layers.{part}", prelu=part < 2)

    yield from numbered("layers.0")
    if blocks[0] == 1:
        yield from numbered("layers.1")
    else:
        for index in range(blocks[0]):
            yield from bottleneck(f"layers.1.layers.{index}")
    for stage, count in enumerate(blocks[1:]):
        yield from bottleneck(f"layers.{2 * stage + 2}")
        for index in range(count):
            yield from bottleneck(f"layers.{2 * stage + 3}.layers.{index}")
    yield from numbered("conv_sep")
    yield from numbered("features.layers.0", prelu=False)
    yield "features.layers.2.weight"
    yield from (f"features.layers.3.{part}" for part in BN)


def iresnet(units: tuple[int, ...]) -> Iterator[str]:
    """arcface_torch's and MagFace's, in the order of facetool's own network."""

    def bn(name: str) -> Iterator[str]:
        yield from (f"{name}.{part}" for part in BN)

    yield "conv1.weight"
    yield from bn("bn1")
    yield "prelu.weight"
    for stage, count in enumerate(units, start=1):
        for index in range(count):
            unit = f"layer{stage}.{index}"
            yield from bn(f"{unit}.bn1")
            yield f"{unit}.conv1.weight"
            yield from bn(f"{unit}.bn2")
            yield f"{unit}.prelu.weight"
            yield f"{unit}.conv2.weight"
            yield from bn(f"{unit}.bn3")
            if index == 0:
                yield f"{unit}.downsample.0.weight"
                yield from bn(f"{unit}.downsample.1")
    yield from bn("bn2")
    yield from ("fc.weight", "fc.bias")
    yield from bn("features")


def renamed(network: EmbeddingNetwork, names: Iterator[str]) -> State:
    """The network's tensors under other names, which come in the same order."""
    return dict(zip(names, network.state_dict().values(), strict=True))


def check(path: Path, original: EmbeddingNetwork, shape: tuple[int, int, int]) -> EmbeddingNetwork:
    network = read_network(path)
    assert network.info.architecture == original.info.architecture
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(3)) * 2 - 1
    with torch.inference_mode():
        expected = original(x)
        assert expected.std() > 0
        assert torch.equal(network(x), expected)
    return network


ARCFACE = (3, 112, 112)


def test_mobilefacenet_of_insightface_pytorch_and_evolve(tmp_path: Path) -> None:
    original = random_network("mobilefacenet-pytorch")
    state = renamed(original, insightface_pytorch_mobilefacenet())
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, tmp_path / "x.pth")
    network = check(tmp_path / "x.pth", original, ARCFACE)
    assert (network.recipe.mean, network.recipe.channels) == (127.5, "RGB")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "blocks"),
    [("mbf", (1, 4, 6, 2)), ("mbf-deep", (2, 8, 12, 4)), ("mbf-large", (2, 8, 12, 4))],
)
def test_mobilefacenet_of_arcface_torch(name: str, blocks: tuple[int, ...], tmp_path: Path) -> None:
    original = random_network(name)
    torch.save(renamed(original, arcface_torch_mbf(blocks)), tmp_path / "backbone.pth")
    check(tmp_path / "backbone.pth", original, ARCFACE)


@pytest.mark.slow
def test_magface_has_another_eps_and_input_than_arcface_torch(tmp_path: Path) -> None:
    own = {"dropout": 0.0, "eps": 2e-5, "scale_input": False}
    original = random_network("lresnet18e-ir", embedding_size=16, **own)
    state = renamed(original, iresnet((2, 2, 2, 2)))
    wrapped = {f"features.module.{name}": tensor for name, tensor in state.items()}
    torch.save(
        {"arch": "iresnet18", "state_dict": {**wrapped, "module.fc.weight": torch.ones(16, 5)}},
        tmp_path / "magface.pth",
    )
    network = check(tmp_path / "magface.pth", original, ARCFACE)
    assert (network.recipe.scale, network.recipe.channels) == (1 / 255, "BGR")


class Scheduler:
    """Stands for what a training run keeps beside its weights."""

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Scheduler, ()


@pytest.mark.slow
@pytest.mark.parametrize("zipped", [True, False])
def test_adaface_in_a_lightning_checkpoint(zipped: bool, tmp_path: Path) -> None:
    original = random_network("adaface-ir-18", embedding_size=16)
    state = dict(original.state_dict())
    for part, value in (("weight", 1.0), ("bias", 0.0)):
        original.state_dict()[f"output_layer.4.{part}"].fill_(value)
        del state[f"output_layer.4.{part}"]  # AdaFace's last normalisation has none
    checkpoint = {
        "epoch": 25,
        "callbacks": {Scheduler: {"best": np.float64(0.9), "current": Scheduler()}},
        "hyper_parameters": argparse.Namespace(arch="ir_18"),
        "state_dict": {f"model.{name}": tensor for name, tensor in state.items()}
        | {"head.kernel": torch.ones(16, 70)},
    }
    torch.save(checkpoint, tmp_path / "x.ckpt", _use_new_zipfile_serialization=zipped)
    network = check(tmp_path / "x.ckpt", original, ARCFACE)
    assert network.recipe.channels == "BGR"


@pytest.mark.parametrize("depth", [152, 200])
@pytest.mark.parametrize("se", [False, True])
def test_adafaces_bottlenecks(depth: int, se: bool) -> None:
    name = f"adaface-ir-se-{depth}" if se else f"adaface-ir-{depth}"
    with torch.device("meta"):
        state = create(name).state_dict()
    shapes = {key: tuple(tensor.shape) for key, tensor in state.items()}
    # As AdaFace's net.py makes them.
    assert shapes["body.0.res_layer.1.weight"] == (64, 64, 1, 1)
    assert shapes["body.0.res_layer.4.weight"] == (64, 64, 3, 3)
    assert shapes["body.0.res_layer.7.weight"] == (256, 64, 1, 1)
    assert shapes["body.0.shortcut_layer.0.weight"] == (256, 64, 1, 1)
    assert shapes["output_layer.3.weight"] == (512, 2048 * 49)
    assert ("body.0.res_layer.se_block.fc1.weight" in shapes) == se
    for part in ("weight", "bias"):
        del state[f"output_layer.4.{part}"]
    network, own = recognise_layout({f"model.{key}": tensor for key, tensor in state.items()})
    assert network.info.architecture == name
    assert network.recipe.channels == "BGR"
    assert set(own) == set(network.state_dict())


@pytest.mark.parametrize(("se", "name"), [(False, "ir-50"), (True, "ir-se-50")])
def test_ir_and_ir_se(se: bool, name: str) -> None:
    with torch.device("meta"):
        state = create(name).state_dict()
    assert ("body.0.res_layer.5.fc1.weight" in state) is se
    network, own = recognise_layout(dict(state))
    assert network.info.architecture == name
    assert {key: tensor.shape for key, tensor in own.items()} == {
        key: tensor.shape for key, tensor in network.state_dict().items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "module.", "backbone.", "encoder.", "model.backbone."])
def test_prefixes_and_a_classification_head(prefix: str, tmp_path: Path) -> None:
    original = random_network("lightcnn-9")
    state = {f"{prefix}{name}": tensor for name, tensor in original.state_dict().items()}
    state[f"{prefix}fc2.weight"] = torch.ones(7, 256)
    torch.save({"model": state, "epoch": 3}, tmp_path / "x.pth")
    network = check(tmp_path / "x.pth", original, (1, 128, 128))
    assert network.recipe.shape == (1, 128, 128)
    assert network.recipe.crop == recipes.LIGHT_CNN and network.recipe.channels == "gray"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lightcnn-29", "lightcnn-29v2"])
def test_light_cnn_29(name: str, tmp_path: Path) -> None:
    original = random_network(name)
    torch.save(original.state_dict(), tmp_path / "x.pth")
    check(tmp_path / "x.pth", original, (1, 128, 128))


@pytest.mark.slow
def test_facenet_pytorch(tmp_path: Path) -> None:
    original = random_network("inception-resnet-v1")
    state = {**original.state_dict(), "logits.weight": torch.ones(9, 512)}
    torch.save({**state, "logits.bias": torch.ones(9)}, tmp_path / "20180402-114759-vggface2.pt")
    network = check(tmp_path / "20180402-114759-vggface2.pt", original, (3, 160, 160))
    assert network.recipe.crop == recipes.FACENET_160 and network.recipe.scale == 1 / 128


@pytest.mark.slow
def test_vision_transformer_without_the_token_that_hides_patches(tmp_path: Path) -> None:
    original = random_network("vit-t")
    state = {**original.state_dict(), "mask_token": torch.zeros(1, 1, 256)}
    torch.save(state, tmp_path / "model.pt")
    check(tmp_path / "model.pt", original, ARCFACE)


def test_vgg_face_is_told_by_its_shapes() -> None:
    with torch.device("meta"):
        state = {**create("vgg-face").state_dict(), "fc8.weight": torch.ones(2622, 4096)}
    network, own = recognise_layout(state)
    assert network.info.architecture == "vgg-face" and "fc8.weight" not in own
    assert network.recipe.shape == (3, 224, 224)


@pytest.mark.slow
def test_plain_safetensors_are_told_by_their_names(tmp_path: Path) -> None:
    original = random_network("mobilefacenet-pytorch")
    state = renamed(original, insightface_pytorch_mobilefacenet())
    save_file({name: tensor.clone() for name, tensor in state.items()}, tmp_path / "x.safetensors")
    check(tmp_path / "x.safetensors", original, ARCFACE)
    save_file({"a": torch.ones(3)}, tmp_path / "y.safetensors")
    with pytest.raises(WeightsError, match=r"y\.safetensors: 1 tensors .* no known network"):
        read_network(tmp_path / "y.safetensors")


def test_two_networks_in_one_file_are_refused(tmp_path: Path) -> None:
    state = create("lightcnn-9").state_dict()
    both = {f"{one}.{key}": state[key].clone() for one in ("teacher", "ema") for key in state}
    torch.save(both, tmp_path / "x.pth")
    with pytest.raises(WeightsError, match=r"several networks, .*'teacher\.' and 'ema\.'"):
        read_network(tmp_path / "x.pth")


class Whole(torch.nn.Module):
    """A network that is saved as an object."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x)
        return y


def refusal(path: Path, error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        read_network(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert "weights_only" not in message
    return message


def test_what_holds_a_program_says_how_to_get_the_weights_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(Whole(), path)
    assert "whole module of class Whole" in (message := refusal(path, WeightsError))
    assert "torch.save(network.state_dict(), 'weights.pt')" in message
    torch.save(Whole(), path, _use_new_zipfile_serialization=False)
    assert "state_dict()" in refusal(path, FormatError)
    torch.jit.trace(Whole(), torch.ones(1, 2)).save(str(path))
    assert "TorchScript" in (message := refusal(path, FormatError))
    assert "torch.jit.load('x.pt').state_dict()" in message
