"""What a run does that nobody set."""

from typing import Any

import pytest

from facetool.errors import UsageError
from facetool.training.config import TrainConfig


def test_what_is_not_set_changes_nothing() -> None:
    config = TrainConfig(network="mobilefacenet", loss="softmax", steps=100)
    assert {config.rate.at(step) for step in range(100)} == {config.learning_rate}
    assert config.accumulate == config.classifier_decay == 1
    assert config.clip_norm == 0 and not config.decay_all and config.dtype == "float32"


@pytest.mark.parametrize("name", ["steps", "batch_size", "people", "accumulate"])
def test_counts_start_at_one(name: str) -> None:
    settings: dict[str, Any] = {"network": "mobilefacenet", "loss": "softmax", "steps": 1}
    assert TrainConfig(**{**settings, name: 1}).as_dict()[name] == 1
    with pytest.raises(UsageError, match="at least 1"):
        TrainConfig(**{**settings, name: 0})
