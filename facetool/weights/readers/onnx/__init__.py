"""Reader for ONNX files of face networks, among them those that onnxruntime refuses.

:mod:`.file` takes the bytes apart, :mod:`.node` gives attributes as Python values, :mod:`.reader`
goes through the graph, :mod:`.operators` and :mod:`.constants` say what each operation means,
:mod:`.recipe` what is known of the input, and :mod:`.engine` runs quantised files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from facetool.alignment.recipes import ARCFACE_112, ARCFACE_112X96, Crop
from facetool.errors import FormatError, WeightsError
from facetool.networks.engine import EngineNetwork
from facetool.networks.graph import GraphNetwork, MapNetwork
from facetool.weights.finite import check_constants_finite, check_weights_finite
from facetool.weights.readers.lowering import Array, identifier
from facetool.weights.readers.onnx.engine import load_quantised, quantised_by, refuse_quantised
from facetool.weights.readers.onnx.file import Tensor, read_onnx
from facetool.weights.readers.onnx.reader import GraphReader
from facetool.weights.readers.onnx.recipe import stated_info, with_recipe
from facetool.weights.readers.onnx.shapes import channels_last

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, ValueInfoProto

_EMBEDDING = "fc1"
_LARGEST_INPUT = 4096  # pixels of an edge
_PHOTO = (640, 640)  # pixels; a detector is read for photos of every size, tried with this one


def load(path: Path, output: str = "") -> GraphNetwork | EngineNetwork:
    """Read a network with its weights.

    A recipe in the model's metadata is the network's. Without one, and where the input is declared
    to be of the size of ArcFace's crops or of no size, such crops are assumed: RGB 0…255 where the
    graph scales its input itself (as MXNet's exports do), (RGB - 127.5) / 127.5 where it does not
    (as arcface_torch's). A network that declares another size has no recipe.

    Args:
        path: the ``.onnx`` file. Weights beside it in a file of their own are read as well.
        output: the layer whose values are the embedding, by the name of its result.

    Returns:
        The network in eval mode. Every scale of a batch normalisation is the one in the file:
        MXNet's ``fix_gamma`` leaves no trace in ONNX.

    Raises:
        FormatError: the file is damaged or of another kind.
        WeightsError: it is quantised, or has an operation that is not supported.
    """
    model, tensors = read_onnx(path)
    try:
        last = _layer(model.graph, output) if output else _embedding(model.graph)
        stated = stated_info(model)
        declared = _declared_size(model.graph, tensors)
        crops: tuple[Crop, ...] = (ARCFACE_112, ARCFACE_112X96)
        if stated is not None:
            crops = (stated.recipe.crop,)
        elif declared is not None:
            crops = tuple(crop for crop in crops if (crop.height, crop.width) == declared) or (
                replace(ARCFACE_112, height=declared[0], width=declared[1]),
            )
        network, crop = _network(path, model, tensors, last, crops)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: a name in it is damaged: {error}") from None
    if isinstance(network, EngineNetwork):
        check_constants_finite(_floats(tensors), path)
    network.info = with_recipe(
        replace(network.info, input_size=declared),
        network,
        stated,
        crop,
        gray=_channels(model.graph, tensors) == 1,
    )
    return network


def _floats(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Array]]:
    """Names and numbers of those that are no integers."""
    from onnx import TensorProto

    kinds = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    for name, tensor in tensors.items():
        if tensor.proto.data_type in kinds:
            yield name, tensor.array()


def _declared_size(graph: GraphProto, tensors: dict[str, Tensor]) -> tuple[int, int] | None:
    """Height and width of the input, where the file fixes both."""
    for value in graph.input:
        if value.name not in tensors:
            sizes = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            if channels_last(sizes):
                sizes = [sizes[0], sizes[3], sizes[1], sizes[2]]
            if len(sizes) == 4 and 0 < sizes[2] <= _LARGEST_INPUT >= sizes[3] > 0:
                return sizes[2], sizes[3]
    return None


def _network(
    path: Path, model: ModelProto, tensors: dict[str, Tensor], last: str, crops: Sequence[Crop]
) -> tuple[GraphNetwork | EngineNetwork, Crop]:
    """The network, and the first of ``crops`` whose size it takes."""
    if operation := quantised_by(model.graph):
        if any(tensor.external for tensor in tensors.values()):
            raise WeightsError(
                "a quantised network with its weights in another file, which is not run"
            )
        size = (crops[0].height, crops[0].width)
        return load_quantised(path, model.graph, operation, last, size), crops[0]
    problems = []
    for crop in crops:
        shape = (_channels(model.graph, tensors), crop.height, crop.width)
        try:
            return GraphReader(path, model, tensors, shape).network(last), crop
        except WeightsError as error:
            problems.append(str(error))
    if len(set(problems)) == 1:
        raise WeightsError(problems[0])
    sizes = " nor ".join(f"{crop.width}x{crop.height}" for crop in crops)
    raise WeightsError(f"takes no crops of {sizes}: {problems[0]}")


def _channels(graph: GraphProto, tensors: dict[str, Tensor]) -> int:
    """1 where the input is declared to be gray, else 3."""
    for value in graph.input:
        if value.name not in tensors:
            sizes = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
            return 1 if sizes[3 if channels_last(sizes) else 1 :][:1] == [1] else 3
    return 3


def load_maps(path: Path) -> tuple[MapNetwork, list[str]]:
    """Read a network with several outputs, such as a face detector, with its weights.

    Args:
        path: the ``.onnx`` file.

    Returns:
        The network in eval mode, for photos of every size, and the names the file gives its
        outputs. An output that is a list of places has the shape (N, places, values), also where
        the file joins a batch: the steps that turn a map into one keep the photos of a batch
        apart, whatever order the file gives the axes.

    Raises:
        FormatError: the file is damaged or of another kind.
        WeightsError: it is quantised, has an operation that is not supported, or weights that are
            not finite.
    """
    model, tensors = read_onnx(path)
    try:
        refuse_quantised(model.graph)
        outputs = [value.name for value in model.graph.output]
        shape = (3, *(_declared_size(model.graph, tensors) or _PHOTO))
        network = GraphReader(path, model, tensors, shape, any_size=True).maps(outputs)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: a name in it is damaged: {error}") from None
    check_weights_finite(network, path)
    return network, outputs


def _layer(graph: GraphProto, name: str) -> str:
    """The result of that name, or of the name that it has in the network read from the file."""
    results = [str(result) for node in graph.node for result in node.output]
    for result in results:
        known = identifier(result)
        if name in (result, known, f"layers.{known}"):  # the last as a list of layers has it
            return result
    near = get_close_matches(name, results, 5) or results[-5:]
    raise WeightsError(f"there is no layer {name!r}; near are {', '.join(near)}")


def _embedding(graph: GraphProto) -> str:
    """The name of the output that is the embedding."""
    outputs = [value.name for value in graph.output]
    if len(outputs) == 1 or _EMBEDDING in outputs:
        return outputs[0] if len(outputs) == 1 else _EMBEDDING
    vectors = [str(value.name) for value in graph.output if _is_vector(value)]
    if len(vectors) != 1:
        listed = ", ".join([*outputs[:5], *["…"] * (len(outputs) > 5)])
        raise WeightsError(
            f"has {len(outputs)} outputs ({listed}); say which is the embedding, output=NAME"
        )
    return vectors[0]


def _is_vector(value: ValueInfoProto) -> bool:
    """Whether an output is declared as several numbers a face; AdaFace's length is one."""
    lengths = [axis.dim_value for axis in value.type.tensor_type.shape.dim]
    return len(lengths) == 2 and lengths[1] > 1
