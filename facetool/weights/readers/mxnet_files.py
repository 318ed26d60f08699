"""The files of MXNet's checkpoints: the arrays of ``.params``, and the nodes of a symbol.

The layout of ``.params`` is that of MXNet's ``src/ndarray/ndarray.cc`` (``NDArray::Load``), with
every header that file still reads. Symbols of every age are read, from "param" and implied
auxiliary states (before 0.9) to "attr" and "attrs".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facetool.errors import FormatError, WeightsError
from facetool.files.byte_reader import ByteReader
from facetool.files.json_file import parse_json
from facetool.files.text import counted
from facetool.weights.readers.lowering import Array, small_integer

_EMBEDDING = "fc1"
"""The layer whose output InsightFace's networks give as the embedding."""

_LIST_MAGIC = 0x112
_V1, _V2, _V3 = 0xF993FAC8, 0xF993FAC9, 0xF993FACA
_MOST_DIMENSIONS = 32
_LARGEST_SYMBOL = 2**24  # bytes; the longest of InsightFace's symbols has less than a million
_BAD_JSON = (
    *(ArithmeticError, AttributeError, LookupError),
    *(RecursionError, TypeError, ValueError),
)
"""What values that are not those of a symbol raise."""

_BFLOAT16 = 12
_DTYPES = {
    0: "<f4",
    1: "<f8",
    2: "<f2",
    3: "<u1",
    4: "<i4",
    5: "<i1",
    6: "<i8",
    7: "?",
    8: "<i2",
    9: "<u2",
    10: "<u4",
    11: "<u8",
    _BFLOAT16: "<u2",
}


def symbol_path(path: Path) -> Path:
    """``prefix-symbol.json``, where the symbol of ``prefix-0000.params`` lies."""
    prefix = re.sub(r"-\d{4,}$", "", path.stem)
    return path.with_name(f"{prefix}-symbol.json")


def read_params(path: Path) -> dict[str, Array]:
    """The arrays of a ``.params`` file by name, without ``arg:`` and ``aux:``.

    Returns:
        Read-only views of the mapped file; reading them costs no memory before they are used.

    Raises:
        FormatError: the file is damaged or of another kind.
    """
    reader = ByteReader(path)
    magic, _, count = reader.unpack("<QQQ")
    if magic != _LIST_MAGIC:
        raise FormatError(f"{path}: not a parameter file of MXNet")
    arrays: list[Array | None] = []
    while len(arrays) < count:
        arrays.append(_read_array(reader))
    (count,) = reader.unpack("<Q")
    if count != len(arrays):
        raise reader.fail(f"{len(arrays):,} arrays with {counted(count, 'name')}")
    named = {}
    for array in arrays:
        (length,) = reader.unpack("<Q")
        name = bytes(reader.take(length)).decode(errors="replace")
        if array is not None:
            named[re.sub("^(arg|aux):", "", name)] = array
    return named


def _read_array(reader: ByteReader) -> Array | None:
    """One array, or None where an empty one was saved."""
    (magic,) = reader.unpack("<I")
    if magic in (_V2, _V3):
        (storage,) = reader.unpack("<i")
        if storage != 0:
            raise reader.fail("a sparse array, which no face network has")
        shape = _read_shape(reader, "i", "q")
    elif magic == _V1:
        shape = _read_shape(reader, "i", "q")
    else:  # before there was a magic number, an array began with its number of dimensions
        reader.position -= 4
        shape = _read_shape(reader, "i", "I")
    # Without dimensions MXNet writes no more, except that since V3 () is a scalar, -1 nothing.
    if shape is None or (not shape and magic != _V3):
        return None
    *_, dtype = reader.unpack("<iii")  # kind and number of the device it was on come first
    if dtype not in _DTYPES:
        raise reader.fail(f"an array of unknown type {dtype}")
    array = reader.array(_DTYPES[dtype], math.prod(shape))
    if dtype == _BFLOAT16:  # the upper half of a float32
        array = (array.astype("<u4") << 16).view("<f4")
    return array.reshape(shape)


