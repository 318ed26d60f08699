import json
import random
import sys
import time
import warnings

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data

from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96, OPENFACE_OUTER, Recipe
from facetool.errors import FacetoolError, FormatError, WeightsError
from facetool.networks.lresnet import LResNet
from facetool.weights.readers.onnx import load
from facetool.weights.readers.onnx.recipe import METADATA_KEY

ARCFACE_TORCH = Recipe(ARCFACE_112, mean=127.5, scale=1 / 127.5)


def largest_difference(network, x, expected):
    with torch.inference_mode():
        return np.abs(network(x).numpy() - expected).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "tiny18_zoolike_spatial1",
        "tiny18_zoolike_spatial0",
        "tiny18_mx191_opset12_fixed",
        "tiny18_mx131_opset8_asexported_invalid",
        "tiny18_mx191_opset12_asexported_invalid",
        "y1_zoolike_spatial1",
    ],
)
def test_gives_what_mxnet_gave(shared, name):
    golden = shared / "golden/mxnet"
    network = load(golden / f"{name}.onnx")
    assert network.recipe == Recipe(ARCFACE_112)
    assert not network.training
    net = name.split("_")[0]
    for suffix in ("", "_faces"):
        x = torch.from_numpy(np.load(golden / f"input{suffix}_4x3x112x112.npy"))
        expected = np.load(golden / f"{net}_fc1{suffix}.npy")
        assert network.info.embedding_size == expected.shape[1]
        assert largest_difference(network, x, expected) < 5e-5


def test_the_scale_in_the_file_counts(shared):
    golden = shared / "golden/mxnet"
    path = golden / "tiny18_zoolike_spatial1_rawgamma.onnx"
    x = np.load(golden / "input_4x3x112x112.npy")
    runtime = pytest.importorskip("onnxruntime").InferenceSession(str(path))
    expected = np.concatenate([runtime.run(None, {"data": face[None]})[0] for face in x])
    assert largest_difference(load(path), torch.from_numpy(x), expected) < 5e-5


def model(nodes, tensors, opset=13, inputs=("data",), size=(112, 112), batch="N", **fields):
    """A model of float32 nodes; the last one's output is the model's."""
    initializers = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(value, name)
        for name, value in tensors.items()
    ]
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes],
        "g",
        [helper.make_tensor_value_info(name, 1, [batch, 3, *size]) for name in inputs],
        [helper.make_tensor_value_info(nodes[-1][2][0], 1, None)],
        initializers,
    )
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, **fields)


