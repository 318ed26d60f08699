"""Videos through ``align``: names, times, and what a second run does."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from facetool.alignment.recipes import DLIB_CHIP
from facetool.cropping.crop_writer import CropWriter
from facetool.cropping.video_cropper import VideoCropper
from facetool.errors import OutputError
from facetool.files.align_journal import JOURNAL
from facetool.files.align_manifest import ALIGN_COLUMNS, AlignRow, read_manifest
from facetool.pipeline import align as stage
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.explain import explain_alignment
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.pipeline.search import SearchSettings, search
from facetool.reports.align import align_report
from facetool.reports.search import search_report
from facetool.weights.load import load_network
from tests.drawn_videos import plain, scene, write_video
from tests.remarks import remarks

pytestmark = pytest.mark.slow


def settings(**changes: object) -> AlignSettings:
    return AlignSettings(crop=DLIB_CHIP, select="all", **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people for a second and a half, then one of them elsewhere."""
    frames = [*scene((0, 0, 5), (1, 310, -5), frames=6), *scene((0, 40, 0), frames=4, gray=250)]
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames)


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads instead of worker processes, which take longer to start than to work here."""
    from facetool.jobs.device_pool import OrderedThreads

    def open_pool(work, on_death, create, arguments, jobs, *, device):  # type: ignore[no-untyped-def]
        return OrderedThreads(work, create, arguments, 1)

    monkeypatch.setattr(stage, "open_pool", open_pool)


def rows_of(output: Path) -> list[AlignRow]:
    return list(read_manifest(output / "align.csv"))


def files_of(output: Path) -> dict[str, bytes]:
    return {str(p.relative_to(output)): p.read_bytes() for p in output.rglob("*") if p.is_file()}


def test_a_crop_of_each_face_with_its_times(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    report = align(clip, out, settings())
    assert report.exit_code == 0 and report.counts == {"aligned": 3}
    rows = rows_of(out)
    assert [(row.first, row.last) for row in rows if row.time] == (
        sorted([("0", "1"), ("0", "1"), ("1.5", "2")])
    )
    for row in rows:
        assert row.input == "clip.mp4" and row.status == "aligned"
        assert float(row.first) <= float(row.time) <= float(row.last)
        name = f"clip.00h00m0{float(row.time):.3f}s"
        assert row.output in (f"{name}.png", f"{name}.face2.png")
        assert (out / row.output).is_file()
    assert [row.output for row in rows] == sorted(row.output for row in rows)
    header = (out / "align.csv").read_text().splitlines()[0]
    assert header == ",".join([*ALIGN_COLUMNS, "time", "first", "last"])
    assert json.loads((out / "align.json").read_text())["frames"] == {"": "every 0.5 s"}


def test_the_crops_are_embedded_and_shown(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "crops"
    align(clip, out, settings())
    network = load_network("dlib-resnet")
    assert represent(out, tmp_path / "reps", network, RepresentSettings()).exit_code == 0
    assert len((tmp_path / "reps/labels.csv").read_text().splitlines()) == 3
    align_report(out, tmp_path / "align.html")
    page = (tmp_path / "align.html").read_text("utf-8")
    assert page.count("data:image/jpeg") == 3
    assert "1.5 to 2" in page and "Several faces" not in page


def test_the_same_again_does_nothing_and_other_frames_are_said(clip: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "videos", tmp_path / "crops"
    folder.mkdir()
    shutil.copy(clip, folder / "clip.mp4")
    align(folder, out, settings(every=0.5))
    before = files_of(out)
    with remarks() as said:
        report = align(folder, out, settings(every=0.5))
    assert report.counts == {"already there": 3} and files_of(out) == before and not said
    with remarks() as said:
        align(folder, out, settings(every=2.0))
    assert said == ["clip.mp4: searched again: frames every 0.5 s before, every 2 s now"]
    assert {row.last for row in rows_of(out)} == {"0", "2"}
    crops = {name for name in files_of(out) if name.endswith(".png")}
    assert crops == {row.output for row in rows_of(out)}
    (folder / "clip.mp4").write_bytes((folder / "clip.mp4").read_bytes()[:2000])
    report = align(folder, out, settings(every=2.0))
    assert report.exit_code == 1 and [row.status for row in rows_of(out)] == ["failed"]
    assert not list(out.glob("*.png"))


def test_a_video_that_was_only_touched_stays(clip: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "copy.mp4", tmp_path / "crops"
    shutil.copy(clip, copy)
    align(copy, out, settings())
    os.utime(copy, ns=(1, 1))
    assert align(copy, out, settings()).counts == {"already there": 3}
    assert align(copy, out, settings(), by_content=True).counts == {"already there": 3}


def test_videos_of_a_folder_are_taken_with_every(clip: Path, album: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "crops"
    (folder / "ann").mkdir(parents=True)
    photo = sorted(album.glob("*/*_0001.jpg"))[0]
    shutil.copy(photo, folder / "ann/clip.jpg")  # beside a video of its name, as telephones do
    report = align(folder, tmp_path / "photo", settings())
    alone = files_of(tmp_path / "photo")
    shutil.copy(clip, folder / "ann/clip.mp4")
    report = align(folder, out, settings())
    said = ": ".join(report.failures[0])
    assert report.exit_code == 1
    assert said == (
        "1 video: not read (ann/clip.mp4); align and classify infer read videos; in folders, where "
        "the seconds between frames are given (every=SECONDS)"
    )
    assert files_of(out) == alone  # nothing of a folder of photos is otherwise
    report = align(folder, out, settings(every=0.5))
    assert report.exit_code == 0
    rows = rows_of(out)
    assert rows[0].output == "ann/clip.png" and rows[0].time == ""
    assert all(row.output.startswith("ann/clip.00h00m0") for row in rows[1:]) and len(rows) == 4
    with remarks() as told:  # without the setting they are left as they are
        report = align(folder, out, settings())
    assert str(report) == "4 already there" and report.exit_code == 0 and rows_of(out) == rows
    advice = "give every=SECONDS for that (every 0.5 s before)"
    assert told == [f"1 video: not searched again, crops of before stay (ann/clip.mp4); {advice}"]
    shutil.copy(clip, folder / "ann/new.mp4")
    with (folder / "ann/clip.mp4").open("ab") as file:
        file.write(b"more")
    report = align(folder, out, settings())
    assert str(report) == "4 already there, 2 failed" and rows_of(out) == rows
    (name, unread), changed = report.failures
    assert name == "1 video" and unread.startswith("not read (ann/new.mp4)")
    assert changed == ("ann/clip.mp4", f"it has changed, and its crops of before stay; {advice}")
    (folder / "ann/clip.mp4").unlink()
    (folder / "ann/new.mp4").unlink()
    assert str(align(folder, out, settings())) == "1 already there, 3 removed"
    assert files_of(out).keys() == alone.keys() and rows_of(out) == rows[:1]


def test_a_video_with_the_name_of_a_photo_is_one(clip: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "photos", tmp_path / "crops"
    folder.mkdir()
    shutil.copy(clip, folder / "clip.jpg")
    report = align(folder, out, settings())
    ((name, reason),) = report.failures
    assert name == "clip.jpg" and reason.endswith(
        "the seconds between frames are given (every=SECONDS)"
    )
    assert align(folder, out, settings(every=0.5)).counts == {"aligned": 3}
    assert all(row.input == "clip.jpg" and row.time for row in rows_of(out))
    assert align(folder, out, settings(every=0.5)).counts == {"already there": 3}
    assert align(folder / "clip.jpg", tmp_path / "alone", settings()).counts == {"aligned": 3}


def test_a_list_takes_the_videos_in_it(clip: Path, tmp_path: Path) -> None:
    listed = tmp_path / "all.txt"
    listed.write_text(f"{clip}\n")
    assert align(listed, tmp_path / "crops", settings()).counts == {"aligned": 3}


def test_a_stopped_run_leaves_nothing_that_stays(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "crops"
    through = VideoCropper.__iter__

    def stop(video: VideoCropper) -> Iterator[object]:
        for number, track in enumerate(through(video)):
            if number == 1:
                raise OutputError("disk full")
            yield track

    with monkeypatch.context() as patch:
        patch.setattr(VideoCropper, "__iter__", stop)
        with pytest.raises(OutputError):
            align(clip, out, settings())
    assert (out / JOURNAL).is_file()
    left = {path.name for path in out.glob("*.png")}
    assert len(left) == 1
    other = "clip.00h00m00.123s.png"
    (out / left.pop()).rename(out / other)  # as if of other frames
    align(clip, out, settings(every=2.0))
    assert {path.name for path in out.glob("*.png")} == {row.output for row in rows_of(out)}
    align(clip, tmp_path / "fresh", settings(every=2.0))
    assert files_of(out) == files_of(tmp_path / "fresh")


def test_a_folder_of_videos_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For crops that a stopped run has left: not once for each video."""
    folder, out = tmp_path / "videos", tmp_path / "crops"
    folder.mkdir()
    sky = plain((90, 120, 200), frames=2, size=(160, 120))
    first = write_video(folder / "0.mp4", sky)
    for number in range(1, 5):
        shutil.copy(first, folder / f"{number}.mp4")
    out.mkdir()
    left = [out / f"{number}.00h00m00.123s.png" for number in range(5)]
    for path in [*left, out / "other.00h00m00.123s.png"]:
        path.touch()
    listed: list[str] = []
    glob = Path.glob

    def note(path: Path, pattern: str, **options: bool) -> Iterator[Path]:
        listed.extend([str(path)] * (pattern == "*.png"))
        return glob(path, pattern, **options)

    monkeypatch.setattr(Path, "glob", note)
    align(folder, out, settings(every=0.5))
    assert listed == [str(out)]
    assert not any(path.exists() for path in left)
    assert (out / "other.00h00m00.123s.png").exists()


