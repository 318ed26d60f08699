"""Graphs beyond plain convolutional ones, against ONNX Runtime."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from facetool.alignment.recipes import ARCFACE_112, Recipe
from facetool.errors import UsageError, WeightsError
from facetool.networks.base import EmbeddingNetwork
from facetool.networks.count import count_layers
from facetool.networks.engine import EngineNetwork
from facetool.networks.fold import fold_batch_norm
from facetool.weights.load import read_network
from facetool.weights.onnx_export import to_onnx
from facetool.weights.safetensors import save_network

Nodes = list[tuple[str, list[str], list[str], dict[str, Any]]]

RNG = np.random.default_rng(4)


def weights(*shape: int) -> np.ndarray:
    return RNG.normal(0, np.prod(shape[1:], initial=1) ** -0.5, shape).astype(np.float32)


STEM: Nodes = [
    ("Conv", ["x", "conv"], ["map"], {"strides": [16, 16]}),
    ("Flatten", ["map"], ["flat"], {}),
    ("MatMul", ["flat", "fc"], ["e"], {}),
]
TENSORS = {"conv": weights(4, 3, 16, 16), "fc": weights(4 * 49, 6) * 3}


def write(
    path: Path,
    nodes: Nodes,
    tensors: dict[str, np.ndarray],
    *,
    opset: int = 17,
    shape: tuple[int | str, ...] = ("N", 3, 112, 112),
    outputs: tuple[tuple[str, tuple[int | str, ...]], ...] = (("out", ("N", 6)),),
) -> Path:
    graph = helper.make_graph(
        [helper.make_node(op, ins, outs, **attributes) for op, ins, outs, attributes in nodes],
        "g",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, dims) for n, dims in outputs],
        [numpy_helper.from_array(array, name) for name, array in tensors.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    )
    return path


def check(path: Path, *, last: bool = False, one: bool = False) -> EmbeddingNetwork:
    network = read_network(path)
    x = np.random.default_rng(2).uniform(-1, 1, (3, 3, 112, 112)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    fed = x.transpose(0, 2, 3, 1) if last else x
    parts = np.split(fed, 3) if one else [fed]
    name = session.get_outputs()[0].name
    expected = np.concatenate([session.run([name], {"data": part})[0] for part in parts])
    with torch.inference_mode():
        found = network(torch.from_numpy(x)).numpy()
        folded = fold_batch_norm(network)(torch.from_numpy(x)).numpy()
    assert expected.std() > 0.01
    assert np.abs(found - expected).max() < 1e-5 * expected.std()
    assert np.abs(folded - expected).max() < 1e-5 * expected.std()
    if not isinstance(network, EngineNetwork):
        session = onnxruntime.InferenceSession(to_onnx(network))
        (exported,) = session.run(None, {"data": x})
        assert np.abs(exported - expected).max() < 1e-5 * expected.std()
    return network


@pytest.mark.parametrize(
    "nodes",
    [
        [
            ("ReduceL2", ["e"], ["length"], {"axes": [1]}),
            ("Clip", ["length", "tiny"], ["clipped"], {}),
            ("Shape", ["e"], ["shape"], {}),
            ("Expand", ["clipped", "shape"], ["wide"], {}),
            ("Div", ["e", "wide"], ["out"], {}),
        ],
        [("LpNormalization", ["e"], ["out"], {"axis": 1})],
    ],
)
def test_normalised_inside(nodes: Nodes, tmp_path: Path) -> None:
    tensors = {**TENSORS, "tiny": np.array(1e-12, np.float32)}
    stem: Nodes = [("Identity", ["data"], ["x"], {}), *STEM]
    network = check(write(tmp_path / "x.onnx", stem + nodes, tensors))
    save_network(network, tmp_path / "x.safetensors")
    again = read_network(tmp_path / "x.safetensors")
    x = torch.rand(2, 3, 112, 112)
    with torch.inference_mode():
        assert torch.equal(again(x), network(x))


def test_mean_and_std_bgr_and_mirror_inside(tmp_path: Path) -> None:
    tensors = {
        **TENSORS,
        "mean": np.array([0.1, 0.2, 0.3], np.float32).reshape(1, 3, 1, 1),
        "std": np.array([0.5, 0.6, 0.7], np.float32).reshape(1, 3, 1, 1),
        "bgr": np.array([2, 1, 0]),
        "start": np.array([-1]),
        "end": np.array([-(2**63) + 1]),
        "axis": np.array([3]),
        "step": np.array([-1]),
    }
    nodes: Nodes = [
        ("Sub", ["data", "mean"], ["centred"], {}),
        ("Div", ["centred", "std"], ["scaled"], {}),
        ("Gather", ["scaled", "bgr"], ["swapped"], {"axis": 1}),
        ("Slice", ["swapped", "start", "end", "axis", "step"], ["x"], {}),
        *STEM,
        ("Identity", ["e"], ["out"], {}),
    ]
    network = check(write(tmp_path / "x.onnx", nodes, tensors))
    assert network.recipe.mean == 0 and network.recipe.scale == 1


def test_channels_last_and_one_face_at_a_time(tmp_path: Path) -> None:
    nodes: Nodes = [
        ("Transpose", ["data"], ["x"], {"perm": [0, 3, 1, 2]}),
        STEM[0],
        ("Reshape", ["map", "to"], ["flat"], {}),
        ("MatMul", ["flat", "fc"], ["out"], {}),
    ]
    tensors = {**TENSORS, "to": np.array([1, -1])}
    path = write(
        tmp_path / "x.onnx", nodes, tensors, shape=(1, 112, 112, 3), outputs=(("out", (1, 6)),)
    )
    check(path, last=True, one=True)


def test_of_several_outputs_the_vector_is_the_embedding(tmp_path: Path) -> None:
    nodes: Nodes = [
        ("Identity", ["data"], ["x"], {}),
        *STEM,
        ("ReduceL2", ["e"], ["norm"], {"axes": [1], "keepdims": 1}),
        ("Div", ["e", "norm"], ["out"], {}),
    ]
    outputs = (("out", ("N", 6)), ("norm", ("N", 1)))
    check(write(tmp_path / "x.onnx", nodes, TENSORS, outputs=outputs))
    twice = (("out", ("N", 6)), ("e", ("N", 6)))
    path = write(tmp_path / "y.onnx", nodes, TENSORS, outputs=twice)
    with pytest.raises(WeightsError, match=r"2 outputs \(out, e\); .* output=NAME"):
        read_network(path)
    listed = [one.name for one in count_layers(read_network(path, output="e"), (3, 112, 112))]
    assert "layers.e" in listed
    assert read_network(path, output="layers.e").info.embedding_size == 6


def transformer(opset: int) -> tuple[Nodes, dict[str, np.ndarray]]:
    """One head on 49 patches of width 8, its shapes calculated from the input's."""
    tensors = {
        "patch": weights(8, 3, 16, 16),
        "where": weights(1, 49, 8),
        "qkv": weights(8, 24),
        "mlp": weights(8, 8),
        "fc": weights(49 * 8, 6),
        "gamma": np.ones(8, np.float32),
        "beta": np.zeros(8, np.float32),
        "eight": np.array(8**-0.5, np.float32),
        "rest": np.array([8, -1]),
        "zero": np.array(0),
        "all": np.array([-1]),
        "root2": np.array(2**0.5, np.float32),
        "one": np.array(1, np.float32),
        "half": np.array(0.5, np.float32),
        "front": np.array([0]),
    }
    split: dict[str, Any] = {"axis": 2}
    if opset < 13:
        split["split"] = [8, 8, 8]
    elif opset >= 18:
        split["num_outputs"] = 3
    unsqueeze: tuple[list[str], dict[str, Any]] = (
        (["n"], {"axes": [0]}) if opset < 13 else (["n", "front"], {})
    )
    norm: tuple[str, list[str], list[str], dict[str, Any]] = ("Identity", ["sum"], ["normed"], {})
    if opset >= 17:
        norm = ("LayerNormalization", ["sum", "gamma", "beta"], ["normed"], {"axis": -1})
    nodes: Nodes = [
        ("Conv", ["data", "patch"], ["map"], {"strides": [16, 16]}),
        ("Shape", ["map"], ["shape"], {}),
        ("Gather", ["shape", "zero"], ["n"], {"axis": 0}),
        ("Unsqueeze", unsqueeze[0], ["first"], unsqueeze[1]),
        ("Concat", ["first", "rest"], ["to"], {"axis": 0}),
        ("Reshape", ["map", "to"], ["rows"], {}),
        ("Transpose", ["rows"], ["patches"], {"perm": [0, 2, 1]}),
        ("Add", ["patches", "where"], ["placed"], {}),
        ("MatMul", ["placed", "qkv"], ["qkvs"], {}),
        ("Split", ["qkvs"], ["q", "k", "v"], split),
        ("Transpose", ["k"], ["kt"], {"perm": [0, 2, 1]}),
        ("MatMul", ["q", "kt"], ["products"], {}),
        ("Mul", ["products", "eight"], ["scaled"], {}),
        ("Softmax", ["scaled"], ["shares"], {"axis": 2}),
        ("MatMul", ["shares", "v"], ["mixed"], {}),
        ("Add", ["placed", "mixed"], ["sum"], {}),
        norm,
        ("MatMul", ["normed", "mlp"], ["hidden"], {}),
        ("Div", ["hidden", "root2"], ["d"], {}),
        ("Erf", ["d"], ["erf"], {}),
        ("Add", ["erf", "one"], ["shifted"], {}),
        ("Mul", ["hidden", "shifted"], ["product"], {}),
        ("Mul", ["product", "half"], ["active"], {}),
        ("Concat", ["first", "all"], ["flat_shape"], {"axis": 0}),
        ("Reshape", ["active", "flat_shape"], ["flat"], {}),
        ("MatMul", ["flat", "fc"], ["out"], {}),
    ]
    return nodes, tensors


