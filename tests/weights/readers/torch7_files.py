"""Writes Torch7 files as Torch7 does, so that its readers can be tried on files of any kind."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

_CLASSES = {"f4": "Float", "f8": "Double", "i8": "Long", "i4": "Int", "u1": "Byte"}


@dataclass(eq=False)
class Instance:
    kind: str
    fields: Any
    version: int | None = 1


@dataclass(eq=False)
class Storage:
    values: np.ndarray


@dataclass(eq=False)
class View:
    """A tensor with whatever sizes, strides and offset, true or not."""

    storage: Storage | None
    sizes: list[int]
    strides: list[int]
    offset: int = 1


class Writer:
    def __init__(self, ascii: bool = False, long_size: int = 8) -> None:
        self.ascii = ascii
        self.long_size = long_size
        self.indices: dict[int, int] = {}
        self.keep: list[Any] = []
        self.out = bytearray()

    def numbers(self, layout: str, *values: Any) -> None:
        if not values:
            return
        if self.ascii:
            self.out += " ".join(f"{value:.17g}" for value in values).encode() + b"\n"
        else:
            self.out += struct.pack(f"<{len(values)}{layout}", *values)

    def longs(self, *values: int) -> None:
        self.numbers("q" if self.long_size == 8 else "i", *values)

    def text(self, value: bytes) -> None:
        self.numbers("i", len(value))
        self.raw(value)

    def raw(self, value: bytes) -> None:
        self.out += value + (b"\n" if self.ascii and value else b"")

    def opened(self, kind: int, value: Any) -> bool:
        """Write type and index; whether this is the first mention."""
        self.numbers("i", kind)
        known = id(value) in self.indices
        if not known:
            self.keep.append(value)
            self.indices[id(value)] = len(self.indices) + 1
        self.numbers("i", self.indices[id(value)])
        return not known

    def header(self, kind: str, version: int | None = 1) -> None:
        if version is not None:
            self.text(f"V {version}".encode())
        self.text(kind.encode())

    def write(self, value: Any) -> None:
        if value is None:
            self.numbers("i", 0)
        elif isinstance(value, bool):
            self.numbers("i", 5)
            self.numbers("i", int(value))
        elif isinstance(value, (int, float)):
            self.numbers("i", 1)
            self.numbers("d", value)
        elif isinstance(value, (str, bytes)):
            self.numbers("i", 2)
            self.text(value.encode() if isinstance(value, str) else value)
        elif isinstance(value, (dict, list)):
            if self.opened(3, value):
                items = value if isinstance(value, dict) else dict(enumerate(value, 1))
                self.numbers("i", len(items))
                for key, item in items.items():
                    self.write(key)
                    self.write(item)
        elif isinstance(value, Instance):
            if self.opened(4, value):
                self.header(value.kind, value.version)
                self.write(value.fields)
        elif isinstance(value, np.ndarray):
            strides = [stride // value.itemsize for stride in value.strides]
            view = View(Storage(value.reshape(-1)), list(value.shape), strides)
            self.keep.append(view)
            self.write(view)
        elif isinstance(value, View):
            if self.opened(4, value):
                kind = value.storage.values.dtype.str[1:] if value.storage else "f4"
                self.header(f"torch.{_CLASSES[kind]}Tensor")
                self.numbers("i", len(value.sizes))
                self.longs(*value.sizes)
                self.longs(*value.strides)
                self.longs(value.offset)
                self.write(value.storage)
        elif isinstance(value, Storage) and self.opened(4, value):
            kind = value.values.dtype.str[1:]
            self.header(f"torch.{_CLASSES[kind]}Storage")
            self.longs(len(value.values))
            if kind == "i8":
                self.longs(*value.values.tolist())
            elif self.ascii and kind != "u1":
                self.numbers("d", *value.values.tolist())
            else:
                self.raw(value.values.tobytes())


def torch7_bytes(value: Any, ascii: bool = False, long_size: int = 8) -> bytes:
    writer = Writer(ascii, long_size)
    writer.write(value)
    return bytes(writer.out)