def small(scaled=False, width=112):
    """Nodes and tensors of a small network."""
    rng = np.random.default_rng(3)
    tensors = {
        "w": rng.normal(0, 0.5, (4, 3, 3, 3)),
        "fc": rng.normal(0, 0.3, (6, 4 * 7 * width // 16)),
        "fc_bias": rng.normal(0, 0.3, 6),
        "slope": rng.normal(0.2, 0.2, (4, 1, 1)),
        **{name: rng.uniform(0.5, 1.5, 4) for name in ("gamma", "beta", "mean", "var")},
    }
    tensors = {name: array.astype(np.float32) for name, array in tensors.items()}
    nodes = [
        ("Conv", ["data", "w"], ["c"], {"pads": [1, 1, 1, 1], "strides": [4, 4]}),
        ("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["b"], {"epsilon": 2e-5}),
        ("PRelu", ["b", "slope"], ["p"], {}),
        ("AveragePool", ["p"], ["a"], {"kernel_shape": [4, 4], "strides": [4, 4]}),
        ("Flatten", ["a"], ["f"], {}),
        ("Gemm", ["f", "fc", "fc_bias"], ["fc1"], {"transB": 1}),
    ]
    if scaled:
        tensors["shift"] = np.array(127.5, np.float32)
        tensors["factor"] = np.array([1 / 128], np.float32)
        nodes[0][1][0] = "scaled"
        nodes = [
            ("Sub", ["data", "shift"], ["shifted"], {}),
            ("Mul", ["factor", "shifted"], ["scaled"], {}),
            *nodes,
        ]
    return nodes, tensors


def write(tmp_path, proto):
    path = tmp_path / "x.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def check_against_onnxruntime(path, size=(112, 112)):
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, *size)).astype(np.float32)
    runtime = pytest.importorskip("onnxruntime").InferenceSession(str(path))
    name = runtime.get_inputs()[0].name
    expected = runtime.run(None, {name: x})[0]
    network = load(path)
    assert largest_difference(network, torch.from_numpy(x), expected) < 2e-5
    return network


@pytest.mark.parametrize("scaled", [True, False])
def test_small_model_and_its_recipe(tmp_path, scaled):
    network = check_against_onnxruntime(write(tmp_path, model(*small(scaled))))
    assert network.recipe == (Recipe(ARCFACE_112) if scaled else ARCFACE_TORCH)
    assert network.info.embedding_size == 6


def test_the_fully_connected_layer_tells_the_crop(tmp_path):
    nodes, tensors = small(True, width=96)
    path = write(tmp_path, model(nodes, tensors, size=(112, 96)))
    assert check_against_onnxruntime(path, (112, 96)).recipe == Recipe(ARCFACE_112X96)


def test_a_stated_recipe_goes_before_guesses(tmp_path):
    stated = Recipe(OPENFACE_OUTER, scale=1 / 255)
    nodes, tensors = small()
    tensors["fc"] = np.ones((6, 4 * 6 * 6), np.float32)
    proto = model(nodes, tensors, size=(96, 96))
    helper.set_model_props(proto, {METADATA_KEY: json.dumps({"recipe": stated.as_dict()})})
    assert load(write(tmp_path, proto)).recipe == stated
    helper.set_model_props(proto, {METADATA_KEY: "{}"})
    with pytest.raises(WeightsError, match="recipe"):
        load(write(tmp_path, proto))


def test_every_supported_operation(tmp_path):
    rng = np.random.default_rng(5)
    tensors = {
        "w": rng.normal(0, 0.4, (8, 3, 3, 3)).astype(np.float32),
        "w_bias": rng.normal(0, 0.4, 8).astype(np.float32),
        "depthwise": rng.normal(0, 0.4, (8, 1, 3, 3)).astype(np.float32),
        "half": np.array(0.5, np.float32),
        "three": np.array([[3]], np.float32),
        "low": np.array(-4, np.float32),
        "starts": np.array([2]),
        "ends": np.array([2**31 - 1]),
        "axes": np.array([1]),
        "shape": np.array([-1, 14]),
        "square": rng.normal(0, 0.4, (14, 8)).astype(np.float32),
        "square_bias": rng.normal(0, 0.4, 8).astype(np.float32),
        "slope": np.array([0.2], np.float32),
        "last": rng.normal(0, 0.4, (5, 8)).astype(np.float32),
        "ratio": np.array(0.3, np.float32),
        "stored": rng.normal(0.2, 0.2, 8).astype(np.float32),
        "behind": np.array([1, 2]),
    }
    strided = {"pads": [1, 1, 1, 1], "strides": [8, 8]}
    nodes = [
        ("Conv", ["data", "w", "w_bias"], ["0"], strided),
        ("Conv", ["0", "depthwise"], ["1"], {"group": 8, "dilations": [2, 2], "pads": [2] * 4}),
        ("Unsqueeze", ["stored", "behind"], ["slopes"], {}),
        ("PRelu", ["1", "slopes"], ["2"], {}),
        ("LeakyRelu", ["2"], ["3"], {"alpha": 0.1}),
        ("Relu", ["0"], ["4"], {}),
        ("Sum", ["2", "3", "4"], ["5"], {}),
        ("Clip", ["5", "low", ""], ["6"], {}),
        ("MaxPool", ["6"], ["7"], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ("AveragePool", ["6"], ["8"], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
        ("Concat", ["7", "8"], ["9"], {"axis": 1}),
        ("Slice", ["9", "starts", "ends", "axes"], ["10"], {}),
        ("GlobalAveragePool", ["10"], ["11"], {}),
        ("Sigmoid", ["11"], ["12"], {}),
        ("Mul", ["11", "12"], ["13"], {}),
        ("Sub", ["13", "12"], ["14"], {}),
        ("Sub", ["half", "14"], ["15"], {}),
        ("Div", ["15", "three"], ["16"], {}),
        ("Add", ["half", "16"], ["17"], {}),
        ("Reshape", ["17", "shape"], ["18"], {}),
        ("MatMul", ["18", "square"], ["19"], {}),
        ("Add", ["square_bias", "19"], ["20"], {}),
        ("Dropout", ["20", "ratio"], ["21"], {}),
        ("Identity", ["21"], ["22"], {}),
        ("Transpose", ["last"], ["turned"], {"perm": [1, 0]}),
        ("MatMul", ["22", "turned"], ["23"], {}),
        ("PRelu", ["23", "slope"], ["24"], {}),
    ]
    check_against_onnxruntime(write(tmp_path, model(nodes, tensors)))


@pytest.mark.parametrize("folded", [True, False])
def test_pytorch_export_of_iresnet(tmp_path, folded):
    """With its convolutions' batch normalisations folded by the exporter, or as they are."""
    torch.manual_seed(0)
    network = LResNet(
        (1, 1, 1, 2), (8, 8, 8, 16, 16), 32, dropout=0.0, eps=1e-5, scale_input=False
    ).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
    path = tmp_path / "iresnet.onnx"
    mode = torch.onnx.TrainingMode.EVAL if folded else torch.onnx.TrainingMode.PRESERVE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(1, 3, 112, 112),),
            path,
            dynamo=False,
            training=mode,
            input_names=["input"],
            dynamic_axes={"input": {0: "batch"}},
        )
    read = load(path)
    assert read.recipe == ARCFACE_TORCH
    assert sum(node.op == "batch_norm" for node in read.nodes) == (7 if folded else 22)
    x = torch.rand(3, 3, 112, 112) * 2 - 1
    with torch.inference_mode():
        expected = network(x)
        difference = (read(x) - expected).abs().max() / expected.std()
    assert difference < (1e-5 if folded else 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("faces", [1, 2, None])
def test_pytorch_export_by_dynamo_with_weights_in_a_file_beside(tmp_path, faces):
    """For one face at a time, for two, or for any number."""
    pytest.importorskip("onnxscript")
    torch.manual_seed(0)
    network = LResNet(
        (1, 1, 1, 2), (8, 8, 8, 16, 16), 32, dropout=0.0, eps=1e-5, scale_input=False
    ).eval()
    path = tmp_path / "iresnet.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(faces or 2, 3, 112, 112),),
            path,
            dynamo=True,
            external_data=True,
            dynamic_shapes=None if faces else ({0: torch.export.Dim("faces")},),
        )
    assert (tmp_path / "iresnet.onnx.data").is_file()
    x = torch.rand(3, 3, 112, 112) * 2 - 1
    with torch.inference_mode():
        expected = network(x)
        assert (load(path)(x) - expected).abs().max() / expected.std() < 1e-5


@pytest.mark.parametrize("shape", [(4,), (4, 1, 1), (1, 4, 1, 1)])
def test_slopes_of_every_shape(tmp_path, shape):
    nodes, tensors = small()
    expected = load(write(tmp_path, model(nodes, tensors)))
    tensors["slope"] = tensors["slope"].reshape(shape)
    network = load(write(tmp_path, model(nodes, tensors)))
    x = torch.rand(1, 3, 112, 112)
    assert torch.equal(network(x), expected(x))


def test_slopes_that_are_not_per_channel(tmp_path):
    nodes, tensors = small()
    tensors["slope"] = tensors["slope"].reshape(1, 1, 4)
    with pytest.raises(WeightsError, match="per channel"):
        load(write(tmp_path, model(nodes, tensors)))


def in_typed_field(array, name):
    """A tensor outside ``raw_data``, as MXNet's exporters wrote it."""
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor(name, kind, array.shape, array.ravel().tolist())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
@pytest.mark.parametrize("typed", [True, False])
def test_numbers_of_every_type_and_place(tmp_path, dtype, typed):
    nodes, tensors = small(scaled=True)
    expected = load(write(tmp_path, model(nodes, tensors)))
    for name, array in tensors.items():
        converted = array.astype(dtype)
        tensors[name] = in_typed_field(converted, name) if typed else converted
    network = load(write(tmp_path, model(nodes, tensors, batch=1)))
    x = torch.rand(2, 3, 112, 112) * 255
    tolerance = 2e-2 if dtype is np.float16 else 0
    torch.testing.assert_close(network(x), expected(x), atol=tolerance, rtol=0)


def external(tmp_path):
    proto = model(*small())
    convert_model_to_external_data(proto, location="x.data", size_threshold=0)
    onnx.save(proto, tmp_path / "x.onnx")
    return proto


def test_weights_in_a_file_beside(tmp_path):
    external(tmp_path)
    expected = load(write(tmp_path.parent, model(*small())))
    x = torch.rand(1, 3, 112, 112)
    assert torch.equal(load(tmp_path / "x.onnx")(x), expected(x))


@pytest.mark.parametrize("location", ["../x.data", "/etc/passwd", "", "..", "missing"])
def test_weights_in_a_file_elsewhere_are_refused(tmp_path, location):
    proto = external(tmp_path)
    for tensor in proto.graph.initializer:
        tensor.ClearField("raw_data")
        tensor.external_data[0].value = location
    (tmp_path / "x.onnx").write_bytes(proto.SerializeToString())
    with pytest.raises(WeightsError, match="same folder"):
        load(tmp_path / "x.onnx")


def test_a_short_file_beside(tmp_path):
    external(tmp_path)
    with (tmp_path / "x.data").open("r+b") as file:
        file.truncate(20)
    with pytest.raises(FormatError, match=r"x\.data"):
        load(tmp_path / "x.onnx")


@pytest.mark.parametrize("op", ["QLinearConv", "QuantizeLinear", "MatMulInteger"])
def test_quantised_networks_name_the_file_to_take(tmp_path, op, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # not installed
    nodes, tensors = small()
    nodes.insert(0, (op, ["data", "w"], ["q"], {}))
    with pytest.raises(WeightsError, match=r"quantised.*arcfaceresnet100-8\.onnx"):
        load(write(tmp_path, model(nodes, tensors)))


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (("Einsum", ["f"], ["fc1"], {}), r"'fc1' \(Einsum\): unsupported"),
        (("Relu", ["f"], ["fc1"], {"domain": "acme"}), r"'fc1' \(acme:Relu\)"),
        (("Gemm", ["f", "lost"], ["fc1"], {}), "'lost'.* is not among"),
        (("Gemm", ["f", "fc", "gamma"], ["fc1"], {"transB": 1}), "fc1"),
        (("Gemm", ["f", "fc"], ["fc1"], {"transB": 1, "alpha": 2.0}), "alpha"),
        (("Add", ["f", "gamma"], ["fc1"], {}), "must match"),
        (("Relu", ["nothing"], ["fc1"], {}), "'nothing'"),
        (("Relu", ["p"], ["fc1"], {}), "3-dimensional"),
    ],
)
def test_what_cannot_be_run_is_named(tmp_path, node, message):
    nodes, tensors = small()
    nodes[-1] = node
    with pytest.raises(WeightsError, match=message):
        load(write(tmp_path, model(nodes, tensors)))