@pytest.mark.parametrize("opset", [9, 13, 17, 20])
def test_transformers_with_shapes_calculated_on_the_way(opset: int, tmp_path: Path) -> None:
    nodes, tensors = transformer(opset)
    check(write(tmp_path / "x.onnx", nodes, tensors, opset=opset))


def test_a_part_of_the_batch_is_refused(tmp_path: Path) -> None:
    nodes: Nodes = [
        ("Slice", ["data", "start", "end", "axis"], ["x"], {}),
        *STEM,
        ("Identity", ["e"], ["out"], {}),
    ]
    parts = {"start": np.array([0]), "end": np.array([2]), "axis": np.array([0])}
    path = write(tmp_path / "x.onnx", nodes, {**TENSORS, **parts})
    with pytest.raises(WeightsError, match="cuts the batch"):
        read_network(path)


def test_a_shape_for_one_face_is_one_for_any_number(tmp_path: Path) -> None:
    nodes: Nodes = [
        STEM[0],
        ("Reshape", ["map", "one"], ["flat"], {}),
        STEM[2],
        ("Identity", ["e"], ["out"], {}),
    ]
    nodes.insert(0, ("Identity", ["data"], ["x"], {}))
    tensors = {**TENSORS, "one": np.array([1, 196])}
    check(write(tmp_path / "x.onnx", nodes, tensors), one=True)


