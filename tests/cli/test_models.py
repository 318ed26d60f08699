"""``facetool models`` from the outside: exit codes, streams, help, completion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from facetool.cli.completion import complete_model
from facetool.cli.messages import error_text
from facetool.cli.models import command
from facetool.errors import UsageError, WeightsError
from tests.cli.conftest import Run

COMMANDS = ("list", "info", "fetch", "where", "verify", "convert", "export")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACETOOL_HOME", str(tmp_path))
    return tmp_path / "weights"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], standalone_mode=False)


def facetool(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "facetool", "models", *arguments]
    return subprocess.run(line, capture_output=True, text=True)


def test_list_json_is_all_there_is_on_stdout() -> None:
    result = run("list", "--json")
    names = [row["name"] for row in json.loads(result.stdout)]
    assert "dlib-resnet.v1" in names
    text = run("list").stdout
    assert "lresnet100e-ir.onnx-zoo" in text
    assert len(text.splitlines()) == len(names) + 1


def test_list_of_detectors() -> None:
    rows = {row["name"]: row for row in json.loads(run("list", "--detectors", "--json").stdout)}
    assert rows["hog"]["options"] == {"upsample": 1}
    assert rows["mtcnn"]["points"] == 5
    assert all(row["score"] and row["licence"] and row["source"] for row in rows.values())
    (file,) = rows["cnn"]["weights"]
    assert Path(file["path"]).is_file()
    text = run("list", "--detectors").stdout
    assert all(name in text for name in rows)


@pytest.mark.slow
def test_info() -> None:
    assert json.loads(run("info", "NN4.small2", "--json").stdout)["parameters"] == 3_733_968
    assert "3,733,968" in run("info", "nn4.small2").stdout
    text = run("info", "lresnet100e-ir").stdout
    assert "65,156,160" in text
    assert "24.2115 GFLOPs" in text
    assert "non-commercial" in text


@pytest.mark.slow
def test_layers() -> None:
    lines = run("info", "nn4.small2", "--layers").stdout.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("layer  "))
    assert lines[head].split() == ["layer", "type", "output", "parameters", "multiply-adds"]
    row = ["stem.0", "Conv2d", "7x7/2", "64", "x", "48", "x", "48", "9,472", "21,676,032"]
    assert lines[head + 1].split() == row
    document = json.loads(run("info", "nn4.small2", "--layers", "--json").stdout)
    assert lines[-1].split() == ["total", "3,733,968", f"{document['multiply_adds']:,}"]
    assert document["layer_counts"][0] == {
        "name": "stem.0",
        "kind": "Conv2d 7x7/2",
        "output": [64, 48, 48],
        "parameters": 9_472,
        "multiply_adds": 21_676_032,
    }


def test_info_of_a_file(shared: Path) -> None:
    path = shared / "golden/torch7/nn4.small2.old2016.t7"
    assert str(path) in run("info", path).stdout


def test_where(home: Path) -> None:
    assert run("where").stdout.strip() == str(home)
    assert run("where", "dlib-resnet").stdout.strip().endswith(".dat")
    result = run("where", "nn4")
    assert isinstance(result.exception, WeightsError)


def test_verify(home: Path) -> None:
    assert run("verify").return_value == 0
    home.mkdir()
    home.joinpath("nn4.v2.t7").write_bytes(b"who knows")
    assert "nothing is published" in run("verify").stdout
    result = run("verify", "--json", "nn4.v1")
    assert result.return_value == 1
    assert json.loads(result.stdout)[0]["ok"] is False


def test_fetch_shows_the_licence() -> None:
    result = run("fetch", "dlib-resnet")
    assert result.stdout.strip().endswith(".dat")
    assert "public domain" in result.stderr


def test_fetch_of_detectors() -> None:
    result = run("fetch", "mtcnn", "CNN.v1")
    names = [Path(line).name for line in result.stdout.splitlines()]
    assert names == ["pnet.lz4", "rnet.lz4", "onet.lz4", "mmod_human_face_detector.dat"]
    assert "mtcnn.pnet: licence MIT" in result.stderr
    refused = run("fetch", "retinaface")
    assert isinstance(refused.exception, WeightsError)
    assert "no weights are published for retinaface" in str(refused.exception)


@pytest.mark.slow
def test_convert_and_export(shared: Path, tmp_path: Path) -> None:
    converted = tmp_path / "tiny.safetensors"
    run("convert", shared / "golden/mxnet/tiny18-0000.params", converted)
    assert json.loads(run("info", converted, "--json").stdout)["embedding_size"] == 64
    exported = tmp_path / "tiny.onnx"
    result = run("export", converted, exported, "--fold")
    assert result.exception is None
    assert exported.stat().st_size > 600_000


@pytest.mark.slow
def test_the_ending_says_the_format(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    exported = tmp_path / "x.XML"
    assert run("export", "dlib-resnet", exported).exception is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.XML", "x.bin"]
    assert json.loads(run("info", exported, "--json").stdout)["engine"] == "OpenVINO"
    refused = run("export", "dlib-resnet", exported, "--to", "onnx").exception
    assert "call it *.onnx" in str(refused)
    refused = run("export", "dlib-resnet", tmp_path / "x.onnx", "--half").exception
    assert isinstance(refused, UsageError)
    assert error_text(refused) == "--bgr and --half are for OpenVINO: call OUT *.xml"


@pytest.mark.slow
def test_mistakes_are_one_line_without_traceback() -> None:
    for arguments, code in [
        (("info", "nn5"), 2),
        (("where", "nn4.v1"), 1),
        (("fetch", "lresnet34e-ir"), 1),
        (("convert", "gone.t7", "x.safetensors"), 2),
    ]:
        process = facetool(*arguments)
        assert process.returncode == code, process.stderr
        assert "Traceback" not in process.stderr
        assert process.stdout == ""


@pytest.mark.slow
def test_help_is_quick_and_light() -> None:
    for name in COMMANDS:
        code = (
            "import sys, time; from facetool.cli.models import command;"
            f"command(['{name}', '--help'], standalone_mode=False);"
            "assert not {'torch', 'dlib', 'sklearn', 'matplotlib', 'numpy'} & set(sys.modules);"
            "assert time.process_time() < 1"
        )
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_listing_loads_no_torch() -> None:
    code = (
        "import sys; from facetool.cli.models import command;"
        "command(['list'], standalone_mode=False); assert 'torch' not in sys.modules"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    subprocess.run(
        [sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL, env=environment
    )


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("NN4.small2", {"nn4.small2", "nn4.small2.v1", "nn4.small2.v1-pt"}),
        ("lresnet34", {"lresnet34e-ir", "lresnet34e-ir.ms1m-v1"}),
        ("x", set()),
    ],
)
def test_completion(typed: str, names: set[str]) -> None:
    info = command.commands["info"]
    with info.make_context("info", ["dlib-resnet"]) as context:
        items = complete_model(context, info.params[0], typed)
    assert {item.value for item in items} == names


def test_quantize_says_what_it_cannot_do(run: Run, tmp_path: Path) -> None:
    done = run("models", "quantize", "dlib-resnet", tmp_path / "x.onnx", "--calibrate", tmp_path)
    assert done.returncode == 2 and "call it *.xml" in done.stderr
    done = run("models", "quantize", "dlib-resnet", "--calibrate", tmp_path)
    assert done.returncode == 2 and "has no align.json" in done.stderr
    assert not done.stdout and not list(tmp_path.iterdir())
