import json
import random
import runpy
import shutil
import struct
import time

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96, Recipe
from facetool.errors import FacetoolError, FormatError, WeightsError
from facetool.networks.graph import FUNCTIONS, INPUT, MODULES
from facetool.weights.readers.mxnet import load
from facetool.weights.readers.mxnet_files import read_params, symbol_path
from tests.weights.readers.mxnet_files import Symbol, write_params

BATCH_NORM = ["gamma", "beta", "moving_mean", "moving_var"]


@pytest.fixture
def golden_input(shared):
    return torch.from_numpy(np.load(shared / "golden/mxnet/input_4x3x112x112.npy"))


def largest_difference(network, x, expected):
    with torch.inference_mode():
        return np.abs(network(x).numpy() - expected).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("net", "size", "tolerance"),
    [
        ("mxnet/tiny18", 64, 5e-5),
        ("mxnet/y1", 128, 5e-5),
        ("mxnet-backbones/m1tiny", 16, 2e-5),
        ("mxnet-backbones/d121tiny", 32, 2e-5),
        ("mxnet-backbones/p92tiny", 32, 2e-5),
        ("mxnet-backbones/i2tiny", 24, 2e-5),
    ],
)
def test_gives_what_mxnet_gave(shared, net, size, tolerance):
    golden = shared / "golden"
    network = load(golden / f"{net}-0000.params")
    assert network.info.embedding_size == size
    assert network.recipe == Recipe(ARCFACE_112)
    assert not network.training
    for suffix in ("", "_faces"):
        x = torch.from_numpy(np.load(golden / f"mxnet/input{suffix}_4x3x112x112.npy"))
        expected = np.load(golden / f"{net}_fc1{suffix}.npy")
        assert largest_difference(network, x, expected) < tolerance


@pytest.mark.slow
def test_m1_with_the_seeded_weights_of_its_golden(shared, tmp_path, golden_input):
    folder = shared / "golden/mxnet-backbones"
    seeded = runpy.run_path(str(folder / "seeded.py"))["seeded"]
    shapes = json.loads((folder / "m1_shapes.json").read_text())
    weights = seeded("m1", {**shapes["args"], **shapes["aux"]})
    shutil.copy(folder / "m1-symbol.json", tmp_path)
    write_params(tmp_path / "m1-0000.params", weights)
    network = load(tmp_path / "m1-0000.params")
    assert largest_difference(network, golden_input, np.load(folder / "m1_fc1.npy")) < 1e-4


@pytest.mark.parametrize("form", ["ndarrayV3", "float16"])
def test_other_forms_of_the_same_tensors(shared, tmp_path, golden_input, form):
    golden = shared / "golden/mxnet"
    shutil.copy(golden / "tiny18-symbol.json", tmp_path / "x-symbol.json")
    shutil.copy(golden / f"tiny18_{form}.params", tmp_path / "x-0012.params")
    network = load(tmp_path / "x-0012.params")
    tolerance = 5e-5 if form == "ndarrayV3" else 2e-2
    assert largest_difference(network, golden_input, np.load(golden / "tiny18_fc1.npy")) < tolerance
    assert {tensor.dtype for tensor in network.parameters()} == {torch.float32}


@pytest.mark.parametrize("net", ["mxnet/tiny18", "mxnet-backbones/d121tiny"])
def test_every_layer_gives_what_mxnets_gave(shared, golden_input, net):
    network = load(shared / f"golden/{net}-0000.params")
    expected = np.load(shared / f"golden/{net}_internals_sample0.npz")
    values = {INPUT: golden_input[:1]}
    compared = 0
    for node in network.nodes:
        inputs = [values[name] for name in node.inputs]
        with torch.inference_mode():
            if node.op in MODULES:
                values[node.name] = network.layers[node.name](*inputs)
            else:
                values[node.name] = FUNCTIONS[node.op](*inputs, **node.attributes)
        if f"{node.name}_output" in expected:
            wanted = expected[f"{node.name}_output"]
            error = np.abs(values[node.name].numpy() - wanted).max()
            assert error < 1e-5 * max(1, np.abs(wanted).max()), node.name
            compared += 1
    assert compared > 15


