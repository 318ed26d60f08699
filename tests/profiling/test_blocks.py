"""The time of a network's parts."""

import pytest
import torch

from facetool.networks.fold import fold_batch_norm
from facetool.networks.registry import create
from facetool.profiling.blocks import block_name, time_blocks


@pytest.mark.parametrize(
    ("layer", "block"),
    [
        ("stem.conv", "stem"),
        ("stages.0.1.bn1", "stages.0"),
        ("blocks.13.first.conv", "blocks.13"),
        ("inception.3a.branches.0.0", "inception.3a"),
        ("fc", "fc"),
        ("layers.stage1_unit1_bn1", "stage1"),
        ("layers.layer_14_1_1_4", "layer_14"),
        ("layers.pre_fc1", "pre_fc1"),
        ("layers.relu", "relu"),
    ],
)
def test_names(layer: str, block: str) -> None:
    assert block_name(layer) == block


def test_all_time_is_some_blocks() -> None:
    network = fold_batch_norm(create("nn4.small2").eval())
    blocks = time_blocks(network, torch.rand(1, 3, 96, 96), passes=2)
    inception = [f"inception.{name}" for name in ("3a", "3b", "3c", "4a", "4e", "5a", "5b")]
    assert list(blocks) == ["input", "stem", *inception, "fc"]
    assert all(milliseconds >= 0 for milliseconds in blocks.values())
    assert blocks["stem"] > blocks["fc"]
