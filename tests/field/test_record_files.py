"""Record files that are cut, mislabelled, or whose index or ``property`` is of another set."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from facetool.cli.records import command
from facetool.errors import FormatError, UsageError
from facetool.files.recordio import RecordWriter, read_index
from facetool.images.inputs import open_images
from facetool.images.png import encode_png
from facetool.images.records import ImageRecords, Properties, format_record, read_properties
from facetool.pipeline.records import describe, unpack
from facetool.training.data import TrainingSet

PEOPLE, EACH = 10, 12


def write(
    folder: Path,
    header: bool = False,
    labels: dict[int, float] | None = None,
    name: str = "train",
    people: int = PEOPLE,
) -> Path:
    """A set as InsightFace's tools write it; ``labels``: other labels, by key."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.rec"
    end = people * EACH + 1
    with path.open("wb") as file, path.with_suffix(".idx").open("w") as index:
        writer = RecordWriter(file, index)
        if header:
            writer.write(0, format_record((end, end + people), 0))
        for key in range(1, end):
            label = (labels or {}).get(key, float((key - 1) // EACH))
            picture = np.full((12, 12, 3), key % 256, np.uint8)
            writer.write(key, format_record((label, 1), key, encode_png(picture)))
        for person in range(people if header else 0):
            first = person * EACH + 1
            writer.write(end + person, format_record((first, first + EACH), end + person))
    (folder / "property").write_text(f"{people},12,12")
    return path


def cut(path: Path, share: float) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("header", [False, True])
def test_a_whole_set_has_no_flaws(tmp_path: Path, header: bool) -> None:
    path = write(tmp_path, header)
    assert ImageRecords(path).flaws(thorough=True) == []
    assert TrainingSet(path).flaws == []


@pytest.mark.parametrize("header", [False, True])
@pytest.mark.parametrize("indexed", [True, False])
def test_a_cut_set_is_not_trained_on(tmp_path: Path, header: bool, indexed: bool) -> None:
    path = write(tmp_path, header)
    cut(path, 0.6)
    if not indexed:
        path.with_suffix(".idx").unlink()
    with pytest.raises(FormatError, match="more than 1% is missing or unfit") as caught:
        TrainingSet(path)
    assert ("remove train.idx" in str(caught.value)) == indexed
    assert "identities where property says 10" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_info_counts_what_unpack_misses(tmp_path: Path) -> None:
    path = write(tmp_path, header=True)
    cut(path, 0.9)
    damaged = describe(path).damaged
    report = unpack(path, tmp_path / "out")
    lost = report.counts["failed"]
    assert lost == 10
    assert f"{lost:,} of " in damaged[0]


def test_damage_between_is_found_by_info_though_a_header_spares_it(tmp_path: Path) -> None:
    path = write(tmp_path, header=True)
    keys, offsets = read_index(path.with_suffix(".idx"))
    data = bytearray(path.read_bytes())
    data[int(offsets[keys == 40][0])] ^= 1
    path.write_bytes(data)
    assert ImageRecords(path).flaws() == []
    (damaged,) = describe(path).damaged
    assert damaged.startswith("1 of 120 records, key 40 the first: not in the file")


def test_a_foreign_index_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "one")
    lines = path.with_suffix(".idx").read_text().splitlines()
    foreign = "".join(f"{key}\t{int(offset) + 4}\n" for key, offset in map(str.split, lines))
    path.with_suffix(".idx").write_text(foreign)
    with pytest.raises(FormatError, match=r"120 of 120 records.*belongs to another"):
        TrainingSet(path)


@pytest.mark.parametrize("label", [-1.0, 0.5, float("nan")])
def test_labels_that_number_nobody(tmp_path: Path, label: float) -> None:
    path = write(tmp_path, labels={7: label}, people=20)
    (flaw,) = TrainingSet(path).flaws
    assert (flaw.what, flaw.number) == ("1 of 240 records, key 7 the first", 1)
    assert "no whole number" in flaw.reason
    path = write(tmp_path, labels=dict.fromkeys(range(1, 5), label), people=20)
    with pytest.raises(FormatError, match="4 of 240 records"):
        TrainingSet(path)


def test_an_index_that_leaves_people_out_contradicts_property(tmp_path: Path) -> None:
    path = write(tmp_path)
    lines = path.with_suffix(".idx").read_text().splitlines(keepends=True)
    path.with_suffix(".idx").write_text("".join(lines[: 5 * EACH]))
    with pytest.raises(FormatError, match="5 identities where property says 10"):
        TrainingSet(path)
    (tmp_path / "property").unlink()
    assert TrainingSet(path).classes == 5


def test_two_lines_of_property(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "property").write_text(f"10,12,12\n{PEOPLE * EACH}\n")
    assert read_properties(path) == Properties(10, 12, 12, 120)
    assert describe(path).damaged == []
    (tmp_path / "property").write_text("10,12,12\n240\n")
    assert describe(path).damaged[0].startswith("120 records where property says 240")
    (tmp_path / "property").write_text("10,12,12\n1\n2\n")
    with pytest.raises(FormatError, match="property"):
        read_properties(path)


def test_info_prints_a_table(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "property").write_text("10,12,12\n120\n")
    done = CliRunner().invoke(command, ["info", str(path)], standalone_mode=False)
    assert done.return_value == 0
    assert "{" not in done.output and "None" not in done.output
    assert "10 identities, 12x12 pixels, 120 records" in done.output
    done = CliRunner().invoke(command, ["info", str(path), "--json"], standalone_mode=False)
    assert json.loads(done.output)["property"]["records"] == 120


def test_the_folder_of_a_data_set_is_taken(tmp_path: Path) -> None:
    path = write(tmp_path / "faces_emore")
    dataset = TrainingSet(path.parent)
    assert dataset.classes == PEOPLE and dataset.path == path
    assert len(open_images(path.parent).names) == PEOPLE * EACH
    write(tmp_path / "faces_emore", name="other")
    with pytest.raises(UsageError, match=r"several \.rec files.*other\.rec, train\.rec"):
        TrainingSet(path.parent)


def test_images_in_no_persons_folder_are_named(tmp_path: Path) -> None:
    picture = encode_png(np.zeros((12, 12, 3), np.uint8))
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann" / "1.png").write_bytes(picture)
    (tmp_path / "stray.png").write_bytes(picture)
    (flaw,) = TrainingSet(tmp_path).flaws
    assert flaw.what.startswith("1 image directly in") and "no person's folder" in flaw.reason


def test_the_samples(shared: Path) -> None:
    folder = shared / "cases" / "records"
    whole = folder / "two-line-property" / "train.rec"
    assert read_properties(whole) == Properties(10, 112, 112, 40)
    assert describe(whole).damaged == []
    with pytest.raises(FormatError, match="28 of 51 records"):
        TrainingSet(folder / "cut" / "train.rec")