def test_a_shape_that_lies_fails_at_once(tmp_path):
    for dims in ([2**40], [2**20, 2**20, 2**20], [-1, 3, 3, 3], [4, 3, 3, 4]):
        nodes, tensors = small()
        proto = model(nodes, tensors)
        del proto.graph.initializer[0].dims[:]
        proto.graph.initializer[0].dims.extend(dims)
        started = time.process_time()
        with pytest.raises(WeightsError):
            load(write(tmp_path, proto))
        assert time.process_time() - started < 0.5


def test_a_file_of_nothing_but_descriptions_is_refused(tmp_path):
    empty_nodes = b"\x0a\x00" * 5_000_000
    size = b"\x80\xad\xe2\x04"  # 10,000,000
    path = tmp_path / "x.onnx"
    path.write_bytes(b"\x08\x07\x3a" + size + empty_nodes)
    with pytest.raises(FormatError, match="too long a description"):
        load(path)


@pytest.mark.parametrize("data", [b"\x00", b"PK\3\4" * 9, b"\xff" * 30, b"\x08\x03", b"\x3a\x7f"])
def test_other_files(tmp_path, data):
    path = tmp_path / "x.onnx"
    path.write_bytes(data)
    with pytest.raises(FormatError):
        load(path)


def test_damaged_files_give_an_error_or_load(tmp_path):
    path = write(tmp_path, model(*small(scaled=True)))
    intact = path.read_bytes()
    rng = random.Random(1)
    loaded = 0
    for _ in range(200):
        data = bytearray(intact)
        for _ in range(rng.choice((1, 1, 3))):
            # Nodes stand at the beginning, names and shapes at the end.
            place = rng.randrange(500) * rng.choice((1, -1))
            data[place] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            load(path)
            loaded += 1
        except FacetoolError as error:
            assert "\n" not in str(error)
    assert 0 < loaded < 200


