"""Golden networks: outputs within 2e-6, every layer within 5e-6 of the layer's largest value.

The golden files' own README measured, for layers, differences of up to 4.2e-6 of the layer's
maximum between correct implementations (different convolution algorithms).
"""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from facetool.alignment.recipes import OPENFACE_OUTER, Recipe
from facetool.errors import FacetoolError, WeightsError
from facetool.networks.graph import FUNCTIONS, INPUT, MODULES, GraphNetwork, Node, build_graph
from facetool.networks.inputs import to_input
from facetool.networks.registry import architecture
from facetool.weights.readers import torch7_network
from facetool.weights.readers.torch7_network import load
from tests.weights.readers.torch7_files import Instance, Storage, torch7_bytes

NETWORKS = ["nn4.small2", "nn4.small2.old2016"]


def floats(path: Path, *shape: int) -> Tensor:
    return torch.from_numpy(np.fromfile(path, "<f4").reshape(shape))


@pytest.fixture(scope="module")
def golden(shared: Path) -> Path:
    return shared / "golden/torch7"


def layer_outputs(network: GraphNetwork, x: Tensor) -> dict[str, Tensor]:
    """The value after each module of the outermost sequence, by its number."""
    values, after = {INPUT: x}, {}
    with torch.inference_mode():
        for node in network.nodes:
            inputs = [values[name] for name in node.inputs]
            if node.op in MODULES:
                value = network.layers[node.name](*inputs)
            else:
                value = FUNCTIONS[node.op](*inputs, **node.attributes)
            values[node.name] = after[node.name.split("_")[1]] = value
    return after


@pytest.mark.parametrize("name", NETWORKS)
def test_embeddings_are_torch7s(golden: Path, name: str) -> None:
    network = load(golden / f"{name}.t7")
    images = floats(golden / "input96.bin", 4, 3, 96, 96)
    expected = floats(golden / f"{name}.output.bin", 4, 128)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), expected, rtol=0, atol=2e-6)
        torch.testing.assert_close(network(images[:1]), expected[:1], rtol=0, atol=2e-6)
    assert not network.training
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_733_968
    assert network.info.embedding_size == 128
    assert network.recipe == Recipe(OPENFACE_OUTER, 0.0, 1 / 255)


@pytest.mark.parametrize("name", NETWORKS)
def test_each_layer_is_torch7s(golden: Path, name: str) -> None:
    """In float64, so that what is left is Torch7's own rounding: 2.8e-6 of a layer's largest."""
    network = load(golden / f"{name}.t7").double()
    image = floats(golden / "input96.bin", 4, 3, 96, 96)[1:2].double()
    after = layer_outputs(network, image)
    lines = (golden / f"{name}.layers/index.txt").read_text().splitlines()
    assert len(lines) == len(after)
    for line in lines:
        number, file, shape, _ = line.split("\t")
        file = file.removeprefix("(same as ").removesuffix(")")
        folder = golden if "/" in file else golden / f"{name}.layers"
        expected = floats(folder / file, *map(int, shape.split("x")))
        tolerance = 3e-6 * float(expected.abs().max())
        outputs = after[number]
        torch.testing.assert_close(outputs, expected.double(), rtol=0, atol=tolerance, msg=line)


def test_january_pools_around_the_weights_of_june(golden: Path) -> None:
    """The third golden output: the definition of one file, the statistics of the other."""
    june, january = load(golden / "nn4.small2.t7"), load(golden / "nn4.small2.old2016.t7")
    tensors = dict(
        zip(january.state_dict(), (tensor for tensor in june.state_dict().values()), strict=True)
    )
    january.load_state_dict(tensors)
    expected = floats(golden / "nn4.small2.jan2016def.output.bin", 4, 128)
    with torch.inference_mode():
        output = january(floats(golden / "input96.bin", 4, 3, 96, 96))
    torch.testing.assert_close(output, expected, rtol=0, atol=2e-6)


@pytest.mark.slow
def test_loads_well_under_a_second(golden: Path) -> None:
    load(golden / "nn4.small2.t7")
    start = time.process_time()
    load(golden / "nn4.small2.t7")
    assert time.process_time() - start < 0.6


