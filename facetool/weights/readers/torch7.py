"""Torch7 serialisation (``.t7``, binary and ascii) as inert Python objects.

The format, as Torch7's ``File.lua``, ``Tensor.lua`` and ``DiskFile.c`` write it: an object is a
type number followed by its value. Tables, functions and instances of classes carry an index,
and are written once: later mentions are type and index only.

Nothing in a file is executed, and nothing is believed before it is checked against the bytes
that are really there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError
from facetool.files.byte_reader import ByteReader

MAX_DEPTH = 200
"""Objects within objects; a network of eight nested modules needs about 25."""
MAX_OBJECTS = 1_000_000
"""Values in one file; the largest OpenFace network has some ten thousand."""
MAX_DIMENSIONS = 32

_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN, _FUNCTION, _OLD_RECURSIVE, _RECURSIVE = range(9)
_VERSION = re.compile(r"V (\d{1,9})")
_CLASS_NAME = re.compile(r"[\w.]{1,100}", re.ASCII)
_ARRAY_CLASS = re.compile(r"torch\.([A-Z][a-z]+)(Tensor|Storage)")
_ELEMENTS = {
    "Byte": "u1",
    "Char": "i1",
    "Short": "<i2",
    "Int": "<i4",
    "Long": "<i8",
    "Float": "<f4",
    "Double": "<f8",
    "Cuda": "<f4",
}


class LuaTable(dict[Any, Any]):
    """A Lua table. As in Lua it equals only itself, and so can be a key or contain itself.

    Whole-number keys are floats, which Python looks up like ints: ``table[1]``.
    """

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


@dataclass(eq=False)
class LuaFunction:
    """A Lua function, never run.

    Attributes:
        code: its bytecode.
        upvalues: the variables it closes over, mostly a :class:`LuaTable`.
    """

    code: bytes
    upvalues: Any = None


@dataclass(eq=False)
class TorchObject:
    """An instance of a class that is neither tensor nor storage, such as an ``nn`` module.

    Attributes:
        kind: the class name, e.g. ``nn.Linear``.
        version: of the class; 0 in files older than versions.
        fields: what the class wrote, for nearly all a :class:`LuaTable` of attributes.
    """

    kind: str
    version: int
    fields: Any = None


class _Binary(ByteReader):
    """Little-endian values; ``long_size`` is that of the machine that wrote them."""

    def __init__(self, path: Path, long_size: int) -> None:
        super().__init__(path)
        self.long = f"<i{long_size}"

    def integer(self) -> int:
        return int(self.unpack("<i")[0])

    def double(self) -> float:
        return float(self.unpack("<d")[0])


class _Ascii(ByteReader):
    """A line of values separated by blanks; strings, bytes and chars are raw, then a newline."""

    long = "<i8"
    _rest_of_line = re.compile(rb"[^\n]*")
    _value = re.compile(rb"\S{1,40}")

    def integer(self) -> int:
        return int(self.array("<i4", 1)[0])

    def double(self) -> float:
        return float(self.array("<f8", 1)[0])

    def take(self, count: int) -> memoryview:
        taken = super().take(count)
        if count and self.remaining and self._data[self.position] == ord("\n"):
            self.position += 1
        return taken

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        kind = np.dtype(dtype)
        if count == 0 or kind.itemsize == 1:
            return super().array(dtype, count)
        line = self._rest_of_line.match(self._data, self.position)
        end = line.end() if line else self.position
        if not 0 < 2 * count - 1 <= end - self.position:
            raise self.fail(f"{count:,} values in a line of {end - self.position:,} characters")
        found = self._value.finditer(self._data, self.position, end)
        convert, wide = (int, np.int64) if kind.kind == "i" else (float, np.float64)
        try:
            values = np.fromiter(
                (convert(match[0]) for match in islice(found, count)), dtype=wide, count=count
            )
        except (ValueError, OverflowError):
            raise self.fail(f"not a line of {count:,} numbers") from None
        if next(found, None):
            raise self.fail(f"more than {count:,} numbers in a line")
        self.position = min(end + 1, len(self._data))
        with np.errstate(over="ignore"):
            narrow = values.astype(kind)
        narrow.setflags(write=False)
        return narrow


class _Reader:
    """Reads one object and everything it refers to."""

    def __init__(self, source: _Binary | _Ascii) -> None:
        self.source = source
        self.file_size = source.remaining
        self.objects: dict[int, Any] = {}
        self.count = 0

    def read_all(self) -> Any:
        value = self.read(0)
        if self.source.remaining:
            raise self.source.fail(f"{self.source.remaining:,} bytes follow the object")
        return value

    def read(self, depth: int) -> Any:
        source = self.source
        self.count += 1
        if depth > MAX_DEPTH:
            raise source.fail(f"objects nested deeper than {MAX_DEPTH}")
        if self.count > MAX_OBJECTS:
            raise source.fail(f"more than {MAX_OBJECTS:,} values")
        kind = source.integer()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return source.double()
        if kind == _BOOLEAN:
            return source.integer() != 0
        if kind == _STRING:
            return self._string()
        if kind == _FUNCTION:
            return LuaFunction(self._bytes(), self.read(depth + 1))
        if kind not in (_TABLE, _TORCH, _RECURSIVE, _OLD_RECURSIVE):
            raise source.fail(f"unknown type {kind}")
        index = source.integer()
        if index in self.objects:
            return self.objects[index]
        if kind == _TABLE:
            return self._table(index, depth)
        if kind == _TORCH:
            return self._torch(index, depth)
        function = self.objects[index] = LuaFunction(self._bytes())
        function.upvalues = self.read(depth + 1)
        return function

    def _bytes(self) -> bytes:
        return bytes(self.source.take(self.source.integer()))

    def _string(self) -> str:
        return self._bytes().decode("utf-8", "surrogateescape")

    def _table(self, index: int, depth: int) -> LuaTable:
        # Registered before it is filled: it may contain itself.
        table = self.objects[index] = LuaTable()
        entries = self.source.integer()
        if entries < 0:
            raise self.source.fail(f"a table of {entries:,} entries")
        for _ in range(entries):
            key = self.read(depth + 1)
            value = self.read(depth + 1)
            if key is None or isinstance(key, np.ndarray):
                raise self.source.fail("a table key that is nil or a tensor")
            if value is not None:
                table[key] = value
        return table

    def _torch(self, index: int, depth: int) -> Any:
        name, version = self._string(), 0
        if versioned := _VERSION.fullmatch(name):
            name, version = self._string(), int(versioned[1])
        if not _CLASS_NAME.fullmatch(name):
            raise self.source.fail("a class without a proper name")
        match = _ARRAY_CLASS.fullmatch(name)
        if match and match[1] in _ELEMENTS:
            dtype = self.source.long if match[1] == "Long" else _ELEMENTS[match[1]]
            read = self._tensor if match[2] == "Tensor" else self._storage
            array = self.objects[index] = read(dtype, depth)
            return array
        instance = self.objects[index] = TorchObject(name, version)
        instance.fields = self.read(depth + 1)
        return instance

    def _storage(self, dtype: str, depth: int) -> NDArray[Any]:
        (length,) = self._longs(1)
        return self.source.array(dtype, length)

    def _longs(self, count: int) -> list[int]:
        return [int(value) for value in self.source.array(self.source.long, count)]

    def _tensor(self, dtype: str, depth: int) -> NDArray[Any]:
        source = self.source
        dimensions = source.integer()
        if not 0 <= dimensions <= MAX_DIMENSIONS:
            raise source.fail(f"a tensor of {dimensions} dimensions")
        sizes, strides = self._longs(dimensions), self._longs(dimensions)
        (offset,) = self._longs(1)
        storage = self.read(depth + 1)
        if storage is None:
            storage = np.empty(0, dtype)
        # Contiguity matters: a back reference may lead to a tensor that only looks this long.
        if not (
            isinstance(storage, np.ndarray)
            and storage.ndim == 1
            and storage.dtype == np.dtype(dtype)
            and storage.flags.c_contiguous
        ):
            raise source.fail("a tensor without a storage of its own type")
        if dimensions == 0:
            return np.empty(0, dtype)
        if min(sizes) < 1 or min(strides) < 0 or offset < 1:
            raise source.fail(f"a tensor of sizes {sizes}, strides {strides}, offset {offset}")
        last = offset + sum((size - 1) * step for size, step in zip(sizes, strides, strict=True))
        if last > len(storage):
            raise source.fail(f"a tensor of sizes {sizes} in a storage of {len(storage):,}")
        # Stride 0 repeats elements: harmless as a view, not when somebody copies it.
        if prod(sizes) > self.file_size:
            raise source.fail(f"a tensor of sizes {sizes} in a file of {self.file_size:,} bytes")
        item = storage.itemsize
        view: NDArray[Any] = np.ndarray(
            sizes,
            storage.dtype,
            buffer=storage,
            offset=(offset - 1) * item,
            # The stride of a dimension of size 1 is never used and may be anything.
            strides=[
                step * item if size > 1 else 0 for size, step in zip(sizes, strides, strict=True)
            ],
        )
        return view


def matches(head: bytes) -> bool:
    """Whether a file that begins with these (at least four) bytes can be Torch7's."""
    binary = head[0:1] <= b"\x08" and head[1:4] == b"\0\0\0"
    ascii_digits = b"0" <= head[0:1] <= b"8" and head[1:2] == b"\n"
    return binary or ascii_digits


def read(path: Path) -> Any:
    """The object in a Torch7 file, binary or ascii, with 4- or 8-byte longs.

    Numbers are floats, strings ``str`` (bytes that are not UTF-8 as surrogate escapes), tables
    :class:`LuaTable`, functions :class:`LuaFunction`, storages one-dimensional arrays, tensors
    arrays that are views of their storages, all other classes :class:`TorchObject`. An object
    mentioned more than once is one object here too. Arrays are read-only and, of binary files,
    views of the mapped file.

    Raises:
        FormatError: the file is not Torch7's, is damaged, or claims more than it holds.
    """
    with path.open("rb") as file:
        head = file.read(4)
    if not matches(head):
        raise FormatError(f"{path}: not a Torch7 file; it must begin with an object's type")
    sources: list[_Binary | _Ascii]
    if head[0:1] >= b"0":
        sources = [_Ascii(path)]
    else:
        # The file does not say how long its longs are; the wrong size does not parse.
        sources = [_Binary(path, 8), _Binary(path, 4)]
    failures = []
    for source in sources:
        try:
            return _Reader(source).read_all()
        except FormatError as error:
            failures.append((source.position, error))
    raise max(failures, key=lambda failure: failure[0])[1]
