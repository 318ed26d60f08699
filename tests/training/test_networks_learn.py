"""The experiments of docs/accuracy.md in small: networks and losses that learn, within seconds."""

import pytest

from facetool.pipeline.train import TrainSettings, train
from facetool.training.config import TrainConfig
from facetool.training.log import read_log
from facetool.training.verification import pairs_from_folder
from tests.drawn_people import draw_people, write_pairs

NARROW = {"units": [1, 1, 1, 1], "filters": [16, 16, 16, 32, 32], "embedding_size": 32}
SCALE = {"loss_options": {"scale": 16}}
LOSSES = [("softmax", {}), ("cosface", SCALE), ("arcface", SCALE)]


@pytest.mark.slow
@pytest.mark.parametrize("loss, options", LOSSES)
def test_a_narrow_lresnet_tells_strangers_apart(tmp_path, loss, options):
    """From chance to useful on people who were not in the training set."""
    crops = draw_people(tmp_path / "train", 16, 6, seed=0)
    strangers = draw_people(tmp_path / "test", 10, 6, seed=1)
    pairs = pairs_from_folder(write_pairs(tmp_path / "pairs.txt", 10, 6), strangers)
    config = TrainConfig(
        network="lresnet18e-ir",
        loss=loss,
        steps=36,
        network_options=NARROW,
        batch_size=12,
        learning_rate=0.05,
        **options,
    )
    settings = TrainSettings(pairs=[pairs], jobs=1)
    train(crops, tmp_path / "run", config, settings)
    rows = read_log(tmp_path / "run" / "log.csv")
    assert rows[0].score < 0.6
    assert rows[-1].score > 0.7  # of 160 pairs: more than three standard errors above 0.5


@pytest.mark.slow
@pytest.mark.parametrize("loss, options", LOSSES)
def test_mobilefacenet_learns_its_people(tmp_path, loss, options):
    crops = draw_people(tmp_path / "train", 4, 6)
    config = TrainConfig(
        network="mobilefacenet",
        loss=loss,
        steps=16,
        network_options={"blocks": [1, 1, 1, 1]},
        batch_size=8,
        learning_rate=0.05,
        **options,
    )
    train(crops, tmp_path / "run", config, TrainSettings(jobs=1, log_every=4))
    rows = read_log(tmp_path / "run" / "log.csv")
    assert rows[-1].loss < rows[0].loss / 2
    assert rows[-1].accuracy > 0.6


@pytest.mark.slow
def test_openface_learns_from_triplets(tmp_path):
    crops = draw_people(tmp_path / "train", 4, 6, size=96)
    config = TrainConfig(
        network="nn4.small2",
        loss="triplet",
        steps=20,
        people=4,
        images_per_person=3,
        optimizer="adam",
        learning_rate=1e-3,
        weight_decay=0.0,
    )
    train(crops, tmp_path / "run", config, TrainSettings(jobs=1, log_every=4))
    rows = read_log(tmp_path / "run" / "log.csv")
    # Embeddings that have all become one have a loss of alpha, 0.2. Four seeds ended in 0 to 0.11.
    assert rows[-1].loss < 0.15 < rows[0].loss
