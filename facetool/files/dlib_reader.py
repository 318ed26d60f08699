"""Reading the values of dlib's ``serialize.h``, ``float_details.h`` and ``dnn/tensor.h``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from facetool.files.byte_reader import ByteReader
from facetool.files.tensors import as_tensor

INFINITY, MINUS_INFINITY, NOT_A_NUMBER = 32000, 32001, 32002
"""Exponents with a meaning of their own (``float_details.h``)."""

LONGEST_NAME = 64


class DlibReader(ByteReader):
    """A cursor that reads dlib's serialised values.

    Args:
        path: the file.
        network: what should be in it, for messages.

    Raises:
        FormatError: from every method, where the bytes are not such a value.
    """

    def __init__(self, path: Path, network: str) -> None:
        super().__init__(path)
        self._network = network

    def integer(self) -> int:
        """A control byte (sign, number of bytes), then the absolute value, little-endian."""
        (control,) = self.take(1)
        size = control & 0x0F
        if control & 0x70 or not 1 <= size <= 8:
            raise self.fail(f"0x{control:02x} does not start an integer")
        value = int.from_bytes(self.take(size), "little")
        return -value if control & 0x80 else value

    def number(self) -> float:
        """mantissa * 2 ** exponent, both integers."""
        mantissa, exponent = self.integer(), self.integer()
        special = {INFINITY: math.inf, MINUS_INFINITY: -math.inf, NOT_A_NUMBER: math.nan}
        if exponent in special:
            return special[exponent]
        try:
            return math.ldexp(mantissa, exponent)
        except OverflowError:
            raise self.fail(f"{mantissa} * 2^{exponent} is out of range") from None

    def boolean(self) -> bool:
        """The character 0 or 1."""
        character = bytes(self.take(1))
        if character not in (b"0", b"1"):
            raise self.fail(f"{character!r} is not a boolean")
        return character == b"1"

    def name(self) -> str:
        """A short string such as a layer's type, after its length."""
        length = self.integer()
        if not 0 <= length <= LONGEST_NAME:
            raise self.fail(f"a layer name of {length:,} bytes is announced")
        return bytes(self.take(length)).decode("ascii", errors="replace")

    def integers(self, count: int) -> tuple[int, ...]:
        """Several integers."""
        return tuple(self.integer() for _ in range(count))

    def expect(self, what: str, found: object, wanted: object) -> None:
        """Raise unless the file holds what this network has at this place."""
        if found != wanted:
            raise self.fail(f"{what} is {found!r}, {self._network} has {wanted!r}")

    def tensor(self) -> NDArray[np.float32]:
        """Version 2 of a tensor: samples, channels, rows, columns, then raw float32.

        Returns:
            Its numbers in a row, still in the file.
        """
        self.expect("tensor version", self.integer(), 2)
        return self.array("<f4", self._size(self.integers(4)))

    def alias(self) -> tuple[int, ...]:
        """Where parameters share one tensor: the shape of one of them."""
        self.expect("alias tensor version", self.integer(), 1)
        shape = self.integers(4)
        self._size(shape)
        return shape

    def _size(self, shape: tuple[int, ...]) -> int:
        if min(shape) < 0:
            raise self.fail(f"a tensor of shape {shape}")
        return math.prod(shape)

    def parameters(
        self, shapes: list[tuple[int, ...]], joined: NDArray[np.float32]
    ) -> list[Tensor]:
        """Cut the tensor that several parameters share into those of the given shapes."""
        self.expect("number of parameters", len(joined), sum(math.prod(s) for s in shapes))
        ends = np.cumsum([math.prod(shape) for shape in shapes[:-1]])
        parts = np.split(joined, ends)
        return [as_tensor(p.reshape(s)) for p, s in zip(parts, shapes, strict=True)]

    def skip_multipliers(self) -> None:
        """Learning rate and weight decay factors of weights and biases."""
        for _ in range(4):
            self.number()

    def skip_working_state(self) -> None:
        """Three flags, then gradient and output buffers, which are empty after training."""
        for _ in range(3):
            self.boolean()
        for _ in range(3):
            self.tensor()
