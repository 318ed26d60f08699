"""The loop as a whole: ``facetool.pipeline.train``."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from facetool import load_network
from facetool.errors import FacetoolError, UsageError
from facetool.networks.lresnet import LResNet
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.pipeline.train import TrainSettings, train
from facetool.training.config import TrainConfig
from facetool.training.distributed import init_distributed
from facetool.training.log import read_log
from facetool.training.stepper import Stepper
from facetool.training.verification import pairs_from_folder
from facetool.weights import safetensors
from tests.drawn_people import draw_people, write_pairs

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = {"units": [1, 1, 1, 1], "filters": [16, 16, 16, 16, 16], "embedding_size": 16}
QUIET = TrainSettings(jobs=1, log_every=4, checkpoint_every=1000)


def read_training(path):
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["facetool"])["training"]


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    return draw_people(tmp_path_factory.mktemp("crops"), 6, 6)


def _config(loss="arcface", **options):
    base = {
        "network": "lresnet18e-ir",
        "network_options": TINY,
        "loss": loss,
        "steps": 20,
        "batch_size": 4,
        "people": 2,
        "images_per_person": 2,
        "learning_rate": 0.05,
    }
    return TrainConfig(**{**base, **options})


def test_one_pass_makes_an_update_unless_told_otherwise():
    assert _config().difference(_config(accumulate=1).as_dict()) is None
    assert _config().difference(_config(accumulate=2).as_dict()) is not None


def test_one_process_under_torchrun_runs_alone(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    with init_distributed(torch.device("cpu")) as process:
        assert (process.size, process.first) == (1, True)
    assert not torch.distributed.is_initialized()


def test_a_loss_by_its_former_name_is_the_same_run():
    config = _config(loss="cosineface")
    assert config.loss == "cosface"
    assert config.difference({**config.as_dict(), "loss": "cosineface"}) is None
    assert config.difference({**config.as_dict(), "loss": "arcface"}) == (
        "loss was arcface, now cosface"
    )


def _interrupt_after(monkeypatch, steps, number=signal.SIGTERM):
    """Let training believe that the process has got a signal during step ``steps``.

    Its handler is called rather than the signal sent, which other tests might have a say in.
    """
    step, done = Stepper.step, []

    def counting(self, *arguments):
        done.append(1)
        if len(done) == steps:
            handler = signal.getsignal(number)
            assert callable(handler)
            handler(number, None)
        return step(self, *arguments)

    monkeypatch.setattr(Stepper, "step", counting)


@pytest.mark.slow
@pytest.mark.parametrize(
    "steps, options",
    [
        (20, {"schedule": "cosine", "warmup": 3, "loss_options": {"fraction": 0.5}}),
        (10, {"loss": "triplet", "optimizer": "adam", "learning_rate": 1e-3, "accumulate": 2}),
        (6, {"loss": "softmax", "dtype": "float16", "schedule": "step", "milestones": (2, 5)}),
    ],
)
def test_a_stopped_run_ends_with_the_same_bytes(tmp_path, crops, monkeypatch, steps, options):
    """Dropout, random classes and triplets, momentum, scaler and flips all go on as they would."""
    config = _config(steps=steps, **options)
    train(crops, tmp_path / "whole", config, QUIET)
    with monkeypatch.context() as patch:
        _interrupt_after(patch, steps // 2)
        with pytest.raises(KeyboardInterrupt):
            train(crops, tmp_path / "halves", config, QUIET)
    assert (
        torch.load(tmp_path / "halves" / "checkpoint.pt", weights_only=True)["step"] == steps // 2
    )
    assert not (tmp_path / "halves" / "model.safetensors").exists()
    torch.rand(7)  # the state of this process does not matter
    report = train(crops, tmp_path / "halves", config, QUIET)
    assert report.counts["steps"] == steps // 2
    whole, halves = (tmp_path / run / "model.safetensors" for run in ("whole", "halves"))
    assert whole.read_bytes() == halves.read_bytes()
    rows = [
        [(row.step, row.loss, row.terms, row.learning_rate) for row in read_log(path / "log.csv")]
        for path in (tmp_path / "whole", tmp_path / "halves")
    ]
    assert rows[0] == rows[1] and len(rows[0]) == -(-steps // 4)


@pytest.mark.slow
def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, crops, monkeypatch):
    config = _config(steps=12)
    settings = TrainSettings(jobs=1, log_every=4, checkpoint_every=5)
    train(crops, tmp_path / "whole", config, settings)

    class Killed(BaseException):
        pass

    step, done = Stepper.step, []

    def dying(self, *arguments):
        done.append(1)
        if len(done) == 9:
            raise Killed
        return step(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Stepper, "step", dying)
        with pytest.raises(Killed):
            train(crops, tmp_path / "killed", config, settings)
    assert train(crops, tmp_path / "killed", config, settings).counts["steps"] == 7
    whole, killed = (tmp_path / run / "model.safetensors" for run in ("whole", "killed"))
    assert whole.read_bytes() == killed.read_bytes()


@pytest.mark.slow
def test_the_result_is_a_file_that_represent_takes(tmp_path, crops):
    output = tmp_path / "run"
    train(crops, output, _config(steps=2), QUIET)
    training = read_training(output / "model.safetensors")
    assert training["config"]["loss"] == "arcface" and training["step"] == 2
    assert training["data"]["people"] == 6
    network = load_network(output / "model.safetensors")
    represent(crops, tmp_path / "reps", network, RepresentSettings(any_crop=True))
    assert np.load(tmp_path / "reps" / "reps.npy").shape == (36, 16)
    described = json.loads((tmp_path / "reps" / "represent.json").read_text())
    assert described["weights"]["name"] == "model.safetensors"
    assert {path.name for path in output.iterdir()} == {
        "model.safetensors",
        "checkpoint.pt",
        "log.csv",
        "training.png",
    }


@pytest.mark.slow
def test_a_finished_run_is_left_alone_and_other_settings_are_refused(tmp_path, crops):
    train(crops, tmp_path, _config(steps=2), QUIET)
    assert train(crops, tmp_path, _config(steps=2), QUIET).counts == {"steps already there": 2}
    with pytest.raises(UsageError, match=r"learning rate was 0\.05, now 0\.1.*overwrite=True"):
        train(crops, tmp_path, _config(steps=2, learning_rate=0.1), QUIET)
    with pytest.raises(UsageError, match="steps was 2, now 3"):
        train(crops, tmp_path, _config(steps=3), QUIET)
    longer = TrainSettings(jobs=1, resume=True)
    assert train(crops, tmp_path, _config(steps=3), longer).counts["steps"] == 1
    (tmp_path / "best.safetensors").write_bytes(b"of an earlier run")
    anew = TrainSettings(jobs=1, overwrite=True)
    assert train(crops, tmp_path, _config(steps=2, seed=1), anew).counts["steps"] == 2
    assert not (tmp_path / "best.safetensors").exists()


@pytest.mark.slow
def test_other_data_is_refused(tmp_path, crops):
    train(crops, tmp_path / "run", _config(steps=1), QUIET)
    other = draw_people(tmp_path / "other", 5, 3)
    with pytest.raises(UsageError, match="other data"):
        train(other, tmp_path / "run", _config(steps=2), TrainSettings(resume=True))


def test_resume_without_a_run_is_refused(tmp_path, crops):
    with pytest.raises(UsageError, match="to resume from"):
        train(crops, tmp_path, _config(), TrainSettings(resume=True))


def test_crops_of_another_size_are_refused(tmp_path):
    small = draw_people(tmp_path / "small", 2, 2, size=96)
    with pytest.raises(UsageError, match="96x96 pixels, the network takes 112x112"):
        train(small, tmp_path / "run", _config(), QUIET)


@pytest.mark.slow
def test_crops_of_another_recipe_are_refused(tmp_path):
    folder = draw_people(tmp_path / "crops", 2, 2)
    crop = {"method": "chip", "landmarks": "five", "width": 112, "height": 112, "detector": "hog"}
    (folder / "align.json").write_text(json.dumps({"crop": crop}))
    with pytest.raises(UsageError, match="any_crop=True"):
        train(folder, tmp_path / "run", _config(), QUIET)
    insisting = TrainSettings(jobs=1, any_crop=True)
    assert train(folder, tmp_path / "run", _config(steps=1), insisting).counts["steps"] == 1


@pytest.mark.slow
def test_damaged_images_are_counted_and_named(tmp_path):
    folder = draw_people(tmp_path / "crops", 3, 4)
    damaged = folder / "P01" / "P01_0003.png"
    damaged.write_bytes(damaged.read_bytes()[:500])
    report = train(folder, tmp_path / "run", _config(steps=6), QUIET)
    assert report.exit_code == 1
    assert [name for name, _ in report.failures] == ["P01/P01_0003.png"]
    assert read_log(tmp_path / "run" / "log.csv")[-1].skipped >= 2  # six steps are two epochs


def test_a_loss_that_is_no_number_stops_and_keeps_the_checkpoint(tmp_path, crops, monkeypatch):
    settings = TrainSettings(jobs=1, log_every=1, checkpoint_every=2)
    step, done = Stepper.step, []

    def breaking(self, *arguments):
        done.append(1)
        if len(done) == 5:
            with torch.no_grad():
                self.network.head.pre_fc1.weight.fill_(float("nan"))
        return step(self, *arguments)

    monkeypatch.setattr(Stepper, "step", breaking)
    with pytest.raises(FacetoolError, match=r"step 5, learning rate 0\.05"):
        train(crops, tmp_path, _config(steps=9), settings)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert state["step"] == 4
    assert all(value.isfinite().all() for value in state["network"].values())


@pytest.mark.slow
def test_fine_tuning_starts_from_the_weights_and_leaves_their_file_alone(tmp_path, crops):
    train(crops, tmp_path / "first", _config(steps=4), QUIET)
    start = tmp_path / "first" / "model.safetensors"
    network = load_network(start)
    network.info = replace(network.info, assumed=("crop",))
    safetensors.save_network(network, start)
    before = start.read_bytes()
    config = _config(network="", network_options={}, start=str(start), steps=1, learning_rate=1e-7)
    train(crops, tmp_path / "second", config, QUIET)
    assert start.read_bytes() == before
    one, two = load_network(start), load_network(tmp_path / "second" / "model.safetensors")
    assert isinstance(two, LResNet) and two.info.embedding_size == 16
    assert not two.info.assumed  # it was trained on what was assumed
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_evaluations_keep_the_best_network(tmp_path, crops):
    pairs = pairs_from_folder(write_pairs(tmp_path / "pairs.txt", 6, 6), crops)
    settings = TrainSettings(
        pairs=[pairs], evaluate_every=10, jobs=1, log_every=10, checkpoint_every=1000
    )
    train(crops, tmp_path / "run", _config(steps=20, batch_size=12), settings)
    rows = {row.step: row.verification["pairs"] for row in read_log(tmp_path / "run" / "log.csv")}
    assert sorted(rows) == [0, 10, 20]
    trained = {step: value for step, value in rows.items() if step}
    best = read_training(tmp_path / "run" / "best.safetensors")
    assert best["verification"]["pairs"] == pytest.approx(max(trained.values()))
    assert rows[best["step"]] == pytest.approx(max(trained.values()), abs=1e-6)


def test_missing_crops_of_pairs_are_named(tmp_path, crops):
    path = tmp_path / "pairs.txt"
    path.write_text("1\t1\nP00\t1\t9\nP01\t1\tP02\t1\n")
    with pytest.raises(UsageError, match="P00_0009"):
        pairs_from_folder(path, crops)


@pytest.mark.slow
def test_two_processes_make_one_run(tmp_path, crops):
    """torchrun with two CPU processes: one update of both shares, the same as one of them all."""
    output = tmp_path / "run"
    done = _run_in_two_processes(crops, output, 3, "--batch-size", "6", loss="softmax")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("3 steps") == 1
    header = read_training(output / "model.safetensors")
    assert header["processes"] == 2
    assert [row.terms for row in read_log(output / "log.csv")] == [24, 24, 24]
    state = torch.load(output / "checkpoint.pt", weights_only=True)
    assert state["step"] == 3 and len(state["random"]) == 2


@pytest.mark.slow
def test_damaged_images_of_every_process_are_named(tmp_path):
    folder = draw_people(tmp_path / "crops", 3, 4)
    damaged = [folder / name / f"{name}_0002.png" for name in ("P00", "P01", "P02")]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:500])
    done = _run_in_two_processes(folder, tmp_path / "run", 2, "--accumulate", "1")
    assert done.returncode == 1
    for path in damaged:
        assert done.stderr.count(f"{path.relative_to(folder)}: ") == 1
    assert done.stderr.count("2 steps, 3 failed") == 1


def _run_in_two_processes(crops, output, steps, *more, loss="arcface"):
    arguments = [
        *("--network", "lresnet18e-ir", "--loss", loss, "--steps", str(steps)),
        *("--lr", "0.01", "--batch-size", "4", "--clip-norm", "0.5", "--accumulate", "2"),
        *(("--loss-option", "scale=8") if loss == "arcface" else ()),
        *(f"--network-option={key}={json.dumps(value)}" for key, value in TINY.items()),
        *("--device", "cpu", "--log-every", "1", *more),
    ]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"),
        *("-m", "facetool", "train", str(crops), str(output), *arguments),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.mark.slow
def test_a_sharded_classifier_makes_the_same_run_and_continues(tmp_path, crops):
    """Network, centres and norms within 1e-5 of the classifier that every process has whole."""
    whole, sharded = tmp_path / "whole", tmp_path / "sharded"
    done = _run_in_two_processes(crops, whole, 2)
    assert done.returncode == 0, done.stderr
    done = _run_in_two_processes(crops, sharded, 1, "--shard-classifier")
    assert done.returncode == 0, done.stderr
    refused = _run_in_two_processes(crops, sharded, 2, "--resume")
    assert refused.returncode != 0
    assert "has a sharded classifier, this one a whole one; give --shard-classifier" in (
        refused.stderr
    )
    done = _run_in_two_processes(crops, sharded, 2, "--resume", "--shard-classifier")
    assert done.returncode == 0, done.stderr
    expected, found = (
        torch.load(folder / "checkpoint.pt", weights_only=True) for folder in (whole, sharded)
    )
    assert found["loss"] == {} and len(found["shards"]) == 2
    centres = torch.cat([shard["loss"]["whole.weight"] for shard in found["shards"]])
    assert len(found["shards"][0]["loss"]["whole.weight"]) == 3
    torch.testing.assert_close(centres, expected["loss"]["weight"], atol=1e-5, rtol=1e-5)
    for name, tensor in expected["network"].items():
        torch.testing.assert_close(found["network"][name], tensor, atol=1e-5, rtol=1e-5)
    rows = [read_log(folder / "log.csv") for folder in (whole, sharded)]
    for one, other in zip(*rows, strict=True):
        assert other.gradient_norm == pytest.approx(one.gradient_norm, abs=1e-4)
        assert other.loss == pytest.approx(one.loss, abs=1e-4)
        assert other.accuracy == one.accuracy


def test_a_triplet_loss_has_nothing_to_shard(tmp_path, crops):
    settings = replace(QUIET, shard_classifier=True)
    with pytest.raises(UsageError, match="no classifier to shard"):
        train(crops, tmp_path / "run", _config("triplet"), settings)


@pytest.mark.slow
def test_snapshots_change_nothing_and_survive_a_stop(tmp_path, crops, monkeypatch):
    config = _config(steps=6)
    train(crops, tmp_path / "plain", config, QUIET)
    settings = replace(QUIET, snapshots=4, checkpoint_every=3)
    _interrupt_after(monkeypatch, 4)
    with pytest.raises(KeyboardInterrupt):
        train(crops, tmp_path / "run", config, settings)
    monkeypatch.undo()
    train(crops, tmp_path / "run", config, settings)
    plain, looked = (
        load_network(tmp_path / name / "model.safetensors") for name in ("plain", "run")
    )
    for one, other in zip(plain.parameters(), looked.parameters(), strict=True):
        assert torch.equal(one, other)
    kept = sorted(path.name for path in (tmp_path / "run" / "snapshots").iterdir())
    assert kept == [f"step-{step:08}.npy" for step in (0, 2, 4, 6)]
    with Image.open(tmp_path / "run" / "snapshots.gif") as animation:
        assert animation.n_frames == 4
        assert animation.info["loop"] == 0