def test_normalisation_of_another_width(tmp_path):
    nodes, tensors = small()
    for name in ("gamma", "beta", "mean", "var"):
        tensors[name] = np.ones(5, np.float32)
    with pytest.raises(WeightsError, match="normalisation of 5 channels on 4"):
        load(write(tmp_path, model(nodes, tensors)))


def test_a_float16_network(tmp_path):
    """As converters write it: weights and steps in float16, input and output in float32."""
    nodes, tensors = small()
    nodes[0][1][0] = "half"
    nodes[-1][2][0] = "fc1_half"
    nodes = [
        ("Cast", ["data"], ["half"], {"to": TensorProto.FLOAT16}),
        *nodes,
        ("Cast", ["fc1_half"], ["fc1"], {"to": TensorProto.FLOAT}),
    ]
    tensors = {name: array.astype(np.float16) for name, array in tensors.items()}
    path = write(tmp_path, model(nodes, tensors))
    x = np.random.default_rng(0).uniform(-1, 1, (2, 3, 112, 112)).astype(np.float32)
    (expected,) = (
        pytest.importorskip("onnxruntime").InferenceSession(str(path)).run(None, {"data": x})
    )
    # ONNX Runtime rounds every step to float16, of 11 bits; here it is float32.
    assert largest_difference(load(path), torch.from_numpy(x), expected) < 4e-3 * expected.std()


def test_a_gray_network_is_not_taken_for_one_of_colours(tmp_path):
    nodes, tensors = small()
    tensors["w"] = tensors["w"][:, :1]
    proto = model(nodes, tensors)
    proto.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    network = load(write(tmp_path, proto))
    assert network.recipe.channels == "gray"
    assert network.info.assumed == ("scaling", "crop")
    assert network(torch.rand(2, 1, 112, 112)).shape == (2, 6)
