import io
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from facetool.alignment import recipes
from facetool.errors import FacetoolError, FormatError, WeightsError
from facetool.networks.registry import create
from facetool.weights.readers import torch7_network
from facetool.weights.readers.pytorch import load
from facetool.weights.readers.pytorch_layouts import recognise_layout

State = dict[str, Tensor]


def normalise(state: State, name: str, x: Tensor, eps: float = 1e-5) -> Tensor:
    """Batch normalisation in its own words, independent of the networks under test."""
    shape = (1, -1) + (1,) * (x.dim() - 2)
    mean, var, weight, bias = (
        state[f"{name}.{part}"].view(shape)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / (var + eps).sqrt() * weight + bias


def prelu(state: State, name: str, x: Tensor) -> Tensor:
    slope = state[f"{name}.weight"].view(1, -1, 1, 1)
    return x.clamp_min(0) + slope * x.clamp_max(0)


# OpenFace's nn4.small2.v1.pt: the names of openfacenet.py.

BRANCHES = {
    "3a": ([0, 1, 3, 4], [0, 1, 3, 4], [1, 2], [0, 1]),
    "3b": ([0, 1, 3, 4], [0, 1, 3, 4], [1, 2], [0, 1]),
    "3c": ([0, 1, 3, 4], [0, 1, 3, 4]),
    "4a": ([0, 1, 3, 4], [0, 1, 3, 4], [1, 2], [0, 1]),
    "4e": ([0, 1, 3, 4], [0, 1, 3, 4]),
    "5a": ([0, 1, 3, 4], [1, 2], [0, 1]),
    "5b": ([0, 1, 3, 4], [1, 2], [0, 1]),
}
OPENFACE_LAYERS = [
    *("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"),
    *(
        f"incept{block}.branches.{branch}.{layer}"
        for block, branches in BRANCHES.items()
        for branch, layers in enumerate(branches)
        for layer in layers
    ),
    "ln",
]


@pytest.fixture(scope="module")
def openface_state(shared) -> State:
    graph = torch7_network.load(shared / "golden" / "torch7" / "nn4.small2.old2016.t7")
    layers = list(graph.layers.values())
    assert len(layers) == len(OPENFACE_LAYERS)
    return {
        f"{name}.{part}": tensor
        for name, layer in zip(OPENFACE_LAYERS, layers, strict=True)
        for part, tensor in layer.state_dict().items()
    }


def test_openface_pt_has_the_january_pooling(openface_state, shared, tmp_path):
    path = tmp_path / "nn4.small2.v1.pt"
    torch.save(openface_state, path)
    network = load(path)
    assert network.info.architecture == "nn4.small2" and not network.training
    assert network.info.options["pooling"] == "january2016"
    assert network.recipe.crop == recipes.OPENFACE_OUTER
    assert (network.recipe.mean, network.recipe.scale) == (0, 1 / 255)

    folder = shared / "golden" / "torch7"
    batch = np.fromfile(folder / "input96.bin", "<f4").reshape(4, 3, 96, 96)
    expected = np.fromfile(folder / "nn4.small2.jan2016def.output.bin", "<f4").reshape(4, 128)
    with torch.inference_mode():
        outputs = network(torch.from_numpy(batch))
    assert np.abs(outputs.numpy() - expected).max() < 2e-6


# The MobileFaceNet checkpoint.


def mobilefacenet(state: State, x: Tensor) -> Tensor:
    def block(x: Tensor, conv: str, bn: str, act: str | None, **options) -> Tensor:
        x = normalise(state, bn, F.conv2d(x, state[f"{conv}.weight"], **options))
        return prelu(state, act, x) if act else x

    def named(x: Tensor, name: str, active: bool = True, **options) -> Tensor:
        return block(
            x, f"{name}.conv", f"{name}.bn", f"{name}.prelu" if active else None, **options
        )

    x = named(x, "conv1", stride=2, padding=1)
    x = named(x, "dw_conv1", padding=1, groups=64)
    for i in range(15):
        stride = 2 if i in (0, 5, 12) else 1
        p = f"blocks.{i}.conv"
        wide = state[f"{p}.3.weight"].shape[0]
        y = block(x, f"{p}.0", f"{p}.1", f"{p}.2")
        y = block(y, f"{p}.3", f"{p}.4", f"{p}.5", stride=stride, padding=1, groups=wide)
        y = block(y, f"{p}.6", f"{p}.7", None)
        x = x + y if stride == 1 else y
    x = named(x, "conv2")
    x = named(x, "linear7", active=False, groups=512)
    return named(x, "linear1", active=False).flatten(1)


@pytest.fixture(scope="module")
def checkpoint(shared) -> Path:
    return shared / "weights" / "mobilefacenet-112x96.ckpt"


def test_mobilefacenet_checkpoint(checkpoint, shared):
    network = load(checkpoint)
    assert network.info.architecture == "mobilefacenet-112x96" and not network.training
    assert network.recipe.crop == recipes.ARCFACE_112X96
    faces = np.load(shared / "golden" / "mxnet" / "input_faces_4x3x112x112.npy")[..., 8:-8]
    batch = (torch.from_numpy(faces) - torch.tensor(network.recipe.mean)) * torch.tensor(
        network.recipe.scale
    )
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["net_state_dict"]
    with torch.inference_mode():
        outputs = network(batch)
        assert outputs.std() > 0.1
        assert (outputs - mobilefacenet(state, batch)).abs().max() < 1e-5


# arcface_torch.

UNITS = {
    "lresnet18e-ir": (2, 2, 2, 2),
    "lresnet50e-ir": (3, 4, 14, 3),
    "lresnet100e-ir": (3, 13, 30, 3),
    "lresnet200e-ir": (6, 26, 60, 6),
}


def iresnet_shapes(units: tuple[int, ...], features: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of arcface_torch's iresnet."""
    shapes: dict[str, tuple[int, ...]] = {}

    def bn(name: str, channels: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (channels,)
        shapes[f"{name}.num_batches_tracked"] = ()

    def weight(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"] = shape

    weight("conv1", 64, 3, 3, 3)
    bn("bn1", 64)
    weight("prelu", 64)
    channels = 64
    for stage, (count, width) in enumerate(zip(units, (64, 128, 256, 512), strict=True), 1):
        for unit in range(count):
            name = f"layer{stage}.{unit}"
            bn(f"{name}.bn1", channels)
            weight(f"{name}.conv1", width, channels, 3, 3)
            bn(f"{name}.bn2", width)
            weight(f"{name}.prelu", width)
            weight(f"{name}.conv2", width, width, 3, 3)
            bn(f"{name}.bn3", width)
            if unit == 0:
                weight(f"{name}.downsample.0", width, channels, 1, 1)
                bn(f"{name}.downsample.1", width)
            channels = width
    bn("bn2", 512)
    weight("fc", features, 512 * 49)
    shapes["fc.bias"] = (features,)
    bn("features", features)
    return shapes


def iresnet_state(units: tuple[int, ...], features: int) -> State:
    """Random weights for it."""
    generator = torch.Generator().manual_seed(11)
    state: State = {}
    for name, shape in iresnet_shapes(units, features).items():
        if not shape:
            state[name] = torch.tensor(7)
        elif len(shape) > 1:
            fan_in = torch.Size(shape[1:]).numel()
            state[name] = torch.randn(shape, generator=generator) * fan_in**-0.5
        elif name.endswith(("bias", "mean")):
            state[name] = torch.randn(shape, generator=generator) * 0.2
        elif "prelu" in name:
            state[name] = torch.rand(shape, generator=generator) - 0.2
        else:
            state[name] = torch.rand(shape, generator=generator) + 0.5
    return state


def iresnet(state: State, units: tuple[int, ...], x: Tensor) -> Tensor:
    x = F.conv2d(x, state["conv1.weight"], padding=1)
    x = prelu(state, "prelu", normalise(state, "bn1", x))
    for stage, count in enumerate(units, 1):
        for unit in range(count):
            name, stride = f"layer{stage}.{unit}", 2 if unit == 0 else 1
            y = normalise(state, f"{name}.bn1", x)
            y = F.conv2d(y, state[f"{name}.conv1.weight"], padding=1)
            y = prelu(state, f"{name}.prelu", normalise(state, f"{name}.bn2", y))
            y = F.conv2d(y, state[f"{name}.conv2.weight"], padding=1, stride=stride)
            y = normalise(state, f"{name}.bn3", y)
            if unit == 0:
                x = F.conv2d(x, state[f"{name}.downsample.0.weight"], stride=2)
                x = normalise(state, f"{name}.downsample.1", x)
            x = x + y
    x = normalise(state, "bn2", x).flatten(1)
    return normalise(state, "features", x @ state["fc.weight"].T + state["fc.bias"])


@pytest.mark.slow
def test_iresnet(tmp_path):
    units = UNITS["lresnet18e-ir"]
    state = iresnet_state(units, features=256)
    path = tmp_path / "backbone.pth"
    torch.save(state, path)
    network = load(path)
    assert network.info.architecture == "lresnet18e-ir" and network.info.embedding_size == 256
    assert network.recipe.crop == recipes.ARCFACE_112
    assert (network.recipe.mean, network.recipe.scale) == (127.5, 1 / 127.5)
    batch = torch.rand(2, 3, 112, 112) * 2 - 1
    with torch.inference_mode():
        outputs, expected = network(batch), iresnet(state, units, batch)
    assert expected.std() > 0.1
    assert (outputs - expected).abs().max() < 5e-5 * expected.abs().max()

    again = create(network.info.architecture, **network.info.options).eval()
    again.load_state_dict(network.state_dict())
    with torch.inference_mode():
        assert torch.equal(again(batch), outputs)


@pytest.mark.slow
@pytest.mark.parametrize("name", UNITS)
def test_iresnet_depths_are_told_by_their_units(name):
    with torch.device("meta"):
        state = {key: torch.ones(s) for key, s in iresnet_shapes(UNITS[name], 512).items()}
    network, renamed = recognise_layout(state)
    assert network.info.architecture == name
    expected = {key: tensor.shape for key, tensor in network.state_dict().items()}
    assert {key: tensor.shape for key, tensor in renamed.items()} == expected


def test_training_checkpoints_of_arcface_torch(tmp_path):
    state = iresnet_state(UNITS["lresnet18e-ir"], features=8)
    path = tmp_path / "checkpoint_gpu_0.pt"
    torch.save({"epoch": 3, "state_dict_backbone": state, "state_optimizer": {}}, path)
    loaded = load(path).state_dict()
    assert torch.equal(loaded["head.fc1.running_var"], state["features.running_var"])


def test_iresnet_of_another_depth_is_refused(tmp_path):
    path = tmp_path / "odd.pth"
    torch.save(iresnet_state((1, 2, 1, 1), features=8), path)
    with pytest.raises(WeightsError, match=r"odd\.pth.*\(1, 2, 1, 1\) units"):
        load(path)


# State dicts of our own networks.


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nn4.small2", "nn2", "mobilefacenet", "mbf", "dlib-resnet"])
@pytest.mark.parametrize("embedding_size", [128, 24])
def test_own_state_dicts(name, embedding_size, tmp_path):
    network = create(name, embedding_size=embedding_size)
    path = tmp_path / "own.pt"
    torch.save(network.state_dict(), path)
    loaded = load(path)
    assert loaded.info.architecture == name and loaded.info.embedding_size == embedding_size
    assert loaded.recipe == network.recipe
    for key, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor), key


@pytest.mark.slow
def test_half_precision_and_the_format_before_pytorch_1_6(tmp_path):
    state = create("mobilefacenet").state_dict()
    halves = {key: t.half() if t.is_floating_point() else t for key, t in state.items()}
    path = tmp_path / "half.pt"
    torch.save(halves, path, _use_new_zipfile_serialization=False)
    for key, tensor in load(path).state_dict().items():
        assert tensor.dtype == state[key].dtype
        assert torch.equal(tensor, halves[key].to(tensor.dtype))


@pytest.mark.slow
def test_the_network_outlives_its_file_and_trains(tmp_path):
    path = tmp_path / "own.pt"
    torch.save(create("mobilefacenet").state_dict(), path)
    network = load(path)
    before = network.head.fc.weight.clone()
    path.write_bytes(bytes(path.stat().st_size))
    assert torch.equal(network.state_dict()["head.fc.weight"], before)
    assert not network.head.bn.weight.requires_grad and network.head.fc.weight.requires_grad


# Files that are something else.


class Evil:
    def __reduce__(self):
        return exec, ("raise SystemExit('code in a weights file ran')",)


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> bytes:
    buffer = io.BytesIO()
    torch.save(create("mobilefacenet", embedding_size=8).state_dict(), buffer)
    return buffer.getvalue()


def check_refusal(path: Path, content: bytes, error: type[Exception], message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(error, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def saved(value: object, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_the_file_is_not_run(tmp_path, zipped):
    content = saved({"weight": Evil()}, _use_new_zipfile_serialization=zipped)
    # Older versions of PyTorch refuse exec as any other class, newer ones by its name.
    check_refusal(tmp_path / "evil.pt", content, FacetoolError, "torch.save")
    check_refusal(tmp_path / "evil.pkl", pickle.dumps(Evil()), FacetoolError, "torch.save")


@pytest.mark.slow
def test_what_is_no_state_dict(tmp_path, good):
    path = tmp_path / "file.pt"
    for content in (b"", b"PK\3\4", b"no weights at all", good[: len(good) // 2], good[:-30]):
        check_refusal(path, content, FormatError, "torch.save")
    check_refusal(path, saved([torch.ones(3)]), WeightsError, "holds a list")
    check_refusal(path, saved({}), WeightsError, "not a state dict")
    check_refusal(path, saved({"epoch": 3}), WeightsError, "holds a dict")
    check_refusal(path, saved({"net_state_dict": 3}), WeightsError, "holds a dict")
    check_refusal(path, saved({"a.b": torch.ones(3)}), WeightsError, "'a.b'.*no known network")
    sparse = torch.ones(3).to_sparse()
    check_refusal(path, saved({"a": sparse}), WeightsError, "ordinary")
    meta = torch.ones(3, device="meta")
    check_refusal(path, saved({"a": meta}), WeightsError, "ordinary")


@pytest.mark.slow
def test_tensors_that_do_not_fit(tmp_path):
    path = tmp_path / "file.pt"
    state = dict(create("mobilefacenet", embedding_size=8).state_dict())

    wrong = {**state, "body.3.expand.conv.weight": torch.ones(128, 64, 3, 3)}
    message = r"mobilefacenet: body\.3\.expand\.conv\.weight is .*\(128, 64, 3, 3\), expected"
    check_refusal(path, saved(wrong), WeightsError, message)
    counts = {**state, "head.fc.weight": torch.ones(8, 512, dtype=torch.int64)}
    check_refusal(path, saved(counts), WeightsError, r"head\.fc\.weight is int64")

    checkpoint = dict(iresnet_state(UNITS["lresnet18e-ir"], features=8))
    del checkpoint["layer2.0.conv2.weight"]
    check_refusal(path, saved(checkpoint), WeightsError, "needs stages.1.0.conv2.weight")
    checkpoint = {**iresnet_state(UNITS["lresnet18e-ir"], features=8), "extra": torch.ones(1)}
    check_refusal(path, saved(checkpoint), WeightsError, "no tensor 'extra'")


def test_a_small_file_cannot_claim_much(tmp_path, good):
    path = tmp_path / "file.pt"
    one = torch.ones(1)
    shapes = iresnet_shapes(UNITS["lresnet18e-ir"], features=512)
    claims = {key: one.expand(shape) if shape else one[0] for key, shape in shapes.items()}
    content = saved(claims)
    assert len(content) < 2e5
    check_refusal(path, content, FormatError, "more bytes than the file")

    with zipfile.ZipFile(io.BytesIO(good)) as archive, zipfile.ZipFile(path, "w") as packed:
        for entry in archive.infolist():
            packed.writestr(entry.filename, archive.read(entry), zipfile.ZIP_DEFLATED)
    check_refusal(path, path.read_bytes(), FormatError, "compressed")

    # every 64 in the pickle, the length of storages and tensors alike, becomes 2**40
    with zipfile.ZipFile(io.BytesIO(good)) as archive, zipfile.ZipFile(path, "w") as packed:
        for entry in archive.infolist():
            data = archive.read(entry)
            if entry.filename.endswith("data.pkl"):
                assert data.count(b"K\x40") > 10
                data = data.replace(b"K\x40", b"\x8a\x06" + (2**40).to_bytes(6, "little"))
            packed.writestr(entry.filename, data)
    check_refusal(path, path.read_bytes(), FormatError, "torch.save")


@pytest.mark.slow
def test_damaged_files_are_refused_or_read(tmp_path, good):
    """A quick sample; damage both to the archive and, with right checksums, to its pickle."""
    chance = random.Random(12)
    path = tmp_path / "file.pt"
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    refused = 0
    for case in range(120):
        if case % 2:
            content = bytearray(good)
            for _ in range(chance.randint(1, 8)):
                content[chance.choice([-1, 1]) * chance.randrange(3000)] = chance.randrange(256)
            path.write_bytes(content[: chance.choice([len(content), chance.randrange(10**6)])])
        else:
            with zipfile.ZipFile(path, "w") as packed:
                for name, data in entries.items():
                    if name.endswith("data.pkl"):
                        damaged = bytearray(data)
                        for _ in range(chance.randint(1, 4)):
                            damaged[chance.randrange(len(data))] = chance.randrange(256)
                        data = bytes(damaged)
                    packed.writestr(name, data)
        try:
            assert load(path).info.embedding_size == 8
        except FacetoolError as error:
            assert "\n" not in str(error)
            refused += 1
    assert 60 < refused < 120


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilefacenet", "dlib-resnet"])
def test_normalisation_of_another_width(tmp_path, name):
    state = create(name).state_dict()
    norm = next(key for key in state if key.endswith("running_mean")).rpartition(".")[0]
    for part in ("weight", "bias", "running_mean", "running_var"):
        state[f"{norm}.{part}"] = torch.ones(len(state[f"{norm}.{part}"]) + 1)
    torch.save(state, tmp_path / "x.pt")
    with pytest.raises(WeightsError, match="expected"):
        load(tmp_path / "x.pt")
