"""Where "same person" ends, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from facetool.errors import FormatError


@dataclass(frozen=True)
class PairThreshold:
    """The squared L2 distance below which two embeddings are one person's.

    Attributes:
        squared_l2: of two embeddings, made as ``normalized`` says; same below it.
        data_set: it was calibrated on.
        far: false accept rate there, where known.
        normalized: whether embeddings have unit length before they are compared.
    """

    squared_l2: float
    data_set: str
    far: float | None = None
    normalized: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PairThreshold:
        """The inverse of :meth:`as_dict`; unknown keys of other versions are ignored.

        Raises:
            FormatError: a value is missing or of another kind than it should be.
        """
        match values:
            case {
                "squared_l2": int() | float() as squared_l2,
                "data_set": str(data_set),
                "far": int() | float() | None as far,
                "normalized": bool(normalized),
            } if isfinite(squared_l2) and squared_l2 > 0 and (far is None or 0 <= far <= 1):
                return cls(float(squared_l2), data_set[:200], far, normalized)
        raise FormatError("the threshold is not one between two embeddings")
