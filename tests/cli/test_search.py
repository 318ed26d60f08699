"""``search`` on the command line."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.slow
def test_faces_are_listed_with_what_the_threshold_means(
    run: Run, album: Path, crops: Path, tmp_path: Path
) -> None:
    reps = tmp_path / "reps"
    assert run("represent", crops, reps, "--quiet").returncode == 0
    photo = min(album.glob("*/*_0001.*"))
    done = run("search", reps, photo, "--top", 3, "--device", "cpu")
    assert done.returncode == 0, done.stderr
    header, first, *_, last = done.stdout.splitlines()
    assert header.split()[:3] == ["squared", "L2", "cosine"]
    assert first.split()[0] == "0.0000" and first.endswith(str(photo)) and " same " in first
    assert "Among 23 faces" in last and "false accept rate" in last
    both = run("search", reps, photo, "--in", reps, "--json", "--threshold", 0.001)
    found = json.loads(both.stdout)
    assert found["faces"] == 46 and len(found["matches"]) == 2
    assert found["threshold"]["data_set"] == "given" and found["fpir"] is None


def test_a_folder_of_another_program(run: Run, eight_people: Path, tmp_path: Path) -> None:
    done = run("search", eight_people, tmp_path / "a.jpg")
    assert done.returncode == 2
    assert "does not say which network it was made with" in done.stderr


def test_a_recipe_that_is_none_is_said_of_the_folder(
    run: Run, eight_people: Path, tmp_path: Path
) -> None:
    reps = shutil.copytree(eight_people, tmp_path / "copy")
    for recipe in ({"crop": 7}, {"scale": 1}):
        description = {"network": "dlib-resnet", "recipe": recipe}
        (reps / "represent.json").write_text(json.dumps(description))
        done = run("search", reps, tmp_path / "a.jpg")
        assert done.returncode == 1
        assert done.stderr == (
            f"facetool: {reps} does not say rightly what its network takes; make it again with "
            "facetool represent\n"
        )
