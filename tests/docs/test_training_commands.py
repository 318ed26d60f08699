"""The published training commands, as docs/training.md has them, on drawn people."""

import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from facetool.cli.main import main
from facetool.pipeline import records
from facetool.pipeline.records_pack import pack
from facetool.training.log import read_log
from tests.drawn_people import draw_people

PAGE = Path(__file__).resolve().parents[2] / "docs" / "training.md"
SETS = ("lfw", "cfp_ff", "cfp_fp", "agedb_30")
NARROW = {
    "lresnet100e-ir": "units=[1,1,1,1] filters=[16,16,16,16,16]",
    "lresnet50e-ir": "units=[1,1,1,1] filters=[16,16,16,16,16]",
    "lmobilenete": "multiplier=0.5",
    "ldpn107e": "units=[1,1,1,1] increments=[16,16,16,16] bottleneck=16 groups=1 width=16 "
    "stem_filters=16",
    "nn4": "",
    "mobilefacenet": "",
}
"""What leaves each kind of network whole and makes it quick."""

Run = Callable[..., int]

pytestmark = pytest.mark.usefixtures("one_thread")


def rows(title: str) -> dict[str, list[str]]:
    """The rows of a table of the page, by their first cell."""
    table = re.search(rf"^\| {re.escape(title)}.*?(?=\n\n)", PAGE.read_text("utf-8"), re.M | re.S)
    assert table is not None
    lines = table[0].split("\n")[2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0].partition(" `")[0]: row[1:] for row in cells}


PUBLISHED = rows("InsightFace's page")
COMMANDS = {name: shlex.split(cells[0].strip("`"))[1:] for name, cells in PUBLISHED.items()}
MARGINS = re.findall(r"\| ([\d., ]+) \| `(--loss-option[^`]*)` \|", PAGE.read_text("utf-8"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seven files of a data set."""
    folder = tmp_path_factory.mktemp("faces_ms1m_112x112")
    crops = draw_people(tmp_path_factory.mktemp("people"), 4, 4)
    pairs = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    pairs.write_text("5\t1\n" + "P00\t1\t2\nP01\t3\tP02\t4\n" * 5)
    pack(crops, folder / "train.rec")
    (folder / "train.lst").unlink()
    for name in SETS:
        records.pack_pairs(crops, folder / f"{name}.bin", pairs)
    assert len(list(folder.iterdir())) == 7
    return folder


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """A command in this process; its exit code."""

    def call(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["facetool", *map(str, arguments)])
        try:
            main()
        except SystemExit as exit:
            print(capsys.readouterr().err)
            return int(exit.code or 0)
        return 0

    return call


def short(command: list[str], data: Path, output: Path) -> list[str]:
    """A published command on drawn data, cut down in width, batch and length."""
    verb, _, _, *options = command
    network = options[options.index("--network") + 1] if "--network" in options else "mobilefacenet"
    narrow = [f"--network-option={option}" for option in NARROW[network].split()]
    quick = "--steps 2 --batch-size 4 --people 2 --images-per-person 2 --log-every 1 --jobs 1"
    return [verb, str(data), str(output), *options, *narrow, *quick.split(), "--device", "cpu"]


def test_the_tables_are_the_pages() -> None:
    numbers = [name for name in COMMANDS if name.startswith("(")]
    assert numbers == [f"({number})" for number in range(1, 7)]
    assert len(MARGINS) == 8


@pytest.mark.slow
@pytest.mark.parametrize("number", ["(1)", "(2)", "(5)", "(6)", "combined margin,"])
def test_a_published_command_trains_on_a_folder_of_seven_files(
    number: str, data: Path, tmp_path: Path, run: Run
) -> None:
    assert run(*short(COMMANDS[number], data, tmp_path / "run")) == 0
    log = read_log(tmp_path / "run" / "log.csv")
    assert [row.step for row in log] == [0, 1, 2]
    assert set(log[0].verification) == set(log[-1].verification) == set(SETS)


@pytest.mark.slow
def test_triplets_go_on_from_softmax(data: Path, tmp_path: Path, run: Run) -> None:
    """Numbers 3 and 4, the second from the file that the first wrote."""
    first = tmp_path / "model-m1-softmax"
    assert run(*short(COMMANDS["(3)"], data, first)) == 0
    second = short(COMMANDS["(4)"], data, tmp_path / "model-m1-triplet")
    second[second.index("--from") + 1] = str(first / "model.safetensors")
    assert run(*second) == 0
    assert (tmp_path / "model-m1-triplet" / "model.safetensors").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("margins, options", MARGINS)
def test_a_combined_margin_of_the_page_trains(
    margins: str, options: str, data: Path, tmp_path: Path, run: Run
) -> None:
    expected = [float(value) for value in margins.split(",")]
    assert [float(value) for value in re.findall(r"=([\d.]+)", options)] == expected
    command = short(COMMANDS["combined margin,"], data / "train.rec", tmp_path / "run")
    assert run(*command, *options.split(), "--steps", 1) == 0
    assert not read_log(tmp_path / "run" / "log.csv")[0].verification  # DATA was the file alone


@pytest.mark.slow
def test_openfaces_command_trains(tmp_path: Path, run: Run) -> None:
    (cells,) = rows("OpenFace 0.2").values()
    crops = draw_people(tmp_path / "crops", 3, 3, size=96)
    command = shlex.split(cells[0].strip("`"))[1:]
    assert run(*short(command, crops, tmp_path / "run")) == 0


@pytest.mark.slow
def test_bin_eval_takes_the_folder(data: Path, tmp_path: Path, run: Run) -> None:
    command = short(COMMANDS["(2)"], data / "train.rec", tmp_path / "run")
    assert run(*command, "--steps", 1) == 0
    weights = tmp_path / "run" / "model.safetensors"
    assert run("bin-eval", data, "--weights", weights, "--device", "cpu") == 0
    (tmp_path / "empty").mkdir()
    assert run("bin-eval", tmp_path / "empty", "--weights", weights) == 2
