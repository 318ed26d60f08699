"""The ONNX file format: a description that the ``onnx`` package parses, and the tensors' bytes.

The bytes, which are nearly all of a file, are cut out before parsing and read where they lie:
they cost no second copy, and a small file cannot announce large tensors. What is cut at is the
encoding of https://protobuf.dev/programming-guides/encoding with the field numbers of
``onnx.proto``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facetool.errors import FormatError, WeightsError
from facetool.files.byte_reader import ByteReader
from facetool.weights.readers.lowering import Array

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

_LARGEST_DESCRIPTION = 2**21  # bytes of a graph without its tensors; LResNet100E-IR has 133,000
_MOST_FIELDS = 2**16  # of a graph: nodes, tensors and inputs
_GRAPH, _INITIALIZER = 7 << 3 | 2, 5 << 3 | 2
_FLOAT_DATA, _RAW_DATA, _DOUBLE_DATA = 4 << 3 | 2, 9 << 3 | 2, 10 << 3 | 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class Tensor:
    """An initialiser: its description, and its numbers where they lie in the file."""

    def __init__(self, path: Path, proto: TensorProto, parts: dict[int, memoryview]) -> None:
        self.path = path
        self.proto = proto
        self.parts = parts

    @property
    def external(self) -> bool:
        """Whether the numbers are kept in a file of their own."""
        from onnx import TensorProto

        return bool(self.proto.data_location == TensorProto.EXTERNAL)

    def array(self) -> Array:
        """The numbers, as a view of the file where that can be.

        Raises:
            FormatError: the file that holds them is too short.
            WeightsError: they are not as many as the shape says, or of no usable type.
        """
        from onnx import TensorProto
        from onnx.helper import tensor_dtype_to_np_dtype

        proto = self.proto
        try:
            dtype = np.dtype(tensor_dtype_to_np_dtype(proto.data_type))
            if proto.data_location == TensorProto.EXTERNAL:
                content = self._external(dtype.itemsize * math.prod(proto.dims))
            elif _RAW_DATA in self.parts:
                content = self.parts[_RAW_DATA]
            elif _FLOAT_DATA in self.parts and proto.data_type == TensorProto.FLOAT:
                content = self.parts[_FLOAT_DATA]
            elif _DOUBLE_DATA in self.parts and proto.data_type == TensorProto.DOUBLE:
                content = self.parts[_DOUBLE_DATA]
            else:
                return small_array(proto)
            if min(proto.dims, default=0) < 0:
                raise ValueError(f"shape {list(proto.dims)}")
            return _numeric(np.frombuffer(content, dtype).reshape(tuple(proto.dims)))
        except (KeyError, TypeError, ValueError) as error:
            reason = str(error)[:100]
            raise WeightsError(f"the tensor {proto.name!r} is not what it says: {reason}") from None

    def _external(self, size: int) -> memoryview:
        """The bytes from a file beside the model's."""
        place = {entry.key: entry.value for entry in self.proto.external_data}
        name = place.get("location", "")
        file = self.path.with_name(name) if name and Path(name).name == name else None
        if file is None or file.is_symlink() or not file.is_file():
            raise WeightsError(
                f"{self.proto.name!r} is kept in another file, {name[:100]!r}, which must lie in "
                "the same folder under a plain name"
            )
        reader = ByteReader(file)
        reader.take(int(place.get("offset", "0")))
        return reader.take(size)


def small_array(proto: TensorProto) -> Array:
    """The numbers of a tensor that is part of the description, such as a shape.

    Raises:
        KeyError, TypeError, ValueError: they are not as many as the shape says, not in this
            file, or not numbers.
    """
    from onnx import TensorProto
    from onnx.numpy_helper import to_array

    if proto.data_location == TensorProto.EXTERNAL:
        raise ValueError("a constant in another file")
    return _numeric(to_array(proto))


def _numeric(array: Array) -> Array:
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise ValueError(f"an array of {array.dtype}")
    return array


def read_onnx(path: Path) -> tuple[ModelProto, dict[str, Tensor]]:
    """The model without its initialisers, and these.

    Raises:
        FormatError: the file is damaged, or not ONNX at all.
    """
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import GraphProto, ModelProto, TensorProto

    reader = ByteReader(path)
    try:
        rest, graphs = _cut(path, reader.take(reader.remaining), (_GRAPH,))
        model = ModelProto.FromString(rest)
        if not graphs:
            raise FormatError(f"{path}: not an ONNX file: no graph in it")
        description, initializers = _cut(path, graphs[-1][1], (_INITIALIZER,))
        model.graph.CopyFrom(GraphProto.FromString(description))
        tensors = {}
        for _, message in initializers:
            rest, parts = _cut(path, message, (_FLOAT_DATA, _RAW_DATA, _DOUBLE_DATA))
            proto = TensorProto.FromString(rest)
            tensors[proto.name] = Tensor(path, proto, dict(parts))
    except (DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: not an ONNX file, or damaged: {error}") from None
    return model, tensors


def _cut(
    path: Path, message: memoryview, keys: Sequence[int]
) -> tuple[bytes, list[tuple[int, memoryview]]]:
    """A message without the fields of the given keys, and the contents of these.

    Raises:
        FormatError: the message is damaged, or too much of it remains.
    """
    rest = bytearray()
    found = []
    for count, (key, start, content, end) in enumerate(_fields(path, message)):
        if key in keys:
            found.append((key, message[content:end]))
        else:
            rest += message[start:end]
        if len(rest) > _LARGEST_DESCRIPTION or count > _MOST_FIELDS:
            raise FormatError(f"{path}: not an ONNX file of a network: too long a description")
    return bytes(rest), found


def _fields(path: Path, message: memoryview) -> Iterator[tuple[int, int, int, int]]:
    """Each field of a message: its key, and where it, its content and its end are."""
    position = 0
    while position < len(message):
        start = position
        key, content = _varint(path, message, position)
        if key & 7 == _VARINT:
            _, end = _varint(path, message, content)
        elif key & 7 == _BYTES:
            length, content = _varint(path, message, content)
            end = content + length
        elif key & 7 in (_FIXED32, _FIXED64):
            end = content + (4 if key & 7 == _FIXED32 else 8)
        else:
            raise FormatError(f"{path}: not an ONNX file, or damaged")
        if end > len(message):
            raise FormatError(f"{path}: not an ONNX file, or cut short")
        yield key, start, content, end
        position = end


def _varint(path: Path, message: memoryview, position: int) -> tuple[int, int]:
    """A number of up to 64 bits, seven to a byte, and the position after it."""
    value = 0
    for index, byte in enumerate(message[position : position + 10]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, position + index + 1
    raise FormatError(f"{path}: not an ONNX file, or cut short")