def test_what_has_no_face_or_cannot_be_used(clip: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "videos", tmp_path / "crops"
    folder.mkdir()
    write_video(folder / "sky.mp4", plain((90, 120, 200), frames=4, size=(160, 120)))
    (folder / "list.mp4").write_text("#EXTM3U\nhttp://localhost/a.ts\n")
    (folder / "none.mp4").write_bytes(b"")
    report = align(folder, out, settings(every=0.5))
    assert report.counts == {"no-face": 1, "failed": 2}
    found = {row.input: (row.status, row.reason) for row in rows_of(out)}
    assert found["sky.mp4"] == ("no-face", "no face found in 2 frames")
    assert found["none.mp4"] == ("failed", "the file is empty")
    assert found["list.mp4"][1].startswith("not a video")
    assert (out / "align.csv").read_text().splitlines()[0] == ",".join(ALIGN_COLUMNS)
    report = align(folder, out, settings(every=0.5, on_no_face="fail"))
    assert report.counts == {"failed": 3}


def test_limits_on_quality_hold_for_the_best_frame(clip: Path, tmp_path: Path) -> None:
    align(clip, tmp_path / "small", settings(min_face=500))
    (row,) = rows_of(tmp_path / "small")
    assert row.status == "no-face" and row.reason.startswith("face too small")


def test_a_cut_video_is_used_unless_that_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", scene((0, 0, 0), frames=12), codec="MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    report = align(path, tmp_path / "crops", settings())
    assert report.counts == {"aligned": 1} and report.remarks["truncated"] == 1
    report = align(path, tmp_path / "crops", settings(strict=True))
    assert [row.status for row in rows_of(tmp_path / "crops")] == ["failed"]
    assert not list((tmp_path / "crops").glob("*.png"))


def test_a_search_says_the_second_and_explain_passes_videos_over(
    clip: Path, album: Path, tmp_path: Path
) -> None:
    folder, out, reps = tmp_path / "photos", tmp_path / "crops", tmp_path / "reps"
    folder.mkdir()
    photo = sorted(album.glob("*/*_0001.jpg"))[0]
    shutil.copy(photo, folder / "z.jpg")
    shutil.copy(clip, folder / "clip.mp4")
    align(folder, out, settings(every=0.5))
    explain_alignment(folder, out, DLIB_CHIP, tmp_path / "plot.png")
    network = load_network("dlib-resnet")
    represent(out, reps, network, RepresentSettings())
    found = search([reps], [photo], network, SearchSettings(top=4))
    times = [match.times for match in found.matches]
    assert times.count(None) == 1 and found.matches[0].times is None
    seconds = [match.as_dict()["first"] for match in found.matches if match.times]
    assert sorted(seconds) == [0, 0, 1.5]
    assert all(match.photo == folder / "clip.mp4" for match in found.matches if match.times)
    search_report(found, tmp_path / "found.html")
    assert (tmp_path / "found.html").read_text("utf-8").count("data:image/jpeg") == 5


def test_the_longest_video_is_begun_first(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others would wait for it at the end, one core at work."""
    folder = tmp_path / "videos"
    folder.mkdir()
    sky = plain((90, 120, 200), frames=2, size=(160, 120))
    short = write_video(folder / "a.mp4", sky)
    shutil.copy(clip, folder / "b.mp4")
    shutil.copy(short, folder / "c.mp4")
    begun: list[str] = []
    write = CropWriter.write_video

    def note(writer, video, name, stem, **options):  # type: ignore[no-untyped-def]
        begun.append(name)
        return write(writer, video, name, stem, **options)

    monkeypatch.setattr(CropWriter, "write_video", note)
    align(folder, tmp_path / "crops", settings(every=2.0))
    assert begun == ["b.mp4", "a.mp4", "c.mp4"]
    assert rows_of(tmp_path / "crops")[0].input == "a.mp4"
