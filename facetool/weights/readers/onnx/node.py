"""A node of an ONNX graph, with its attributes as Python values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from facetool.errors import WeightsError
from facetool.weights.readers.lowering import Array, small_integer
from facetool.weights.readers.onnx.file import small_array

if TYPE_CHECKING:
    from onnx import NodeProto


class OnnxNode:
    """One operation.

    Attributes:
        op: its name; one that is not the standard's has its domain before it.
        inputs: names of values; an empty one is left out.
        outputs: names of values.
        name: of its first result.

    Raises:
        WeightsError: from the methods, where an attribute is of another kind.
    """

    def __init__(self, proto: NodeProto) -> None:
        domain = "" if proto.domain in ("", "ai.onnx") else f"{proto.domain}:"
        self.op = f"{domain}{proto.op_type}"
        self.inputs = list(proto.input)
        self.outputs = list(proto.output)
        self.name = self.outputs[0] if self.outputs else proto.name
        self._attributes = {attribute.name: attribute for attribute in proto.attribute}

    def has(self, key: str) -> bool:
        """Whether an attribute is stated."""
        return key in self._attributes

    def integer(self, key: str, default: int) -> int:
        """A whole number."""
        attribute = self._attributes.get(key)
        return default if attribute is None else small_integer(attribute.i)

    def integers(self, key: str, default: Sequence[int] | None = None) -> list[int]:
        """Several whole numbers, which may be as large as those that mean "to the end"."""
        attribute = self._attributes.get(key)
        if attribute is None:
            if default is None:
                raise WeightsError(f"has no {key}")
            return list(default)
        return [int(value) for value in attribute.ints]

    def pair(self, key: str, default: Sequence[int] | None = None) -> list[int]:
        """Two whole numbers, for height and width."""
        values = [small_integer(value) for value in self.integers(key, default)]
        if len(values) != 2:
            raise WeightsError(f"{key} {values} is not a pair of numbers")
        return values

    def padding(self) -> list[int]:
        """Rows and columns added on each side."""
        if self.text("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
            raise WeightsError("unsupported auto_pad")
        pads = [small_integer(value) for value in self.integers("pads", (0, 0, 0, 0))]
        if len(pads) != 4 or pads[:2] != pads[2:]:
            raise WeightsError(f"unsupported padding {pads}")
        return pads[:2]

    def number(self, key: str, default: float) -> float:
        """A number, as the shortest decimal that is this float32: 2e-05, not 1.99999995e-05."""
        attribute = self._attributes.get(key)
        return default if attribute is None else float(str(np.float32(attribute.f)))

    def text(self, key: str, default: str) -> str:
        """A word."""
        attribute = self._attributes.get(key)
        return default if attribute is None else attribute.s.decode(errors="replace")

    def tensor(self, key: str) -> Array:
        """An array."""
        if key not in self._attributes:
            raise WeightsError(f"has no {key}")
        try:
            return small_array(self._attributes[key].t)
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(f"{key} is damaged: {error}") from None

    def constant(self) -> Array:
        """What a ``Constant`` is."""
        for kind, dtype in (("float", np.float32), ("int", np.int64)):
            if one := self._attributes.get(f"value_{kind}"):
                return np.array(one.f if kind == "float" else one.i, dtype)
            if several := self._attributes.get(f"value_{kind}s"):
                return np.array(several.floats if kind == "float" else several.ints, dtype)
        return self.tensor("value")
