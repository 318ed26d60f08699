"""The align stage on drawn photos: files, policies, resume, damage."""

import json
import shutil
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path
from typing import Literal

import cv2
import dlib
import numpy as np
import pytest
from PIL import Image

from facetool.alignment.recipes import DLIB_CHIP, OPENFACE_INNER, OPENFACE_OUTER, override
from facetool.cropping.crop_writer import CropWriter
from facetool.errors import OutputError, UsageError
from facetool.files.align_journal import JOURNAL, AlignJournal
from facetool.files.align_manifest import AlignRow, largest_of_several, read_manifest
from facetool.files.dlib_files import dlib_model_path
from facetool.images.read import read_image
from facetool.pipeline import align as stage
from facetool.pipeline.align import AlignSettings, align

CHIP = AlignSettings(crop=DLIB_CHIP)


def rows_of(output: Path) -> dict[str, AlignRow]:
    return {row.input: row for row in read_manifest(output / "align.csv")}


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A folder with one photo without a face."""
    folder = tmp_path / "blank" / "nobody"
    folder.mkdir(parents=True)
    Image.new("RGB", (200, 160), (90, 120, 90)).save(folder / "sky.jpg")
    return folder.parent


@pytest.mark.slow
def test_chips_are_dlibs_own(album: Path, crops: Path) -> None:
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(dlib_model_path("shape_predictor_5_face_landmarks.dat")))
    compared = 0
    for name, row in list(rows_of(crops).items())[:8]:
        if row.status != "aligned":
            continue
        photo = read_image(album / name)
        face = max(detector(photo, 1), key=lambda box: box.area())
        chip = dlib.get_face_chip(photo, predictor(photo, face), 150, 0.25)
        assert np.array_equal(read_image(crops / row.output), chip)
        assert (row.left, row.bottom) == (str(face.left()), str(face.bottom()))
        compared += 1
    assert compared >= 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("crop", "indices", "places"),
    [
        (
            OPENFACE_OUTER,
            (36, 45, 33),
            ((0.194157, 0.169262), (0.788810, 0.158173), (0.494923, 0.514457)),
        ),
        (
            OPENFACE_INNER,
            (39, 42, 57),
            ((0.363780, 0.177946), (0.618963, 0.172773), (0.500203, 0.750644)),
        ),
    ],
)
def test_openface_crops_put_the_points_on_the_mean_face(
    album: Path, tmp_path: Path, crop: object, indices: tuple[int, ...], places: object
) -> None:
    """The template is min-max scaled by hand here; the transform comes from least squares."""
    settings = AlignSettings(crop=override(crop, size=128))  # type: ignore[arg-type]
    first = tmp_path / "in" / "p"
    first.mkdir(parents=True)
    shutil.copy(sorted(album.glob("*/*_0001.jpg"))[0], first / "a.jpg")
    align(tmp_path / "in", tmp_path / "out", settings)
    row = rows_of(tmp_path / "out")["p/a.jpg"]
    points = np.array(row.landmarks.split(), float).reshape(68, 2)[list(indices)]
    target = np.array(places) * 128
    matrix = np.linalg.solve(np.hstack([points, np.ones((3, 1))]), target).T
    expected = cv2.warpAffine(read_image(first / "a.jpg"), matrix, (128, 128))
    made = read_image(tmp_path / "out" / row.output)
    assert np.abs(made.astype(int) - expected).max() <= 2


def test_the_manifest_and_its_columns(album: Path, crops: Path) -> None:
    header = (crops / "align.csv").read_text().splitlines()[0]
    assert header == (
        "input,status,reason,left,top,right,bottom,score,landmarks,output,turn,"
        "size,sharpness,exposure,yaw,pitch,roll"
    )
    rows = rows_of(crops)
    assert list(rows) == sorted(str(p.relative_to(album)) for p in album.glob("*/*.jpg"))
    for row in rows.values():
        assert (crops / row.output).is_file()
        assert row.output == row.input.replace(".jpg", ".png")
    described = json.loads((crops / "align.json").read_text())
    assert described["crop"] == DLIB_CHIP.as_dict()
    assert sum(described["counts"].values()) == len(rows)


@pytest.mark.slow
def test_jobs_do_not_change_a_byte(album: Path, tmp_path: Path) -> None:
    for jobs in (1, 3):
        align(album, tmp_path / str(jobs), CHIP, jobs=jobs)
    assert files_of(tmp_path / "1") == files_of(tmp_path / "3")


@pytest.mark.slow
def test_a_second_run_does_nothing_and_changes_nothing(album: Path, tmp_path: Path) -> None:
    align(album, tmp_path / "out", CHIP)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")}
    bytes_before = files_of(tmp_path / "out")
    report = align(album, tmp_path / "out", CHIP)
    assert report.counts["already there"] == 24
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.png")} == before
    assert files_of(tmp_path / "out") == bytes_before


@pytest.mark.slow
def test_a_killed_run_ends_like_an_undisturbed_one(album: Path, tmp_path: Path) -> None:
    align(album, tmp_path / "whole", CHIP, jobs=2)
    command = [sys.executable, "-m", "facetool", "align", str(album), str(tmp_path / "killed")]
    for _ in range(20):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        journal = tmp_path / "killed" / JOURNAL
        already = journal.stat().st_size if journal.is_file() else 0
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            if journal.is_file() and journal.stat().st_size > already:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        if (tmp_path / "killed" / "align.csv").exists():
            break
    assert subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")


@pytest.mark.slow
def test_a_journal_cut_in_the_middle_of_a_line(album: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    align(album, output, CHIP)
    whole = files_of(output)
    lines = (output / "align.csv").read_text().splitlines(keepends=True)[1:10]
    settings = json.dumps(json.loads((output / "align.json").read_text()))
    (output / JOURNAL).write_text(f"{settings}\n{''.join(lines)[:-7]}")
    (output / "align.json").unlink()
    (output / "align.csv").unlink()
    align(album, output, CHIP)
    assert files_of(output) == whole


@pytest.mark.slow
def test_other_settings_are_refused_then_overwritten(album: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    align(album, output, AlignSettings(crop=DLIB_CHIP, select="all"))
    small = AlignSettings(crop=override(DLIB_CHIP, size=96))
    with pytest.raises(UsageError, match="overwrite=True"):
        align(album, output, small)
    align(album, output, small, overwrite=True)
    assert {read_image(path).shape for path in output.rglob("*.png")} == {(96, 96, 3)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "status", "code"),
    [("skip", "no-face", 0), ("center", "center", 0), ("fail", "failed", 1)],
)
def test_no_face_policies(blank: Path, tmp_path: Path, policy: str, status: str, code: int) -> None:
    report = align(blank, tmp_path / "out", AlignSettings(crop=DLIB_CHIP, on_no_face=policy))
    row = rows_of(tmp_path / "out")["nobody/sky.jpg"]
    assert (row.status, report.exit_code) == (status, code)
    assert row.reason == "no face found"
    assert (tmp_path / "out/nobody/sky.png").is_file() == (policy == "center")


@pytest.mark.slow
def test_a_fallback_image_stands_in(blank: Path, tmp_path: Path) -> None:
    (tmp_path / "other/nobody").mkdir(parents=True)
    Image.new("RGB", (250, 250), (200, 0, 0)).save(tmp_path / "other/nobody/sky.png")
    settings = AlignSettings(crop=OPENFACE_OUTER, fallback=tmp_path / "other")
    align(blank, tmp_path / "out", settings)
    assert rows_of(tmp_path / "out")["nobody/sky.jpg"].status == "fallback"
    crop = read_image(tmp_path / "out/nobody/sky.png")
    assert crop.shape == (96, 96, 3)
    assert crop[0, 0].tolist() == [200, 0, 0]


@pytest.mark.parametrize("forms", [("NFC", "NFD"), ("NFD", "NFC"), ("NFC", "NFC")])
def test_a_fallback_image_may_be_spelled_as_on_macos(
    tmp_path: Path, forms: tuple[Literal["NFC", "NFD"], Literal["NFC", "NFD"]]
) -> None:
    photos, other = (unicodedata.normalize(form, "Zoë/Müller") for form in forms)
    for folder, name in ((tmp_path / "in", f"{photos}.jpg"), (tmp_path / "other", f"{other}.png")):
        (folder / name).parent.mkdir(parents=True)
        Image.new("RGB", (120, 120), (200, 0, 0)).save(folder / name)
    settings = AlignSettings(crop=DLIB_CHIP, fallback=tmp_path / "other")
    align(tmp_path / "in", tmp_path / "out", settings, jobs=1)
    (row,) = rows_of(tmp_path / "out").values()
    assert (row.status, row.input) == ("fallback", f"{photos}.jpg")


@pytest.mark.slow
def test_what_a_fallback_cannot_replace_is_cut_at_its_centre(blank: Path, tmp_path: Path) -> None:
    (tmp_path / "other/nobody").mkdir(parents=True)
    (blank / "nobody/broken.jpg").write_bytes(b"no photo")
    (blank / "nobody/lost.jpg").write_bytes(b"no photo either")
    Image.new("RGB", (250, 250), (200, 0, 0)).save(tmp_path / "other/nobody/broken.png")
    (tmp_path / "other/nobody/lost.jpg").write_bytes(b"nor this")
    settings = AlignSettings(crop=DLIB_CHIP, fallback=tmp_path / "other", on_no_face="center")
    report = align(blank, tmp_path / "out", settings)
    rows = rows_of(tmp_path / "out")
    assert rows["nobody/sky.jpg"].status == "center"
    assert (tmp_path / "out/nobody/sky.png").is_file()
    broken, lost = rows["nobody/broken.jpg"], rows["nobody/lost.jpg"]
    assert broken.status == "fallback" and broken.reason.startswith("not an image")
    assert read_image(tmp_path / "out/nobody/broken.png")[0, 0].tolist() == [200, 0, 0]
    assert lost.status == "failed" and lost.reason.startswith("not an image")
    assert report.exit_code == 1 and len(report.failures) == 1


@pytest.fixture
def two_faces(album: Path, tmp_path: Path) -> Path:
    """One photo made of a large and a small face."""
    photos = sorted(album.glob("*/*_0001.jpg"))
    one, other = read_image(photos[0]), read_image(photos[1])
    small = cv2.resize(other, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    canvas = np.full((one.shape[0], one.shape[1] + small.shape[1], 3), 127, np.uint8)
    canvas[: one.shape[0], : one.shape[1]] = one
    canvas[: small.shape[0], one.shape[1] :] = small
    folder = tmp_path / "two"
    folder.mkdir()
    Image.fromarray(canvas).save(folder / "both.png")
    return folder


@pytest.mark.slow
def test_selection_of_faces(two_faces: Path, tmp_path: Path) -> None:
    found = {}
    for policy in ("largest", "all", "only"):
        align(two_faces, tmp_path / policy, AlignSettings(crop=DLIB_CHIP, select=policy))
        found[policy] = list(read_manifest(tmp_path / policy / "align.csv"))
    assert [row.status for row in found["only"]] == ["no-face"]
    assert [row.output for row in found["all"]] == ["both.png", "both.face2.png"]
    assert [row.reason for row in found["all"]] == ["", ""]
    (largest,) = found["largest"]
    assert largest.reason == "the largest of 2 faces"
    assert largest._replace(reason="") == found["all"][0]
    assert largest_of_several(tmp_path / "largest") == ["both.png"]
    assert largest_of_several(tmp_path / "all") == []
    areas = [(float(r.right) - float(r.left)) for r in found["all"]]
    assert areas[0] > areas[1]


@pytest.mark.slow
def test_photos_with_one_stem_keep_their_suffixes(album: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    photo = sorted(album.glob("*/*_0001.jpg"))[0]
    shutil.copy(photo, folder / "a.jpg")
    Image.open(photo).save(folder / "a.bmp")
    shutil.copy(photo, folder / "b.jpg")
    align(folder, tmp_path / "out", CHIP)
    outputs = {row.input: row.output for row in rows_of(tmp_path / "out").values()}
    assert outputs == {"a.bmp": "a.bmp.png", "a.jpg": "a.jpg.png", "b.jpg": "b.png"}


@pytest.mark.slow
def test_bad_files_are_named_and_the_rest_goes_on(album: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in put" / "Zoë Ω"
    folder.mkdir(parents=True)
    photo = sorted(album.glob("*/*_0001.jpg"))[0]
    shutil.copy(photo, folder / "good one.jpg")
    (folder / "cut.jpg").write_bytes(photo.read_bytes()[:3000])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a picture")
    Image.new("RGB", (1, 1)).save(folder / "pixel.png")
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    report = align(folder.parent, tmp_path / "out", CHIP)
    status = {Path(name).name: row.status for name, row in rows_of(tmp_path / "out").items()}
    assert status.pop("pixel.png") in ("no-face", "failed")
    assert status == {
        "good one.jpg": "aligned",
        "cut.jpg": "failed",
        "empty.jpg": "failed",
        "text.jpg": "failed",
        "huge.png": "failed",
    }
    assert report.exit_code == 1
    assert {Path(name).name for name, _ in report.failures} >= {"cut.jpg", "empty.jpg", "text.jpg"}


@pytest.mark.slow
def test_an_output_inside_the_input_is_not_read(album: Path, tmp_path: Path) -> None:
    shutil.copytree(album, tmp_path / "in")
    align(tmp_path / "in", tmp_path / "in/out", CHIP)
    report = align(tmp_path / "in", tmp_path / "in/out", CHIP)
    assert report.counts["already there"] == 24
    with pytest.raises(UsageError, match="is an input of this command"):
        align(tmp_path / "in", tmp_path / "in", CHIP)


def test_no_images_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no images"):
        align(tmp_path, tmp_path / "out", CHIP)


@pytest.mark.slow
def test_a_full_disk_ends_the_run_with_one_line(album: Path, tmp_path: Path) -> None:
    """A file-size limit stands in for a full disk: the system refuses the write alike."""
    script = (
        "import resource, sys; from facetool.__main__ import main;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000));"
        f"sys.argv = ['facetool', 'align', {str(album)!r}, {str(tmp_path / 'out')!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot write" in done.stderr
    assert not (tmp_path / "out/align.csv").exists()


def test_an_output_that_cannot_be_made(album: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        align(album, tmp_path / "file" / "out", CHIP)


@pytest.mark.slow
def test_an_error_in_a_worker_lets_go_of_the_journal(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = []

    class Journal(AlignJournal):
        def close(self) -> None:
            super().close()
            journals.append(self._file.closed)

    def write(*_: object) -> None:
        raise OutputError("cannot write")

    monkeypatch.setattr(stage, "AlignJournal", Journal)
    monkeypatch.setattr(CropWriter, "write", write)
    monkeypatch.setattr(stage, "check_detector", lambda settings, device: "cpu:0")
    with pytest.raises(OutputError):
        align(album, tmp_path / "out", CHIP, jobs=1)
    assert journals == [True]
    assert (tmp_path / "out" / JOURNAL).exists()


@pytest.mark.slow
def test_how_good_each_face_is(album: Path, crops: Path, tmp_path: Path) -> None:
    rows = rows_of(crops)
    found = [row for row in rows.values() if row.status == "aligned"]
    for row in found:
        box = [float(edge) for edge in row[3:7]]
        assert row.size == f"{min(box[2] - box[0], box[3] - box[1]) + 1:.0f}"
        assert abs(float(row.roll)) < 45 and abs(float(row.yaw)) < 60
    centers = [row for row in rows.values() if row.status == "center"]
    assert centers and all(not row.size and row.sharpness for row in centers)

    sharp = sorted(float(row.sharpness) for row in found)[len(found) // 2]
    output = tmp_path / "sharp"
    report = align(album, output, AlignSettings(crop=DLIB_CHIP, min_sharpness=sharp))
    assert report.exit_code == 0
    for name, row in rows_of(output).items():
        before = rows[name]
        if before.status == "aligned" and float(before.sharpness) >= sharp:
            assert row == before
        elif before.status == "aligned":
            assert (row.status, row.output) == ("no-face", "")
            assert row.reason.startswith("face too blurred: sharpness ")
    with pytest.raises(UsageError, match=r"min sharpness .* there, none now"):
        align(album, output, CHIP)


@pytest.mark.slow
def test_small_faces_beside_large_ones(album: Path, crops: Path, tmp_path: Path) -> None:
    photo = read_image(album / next(n for n, r in rows_of(crops).items() if r.status == "aligned"))
    small = cv2.resize(photo, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    canvas = np.full((photo.shape[0], photo.shape[1] * 2, 3), 128, np.uint8)
    canvas[:, : photo.shape[1]] = photo
    canvas[: small.shape[0], photo.shape[1] : photo.shape[1] + small.shape[1]] = small
    (tmp_path / "in" / "two").mkdir(parents=True)
    Image.fromarray(canvas).save(tmp_path / "in" / "two" / "a.png")
    every = AlignSettings(crop=DLIB_CHIP, select="all")
    align(tmp_path / "in", tmp_path / "all", every)
    sizes = [float(row.size) for row in read_manifest(tmp_path / "all" / "align.csv")]
    assert len(sizes) == 2
    large = AlignSettings(crop=DLIB_CHIP, select="all", min_face=sizes[0])
    align(tmp_path / "in", tmp_path / "large", large)
    first, second = read_manifest(tmp_path / "large" / "align.csv")
    assert (first.status, first.output) == ("aligned", "two/a.png")
    assert (second.status, second.output) == ("no-face", "")
    assert second.reason.startswith("face too small: ")
