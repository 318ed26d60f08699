"""``align`` into a folder that has crops already: in step with the photos, or refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from facetool.alignment.recipes import DLIB_CHIP
from facetool.errors import UsageError
from facetool.files.align_journal import JOURNAL
from facetool.files.align_manifest import AlignRow, format_row, read_manifest
from facetool.jobs.progress import Progress, follow
from facetool.pipeline.align import AlignSettings, align

SETTINGS = AlignSettings(crop=DLIB_CHIP, on_no_face="center")
JOBS = 1


@pytest.fixture
def photos(album: Path, tmp_path: Path) -> Path:
    """Two people, two photos each, as a user's own folder."""
    folder = tmp_path / "photos"
    for person in sorted(path for path in album.iterdir() if path.is_dir())[:2]:
        for photo in sorted(person.iterdir())[:2]:
            target = folder / person.name / photo.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(photo, target)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.suffix == ".jpg"
    )


def rows(output: Path) -> list[AlignRow]:
    return list(read_manifest(output / "align.csv"))


def files(output: Path) -> dict[str, bytes]:
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file()
    }


def as_fresh(photos: Path, output: Path) -> bool:
    """Whether ``output`` holds what a fresh run makes, to the byte."""
    fresh = output.with_name("fresh")
    align(photos, fresh, SETTINGS, jobs=JOBS, overwrite=True)
    return files(output) == files(fresh)


