"""``facetool train`` as a user meets it."""

import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from facetool.cli.main import main

TINY = [
    *("--network", "lresnet18e-ir", "--network-option", "units=[1,1,1,1]"),
    *("--network-option", "filters=[16,16,16,16,16]", "--network-option", "embedding_size=16"),
    *("--batch-size", "2", "--device", "cpu", "--jobs", "1"),
]


def start(*arguments):
    command = [sys.executable, "-m", "facetool", "train", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


def run(*arguments):
    process = start(*arguments)
    output, errors = process.communicate(timeout=120)
    return process.returncode, output, errors


def call(monkeypatch, *arguments):
    """The command in this process, which has imported PyTorch already."""
    monkeypatch.setattr(sys, "argv", ["facetool", "train", *map(str, arguments)])
    main()


@pytest.fixture(scope="module")
def crops(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    random = np.random.default_rng(0)
    for person in "ab":
        (folder / person).mkdir()
        for image in range(2):
            pixels = random.integers(0, 256, (112, 112, 3), dtype=np.uint8)
            assert cv2.imwrite(str(folder / person / f"{image}.png"), pixels)
    return folder


def rows(output):
    log = output / "log.csv"
    return len(log.read_text().splitlines()) - 1 if log.is_file() else 0


def stop_after_some_steps(process, output, number, least):
    """Send a signal once the log has so many rows; what the process says on stderr."""
    deadline = time.monotonic() + 60
    while rows(output) < least:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)
    process.send_signal(number)
    return process.communicate(timeout=60)[1]


@pytest.mark.slow
def test_a_signal_leaves_a_checkpoint_and_the_same_command_goes_on(tmp_path, crops):
    output = tmp_path / "run"
    command = [crops, output, *TINY, "--loss", "arcface", "--log-every", 1]
    for number in (signal.SIGTERM, signal.SIGINT):
        before = rows(output)
        process = start(*command, "--steps", 1000)
        errors = stop_after_some_steps(process, output, number, before + 2)
        assert process.returncode == 128 + number
        (line,) = filter(None, errors.split("\n"))
        assert "the same command continues" in line
        assert (output / "checkpoint.pt").is_file()
        assert not (output / "model.safetensors").exists()
    more = ["--steps", rows(output) + 2, "--resume", "--quiet"]
    code, stdout, errors = run(*command, *more)
    assert (code, stdout) == (0, ""), errors
    assert errors.splitlines() == [f"{output}: 2 steps"]
    assert (output / "model.safetensors").is_file() and (output / "training.png").is_file()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([*TINY, "--loss", "arcface", "--steps", "2", "--loss-option", "alpha=1"], "no option"),
        ([*TINY, "--loss", "arcface", "--steps", "2", "--loss-option", "margin=wide"], "arcface"),
        (["--network", "nn5", "--loss", "softmax", "--steps", "2"], "there is no network"),
        ([*TINY, "--loss", "softmax", "--steps", "2", "--network-option", "depth=3"],
         "lresnet18e-ir cannot be made"),
        (["--loss", "softmax", "--steps", "2"], "either a network"),
        ([*TINY, "--loss", "softmax", "--steps", "2", "--schedule", "step"], "go together"),
        ([*TINY, "--loss", "softmax", "--steps", "2", "--eval-crops", "."], "go together"),
        ([*TINY, "--loss", "softmax", "--steps", "2", "--resume"], "to resume from"),
        (["--network", "nn4.small2", "--loss", "triplet", "--steps", "2"], "96x96"),
        ([*TINY, "--loss", "softmax", "--steps", "2", "--network-option", "x"], "KEY=VALUE"),
    ],
)  # fmt: skip
def test_mistakes_take_one_line(tmp_path, crops, arguments, message, capsys, monkeypatch):
    with pytest.raises(SystemExit) as exit:
        call(monkeypatch, crops, tmp_path, *arguments)
    assert exit.value.code == 2
    errors = capsys.readouterr().err
    assert message in errors and "Traceback" not in errors


@pytest.mark.slow
def test_a_damaged_image_is_named_and_the_rest_is_done(tmp_path, crops, capsys, monkeypatch):
    folder = tmp_path / "crops"
    for path in crops.rglob("*.png"):
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    (folder / "b" / "1.png").write_bytes(b"no image")
    arguments = [*TINY, "--loss", "softmax", "--steps", "2"]
    with pytest.raises(SystemExit) as exit:
        call(monkeypatch, folder, tmp_path / "run", *arguments)
    assert exit.value.code == 1
    assert "b/1.png: " in capsys.readouterr().err
    assert (tmp_path / "run" / "model.safetensors").is_file()
