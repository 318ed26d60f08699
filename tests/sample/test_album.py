"""Whole albums on disk."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from facetool.errors import FormatError, OutputError, UsageError
from facetool.images.read import read_image
from facetool.sample.album import draw_album, draw_image
from facetool.sample.names import LIMIT, draw_names


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("albums") / "small"
    draw_album(output, people=4, images=3, seed=7, jobs=1)
    return output


@pytest.mark.slow
def test_layout(small: Path) -> None:
    names = draw_names(4, 7)
    images = {f"{name}/{name}_000{k}.jpg" for name in names for k in (1, 2, 3)}
    assert set(contents(small)) == images | {"pairs.txt", "album.json"}
    for image in images:
        assert read_image(small / image).shape == (250, 250, 3)


def test_images_are_the_drawn_ones(small: Path) -> None:
    name = draw_names(4, 7)[2]
    drawn, _ = draw_image(seed=7, person=2, image=1)
    saved = read_image(small / name / f"{name}_0002.jpg")
    assert np.abs(drawn.astype(int) - saved).mean() < 6  # JPEG smooths the noise


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_run(small: Path, tmp_path: Path) -> None:
    draw_album(tmp_path / "again", people=4, images=3, seed=7)
    assert contents(tmp_path / "again") == contents(small)


@pytest.mark.slow
def test_bytes_do_not_depend_on_jobs(tmp_path: Path) -> None:
    for jobs in (1, 2):
        draw_album(tmp_path / str(jobs), people=8, images=6, jobs=jobs)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


@pytest.mark.slow
def test_a_larger_album_begins_like_the_smaller(small: Path, tmp_path: Path) -> None:
    draw_album(tmp_path / "larger", people=5, images=4, seed=7)
    larger = contents(tmp_path / "larger")
    photos = {k: v for k, v in contents(small).items() if k.endswith(".jpg")}
    assert photos.items() <= larger.items()
    assert len(larger) == 5 * 4 + 2


def test_another_seed_gives_other_people(small: Path, tmp_path: Path) -> None:
    draw_album(tmp_path / "other", people=2, images=1, seed=8)
    assert not set(contents(small).values()) & set(contents(tmp_path / "other").values())


@pytest.mark.slow
def test_continues(small: Path, tmp_path: Path) -> None:
    output = tmp_path / "album"
    assert draw_album(output, people=4, images=3, seed=7).drawn == 12
    name = draw_names(4, 7)[1]
    (output / name / f"{name}_0003.jpg").unlink()
    (output / "pairs.txt").unlink()
    summary = draw_album(output, people=4, images=3, seed=7)
    assert summary.drawn == 1
    assert (summary.folds, summary.pairs) == (10, 20)
    assert contents(output) == contents(small)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_killed_run_is_finished_by_the_next(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "facetool", "sample", "--people", "8", "--images", "12"]
    first = subprocess.Popen([*arguments, "--jobs", "2", tmp_path / "killed"])
    deadline = time.monotonic() + 120
    while len(list((tmp_path / "killed").rglob("*.jpg"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert not (tmp_path / "killed" / "pairs.txt").exists()
    summary = draw_album(tmp_path / "killed", people=8, images=12)
    assert 0 < summary.drawn < 96
    draw_album(tmp_path / "whole", people=8, images=12)
    killed = contents(tmp_path / "killed")
    assert {k: v for k, v in killed.items() if "/." not in f"/{k}"} == contents(tmp_path / "whole")


@pytest.mark.slow
def test_refuses_another_album(small: Path, tmp_path: Path) -> None:
    output = tmp_path / "album"
    draw_album(output, people=3, images=2, seed=1)
    before = contents(output)
    with pytest.raises(UsageError, match=r"another album \(3 people, 2 images of each, seed 1\)"):
        draw_album(output, people=4, images=3, seed=7)
    assert contents(output) == before
    draw_album(output, people=4, images=3, seed=7, overwrite=True)
    assert contents(output) == contents(small)


@pytest.mark.parametrize("length", [0, 1000])
def test_an_image_that_a_power_cut_left_empty_is_drawn_again(tmp_path: Path, length: int) -> None:
    draw_album(tmp_path, people=2, images=1)
    image = next(tmp_path.rglob("*.jpg"))
    before = image.read_bytes()
    image.write_bytes(before[:length])
    assert draw_album(tmp_path, people=2, images=1).drawn == 1
    assert image.read_bytes() == before


def test_overwrite_draws_all_anew(tmp_path: Path) -> None:
    draw_album(tmp_path, people=2, images=1)
    image = next(tmp_path.rglob("*.jpg"))
    before = image.read_bytes()
    image.write_bytes(b"another photo\xff\xd9")
    assert draw_album(tmp_path, people=2, images=1).drawn == 0
    assert image.read_bytes() == b"another photo\xff\xd9"
    assert draw_album(tmp_path, people=2, images=1, overwrite=True).drawn == 2
    assert image.read_bytes() == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_never_mixes_with_other_files(overwrite: bool, tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("10\t300\n")
    with pytest.raises(UsageError, match="something else"):
        draw_album(tmp_path, people=2, images=1, overwrite=overwrite)
    assert contents(tmp_path) == {"pairs.txt": b"10\t300\n"}


def test_replacing_keeps_what_is_not_its_own(tmp_path: Path) -> None:
    draw_album(tmp_path, people=2, images=1, seed=1)
    (tmp_path / "notes.txt").write_text("mine")
    draw_album(tmp_path, people=2, images=1, seed=2, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_damaged_record(tmp_path: Path) -> None:
    (tmp_path / "album.json").write_text("[1, 2")
    with pytest.raises(FormatError, match=r"album\.json"):
        draw_album(tmp_path, people=2, images=1)


def test_output_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        draw_album(tmp_path / "file", people=2, images=1)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_output(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write"):
        draw_album(tmp_path / "album", people=2, images=1)


@pytest.mark.parametrize(
    ("people", "images", "seed"), [(1, 3, 0), (0, 3, 0), (LIMIT + 1, 1, 0), (2, 0, 0),
                                   (2, 10_000, 0), (2, 1, -1)]
)  # fmt: skip
def test_impossible_numbers(people: int, images: int, seed: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        draw_album(tmp_path / "album", people=people, images=images, seed=seed)
    assert not (tmp_path / "album").exists()


def test_names_are_unique_and_stay() -> None:
    names = draw_names(3000, 0)
    assert len(set(names)) == 3000
    assert names[:50] == draw_names(50, 0)
    assert all(name.count("_") == 1 and name.isascii() for name in names)
