"""facetool: face recognition with the original networks, as a library and a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facetool._version import __version__
from facetool.errors import FacetoolError

if TYPE_CHECKING:
    from facetool.weights.load import load_network

__all__ = ["FacetoolError", "__version__", "load_network"]


def __getattr__(name: str) -> Any:
    """Import ``load_network``, and torch with it, when it is first asked for."""
    if name == "load_network":
        from facetool.weights.load import load_network

        return load_network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
