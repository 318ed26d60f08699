"""Small MXNet checkpoints, written byte by byte for the tests."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

DTYPES = {"f4": 0, "f8": 1, "f2": 2, "u1": 3, "i4": 4, "i1": 5, "i8": 6}


def array_bytes(array: np.ndarray, header: str = "V2") -> bytes:
    """One array with the header of a version of MXNet: legacy, V1, V2 or V3."""
    shape, ndim = array.shape, array.ndim
    if header == "legacy":
        head = struct.pack(f"<I{ndim}I", ndim, *shape)
    elif header == "V1":
        head = struct.pack(f"<II{ndim}q", 0xF993FAC8, ndim, *shape)
    else:
        magic = {"V2": 0xF993FAC9, "V3": 0xF993FACA}[header]
        head = struct.pack(f"<IiI{ndim}q", magic, 0, ndim, *shape)
    device_and_type = struct.pack("<iii", 1, 0, DTYPES[array.dtype.str[1:]])
    return head + device_and_type + array.tobytes()


def write_params(path: Path, arrays: dict[str, np.ndarray], header: str = "V2") -> None:
    body = b"".join(array_bytes(array, header) for array in arrays.values())
    names = b"".join(struct.pack("<Q", len(name)) + name.encode() for name in arrays)
    count = struct.pack("<Q", len(arrays))
    path.write_bytes(struct.pack("<QQ", 0x112, 0) + count + body + count + names)


class Symbol:
    """Writes a symbol's JSON node by node.

    Args:
        key: what the attributes are called: ``attrs``, or ``attr`` and ``param`` in older files.
    """

    def __init__(self, key: str = "attrs") -> None:
        self.key = key
        self.nodes: list[dict[str, Any]] = []

    def variable(self, name: str) -> int:
        self.nodes.append({"op": "null", "name": name, "inputs": []})
        return len(self.nodes) - 1

    def layer(self, op: str, name: str, *inputs: int, **attributes: Any) -> int:
        text = {key: str(value) for key, value in attributes.items()}
        entries = [[source, 0, 0][: 2 if self.key == "param" else 3] for source in inputs]
        self.nodes.append({"op": op, "name": name, self.key: text, "inputs": entries})
        return len(self.nodes) - 1

    def with_params(self, op: str, name: str, x: int, params: list[str], **attributes: Any) -> int:
        inputs = [self.variable(f"{name}_{param}") for param in params]
        return self.layer(op, name, x, *inputs, **attributes)

    def write(self, path: Path, *heads: int) -> None:
        heads = heads or (len(self.nodes) - 1,)
        path.write_text(json.dumps({"nodes": self.nodes, "heads": [[h, 0] for h in heads]}))
