"""``facetool profile`` from the outside: streams, exit codes, help."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from facetool.cli.profile import command
from facetool.cli.tables.profile import networks_text, pipeline_text
from facetool.errors import UsageError
from facetool.sample.album import draw_album
from tests.example_profiles import network_profiles, pipeline_profile


def run(*arguments: str | Path) -> Result:
    """The command as the group calls it: its return value is the exit code."""
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than everything else; the pipeline's tests draw."""
    monkeypatch.setattr(
        "facetool.plots.style.save_plot", lambda figure, path: path.write_bytes(b"plot")
    )
    monkeypatch.setattr("facetool.profiling.network._SECONDS_PER_BATCH_SIZE", 0.01)


@pytest.mark.slow
def test_network(tmp_path: Path) -> None:
    result = run("network", "--passes", "2", "--batch-sizes", "1", "--plot", tmp_path / "a.png")
    assert result.exception is None and result.return_value == 0
    assert result.stdout.splitlines()[1].split()[:3] == ["dlib-resnet", "dlib-resnet.v1", "150x150"]
    assert f"plot: {tmp_path / 'a.png'}" in result.stderr
    assert (tmp_path / "a.png").read_bytes() == b"plot"


@pytest.mark.slow
def test_network_json_is_all_there_is_on_stdout() -> None:
    arguments = ["network", "mobilefacenet", "--passes", "1", "--batch-sizes", "2,1,2", "--json"]
    (one,) = json.loads(run(*arguments).stdout)["networks"]
    assert list(one["runs"][0]["throughput"]) == ["2", "1"]
    assert one["parameters"] == 1_003_264


@pytest.mark.slow
def test_pipeline(tmp_path: Path) -> None:
    draw_album(tmp_path, people=2, images=2, seed=3)
    photo = next(path for path in sorted(tmp_path.glob("*/*.jpg")))
    result = run("pipeline", photo, "--iterations", "1", "--json")
    assert result.exception is None and result.return_value == 0
    assert json.loads(result.stdout)["photos"][0]["image"] == str(photo)


@pytest.mark.slow
def test_several_models_and_what_is_published(tmp_path: Path) -> None:
    draw_album(tmp_path, people=2, images=1, seed=3)
    photo = sorted(tmp_path.glob("*/*.jpg"))[0]
    models = ["--model", "dlib-resnet", "--model", "mobilefacenet", "--detector", "hog"]
    result = run("pipeline", photo, "--iterations", "1", *models, "--published")
    assert result.exception is None and result.return_value == 0
    assert result.stdout.count("start-up: ") == 2
    assert "OpenFace 0.2.0  lennon-1" in result.stdout
    result = run("pipeline", photo, "--iterations", "1", *models, "--json")
    first, second = json.loads(result.stdout)["models"]
    assert first["start_up"] > 0 and second["network"].startswith("mobilefacenet")


def test_networks_text() -> None:
    text = networks_text(network_profiles(), published=True)
    assert "NN4.small2" in text and "random" in text
    assert "3,733,968" in text and "0.2038" in text
    assert "img/s x2" in text and "GPU MB" not in text
    assert "dlib-resnet, cpu, bfloat16\nblock" in text and "blocks.13" in text
    words = " ".join(text.split())
    assert "nn4.small2.v1 58.90 15.36 8-core 3.70 GHz CPU, OpenBLAS https://" in words
    assert "nn4.small2.v1 460.89 85.74 8-core 3.70 GHz CPU, netlib BLAS" in words
    assert "published" not in networks_text(network_profiles())


def test_networks_text_of_a_gpu() -> None:
    profiles = network_profiles()
    one = profiles.networks[0]
    on_gpu = replace(one, runs=(replace(one.runs[0], gpu_memory=1_234_000_000),))
    text = networks_text(replace(profiles, networks=(on_gpu,)))
    assert "GPU MB" in text and "1234" in text


def test_pipeline_text() -> None:
    text = pipeline_text(pipeline_profile())
    assert "3 iterations" in text and "in: 12.5 images per second end to end" in text
    assert "bottleneck: representation" in text
    assert "dlib-resnet.v1 on cpu, float32; detector hog, upsample 1; peak memory 300 MB" in text
    assert "33.00 ± 2.45" in text


@pytest.mark.parametrize("sizes", ["0", "1,,2", "many", "-1"])
def test_batch_sizes(sizes: str) -> None:
    result = run("network", "--batch-sizes", sizes)
    assert "give whole numbers such as 1,8,32" in str(result.exception)


def test_a_picture_of_another_kind_is_refused_at_once(tmp_path: Path) -> None:
    for what in ("network", "pipeline"):
        arguments = [what, "--plot", tmp_path / "a.gif"]
        result = run(*arguments, *(["x.jpg"] if what == "pipeline" else []))
        assert isinstance(result.exception, UsageError)


def test_help_loads_nothing_heavy() -> None:
    for name in ("network", "pipeline"):
        code = (
            "import sys; from facetool.cli.profile import command;"
            f"command(['{name}', '--help'], standalone_mode=False);"
            "assert not {'torch', 'dlib', 'matplotlib', 'numpy'} & set(sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
