"""One pass from photos to embeddings gives what align and represent give, however it is divided."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
from PIL import Image

from facetool.alignment.recipes import Crop
from facetool.errors import FormatError, UsageError
from facetool.files.align_manifest import read_manifest
from facetool.files.embed_plan import read_plans
from facetool.files.embeddings import describe_embeddings, read_embeddings
from facetool.files.face_shards import read_shard, rows_of
from facetool.files.megaface_features import read_features
from facetool.files.storage import FolderStorage
from facetool.files.stored_faces import open_faces
from facetool.jobs.device_pool import OrderedThreads
from facetool.jobs.report import Report
from facetool.networks.base import EmbeddingNetwork
from facetool.pipeline.align import AlignSettings, align
from facetool.pipeline.embed import EmbedSettings, embed
from facetool.pipeline.merge import merge
from facetool.pipeline.represent import RepresentSettings, represent
from facetool.runners.job import EmbedJob, ShardOutcome
from facetool.weights.catalogue import crop_of
from facetool.weights.load import load_network
from tests.remarks import remarks
from tests.runners import killer

pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def network() -> EmbeddingNetwork:
    return load_network("dlib-resnet")


@pytest.fixture(scope="module")
def settings() -> EmbedSettings:
    crop: Crop = crop_of("dlib-resnet")
    return EmbedSettings(
        align=AlignSettings(crop=crop), represent=RepresentSettings(batch_size=4), per_shard=5
    )


@pytest.fixture(scope="module")
def photos(album: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An album, with a photo without a face and one that is damaged."""
    folder = copytree(album, tmp_path_factory.mktemp("photos") / "album")
    person = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    (person / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    import cv2

    cv2.imwrite(str(person / "empty.png"), np.full((90, 120, 3), 200, np.uint8))
    return folder


@pytest.fixture(scope="module")
def separate(
    photos: Path,
    network: EmbeddingNetwork,
    settings: EmbedSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What align and represent make of them, in ``al`` and ``reps``."""
    root = tmp_path_factory.mktemp("separate")
    align(photos, root / "al", settings.align, jobs=2)
    represent(root / "al", root / "reps", network, settings.represent)
    return root


@pytest.fixture(scope="module")
def finished(
    photos: Path,
    network: EmbeddingNetwork,
    settings: EmbedSettings,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Report]:
    """What embed makes of them."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return out, embed(photos, out, network, settings, jobs=2)


@pytest.fixture
def out(finished: tuple[Path, Report], tmp_path: Path) -> Path:
    """A copy of it to change."""
    return copytree(finished[0], tmp_path / "out")


def same_reps(one: Path, other: Path) -> bool:
    names = ("reps.npy", "reps.csv", "labels.csv")
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def all_rows(out: Path) -> list:
    storage = FolderStorage(out)
    return [
        row
        for plan in read_plans(storage)
        for number in range(plan.shards)
        for row in rows_of(read_shard(storage, plan, number)[1])
    ]


@pytest.mark.slow
def test_rows_and_embeddings_are_those_of_align_and_represent(finished, separate, tmp_path) -> None:
    out, report = finished
    assert report.exit_code == 1
    assert [name.rpartition("/")[2] for name, _ in report.failures] == ["broken.jpg"]
    assert [row._replace(output="") for row in read_manifest(separate / "al" / "align.csv")] == (
        all_rows(out)
    )
    merged = merge(out, tmp_path / "reps")
    assert merged.exit_code == 1 and merged.failures == report.failures
    assert same_reps(separate / "reps", tmp_path / "reps")
    described = json.loads((tmp_path / "reps" / "represent.json").read_text())
    wanted = json.loads((separate / "reps" / "represent.json").read_text())
    for key in ("network", "weights", "recipe", "flip", "dtype", "device", "batch_size"):
        assert described[key] == wanted[key]
    assert described["missed_faces"] == wanted["missed_faces"]


@pytest.mark.slow
def test_what_embed_wrote_is_read_as_it_is(out, separate) -> None:
    found, wanted = read_embeddings(out), read_embeddings(separate / "reps")
    assert found.names == wanted.names
    np.testing.assert_array_equal(found.vectors, wanted.vectors)
    np.testing.assert_array_equal(found.labels, wanted.labels)
    assert read_features(out).names == wanted.names  # as identify does


@pytest.mark.slow
def test_fewer_faces_than_a_batch_in_one_shard(album, network, settings, tmp_path) -> None:
    large = replace(settings, represent=RepresentSettings(batch_size=64), per_shard=1000)
    align(album, tmp_path / "al", large.align)
    represent(tmp_path / "al", tmp_path / "wanted", network, large.represent)
    embed(album, tmp_path / "out", network, large)
    merge(tmp_path / "out", tmp_path / "reps")
    assert same_reps(tmp_path / "wanted", tmp_path / "reps")


@pytest.mark.slow
def test_all_faces_and_crops(photos, network, settings, tmp_path) -> None:
    chosen = replace(settings, align=replace(settings.align, select="all"), keep_crops=True)
    align(photos, tmp_path / "al", chosen.align)
    represent(tmp_path / "al", tmp_path / "wanted", network, chosen.represent)
    embed(photos, tmp_path / "out", network, chosen)
    merge(tmp_path / "out", tmp_path / "reps")
    assert same_reps(tmp_path / "wanted", tmp_path / "reps")
    storage = FolderStorage(tmp_path / "out")
    (plan,) = read_plans(storage)
    kept = [
        png for shard in range(plan.shards) for png in read_shard(storage, plan, shard)[1]["crop"]
    ]
    rows = read_manifest(tmp_path / "al" / "align.csv")
    wanted = [(tmp_path / "al" / row.output).read_bytes() if row.output else None for row in rows]
    assert kept == wanted


@pytest.mark.parametrize("shard", [(3, 3), (-1, 3), (0, 0)])
def test_a_shard_that_there_is_not(shard, photos, network, settings, tmp_path) -> None:
    with pytest.raises(UsageError, match=rf"^shard={re.escape(str(shard))}: give \(I, N\)"):
        embed(photos, tmp_path / "out", network, settings, shard=shard)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_parts_together_are_the_whole(photos, separate, network, settings, tmp_path) -> None:
    out = tmp_path / "out"
    for index in (2, 0, 1):
        embed(photos, out, network, settings, shard=(index, 3), jobs=1)
    assert merge(out, tmp_path / "reps").exit_code == 1
    assert same_reps(separate / "reps", tmp_path / "reps")


@pytest.mark.parametrize(("given", "used"), [(None, "auto"), ("10.0.0.1:6379", "10.0.0.1:6379")])
def test_every_gpu_gets_a_process_by_ray(
    given, used, photos, network, settings, tmp_path, monkeypatch
) -> None:
    asked = []

    def run_on_ray(job: EmbedJob, numbers, address: str, cpus: int) -> Iterator[ShardOutcome]:
        asked.append((str(job.represent.device), job.detector_device, address))
        yield from ()

    monkeypatch.setattr("facetool.runners.on_ray.run_on_ray", run_on_ray)
    monkeypatch.setattr("facetool.runners.on_ray.need_ray", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0 if given else 2)
    represented = replace(settings.represent, device="cuda:all")
    embed(photos, tmp_path / "out", network, replace(settings, represent=represented), ray=given)
    assert asked == [("cuda", "cpu", used)]


def test_without_a_gpu_nothing_is_begun(photos, network, settings, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    for device in ("cuda:all", "cuda", torch.device("cuda:1")):
        represented = replace(settings.represent, device=device)
        with pytest.raises(UsageError, match="this machine offers 0 CUDA devices"):
            embed(photos, tmp_path / "out", network, replace(settings, represent=represented))
    assert not (tmp_path / "out").exists()


def test_the_plan_has_what_auto_stood_for(photos, network, settings, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("facetool.embedding.embedder._has_bfloat16", lambda device: True)
    monkeypatch.setattr("facetool.pipeline.embed.run_here", lambda *others: iter(()))
    represented = replace(settings.represent, device="cpu", dtype="auto")
    embed(photos, tmp_path / "out", network, replace(settings, represent=represented))
    (plan,) = read_plans(FolderStorage(tmp_path / "out"))
    assert plan.represent.dtype == "bfloat16"


@pytest.mark.usefixtures("in_this_process")
def test_photos_without_a_face_are_said_again(network, settings, tmp_path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (60, 60), "gray").save(tmp_path / "photos" / name)
    assert str(embed(tmp_path / "photos", tmp_path / "out", network, settings)) == "2 no-face"
    again = embed(tmp_path / "photos", tmp_path / "out", network, settings)
    assert str(again) == "2 already there (2 had no face before)"


@pytest.mark.slow
def test_missing_and_damaged_shards_are_made_again(
    photos, separate, network, settings, tmp_path
) -> None:
    out = tmp_path / "out"
    embed(photos, out, network, settings)
    shards = sorted((out / "faces").iterdir())
    shards[0].unlink()
    data = bytearray(shards[1].read_bytes())
    data[len(data) // 3] ^= 1
    shards[1].write_bytes(data)
    shards[2].write_bytes(shards[2].read_bytes()[:-100])
    kept = shards[3].stat().st_mtime_ns
    with pytest.raises(FormatError, match="and 2 others"):
        read_embeddings(out)
    merged = merge(out, tmp_path / "part")
    assert [name for name, _ in merged.failures][:3] == [str(path) for path in shards[:3]]
    report = embed(photos, out, network, settings)
    assert report.counts["already there"] + report.counts["failed"] < len(all_rows(out))
    assert shards[3].stat().st_mtime_ns == kept
    table = parquet.read_table(shards[4], use_threads=False)
    parquet.write_table(table.drop_columns("embedding"), shards[4])
    embed(photos, out, network, settings)
    merge(out, tmp_path / "reps")
    assert same_reps(separate / "reps", tmp_path / "reps")


@pytest.mark.slow
def test_shards_of_another_plan_are_refused(photos, out, network, settings) -> None:
    shards = sorted((out / "faces").iterdir())
    shards[0].write_bytes(shards[1].read_bytes())
    with pytest.raises(FormatError, match="is shard 1 of"):
        embed(photos, out, network, settings)


def test_other_settings_are_refused_with_what_differs(photos, out, network, settings) -> None:
    for other, differs in (
        (replace(settings, align=replace(settings.align, select="all")), "select largest there"),
        (replace(settings, represent=RepresentSettings(flip="sum", batch_size=4)), "flip none"),
        (replace(settings, keep_crops=True), "crops not kept"),
    ):
        with pytest.raises(UsageError, match=differs):
            embed(photos, out, network, other)


def test_other_photos_are_refused(photos, out, network, settings, tmp_path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    photo = next(photos.glob("*/*.jpg"), None) or next(photos.glob("*/*.png"))
    (other / "elsewhere.jpg").write_bytes(photo.read_bytes())
    with pytest.raises(UsageError, match="none of which is in"):
        embed(other, out, network, settings)


def draw(folder: Path, names: str, shade: int = 128, edge: int = 60) -> Path:
    """Photos without a face, one for each letter."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (edge, edge), (shade,) * 3).save(folder / f"{name}.png")
    return folder


def move_by_copying(old: Path, new: Path) -> None:
    copytree(old, new, copy_function=shutil.copy)
    shutil.rmtree(old)


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize(("names", "edge"), [("ab", 64), ("ab", 60), ("b", 64), ("abc", 64)])
def test_photos_of_another_folder_with_the_same_names_are_refused(
    network, settings, tmp_path, names, edge
) -> None:
    album, out = draw(tmp_path / "A/photos", "ab"), tmp_path / "out"
    other = draw(tmp_path / "B/photos", names, 10, edge)
    embed(album, out, network, settings)
    before = {path: path.read_bytes() for path in out.rglob("*.*")}
    name = "a.png"
    with pytest.raises(UsageError) as caught:
        embed(other, out, network, settings)
    assert str(caught.value) == (
        f"{out} holds faces of the photos in {album}, and {name} is not the same in {other}; "
        "choose another OUT"
    )
    if edge != 60:
        shutil.rmtree(album)  # perhaps on a disk that is not there today
        with pytest.raises(UsageError, match="is not the same in"):
            embed(other, out, network, settings)
    assert {path: path.read_bytes() for path in out.rglob("*.*")} == before


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("move", [copytree, move_by_copying, os.rename])
def test_photos_that_were_moved_or_copied_are_the_same(network, settings, tmp_path, move) -> None:
    album, out = draw(tmp_path / "A/photos", "ab"), tmp_path / "out"
    embed(album, out, network, settings)
    (tmp_path / "B").mkdir()
    move(album, tmp_path / "B/photos")
    draw(tmp_path / "B/photos", "c")
    with remarks() as said:
        report = embed(tmp_path / "B/photos", out, network, settings)
    assert report.counts["no-face"] == (3 if move is move_by_copying else 1)
    assert said == [
        f"{tmp_path / 'B/photos'}: taken for {album}, moved or copied: its 2 photos all there, "
        "1 new"
    ]
    with remarks() as said:
        embed(tmp_path / "B/photos", out, network, settings)
    assert said == []


@pytest.mark.usefixtures("in_this_process")
def test_a_list_adds_to_the_photos_of_an_earlier_one(
    network, settings, tmp_path, monkeypatch
) -> None:
    """As align does: those of before stay as long as they are there."""
    monkeypatch.chdir(tmp_path)
    draw(tmp_path / "photos", "abcd")
    for names in ("ab", "c", "d"):
        (tmp_path / f"{names}.txt").write_text("".join(f"photos/{one}.png\n" for one in names))
    said = []
    for given in ("ab.txt", "c.txt", "d.txt", "c.txt"):
        said.append(str(embed(given, "out", network, settings)))
    assert said == [
        "2 no-face",
        "1 no-face, 2 already there (2 had no face before)",
        "1 no-face, 3 already there (3 had no face before)",
        "4 already there (4 had no face before)",
    ]
    (tmp_path / "photos/a.png").unlink()
    draw(tmp_path / "photos", "b", edge=64)
    with remarks() as told:
        report = embed("c.txt", "out", network, settings)
    assert dict(report.counts) == {"no-face": 1, "already there": 2, "removed": 1}
    assert told == ["photos/a.png: the photo is gone, and its embeddings no longer count"]


@pytest.mark.usefixtures("in_this_process")
def test_single_photos_of_a_folder_add_up(network, settings, tmp_path) -> None:
    draw(tmp_path / "photos", "ab")
    for name in "ab":
        report = embed(tmp_path / f"photos/{name}.png", tmp_path / "out", network, settings)
    assert (report.counts["already there"], report.counts["no-face"]) == (1, 1)


@pytest.mark.usefixtures("in_this_process")
def test_where_photos_lie_now_is_noted_when_none_is_new(network, settings, tmp_path) -> None:
    album, out = draw(tmp_path / "A/photos", "ab"), tmp_path / "out"
    embed(album, out, network, settings)
    album.rename(tmp_path / "photos")
    embed(tmp_path / "photos", out, network, settings)
    plans = read_plans(FolderStorage(out))
    assert [(plan.source, plan.photos) for plan in plans] == [
        (str(album), 2),
        (str(tmp_path / "photos"), 0),
    ]


@pytest.mark.usefixtures("in_this_process")
def test_an_archive_that_was_written_anew_meanwhile_is_refused(network, settings, tmp_path) -> None:
    """Its photos are read from where they began; those of one size would take others' places."""
    pytest.importorskip("fsspec")
    draw(tmp_path, "ab")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())

    def pack(order: str, seconds: int) -> None:
        with tarfile.open(tmp_path / "t.tar", "w") as tar:
            for name in order:
                tar.add(tmp_path / f"{name}.png", f"{name}.png")
        os.utime(tmp_path / "t.tar", (seconds, seconds))

    def part(index: int) -> Report:
        one = replace(settings, per_shard=1)
        return embed(tmp_path / "t.tar", tmp_path / "out", network, one, shard=(index, 2))

    pack("ab", 1)
    assert part(0).counts["no-face"] == 1
    pack("ba", 2)
    with pytest.raises(UsageError, match=r"t\.tar has changed .* b\.png lies elsewhere in it"):
        part(1)
    pack("ab", 3)
    assert part(1).counts["no-face"] == 1


@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
def test_photos_where_nothing_can_be_listed_are_not_gone(
    network, settings, tmp_path, monkeypatch, scheme
) -> None:
    pytest.importorskip("fsspec")
    draw(tmp_path / "photos/closed", "ab")
    draw(tmp_path / "photos/open", "c")
    place = f"{scheme}{tmp_path}/photos"
    embed(place, tmp_path / "out", network, settings)
    scan = os.scandir

    def refuse(path="."):  # type: ignore[no-untyped-def]
        if str(path).endswith("/closed"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = embed(place, tmp_path / "out", network, settings)
    assert dict(report.counts) == {"already there": 3, "failed": 1}
    assert report.failures == [("closed", "cannot be listed: Permission denied")]
    assert open_faces(FolderStorage(tmp_path / "out")).failures == report.failures


@pytest.mark.slow
def test_photos_that_come_change_and_go_get_another_plan(
    photos, network, settings, tmp_path
) -> None:
    mine = copytree(photos, tmp_path / "photos")
    out = tmp_path / "out"
    embed(mine, out, network, settings)
    names = sorted(path for path in mine.glob("*/*") if path.stem not in ("broken", "empty"))
    (mine / "new").mkdir()
    (mine / "new" / f"a{names[0].suffix}").write_bytes(names[0].read_bytes())
    names[1].unlink()
    names[2].write_bytes(names[3].read_bytes())
    embed(mine, out, network, settings)
    second = json.loads((out / "plan-2.json").read_text())
    assert (second["photos"], second["gone"]) == (2, [names[1].relative_to(mine).as_posix()])
    embed(mine, out, network, settings)
    assert not (out / "plan-3.json").exists()
    align(mine, tmp_path / "al", settings.align)
    represent(tmp_path / "al", tmp_path / "wanted", network, settings.represent)
    merge(out, tmp_path / "reps")
    assert same_reps(tmp_path / "wanted", tmp_path / "reps")


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads instead of worker processes, which take longer to start than to work here."""

    def open_pool(work, on_death, create, arguments, jobs, *, device, tries):  # type: ignore[no-untyped-def]
        return OrderedThreads(work, create, arguments, 1)

    monkeypatch.setattr("facetool.runners.cropping.open_pool", open_pool)


def test_only_photos_that_still_count_are_counted(
    network, settings, tmp_path, in_this_process
) -> None:
    """Those that were replaced or are gone lie in earlier shards, which stay as they are."""
    folder, out = tmp_path / "photos", tmp_path / "out"
    folder.mkdir()
    for name in "abcd":
        Image.new("RGB", (60, 60), "gray").save(folder / f"{name}.png")
    (folder / "e.png").write_bytes(b"nothing")
    (folder / "f.cr2").write_bytes(b"II*\0 raw")
    small = replace(settings, align=replace(settings.align, on_no_face="center"), per_shard=2)

    def again() -> tuple[str, list[str]]:
        with remarks() as said:
            report = embed(folder, out, network, small)
        return str(report), said

    raw = "1 raw photo: not read (f.cr2); convert them to JPEG or TIFF first"
    assert again()[0] == "4 center, 2 failed"
    assert again()[0] == "4 already there, 2 failed"
    (folder / "a.png").unlink()
    Image.new("RGB", (64, 64), "gray").save(folder / "b.png")
    Image.new("RGB", (64, 64), "gray").save(folder / "e.png")
    gone = "a.png: the photo is gone, and its embeddings no longer count"
    assert again() == ("2 center, 2 already there, 1 removed, 1 failed", [raw, gone])
    assert again() == ("4 already there, 1 failed", [raw])
    described = describe_embeddings(out)
    for key in ("network", "weights_sha256", "recipe", "flip", "dtype", "threshold", "input"):
        assert getattr(described, key) == getattr(read_embeddings(out).description, key)
    next((out / "faces").glob("plan-1-00000*")).unlink()  # of nothing but a.png and b.png
    assert read_embeddings(out).names == ["b.png", "c.png", "d.png", "e.png"]
    assert again()[0] == "4 already there, 1 failed"
    (folder / "f.cr2").unlink()
    assert merge(out, tmp_path / "reps").exit_code == 1
    assert again() == ("4 already there", [])
    assert merge(out, tmp_path / "reps").exit_code == 0


@pytest.mark.slow
def test_a_photo_that_kills_its_worker_three_times_is_a_failed_row(
    photos, network, settings, tmp_path, monkeypatch
) -> None:
    mine = copytree(photos, tmp_path / "photos")
    next(mine.glob("*/empty.png")).rename(mine / "kills.png")
    monkeypatch.setattr("facetool.runners.cropping._create_worker", killer.create_worker)
    monkeypatch.setattr("facetool.runners.cropping._crop_chunk", killer.crop_chunk)
    report = embed(mine, tmp_path / "out", network, settings, jobs=1)
    assert {name.rpartition("/")[2] for name, _ in report.failures} == {"broken.jpg", "kills.png"}
    assert (tmp_path / "log").read_text().split() == ["killed"] * 3
    assert len(all_rows(tmp_path / "out")) == len(list(mine.glob("*/*"))) + 1


@pytest.mark.slow
def test_a_killed_run_goes_on_and_has_every_photo_once(photos, separate, tmp_path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "facetool", "embed", str(photos), str(out)]
    command += ["--per-shard", "3", "--batch-size", "4", "--jobs", "1", "--quiet"]
    with subprocess.Popen(command, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob("faces/*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    before = len(list(out.glob("faces/*.parquet")))
    assert 0 < before < read_plans(FolderStorage(out))[0].shards
    assert subprocess.run(command, timeout=120).returncode == 1  # the damaged photo
    photos_there = [row.input for row in all_rows(out)]
    assert sorted(photos_there) == sorted(
        path.relative_to(photos).as_posix() for path in photos.glob("*/*.*")
    )
    merge(out, tmp_path / "reps")
    assert same_reps(separate / "reps", tmp_path / "reps")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("parallel") is None, reason="GNU parallel is not installed")
def test_jobs_of_gnu_parallel_share_the_work(photos, separate, tmp_path) -> None:
    embed = [sys.executable, "-m", "facetool", "embed", str(photos), str(tmp_path / "out")]
    options = ["--per-shard", "5", "--batch-size", "4", "--jobs", "1", "--quiet", "--shard", "{}/3"]
    jobs = [*embed, *options, ":::", "0", "1", "2"]
    found = subprocess.run(["parallel", "-j", "2", *jobs], timeout=200, capture_output=True)
    assert found.returncode == 1, found.stderr  # one of the three has the damaged photo
    merge(tmp_path / "out", tmp_path / "reps")
    assert same_reps(separate / "reps", tmp_path / "reps")


def test_without_pyarrow_one_line_says_what_to_install(
    photos, network, settings, tmp_path, monkeypatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match=r"pip install 'facetool\[cloud\]'"):
        embed(photos, tmp_path / "out", network, settings)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "darwin", reason="names are UTF-8 there")
def test_names_that_are_no_utf_8_are_those_of_align(album, network, settings, tmp_path) -> None:
    photos = tmp_path / "photos"
    for number, name in enumerate((b"\xff.jpg", b"\xef\xbf\xbdff.jpg", b"a\xe9b.jpg")):
        target = photos / "P\udcfc" / os.fsdecode(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sorted(album.glob("*/*.jpg"))[number], target)
    align(photos, tmp_path / "al", settings.align, jobs=1)
    represent(tmp_path / "al", tmp_path / "wanted", network, settings.represent)
    for _ in range(2):
        report = embed(photos, tmp_path / "out", network, settings, jobs=1)
        assert report.exit_code == 0
    assert report.counts == {"already there": 3}
    merge(tmp_path / "out", tmp_path / "reps")
    assert same_reps(tmp_path / "wanted", tmp_path / "reps")
    assert b"\xff" in (tmp_path / "reps" / "labels.csv").read_bytes()
    target.unlink()
    assert embed(photos, tmp_path / "out", network, settings, jobs=1).exit_code == 0
    merge(tmp_path / "out", tmp_path / "reps", overwrite=True)
    assert len(read_embeddings(tmp_path / "reps").names) == 2


@pytest.mark.slow
def test_another_number_of_photos_in_a_shard_is_refused(photos, network, settings, out) -> None:
    with pytest.raises(UsageError, match=r"other settings \(5 photos in a shard there, 7 here\)"):
        embed(photos, out, network, replace(settings, per_shard=7))
    assert embed(photos, out, network, replace(settings, per_shard=None)).counts["already there"]