def _read_shape(reader: ByteReader, count: str, size: str) -> tuple[int, ...] | None:
    (dimensions,) = reader.unpack(f"<{count}")
    if dimensions == -1:
        return None
    if not 0 <= dimensions <= _MOST_DIMENSIONS:
        raise reader.fail(f"an array of {dimensions} dimensions, or none at all")
    shape = reader.unpack(f"<{dimensions}{size}")
    if any(length <= 0 for length in shape):
        raise reader.fail(f"an array of shape {shape}")
    return shape


@dataclass(frozen=True)
class SymbolNode:
    """One node of a symbol.

    Attributes:
        name: as in the symbol.
        op: MXNet's operator, ``null`` for a variable.
        inputs: numbers of earlier nodes, with the number of their output.
        attributes: text, as in the file.

    Raises:
        WeightsError: from the methods, where an attribute is of another kind.
    """

    name: str
    op: str
    inputs: tuple[tuple[int, int], ...]
    attributes: Mapping[str, str]

    def pair(self, key: str, default: Sequence[int] | None = None) -> list[int]:
        """Two numbers, for height and width."""
        text = self.attributes.get(key, "").strip("()[] ")
        # Python 2 wrote long integers: (3L, 3L).
        numbers = [self._integer(key, part.strip(" L")) for part in text.split(",") if part]
        if not numbers and default is not None:
            return list(default)
        if len(numbers) != 2:
            raise WeightsError(f"{key} {text[:40]!r} is not a pair of numbers")
        return numbers

    def integer(self, key: str, default: int) -> int:
        """A whole number."""
        return self._integer(key, self.attributes.get(key, str(default)))

    def optional_integer(self, key: str) -> int | None:
        """A whole number or ``None``."""
        return None if self.text(key, "None") == "None" else self.integer(key, 0)

    def _integer(self, key: str, text: str) -> int:
        try:
            return small_integer(int(text[:20]))
        except ValueError:
            raise WeightsError(f"{key} {text[:40]!r} is not a whole number") from None

    def number(self, key: str, default: float | None = None) -> float:
        """A finite number."""
        text = self.attributes.get(key, str(default))
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise WeightsError(f"{key} {text[:40]!r} is not a number")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """True or False, or 1 or 0."""
        return self.attributes.get(key, str(default)).lower() in ("true", "1")

    def text(self, key: str, default: str) -> str:
        """Any text."""
        return self.attributes.get(key, default)


def read_symbol(path: Path, output: str = "") -> tuple[list[SymbolNode], int]:
    """The nodes of a symbol, each after its inputs, and the number of the embedding's node.

    Args:
        path: the symbol.
        output: name of that node, where it is not ``fc1``.

    Raises:
        FormatError: the file is not a symbol.
        WeightsError: it has several outputs, none of them ``fc1``, or no such node.
    """
    if path.stat().st_size > _LARGEST_SYMBOL:
        raise FormatError(f"{path}: too long for a symbol")
    try:
        graph = parse_json(path.read_bytes(), "its text")
        nodes = [_symbol_node(number, values) for number, values in enumerate(graph["nodes"])]
        heads = {int(head[0]) for head in graph["heads"]}
    except (FormatError, *_BAD_JSON) as error:
        raise FormatError(f"{path}: not a symbol of MXNet: {str(error)[:100]}") from None
    for number, node in enumerate(nodes):
        if node.name == (output or _EMBEDDING) and node.op != "null":
            return nodes, number
    if output:
        raise WeightsError(f"{path}: there is no node {output!r}")
    if len(heads) != 1:
        raise WeightsError(f"{path}: {len(heads)} outputs, and none is called {_EMBEDDING}")
    (last,) = heads
    if not 0 <= last < len(nodes):
        raise FormatError(f"{path}: the output is node {last} of {len(nodes)}")
    return nodes, last


def _symbol_node(number: int, values: Mapping[str, Any]) -> SymbolNode:
    """One entry of the JSON, of any age.

    Raises:
        one of ``_BAD_JSON``: it is none.
    """
    attributes: dict[str, str] = {}
    for key in ("attr", "param", "attrs"):
        attributes.update(
            (str(name), str(text)) for name, text in dict(values.get(key, {})).items()
        )
    inputs = tuple((int(entry[0]), int(entry[1])) for entry in values["inputs"])
    if any(not 0 <= source < number for source, _ in inputs):
        raise ValueError(f"node {number} stands before its inputs")
    return SymbolNode(str(values["name"]), str(values["op"]), inputs, attributes)
