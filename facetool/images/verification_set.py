"""InsightFace's verification sets (``lfw.bin`` …): pairs of encoded images in one pickle.

The pickle is a pair: 2N image files (pair i is images 2i and 2i + 1) and N flags, lists, tuples
or arrays. Python 2 and 3, NumPy 1 and 2 wrote it in several forms: the files as byte strings,
bytearrays, or uint8 arrays from ``cv2.imencode``; the flags as bool or as NumPy's numbers.
"""

from __future__ import annotations

import math
import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from facetool.errors import FormatError, UsageError, one_line
from facetool.files.text import counted, read_bytes
from facetool.images.read import RGBImage, decode_image

BIN_SUFFIX = ".bin"


@dataclass(frozen=True)
class VerificationSet:
    """Pairs of images.

    Attributes:
        name: such as ``lfw``, from the file's name.
        images: 2N encoded images, those of a pair side by side.
        same: bool (N,), whether a pair shows one person.
    """

    name: str
    images: list[bytes]
    same: NDArray[np.bool_]

    def read(self, number: int) -> RGBImage:
        """Image ``number`` of 2N, RGB uint8 (H, W, 3).

        Raises:
            ImageError: it is damaged.
        """
        return decode_image(self.images[number])


def find_bins(path: Path) -> list[Path]:
    """The ``.bin`` files of a folder, sorted; a file is the only one.

    Raises:
        UsageError: there is none in the folder.
    """
    if not path.is_dir():
        return [path]
    found = sorted(path.glob(f"*{BIN_SUFFIX}"))
    if not found:
        raise UsageError(f"there is no .bin file in {path}; records pack-pairs makes one")
    return found


def read_bin(path: Path) -> VerificationSet:
    """Read a verification set without letting its pickle do anything but describe it.

    Raises:
        FormatError: the file cannot be read, or is no such set.
    """
    data = read_bytes(path)
    try:
        found = _Unpickler(data).load()
    except pickle.UnpicklingError as error:
        raise FormatError(f"{path} is not a verification set: {one_line(error)}") from error
    except Exception as error:  # the unpickler stumbles over damage with errors of any type
        raise FormatError(f"{path} is not a verification set: the pickle is damaged") from error
    if not (isinstance(found, (tuple, list)) and len(found) == 2):
        raise FormatError(f"{path} is not a verification set: not (images, flags)")
    try:
        images, flags = (_sequence(part) for part in found)
        encoded, same = [_image_bytes(image) for image in images], [_flag(flag) for flag in flags]
    except (TypeError, ValueError) as error:
        raise FormatError(f"{path} is not a verification set: {one_line(error)}") from error
    if not same or len(encoded) != 2 * len(same):
        pairs = counted(len(same), "pair")
        raise FormatError(f"{path}: {counted(len(encoded), 'image')} do not make {pairs}")
    return VerificationSet(path.stem, encoded, np.array(same, bool))


def write_bin(file: IO[bytes], images: Sequence[bytes], same: Sequence[bool]) -> None:
    """Write a verification set as InsightFace's tools for Python 3 do.

    Args:
        file: opened ``wb``.
        images: 2N encoded images, those of a pair side by side.
        same: N flags.
    """
    pickle.dump((list(images), [bool(flag) for flag in same]), file, protocol=4)


def _sequence(part: object) -> Sequence[object]:
    if isinstance(part, _Array):
        return part.values
    if isinstance(part, (list, tuple)):
        return part
    raise ValueError(f"images and flags are no sequences: {type(part).__name__}")


def _flag(flag: object) -> bool:
    value = flag.values[0] if isinstance(flag, _Array) and flag.values else flag
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    raise ValueError("a flag is neither true nor false")


def _image_bytes(image: object) -> bytes:
    if isinstance(image, _Array):
        return image.content()
    if isinstance(image, bytes):
        return image
    raise ValueError(f"an image is neither bytes nor an array but {type(image).__name__}")


_OBJECTS = "O8"
_TYPES = ("u1", "i1", "b1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8", _OBJECTS)


class _Type:
    """Stands for ``numpy.dtype``, of plain numbers and of objects; nothing else is let through."""

    def __init__(self, code: object, *arguments: object) -> None:
        self.code = code.decode("latin1") if isinstance(code, bytes) else code
        if self.code not in _TYPES or arguments not in ((False, True), (0, 1)):
            raise pickle.UnpicklingError(f"an array of type {self.code!r}")
        self._order = "<"

    def __setstate__(self, state: Sequence[object]) -> None:
        self._order = ">" if state[1] in (">", b">") else "<"

    def numbers(self, data: bytes) -> list[object]:
        """What bytes of this type hold."""
        values: list[object] = np.frombuffer(data, f"{self._order}{self.code}").tolist()
        return values