def test_options_build_the_same_network_again(golden: Path) -> None:
    network = load(golden / "nn4.small2.t7")
    nodes = json.loads(json.dumps(network.info.options["nodes"]))
    state = {name.removeprefix("layers."): value for name, value in network.state_dict().items()}
    again = build_graph(
        [Node(name, op, tuple(inputs), attributes) for name, op, inputs, attributes in nodes],
        {name: value for name, value in state.items() if not name.endswith("tracked")},
    )
    image = floats(golden / "input96.bin", 4, 3, 96, 96)[:1]
    with torch.inference_mode():
        assert torch.equal(again(image), network(image))


# The rest needs no golden files: small networks written here.

RNG = np.random.default_rng(3)


def tensor(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype("f4")


def module(kind: str, **fields: Any) -> Instance:
    return Instance(f"nn.{kind}", fields)


def container(kind: str, *modules: Any, **fields: Any) -> Instance:
    return module(kind, modules=list(modules), **fields)


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, **fields: Any) -> Instance:
    return module(
        "SpatialConvolution",
        **{"nInputPlane": inputs, "nOutputPlane": outputs, "kW": kernel, "kH": kernel},
        **{"dW": stride, "dH": stride},
        **{
            "weight": tensor(outputs, inputs, kernel, kernel),
            "bias": tensor(outputs),
            **fields,
        },
    )


def pool(kind: str, kernel: float, stride: int, **fields: Any) -> Instance:
    return module(kind, kW=kernel, kH=kernel, dW=stride, dH=stride, **fields)


def view(*sizes: int) -> Instance:
    return module("View", size=Storage(np.array(sizes, "i8")))


def linear(inputs: int, outputs: int = 3) -> Instance:
    return module("Linear", weight=tensor(outputs, inputs), bias=tensor(outputs))


def batch_norm(channels: int, **fields: Any) -> Instance:
    return module(
        "SpatialBatchNormalization",
        **{"running_mean": tensor(channels), "eps": 1e-3, "momentum": 0.1, **fields},
    )


def small_network(middle: Instance, channels: int = 2, side: int = 4) -> Instance:
    """96x96 crops to 4x4 maps of two channels, the module in question, an embedding."""
    features = channels * side * side
    return container(
        "Sequential",
        *(convolution(3, 2, 24, 24), middle, view(features), linear(features)),
        module("Normalize", p=2, eps=1e-10),
    )


@pytest.fixture
def load_tree(tmp_path: Path) -> Any:
    def load_it(tree: Any, **form: Any) -> GraphNetwork:
        path = tmp_path / "net.t7"
        path.write_bytes(torch7_bytes(tree, **form))
        return load(path)

    return load_it


@pytest.fixture
def middle(load_tree: Any) -> Any:
    """What a module makes of (2, 2, 4, 4) maps, which come along."""

    def run(instance: Instance, **sizes: int) -> tuple[Tensor, Tensor]:
        network = load_tree(small_network(instance, **sizes))
        after = layer_outputs(network, torch.rand(2, 3, 96, 96))
        return after["1"], after["2"]

    return run


FORMS = [{}, {"long_size": 4}, {"ascii": True}]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_file_gives_the_same_network(load_tree: Any, form: Any) -> None:
    tree = small_network(module("ReLU", threshold=0, val=0))
    images = torch.rand(2, 3, 96, 96)
    with torch.inference_mode():
        output = load_tree(tree, **form)(images)
        assert torch.equal(output, load_tree(tree)(images))
        assert load_tree(tree)(images[:1]).shape == (1, 3)
    torch.testing.assert_close(output.norm(dim=1), torch.ones(2))


def test_another_family_has_no_recipe(load_tree: Any) -> None:
    """VGG Face's file ends in class scores, which are nobody's embedding."""
    tree = container("Sequential", convolution(3, 2, 24, 24), view(162), linear(162))
    network = load_tree(tree)
    assert network.info.input_size == (224, 224)
    with pytest.raises(WeightsError, match="which is 224x224 pixels; state a recipe by its name"):
        network.recipe  # noqa: B018


def test_running_std_is_the_inverse_deviation(middle: Any) -> None:
    inverse = np.array([0.5, 20], "f4")
    norm = batch_norm(2, running_std=inverse)
    x, y = middle(norm)
    mean = torch.from_numpy(norm.fields["running_mean"]).view(2, 1, 1)
    torch.testing.assert_close(y, (x - mean) * torch.from_numpy(inverse).view(2, 1, 1))