class Small:
    """A network with a layer of each common kind, and the same written with torch."""

    def __init__(self, width=112, key="attrs"):
        random = np.random.default_rng(7)
        self.weights = {
            name: random.normal(0, 0.4, shape).astype(np.float32)
            for name, shape in {
                "conv0_weight": (4, 3, 5, 3),
                "conv1_weight": (4, 1, 3, 3),
                "conv1_bias": (4,),
                "relu0_gamma": (4,),
                "pre_fc1_weight": (6, 4 * 7 * width // 16),
                "pre_fc1_bias": (6,),
            }.items()
        }
        for name, size in (("bn0", 4), ("fc1", 6)):
            for param in BATCH_NORM:
                values = random.uniform(0.5, 1.5, size).astype(np.float32)
                self.weights[f"{name}_{param}"] = values
        symbol = self.symbol = Symbol(key)
        x = symbol.variable("data")
        x = symbol.layer("_minus_scalar", "_minusscalar0", x, scalar=127.5)
        x = symbol.layer("_div_scalar", "_divscalar0", x, scalar=128)
        convolution = {"kernel": "(5L, 3L)", "stride": "(4L, 4L)", "pad": "(2L, 1L)"}
        x = symbol.with_params(
            "Convolution", "conv0", x, ["weight"], num_filter=4, no_bias=True, **convolution
        )
        stored = BATCH_NORM if key == "attrs" else BATCH_NORM[:2]
        x = symbol.with_params("BatchNorm", "bn0", x, stored, fix_gamma=False)
        x = symbol.with_params("LeakyReLU", "relu0", x, ["gamma"], act_type="prelu")
        x = symbol.layer("Pooling", "pool0", x, kernel=(2, 2), stride=(2, 2), pool_type="max")
        y = symbol.with_params(
            "Convolution",
            "conv1",
            x,
            ["weight", "bias"],
            kernel=(3, 3),
            pad=(2, 2),
            dilate=(2, 2),
            num_group=4,
            num_filter=4,
        )
        y = symbol.layer("Activation", "0 gate!", y, act_type="sigmoid")
        x = symbol.layer("broadcast_mul", "keys", x, y)
        average = {"kernel": (3, 3), "stride": (2, 2), "pad": (1, 1), "pool_type": "avg"}
        x = symbol.layer("Pooling", "pool1", x, **average)
        x = symbol.layer("Dropout", "dropout0", x, p=0.4)
        x = symbol.with_params("FullyConnected", "pre_fc1", x, ["weight", "bias"], num_hidden=6)
        self.output = symbol.with_params("BatchNorm", "fc1", x, stored, eps=2e-5)

    def write(self, folder, header="V2"):
        self.symbol.write(folder / "small-symbol.json")
        prefixed = {
            f"{'aux' if 'moving' in name else 'arg'}:{name}": array
            for name, array in self.weights.items()
        }
        write_params(folder / "small-0000.params", prefixed, header)
        return folder / "small-0000.params"

    def __call__(self, x):
        w = {name: torch.from_numpy(array) for name, array in self.weights.items()}
        x = F.conv2d((x - 127.5) / 128, w["conv0_weight"], stride=4, padding=(2, 1))
        x = self.batch_norm(x, "bn0", w["bn0_gamma"], 1e-3)
        x = F.max_pool2d(F.prelu(x, w["relu0_gamma"]), 2)
        y = F.conv2d(x, w["conv1_weight"], w["conv1_bias"], padding=2, dilation=2, groups=4)
        x = F.avg_pool2d(x * torch.sigmoid(y), 3, 2, 1, count_include_pad=True)
        x = F.linear(x.flatten(1), w["pre_fc1_weight"], w["pre_fc1_bias"])
        return self.batch_norm(x, "fc1", None, 2e-5)

    def batch_norm(self, x, name, gamma, eps):
        beta, mean, variance = (
            torch.from_numpy(self.weights[f"{name}_{param}"]) for param in BATCH_NORM[1:]
        )
        return F.batch_norm(x, mean, variance, gamma, beta, eps=eps)


@pytest.mark.parametrize("header", ["legacy", "V1", "V2", "V3"])
@pytest.mark.parametrize("key", ["attrs", "attr", "param"])
def test_headers_and_symbols_of_every_age(tmp_path, header, key):
    small = Small(key=key)
    network = load(small.write(tmp_path, header))
    x = torch.rand(2, 3, 112, 112) * 255
    torch.testing.assert_close(network(x), small(x), atol=2e-5, rtol=1e-5)
    assert network.recipe == Recipe(ARCFACE_112)


def test_the_fully_connected_layer_tells_the_crop(tmp_path):
    network = load(Small(width=96).write(tmp_path))
    assert network.recipe == Recipe(ARCFACE_112X96)
    assert network(torch.zeros(1, 3, 112, 96)).shape == (1, 6)


def test_neither_crop(tmp_path):
    with pytest.raises(WeightsError, match="no crops of 112x112 nor 96x112"):
        load(Small(width=64).write(tmp_path))


def test_training_checkpoint_is_cut_at_fc1(tmp_path):
    small = Small()
    classes = small.symbol.with_params("FullyConnected", "fc7", small.output, ["weight"])
    small.symbol.layer("SoftmaxOutput", "softmax", classes)
    small.weights["fc7_weight"] = np.zeros((10, 6), np.float32)
    network = load(small.write(tmp_path))
    assert network.info.embedding_size == 6
    assert [node.name for node in network.nodes][-1] == "fc1"


def test_fix_gamma_unless_it_says_false(tmp_path):
    network = load(Small().write(tmp_path))
    assert network.layers["fc1"].weight.eq(1).all()
    assert not network.layers["bn0"].weight.eq(1).all()
    assert network.layers["bn0"].momentum == 0.1


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u1", "i4", "i1", "i8"])
def test_all_types_of_arrays(tmp_path, dtype):
    array = np.arange(6).reshape(2, 3).astype(dtype)
    write_params(tmp_path / "x.params", {"arg:a": array, "aux:b": array[0], "c": array})
    arrays = read_params(tmp_path / "x.params")
    assert list(arrays) == ["a", "b", "c"]
    np.testing.assert_array_equal(arrays["a"], array)
    assert arrays["a"].dtype == array.dtype


def test_bfloat16_and_empty_arrays(tmp_path):
    values = np.array([1.5, -2], np.float32)
    body = struct.pack("<IiIq", 0xF993FAC9, 0, 1, 2) + struct.pack("<iii", 1, 0, 12)
    body += (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    empty = struct.pack("<IiI", 0xF993FAC9, 0, 0)
    count = struct.pack("<Q", 2)
    names = struct.pack("<Q", 1) + b"a" + struct.pack("<Q", 1) + b"b"
    path = tmp_path / "x.params"
    path.write_bytes(struct.pack("<QQ", 0x112, 0) + count + empty + body + count + names)
    arrays = read_params(path)
    assert list(arrays) == ["b"]
    np.testing.assert_array_equal(arrays["b"], values)


def test_missing_symbol_names_the_file_expected(tmp_path):
    path = Small().write(tmp_path)
    symbol_path(path).unlink()
    with pytest.raises(WeightsError, match=r"small-symbol\.json"):
        load(path)


def test_unknown_operation_is_named_with_its_node(tmp_path):
    small = Small()
    small.symbol.nodes[-1]["op"] = "Correlation"
    with pytest.raises(WeightsError, match="'fc1' is of unsupported kind 'Correlation'"):
        load(small.write(tmp_path))


def test_missing_tensor_is_named(tmp_path):
    small = Small()
    del small.weights["relu0_gamma"]
    with pytest.raises(WeightsError, match=r"'relu0' \(LeakyReLU\).*'relu0_gamma'"):
        load(small.write(tmp_path))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"kernel": "(7, 7)"}, "kernel"),
        ({"stride": "(1e400)"}, "stride"),
        ({"num_group": "many"}, "num_group"),
    ],
)
def test_attributes_that_do_not_fit(tmp_path, attributes, message):
    small = Small()
    node = next(node for node in small.symbol.nodes if node["name"] == "conv0")
    node["attrs"].update(attributes)
    with pytest.raises(WeightsError, match=message):
        load(small.write(tmp_path))


