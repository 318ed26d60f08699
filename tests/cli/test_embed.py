"""``embed`` on the command line."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from facetool.runners.job import EmbedJob, ShardOutcome
from tests.cli.conftest import Run


def test_detectors_of_a_cluster_may_use_gpus_that_this_machine_lacks(
    run: Run, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def run_on_ray(job: EmbedJob, *others: Any) -> Iterator[ShardOutcome]:
        asked.append(job.detector_device)
        yield from ()

    monkeypatch.setattr("facetool.runners.on_ray.run_on_ray", run_on_ray)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    given = ("--detector", "cnn", "--device", "cuda")
    run("embed", album, tmp_path / "out", *given, "--ray=10.0.0.1:6379")
    assert asked == ["cuda"]


def test_without_a_gpu_nothing_is_begun(
    run: Run, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    done = run("embed", album, tmp_path / "out", "--device", "cuda:all")
    assert done.returncode == 2 and "this machine offers 0 CUDA devices" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_gpu_elsewhere_does_not_say_what_it_computes_in(
    run: Run, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    given = ("--device", "cuda", "--dtype", "auto", "--ray=10.0.0.1:6379")
    done = run("embed", album, tmp_path / "out", *given)
    assert done.returncode == 2 and "give --dtype bfloat16 or --dtype float32" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "out").exists()


def test_one_command_takes_one_gpu(run: Run, album: Path, tmp_path: Path) -> None:
    done = run("represent", album, tmp_path / "out", "--device", "cuda:all")
    assert done.returncode == 2
    assert done.stderr == (
        "facetool: --device cuda:all is for embed, which gives every GPU a process\n"
    )


@pytest.mark.parametrize("device", ["gpu", "cuda:99", "mps", "cuda:all"])
@pytest.mark.parametrize("detector", ["hog", "cnn"])
def test_align_takes_no_device_that_is_not_there(
    run: Run, album: Path, tmp_path: Path, detector: str, device: str
) -> None:
    done = run("align", album, tmp_path / "crops", "--detector", detector, "--device", device)
    assert done.returncode == 2 and f"--device {device}" in done.stderr
    assert done.stderr.count("\n") == 1 and not (tmp_path / "crops").exists()


def test_without_ray_nothing_is_begun(
    run: Run, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    done = run("embed", album, tmp_path / "out", "--device", "cuda:all")
    assert done.returncode == 2 and "pip install 'facetool[ray]'" in done.stderr
    assert not (tmp_path / "out").exists()