def test_batch_norm_with_variance_weight_and_bias(middle: Any) -> None:
    fields = {name: np.abs(tensor(2)) for name in ("running_var", "weight", "bias")}
    norm = batch_norm(2, **fields)
    x, y = middle(norm)
    mean, variance, weight, bias = (
        torch.from_numpy(norm.fields[name]).view(2, 1, 1)
        for name in ("running_mean", "running_var", "weight", "bias")
    )
    torch.testing.assert_close(y, (x - mean) / (variance + 1e-3).sqrt() * weight + bias)


def test_flat_weights_and_one_padding_for_both_directions(middle: Any) -> None:
    weight = tensor(2, 2, 3, 3)
    flat = convolution(2, 2, 3, padding=1, weight=weight.reshape(2, 18))
    flat.kind = "nn.SpatialConvolutionMM"
    x, y = middle(flat)
    bias = torch.from_numpy(flat.fields["bias"])
    expected = torch.nn.functional.conv2d(x, torch.from_numpy(weight), bias, padding=1)
    torch.testing.assert_close(y, expected)


def test_average_pool_without_divide_sums(middle: Any) -> None:
    x, y = middle(pool("SpatialAveragePooling", 2, 2), side=2)
    expected = x.unfold(2, 2, 2).unfold(3, 2, 2).sum(dim=(4, 5))
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize(("counted", "share"), [(True, 4), (False, 1)])
def test_average_pool_counts_its_padding_as_told(middle: Any, counted: bool, share: int) -> None:
    fields = {"padW": 1, "padH": 1, "divide": True, "count_include_pad": counted}
    x, y = middle(pool("SpatialAveragePooling", 2, 2, **fields), side=3)
    torch.testing.assert_close(y[..., 0, 0], x[..., 0, 0] / share)


@pytest.mark.parametrize(("ceil_mode", "side"), [(True, 2), (False, 1)])
def test_max_pool_rounds_as_told(middle: Any, ceil_mode: bool, side: int) -> None:
    x, y = middle(pool("SpatialMaxPooling", 3, 2, ceil_mode=ceil_mode), side=side)
    torch.testing.assert_close(y[..., 0, 0], x[..., :3, :3].amax(dim=(2, 3)))
    if ceil_mode:
        torch.testing.assert_close(y[..., 1, 1], x[..., 2:, 2:].amax(dim=(2, 3)))


def test_lp_pool(middle: Any) -> None:
    parts = [
        *(module("Square"), pool("SpatialAveragePooling", 3, 1, divide=True)),
        *(module("MulConstant", constant_scalar=9), module("Sqrt", eps=0)),
    ]
    x, y = middle(container("SpatialLPPooling", *parts), side=2)
    torch.testing.assert_close(y, torch.nn.functional.lp_pool2d(x, 2, 3, 1))


def test_inception_centres_its_smaller_branches(middle: Any) -> None:
    smaller = pool("SpatialMaxPooling", 2, 1)
    branches = container("DepthConcat", module("Identity"), smaller, dimension=2)
    x, y = middle(container("Inception", branches), channels=4)
    assert torch.equal(y[:, :2], x)
    expected = torch.zeros(2, 2, 4, 4)
    expected[..., :3, :3] = torch.nn.functional.max_pool2d(x, 2, 1)
    assert torch.equal(y[:, 2:], expected)


def test_cross_map_lrn(middle: Any) -> None:
    x, y = middle(module("SpatialCrossMapLRN", size=5, alpha=2, beta=0.75, k=1))
    total = x.square().sum(dim=1, keepdim=True)
    torch.testing.assert_close(y, x / (1 + 2 / 5 * total) ** 0.75)


def test_reshape_and_both_dropouts(middle: Any) -> None:
    maps = module("Reshape", size=Storage(np.array([2, 4, 4], "i8")))
    x, y = middle(container("Sequential", maps, module("Dropout", p=0.5, v2=True)))
    assert torch.equal(x, y)
    x, y = middle(module("Dropout", p=0.25))
    torch.testing.assert_close(y, x * 0.75)


def test_shared_modules_and_tensors(load_tree: Any) -> None:
    norm = batch_norm(2, running_var=np.ones(2, "f4"))
    network = load_tree(small_network(container("Sequential", norm, norm)))
    assert torch.equal(
        network.state_dict()["layers.layer_2_1.running_mean"],
        network.state_dict()["layers.layer_2_2.running_mean"],
    )


