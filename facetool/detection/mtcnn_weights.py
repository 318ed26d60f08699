"""The weights inside the PyPI package ``mtcnn``, read without TensorFlow and without the package.

Each file is an LZ4 frame around a pickle, by joblib, of a list of arrays: Keras' weights in the
order of the layers. joblib writes the bytes of an array right behind its description.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
from numpy.typing import NDArray

from facetool.errors import WeightsError


def read_weights(path: Path) -> list[NDArray[np.float32]]:
    """The arrays of a file, in its order; nothing in the file is executed.

    Raises:
        WeightsError: the file is damaged, or holds anything but float32 arrays.
    """
    try:
        file = io.BytesIO(lz4.frame.decompress(path.read_bytes()))
        stored = _Unpickler(file).load()
        return [item.array for item in stored]
    except Exception as error:
        # A damaged pickle raises almost any type.
        reason = str(error) or type(error).__name__
        raise WeightsError(f"{path}: not weights of MTCNN: {reason}") from error


class _StoredArray:
    """Stands for joblib's ``NumpyArrayWrapper``: takes the array's bytes out of the file."""

    file: io.BytesIO
    array: NDArray[np.float32]

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        if state["dtype"].names != ("f4", "<") or state["order"] != "C":
            raise ValueError("an array is not float32")
        padding = self.file.read(1)[0]
        self.file.seek(padding, io.SEEK_CUR)
        data = self.file.read(4 * math.prod(state["shape"]))
        self.array = np.frombuffer(data, "<f4").reshape(state["shape"])


class _DType:
    """Stands for ``numpy.dtype``: its type code and byte order."""

    def __init__(self, code: str, align: bool, copy: bool) -> None:
        self._code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.names = (self._code, state[1])


class _Array:
    """Stands for ``numpy.ndarray``, which is only mentioned."""


class _Unpickler(pickle.Unpickler):
    """Knows three stand-ins, and no other name."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self._known = {
            ("joblib.numpy_pickle", "NumpyArrayWrapper"): type(
                "_StoredArrayHere", (_StoredArray,), {"file": file}
            ),
            ("numpy", "dtype"): _DType,
            ("numpy", "ndarray"): _Array,
        }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"it mentions {module}.{name}")
        return self._known[module, name]
