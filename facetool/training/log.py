"""What a run reports as it goes: a CSV file, and TensorBoard events where the package is there."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from facetool.errors import FormatError
from facetool.files.atomic import atomic_write, output_errors
from facetool.files.text import read_text

LOG_COLUMNS = (
    "step",
    "epoch",
    "loss",
    "accuracy",
    "terms",
    "learning_rate",
    "gradient_norm",
    "images_per_second",
    "skipped",
)
_PREFIX = "verification:"


@dataclass(frozen=True)
class LogRow:
    """The steps since the row before, together.

    Attributes:
        step: updates made so far.
        epoch: passes over the data so far, with a fraction.
        loss: mean.
        accuracy: share of images whose own class scores highest, or of triplets whose negative is
            the farther one; NaN where there were none.
        terms: images or triplets that the loss is the mean of, per step over all processes.
        learning_rate: of the last update.
        gradient_norm: of the last update, before clipping.
        images_per_second: over all processes, evaluations and checkpoints left out.
        skipped: damaged images so far.
        verification: accuracy per set, empty where none was evaluated at this step.
    """

    step: int
    epoch: float
    loss: float
    accuracy: float
    terms: float
    learning_rate: float
    gradient_norm: float
    images_per_second: float
    skipped: int
    verification: dict[str, float] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Mean verification accuracy; NaN where none was evaluated."""
        values = self.verification.values()
        return sum(values) / len(values) if values else math.nan


class TrainLog:
    """Appends rows; a run that continues drops those beyond the step it continues from.

    Args:
        path: the CSV file, read by a person while it grows.
        sets: names of the verification sets, a column each.
        step: where the run starts or continues.
        events: folder for TensorBoard events.

    Attributes:
        rows: all rows so far.

    Raises:
        OutputError: the file cannot be written.
        FormatError: the file that is there is no such log.
    """

    def __init__(self, path: Path, sets: Sequence[str], step: int, events: Path) -> None:
        self._path = path
        self._sets = sets
        self.rows = [row for row in read_log(path) if row.step <= step] if step else []
        with atomic_write(path, "w", encoding="utf-8", newline="") as file:
            file.write(_csv([*LOG_COLUMNS, *(_PREFIX + name for name in sets)]))
            file.writelines(self._line(row) for row in self.rows)
        with output_errors(path):
            self._file: IO[str] = path.open("a", encoding="utf-8", newline="")
        self._events = _event_writer(events, step)

    def add(self, row: LogRow) -> None:
        """Write a row to all places."""
        self.rows.append(row)
        with output_errors(self._path):
            self._file.write(self._line(row))
            self._file.flush()
        if self._events is not None:
            for name, value in _values(row).items():
                if name != "step":
                    self._events.add_scalar(f"train/{name}", value, row.step)
            for name, value in row.verification.items():
                self._events.add_scalar(f"verification/{name}", value, row.step)

    def _line(self, row: LogRow) -> str:
        values = [_text(value) for value in _values(row).values()]
        return _csv(
            [*values, *(_text(row.verification.get(name, math.nan)) for name in self._sets)]
        )

    def __enter__(self) -> TrainLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()


def read_log(path: Path) -> list[LogRow]:
    """The rows of a log; a last line that a killed run left unfinished is passed over.

    Raises:
        FormatError: the file is no such log.
    """
    if not path.is_file():
        return []
    text = read_text(path)
    reader = csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1], newline=""))
    try:
        return [_row(line) for line in reader]
    except (AttributeError, TypeError, ValueError, KeyError, csv.Error) as error:
        raise FormatError(f"{path}, line {reader.line_num}: not a training log") from error


def _row(line: dict[str, str]) -> LogRow:
    verification = {
        name.removeprefix(_PREFIX): float(value)
        for name, value in line.items()
        if name.startswith(_PREFIX) and value
    }
    floats = {name: float(line[name] or "nan") for name in LOG_COLUMNS}
    step, skipped = int(line["step"]), int(line["skipped"])
    return LogRow(**{**floats, "step": step, "skipped": skipped, "verification": verification})  # type: ignore[arg-type]


def _values(row: LogRow) -> dict[str, Any]:
    values = asdict(row)
    del values["verification"]
    return values


def _text(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return "" if math.isnan(value) else f"{value:.6g}"


def _csv(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _event_writer(folder: Path, step: int) -> Any:
    """TensorBoard's writer, or None where the package is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    # Events of a killed run beyond this step are hidden by TensorBoard.
    return SummaryWriter(str(folder), purge_step=step + 1 if step else None)