def cyclic() -> Instance:
    loop = container("Sequential")
    loop.fields["modules"].append(loop)
    return loop


def laughing() -> Instance:
    """2^24 layers, in one kilobyte."""
    tree = module("ReLU")
    for _ in range(24):
        tree = container("Sequential", tree, tree)
    return tree


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ("text", "holds a str, not a network"),
        ({"model": module("ReLU")}, "holds a LuaTable"),
        (module("Tanh"), r"top module \(nn.Tanh\): unknown kind"),
        (Instance("nn.Linear", 3), "not a network module"),
        (container("Sequential"), "has no modules"),
        (small_network(module("Tanh")), r"modules 2 \(nn.Tanh\): unknown kind"),
        (
            small_network(container("Sequential", module("Identity"), module("Power"))),
            r"modules 2.2 \(nn.Power\): unknown kind",
        ),
        (small_network(container("Sequential", 7)), r"modules 2.1 \(float\): is not a network"),
        (small_network(module("Normalize", p=1)), "1-norm"),
        (small_network(module("ReLU", threshold=1)), "threshold"),
        (small_network(pool("SpatialMaxPooling", 2.5, 1)), "kW is 2.5|kH is 2.5"),
        (small_network(pool("SpatialMaxPooling", 2, 0)), "stride should not be zero"),
        (small_network(pool("SpatialMaxPooling", 2, 1, padH=2, padW=2)), "pad=2"),
        (small_network(module("SpatialMaxPooling")), "kH is not a number"),
        (small_network(convolution(2, 2, 3, padH=3, padW=3)), "as large as the kernel"),
        (small_network(convolution(2, 2, 3, weight=tensor(2, 2, 2, 2))), "not of shape"),
        (small_network(convolution(2, 2, 1, bias=tensor(3))), "do not fit"),
        (small_network(convolution(2, 2, 1, weight=Storage(np.ones(4, "i4")))), "weight is not"),
        (small_network(batch_norm(2)), "running mean and variance"),
        (small_network(batch_norm(3, running_var=np.ones(3, "f4"))), "3 channels on 2"),
        (small_network(container("DepthConcat", module("ReLU"), dimension=3)), "dimension"),
        (small_network(module("Linear")), "no weight matrix"),
        (small_network(module("View", size=Storage(np.array([-1, -1, 3], "i8")))), "reshape"),
        (small_network(module("View", size=Storage(np.array([2, 0, 4], "i8")))), "cannot reshape"),
        (small_network(view(2, 5)), "reshapes"),
        (small_network(module("ReLU"), side=5), "96x96: .*0x32 and 50x3.*224x224"),
        (container("Sequential", module("ReLU")), "not one vector a face"),
        (cyclic(), "nested deeper"),
        (laughing(), "more than 10,000 layers"),
    ],
)
def test_trees_that_are_no_network(load_tree: Any, tree: Any, reason: str) -> None:
    with pytest.raises(WeightsError, match=reason) as raised:
        load_tree(tree)
    assert "net.t7" in str(raised.value) and "\n" not in str(raised.value)