@pytest.mark.slow
def test_nothing_changed(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    before = files(output)
    report = align(photos, output, SETTINGS, jobs=JOBS)
    assert dict(report.counts) == {"already there": 4}
    assert files(output) == before


@pytest.mark.slow
def test_a_second_album_with_the_same_names_is_refused(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    before = files(output)
    other = tmp_path / "other"
    shutil.copytree(photos, other)
    first, second = (other / name for name in names(other)[:2])
    swapped = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(swapped)
    with pytest.raises(UsageError, match=r"photos in .*photos; .*into=NAME"):
        align(other, output, SETTINGS, jobs=JOBS)
    assert files(output) == before


@pytest.mark.slow
def test_a_second_album_under_a_name(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    other = tmp_path / "other"
    shutil.copytree(photos, other)
    report = align(other, output, SETTINGS, jobs=JOBS, into="party")
    assert report.counts["aligned"] + report.counts["center"] == 4
    expected = [*names(photos), *(f"party/{name}" for name in names(other))]
    assert [row.input for row in rows(output)] == sorted(expected)
    (other / names(other)[0]).unlink()
    (photos / names(photos)[1]).unlink()
    align(other, output, SETTINGS, jobs=JOBS, into="party")
    assert len(rows(output)) == 7  # only its own input is looked at
    align(photos, output, SETTINGS, jobs=JOBS)
    assert len(rows(output)) == 6


@pytest.mark.slow
def test_a_moved_album_is_still_the_same(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    moved = tmp_path / "moved"
    photos.rename(moved)
    said = []

    class Listener(Progress):
        def remark(self, name: str, text: str) -> None:
            said.append(f"{name}: {text}")

    with follow(Listener()):
        assert dict(align(moved, output, SETTINGS, jobs=JOBS).counts) == {"already there": 4}
    told = f"{moved}: taken for {photos}, moved or copied: its 4 photos all there, 0 new"
    assert said == [told]
    with follow(Listener()):
        assert dict(align(moved, output, SETTINGS, jobs=JOBS).counts) == {"already there": 4}
    assert said == [told]  # it is no news any more


@pytest.mark.slow
def test_a_replaced_photo_is_done_again(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    old, new = (photos / name for name in names(photos)[:2])
    old.write_bytes(new.read_bytes())
    report = align(photos, output, SETTINGS, jobs=JOBS)
    assert report.counts["already there"] == 3
    assert as_fresh(photos, output)


@pytest.mark.slow
def test_a_photo_turned_upright_since_is_tried_again(photos: Path, tmp_path: Path) -> None:
    settings = AlignSettings(crop=DLIB_CHIP)
    photo = photos / names(photos)[0]
    upright = Image.open(photo).copy()
    Image.new("RGB", upright.size).save(photo)
    output = tmp_path / "crops"
    align(photos, output, settings, jobs=JOBS)
    assert rows(output)[0].status == "no-face"
    upright.save(photo)
    align(photos, output, settings, jobs=JOBS)
    assert rows(output)[0].status == "aligned"


@pytest.mark.slow
@pytest.mark.parametrize(("by_content", "redone"), [(False, 0), (True, 1)])
def test_a_photo_replaced_with_its_size_and_time_kept(
    photos: Path, tmp_path: Path, by_content: bool, redone: int
) -> None:
    output = tmp_path / "crops"
    photo = photos / names(photos)[0]
    align(photos, output, SETTINGS, jobs=JOBS)
    state = photo.stat()
    data = photo.read_bytes()
    photo.write_bytes(data[:-4] + bytes(2) + data[-2:])
    os.utime(photo, ns=(state.st_atime_ns, state.st_mtime_ns))
    report = align(photos, output, SETTINGS, jobs=JOBS, by_content=by_content)
    assert report.counts["already there"] == 4 - redone


@pytest.mark.slow
def test_a_copy_with_other_times_is_not_done_again(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    for name in names(photos):
        os.utime(photos / name)
    assert dict(align(photos, output, SETTINGS, jobs=JOBS).counts) == {"already there": 4}
    assert as_fresh(photos, output)


@pytest.mark.slow
@pytest.mark.parametrize("keep_gone", [False, True])
def test_a_photo_that_is_gone_loses_its_crop_and_row_and_is_named(
    photos: Path, tmp_path: Path, keep_gone: bool
) -> None:
    named = []

    class Listener(Progress):
        def remark(self, name: str, text: str) -> None:
            named.append(name)

    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    gone = [name for name in names(photos) if name.startswith(names(photos)[0].split("/")[0])]
    for name in gone:
        (photos / name).unlink()
    with follow(Listener()):
        report = align(photos, output, SETTINGS, jobs=JOBS, keep_gone=keep_gone)
    left = [row.input for row in rows(output)]
    assert [name in left for name in gone] == [keep_gone] * 2
    assert [(output / name).with_suffix(".png").exists() for name in gone] == [keep_gone] * 2
    assert report.exit_code == 0
    assert named == ([] if keep_gone else gone)
    what = "kept of photos that are gone" if keep_gone else "removed"
    assert str(report) == f"2 already there, 2 {what}"
    if not keep_gone:
        assert not (output / gone[0]).parent.exists()
        assert as_fresh(photos, output)


@pytest.mark.slow
@pytest.mark.parametrize("into", ["", "album"])
def test_the_crop_of_a_photo_that_is_gone_is_not_written_over(
    photos: Path, tmp_path: Path, into: str
) -> None:
    """A photo that has its name but for the suffix gets another name until that one goes."""
    output = tmp_path / "crops"
    first, second = names(photos)[:2]

    def run(keep_gone: bool = False) -> str:
        return str(align(photos, output, SETTINGS, jobs=JOBS, into=into, keep_gone=keep_gone))

    def crop(name: str) -> Path:
        return output / into / name

    run()
    kept = crop(first).with_suffix(".png").read_bytes()
    (photos / first).unlink()
    shutil.copy2(photos / second, (photos / first).with_suffix(".jpeg"))
    for _ in range(2):
        run(keep_gone=True)
        outputs = [row.output for row in rows(output)]
        assert len(set(outputs)) == len(outputs) == 5
        assert crop(first).with_suffix(".png").read_bytes() == kept
        assert crop(first).with_suffix(".jpeg.png").exists()
    assert run().endswith("3 already there, 1 removed")
    assert {row.output for row in rows(output)} == {
        name for name in files(output) if name.endswith(".png")
    }
    assert into or as_fresh(photos, output)


@pytest.mark.slow
def test_a_renamed_person_is_not_there_twice(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    person = (photos / names(photos)[0]).parent
    person.rename(person.with_name("Zoe"))
    align(photos, output, SETTINGS, jobs=JOBS)
    assert not (output / person.name).exists()
    assert as_fresh(photos, output)


@pytest.mark.slow
def test_a_photo_that_takes_anothers_name_with_another_suffix(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    photo = photos / names(photos)[0]
    Image.open(photos / names(photos)[1]).save(photo.with_suffix(".bmp"))
    align(photos, output, SETTINGS, jobs=JOBS)
    assert as_fresh(photos, output)
    photo.with_suffix(".bmp").unlink()
    align(photos, output, SETTINGS, jobs=JOBS)
    assert as_fresh(photos, output)


@pytest.mark.slow
def test_fewer_faces_than_before_leave_no_crop_behind(photos: Path, tmp_path: Path) -> None:
    settings = AlignSettings(crop=DLIB_CHIP, select="all")
    first, second = (photos / name for name in names(photos)[:2])
    one, two = Image.open(first).copy(), Image.open(second).copy()
    both = Image.new("RGB", (one.width + two.width, max(one.height, two.height)))
    both.paste(one, (0, 0))
    both.paste(two, (one.width, 0))
    both.save(first)
    output = tmp_path / "crops"
    align(photos, output, settings, jobs=JOBS)
    assert sum(row.input == names(photos)[0] for row in rows(output)) == 2
    one.save(first)
    align(photos, output, settings, jobs=JOBS)
    made = {row.output for row in rows(output) if row.output}
    assert {name for name in files(output) if name.endswith(".png")} == made


@pytest.mark.slow
def test_what_was_missed_is_tried_again_with_another_policy(photos: Path, tmp_path: Path) -> None:
    blank = photos / names(photos)[0]
    Image.new("RGB", (250, 250)).save(blank)
    output = tmp_path / "crops"
    align(photos, output, AlignSettings(crop=DLIB_CHIP), jobs=JOBS)
    assert rows(output)[0].status == "no-face"
    report = align(photos, output, SETTINGS, jobs=JOBS)
    assert rows(output)[0].status == "center"
    assert report.counts["already there"] >= 2
    assert as_fresh(photos, output)


@pytest.mark.slow
def test_a_list_adds_to_what_is_there(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    first, second, *_ = names(photos)
    listing = photos / "list.txt"
    for listed in (first, second):
        listing.write_text(f"{listed}\n")
        align(listing, output, SETTINGS, jobs=JOBS)
    assert [row.input for row in rows(output)] == [first, second]
    (photos / first).unlink()
    align(listing, output, SETTINGS, jobs=JOBS)
    assert [row.input for row in rows(output)] == [second]


@pytest.mark.slow
def test_crops_of_an_older_version_are_done_again_or_refused(photos: Path, tmp_path: Path) -> None:
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    (output / "inputs.csv").unlink()
    description = (output / "align.json").read_text()
    start, end = description.index('"inputs"'), description.index('"counts"')
    (output / "align.json").write_text(description[:start] + description[end:])
    other = tmp_path / "other"
    shutil.copytree(photos, other)
    (other / names(other)[0]).unlink()
    with pytest.raises(UsageError, match="1 photo not in"):
        align(other, output, SETTINGS, jobs=JOBS)
    report = align(photos, output, SETTINGS, jobs=JOBS)
    assert "already there" not in report.counts
    assert as_fresh(photos, output)


@pytest.mark.slow
@pytest.mark.parametrize("stopped", [False, True])
def test_crops_of_version_0_1_are_brought_up_to_date(
    photos: Path, tmp_path: Path, stopped: bool
) -> None:
    """It knew neither what photos were nor how good faces are, so that each is done again."""
    output = tmp_path / "crops"
    align(photos, output, SETTINGS, jobs=JOBS)
    description = json.loads((output / "align.json").read_text())
    del description["detector"], description["strict"], description["inputs"]
    settings = json.dumps({**description, "upsample": 1, "mtcnn": None, "facetool": "0.1.0"})
    lines = "".join(format_row(row, 10) for row in rows(output))
    (output / "inputs.csv").unlink()
    if stopped:
        (output / JOURNAL).write_text(f"{settings}\n{lines}")
        (output / "align.csv").unlink()
    else:
        (output / "align.json").write_text(settings)
        (output / "align.csv").write_text(",".join(AlignRow._fields[:10]) + "\n" + lines)
    told = []

    class Listener(Progress):
        def remark(self, name: str, text: str) -> None:
            told.append(f"{name}: {text}")

    with follow(Listener()):
        report = align(photos, output, SETTINGS, jobs=JOBS)
    assert "already there" not in report.counts
    assert told == [
        f"{output}: made by facetool 0.1, which kept less of photos: each has to be done again"
    ]
    assert as_fresh(photos, output)


@pytest.mark.slow
def test_the_command_says_what_it_removes(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "facetool", "align", str(photos), str(tmp_path / "crops")]
    subprocess.run(command, check=True, capture_output=True)
    gone = names(photos)[0]
    (photos / gone).unlink()
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{gone}: it is gone" in done.stderr
    assert "1 removed" in done.stderr


@pytest.mark.parametrize("into", ["..", "../x", "/x", "a/b", ".hidden", "a\tb", "a\nb", "a\udcff"])
def test_the_name_of_an_album_is_a_plain_name(album: Path, tmp_path: Path, into: str) -> None:
    with pytest.raises(UsageError, match="give a plain name"):
        align(album, tmp_path / "out", AlignSettings(crop=DLIB_CHIP), into=into)
    assert not (tmp_path / "out").exists()


def test_photos_without_a_face_are_said_again(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (80, 80), "gray").save(tmp_path / "photos" / name)
    settings = AlignSettings(crop=DLIB_CHIP)
    assert str(align(tmp_path / "photos", tmp_path / "crops", settings, jobs=JOBS)) == "2 no-face"
    again = align(tmp_path / "photos", tmp_path / "crops", settings, jobs=JOBS)
    assert str(again) == "2 already there (2 had no face before)"


@pytest.mark.slow
def test_a_moved_album_with_more_photos_is_said(photos: Path, tmp_path: Path) -> None:
    """An album that holds all of another and more may be another: what was made of it is told."""
    output, larger = tmp_path / "crops", tmp_path / "larger"
    align(photos, output, SETTINGS, jobs=JOBS)
    shutil.copytree(photos, larger)
    shutil.copy2(larger / names(photos)[0], larger / "new.jpg")
    command = [sys.executable, "-m", "facetool", "align", larger, output, "--on-no-face", "center"]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=True
    )
    told = f"{larger}: taken for {photos}, moved or copied: its 4 photos all there, 1 new"
    assert told in done.stderr
    assert "1 aligned, 4 already there" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("into", "keep_gone"),
    [("more", False), ("more", True), ("", True)],
    ids=["into", "both", "gone"],
)
def test_a_run_that_is_stopped_as_it_begins_keeps_all_rows(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, into: str, keep_gone: bool
) -> None:
    """The rows of other inputs, and of photos that are gone, no later run would make again."""
    stopped, undisturbed = tmp_path / "stopped", tmp_path / "undisturbed"
    for output in (stopped, undisturbed):
        align(photos, output, SETTINGS, jobs=JOBS)
    (photos / names(photos)[-1]).unlink()
    shutil.copy2(photos / names(photos)[0], photos / "new.jpg")
    more = photos
    if into:
        more = tmp_path / "more"
        shutil.copytree(photos, more)

    def run(output: Path) -> None:
        align(more, output, SETTINGS, jobs=JOBS, into=into, keep_gone=keep_gone)

    def kill(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("facetool.pipeline.align._process", kill)
        run(stopped)
    run(stopped)
    run(undisturbed)
    assert len(rows(stopped)) == (8 if into else 5)
    assert files(stopped) == files(undisturbed)