def test_quantised_networks_run_on_onnx_runtime(tmp_path: Path) -> None:
    nodes: Nodes = [
        ("QuantizeLinear", ["data", "step", "zero"], ["small"], {}),
        ("DequantizeLinear", ["small", "step", "zero"], ["x"], {}),
        *STEM,
        ("Identity", ["e"], ["out"], {}),
    ]
    tensors = {**TENSORS, "step": np.array(0.01, np.float32), "zero": np.array(0, np.int8)}
    path = write(tmp_path / "x.onnx", nodes, tensors)
    network = check(path)
    assert isinstance(network, EngineNetwork) and network.info.embedding_size == 6
    assert [one.kind for one in network.layers][:2] == ["QuantizeLinear", "DequantizeLinear"]
    assert network.layers[-1] == ("out", "Identity", ())
    with pytest.raises(WeightsError, match="ONNX Runtime"):
        save_network(network, tmp_path / "x.safetensors")
    with pytest.raises(UsageError, match="run by ONNX Runtime in the precision of its file"):
        network.in_dtype("bfloat16")
    broken = {**tensors, "conv": np.full_like(tensors["conv"], np.nan)}
    with pytest.raises(WeightsError, match=r"y\.onnx: .* numbers of conv are not finite"):
        read_network(write(tmp_path / "y.onnx", nodes, broken))
    # A quantiser keeps what the export said, but published figures are not those of its weights.
    model = onnx.load(path)
    said = {"recipe": Recipe(ARCFACE_112).as_dict(), "weights": "dlib-resnet.v1"}
    helper.set_model_props(model, {"facetool": json.dumps(said)})
    onnx.save(model, path)
    info = read_network(path).info
    assert (info.weights_name, info.assumed) == ("x.onnx", ())


