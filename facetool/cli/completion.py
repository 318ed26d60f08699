"""Shell completion of what users would otherwise have to look up."""

from __future__ import annotations

from click import Context, Parameter
from click.shell_completion import CompletionItem


def complete_model(context: Context, parameter: Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of networks and weights that start with what is typed, case ignored."""
    from facetool.weights.catalogue import names

    start = incomplete.lower()
    return [CompletionItem(name) for name in names() if name.startswith(start)]
