"""Operators of graphs from other frameworks, each on its own."""

import pytest
import torch

from facetool.networks.graph import unit_length


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_every_row_is_normalised_by_itself(rows: int) -> None:
    """As many rows as columns, too, where dividing along the wrong axis would go unnoticed."""
    x = torch.arange(1.0, 4 * rows + 1).reshape(rows, 4)
    lengths = unit_length(x, 0.0).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(rows))
    torch.testing.assert_close(unit_length(x, 0.0)[0], x[0] / x[0].norm())