@pytest.mark.parametrize(
    "shape", [(2**40,), (2**20, 2**20), (2**31, 2**31, 2**31), (-1, -4), (0, 5), (4, 3, 5, 4)]
)
def test_a_shape_that_lies_fails_at_once(tmp_path, shape):
    path = Small().write(tmp_path)
    data = bytearray(path.read_bytes())
    header = struct.pack(f"<IiI{len(shape)}q", 0xF993FAC9, 0, len(shape), *shape)
    data[24 : 24 + 12 + 32] = header  # the first array's, of four dimensions
    path.write_bytes(data)
    started = time.process_time()
    with pytest.raises(FormatError):
        load(path)
    assert time.process_time() - started < 0.5


def test_sparse_arrays_and_other_files(tmp_path):
    path = Small().write(tmp_path)
    data = bytearray(path.read_bytes())
    data[28] = 1
    path.write_bytes(data)
    with pytest.raises(FormatError, match="sparse"):
        load(path)
    path.write_bytes(b"PK\3\4" * 20)
    with pytest.raises(FormatError, match="not a parameter file"):
        load(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 10**5, '{"nodes": [5], "heads": [[0]]}'])
def test_symbols_that_are_none(tmp_path, text):
    path = Small().write(tmp_path)
    symbol_path(path).write_text(text)
    with pytest.raises(FormatError, match="not a symbol"):
        load(path)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["params", "symbol"])
def test_damaged_files_give_an_error_or_load(tmp_path, which):
    path = Small().write(tmp_path)
    target = path if which == "params" else symbol_path(path)
    intact = target.read_bytes()
    rng = random.Random(which)
    loaded = 0
    for _ in range(150):
        data = bytearray(intact)
        for _ in range(rng.choice((1, 1, 3))):
            # The first thousand bytes are headers; in a symbol any place will do.
            place = rng.randrange(min(len(data), 1000) if which == "params" else len(data))
            data[place] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        target.write_bytes(data)
        try:
            load(path)
            loaded += 1
        except FacetoolError as error:
            assert "\n" not in str(error)
    assert 0 < loaded < 150


def test_normalisation_of_another_width(tmp_path):
    small = Small()
    width = small.weights["bn0_beta"].size
    for param in BATCH_NORM:
        small.weights[f"bn0_{param}"] = np.ones(width + 1, np.float32)
    with pytest.raises(WeightsError, match=f"normalisation of {width + 1} channels on {width}"):
        load(small.write(tmp_path))