def test_a_quantised_network_may_take_crops_that_are_not_square(tmp_path: Path) -> None:
    nodes: Nodes = [
        ("QuantizeLinear", ["data", "step", "zero"], ["small"], {}),
        ("DequantizeLinear", ["small", "step", "zero"], ["x"], {}),
        *STEM,
        ("Identity", ["e"], ["out"], {}),
    ]
    tensors = {
        "conv": TENSORS["conv"],
        "fc": weights(4 * 42, 6),
        "step": np.array(0.01, np.float32),
        "zero": np.array(0, np.int8),
    }
    network = read_network(write(tmp_path / "x.onnx", nodes, tensors, shape=("N", 3, 112, 96)))
    assert isinstance(network, EngineNetwork) and network.recipe.shape == (3, 112, 96)
    with torch.inference_mode():
        assert network(torch.rand(2, 3, 112, 96)).shape == (2, 6)


@pytest.mark.parametrize("axes", [[2], [-1], None])
@pytest.mark.parametrize("opset", [11, 13])
def test_a_dimension_that_comes_and_goes(
    axes: list[int] | None, opset: int, tmp_path: Path
) -> None:
    asked: list[tuple[list[str], dict[str, Any]]] = [(["behind"], {}), (["given"], {})]
    if opset < 13:
        asked = [([], {"axes": [2]}), ([], {"axes": axes})]
    if axes is None:
        asked[1] = ([], {})
    nodes: Nodes = [
        ("Identity", ["data"], ["x"], {}),
        *STEM,
        ("Unsqueeze", ["e", *asked[0][0]], ["wider"], asked[0][1]),
        ("Squeeze", ["wider", *asked[1][0]], ["out"], asked[1][1]),
    ]
    tensors = {**TENSORS, "behind": np.array([2]), "given": np.array(axes or [2])}
    check(write(tmp_path / "x.onnx", nodes, tensors, opset=opset))


@pytest.mark.parametrize(
    ("opset", "axis", "over_several"), [(11, 1, True), (11, 2, False), (13, 1, False)]
)
def test_softmax_of_old_opsets_is_over_all_axes_behind(
    opset: int, axis: int, over_several: bool, tmp_path: Path
) -> None:
    nodes: Nodes = [
        ("Identity", ["data"], ["x"], {}),
        *STEM,
        ("Reshape", ["e", "pairs"], ["folded"], {}),
        ("Softmax", ["folded"], ["shares"], {"axis": axis}),
        ("Flatten", ["shares"], ["out"], {}),
    ]
    tensors = {**TENSORS, "pairs": np.array([-1, 2, 3])}
    path = write(tmp_path / "x.onnx", nodes, tensors, opset=opset)
    if over_several:
        with pytest.raises(WeightsError, match="over several axes"):
            read_network(path)
    else:
        check(path)


def test_what_grows_without_bound_is_refused(tmp_path: Path) -> None:
    nodes: Nodes = [
        ("ConstantOfShape", ["huge"], ["zeros"], {}),
        ("Identity", ["data"], ["x"], {}),
        *STEM,
        ("ReduceSum", ["zeros"], ["total"], {"keepdims": 0}),
        ("Add", ["e", "total"], ["out"], {}),
    ]
    tensors = {**TENSORS, "huge": np.array([2**40, 2**20])}
    with pytest.raises(WeightsError):
        read_network(write(tmp_path / "x.onnx", nodes, tensors))