class _Array:
    """Stands for a ``numpy.ndarray``, or one number of NumPy's."""

    _state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._state = state

    def content(self) -> bytes:
        """The bytes; ValueError or TypeError where the state is not that of a whole array."""
        _, shape, kind, _, data = self._state
        if not (isinstance(kind, _Type) and kind.code == "u1" and isinstance(data, bytes)):
            raise ValueError("an array is not of bytes")
        if math.prod(shape) != len(data):
            raise ValueError(f"an array of {len(data):,} bytes should have {shape}")
        return data

    @cached_property
    def values(self) -> list[object]:
        """The elements; ValueError or TypeError where the state is not that of an array."""
        _, shape, kind, _, data = self._state
        if not isinstance(kind, _Type):
            raise ValueError("an array has no type")
        if kind.code == _OBJECTS and isinstance(data, list):
            found = data
        elif kind.code != _OBJECTS and isinstance(data, bytes):
            found = kind.numbers(data)
        else:
            raise ValueError("an array does not hold what its type says")
        if math.prod(shape) != len(found):
            raise ValueError(f"an array of {len(found):,} elements should have {shape}")
        return found


def _from_buffer(data: object, kind: object, shape: object, order: object) -> _Array:
    """Stands for NumPy's function that protocol 5 makes an array with."""
    array = _Array()
    array.__setstate__((1, shape, kind, order == "F", data))
    return array


def _scalar(kind: object, data: object) -> _Array:
    """Stands for NumPy's function that makes one number."""
    return _from_buffer(data, kind, (1,), "C")


def _bytearray(data: object = b"") -> bytes:
    """Stands for ``bytearray``; as nothing changes it, the bytes themselves do."""
    if not isinstance(data, bytes):
        raise pickle.UnpicklingError("a bytearray that is not of bytes")
    return data


def _reconstruct(*arguments: object) -> _Array:
    """Stands for NumPy's function that makes an empty array, to be filled by its state."""
    return _Array()


_STANDING_FOR: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.multiarray", "scalar"): _scalar,
    ("numpy._core.multiarray", "scalar"): _scalar,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("builtins", "bytearray"): _bytearray,
    ("__builtin__", "bytearray"): _bytearray,
}

_OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE),
    *(pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE),
    *(pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2, pickle.BINFLOAT),
    *(pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING),
    *(pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
    *(pickle.BINUNICODE, pickle.SHORT_BINUNICODE),
    *(pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD),
)
"""What the known forms are made of. None of these allocates more than the file is long."""


class _Unpickler(pickle._Unpickler):
    """Knows a handful of opcodes and globals, and none of the real things behind the globals.

    The one written in Python is used: the other's table of memoized objects can be made to fill
    all memory with a single opcode.
    """

    dispatch: ClassVar[dict[int, Callable[..., None]]] = {
        opcode[0]: pickle._Unpickler.dispatch[opcode[0]] for opcode in _OPCODES
    }

    stack: list[Any]
    read: Callable[[int], bytes]

    def __init__(self, data: bytes) -> None:
        super().__init__(BytesIO(data), encoding="bytes")
        self._length = self._budget = len(data)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        try:
            return _STANDING_FOR[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None

    def load_build(self) -> None:
        """The original would set attributes of whatever lies on the stack."""
        state = self.stack.pop()
        if not isinstance(self.stack[-1], (_Array, _Type)):
            raise pickle.UnpicklingError("a state for something that has none")
        self.stack[-1].__setstate__(state)

    dispatch[pickle.BUILD[0]] = load_build

    def load_bytearray8(self) -> None:
        """The original would allocate whatever size is announced."""
        (length,) = struct.unpack("<Q", self.read(8))
        if length > self._length:
            raise pickle.UnpicklingError("a bytearray longer than the file")
        self.stack.append(self.read(length))

    dispatch[pickle.BYTEARRAY8[0]] = load_bytearray8

    def _encode(self, text: str, encoding: str) -> bytes:
        """How protocol 2 writes Python 3's bytes."""
        self._budget -= len(text)
        if encoding != "latin1" or self._budget < 0:
            raise pickle.UnpicklingError("text that is not the bytes of an image")
        return text.encode("latin1")
