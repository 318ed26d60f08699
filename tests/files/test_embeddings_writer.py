"""What the writer of embeddings goes on from, whatever a kill or a power cut left."""

import json
from pathlib import Path

import numpy as np
import pytest

from facetool.files.embeddings_writer import EmbeddingsWriter, complete_renames
from facetool.files.image_states import ImageState
from facetool.files.represent_description import RepresentDescription

SETTINGS = RepresentDescription(flip="none")
VECTORS = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
STATE = ImageState(7, 1_700_000_000_000_000_001, "ab" * 32)
PARTS = (".reps.csv.part", ".labels.csv.part", ".reps.npy.part", ".inputs.csv.part")


def add(writer: EmbeddingsWriter, first: int, last: int) -> None:
    """Batches of ten."""
    for batch in range(first, last):
        rows = range(10 * batch, 10 * batch + 10)
        labels = [(1, f"a/{row}.png") for row in rows]
        writer.add(VECTORS[rows.start : rows.stop], labels, [STATE] * 10, [(f"x{batch}", "bad")])


def stopped(folder: Path, batches: int) -> Path:
    """A folder as a run leaves it that is killed after some batches."""
    with EmbeddingsWriter(folder, 3, SETTINGS) as writer:
        add(writer, writer.batches, batches)
    return folder


def finish(folder: Path) -> tuple[int, dict[str, bytes]]:
    """Batches that were there, and the files in the end."""
    with EmbeddingsWriter(folder, 3, SETTINGS) as writer:
        before = writer.batches
        add(writer, before, 4)
        assert writer.failures == [(f"x{batch}", "bad") for batch in range(4)]
        writer.finish(RepresentDescription(counts={"images": 40}))
    return before, {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("damage", ["zeros", "short", "beyond"])
def test_a_file_that_did_not_reach_the_disk_loses_its_last_batches_alone(
    tmp_path: Path, name: str, damage: str
) -> None:
    """File systems may know a file's length before its content, or forget its end."""
    folder = stopped(tmp_path / "cut", 3)
    part = folder / name
    data = part.read_bytes()
    if damage == "zeros":
        part.write_bytes(data[:-9] + bytes(9))
    elif damage == "short":
        part.write_bytes(data[:-9])
    else:
        part.write_bytes(data + bytes(4096))
    before, files = finish(folder)
    assert before == (3 if damage == "beyond" else 2)
    assert files == finish(tmp_path / "whole")[1]


def test_a_run_that_is_killed_again_and_again_loses_no_batch(tmp_path: Path) -> None:
    """Half a line that one kill left in the journal does not spoil the next run's lines."""
    for batches in (1, 2, 3):
        folder = stopped(tmp_path / "cut", batches)
        with (folder / ".represent.journal.part").open("ab") as journal:
            journal.write(b'{"rows": 3, "len')
    before, files = finish(folder)
    assert before == 3
    assert files == finish(tmp_path / "whole")[1]


@pytest.mark.parametrize(
    ("length", "kept"), [("-9", 1), ("99999999999999999999", 1), ("1e300", 1), ("Infinity", 0)]
)
def test_lengths_that_no_file_has(tmp_path: Path, length: str, kept: int) -> None:
    folder = stopped(tmp_path / "cut", 2)
    journal = folder / ".represent.journal.part"
    lines = journal.read_text().splitlines(keepends=True)
    entry = json.loads(lines[-1])
    stated = f'"reps.csv": {entry["lengths"]["reps.csv"]},'
    journal.write_text("".join(lines[:-1]) + lines[-1].replace(stated, f'"reps.csv": {length},', 1))
    before, files = finish(folder)
    assert before == kept
    assert files == finish(tmp_path / "whole")[1]


@pytest.mark.parametrize("settings", ["7", "[]", "null", '{"network": 7}'])
def test_a_last_line_that_renames_nothing(tmp_path: Path, settings: str) -> None:
    folder = stopped(tmp_path / "cut", 2)
    with (folder / ".represent.journal.part").open("a") as journal:
        journal.write(f'{{"renaming": {settings}}}\n')
    complete_renames(folder)
    before, files = finish(folder)
    assert before == 0
    assert files == finish(tmp_path / "whole")[1]


@pytest.mark.parametrize(
    "line", [b"{}", b'{"lengths": 3}', b'{"rows": "x", "lengths": {}, "failures": []}', b"\xff"]
)
def test_a_journal_that_is_none_is_started_anew(tmp_path: Path, line: bytes) -> None:
    folder = stopped(tmp_path / "cut", 2)
    with (folder / ".represent.journal.part").open("ab") as journal:
        journal.write(line + b"\n")
    before, files = finish(folder)
    assert before == 0
    assert files == finish(tmp_path / "whole")[1]
