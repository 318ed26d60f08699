"""The command line as a user meets it: help, exit codes, one-line messages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from facetool.cli.main import COMMANDS, cli

HEAVY = ("torch", "dlib", "sklearn", "matplotlib", "cv2", "onnx", "scipy")


def facetool(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facetool", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    assert facetool("sample", folder, "--people", 2, "--images", 2).returncode == 0
    return folder


def test_help_imports_nothing_heavy() -> None:
    """Answering well under a second is a matter of what is imported."""
    script = (
        "import sys\n"
        "from importlib import import_module\n"
        "from facetool.cli.main import COMMANDS, cli\n"
        "for name in COMMANDS: import_module('facetool.cli.' + name.replace('-', '_'))\n"
        "for name in COMMANDS: cli.main([name, '--help'], standalone_mode=False)\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_what_runs_no_network_does_not_wait_for_pytorch() -> None:
    modules = (
        "align",
        "classify_evaluate",
        "classify_train",
        "embed_plot",
        "lfw_eval",
        "merge",
        "outliers",
        "records_pack",
        "records",
    )
    script = (
        "import sys\n"
        "from importlib import import_module\n"
        f"for name in {modules!r}: import_module('facetool.pipeline.' + name)\n"
        "print([name for name in ('torch', 'sklearn', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_python_ends_without_a_last_search_for_garbage() -> None:
    script = (
        "import atexit, gc, sys\n"
        "from facetool.cli.main import main\n"
        "atexit.register(lambda: print(gc.get_freeze_count() > 1000))\n"
        "sys.argv[1:] = ['--version']\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.parametrize(
    "arguments",
    ["compare a b", "search . a", "classify infer a b", "represent . o", "embed . o", "bin-eval ."],
)
def test_memory_is_seen_to_before_pytorch_is_imported(arguments: str, tmp_path: Path) -> None:
    """That alone takes a tenth of the import."""
    script = (
        "import sys\n"
        "from facetool.cli.main import cli\n"
        "from facetool.jobs import allocator\n"
        "def keep(): sys.exit(f'PyTorch is there: {\"torch\" in sys.modules}')\n"
        "allocator.keep_freed_memory = keep\n"
        "cli.main(sys.argv[1:], standalone_mode=False)"
    )
    (tmp_path / "a").touch()
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments.split()],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.stderr == "PyTorch is there: False\n"


@pytest.mark.parametrize("command", ["", *sorted(COMMANDS)])
def test_every_command_explains_itself(command: str) -> None:
    done = facetool(*command.split(), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: facetool")
    assert done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["align"],
        ["align", "/nowhere", "out"],
        ["align", ".", "out", "--select", "prettiest"],
        ["align", ".", "out", "--model", "nn5"],
        ["represent", ".", "out", "--device", "cuda:7"],
        ["compare", "one.jpg"],
        ["sample", "out", "--people", "0"],
    ],
)
def test_wrong_usage_exits_with_2_and_no_traceback(arguments: list[str], tmp_path: Path) -> None:
    done = facetool(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_name_that_comes_near_is_suggested(tmp_path: Path) -> None:
    done = facetool("align", tmp_path, tmp_path / "out", "--model", "nn4.small3")
    assert "nn4.small" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_align_represent_compare(photos: Path, tmp_path: Path) -> None:
    done = facetool("align", photos, tmp_path / "crops", "--on-no-face", "center")
    assert (done.returncode, done.stdout) == (0, "")
    done = facetool("represent", tmp_path / "crops", tmp_path / "reps", "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
    assert {p.name for p in (tmp_path / "reps").iterdir()} == {
        "inputs.csv",
        "reps.csv",
        "labels.csv",
        "reps.npy",
        "represent.json",
    }
    two = sorted(photos.glob("*/*.jpg"))[:2]
    done = facetool("compare", *two, "--json")
    if done.returncode == 0:  # the drawn photo may hide its face
        answer = json.loads(done.stdout)
        assert set(answer["comparisons"][0]) >= {"images", "squared_l2", "cosine", "same"}


@pytest.mark.slow
def test_failed_inputs_exit_with_1_and_are_named(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/broken one.jpg").write_text("no")
    next(photos.glob("*/*.jpg")).rename(tmp_path / "in/good.jpg")
    done = facetool("align", tmp_path / "in", tmp_path / "out")
    assert done.returncode == 1
    assert "broken one.jpg: " in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out/align.csv").is_file()


@pytest.mark.slow
def test_a_reader_that_goes_away_is_no_crash(photos: Path) -> None:
    command = f"{sys.executable} -m facetool models list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize(
    "command", ["compare a b --threshold", "align a b --min-sharpness", "search r p --threshold"]
)
def test_numbers_are_finite(
    command: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abrp":
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(cli, [*command.split(), value])
    assert ended.exit_code == 2
    assert "is not a number" in ended.output
