"""The journal of ``align``: what is done stays done, whatever happens."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from facetool.errors import FormatError, UsageError
from facetool.files.align_description import AlignDescription
from facetool.files.align_journal import JOURNAL, AlignedPhoto, AlignJournal
from facetool.files.align_manifest import AlignRow, read_manifest
from facetool.files.image_states import ImageState, read_states
from facetool.images.png import encode_png

SETTINGS = AlignDescription(crop={"width": 150}, select="all")
PNG = encode_png(np.zeros((2, 2, 3), np.uint8))
STATE = ImageState(7, 1_700_000_000_000_000_001, "ab" * 32)


def keep(photo: AlignedPhoto, earlier: AlignDescription) -> AlignedPhoto | None:
    return None if photo.rows[0].status == "failed" else photo


def add(journal: AlignJournal, photos: list[list[AlignRow]]) -> None:
    journal.add([AlignedPhoto(rows, STATE) for rows in photos])


def photo(output: Path, name: str, faces: int = 1) -> list[AlignRow]:
    """The rows of a photo, and its crops."""
    rows = []
    for number in range(1, faces + 1):
        crop = output / f"{name}.face{number}.png"
        crop.parent.mkdir(exist_ok=True)
        crop.write_bytes(PNG)
        output_name = str(crop.relative_to(output))
        rows.append(AlignRow(name, "aligned", landmarks="1 2 3 4", output=output_name))
    return rows


def start(output: Path, overwrite: bool = False, **changes: Any) -> AlignJournal:
    return AlignJournal(output, replace(SETTINGS, **changes), overwrite, keep)


def finish(output: Path, names: list[str]) -> None:
    journal = start(output)
    add(journal, [photo(output, name) for name in names])
    journal.finish()


def names_of(output: Path) -> list[str]:
    return [row.input for row in read_manifest(output / "align.csv")]


def test_rows_come_out_in_the_order_of_their_names(tmp_path: Path) -> None:
    journal = start(tmp_path)
    add(journal, [photo(tmp_path, "b", 3), [AlignRow("d", "no-face", "no face found")]])
    add(journal, [photo(tmp_path, "c"), photo(tmp_path, "a")])
    journal.finish()
    assert names_of(tmp_path) == ["a", "b", "b", "b", "c", "d"]
    described = json.loads((tmp_path / "align.json").read_text())
    assert described["counts"] == {"aligned": 5, "no-face": 1}
    assert not (tmp_path / JOURNAL).exists()


@pytest.mark.parametrize(
    "name", ["a, b", 'a "b"', "a\nb", "a\rb", "a\u2028b", "a\x0bb", "à", os.fsdecode(b"\xff")]
)
def test_any_name_comes_back(tmp_path: Path, name: str) -> None:
    for _ in range(2):  # the second time it is read from the first one's manifest
        journal = start(tmp_path)
        if name not in journal:
            add(journal, [[AlignRow(name, "no-face")], [AlignRow("z", "no-face")]])
        journal.finish()
        assert names_of(tmp_path) == sorted([name, "z"])


@pytest.mark.slow
def test_a_journal_cut_anywhere_never_shows_part_of_a_photo(tmp_path: Path) -> None:
    journal = start(tmp_path)
    add(journal, [photo(tmp_path, "a", 2), photo(tmp_path, "b\nc", 3), photo(tmp_path, "d")])
    whole = (tmp_path / JOURNAL).read_bytes()
    begin = whole.index(b"\n") + 1
    for length in range(begin, len(whole) + 1):
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        again = start(tmp_path)
        done = [name for name in ("a", "b\nc", "d") if name in again]
        again.finish()
        faces = [row.input for row in read_manifest(tmp_path / "align.csv")]
        assert {name: faces.count(name) for name in done} == {
            name: {"a": 2, "b\nc": 3, "d": 1}[name] for name in done
        }
        assert len(set(faces)) == len(done)
        (tmp_path / "align.csv").unlink()
    assert done == ["a", "b\nc", "d"]


@pytest.mark.slow
def test_a_run_stopped_anywhere_ends_like_an_undisturbed_one(tmp_path: Path) -> None:
    """What it kept of the finished run is never read again: of another input, or gone."""
    finish(tmp_path, ["kept/1", "kept/2"])
    before = {name: (tmp_path / name).read_bytes() for name in ("align.csv", "inputs.csv")}
    new = {name: photo(tmp_path, name, faces) for name, faces in (("a", 2), ("z", 1))}
    with start(tmp_path) as journal:
        begin = (tmp_path / JOURNAL).stat().st_size
        add(journal, list(new.values()))
        whole = (tmp_path / JOURNAL).read_bytes()
        journal.finish()
    undisturbed = {name: (tmp_path / name).read_bytes() for name in before}
    for length in range(begin, len(whole) + 1):
        for name, content in before.items():
            (tmp_path / name).write_bytes(content)
        (tmp_path / JOURNAL).write_bytes(whole[:length])
        with start(tmp_path) as again:
            add(again, [rows for name, rows in new.items() if name not in again])
            again.finish()
        assert {name: (tmp_path / name).read_bytes() for name in before} == undisturbed


def test_failed_photos_and_lost_crops_are_done_again(tmp_path: Path) -> None:
    journal = start(tmp_path)
    add(journal, [photo(tmp_path, "a"), photo(tmp_path, "b"), [AlignRow("c", "failed", "damaged")]])
    journal.finish()
    (tmp_path / "a.face1.png").unlink()
    again = start(tmp_path)
    assert [name in again for name in "abc"] == [False, True, False]


def test_crops_that_became_empty_are_made_again(tmp_path: Path) -> None:
    finish(tmp_path, ["a", "b", "c"])
    (tmp_path / "a.face1.png").write_bytes(b"")
    again = start(tmp_path)
    assert [name in again for name in "abc"] == [False, True, True]


def test_a_later_failure_outweighs_an_earlier_success(tmp_path: Path) -> None:
    finish(tmp_path, ["a", "b"])
    journal = start(tmp_path)
    add(journal, [[AlignRow("a", "failed", "gone")], photo(tmp_path, "b"), photo(tmp_path, "c")])
    again = start(tmp_path)
    assert [name in again for name in "abc"] == [False, True, True]


@pytest.mark.parametrize("stopped", [False, True])
def test_other_settings_are_refused(tmp_path: Path, stopped: bool) -> None:
    if stopped:
        add(start(tmp_path), [photo(tmp_path, "a")])
    else:
        finish(tmp_path, ["a"])
    with pytest.raises(UsageError, match="overwrite=True"):
        start(tmp_path, select="largest")
    assert (tmp_path / "a.face1.png").exists()
    journal = start(tmp_path, overwrite=True, select="largest")
    assert "a" not in journal
    assert not (tmp_path / "a.face1.png").exists()


def test_overwriting_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    finish(tmp_path, ["a", "b"])
    journal = start(tmp_path, overwrite=True)
    assert "a" not in journal
    add(journal, [photo(tmp_path, "a"), photo(tmp_path, "b")])
    again = start(tmp_path, overwrite=True)
    assert [name in again for name in "abc"] == [True, True, False]


def test_a_manifest_never_removes_files_of_others(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    (tmp_path / "mine.png").write_bytes(b"")
    (output / "notes.txt").write_bytes(b"")
    journal = start(output)
    add(journal, [[AlignRow("a", "aligned", output="../mine.png")]])
    add(journal, [[AlignRow("b", "aligned", output="notes.txt")]])
    journal.finish()
    start(output, overwrite=True)
    assert (tmp_path / "mine.png").exists() and (output / "notes.txt").exists()


def test_states_come_back(tmp_path: Path) -> None:
    journal = start(tmp_path)
    unread = [AlignRow("c", "failed", "damaged")]
    journal.add([AlignedPhoto(photo(tmp_path, "b"), STATE), AlignedPhoto(unread, None)])
    seen = []

    def look(photo: AlignedPhoto, earlier: AlignDescription) -> AlignedPhoto:
        seen.append((photo.name, photo.state))
        return photo

    AlignJournal(tmp_path, SETTINGS, False, look).finish()
    assert seen == [("b", STATE), ("c", None)]
    assert read_states(tmp_path) == {"b": STATE}
    seen.clear()
    AlignJournal(tmp_path, SETTINGS, False, look)
    assert seen == [("b", STATE), ("c", None)]


def test_crops_that_are_not_kept_are_removed_with_their_folder(tmp_path: Path) -> None:
    (tmp_path / "Ada").mkdir()
    add(journal := start(tmp_path), [photo(tmp_path, "Ada/1", 2), photo(tmp_path, "2")])
    journal.finish()

    def drop(photo: AlignedPhoto, earlier: AlignDescription) -> AlignedPhoto | None:
        return photo if photo.name == "2" else None

    AlignJournal(tmp_path, SETTINGS, False, drop).finish()
    assert names_of(tmp_path) == ["2"]
    assert not (tmp_path / "Ada").exists()
    assert (tmp_path / "2.face1.png").exists()


def test_a_crop_that_another_photo_has_is_never_removed(tmp_path: Path) -> None:
    """An earlier version could write crops of two photos to one file."""
    journal = start(tmp_path)
    (crop,) = photo(tmp_path, "a")
    add(journal, [[crop._replace(input=name)] for name in ("a", "b", "c")])
    journal.finish()

    def drop(photo: AlignedPhoto, earlier: AlignDescription) -> AlignedPhoto | None:
        return photo if photo.name == "b" else None

    AlignJournal(tmp_path, SETTINGS, False, drop).finish()
    assert names_of(tmp_path) == ["b"]
    assert (tmp_path / crop.output).exists()


def test_a_journal_of_version_0_1_is_read(tmp_path: Path) -> None:
    settings = b'{"crop": {"width": 150}, "select": "all"}\n'
    rows = b"a,no-face,,,,,,,,\nb,no-face,,,,,,,,\n"
    (tmp_path / JOURNAL).write_bytes(settings + rows)
    journal = start(tmp_path)
    assert ("a" in journal, "b" in journal) == (True, False)


def test_a_strange_journal_is_named(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_bytes(b"\xff\n")
    with pytest.raises(FormatError, match="journal"):
        start(tmp_path)


@pytest.mark.parametrize("length", [0, len(PNG) // 2])
def test_crops_that_a_power_cut_left_empty_are_made_again(tmp_path: Path, length: int) -> None:
    """The journal may have come onto the disk before the crops of which it speaks."""
    journal = start(tmp_path)
    add(journal, [photo(tmp_path, name) for name in ("a", "b", "c")])
    journal.close()
    (tmp_path / "b.face1.png").write_bytes(PNG[:length])
    with start(tmp_path) as again:
        assert [name in again for name in ("a", "b")] == [True, False]
    assert not (tmp_path / "b.face1.png").exists()
