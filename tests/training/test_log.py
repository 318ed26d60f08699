import math
import sys
import types

import pytest

from facetool.errors import FormatError
from facetool.training.log import LogRow, TrainLog, read_log


def _row(step, **verification):
    return LogRow(step, step / 10, 1.5, 0.25, 16, 0.1, 3.0, 40.0, 0, verification)


def test_rows_come_back(tmp_path):
    path = tmp_path / "log.csv"
    rows = [_row(10), _row(20, lfw=0.75)]
    with TrainLog(path, ["lfw"], 0, tmp_path / "events") as log:
        for row in rows:
            log.add(row)
    assert read_log(path) == rows
    header, first, second = path.read_text().splitlines()
    assert header.startswith("step,epoch,loss,accuracy") and header.endswith("verification:lfw")
    assert first.endswith(",") and second.endswith(",0.75")


def test_a_run_that_continues_drops_later_and_unfinished_rows(tmp_path):
    path = tmp_path / "log.csv"
    with TrainLog(path, [], 0, tmp_path / "events") as log:
        for step in (10, 20, 30):
            log.add(_row(step))
    path.write_text(path.read_text() + "40,4,1.")
    with TrainLog(path, [], 20, tmp_path / "events") as log:
        log.add(_row(30))
    assert [row.step for row in read_log(path)] == [10, 20, 30]


def test_a_loss_without_classes_has_no_accuracy(tmp_path):
    path = tmp_path / "log.csv"
    with TrainLog(path, [], 0, tmp_path / "events") as log:
        log.add(LogRow(1, 0.1, 1.5, math.nan, 200, 0.1, 3.0, 40.0, 0))
    assert math.isnan(read_log(path)[0].accuracy)


def test_another_file_is_no_log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(FormatError, match=r"log\.csv"):
        read_log(path)


def test_tensorboard_gets_the_same_figures(tmp_path, monkeypatch):
    written: list[object] = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            written.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    module = types.ModuleType("torch.utils.tensorboard")
    module.__dict__["SummaryWriter"] = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    with TrainLog(tmp_path / "log.csv", ["lfw"], 5, tmp_path / "events") as log:
        log.add(_row(10, lfw=0.75))
    assert written[0] == (str(tmp_path / "events"), 6)
    assert ("train/loss", 1.5, 10) in written
    assert ("verification/lfw", 0.75, 10) in written
    assert written[-1] == "closed"


@pytest.mark.parametrize("line", ["1,2,3,4,5,6,7,8,9,10,11", "1", '"', "x" * 200_000 + ",1"])
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "log.csv"
    with TrainLog(path, ["lfw"], 0, tmp_path / "events") as log:
        log.add(_row(10))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(FormatError, match="not a training log"):
        read_log(path)