def test_one_tensor_shared_by_many_layers_is_not_copied_without_end(load_tree: Any) -> None:
    layer = linear(200, 200)
    with pytest.raises(WeightsError, match="more weights than the file"):
        load_tree(container("Sequential", *[layer] * 100))


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_damaged_networks_load_or_fail_cleanly(load_tree: Any, tmp_path: Path, form: Any) -> None:
    branches = container("DepthConcat", module("Identity"), pool("SpatialMaxPooling", 2, 1))
    branches.fields["dimension"] = 2
    norm = batch_norm(4, running_std=np.ones(4, "f4"))
    middle = container("Sequential", container("Inception", branches), norm, convolution(4, 2, 1))
    tree = small_network(middle)
    tree.fields["modules"][0] = convolution(3, 2, 1, 24)
    whole = torch7_bytes(tree, **form)
    path = tmp_path / "damaged.t7"
    rng = random.Random(11)
    outcomes = {True: 0, False: 0}
    tracemalloc.start()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 2)):
            damaged[rng.randrange(len(damaged))] = rng.choice([0, 1, 2, 4, 48, 57, 64, 127, 255])
        if rng.random() < 0.2:
            del damaged[rng.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        try:
            outcomes[load(path).info.embedding_size > 0] += 1
        except FacetoolError:
            outcomes[False] += 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert min(outcomes.values()) > 5
    assert peak < 4 << 20


def test_normalisation_of_another_width(load_tree: Any) -> None:
    norm = batch_norm(3, running_var=np.ones(3, "f4"))
    with pytest.raises(WeightsError, match="normalisation of 3 channels on 2"):
        load_tree(small_network(norm))


def vgg_face(widths: tuple[int, ...], people: int) -> Instance:
    """The authors' file: thirteen convolutions in five stages, three fully connected layers."""
    modules, channels = [], 3
    for stage in (widths[:2], widths[2:4], widths[4:7], widths[7:10], widths[10:13]):
        for width in stage:
            conv = convolution(channels, width, 3, padW=1, padH=1)
            conv.fields["weight"] *= np.float32((2 / (9 * channels)) ** 0.5)
            modules += [conv, module("ReLU", threshold=0, val=0)]
            channels = width
        modules.append(pool("SpatialMaxPooling", 2, 2))
    modules.append(view(channels * 49))
    channels *= 49
    for width in widths[13:]:
        full = linear(channels, width)
        full.fields["weight"] *= np.float32((2 / channels) ** 0.5)
        modules += [full, module("ReLU", threshold=0, val=0), module("Dropout", p=0.5, v2=True)]
        channels = width
    return container("Sequential", *modules, linear(channels, people), module("SoftMax"))


def vgg_face_by_hand(tree: Instance, crop: np.ndarray) -> Tensor:
    """fc7 after its ReLU of an RGB crop, straight from the file's numbers, in float64."""
    mean = np.array([93.5940, 104.7624, 129.1863], "f4")  # blue, green, red
    pixels = crop[..., ::-1].astype("f4") - mean
    x = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]).double()
    for one in tree.fields["modules"][:-3]:
        weight, bias = (
            torch.from_numpy(one.fields[name]).double() if name in one.fields else None
            for name in ("weight", "bias")
        )
        if one.kind == "nn.SpatialConvolution":
            assert weight is not None and bias is not None
            patches = F.unfold(x, 3, padding=1)
            product = weight.flatten(1) @ patches + bias[:, None]
            x = product.reshape(1, -1, *x.shape[2:])
        elif one.kind == "nn.SpatialMaxPooling":
            x = x.unflatten(2, (-1, 2)).unflatten(4, (-1, 2)).amax(dim=(3, 5))
        elif one.kind == "nn.View":
            x = x.reshape(1, -1)
        elif one.kind == "nn.Linear":
            assert weight is not None and bias is not None
            x = x @ weight.T + bias
        elif one.kind == "nn.ReLU":
            x = x.clamp(min=0)
    return x


def test_vgg_faces_feature_is_fc7_of_blue_first(
    load_tree: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    widths = tuple(max(4, width // 64) for width in torch7_network._VGG_WIDTHS)
    monkeypatch.setattr(torch7_network, "_VGG_WIDTHS", widths)
    tree = vgg_face(widths, people=20)
    network = load_tree(tree)
    assert network.info.embedding_size == widths[-1]
    crop = RNG.integers(0, 256, (224, 224, 3), np.uint8)
    recipe = architecture("vgg-face").recipe
    with torch.inference_mode():
        found = network.double()(to_input(torch.from_numpy(crop)[None], recipe).double())
    expected = vgg_face_by_hand(tree, crop)
    assert (expected > 0).any()
    # In float32 sixteen layers of random numbers differ by as much as the order of sums makes them.
    assert (found - expected).abs().max() < 1e-7 * expected.std()


def test_vgg_face_ends_with_its_feature() -> None:
    widths = torch7_network._VGG_WIDTHS
    nodes = [Node(f"c{n}", "conv", ("x",), {"out_channels": w}) for n, w in enumerate(widths[:13])]
    for n, width in enumerate((*widths[13:], 2622)):
        nodes += [
            Node(f"l{n}", "linear", ("x",), {"out_features": width}),
            Node(f"r{n}", "relu", ("x",)),
        ]
    assert torch7_network._vgg_feature(nodes) == "r1"
    assert torch7_network._vgg_feature(nodes[1:]) is None
